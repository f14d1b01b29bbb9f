"""Losses: a statistic of a cloud of features, and a distance between two statistics."""

from .base import Loss, mean_squared
from .catalogue import STYLE_LOSSES
from .distributions import bn_loss, histogram_loss, sliced_wasserstein
from .gram import (
    CONVENTIONS,
    centred_gram_loss,
    content_loss,
    convention_factor,
    covariance_loss,
    gram_loss,
    multiscale_gram_loss,
    shifted_gram_loss,
)
from .kernels import (
    Kernel,
    gaussian_kernel,
    linear_kernel,
    median_bandwidth,
    mmd,
    mmd_linear_time,
    mmd_squared,
    mmd_unbiased,
    polynomial_kernel,
    two_sample_test,
    witness,
)
from .learned import adversarial_loss
from .motion import consistency_mask, disparity_loss, stereo_disparity, temporal_loss, warp
from .patches import mrf_loss, reshuffle_loss, semantic_loss
from .pixels import alpha_norm, beta_variation, laplacian_loss, total_variation, value_range

__all__ = [
    "CONVENTIONS",
    "STYLE_LOSSES",
    "Kernel",
    "Loss",
    "adversarial_loss",
    "alpha_norm",
    "beta_variation",
    "bn_loss",
    "centred_gram_loss",
    "consistency_mask",
    "content_loss",
    "convention_factor",
    "covariance_loss",
    "disparity_loss",
    "gaussian_kernel",
    "gram_loss",
    "histogram_loss",
    "laplacian_loss",
    "linear_kernel",
    "mean_squared",
    "median_bandwidth",
    "mmd",
    "mmd_linear_time",
    "mmd_squared",
    "mmd_unbiased",
    "mrf_loss",
    "multiscale_gram_loss",
    "polynomial_kernel",
    "reshuffle_loss",
    "semantic_loss",
    "shifted_gram_loss",
    "sliced_wasserstein",
    "stereo_disparity",
    "temporal_loss",
    "total_variation",
    "two_sample_test",
    "value_range",
    "warp",
    "witness",
]
