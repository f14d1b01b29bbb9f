"""What a method's argument may be, written once, in its signature: the command line and the panels read it there.

def gatys(content, style, *, size: Annotated[int, Number(64, 2048, step=32, help="...")] = 512, ...)
"""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, moved in steps (on a logarithmic scale where `log`); `many`: several of them."""

    low: float
    high: float
    step: float = 1
    help: str = ""
    log: bool = False
    many: bool = False


@dataclass(frozen=True)
class Choice:
    """One of some values; where `open`, the values are proposals and any other word may be right too."""

    values: tuple
    help: str = ""
    open: bool = False

    def takes(self, value: Any) -> bool:
        """Is this one of the values, or a word where any may be right?"""
        return value in self.values or (self.open and isinstance(value, str))


@dataclass(frozen=True)
class Picture:
    """A picture: a sample's name, a file, or a tensor (1, 3, H, W); `many`: one or several of them."""

    help: str = ""
    many: bool = False


@dataclass(frozen=True)
class Option:
    """An argument of a method: its name, plain type, default and what is allowed."""

    name: str
    kind: type
    default: Any
    allowed: Number | Choice | Picture

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


def options(method: Callable) -> list[Option]:
    """The annotated arguments of a method, in order."""
    hints = get_type_hints(method, include_extras=True)
    found = []
    for name, parameter in inspect.signature(method).parameters.items():
        hint = hints.get(name)
        if get_origin(hint) is Annotated:
            kind, *extras = get_args(hint)
            allowed = next((e for e in extras if isinstance(e, Number | Choice | Picture)), None)
            if allowed is not None:
                found.append(Option(name, kind, parameter.default, allowed))
    return found


def picture_options(method: Callable) -> list[str]:
    """The names of the arguments that are pictures: content, style, ..."""
    return [option.name for option in options(method) if isinstance(option.allowed, Picture)]


def check_options(method: Callable, values: dict[str, Any]) -> None:
    """ValueError naming argument, value and what would be right, for the first value that is not allowed.

    The ranges are what makes sense, not only what can be computed; NaN is never allowed.
    """
    for option in options(method):
        if option.name not in values or isinstance(option.allowed, Picture):
            continue
        value, allowed = values[option.name], option.allowed
        if getattr(allowed, "many", False):
            if value is not None:
                _check_numbers(option, value)
        elif isinstance(allowed, Choice):
            if not allowed.takes(value):
                raise ValueError(f"{option.name}: {value!r} is not one of {', '.join(map(str, allowed.values))}")
        else:
            _check_number(option, value)


def _check_numbers(option: Option, values: Any) -> None:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"{option.name}: {values!r} is not a list of numbers")
    for value in values:
        _check_number(option, value)


def _check_number(option: Option, value: Any) -> None:
    allowed = option.allowed
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{option.name}: {value!r} is not a number; it must be from {allowed.low} to {allowed.high}")
    if not allowed.low <= value <= allowed.high:
        raise ValueError(f"{option.name}: {value} is outside {allowed.low} … {allowed.high}")
    if option.kind is int and int(value) != value:
        raise ValueError(f"{option.name}: {value} is not a whole number")
