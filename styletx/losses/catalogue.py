"""The style losses by name, each with the layers it is usually asked at: what `gatys(loss=...)` offers.

None: at the layers that `gatys` takes by default (`methods.gatys.STYLE_LAYERS`).
"""

from .base import Loss
from .distributions import bn_loss, histogram_loss, sliced_wasserstein
from .gram import centred_gram_loss, covariance_loss, gram_loss, multiscale_gram_loss, shifted_gram_loss
from .kernels import mmd
from .patches import mrf_loss, reshuffle_loss

PATCHES = ("relu3_1", "relu4_1")

STYLE_LOSSES: dict[str, tuple[Loss, tuple[str, ...] | None]] = {
    "gram": (gram_loss, None),
    "centred-gram": (centred_gram_loss, None),
    "covariance": (covariance_loss, None),
    "shifted-gram": (shifted_gram_loss(2), ("relu1_1", "relu2_1", "relu3_1", "relu4_1")),
    "multiscale-gram": (multiscale_gram_loss(3), None),
    "mmd-linear": (mmd("linear"), None),
    "mmd-polynomial": (mmd("polynomial", degree=2, offset=1.0), None),
    "mmd-gaussian": (mmd("gaussian", positions=1024), None),
    "bn": (bn_loss, None),
    "histogram": (histogram_loss, None),
    "sliced-wasserstein": (sliced_wasserstein(), None),
    "mrf": (mrf_loss(), PATCHES),
    "reshuffle": (reshuffle_loss(), PATCHES),
}
