"""The style losses by name, each with the layers it is usually asked at: what `gatys(loss=...)` offers."""

from .base import Loss
from .distributions import bn_loss, histogram_loss, sliced_wasserstein
from .gram import centred_gram_loss, covariance_loss, gram_loss, multiscale_gram_loss, shifted_gram_loss
from .kernels import mmd
from .patches import mrf_loss, reshuffle_loss

ALL = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
PATCHES = ("relu3_1", "relu4_1")

STYLE_LOSSES: dict[str, tuple[Loss, tuple[str, ...]]] = {
    "gram": (gram_loss, ALL),
    "centred-gram": (centred_gram_loss, ALL),
    "covariance": (covariance_loss, ALL),
    "shifted-gram": (shifted_gram_loss(2), ALL[:4]),
    "multiscale-gram": (multiscale_gram_loss(3), ALL),
    "mmd-linear": (mmd("linear"), ALL),
    "mmd-polynomial": (mmd("polynomial", degree=2, offset=1.0), ALL),
    "mmd-gaussian": (mmd("gaussian", positions=1024), ALL),
    "bn": (bn_loss, ALL),
    "histogram": (histogram_loss, ALL),
    "sliced-wasserstein": (sliced_wasserstein(), ALL),
    "mrf": (mrf_loss(), PATCHES),
    "reshuffle": (reshuffle_loss(), PATCHES),
}
