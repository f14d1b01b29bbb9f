"""Photo-realism by unpooling: PhotoWCT (lecture 11).

Whitening and colouring as in `wct`, with a decoder that puts every value back where the encoder's maximum was, so that
edges stay where they were; then a smoothing that knows the photo (`smoothing`).
Source: Li, Liu, Li, Yang & Kautz, A Closed-form Solution to Photorealistic Image Stylization, ECCV 2018.
"""

from typing import Annotated

import torch
from torch import Tensor

from ..images import fit_size, resize, size_of
from ..networks.decoders import LEVELS, load_pairs
from ..samples import picture, pictures
from .arguments import LongerSide, Mask, Mix, Photo, Scale, Style, StyleMask
from .options import Choice, Number, checked
from .smoothing import smoothed
from .wct import one_shot

PHOTO_LEVELS = LEVELS[3::-1]  # relu4_1 … relu1_1: deeper than the paper nobody goes
SMOOTHING = ("exact", "fast", "none")


@checked
def photo_wct(
    content: Photo,
    style: Style,
    *,
    size: LongerSide = 512,
    strength: Annotated[float, Number(0, 1, step=0.05, help="α, how much of the style at each level")] = 1.0,
    upsampling: Annotated[str, Choice(("unpool", "nearest"), help="how the decoder goes up")] = "unpool",
    smoothing: Annotated[str, Choice(SMOOTHING, help="what makes the result smooth where the photo is")] = "exact",
    alpha: Annotated[
        float, Number(0, 0.999999, step=0.0001, help="α of the smoothing: nearer to 1 is smoother")
    ] = 0.9999,
    style_scale: Scale = 1.0,
    mix: Mix = None,
    mask: Mask = None,
    style_mask: StyleMask = None,
    device: str | torch.device | None = None,
) -> Tensor:
    """Give the photo `content` the look of another photo, and keep its edges; a picture (1, 3, H, W) in [0, 1].

    Transfer at relu4_1, … relu1_1 with `mini` and unpooling decoders, then closed-form smoothing (`smoothing.smooth`).
    `upsampling="nearest"` is WCT's own decoder, for comparison; `smoothing="fast"` a guided filter. Styles, mix and
    masks as in `wct`. Raises ValueError (or a subclass) for a bad argument, at once. Source: Li et al. 2018, section 3.
    """
    photo = picture(content, argument="content")
    photo = resize(photo, fit_size(*size_of(photo), longer=size))
    pairs = load_pairs("mini", PHOTO_LEVELS[:3], upsampling=upsampling, device=device)
    pairs += load_pairs("mini", PHOTO_LEVELS[3], device=device)  # no pooling before relu1_1: nothing to unpool
    made = one_shot(
        photo, pictures(style, argument="style"), pairs, size=size, strength=strength, style_scale=style_scale,
        mix=mix, mask=mask, style_mask=style_mask,
    )  # fmt: skip
    if smoothing == "none":
        return made
    return smoothed(made, photo, alpha=alpha, solver="auto" if smoothing == "exact" else "guided", device=device)
