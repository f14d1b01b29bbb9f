"""styletx: neural style transfer, taught and run, from layer features to finished pictures."""

__version__ = "0.1.0"

from . import samples
from .devices import describe_device, pick_device
from .encoders import Encoder, load_encoder, normalise
from .images import read, resize, show, write
from .losses import Loss, content_loss, gram_loss, mean_squared, total_variation, value_range
from .methods.deep_photo import deep_photo
from .methods.gatys import gatys, gatys_objective, reconstruct_content, reconstruct_style
from .methods.inversion import invert
from .methods.photo_wct import photo_wct
from .methods.smoothing import smooth
from .methods.wct import adain, wct
from .objective import Energy, Match, Objective
from .samples import load, load_or
from .statistics import gram
from .synthesis import Run, Step, synthesize

__all__ = [
    "Encoder",
    "Energy",
    "Loss",
    "Match",
    "Objective",
    "Run",
    "Step",
    "adain",
    "content_loss",
    "deep_photo",
    "describe_device",
    "gatys",
    "gatys_objective",
    "gram",
    "gram_loss",
    "invert",
    "load",
    "load_encoder",
    "load_or",
    "mean_squared",
    "normalise",
    "photo_wct",
    "pick_device",
    "read",
    "reconstruct_content",
    "reconstruct_style",
    "resize",
    "samples",
    "show",
    "smooth",
    "synthesize",
    "total_variation",
    "value_range",
    "wct",
    "write",
]
