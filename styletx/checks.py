"""What several arguments have to be: checked, and said in one line when they are not."""

from numbers import Integral


def check_whole(name: str, value: int, least: int) -> None:
    """ValueError naming the argument where its value is no whole number, or below the least."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}: {value}; it must be a whole number, at least {least}")
