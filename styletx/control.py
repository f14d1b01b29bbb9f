"""Taking control: which colours, and where (lecture 06).

Colours are kept in one of two ways, both of Gatys et al. 2017 (Controlling perceptual factors): the painting is given
the photo's colours before its style is taken (`match_colours`), or only the brightness of the result is used
(`keep_chroma`).
"""

import torch
from torch import Tensor

from .images import rgb_to_yiq, yiq_to_rgb


def match_colours(style: Tensor, content: Tensor, floor: float = 1e-5) -> Tensor:
    """The style picture with the mean and covariance of the content's colours: (1, 3, H, W), clipped to [0, 1].

    p ← Σ_c^½ Σ_s^-½ (p − μ_s) + μ_c, in float64 on the CPU. Directions in which the style has no more than `floor` of
    its largest variance only move. Source: Gatys et al. 2017, Eq. 10 to 13 (the "image analogies" map).
    """
    (mine, mean), (wanted, centre) = _moments(style), _moments(content)
    values, vectors = torch.linalg.eigh(mine)
    kept = values > floor * values.max().clamp(min=1e-12)
    inverse = torch.where(kept, values.clamp(min=1e-30).rsqrt(), torch.zeros_like(values))
    unwhite = vectors @ torch.diag(inverse) @ vectors.T
    values, vectors = torch.linalg.eigh(wanted)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    colours = style[0].flatten(1).cpu().double() - mean
    found = root @ unwhite @ colours + centre
    return found.view_as(style[0])[None].clamp(0, 1).to(style)


def _moments(image: Tensor) -> tuple[Tensor, Tensor]:
    """(covariance, mean) of a picture's colours, in float64."""
    colours = image[0].flatten(1).cpu().double()
    mean = colours.mean(1, keepdim=True)
    centred = colours - mean
    return centred @ centred.T / colours.shape[1], mean


def keep_chroma(result: Tensor, content: Tensor) -> Tensor:
    """The result's brightness with the content's colours: Y of one, I and Q of the other; (1, 3, H, W) in [0, 1].

    Not every brightness goes with every colour: Y is clamped to what I and Q leave room for, because clipping RGB would
    change the colour. Raises ValueError where the sizes differ. Source: Gatys et al. 2017, section 4.2.
    """
    if result.shape != content.shape:
        raise ValueError(f"result, content: {tuple(result.shape)} and {tuple(content.shape)}; they must have one size")
    luma = rgb_to_yiq(result.cpu().double())[:, :1]
    chroma = rgb_to_yiq(content.cpu().double())
    chroma[:, :1] = 0
    offset = yiq_to_rgb(chroma)  # RGB = Y + offset
    low, high = -offset.amin(1, keepdim=True), 1 - offset.amax(1, keepdim=True)
    return (offset + luma.clamp(low, high)).clamp(0, 1).to(result)
