"""A sparse matrix on the pixels of a grid, kept by its diagonals."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import scipy
import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import Size, size_of


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
            here, there = overlap(offset, size_of(x))
            found[(..., *here)].addcmul_(band[here], x[(..., *there)])
        return found

    def centre(self) -> Tensor:
        """The diagonal of the matrix, (H, W), as a view."""
        return self.values[self.offsets.index((0, 0))]

    def scaled(self, rows: Tensor, columns: Tensor) -> Stencil:
        """diag(rows) · matrix · diag(columns), both (H, W)."""
        values = self.values * rows
        for offset, band in zip(self.offsets, values, strict=True):
            here, there = overlap(offset, size_of(rows))
            band[here] *= columns[there]
        return Stencil(self.offsets, values)

    def csr(self) -> scipy.sparse.csr_array:
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
        return scipy.sparse.csr_array((data.numpy(), columns.numpy(), starts.numpy()), shape=(height * width,) * 2)

    @classmethod
    def from_scipy(cls, matrix: scipy.sparse.sparray | scipy.sparse.spmatrix, size: Size, reach: int) -> Stencil:
        """The stencil of a matrix on a grid of `size`; ValueError where it couples pixels more than `reach` apart."""
        height, width = size
        if matrix.shape != (height * width,) * 2:
            raise ValueError(f"matrix: {matrix.shape}; a grid of {height}×{width} pixels needs {(height * width,) * 2}")
        entries = scipy.sparse.coo_array(matrix)
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


def overlap(offset: tuple[int, int], size: Size) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The pixels that have a neighbour at `offset`, and those neighbours, as slices of rows and columns."""
    rows, columns = (
        (slice(max(0, -d), max(0, n - max(0, d))), slice(max(0, d), max(0, n - max(0, -d))))
        for d, n in zip(offset, size, strict=True)
    )
    return (rows[0], columns[0]), (rows[1], columns[1])


def _spans(side: int, jumps: set[int]) -> list[tuple[slice, set[int]]]:
    """Neighbouring places along a side from which the same jumps stay inside."""
    inside = [{jump for jump in jumps if 0 <= place + jump < side} for place in range(side)]
    cuts = [0, *(place for place in range(1, side) if inside[place] != inside[place - 1]), side]
    return [(slice(first, last), inside[first]) for first, last in itertools.pairwise(cuts)]
