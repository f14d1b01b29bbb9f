"""Losses that compare distributions channel by channel, or direction by direction (lectures 04 and 05)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import check_whole
from ..statistics import Ranked, at_ranks, match_histograms, moments, point_cloud, ranked
from .base import Loss

Points = tuple[Tensor, Tensor]


def _moment_distance(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).square().sum(1).mean()


# (1/N) Σ_i (μ_i − μ'_i)² + (σ_i − σ'_i)². Source: Li et al. 2017 (Demystifying Neural Style Transfer), Eq. 11.
bn_loss = Loss(moments, _moment_distance, name="bn")


def _moved(found: list[Points], wanted: list[Ranked]) -> Tensor:
    """Mean squared way of the values to where histogram matching would put them; that place is held fixed."""
    parts = []
    for (values, weights), reference in zip(found, wanted, strict=True):
        if not values.shape[1] or not reference[0].shape[1]:
            parts.append(values.sum() * 0)  # a region without any position has no histogram
            continue
        target = match_histograms(values.detach(), weights, reference)
        parts.append(((values - target).square().mean(0) * weights).sum())
    return torch.stack(parts).mean()


@dataclass(frozen=True)
class Histogram(Loss):
    """Each channel's whole histogram; `histogram_loss` is one."""

    def prepare(self, reference: Tensor, weights: Tensor | None = None) -> list[Ranked]:
        """The reference's values in order, with their ranks, for each picture of the batch."""
        return [ranked(*points) for points in self.statistic(reference.detach(), weights)]


# (1/NM) Σ (O − R(O))², R the matching of each channel's histogram, held fixed in the gradient; any two sizes.
# Equal values are matched to one value (see `match_histograms`). Source: Risser, Wilmot & Barnes 2017, Eq. 9.
histogram_loss = Histogram(point_cloud, _moved, name="histogram")


@dataclass(frozen=True)
class _Projected:
    """The reference's samples, the directions of this draw, and the reference's quantiles along them."""

    samples: list[Points]
    directions: Tensor
    shadows: list[Ranked]
    draws: int


@dataclass(frozen=True)
class SlicedWasserstein(Loss):
    """Mean over random directions of W₂² between the clouds' shadows; `sliced_wasserstein(...)` makes one."""

    directions: int = 0
    seed: int = 0

    def prepare(self, reference: Tensor, weights: Tensor | None = None) -> _Projected:
        """The reference's quantiles along the first draw of directions."""
        return self._draw(self.statistic(reference.detach(), weights), 0)

    @torch.no_grad()
    def _draw(self, samples: list[Points], draws: int) -> _Projected:
        channels = samples[0][0].shape[0]
        generator = torch.Generator().manual_seed(self.seed * 100_003 + draws)
        axes = torch.randn(self.directions or channels, channels, generator=generator)
        axes = (axes / axes.norm(dim=1, keepdim=True)).to(samples[0][0])
        return _Projected(samples, axes, [ranked(axes @ points, weights) for points, weights in samples], draws)

    def update(self, features: Tensor, target: _Projected, weights: Tensor | None = None) -> _Projected:
        """New directions."""
        return self._draw(target.samples, target.draws + 1)


def _sliced(found: list[Points], target: _Projected) -> Tensor:
    """Mean over the directions of W₂², and over the batch."""
    parts = []
    for (points, weights), wanted in zip(found, target.shadows, strict=True):
        if not points.shape[1] or not wanted[0].shape[1]:
            parts.append(points.sum() * 0)
            continue
        shadows, order = (target.directions @ points).sort(dim=-1)
        heaped = weights[order]
        gap = shadows - at_ranks(wanted, heaped.cumsum(-1) - heaped / 2)
        parts.append((gap.square() * heaped).sum(-1).mean())
    return torch.stack(parts).mean()


def sliced_wasserstein(directions: int = 0, update_every: int = 10, seed: int = 0) -> SlicedWasserstein:
    """Sliced Wasserstein distance: clouds are alike when all their shadows on lines are, (1/D) Σ_d W₂²(dᵀX, dᵀY).

    `directions` unit vectors (0: as many as channels), drawn anew each `update_every` steps of the optimiser. Sorted
    values are compared by quantiles, so any two sizes work. Source: Heitz et al. 2021, Eq. 5.
    """
    check_whole("directions", directions, 0)
    check_whole("update_every", update_every, 0)
    return SlicedWasserstein(
        point_cloud,
        _sliced,
        name="sliced wasserstein",
        update_every=int(update_every),
        directions=int(directions),
        seed=seed,
    )
