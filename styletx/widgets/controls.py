"""Controls made from a method's signature (`styletx.methods.options`): an option is written once, there."""

import math
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import torch

from ..devices import describe_device, pick_device
from ..methods.options import Choice, Number, Option, Picture

CSS = Path(__file__).with_name("panel.css").read_text(encoding="utf-8")
SMALLEST = 1e-3  # the least positive value on a logarithmic scale that begins at 0
REACH = 4  # a slider ends at four times the default: on all of 1 … 5000 one pixel would be twenty steps
NONE = ""  # a Dropdown takes None for "nothing is selected"
TYPED = 10_000  # more values than a slider can hold: to be typed


def control(option: Option, value: Any = None) -> widgets.Widget:
    """The control of one option, set to `value` (else to its default): a slider, a dropdown or a box to type into.

    A number on a logarithmic scale that may be 0 gets a slider over 0, 0.001, 0.002, 0.005, ...: the left end is off.
    """
    allowed, value = option.allowed, option.default if value is None else value
    assert not isinstance(allowed, Picture)
    common = dict(description=label(option.name))
    if isinstance(allowed, Choice) and allowed.open:
        made = widgets.Combobox(value=value, options=allowed.values, ensure_option=False, **common)
    elif isinstance(allowed, Choice):
        values = [(shown(v), NONE if v is None else v) for v in allowed.values]
        made = widgets.Dropdown(options=values, value=NONE if value is None else value, **common)
    elif allowed.log:
        made = _log_slider(allowed, value, common)
    elif option.kind is int:
        made = _whole_slider(allowed, option.default, value, common)
    else:
        digits = max(0, math.ceil(-math.log10(allowed.step)))
        made = widgets.FloatSlider(value, min=allowed.low, max=allowed.high, step=allowed.step,
                                   readout_format=f".{digits}f", continuous_update=False, **common)  # fmt: skip
    set_help(made, allowed.help)
    made.add_class("stx-control")
    return made


def _log_slider(allowed: Number, value: float, common: dict) -> widgets.Widget:
    if allowed.low > 0:
        low, high = math.log10(allowed.low), math.log10(allowed.high)
        return widgets.FloatLogSlider(value, base=10, min=low, max=high, step=0.05, readout_format=".3g",
                                      continuous_update=False, **common)  # fmt: skip
    first, last = round(math.log10(SMALLEST)), math.ceil(math.log10(allowed.high))
    series = {float(f"{m}e{k}") for k in range(first, last + 1) for m in (1, 2, 5)}
    values = sorted({0.0, float(value)} | {v for v in series if v <= allowed.high})
    options = [(f"{v:,.10g}" if v else "0 (off)", v) for v in values]
    return widgets.SelectionSlider(options=options, value=float(value), continuous_update=False, **common)


def _whole_slider(allowed: Number, default: Any, value: int, common: dict) -> widgets.Widget:
    low, high, step = int(allowed.low), int(allowed.high), int(allowed.step)
    if (high - low) / step > TYPED:
        return widgets.BoundedIntText(value, min=low, max=high, step=step, **common)
    low = min(-(-low // step) * step, value)  # so that a slider in steps of 10 stops at 150, not at 151
    if isinstance(default, int) and default:
        high = min(high, max(REACH * default // step * step, value))
    return widgets.IntSlider(value, min=low, max=high, step=step, continuous_update=False, **common)


def plain(widget: widgets.Widget, option: Option) -> Any:
    """The value of a control as the method wants it."""
    if isinstance(option.allowed, Choice):
        return None if widget.value == NONE else widget.value
    return int(widget.value) if option.kind is int else float(widget.value)


def label(name: str) -> str:
    """An argument's name as a reader sees it."""
    return name.replace("_", " ")


def shown(value: Any) -> str:
    """A value as a reader sees it."""
    if isinstance(value, float):
        return f"{value:g}"
    return {None: "none", NONE: "none", "lbfgs": "L-BFGS", "adam": "Adam"}.get(value, str(value))


def set_help(widget: widgets.Widget, text: str) -> None:
    """The help under the pointer: `tooltip` in ipywidgets 8 and of a button, `description_tooltip` in 7."""
    name = "tooltip" if widget.has_trait("tooltip") else "description_tooltip"
    if text and widget.has_trait(name):
        setattr(widget, name, text)


def device_control(given: Any = None) -> widgets.Dropdown:
    """What this machine can compute on, the one that `pick_device` takes chosen."""
    names = ["cpu", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
    names += ["mps"] if torch.backends.mps.is_available() else []
    device = pick_device(given)
    chosen = f"cuda:{device.index or 0}" if device.type == "cuda" else device.type
    made = widgets.Dropdown(options=[(describe_device(n), n) for n in names], value=chosen, description="device")
    made.add_class("stx-control")
    set_help(made, "where it is computed")
    return made


def box(children: list, classes: str, kind: type = widgets.VBox) -> widgets.Box:
    """A box with style classes."""
    made = kind(children)
    for name in classes.split():
        made.add_class(name)
    return made
