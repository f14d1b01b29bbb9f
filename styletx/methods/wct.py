"""One shot: whitening and colouring (lecture 10).

No optimisation and no network trained for a style: encode the photo, move the cloud of its features onto the style's
mean and covariance, decode. From the deepest level to the shallowest, each working on what the last has made.
Source: Li, Fang, Yang, Wang, Lu & Yang, Universal Style Transfer via Feature Transforms, NIPS 2017.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from ..encoders import EncoderError
from ..images import Size, fit_size, resize, resize_mask, size_of
from ..networks.decoders import LEVELS, PAIRS, Pair, load_pairs
from ..samples import Source, picture, pictures
from ..whitening import MAPS, Gaussian, gaussian, region_gaussians, transfer, transfer_regions
from .arguments import LongerSide, Mask, Mix, Photo, Scale, Style, StyleMask
from .control import regions
from .options import Choice, Number, checked

ORDERS = ("coarse to fine", "fine to coarse")
STRIDE = 16  # of relu5_1: pictures are padded to a multiple of it, so that decoding gives their own size back

Coder = Annotated[str, Choice(tuple(PAIRS), help="the pairs of encoder and decoder")]


@checked
def wct(
    content: Photo,
    style: Style,
    *,
    size: LongerSide = 512,
    strength: Annotated[float, Number(0, 1, step=0.05, help="α, how much of the style at each level")] = 0.6,
    layer: Annotated[str, Choice(("all", *LEVELS), help="one level only, or all of them")] = "all",
    deepest: Annotated[str, Choice(LEVELS, help="the deepest of all levels")] = "relu5_1",
    order: Annotated[str, Choice(ORDERS, help="of the levels")] = "coarse to fine",
    how: Annotated[str, Choice(MAPS, help="the map from one covariance to the other")] = "zca",
    style_scale: Scale = 1.0,
    mix: Mix = None,
    mask: Mask = None,
    style_mask: StyleMask = None,
    encoder: Coder = "mini",
    device: str | torch.device | None = None,
) -> Tensor:
    """Give `content` the covariances of `style` at one or all levels, in one pass; a picture (1, 3, H, W) in [0, 1].

    f ← (1 − α)·f + α·(Σ_s^½ Σ_c^-½ (f − μ_c) + μ_s) at the deepest level, decoded, then the same at the next, …
    relu1_1. A smaller `deepest` than the paper's relu5_1 keeps more of a small picture's shapes. Several styles are
    mixed (`mix`), or each has its region of the content (`mask`); with one style, `style_mask` says where in it each
    region finds its style (see `whitening.transfer_regions` for small regions). Any size works: pictures are padded
    for decoding and cropped again. Raises ValueError (or a subclass) for a bad argument, at once. Source: Li et al.
    2017, section 3.
    """
    layers = [name for name in PAIRS[encoder] if name <= deepest] if layer == "all" else [layer]
    layers = layers[::-1] if order == ORDERS[0] else layers
    return one_shot(
        picture(content, argument="content"), pictures(style, argument="style"),
        load_pairs(encoder, layers, device=device), size=size, strength=strength, how=how, style_scale=style_scale,
        mix=mix, mask=mask, style_mask=style_mask,
    )  # fmt: skip


@checked
def adain(
    content: Photo,
    style: Style,
    *,
    size: LongerSide = 512,
    strength: Annotated[float, Number(0, 1, step=0.05, help="α, how much of the style")] = 1.0,
    layer: Annotated[str, Choice(LEVELS, help="where mean and spread are exchanged")] = "relu4_1",
    style_scale: Scale = 1.0,
    mix: Mix = None,
    mask: Mask = None,
    style_mask: StyleMask = None,
    encoder: Coder = "mini",
    device: str | torch.device | None = None,
) -> Tensor:
    """Give each channel of `content` the mean and the spread of `style`'s; a picture (1, 3, H, W) in [0, 1].

    f ← σ_s/σ_c·(f − μ_c) + μ_s, channel by channel: whitening and colouring without correlations. The paper trains a
    decoder for this transform; here it is the one that reconstructs. Everything else as in `wct`.
    Source: Huang & Belongie, Arbitrary Style Transfer in Real-Time with Adaptive Instance Normalization, ICCV 2017.
    """
    return one_shot(
        picture(content, argument="content"), pictures(style, argument="style"),
        load_pairs(encoder, layer, device=device), size=size, strength=strength, how="diagonal",
        style_scale=style_scale, mix=mix, mask=mask, style_mask=style_mask,
    )  # fmt: skip


@torch.no_grad()
def one_shot(
    content: Tensor,
    styles: Tensor | Sequence[Tensor],
    pairs: Iterable[Pair],
    *,
    size: int = 512,
    strength: float = 1.0,
    how: str = "zca",
    style_scale: float = 1.0,
    mix: Sequence[float] | None = None,
    mask: Source | None = None,
    style_mask: Source | None = None,
) -> Tensor:
    """Transfer at the layer of every pair, in the order given, each working on what the last has made: (1, 3, H, W).

    The style is resized to the content's area times `style_scale` squared. Raises ValueError (or a subclass) for
    pictures too small for a pair's layer, and for styles, mix and masks that do not go together.
    """
    pairs = list(pairs)
    styles = [styles] if isinstance(styles, Tensor) else styles
    found = regions(mask, style_mask, styles, mix)
    height, width = fit_size(*size_of(content), longer=size)
    styles = [at_area(one, height * width * style_scale**2) for one in styles]
    device = pairs[0].encoder.device
    image = padded(resize(content, (height, width))).to(device, torch.float32)
    styles = [one.to(device, torch.float32) for one in styles]
    _check_side("content", image, pairs, (height, width))
    for one in styles:
        _check_side("style", one, pairs)
    if found is not None:
        # Masks are averaged to the layers' size; padding them as the picture is keeps both in step.
        found = padded(resize_mask(found[0], (height, width))).to(device), found[1]
    seen: dict = {}
    for pair in pairs:
        image = move(pair, image, styles, how=how, strength=strength, mix=mix, masks=found, seen=seen, pairs=pairs)
    return image[..., :height, :width].clamp(0, 1).float().cpu()


def move(
    pair: Pair,
    image: Tensor,
    styles: Sequence[Tensor],
    *,
    how: str = "zca",
    strength: float = 1.0,
    mix: Sequence[float] | None = None,
    masks: tuple[Tensor, Tensor | None] | None = None,
    seen: dict | None = None,
    pairs: Sequence[Pair] = (),
) -> Tensor:
    """One level: encode, transfer, decode; a picture (1, 3, H, W), not clamped.

    `masks` are those of the image and of the one style (or None: a style for each region). `seen` keeps the styles'
    features between calls for `pairs` that share an encoder, so that each style is looked at once.
    """
    features, switches = pair.encode(image)
    theirs = [_style_features(pair, one, seen, pairs) for one in styles]
    wholes = [gaussian(one) for one in theirs]
    if masks is None:
        features = transfer(features, wholes, how=how, mix=mix, strength=strength)
    else:
        mine, style_masks = masks
        targets: Sequence[Gaussian | None] = wholes
        if style_masks is not None:
            targets = region_gaussians(theirs[0], resize_mask(style_masks, size_of(theirs[0])))
            wholes = wholes * len(targets)
        mine = resize_mask(mine, size_of(features))
        features = transfer_regions(features, targets, wholes, mine, how=how, strength=strength)
    return pair.decode(features, switches)


def _style_features(pair: Pair, style: Tensor, seen: dict | None, pairs: Sequence[Pair]) -> Tensor:
    if seen is None:
        return pair.encoder(style, pair.layer)[pair.layer]
    key = id(pair.encoder), id(style)
    if key not in seen:
        layers = [other.layer for other in pairs if other.encoder is pair.encoder]
        seen[key] = pair.encoder(style, [*layers, pair.layer])
    return seen[key][pair.layer]


def padded(image: Tensor, stride: int = STRIDE) -> Tensor:
    """The picture (B, C, H, W), mirrored at its right and lower border up to the next multiple of `stride`."""
    height, width = image.shape[-2:]
    more = (-width % stride, -height % stride)
    if more == (0, 0):
        return image
    mode = "reflect" if more[0] < width and more[1] < height else "replicate"
    return F.pad(image, (0, more[0], 0, more[1]), mode=mode)


def at_area(image: Tensor, area: float) -> Tensor:
    """The picture resized to about so many pixels, its aspect kept."""
    height, width = image.shape[-2:]
    factor = (area / (height * width)) ** 0.5
    return resize(image, (max(1, round(height * factor)), max(1, round(width * factor))))


def _check_side(name: str, image: Tensor, pairs: Sequence[Pair], own: Size | None = None) -> None:
    """EncoderError for a picture too small for a layer; `own` is its size before it was padded."""
    least, layer = max((pair.encoder.smallest(pair.layer), pair.layer) for pair in pairs)
    if min(image.shape[-2:]) < least:
        height, width = own or size_of(image)
        needed = least if own is None else max(1, least - STRIDE + 1)
        raise EncoderError(f"{name}: {width}×{height} pixels are too few for {layer}; each side needs {needed}")
