"""A picture as a graph of pixels: who is whose neighbour, how alike they are, and matrices on it (lecture 11).

W_ij says how much pixels i and j belong together; D is diagonal with D_ii = Σ_j W_ij. Pixels are numbered row by row;
matrices are (N, N) for N = H·W pixels, sparse, in float64.
"""

from __future__ import annotations

import numpy as np
import scipy
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_whole
from ..images import size_of
from ..samples import picture
from ..whitening import exact
from .stencil import Stencil, overlap, window

FLOOR = 0.01  # least σ: two and a half steps of 1/255, what noise and JPEG leave in a flat place


def grid_graph(
    height: int, width: int, connectivity: int = 4, mask: np.ndarray | None = None
) -> scipy.sparse.csr_array:
    """Which pixels are neighbours: 0 or 1, symmetric, (N, N); with a mask (H, W) only its M pixels, (M, M), in order.

    `connectivity=4` is scikit-learn's `grid_to_graph(height, width)` without its diagonal (there every pixel is its own
    neighbour); 8 adds the diagonal neighbours. Raises ValueError for sides below 1, another connectivity, and a mask
    that is empty or of another size.
    """
    from sklearn.feature_extraction.image import grid_to_graph

    check_whole("height", height, 1)
    check_whole("width", width, 1)
    offsets = _neighbours(connectivity)
    if mask is None:
        mask = np.ones((height, width), bool)
    mask = np.asarray(mask, bool)
    if mask.shape != (height, width) or not mask.any():
        raise ValueError(f"mask: {mask.shape} with {mask.sum()} pixels; it must be ({height}, {width}) with at least 1")
    graph = scipy.sparse.csr_array(grid_to_graph(height, width, mask=mask, dtype=np.int64))
    graph = graph - scipy.sparse.diags_array(graph.diagonal(), dtype=np.int64)
    numbers = np.where(mask, mask.cumsum().reshape(mask.shape) - 1, -1)
    for offset in offsets if connectivity == 8 else ():
        if offset > (0, 0) and 0 not in offset:
            here, there = overlap(offset, (height, width))
            both = (numbers[here] >= 0) & (numbers[there] >= 0)
            pairs = numbers[here][both], numbers[there][both]
            half = scipy.sparse.csr_array((np.ones(both.sum(), np.int64), pairs), shape=graph.shape)
            graph = graph + half + half.T
    graph.eliminate_zeros()
    return scipy.sparse.csr_array(graph)


def _neighbours(connectivity: int) -> list[tuple[int, int]]:
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity: {connectivity!r}; a pixel has 4 neighbours, or 8 with the diagonal ones")
    return [offset for offset in window(1) if connectivity == 8 or 0 in offset]


def colours_of(image: Tensor, argument: str = "image") -> Tensor:
    """A picture's colours (3, H, W) in float64, on its device; Apple's MPS has no float64, so on the CPU there."""
    image = picture(image, argument=argument)[0]
    return exact(image)


def local_scale(image: Tensor, radius: int = 1, floor: float = FLOOR) -> Tensor:
    """σ (H, W): the spread of the colours in the (2r+1)² window around each pixel, at least `floor`.

    σ_i² is the variance within the window, as far as it lies in the picture, summed over the channels. Raises
    ValueError for a radius below 1.
    """
    check_whole("radius", radius, 1)
    colours = colours_of(image)[None]
    colours = colours - colours.mean((2, 3), keepdim=True)

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2 * radius + 1, 1, padding=radius, count_include_pad=False)

    variance = (mean(colours.square()) - mean(colours).square())[0].sum(0)
    return variance.clamp(min=floor**2).sqrt()


def gaussian_stencil(
    image: Tensor, connectivity: int = 4, radius: int = 1, floor: float = FLOOR, local: str = "both"
) -> Stencil:
    """`gaussian_affinity` by diagonals, on the picture's device."""
    if local not in ("both", "i"):
        raise ValueError(f'local: "{local}" is neither "both" (σ_i σ_j) nor "i" (σ_i², as on the slide)')
    colours, scale = colours_of(image), local_scale(image, radius, floor)
    offsets = _neighbours(connectivity)
    values = colours.new_zeros(len(offsets), *scale.shape)
    for offset, band in zip(offsets, values, strict=True):
        if offset != (0, 0):
            here, there = overlap(offset, size_of(scale))
            gap = (colours[:, *here] - colours[:, *there]).square().sum(0)
            band[here] = (-gap / (scale[here] * scale[there if local == "both" else here])).exp()
    return Stencil(tuple(offsets), values)


def gaussian_affinity(
    image: Tensor, connectivity: int = 4, radius: int = 1, floor: float = FLOOR, local: str = "both"
) -> scipy.sparse.csr_array:
    """W_ij = exp(−‖I_i − I_j‖² / (σ_i σ_j)) for neighbours, 0 otherwise: (1, 3, H, W) → (N, N), symmetric.

    σ is `local_scale`, of the window with this radius. The slide's denominator is σ_i² alone (`local="i"`): W is then
    not symmetric, so that the closed form is no minimiser, and conjugate gradients do not apply. Raises ValueError for
    another connectivity or `local` and for a radius below 1. Source: Li et al. 2018, section 3.2; σ_i σ_j: Zelnik-Manor
    & Perona 2004.
    """
    return gaussian_stencil(image, connectivity, radius, floor, local).csr()


def degree(affinity: scipy.sparse.sparray) -> np.ndarray:
    """D_ii = Σ_j W_ij: (N, N) → (N,)."""
    return np.asarray(affinity.sum(1)).ravel()


def normalised(affinity: scipy.sparse.sparray) -> scipy.sparse.csr_array:
    """S = D^-½ W D^-½, (N, N); a pixel without neighbours (D_ii = 0) is its own: S_ii = 1, and it keeps its colour."""
    found = degree(affinity)
    alone = found <= 0
    root = np.where(alone, 0, 1 / np.sqrt(np.where(alone, 1, found)))
    scaled = scipy.sparse.diags_array(root) @ affinity @ scipy.sparse.diags_array(root)
    return scipy.sparse.csr_array(scaled + scipy.sparse.diags_array(alone.astype(float)))
