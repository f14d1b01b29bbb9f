"""What several arguments have to be: checked, and said in one line when they are not."""

from collections.abc import Iterable
from numbers import Integral


def check_whole(name: str, value: object, least: int) -> None:
    """ValueError naming the argument where its value is no whole number, or below the least."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}: {value}; it must be a whole number, at least {least}")


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """ValueError naming the argument where its value is none of the choices."""
    choices = list(choices)
    if value not in choices:
        raise ValueError(f"{name}: {value!r} is not one of {', '.join(map(str, choices))}")
