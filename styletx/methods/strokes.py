"""Two rows of the survey's table that are sums over sizes: the stroke loss and the hierarchical loss (lecture 05).

Both compare Gram matrices (or what `loss` says) of one style several times. The stroke loss shows the network the
*style* in several sizes, the hierarchical loss the *result*.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..encoders import Encoder, load_encoder
from ..images import resize
from ..losses import Loss, gram_loss
from ..objective import Match

STROKES = (0.5, 1.0, 2.0)
RESOLUTIONS = (1.0, 0.5, 0.25)
Layers = str | Iterable[str] | Mapping[str, float]


@dataclass(frozen=True)
class Shrink:
    """A view of a picture at `factor` times its size (area averaging)."""

    factor: float

    def __call__(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        return resize(image, (max(1, round(height * self.factor)), max(1, round(width * self.factor))))


def stroke_weights(size: float, sizes: Sequence[float] = STROKES) -> dict[float, float]:
    """How much of each known stroke size makes up `size`: its two neighbours, linear in the logarithm, adding to 1.

    At a known size that one alone; beyond the ends the nearest. Raises ValueError unless sizes are positive and grow.
    """
    sizes = [float(known) for known in sizes]
    if not sizes or not all(math.isfinite(s) and s > 0 for s in [size, *sizes]) or sorted(set(sizes)) != sizes:
        raise ValueError(f"size, sizes: {size} and {sizes}; sizes of strokes are positive, and in growing order")
    place = min(max(size, sizes[0]), sizes[-1])
    above = next(k for k, known in enumerate(sizes) if place <= known)
    if place == sizes[above]:
        return {sizes[above]: 1.0}
    low, high = sizes[above - 1], sizes[above]
    share = math.log(place / low) / math.log(high / low)
    return {low: 1 - share, high: share}


def stroke_loss(
    style: Tensor,
    layers: Layers,
    size: float = 1.0,
    *,
    sizes: Sequence[float] = STROKES,
    weight: float = 1.0,
    loss: Loss = gram_loss,
) -> list[Match]:
    """Strokes of any size from a style known in a few: Σ_t w_t Σ_l ‖G_l(x) − G_l(R(s, t))‖², as terms of an Objective.

    style: (1, 3, H, W); R(s, t): the style at t times the picture's size. The weights w_t move `size` continuously
    between the neighbouring ones. Source: Jing et al. 2018 (there each t trains a branch of a network).
    """
    return [
        Match(loss, style, layers, weight=weight * share, scale=known, name=f"strokes {known:g}×")
        for known, share in stroke_weights(size, sizes).items()
    ]


def hierarchical_loss(
    style: Tensor,
    layers: Layers,
    *,
    resolutions: Mapping[float, float] | Iterable[float] = RESOLUTIONS,
    encoder: str | Encoder | None = None,
    weight: float = 1.0,
    loss: Loss = gram_loss,
) -> list[Match]:
    """The style at several resolutions of the result: Σ_k λ_k Σ_l ‖G_l(x↓k) − G_l(s↓k)‖², as terms of an Objective.

    x↓k: the picture at k times its size, and the style with it: one layer sees fine brushwork at k = 1, and at k = 1/4
    what is four times as large. resolutions: the k, or {k: λ_k} (default: λ = 1/number). Raises ValueError for a k
    that is not in (0, 1]. Source: Wang et al. 2017 (there each x↓k is the output of one of three subnetworks).
    """
    if not isinstance(resolutions, Mapping):
        resolutions = list(resolutions)
        if len(set(resolutions)) < max(len(resolutions), 1):
            raise ValueError(f"resolutions: {resolutions}; each once, and at least one")
        resolutions = {k: 1 / len(resolutions) for k in resolutions}
    for k in resolutions:
        if not (math.isfinite(k) and 0 < k <= 1):
            raise ValueError(f"resolutions: {k}; each is a part of the picture's size, in (0, 1]")
    encoder = load_encoder(encoder) if isinstance(encoder, str) else encoder  # once, not for each resolution
    views = {k: Shrink(k) for k in resolutions}
    return [
        Match(loss, style, layers, weight=weight * share, encoder=encoder, view=(views[k], views[k]), name=f"at {k:g}×")
        for k, share in resolutions.items()
    ]
