"""styletx: neural style transfer, taught and run, from layer features to finished pictures."""

__version__ = "0.1.0"

from . import samples
from .deep_photo import deep_photo
from .devices import describe_device, pick_device
from .encoders import Encoder, load_encoder, normalise
from .gatys import gatys, gatys_objective, reconstruct_content, reconstruct_style
from .images import read, resize, show, write
from .inversion import invert
from .losses import Loss, content_loss, gram_loss, mean_squared, total_variation, value_range
from .objective import Energy, Match, Objective
from .photo_wct import photo_wct
from .samples import load, load_or
from .smoothing import smooth
from .statistics import gram
from .synthesis import Run, Step, synthesize
from .wct import adain, wct

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
