"""Statistics of a cloud of features (lectures 03 and 04).

*Features are a weighted cloud of points; a style is a function of the cloud; content keeps the positions.* Every
function here takes features (B, C, H, W) and, where it says so, weights (B, 1, H, W): a mask at that layer's size,
that is, a weighted sample.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

TINY = 1e-8  # the least weight that a region is divided by


def identity(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """The features themselves, positions kept; masked positions are set to zero on both sides of a comparison."""
    return features if weights is None else features * weights


def gram(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """The Gram matrix per position, G = (1/M) Σ_k f_k f_kᵀ, or Σ_k w_k f_k f_kᵀ / Σ_k w_k: (B, C, H, W) → (B, C, C).

    Gatys et al. leave out 1/M here and put it into the loss; divided by M, pictures of different sizes compare
    (lecture 04). A region without any weight has the zero matrix. Source: Gatys, Ecker & Bethge 2016, Eq. 3.
    """
    cloud = features.flatten(2)
    if weights is None:
        return cloud @ cloud.mT / cloud.shape[-1]
    weights = weights.flatten(2)
    return _WeightedProduct.apply(cloud, weights) / weights.sum(-1, keepdim=True).clamp(min=TINY)


class _WeightedProduct(torch.autograd.Function):
    """Σ_k w_k f_k f_kᵀ, keeping no weighted copy of the features for the way back: K regions share one copy."""

    @staticmethod
    def forward(ctx, cloud: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(cloud, weights)
        return (cloud * weights) @ cloud.mT

    @staticmethod
    def backward(ctx, slope: Tensor) -> tuple[Tensor | None, Tensor | None]:
        cloud, weights = ctx.saved_tensors
        pulled = (slope + slope.mT) @ cloud
        asked = ctx.needs_input_grad[1]
        return pulled * weights, (pulled * cloud / 2).sum(1, True).sum_to_size(weights.shape) if asked else None


def mean(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """Each channel's mean, (1/M) Σ_k f_k or Σ_k w_k f_k / Σ_k w_k: (B, C, H, W) → (B, C)."""
    cloud = features.flatten(2)
    if weights is None:
        return cloud.mean(-1)
    weights = weights.flatten(2)
    return (cloud * weights).sum(-1) / weights.sum(-1).clamp(min=TINY)


def moments(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """Each channel's mean and standard deviation (divided by M): (B, C, H, W) → (B, 2, C)."""
    centre = mean(features, weights)
    spread = mean((features - centre[..., None, None]).square(), weights)
    # A constant channel has no spread: its root is 0, with slope 0 instead of infinity.
    return torch.stack([centre, spread.clamp(min=1e-12).sqrt()], 1)


def centred_gram(features: Tensor, weights: Tensor | None = None, centre: str = "layer") -> Tensor:
    """The Gram matrix of (f − m): (B, C, H, W) → (B, C, C); m the mean of the whole layer, or of each channel.

    With `centre="channel"` it is the covariance Σ = G − μμᵀ. Raises ValueError for another word. Source: Li et al.
    2017 (Diversified texture synthesis with feed-forward networks): there m is the mean of the whole layer.
    """
    if centre not in ("layer", "channel"):
        raise ValueError(f'centre: "{centre}" is neither "layer" nor "channel"')
    middle = mean(features, weights)
    if centre == "layer":
        middle = middle.mean(1, keepdim=True)
    return gram(features - middle[..., None, None], weights)


def shifted_gram(features: Tensor, weights: Tensor | None = None, shift: int = 4) -> Tensor:
    """Gram matrices between the features and themselves moved by `shift`, across and down: → (B, 2, C, C).

    G_x = (1/M') Σ f_{i,j} f_{i,j+δ}ᵀ and G_y likewise, over the M' positions that have a partner; with weights, a
    pair weighs the product of both. Raises ValueError where no position has one. Source: Berger & Memisevic 2017,
    Eq. 5 and 6.
    """
    if not 0 < shift < min(features.shape[-2:]):
        height, width = features.shape[-2:]
        raise ValueError(f"shift: {shift} does not fit features of {width}×{height}; it must be from 1 to below both")
    pairs = [(slice(None), slice(shift, None)), (slice(shift, None), slice(None))]
    starts = [(slice(None), slice(None, -shift)), (slice(None, -shift), slice(None))]
    found = []
    for first, second in zip(starts, pairs, strict=True):
        left, right = features[(..., *first)].flatten(2), features[(..., *second)].flatten(2)
        if weights is None:
            found.append(left @ right.mT / left.shape[-1])
        else:
            both = (weights[(..., *first)] * weights[(..., *second)]).flatten(2)
            found.append((left * both) @ right.mT / both.sum(-1, keepdim=True).clamp(min=TINY))
    return torch.stack(found, 1)


def multiscale_gram(features: Tensor, weights: Tensor | None = None, scales: int = 3) -> Tensor:
    """Gram matrices of the features and of their halves, quarters, ...: (B, C, H, W) → (B, scales, C, C).

    Each scale is a 2×2 mean of the one before; what has become one pixel wide stays so. Source: Zhang & Dana 2018.
    """
    found = []
    for scale in range(scales):
        if scale:
            features = _halve(features) if weights is None else _halve(features * weights)
            if weights is not None:
                weights = _halve(weights)
                features = features / weights.clamp(min=TINY)
        found.append(gram(features, weights))
    return torch.stack(found, 1)


def _halve(value: Tensor) -> Tensor:
    kernel = [2 if side > 1 else 1 for side in value.shape[-2:]]
    return F.avg_pool2d(value, kernel)


def point_cloud(features: Tensor, weights: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
    """The cloud itself, without positions: for each picture of the batch (points (C, N), weights (N,) that sum to 1).

    Points without weight are left out; a region without any gives no points.
    """
    found = []
    for index, cloud in enumerate(features.flatten(2)):
        if weights is None:
            count = cloud.shape[-1]
            found.append((cloud, cloud.new_full((count,), 1 / count)))
            continue
        weight = weights[index if weights.shape[0] > 1 else 0].flatten()
        inside = weight > 0
        weight = weight[inside]
        found.append((cloud[:, inside], weight / weight.sum().clamp(min=TINY)))
    return found


Ranked = tuple[Tensor, Tensor]  # each row's values in order (C, N), and the rank in [0, 1] at which each stands


def ranked(values: Tensor, weights: Tensor) -> Ranked:
    """Each row of (C, N) sorted, with ranks: a value stands at the middle of its weight, w₁ + … + w_{k−1} + w_k/2.

    For N equal weights (which sum to 1) that is (k − ½)/N.
    """
    ordered, order = values.sort(dim=-1)
    heaped = weights[order]
    return ordered, heaped.cumsum(-1) - heaped / 2


def at_ranks(distribution: Ranked, at: Tensor) -> Tensor:
    """The values (C, K) at ranks (C, K) or (K,): straight lines between the values, constants beyond the outer ones."""
    ordered, places = distribution
    at = at.expand(ordered.shape[0], -1).contiguous()
    if ordered.shape[-1] == 1:
        return ordered.expand(-1, at.shape[-1])
    above = torch.searchsorted(places.contiguous(), at).clamp(1, ordered.shape[-1] - 1)
    low, high = places.gather(-1, above - 1), places.gather(-1, above)
    share = ((at - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    return torch.lerp(ordered.gather(-1, above - 1), ordered.gather(-1, above), share)


@torch.no_grad()
def match_histograms(values: Tensor, weights: Tensor, reference: Ranked) -> Tensor:
    """The values (C, N) moved, row by row and in their order, onto the reference's distribution; any two sizes.

    A value becomes the reference's quantile at its own rank; equal values (most of what a ReLU lets through is 0)
    become one value, the mean of the quantiles that they take up together.
    """
    ordered, order = values.sort(dim=-1)
    heaped = weights[order]
    matched = at_ranks(reference, heaped.cumsum(-1) - heaped / 2)
    new = torch.cat([torch.ones_like(ordered[:, :1], dtype=torch.bool), ordered[:, 1:] != ordered[:, :-1]], 1)
    group = new.cumsum(-1) - 1
    total = torch.zeros_like(matched).scatter_add_(-1, group, matched * heaped)
    weight = torch.zeros_like(matched).scatter_add_(-1, group, heaped)
    matched = (total / weight.clamp(min=1e-12)).gather(-1, group)
    return torch.empty_like(matched).scatter_(-1, order, matched)
