"""The same photograph at another time: dusk, night, fog, an overcast sky, autumn, winter (lecture 12).

No physics beyond light that adds up (all of it is done on linear values, not on sRGB's) and a guess at where the sky
is. Good enough for photographs to take a style from; a course that may not show other people's photographs needs some.
"""

import numpy as np
import scipy
import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import luminance

SKY_COLOURS = 4  # sampled along the top of the picture
SKY_REACH = 0.25  # distance in RGB at which a colour is no longer the sky's


def to_linear(image: Tensor) -> Tensor:
    """sRGB to light: ((x + 0.055) / 1.055)^2.4, and x / 12.92 below 0.04045 (IEC 61966-2-1)."""
    return torch.where(image <= 0.04045, image / 12.92, ((image.clamp(min=0) + 0.055) / 1.055).pow(2.4))


def to_srgb(light: Tensor) -> Tensor:
    """The way back from `to_linear`, clamped to [0, 1]."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp(min=1e-8).pow(1 / 2.4) - 0.055)


def sky(image: Tensor) -> Tensor:
    """How much of a pixel is sky, (1, 1, H, W) in [0, 1]: bright, smooth, in a colour met along the top, joined to it.

    A guess from colours alone, with edges where the picture has them; a picture whose top is dark has none.
    """
    longer = max(image.shape[-2:])
    small = _blur(image, longer / 200)
    top = F.adaptive_avg_pool2d(small[..., : max(1, image.shape[-2] // 16), :], (1, SKY_COLOURS))
    bright = ((luminance(top) - 0.3) / 0.2).clamp(0, 1).view(1, -1, 1, 1)  # no sky by day is darker
    gaps = (small[:, :, None] - top.permute(0, 1, 3, 2)[..., None]).norm(dim=1)  # (1, colours, H, W)
    near = ((1 - gaps / SKY_REACH).clamp(0, 1) * bright).amax(1, keepdim=True)
    smooth = (1 - _blur((image - small).abs().mean(1, keepdim=True), longer / 100) / 0.05).clamp(0, 1)
    likely = (near * smooth)[0, 0].cpu().numpy() > 0.15
    parts, _ = scipy.ndimage.label(likely)
    joined = scipy.ndimage.binary_fill_holes(np.isin(parts, np.setdiff1d(parts[: max(1, len(parts) // 16)], 0)))
    return _guided(torch.from_numpy(joined)[None, None].to(image), luminance(image), longer / 50)


def _guided(mask: Tensor, guide: Tensor, radius: float, eps: float = 1e-3) -> Tensor:
    """The mask as a locally affine function of the guide, a·guide + b in every window (He et al. 2013, Eq. 5 to 8)."""
    centre, level = _blur(guide, radius), _blur(mask, radius)
    slope = (_blur(guide * mask, radius) - centre * level) / (_blur(guide * guide, radius) - centre**2 + eps)
    return (_blur(slope, radius) * guide + _blur(level - slope * centre, radius)).clamp(0, 1)


def dusk(image: Tensor) -> Tensor:
    """The sun just gone: an orange horizon under a violet sky, the ground dim and warm; (1, 3, H, W)."""
    light, above = to_linear(image), sky(image)
    down = _down(image)
    high, low = _colour(image, (0.16, 0.13, 0.30)), _colour(image, (0.95, 0.42, 0.16))
    glow = torch.lerp(high, low, (down / _horizon(above)).clamp(0, 1).pow(1.5))
    clouds = luminance(light) / _mean(luminance(light), above)
    ground = light * _colour(image, (0.42, 0.27, 0.24)) + 0.012 * _colour(image, (0.9, 0.5, 0.8))
    return to_srgb(torch.lerp(ground, glow * (0.45 + 0.55 * clouds), above))


def night(image: Tensor) -> Tensor:
    """Moonlight: dark, blue, and almost without colours of its own; (1, 3, H, W)."""
    light, above = to_linear(image), sky(image)
    grey = torch.lerp(light, luminance(light).expand_as(light), 0.7)
    heaven = _colour(image, (0.015, 0.028, 0.075)) * (0.4 + 0.6 * luminance(light) / _mean(luminance(light), above))
    return to_srgb(torch.lerp(grey * _colour(image, (0.09, 0.12, 0.22)), heaven, above))


def fog(image: Tensor, density: float = 1.5) -> Tensor:
    """Light scattered on the way, x·t + a·(1 − t) with t = exp(−density·distance); (1, 3, H, W).

    The distance is guessed: it grows from the lower edge to the horizon, and the sky is far. Source: Koschmieder's law,
    as in Narasimhan & Nayar 2002. Raises ValueError for a density below 0.
    """
    if not density >= 0:
        raise ValueError(f"density: {density}; it must be a number, at least 0")
    light, above = to_linear(image), sky(image)
    distance = (1 - _down(image)) / (1 - _horizon(above))
    through = torch.exp(-density * torch.maximum(distance.clamp(0, 1).pow(2), above))
    return to_srgb(light * through + _colour(image, (0.60, 0.63, 0.66)) * (1 - through))


def overcast(image: Tensor) -> Tensor:
    """No sun: soft shadows, little colour, a pale grey sky; (1, 3, H, W)."""
    light, above = to_linear(image), sky(image)
    grey = torch.lerp(light, luminance(light).expand_as(light), 0.45)
    soft = grey / (0.35 + luminance(grey)) * 0.38  # a curve: shadows are lit by the whole sky
    clouds = luminance(light) / _mean(luminance(light), above)
    heaven = _colour(image, (0.50, 0.53, 0.57)) * (0.75 + 0.25 * clouds)
    return to_srgb(torch.lerp(soft * _colour(image, (0.93, 1.0, 1.06)), heaven, above))


def autumn(image: Tensor) -> Tensor:
    """Leaves turn: what is green becomes orange, all else stays; (1, 3, H, W)."""
    light = to_linear(image)
    red, green, blue = light.split(1, 1)
    leaf = _green(light)
    turned = torch.cat([1.7 * green + 0.2 * red, 0.62 * green + 0.1 * red, 0.35 * blue], 1)
    return to_srgb(torch.lerp(light, turned, leaf))


def winter(image: Tensor) -> Tensor:
    """Snow on what is green or lies in the light, a pale sky, cold shadows; (1, 3, H, W)."""
    light, above = to_linear(image), sky(image)
    grey = luminance(light)
    snow = torch.maximum(_green(light), ((grey - 0.22) / 0.2).clamp(0, 1) * _down(image)) * (1 - above)
    white = (0.30 + 1.1 * grey.sqrt()).clamp(max=0.95) * _colour(image, (0.93, 0.97, 1.05))
    cold = torch.lerp(light, grey.expand_as(light), 0.55) * _colour(image, (0.92, 1.0, 1.12))
    cold = torch.lerp(cold, (0.62 + 0.15 * grey) * _colour(image, (0.93, 0.97, 1.0)), above)
    return to_srgb(torch.lerp(cold, white, 0.8 * snow))


def _green(light: Tensor) -> Tensor:
    """How green a colour is, (1, 1, H, W) in [0, 1]: the excess of green over the mean of red and blue."""
    red, green, blue = light.split(1, 1)
    excess = (green - (red + blue) / 2) / (green + red + blue + 0.02)
    return (6 * excess).clamp(0, 1) * (1.6 * green > red).to(light)


def _down(image: Tensor) -> Tensor:
    """0 at the upper edge to 1 at the lower one, (1, 1, H, 1)."""
    rows = torch.linspace(0, 1, image.shape[-2], dtype=image.dtype, device=image.device)
    return rows.view(1, 1, -1, 1)


def _horizon(above: Tensor) -> Tensor:
    """Where the sky ends, as a share of the height: twice its centre of gravity; 0.2 at least, without sky too."""
    rows = above.mean(3)[0, 0]
    centre = (rows * _down(above)[0, 0, :, 0]).sum() / rows.sum().clamp(min=1e-6)
    return (2 * centre).clamp(0.2, 0.8)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1e-6) + 0.05


def _colour(image: Tensor, values: tuple[float, float, float]) -> Tensor:
    return image.new_tensor(values).view(1, 3, 1, 1)


def _blur(image: Tensor, radius: float) -> Tensor:
    """The mean over squares of 2·radius + 1 pixels, twice; edges repeated."""
    side = max(1, round(radius))
    side = min(side, min(image.shape[-2:]) - 1)
    for _ in range(2 if side > 0 else 0):
        image = F.avg_pool2d(F.pad(image, [side] * 4, mode="replicate"), 2 * side + 1, 1)
    return image
