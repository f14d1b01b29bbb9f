"""What can be measured of a stylised picture, and of the direction in which a loss pulls."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import sobel
from skimage.metrics import structural_similarity
from torch import Tensor

from ..encoders import Encoder, Laplacian
from ..images import luminance, resize, size_of
from ..losses import gram_loss
from ..methods.wct import at_area
from ..samples import load
from ..statistics import centred_gram, gram

Statistic = Callable[[Tensor], Tensor]
STATISTICS: dict[str, Statistic] = {"gram": gram, "covariance": partial(centred_gram, centre="channel")}


def slopes(features: Tensor, wanted: Tensor, image: Tensor, statistic=gram, create_graph: bool = False) -> Tensor:
    """The gradient of Σ_b ‖S(f_b) − A_b‖²/‖A_b‖² with respect to the pictures (B, 3, H, W) that f comes from."""
    loss = (statistic(features) - wanted).square().sum((1, 2)) / wanted.square().sum((1, 2)).clamp(min=1e-20)
    return torch.autograd.grad(loss.sum(), image, create_graph=create_graph, retain_graph=True)[0]


def slope(encoder: Encoder, image: Tensor, style: Tensor, layer: str, statistic: Statistic = gram) -> Tensor:
    """The gradient of ‖S(x) − A‖²/‖A‖² at x = `image` (1, 3, H, W), S the statistic at that layer and A the style's."""
    with torch.no_grad():
        wanted = statistic(encoder(style, layer)[layer])
    image = image.clone().requires_grad_(True)
    return slopes(encoder(image, layer)[layer], wanted, image, statistic)


@torch.no_grad()
def gram_ratio(judge: Encoder, result: Tensor, photo: Tensor, style: Tensor, layers: Sequence[str]) -> dict[str, float]:
    """Gram distance of result and style over that of photo and style, at equal areas, per layer of the judge."""
    photo, style = resize(photo, size_of(result)), at_area(style, result[0, 0].numel())
    seen = [judge(picture, layers) for picture in (result, photo, style)]
    return {n: float(gram_loss(seen[0][n], seen[2][n]) / gram_loss(seen[1][n], seen[2][n])) for n in layers}


@torch.no_grad()
def patch_ratio(result: Tensor, photo: Tensor, style: Tensor, directions: int = 128) -> float:
    """Sliced Wasserstein distance of 7×7 patches, result to style over photo to style, mean over the bands.

    On the bands of a Laplacian pyramid without its low-pass: the right colours alone do not win. W₂ over random
    directions (the root of the mean square), at the bands with at least 7×7 positions; every scale counts alike.
    """
    pyramid, generator = Laplacian(), torch.Generator().manual_seed(0)
    bands = [name for name in pyramid.layers if name.startswith("band")]
    photo, style = resize(photo, size_of(result)), at_area(style, result[0, 0].numel())
    seen = [pyramid(picture, bands) for picture in (result, photo, style)]
    axes = torch.randn(directions, 3 * 49, generator=generator)
    axes = axes / axes.norm(dim=1, keepdim=True)
    ratios = []
    for band in bands:
        if min(min(f[band].shape[-2:]) for f in seen) < 7:
            break
        mine, photos, styles = (_quantiles(axes @ F.unfold(f[band], 7)[0]) for f in seen)
        near, far = ((q - styles).square().mean().sqrt() for q in (mine, photos))
        ratios.append(float(near / far))
    return float(np.mean(ratios))


def _quantiles(clouds: Tensor, count: int = 256) -> Tensor:
    """Each row's values at `count` evenly spread ranks: samples of different sizes compare."""
    ranks_ = ((torch.arange(count) + 0.5) / count * clouds.shape[1]).long()
    return clouds.sort(dim=1).values[:, ranks_]


def nearest_photo(result: Tensor, names: Sequence[str]) -> str:
    """The photo, among those named, whose edges (SSIM of the gradient magnitude) are nearest to the result's."""
    mine = _edges(result)
    likeness = {}
    for name in names:
        theirs = _edges(resize(load(name), size_of(result)))
        likeness[name] = structural_similarity(mine, theirs, data_range=1.0)  # one range for all photos
    return max(likeness, key=likeness.__getitem__)


def _edges(image: Tensor) -> np.ndarray:
    grey = luminance(image)[0, 0].double().numpy()
    return np.hypot(sobel(grey, 0), sobel(grey, 1))
