"""styletx: neural style transfer, taught and run, from layer features to finished pictures."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import samples
    from .devices import describe_device, pick_device
    from .encoders import Encoder, load_encoder, normalise
    from .images import read, resize, show, write
    from .losses import Loss, content_loss, gram_loss, mean_squared, total_variation, value_range
    from .methods.deep_photo import deep_photo
    from .methods.enlarge import enlarge
    from .methods.gatys import gatys, gatys_objective, reconstruct_content, reconstruct_style
    from .methods.inversion import invert
    from .methods.photo_wct import photo_wct
    from .methods.smoothing import smooth
    from .methods.stylize import stylize
    from .methods.textures import texture, train_texture
    from .methods.train_style import train_style
    from .methods.wct import adain, wct
    from .objective import Energy, Match, Objective
    from .run import Run, Step
    from .samples import load, load_or
    from .statistics import gram
    from .synthesis import synthesize

# Where each name comes from: nothing is imported, not even torch, before it is used.
_FROM = {
    "devices": ("describe_device", "pick_device"),
    "encoders": ("Encoder", "load_encoder", "normalise"),
    "images": ("read", "resize", "show", "write"),
    "losses": ("Loss", "content_loss", "gram_loss", "mean_squared", "total_variation", "value_range"),
    "methods.deep_photo": ("deep_photo",),
    "methods.gatys": ("gatys", "gatys_objective", "reconstruct_content", "reconstruct_style"),
    "methods.inversion": ("invert",),
    "methods.photo_wct": ("photo_wct",),
    "methods.smoothing": ("smooth",),
    "methods.enlarge": ("enlarge",),
    "methods.stylize": ("stylize",),
    "methods.textures": ("texture", "train_texture"),
    "methods.train_style": ("train_style",),
    "methods.wct": ("adain", "wct"),
    "objective": ("Energy", "Match", "Objective"),
    "run": ("Run", "Step"),
    "samples": ("load", "load_or"),
    "statistics": ("gram",),
    "synthesis": ("synthesize",),
}
_HOME = {name: module for module, names in _FROM.items() for name in names}

__all__ = [*sorted(_HOME), "samples"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    elif name == "samples":
        value = importlib.import_module(".samples", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _version() -> str:
    """That of the installed package: pyproject.toml is the one place where it stands."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("styletx-course")
    except PackageNotFoundError:
        return "0 (not installed)"


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
