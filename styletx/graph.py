"""A picture as a graph of pixels: who is whose neighbour, how alike they are, and matrices on it (lecture 11).

W_ij says how much pixels i and j belong together; D is diagonal with D_ii = Σ_j W_ij. Pixels are numbered row by row;
matrices are (N, N) for N = H·W pixels, sparse, in float64.
"""

import itertools
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor

from .samples import picture
from .transforms import exact

FLOOR = 0.01  # least σ: two and a half steps of 1/255, what noise and JPEG leave in a flat place


@dataclass(frozen=True)
class Stencil:
    """A matrix on the pixels of a grid, by diagonals: `values[k, y, x]` couples pixel (y, x) to (y, x) + `offsets[k]`.

    values (K, H, W), zero where the other pixel is outside; pixels are numbered row by row.
    """

    offsets: tuple[tuple[int, int], ...]
    values: Tensor

    @property
    def reach(self) -> int:
        """How far apart two coupled pixels may be, along a row or a column."""
        return max(max(abs(dy), abs(dx)) for dy, dx in self.offsets)

    def apply(self, x: Tensor) -> Tensor:
        """The matrix times x: (..., H, W) → (..., H, W)."""
        found = torch.zeros_like(x)
        for offset, band in zip(self.offsets, self.values, strict=True):
            here, there = overlap(offset, tuple(x.shape[-2:]))
            found[(..., *here)].addcmul_(band[here], x[(..., *there)])
        return found

    def centre(self) -> Tensor:
        """The diagonal of the matrix, (H, W), as a view."""
        return self.values[self.offsets.index((0, 0))]

    def scaled(self, rows: Tensor, columns: Tensor) -> "Stencil":
        """diag(rows) · matrix · diag(columns), both (H, W)."""
        values = self.values * rows
        for offset, band in zip(self.offsets, values, strict=True):
            here, there = overlap(offset, tuple(rows.shape))
            band[here] *= columns[there]
        return Stencil(self.offsets, values)

    def csr(self) -> sparse.csr_array:
        """The same matrix as scipy has it, (N, N); couplings within the grid are stored also where they are 0."""
        order = sorted(range(len(self.offsets)), key=self.offsets.__getitem__)
        offsets, source = [self.offsets[k] for k in order], self.values.cpu()
        source = source if order == list(range(len(order))) else source[order]
        _, height, width = source.shape
        jumps = torch.tensor([dy * width + dx for dy, dx in offsets], dtype=torch.int32)
        numbers = torch.arange(height * width, dtype=torch.int32).view(height, width, 1)
        blocks = [[(rows, across, [k for k, (dy, dx) in enumerate(offsets) if dy in down and dx in along])
                   for across, along in _spans(width, {dx for _, dx in offsets})]
                  for rows, down in _spans(height, {dy for dy, _ in offsets})]  # fmt: skip
        lengths = torch.empty(height, width, dtype=torch.int32)
        for rows, across, chosen in itertools.chain(*blocks):
            lengths[rows, across] = len(chosen)
        starts = F.pad(lengths.flatten().cumsum(0, dtype=torch.int32), (1, 0))
        data, columns, done = source.new_empty(int(starts[-1])), jumps.new_empty(int(starts[-1])), 0
        for band in blocks:  # rows of pixels that all have the same number of entries
            rows, left = band[0][0], 0
            count = int(lengths[rows.start].sum())
            part = slice(done, done + count * (rows.stop - rows.start))
            done = part.stop
            for _, across, chosen in band:
                shape = (rows.stop - rows.start, across.stop - across.start, len(chosen))
                here = slice(left, left + shape[1] * shape[2])
                left = here.stop
                values = source[:, rows, across]
                values = values if len(chosen) == len(offsets) else values[chosen]
                data[part].view(-1, count)[:, here].unflatten(1, shape[1:]).copy_(values.permute(1, 2, 0))
                torch.add(numbers[rows, across], jumps[chosen],
                          out=columns[part].view(-1, count)[:, here].unflatten(1, shape[1:]))  # fmt: skip
        return sparse.csr_array((data.numpy(), columns.numpy(), starts.numpy()), shape=(height * width,) * 2)

    @classmethod
    def from_scipy(cls, matrix: sparse.sparray | sparse.spmatrix, size: tuple[int, int], reach: int) -> "Stencil":
        """The stencil of a matrix on a grid of `size`; ValueError where it couples pixels more than `reach` apart."""
        height, width = size
        if matrix.shape != (height * width,) * 2:
            raise ValueError(f"matrix: {matrix.shape}; a grid of {height}×{width} pixels needs {(height * width,) * 2}")
        entries = sparse.coo_array(matrix)
        rows, columns = entries.coords
        dy, dx = columns // width - rows // width, columns % width - rows % width
        far = int(max(np.abs(dy).max(initial=0), np.abs(dx).max(initial=0)))
        if far > reach:
            raise ValueError(f"matrix, reach: pixels that are {far} apart are coupled; the reach given is {reach}")
        offsets = window(reach)
        values = np.zeros((len(offsets), height * width))
        np.add.at(values, ((dy + reach) * (2 * reach + 1) + dx + reach, rows), entries.data)
        return cls(offsets, torch.from_numpy(values).view(-1, height, width))


def window(reach: int) -> tuple[tuple[int, int], ...]:
    """All (dy, dx) up to `reach`, row by row."""
    return tuple((dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1))


def overlap(offset: tuple[int, int], size: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The pixels that have a neighbour at `offset`, and those neighbours, as slices of rows and columns."""
    pairs = [
        (slice(max(0, -d), max(0, n - max(0, d))), slice(max(0, d), max(0, n - max(0, -d))))
        for d, n in zip(offset, size, strict=True)
    ]
    return tuple(here for here, _ in pairs), tuple(there for _, there in pairs)


def _spans(side: int, jumps: set[int]) -> list[tuple[slice, set[int]]]:
    """Neighbouring places along a side from which the same jumps stay inside."""
    inside = [{jump for jump in jumps if 0 <= place + jump < side} for place in range(side)]
    cuts = [0, *(place for place in range(1, side) if inside[place] != inside[place - 1]), side]
    return [(slice(first, last), inside[first]) for first, last in itertools.pairwise(cuts)]


def check_whole(name: str, value: int, least: int) -> None:
    """ValueError naming the argument where its value is no whole number, or below the least."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}: {value}; it must be a whole number, at least {least}")


def grid_graph(height: int, width: int, connectivity: int = 4, mask: np.ndarray | None = None) -> sparse.csr_array:
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
    graph = sparse.csr_array(grid_to_graph(height, width, mask=mask, dtype=np.int64))
    graph = graph - sparse.diags_array(graph.diagonal(), dtype=np.int64)
    numbers = np.where(mask, mask.cumsum().reshape(mask.shape) - 1, -1)
    for offset in offsets if connectivity == 8 else ():
        if offset > (0, 0) and 0 not in offset:
            here, there = overlap(offset, (height, width))
            both = (numbers[here] >= 0) & (numbers[there] >= 0)
            pairs = numbers[here][both], numbers[there][both]
            half = sparse.csr_array((np.ones(both.sum(), np.int64), pairs), shape=graph.shape)
            graph = graph + half + half.T
    graph.eliminate_zeros()
    return sparse.csr_array(graph)


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
            here, there = overlap(offset, tuple(scale.shape))
            gap = (colours[:, *here] - colours[:, *there]).square().sum(0)
            band[here] = (-gap / (scale[here] * scale[there if local == "both" else here])).exp()
    return Stencil(tuple(offsets), values)


def gaussian_affinity(
    image: Tensor, connectivity: int = 4, radius: int = 1, floor: float = FLOOR, local: str = "both"
) -> sparse.csr_array:
    """W_ij = exp(−‖I_i − I_j‖² / (σ_i σ_j)) for neighbours, 0 otherwise: (1, 3, H, W) → (N, N), symmetric.

    σ is `local_scale`, of the window with this radius. The slide's denominator is σ_i² alone (`local="i"`): W is then
    not symmetric, so that the closed form is no minimiser, and conjugate gradients do not apply. Raises ValueError for
    what is none of these. Source: Li et al. 2018, section 3.2; σ_i σ_j: Zelnik-Manor & Perona 2004.
    """
    return gaussian_stencil(image, connectivity, radius, floor, local).csr()


def degree(affinity: sparse.sparray) -> np.ndarray:
    """D_ii = Σ_j W_ij: (N, N) → (N,)."""
    return np.asarray(affinity.sum(1)).ravel()


def normalised(affinity: sparse.sparray) -> sparse.csr_array:
    """S = D^-½ W D^-½, (N, N); a pixel without neighbours (D_ii = 0) is its own: S_ii = 1, and it keeps its colour."""
    found = degree(affinity)
    alone = found <= 0
    root = np.where(alone, 0, 1 / np.sqrt(np.where(alone, 1, found)))
    scaled = sparse.diags_array(root) @ affinity @ sparse.diags_array(root)
    return sparse.csr_array(scaled + sparse.diags_array(alone.astype(float)))
