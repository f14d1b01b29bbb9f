"""Statistics of a cloud of features (lectures 03 and 04).

*Features are a weighted cloud of points; a style is a function of the cloud; content keeps the positions.* Every
function here takes features (B, C, H, W) and, where it says so, weights (B, 1, H, W): a mask at that layer's size,
that is, a weighted sample.
"""

from torch import Tensor


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
    return (cloud * weights) @ cloud.mT / weights.sum(-1, keepdim=True).clamp(min=1e-8)
