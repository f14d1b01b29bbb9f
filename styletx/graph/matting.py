"""The matting Laplacian: as a sparse matrix, as an affinity, matrix-free, and for cutting out (lectures 11, 12).

αᵀLα is small where α is, in every small window of the picture, an affine function of its colours. Pixels are numbered
row by row; matrices are (N, N) for N = H·W pixels, sparse, in float64.
"""

from __future__ import annotations

import itertools

import scipy
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..checks import check_whole
from ..devices import pick_device
from ..images import Size, size_of
from ..samples import picture
from .affinity import colours_of
from .solve import solve
from .stencil import Stencil, overlap, window

STRIP = 2**15  # pixels of a strip of rows whose windows are worked out at one time: they stay in the processor's cache


def window_counts(size: Size, offset: tuple[int, int] = (0, 0), radius: int = 1) -> Tensor:
    """In how many windows, all of them inside the picture, pixel i lies together with the one at `offset`: (H, W)."""
    sides = []
    for side, jump in zip(size, offset, strict=True):
        first, last = torch.arange(side) + min(jump, 0), torch.arange(side) + max(jump, 0)
        lowest, highest = (last - 2 * radius).clamp(min=0), first.clamp(max=side - 2 * radius - 1)
        sides.append((highest - lowest + 1).clamp(min=0))
    return sides[0][:, None] * sides[1]


def check_windows(eps: float, radius: int) -> None:
    """ValueError for windows of no radius, or an eps that is not positive."""
    check_whole("radius", radius, 1)
    if not 0 < eps < float("inf"):
        raise ValueError(f"eps: {eps}; it must be a positive number")


def matting_stencil(image: Tensor, eps: float = 1e-7, radius: int = 1) -> Stencil:
    """`matting_laplacian` by diagonals, on the picture's device."""
    check_windows(eps, radius)
    colours, offsets = colours_of(image), window(2 * radius)
    (height, width), area = colours.shape[-2:], (2 * radius + 1) ** 2
    values = colours.new_zeros(len(offsets), height, width)
    bands = dict(zip(offsets, values, strict=True))
    pixels = list(itertools.product(range(2 * radius + 1), repeat=2))
    rows = max(1, STRIP // width) if colours.device.type == "cpu" else height
    for top in range(0, height - 2 * radius if width > 2 * radius else 0, rows):
        strip = colours[:, top : top + rows + 2 * radius]
        whitened = _whitened(strip, eps, radius)
        views = [slice(top + y, top + y + whitened.shape[-2]) for y, _ in pixels]
        across = [slice(x, x + whitened.shape[-1]) for _, x in pixels]
        for p, q in itertools.combinations_with_replacement(range(area), 2):
            offset = (pixels[q][0] - pixels[p][0], pixels[q][1] - pixels[p][1])
            part = bands[offset][views[p], across[p]]
            for first, second in zip(whitened[p], whitened[q], strict=True):
                part.addcmul_(first, second, value=-1 / area)
    for offset, band in bands.items():
        if offset >= (0, 0):
            band -= window_counts((height, width), offset, radius).to(band) / area
            if offset > (0, 0):
                here, there = overlap(offset, (height, width))
                bands[(-offset[0], -offset[1])][there] = band[here]
    bands[0, 0] += window_counts((height, width), radius=radius).to(values)
    return Stencil(offsets, values)


def _whitened(colours: Tensor, eps: float, radius: int) -> Tensor:
    """K_kᵀ⁻¹ (I_i − μ_k) with K_kᵀ K_k = Σ_k + ε/|w|, for each pixel i of each window k: (|w|, 3, H − 2r, W − 2r)."""
    found = _centred(colours, radius)
    root = _root(_covariance(found, eps))
    for i in range(3):
        for j in range(i):
            found[:, i] -= root[i][j] * found[:, j]
        found[:, i] /= root[i][i]
    return found


def _root(matrix: Tensor) -> list[list[Tensor]]:
    """The Cholesky factors of symmetric 3×3 matrices (3, 3, ...): the entries of the lower triangle."""
    root: list[list[Tensor]] = []
    for i in range(3):
        root.append([])
        for j in range(i + 1):
            rest = matrix[i, j]
            for k in range(j):
                rest = rest - root[i][k] * root[j][k]
            root[i].append(rest.sqrt() if i == j else rest / root[j][j])
    return root


def inverse3(matrix: Tensor) -> Tensor:
    """The inverses of symmetric positive definite 3×3 matrices: (3, 3, ...) → the same.

    By Cholesky's factors: cross products over the determinant are wrong where the three colours lie on a line.
    """
    root = _root(matrix)
    rows: list[Tensor] = []
    for i in range(3):
        row = torch.zeros_like(matrix[i])
        row[i] = 1
        for j in range(i):
            row = row - root[i][j] * rows[j]
        rows.append(row / root[i][i])
    found = torch.stack(rows)
    return torch.stack([(found[:, i, None] * found).sum(0) for i in range(3)])


def _covariance(centred: Tensor, eps: float) -> Tensor:
    """Σ_k + ε/|w| of each window from its centred colours: (|w|, 3, H, W) → (3, 3, H, W)."""
    found = centred.new_empty(3, *centred.shape[1:])
    for i in range(3):
        for j in range(i + 1):
            found[i, j] = found[j, i] = (centred[:, i] * centred[:, j]).mean(0)
        found[i, i] += eps / len(centred)
    return found


def _centred(colours: Tensor, radius: int) -> Tensor:
    """I_i − μ_k for each pixel i of each window k that lies inside the picture: (|w|, 3, H − 2r, W − 2r)."""
    side, (height, width) = 2 * radius + 1, colours.shape[-2:]
    found = torch.stack(
        [colours[:, y : height - 2 * radius + y, x : width - 2 * radius + x]
         for y, x in itertools.product(range(side), repeat=2)]
    )  # fmt: skip
    return found - found.mean(0)


def matting_laplacian(image: Tensor, eps: float = 1e-7, radius: int = 1) -> scipy.sparse.csr_array:
    """L_ij = Σ_{k: i,j∈w_k} (δ_ij − (1 + (I_i − μ_k)ᵀ (Σ_k + ε/|w| 1)⁻¹ (I_j − μ_k)) / |w|): (1, 3, H, W) → (N, N).

    αᵀLα is small where α is, in each (2r+1)² window, an affine function of the colours. Symmetric, positive
    semi-definite, rows add up to 0; zero for a picture without room for a window. Raises ValueError for ε ≤ 0 and a
    radius below 1. Source: Levin, Lischinski & Weiss 2008, Eq. 12.
    """
    return matting_stencil(image, eps, radius).csr()


def matting_affinity(
    image: Tensor, eps: float = 1e-7, radius: int = 1, diagonal: bool = True
) -> scipy.sparse.csr_array:
    """The matting Laplacian's affinity, W = D − L: (1, 3, H, W) → (N, N), symmetric, entries may be negative.

    With `diagonal`, as in the code of Li et al. 2018, D_ii is the number of windows around pixel i, W_ii = D_ii − L_ii
    and the eigenvalues of D^-½ W D^-½ are in [0, 1]. Without, W_ii = 0 as in `grid_graph`, and D_ii = L_ii. Raises as
    `matting_laplacian`.
    """
    return affinity_stencil(matting_stencil(image, eps, radius), radius, diagonal).csr()


def affinity_stencil(laplacian: Stencil, radius: int = 1, diagonal: bool = True) -> Stencil:
    """`matting_affinity` by diagonals, from the Laplacian's."""
    affinity = Stencil(laplacian.offsets, -laplacian.values)
    if diagonal:
        affinity.centre().add_(window_counts(size_of(laplacian.values), radius=radius).to(laplacian.values))
    else:
        affinity.centre().zero_()
    return affinity


class MattingQuadratic:
    """The matting Laplacian of one picture without its matrix: L x by sums over windows, and Σ_c V_cᵀ L V_c.

    In each window x is fitted by a·I + b; (L x)_i = Σ_{k∋i} (x_i − a_kᵀ I_i − b_k). Worked out in float64 on the
    picture's device whatever x is, because ε is below float32's resolution. Raises as `matting_laplacian`, and
    ValueError for an x of another size. Source: He, Sun & Tang 2010 (large-kernel matting); Luan et al. 2017, Eq. 2.
    """

    def __init__(self, image: Tensor, eps: float = 1e-7, radius: int = 1):
        check_windows(eps, radius)
        self.radius, self._colours = radius, colours_of(image)
        self.size, self._area = size_of(self._colours), (2 * radius + 1) ** 2
        self._counts = window_counts(self.size, radius=radius).to(self._colours)
        if min(self.size) > 2 * radius:
            self._mean = self._sum(self._colours) / self._area
            self._inverse = inverse3(_covariance(_centred(self._colours, radius), eps))

    def _sum(self, x: Tensor) -> Tensor:
        """Sums over the windows: (..., H, W) → (..., H − 2r, W − 2r)."""
        return F.avg_pool2d(x, 2 * self.radius + 1, 1) * self._area

    def apply(self, x: Tensor) -> Tensor:
        """L x: (B, C, H, W) → the same."""
        if size_of(x) != self.size:
            raise ValueError(f"x: {size_of(x)}; the Laplacian is that of a picture of {self.size}")
        if min(self.size) <= 2 * self.radius:
            return torch.zeros_like(x)
        p = x.to(self._colours.device).double().flatten(0, -3)[:, None]  # device first: MPS has no float64
        mean = self._sum(p) / self._area
        slope = self._sum(self._colours * p) / self._area - self._mean * mean
        slope = torch.einsum("ijhw,njhw->nihw", self._inverse, slope)
        offset = mean - (slope * self._mean).sum(1, keepdim=True)
        around = self._sum(F.pad(torch.cat([slope, offset], 1), [2 * self.radius] * 4))
        found = self._counts * p - (around[:, :3] * self._colours).sum(1, keepdim=True) - around[:, 3:]
        return found.view(x.shape).to(x.dtype).to(x.device)

    def quadratic(self, x: Tensor) -> Tensor:
        """Σ_c V_cᵀ L V_c over the channels (and pictures) of x (B, C, H, W), a scalar; its gradient is 2 L x."""
        return _Quadratic.apply(x, self)


class _Quadratic(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, matrix: MattingQuadratic) -> Tensor:
        product = matrix.apply(x)
        ctx.save_for_backward(product)
        first, second = (t.to(matrix._colours.device).double() for t in (x, product))
        return (first * second).sum().to(x.dtype).to(x.device)

    @staticmethod
    @once_differentiable
    def backward(ctx, slope: Tensor):
        (product,) = ctx.saved_tensors
        return 2 * slope * product, None


def matte(
    image: Tensor,
    scribbles: Tensor,
    *,
    eps: float = 1e-7,
    radius: int = 1,
    confidence: float = 100.0,
    solver: str = "auto",
    device: str | torch.device | None = None,
) -> Tensor:
    """How much of each pixel is foreground, from a few that are marked: α (1, 1, H, W) in [0, 1], float32.

    α minimises αᵀLα + c Σ_{i marked} (α_i − s_i)², so (L + c·D_s) α = c·D_s s. `scribbles` (H, W) or (1, 1, H, W) is
    1 on foreground, 0 on background, anything else (½, NaN) where it is not known. `solver`: as in `graph.solve`.
    Raises ValueError where one of the two is not marked, and for sizes that do not go together. Source: Levin et al.
    2008.
    """
    marks = torch.as_tensor(scribbles)
    image = picture(image, argument="image")
    size = size_of(image)
    if tuple(marks.shape) not in (size, (1, 1, *size)):
        raise ValueError(f"scribbles: {tuple(marks.shape)}; the picture's are {size} or {(1, 1, *size)}")
    if min(size) <= 2 * radius:
        raise ValueError(
            f"image: {size[1]}×{size[0]} pixels have no room for a window of {2 * radius + 1}×{2 * radius + 1}"
        )
    if not 0 < confidence < float("inf"):
        raise ValueError(f"confidence: {confidence}; it must be a positive number")
    if device is not None:
        image = image.to(pick_device(device))
    laplacian = matting_stencil(image, eps, radius)
    marks = marks.reshape(size).to(laplacian.values.device).to(laplacian.values.dtype)
    front, back = marks == 1, marks == 0
    if not (front.any() and back.any()):
        raise ValueError(f"scribbles: {int(front.sum())} pixels marked 1, {int(back.sum())} marked 0; both need some")
    laplacian.centre().add_(confidence * (front | back))
    found = solve(laplacian, confidence * front.double().flatten(), solver)
    return found.view(1, 1, *size).clamp(0, 1).float().to(image.device)


def cut_out(image: Tensor, alpha: Tensor, background: Tensor) -> Tensor:
    """α·image + (1 − α)·background, all of one size: (1, 3, H, W) in [0, 1].

    The foreground's own colour is not estimated: where α is between 0 and 1, some of the old background shines through.
    Raises ValueError for different sizes.
    """
    image, background = picture(image, argument="image"), picture(background, argument="background")
    sizes = {size_of(x) for x in (image, alpha, background)}
    if len(sizes) > 1:
        raise ValueError(f"image, alpha, background: sizes {sorted(sizes)}; they must be one")
    return torch.lerp(background.to(image), image, alpha.to(image)).clamp(0, 1)
