"""Taking control: which colours, and where (lecture 06).

Colours are kept in one of two ways, both of Gatys et al. 2017 (Controlling perceptual factors): the painting is given
the photo's colours before its style is taken (`match_colours`), or only the brightness of the result is used
(`keep_chroma`).
"""

import functools
from collections.abc import Sequence

from torch import Tensor

from ..images import Size, luminance, resize, rgb_to_yiq, size_of, yiq_to_rgb
from ..objective import View
from ..samples import Source
from ..segments import read_masks
from ..whitening import gaussian, transfer


def match_colours(style: Tensor, content: Tensor) -> Tensor:
    """The style picture with the mean and covariance of the content's colours: (1, 3, H, W), clipped to [0, 1].

    p ← Σ_c^½ Σ_s^-½ (p − μ_s) + μ_c, in float64 on the CPU: whitening and colouring (lecture 10), of pixels. Source:
    Gatys et al. 2017, Eq. 10 to 13 (the "image analogies" map).
    """
    return transfer(style.cpu().double(), gaussian(content.cpu())).clamp(0, 1).to(style)


def keep_chroma(result: Tensor, content: Tensor) -> Tensor:
    """The result's brightness with the content's colours: Y of one, I and Q of the other; (1, 3, H, W) in [0, 1].

    Not every brightness goes with every colour: Y is clamped to what I and Q leave room for, because clipping RGB would
    change the colour. Raises ValueError where the sizes differ. Source: Gatys et al. 2017, section 5.1.
    """
    if result.shape != content.shape:
        raise ValueError(f"result, content: {tuple(result.shape)} and {tuple(content.shape)}; they must have one size")
    luma = rgb_to_yiq(result.cpu().double())[:, :1]
    chroma = rgb_to_yiq(content.cpu().double())
    chroma[:, :1] = 0
    offset = yiq_to_rgb(chroma)  # RGB = Y + offset
    low, high = -offset.amin(1, keepdim=True), 1 - offset.amax(1, keepdim=True)
    return (offset + luma.clamp(low, high)).clamp(0, 1).to(result)


def grey(image: Tensor) -> Tensor:
    """The brightness of a picture, in all three channels."""
    return luminance(image).expand(-1, 3, -1, -1)


def matched_grey(style: Tensor, content: Tensor) -> Tensor:
    """The style's brightness, moved to the content's mean and spread and clamped. Source: Gatys et al. 2017, Eq. 9."""
    mine, theirs = luminance(style), luminance(content.to(style))
    scale = theirs.std(correction=0) / mine.std(correction=0).clamp(min=1e-6)
    return ((mine - mine.mean()) * scale + theirs.mean()).clamp(0, 1).expand(-1, 3, -1, -1)


def colour_control(
    keep: str | None, content: Tensor, styles: list[Tensor]
) -> tuple[list[Tensor], tuple[View, View] | None, View | None]:
    """What keeping the content's colours means for a run: the styles to use, the view of a Match, the run's output."""
    if keep == "matched":
        return [match_colours(style, content) for style in styles], None, None
    if keep is None:
        return styles, None, None

    @functools.lru_cache(maxsize=1)  # every step that is shown has one size, for a while
    def resized(size: Size) -> Tensor:
        return resize(content.cpu(), size)

    def output(image: Tensor) -> Tensor:
        return keep_chroma(image, resized(size_of(image)))

    return [matched_grey(style, content) for style in styles], (grey, grey), output


def regions(
    mask: Source | None,
    style_mask: Source | None,
    styles: Sequence[Tensor],
    mix: Sequence[float] | None,
) -> tuple[Tensor, Tensor | None] | None:
    """The masks (content's, style's) for a Match, from files or tensors; None where nothing is asked for.

    A mask of the content alone needs a style for each region, from dark to light; one of the style as well needs one
    style. Files are colour-coded (see `segments.read_masks`), tensors are masks (1, K, H, W). Raises ValueError where
    they do not go together.
    """
    if not styles:
        raise ValueError("style: none given")
    if mask is None:
        if style_mask is not None:
            raise ValueError("style_mask: without a mask of the content there is nothing for it to match")
        return None
    if mix is not None:
        raise ValueError("mix, mask: styles are either mixed everywhere or each has its region")
    if style_mask is not None and len(styles) > 1:
        raise ValueError(f"style_mask: {len(styles)} styles; with one style it says where in it each region is found")
    if style_mask is None:
        (found,) = _as_masks([mask], "mask")
        if found.shape[1] != len(styles):
            raise ValueError(f"mask: {found.shape[1]} regions for {len(styles)} styles; one each, from dark to light")
        return found, None
    return paired_masks(mask, style_mask)


def paired_masks(mask: Source, style_mask: Source) -> tuple[Tensor, Tensor]:
    """The masks of a content and of its style, from files or tensors; ValueError for different numbers of regions."""
    first, second = _as_masks([mask, style_mask], "mask, style_mask")
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"mask, style_mask: {first.shape[1]} and {second.shape[1]} regions; they must be the same ones"
        )
    return first, second


def _as_masks(sources: Sequence[Source], argument: str) -> list[Tensor]:
    tensors = [source for source in sources if isinstance(source, Tensor)]
    if 0 < len(tensors) < len(sources):
        raise ValueError(f"{argument}: one is a file and one a tensor; files have colours, tensors an order of regions")
    if not tensors:
        return read_masks(*sources, argument=argument)
    for masks in tensors:
        if masks.ndim != 4 or masks.shape[0] != 1 or not masks.numel():
            raise ValueError(f"{argument}: masks are (1, K, H, W); got {tuple(masks.shape)}")
        low, high = float(masks.min()), float(masks.max())
        if not (low >= 0 and high <= 1):  # False for NaN
            raise ValueError(f"{argument}: masks are in [0, 1]; got {low:g} … {high:g}")
        empty = (masks.sum((2, 3))[0] == 0).nonzero().flatten().tolist()
        if empty:
            raise ValueError(f"{argument}: region {empty[0] + 1} of {masks.shape[1]} has no pixel")
    return [masks.float() for masks in tensors]
