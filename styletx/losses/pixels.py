"""Energies of the picture itself, without reference or network, and losses that compare pixels."""

import math

import torch.nn.functional as F
from torch import Tensor

from .base import Loss, mean_squared


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighbours, (1/n_v) Σ (x_{i+1,j} − x_{ij})² + (1/n_h) Σ (x_{i,j+1} − x_{ij})².

    Pictures one pixel high (wide) have no vertical (horizontal) neighbours and no such part. Source: Mahendran &
    Vedaldi 2015, section 2.2, with β = 2 (theirs is the sum over the picture).
    """
    parts = (image.diff(dim=-2), image.diff(dim=-1))
    return sum((part.square().mean() for part in parts if part.numel()), image.new_zeros(()))


def value_range(image: Tensor) -> Tensor:
    """Mean squared excess over [0, 1]: pulls the values of a picture back while it is optimised, never clamps them."""
    return (image - image.clamp(0, 1)).square().mean()


def alpha_norm(image: Tensor, alpha: float = 6.0) -> Tensor:
    """R_α = (1/n) Σ |2x − 1|^α: about 1 for black and white pixels, next to nothing for grey ones, huge outside [0, 1].

    Raises ValueError for α < 1. Source: Mahendran & Vedaldi 2015, section 2.2: the α-norm of the mean-subtracted
    picture, α = 6; here the mean is mid-grey, and the sum is divided by the number of values.
    """
    if not (math.isfinite(alpha) and alpha >= 1):
        raise ValueError(f"alpha: {alpha}; it must be a number, at least 1")
    return (2 * image - 1).abs().pow(alpha).mean()


def beta_variation(image: Tensor, beta: float = 2.0) -> Tensor:
    """R_β = (1/n) Σ ((x_{i,j+1} − x_{ij})² + (x_{i+1,j} − x_{ij})²)^{β/2}: total variation with an exponent.

    β = 2 is the usual squared one, β = 1 lets edges stand, β > 2 punishes spikes. The last row and column have no
    neighbour, and no part. Raises ValueError for β ≤ 0. Source: Mahendran & Vedaldi 2015, section 2.2.
    """
    if not (math.isfinite(beta) and beta > 0):
        raise ValueError(f"beta: {beta}; it must be a positive number")
    if min(image.shape[-2:]) < 2:
        return total_variation(image)
    down, across = image.diff(dim=-2)[..., :, :-1], image.diff(dim=-1)[..., :-1, :]
    squared = down.square() + across.square()
    if beta == 2:
        return squared.mean()
    return (squared + 1e-12).pow(beta / 2).mean()  # away from 0, where the slope of a root is infinite


def laplacian_statistic(image: Tensor, weights: Tensor | None = None, pool: int = 4) -> Tensor:
    """The Laplacian of the picture after p×p mean pooling: 4x minus the four neighbours, (B, 3, H/p, W/p).

    A picture smaller than three pools is taken as it is. Weights are pooled with it and multiply the result.
    """
    if pool > 1 and min(image.shape[-2:]) >= 3 * pool:
        image = F.avg_pool2d(image, pool)
        weights = None if weights is None else F.avg_pool2d(weights, pool)
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    centre = padded[..., 1:-1, 1:-1]
    found = 4 * centre - padded[..., :-2, 1:-1] - padded[..., 2:, 1:-1]
    found = found - padded[..., 1:-1, :-2] - padded[..., 1:-1, 2:]
    return found if weights is None else found * weights


# (1/n) Σ (D x − D c)², D the Laplacian of the pooled picture: edges stay where the content has them. On layer "input".
# Source: Li et al. 2017 (Laplacian-steered neural style transfer), Eq. 6.
laplacian_loss = Loss(laplacian_statistic, mean_squared, name="laplacian", aligned=True)
