"""What a method's argument may be, written once, in its signature: the command line and the panels read it there.

@checked
def gatys(content, style, *, size: Annotated[int, Number(64, 2048, step=32, help="...")] = 512, ...)
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from torch import Tensor, nn

P = ParamSpec("P")
R = TypeVar("R")


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
    """One of some values, or of those in `also`, which are not proposed; where `open`, any other word may be right."""

    values: tuple
    help: str = ""
    open: bool = False
    also: tuple = ()

    def takes(self, value: Any) -> bool:
        """Is this one of the values, or a word where any may be right?"""
        return value in self.values or value in self.also or (self.open and isinstance(value, str | Path))


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


def checked(method: Callable[P, R]) -> Callable[P, R]:
    """A method whose annotated arguments are checked before it runs, as `check_options` does.

    Where the annotation says so, a Choice may also be the thing itself (an Encoder, a picture to start from): then the
    method looks at it. A whole number that comes as a float is taken as what it is.
    """

    @functools.wraps(method)
    def call(*arguments: P.args, **keywords: P.kwargs) -> R:
        try:
            given = inspect.signature(method).bind(*arguments, **keywords).arguments
        except TypeError:
            return method(*arguments, **keywords)  # which says what is missing or unknown
        known = options(method)
        things = {o.name for o in known if isinstance(o.allowed, Choice) and _is_thing(o.kind, given.get(o.name))}
        check_options(method, {name: value for name, value in given.items() if name not in things})
        named: dict[str, Any] = keywords
        for option in known:
            if option.kind is int and isinstance(named.get(option.name), float):
                named[option.name] = int(named[option.name])
        return method(*arguments, **keywords)

    return call


def _is_thing(kind: Any, value: Any) -> bool:
    """Is it a tensor or a network, where the annotation takes one?"""
    return isinstance(value, Tensor | nn.Module) and any(
        isinstance(part, type) and isinstance(value, part) for part in get_args(kind)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def check_options(method: Callable, values: dict[str, Any]) -> None:
    """ValueError naming argument, value and what would be right, for the first value that is not allowed.

    The ranges are what makes sense, not only what can be computed; NaN is never allowed.
    """
    for option in options(method):
        allowed = option.allowed
        if option.name not in values or isinstance(allowed, Picture):
            continue
        value = values[option.name]
        if isinstance(allowed, Choice):
            if not allowed.takes(value):
                raise ValueError(f"{option.name}: {value!r} is not one of {', '.join(map(str, allowed.values))}")
        elif not allowed.many:
            _check_number(option, allowed, value)
        elif value is not None:
            _check_numbers(option, allowed, value)


def _check_numbers(option: Option, allowed: Number, values: Any) -> None:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"{option.name}: {values!r} is not a list of numbers")
    for value in values:
        _check_number(option, allowed, value)


def _check_number(option: Option, allowed: Number, value: Any) -> None:
    if not _is_number(value):
        raise ValueError(f"{option.name}: {value!r} is not a number; it must be from {allowed.low} to {allowed.high}")
    if not allowed.low <= value <= allowed.high:
        raise ValueError(f"{option.name}: {value} is outside {allowed.low} … {allowed.high}")
    if option.kind is int and int(value) != value:
        raise ValueError(f"{option.name}: {value} is not a whole number")
