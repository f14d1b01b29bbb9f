"""Whitening, colouring and their relatives: moving one cloud of features onto another (lecture 10).

All of them are one affine map, f ↦ T(f − μ_c) + μ_s. They differ in T, and agree in what T asks for: T Σ_c Tᵀ = Σ_s.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CUTOFF = 1e-5  # an eigenvalue below this share of the largest is rounding: its direction is left out
FEWEST = 10  # a region with less weight than so many positions has no covariance worth the name
MAPS = ("zca", "pca", "cholesky", "transport", "diagonal")


@dataclass(frozen=True)
class Gaussian:
    """Mean (C, 1) and covariance of a cloud, the latter as eigenvalues (C,), rising, and eigenvectors (C, C)."""

    mean: Tensor
    values: Tensor
    vectors: Tensor
    cutoff: float = CUTOFF

    @property
    def kept(self) -> Tensor:
        """Which eigenvalues are more than rounding; none of a constant cloud."""
        return self.values > self.cutoff * self.values.max().clamp(min=1e-12)

    @property
    def rank(self) -> int:
        """How many directions are kept."""
        return int(self.kept.sum())

    def power(self, exponent: float) -> Tensor:
        """Σ^p = Σ_k λ_k^p v_k v_kᵀ over the kept directions: (C, C), symmetric; p = 0 is the projector on them."""
        vectors = self.vectors[:, self.kept]
        return (vectors * self.values[self.kept] ** exponent) @ vectors.T


def gaussian(
    features: Tensor,
    weights: Tensor | None = None,
    *,
    centred: bool = True,
    divided: bool = True,
    ridge: float = 0.0,
    cutoff: float = CUTOFF,
) -> Gaussian:
    """The mean and covariance of features (1, C, H, W), in float64, each position weighed by weights (1, 1, H, W).

    Σ = Σ_k w_k (f_k − μ)(f_k − μ)ᵀ / Σ_k w_k. `centred=False` takes μ = 0 (Larson's slide), `divided=False` leaves out
    the division (the paper's f fᵀ), `ridge` is added to the diagonal (the code of PhotoWCT, Li et al. 2018: 1, for the
    content). Raises ValueError for more than one picture and for values that are not finite.
    """
    if features.ndim != 4 or features.shape[0] != 1:
        raise ValueError(f"features: {tuple(features.shape)}; one picture's are (1, C, H, W)")
    cloud = exact(features[0].flatten(1))
    share: Tensor | None = None
    total: float = cloud.shape[1]
    if weights is not None:
        share = exact(weights.to(features.device)).flatten()
        total = float(share.sum())
        share = share / max(total, 1e-12)
    if centred:
        mean = cloud.mean(1, keepdim=True) if share is None else (cloud @ share)[:, None]
        cloud = cloud - mean
    else:
        mean = cloud.new_zeros(cloud.shape[0], 1)
    covariance = cloud @ cloud.T / total if share is None else (cloud * share) @ cloud.T
    if not divided:
        covariance = covariance * total
    if ridge:
        covariance = covariance + ridge * torch.eye(len(covariance)).to(covariance)
    if not torch.isfinite(covariance).all():
        raise ValueError("features: they hold values that are not finite")
    values, vectors = torch.linalg.eigh(covariance)
    return Gaussian(mean, values.clamp(min=0), vectors, cutoff)


def exact(values: Tensor) -> Tensor:
    """The values in float64, on the CPU where the device has none (MPS)."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def whiten(features: Tensor, source: Gaussian | None = None, how: str = "zca") -> Tensor:
    """Features (1, C, H, W) without mean and correlations: Σ_c^-½ (f − μ_c), float64; "removing the style".

    Their covariance is the projector on the kept directions. `how="pca"` stops in the eigenvectors' axes, Λ^-½Vᵀ,
    `"cholesky"` takes L⁻¹ with Σ = LLᵀ: every rotation of a whitened cloud is white. A constant picture becomes 0.
    Raises ValueError for another `how`. Source: Li et al. 2017 (Universal style transfer), Eq. 2.
    """
    source = gaussian(features) if source is None else source
    if how == "zca":
        matrix = source.power(-0.5)
    elif how == "pca":
        matrix = torch.where(source.kept, source.values.clamp(min=1e-300).rsqrt(), 0)[:, None] * source.vectors.T
    elif how == "cholesky":
        matrix = torch.linalg.pinv(_lower(source), rtol=source.cutoff**0.5 / 10)
    else:
        raise ValueError(f'how: "{how}" is not one of zca, pca, cholesky')
    return _apply(matrix, features, source.mean)


def colour(white: Tensor, target: Gaussian, how: str = "zca") -> Tensor:
    """White features (1, C, H, W) with the target's correlations and mean: Σ_s^½ w + μ_s, float64.

    The inverse of `whiten` with the same `how` on the kept directions. Source: Li et al. 2017, Eq. 3.
    """
    if how == "zca":
        matrix = target.power(0.5)
    elif how == "pca":
        matrix = target.vectors * torch.where(target.kept, target.values.clamp(min=0).sqrt(), 0)
    elif how == "cholesky":
        matrix = _lower(target)
    else:
        raise ValueError(f'how: "{how}" is not one of zca, pca, cholesky')
    return _apply(matrix, white) + target.mean.to(white.device).view(1, -1, 1, 1)


def map_between(source: Gaussian, target: Gaussian, how: str = "zca") -> Tensor:
    """The matrix T (C, C), float64, of f ↦ T(f − μ_c) + μ_s, by one of `MAPS`.

    zca        Σ_s^½ Σ_c^-½: whitening and colouring of Li et al. 2017
    pca        V_s Λ_s^½ Λ_c^-½ V_cᵀ, largest eigenvalue to largest: rotates more than it must
    cholesky   L_s L_c⁻¹ with Σ = LLᵀ: depends on the order of the channels
    transport  Σ_c^-½ (Σ_c^½ Σ_s Σ_c^½)^½ Σ_c^-½: moves the cloud least of all (Gaussian optimal transport)
    diagonal   diag(σ_s/σ_c): AdaIN (Huang & Belongie 2017), correlations left as they are

    Directions that the source does not have stay empty: the result's covariance is Σ_s^½ P_c Σ_s^½, with P_c the
    projector on the source's range (zca). Raises ValueError for another `how`.
    """
    if how == "zca":
        return target.power(0.5) @ source.power(-0.5)
    if how == "pca":
        # Both rise, so that the largest meet; what one of them lacks is at the other end of both.
        both = source.kept & target.kept
        ratio = torch.where(both, (target.values / source.values.clamp(min=1e-300)).clamp(min=0).sqrt(), 0)
        # An eigenvector's sign is left open: of the two, the one that turns its direction least.
        signs = torch.where((target.vectors * source.vectors).sum(0) < 0, -1.0, 1.0).to(ratio)
        return (target.vectors * (ratio * signs)) @ source.vectors.T
    if how == "cholesky":
        return _lower(target) @ torch.linalg.pinv(_lower(source), rtol=source.cutoff**0.5 / 10)
    if how == "transport":
        root, inverse = source.power(0.5), source.power(-0.5)
        middle = root @ target.power(1.0) @ root
        values, vectors = torch.linalg.eigh((middle + middle.T) / 2)
        return inverse @ (vectors * values.clamp(min=0).sqrt()) @ vectors.T @ inverse
    if how == "diagonal":
        mine, theirs = (_variances(one) for one in (source, target))
        floor = source.cutoff * mine.max().clamp(min=1e-12)
        return torch.diag(torch.where(mine > floor, (theirs / mine.clamp(min=1e-300)).sqrt(), 0))
    raise ValueError(f'how: "{how}" is not one of {", ".join(MAPS)}')


def _variances(one: Gaussian) -> Tensor:
    return (one.vectors.square() * one.values).sum(1)


def _lower(one: Gaussian) -> Tensor:
    """L, lower triangular, with Σ = LLᵀ on the kept directions; by QR, which needs no positive definite Σ."""
    factor = (one.vectors * torch.where(one.kept, one.values.clamp(min=0).sqrt(), 0)).T
    upper = torch.linalg.qr(factor).R
    return (upper * torch.where(upper.diagonal() < 0, -1.0, 1.0).to(upper)[:, None]).T  # QR leaves the signs open


def _apply(matrix: Tensor, features: Tensor, mean: Tensor | None = None) -> Tensor:
    cloud = exact(features[0].flatten(1))
    moved = matrix @ (cloud if mean is None else cloud - mean)
    return moved.view(1, -1, *features.shape[-2:]).to(features.device if features.device.type != "mps" else "cpu")


def transfer(
    features: Tensor,
    targets: Gaussian | Sequence[Gaussian],
    *,
    how: str = "zca",
    mix: Sequence[float] | None = None,
    strength: float = 1.0,
    source: Gaussian | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Features (1, C, H, W) moved onto the targets' Gaussians: (1 − α)·f + α·Σ_s m_s (T_s(f − μ_c) + μ_s).

    α is `strength`, m the `mix` of several targets (divided by its sum; equal shares where there is none). The
    source's Gaussian is that of the features under `weights` (1, 1, H, W), unless `source` is given. A content
    without any spread becomes the targets' mean. Raises ValueError for a mix of another length or without weight.
    Source: Li et al. 2017, Eq. 4 and section 3.3.
    """
    targets = [targets] if isinstance(targets, Gaussian) else list(targets)
    shares = [1.0] * len(targets) if mix is None else list(mix)
    if len(shares) != len(targets) or not all(math.isfinite(s) and s >= 0 for s in shares) or not sum(shares):
        raise ValueError(f"mix: {shares} for {len(targets)} styles; one number each, at least 0, not all 0")
    source = gaussian(features, weights) if source is None else source
    pairs = [(share / sum(shares), target) for share, target in zip(shares, targets, strict=True)]
    nothing = source.mean.new_zeros(())
    matrix = sum((share * map_between(source, target, how) for share, target in pairs), nothing)
    shift = sum((share * target.mean for share, target in pairs), nothing)
    # One matrix for all positions, in the features' own precision: decomposing is what needs float64.
    cloud = features[0].flatten(1)
    matrix, shift = (value.to(cloud) for value in (matrix, shift - matrix @ source.mean))
    moved = (matrix @ cloud + shift).view_as(features)
    return torch.lerp(features, moved, strength)


def region_gaussians(features: Tensor, masks: Tensor) -> list[Gaussian | None]:
    """The Gaussian of each region, masks (1, K, h, w); None for one with less weight than FEWEST positions."""
    weights = [mask[None, None].to(features) for mask in masks[0]]
    return [gaussian(features, weight) if float(weight.sum()) >= FEWEST else None for weight in weights]


def transfer_regions(
    features: Tensor,
    targets: Sequence[Gaussian | None],
    wholes: Sequence[Gaussian],
    masks: Tensor,
    *,
    how: str = "zca",
    strength: float = 1.0,
) -> Tensor:
    """`transfer` for every region by itself: masks (1, K, h, w) of the features, a target for each of them.

    Positions between two regions get both results by their shares; what no mask claims stays as it is. The rule for
    small ones: where a region has less weight than FEWEST positions, in the content or in the style (None), all of the
    features are moved onto `wholes`, the Gaussian of that region's whole style, and the region gets its part of that.
    Raises ValueError where the numbers of regions differ.
    """
    if not masks.shape[1] == len(targets) == len(wholes):
        raise ValueError(f"masks, targets: {masks.shape[1]} and {len(targets)} regions; they must be the same ones")
    made, total = torch.zeros_like(features), torch.zeros_like(features[:, :1])
    for mask, target, whole, source in zip(masks[0], targets, wholes, region_gaussians(features, masks), strict=True):
        if target is None or source is None:
            target, source = whole, None
        share = mask[None, None].to(features)
        total += share
        made += share * transfer(features, target, how=how, strength=strength, source=source)
    rest = (1 - total).clamp(min=0)
    return (made + rest * features) / (total + rest)
