"""Closed-form smoothing: a stylised picture made photo-realistic on the graph of its content's pixels (lecture 11).

R minimises ½ Σ_ij W_ij ‖R_i/√D_ii − R_j/√D_jj‖² + (1/α − 1) Σ_i ‖R_i − Y_i‖², Y being the stylised picture and W the
content's affinity, so R = (1 − α)(1 − αS)⁻¹ Y with S = D^-½ W D^-½: a sparse linear system with a right-hand side for
each channel. The inverse is dense and never formed. Source: Zhou et al. 2004 (Ranking on data manifolds); Li et al.
2018 (A closed-form solution to photorealistic image stylization), section 3.2.
"""

from __future__ import annotations

from typing import Annotated, Any

import scipy
import torch
from torch import Tensor

from ..checks import check_choice
from ..devices import pick_device
from ..graph.affinity import colours_of, gaussian_stencil
from ..graph.conjugate_gradients import NotConverged
from ..graph.matting import affinity_stencil, check_windows, inverse3, matting_stencil
from ..graph.solve import SOLVERS, Solver
from ..graph.stencil import Stencil
from ..images import Size, resize, size_of
from ..samples import Source, picture
from .options import Choice, Number, Picture, checked

__all__ = ["NotConverged", "Smoother", "box_mean", "guided_filter", "objective", "smooth"]

NORMALISE = ("random-walk", "symmetric")
AFFINITY = ("matting", "gaussian")
GUIDED_RADIUS, GUIDED_EPS = 35, 1e-3  # as in the fast mode of Li et al.'s code


class Smoother:
    """Closed-form smoothing on one content: prepared once, called with any number of stylised pictures of its size.

    `normalise="symmetric"` is the paper's R = (1 − α)(1 − αS)⁻¹ Y. It does not keep a constant picture: as α → 1, R
    tends to √D times a constant, so borders and edges are darkened or lightened. "random-walk", the default, is
    R = (1 − α) D^-½ (1 − αS)⁻¹ D^½ Y = (1 − α)(1 − αD⁻¹W)⁻¹ Y, from the same factor: rows of D⁻¹W add up to 1, and so
    a constant stays what it is. `affinity`: "matting" (`matting_affinity`, the paper's choice), or "gaussian"
    (`gaussian_affinity`, with `connectivity` and without ε).

    `solver`, `side`, `tolerance`, `iterations`: as in `graph.solve.Solver`. Raises ValueError for α outside [0, 1) and
    for an unknown normalisation, affinity or solver, NotConverged (when called) where "cg" does not converge.
    """

    def __init__(
        self,
        content: Tensor,
        *,
        alpha: float = 0.9999,
        normalise: str = "random-walk",
        affinity: str = "matting",
        eps: float = 1e-7,
        radius: int = 1,
        connectivity: int = 4,
        solver: str = "auto",
        side: int | None = None,
        tolerance: float = 1e-7,
        iterations: int = 500,
        device: str | torch.device | None = None,
    ):
        if not 0 <= alpha < 1:  # False for NaN
            raise ValueError(f"alpha: {alpha}; it must be from 0 to below 1")
        check_choice("normalise", normalise, NORMALISE)
        check_choice("affinity", affinity, AFFINITY)
        device = pick_device(device)
        content = content.to("cpu" if device.type == "mps" else device)
        self.size, self.alpha, self.normalise = size_of(content), alpha, normalise
        if affinity == "matting":
            weights = affinity_stencil(matting_stencil(content, eps, radius), radius)
        else:
            weights = gaussian_stencil(content, connectivity, radius)
        self._root, self.matrix = _system(weights, alpha)
        # Beyond that, rounding to single precision may leave the matrix indefinite.
        precision = torch.float32 if alpha <= 0.999999 else torch.float64
        self._solve = Solver(
            self.matrix, solver, side=side, tolerance=tolerance, iterations=iterations, precision=precision
        )
        self.solver = self._solve.solver

    def solve(self, values: Tensor) -> Tensor:
        """The smoothed values, neither clamped nor rounded: (N, k) → (N, k) in float64."""
        right = (1 - self.alpha) * values.to(self.matrix.values.device).double()
        root = self._root.view(-1, 1) if self.normalise == "random-walk" else 1
        return self._solve(right * root) / root

    def __call__(self, stylised: Tensor) -> Tensor:
        """The smoothed picture, (1, 3, H, W) in [0, 1], float32; ValueError for one of another size."""
        if size_of(stylised) != self.size:
            raise ValueError(f"stylised: {size_of(stylised)}; the content's size is {self.size}")
        found = self.solve(stylised[0].flatten(1).T)
        return found.T.reshape(1, 3, *self.size).clamp(0, 1).float().to(stylised.device)


def _system(weights: Stencil, alpha: float) -> tuple[Tensor, Stencil]:
    """√D (H, W), and 1 − αS; a pixel without neighbours is its own (see `normalised`)."""
    degree = weights.values.sum(0)
    alone = degree <= 0
    weights.centre()[alone] = 1
    root = degree.where(~alone, torch.ones_like(degree)).sqrt()
    matrix = weights.scaled(-alpha / root, 1 / root)
    matrix.centre().add_(1)
    return root, matrix


@checked
def smooth(
    stylised: Annotated[Source, Picture("the picture to be smoothed, such as PhotoWCT's")],
    content: Annotated[Source, Picture("the photograph whose structure it gets back")],
    *,
    alpha: Annotated[
        float, Number(0, 0.999999, step=0.0001, help="how smooth: 0 changes nothing, 0.9999 is the paper's")
    ] = 0.9999,
    normalise: Annotated[
        str, Choice(NORMALISE, help="random-walk keeps a constant picture; symmetric is the paper's")
    ] = "random-walk",
    affinity: Annotated[str, Choice(AFFINITY, help="which pixels belong together")] = "matting",
    eps: Annotated[float, Number(1e-9, 1, log=True, help="ε of the matting Laplacian")] = 1e-7,
    radius: Annotated[int, Number(1, 3, help="of the window: 1 is 3×3")] = 1,
    connectivity: Annotated[int, Choice((4, 8), help="neighbours of a pixel (Gaussian affinity)")] = 4,
    solver: Annotated[
        str, Choice((*SOLVERS, "guided"), help="how it is solved; guided is a fast approximation")
    ] = "auto",
    device: str | torch.device | None = None,
) -> Tensor:
    """Give `stylised` the smoothness of `content`: closed-form smoothing; (1, 3, H, W) in [0, 1], `stylised`'s size.

    A content of another size with the same aspect (to within a pixel) is resized. For what the options mean see
    `Smoother`, which is also for several pictures on one content. `solver="guided"` is `guided_filter` with radius 35
    and ε = 10⁻³ instead. Raises ValueError for a bad argument and for two aspects, and NotConverged. Source: Li et al.
    2018.
    """
    return smoothed(
        picture(stylised, argument="stylised"), picture(content, argument="content"), alpha=alpha, normalise=normalise,
        affinity=affinity, eps=eps, radius=radius, connectivity=connectivity, solver=solver, device=device,
    )  # fmt: skip


def smoothed(
    stylised: Tensor,
    content: Tensor,
    *,
    solver: str = "auto",
    device: str | torch.device | None = None,
    **options: Any,
) -> Tensor:
    """`smooth` of two pictures (1, 3, H, W) that are there; `options` are a `Smoother`'s."""
    content = _fitted(content, size_of(stylised))
    if solver == "guided":
        found = guided_filter(stylised.to(pick_device(device)), content, GUIDED_RADIUS, GUIDED_EPS)
        return found.to(stylised.device)
    return Smoother(content, solver=solver, device=device, **options)(stylised)


def _fitted(content: Tensor, size: Size) -> Tensor:
    """The content at that size; ValueError where it would be stretched by more than a pixel."""
    (height, width), mine = size, size_of(content)
    if mine == size:
        return content
    scale = max(height / mine[0], width / mine[1])
    if abs(mine[0] * scale - height) > 1 or abs(mine[1] * scale - width) > 1:
        raise ValueError(f"stylised, content: {width}×{height} and {mine[1]}×{mine[0]}; they must have one aspect")
    return resize(content, size)


def guided_filter(stylised: Tensor, content: Tensor, radius: int = 35, eps: float = 1e-3) -> Tensor:
    """A fast approximation: in each window the result is an affine function of the content's colours, then averaged.

    a_k = (Σ_k + ε)⁻¹ cov_k(I, p), b_k = mean_k p − a_kᵀ μ_k, q_i = (mean a)ᵀ I_i + mean b, over windows of (2r+1)² as
    far as they lie in the picture; time does not depend on r. Both (1, 3, H, W); clamped to [0, 1], float32.
    Raises ValueError for two sizes, ε ≤ 0 and a radius below 1. Source: He, Sun & Tang 2010, section 3.
    """
    check_windows(eps, radius)
    p = colours_of(stylised, "stylised")[:, None]
    guide = colours_of(content, "content").to(p)
    if guide.shape[1:] != p.shape[2:]:
        sizes = f"{tuple(p.shape[2:])} and {tuple(guide.shape[1:])}"
        raise ValueError(f"stylised, content: sizes {sizes}; they must be one")
    mean, mean_p = box_mean(guide, radius), box_mean(p, radius)
    products = box_mean(guide[:, None] * guide, radius) - mean[:, None] * mean
    products.diagonal().add_(eps)
    together = box_mean(guide * p, radius) - mean * mean_p
    slope = torch.einsum("ijhw,cjhw->cihw", inverse3(products), together)
    offset = mean_p - (slope * mean).sum(1, keepdim=True)
    found = (box_mean(slope, radius) * guide).sum(1) + box_mean(offset, radius)[:, 0]
    return found[None].clamp(0, 1).to(stylised.device, torch.float32)


def box_mean(x: Tensor, radius: int) -> Tensor:
    """The mean over (2r+1)² windows, as far as they lie in the picture: (..., H, W) → the same, by running sums."""
    for dim in (-2, -1):
        length = x.shape[dim]
        places = torch.arange(length, device=x.device)
        first, last = (places - radius).clamp(min=0), (places + radius + 1).clamp(max=length)
        sums = torch.cat([torch.zeros_like(x.narrow(dim, 0, 1)), x.cumsum(dim)], dim)
        count = (last - first).to(x)
        x = (sums.index_select(dim, last) - sums.index_select(dim, first)) / (count[:, None] if dim == -2 else count)
    return x


def objective(result: Tensor, stylised: Tensor, affinity: scipy.sparse.sparray, alpha: float) -> Tensor:
    """½ Σ_ij W_ij ‖R_i/√D_ii − R_j/√D_jj‖² + (1/α − 1) Σ_i ‖R_i − Y_i‖²: R, Y (N, k) and W (N, N) → a scalar.

    The ½ stands before the first sum alone, which takes every pair twice; around both sums, the closed form would not
    be the minimiser. Differentiable; every pixel needs a neighbour. Source: Zhou et al. 2004; Li et al. 2018.
    """
    entries = scipy.sparse.coo_array(affinity)
    first, second = (torch.from_numpy(index).long() for index in entries.coords)
    weights = torch.from_numpy(entries.data).to(result)
    scaled = result / torch.zeros(len(result)).to(result).index_add(0, first, weights).sqrt()[:, None]
    gaps = (scaled[first] - scaled[second]).square().sum(1)
    return (weights * gaps).sum() / 2 + (1 / alpha - 1) * (result - stylised).square().sum()
