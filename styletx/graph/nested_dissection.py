"""Sparse systems on a grid of pixels, solved directly: nested dissection with dense fronts (lecture 11).

A strip of pixels, as wide as the matrix reaches, cuts the grid in two; either half is cut again, down to small leaves.
Pixels are then eliminated from the leaves upwards. A region leaves behind a dense matrix on the ring of pixels around
it (a Schur complement); its parent adds up those of its halves and eliminates the strip between them. Regions of one
shape are eliminated together, so a level of the tree is a few batched Cholesky factorisations, on a CPU and on CUDA.
Source: George 1973 (Nested dissection of a regular finite element mesh); Duff & Reid 1983 (the multifrontal method).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy
import torch
from torch import Tensor

from ..images import Size, size_of
from .stencil import Stencil

LEAF = 72  # pixels of a region that is not cut any more
CHUNK = 2**24  # bytes of dense matrices that one thread works on at a time: most of it stays in the processor's cache

# A region is (height, width, sides), sides telling which of (top, bottom, left, right) end at the grid's border.
Shape = tuple[int, int, tuple[bool, bool, bool, bool]]


def _cut(shape: Shape, reach: int) -> tuple[list[tuple[Shape, tuple[int, int]]], tuple[int, int, int, int]] | None:
    """A region's halves with their corners, and the strip (y, x, height, width) between them; None for a leaf."""
    height, width, (top, bottom, left, right) = shape
    if height * width <= LEAF or max(height, width) < reach + 2:
        return None
    at = (max(height, width) - reach) // 2
    rest = max(height, width) - reach - at
    if width >= height:
        halves = (height, at, (top, bottom, left, False)), (height, rest, (top, bottom, False, right))
        return list(zip(halves, [(0, 0), (0, at + reach)], strict=True)), (0, at, height, reach)
    halves = (at, width, (top, False, left, right)), (rest, width, (False, bottom, left, right))
    return list(zip(halves, [(0, 0), (at + reach, 0)], strict=True)), (at, 0, reach, width)


def _block(y: int, x: int, height: int, width: int) -> np.ndarray:
    """The pixels (n, 2) of a rectangle, along its longer side (so that a part of a strip lies in one piece)."""
    pixels = np.stack([*np.mgrid[y : y + height, x : x + width]], -1)
    return (pixels if height >= width else pixels.swapaxes(0, 1)).reshape(-1, 2)


def _boundary(shape: Shape, reach: int) -> np.ndarray:
    """The pixels (n, 2) around a region, `reach` wide, where the grid goes on; (0, 0) is the region's first pixel."""
    height, width, (top, bottom, left, right) = shape
    rows = [(-reach, reach, top), (0, height, False), (height, reach, bottom)]
    columns = [(-reach, reach, left), (0, width, False), (width, reach, right)]
    blocks = [
        _block(y, x, high, wide)
        for y, high, above in rows
        for x, wide, beside in columns
        if not (above or beside or (y == 0 and x == 0))
    ]
    return np.concatenate(blocks) if blocks else np.zeros((0, 2), int)


def _runs(places: np.ndarray, separator: int) -> Iterator[tuple[slice, slice]]:
    """places[i] = where entry i goes, as slices (from, to) of neighbouring entries, none across `separator`."""
    cuts = (np.flatnonzero((np.diff(places) != 1) | (places[1:] == separator)) + 1).tolist() if len(places) else []
    for first, last in zip([0, *cuts], [*cuts, len(places)], strict=True):
        if last > first:
            yield slice(first, last), slice(int(places[first]), int(places[first]) + last - first)


class _Group:
    """All regions of one shape at one level: where they lie, what they eliminate, and their part of the factor."""

    update: Tensor  # what is left to the parents, while they need it

    def __init__(self, shape: Shape, corners: np.ndarray, reach: int):
        self.shape, self.corners, self.reach, self.cut = shape, corners, reach, _cut(shape, reach)
        self.separator = _block(*(self.cut[1] if self.cut else (0, 0, *shape[:2])))
        self.boundary = _boundary(shape, reach)
        # Their group, the number of the first of them there, and runs of their boundaries.
        # Of each half: its group, the number of the first of ours there, and the runs of their boundaries.
        self.halves: list[tuple[_Group, int, list]] = []

    def places(self) -> np.ndarray:
        """The number of each pixel of the separator, then of the boundary; -1 for all others in and around a region."""
        height, width, _ = self.shape
        found = np.full((height + 2 * self.reach, width + 2 * self.reach), -1)
        pixels = np.concatenate([self.separator, self.boundary]) + self.reach
        found[tuple(pixels.T)] = np.arange(len(pixels))
        return found

    def adopt(self, half: _Group, first: int, corner: tuple[int, int]) -> None:
        """Note that our regions' halves at `corner` are those of `half` from number `first` on."""
        places = self.places()[tuple((half.boundary + np.array(corner) + self.reach).T)]
        self.halves.append((half, first, list(_runs(places, len(self.separator)))))

    def prepare(self, stencil: Stencil) -> None:
        """Where the stencil's entries go, as tensors, and room for the factor."""
        _, height, width = stencil.values.shape
        places, here, flat = self.places(), np.arange(len(self.separator)), np.array([width, 1])
        found = []
        for k, offset in enumerate(stencil.offsets):
            there = places[tuple((self.separator + np.array(offset) + self.reach).T)]
            wanted = there >= here  # the other half is the same, mirrored
            source = k * height * width + self.separator[wanted] @ flat
            found.append(np.stack([source, there[wanted] * len(self.separator) + here[wanted]]))
        new, device = stencil.values.new_empty, stencil.values.device
        self.start, self.separator_pixels, self.boundary_pixels, self.entries = (
            torch.from_numpy(array).to(device)
            for array in (self.corners @ flat, self.separator @ flat, self.boundary @ flat, np.concatenate(found, 1))
        )
        count, separator, boundary = len(self.corners), len(self.separator), len(self.boundary)
        self.lower = new(count, separator, separator).mT  # LAPACK goes down the columns
        self.side = new(count, boundary, separator)

    def size(self) -> tuple[int, int]:
        """Numbers that the factor holds, and numbers that are left to the parents."""
        count, separator, boundary = len(self.corners), len(self.separator), len(self.boundary)
        return count * separator * (separator + boundary), count * boundary**2

    def factorise(self, stencil: Stencil, part: slice) -> Tensor:
        """Eliminate the separator's pixels of some regions; returns whether that failed (LAPACK's word for it)."""
        separator, start = len(self.separator), self.start[part, None]
        front = stencil.values.new_zeros(len(start), separator + len(self.boundary), separator)
        source, target = self.entries
        front.view(len(start), -1)[:, target] = stencil.values.reshape(-1)[start + source]
        update = self.update[part].zero_()
        for half, first, runs in self.halves:
            below = half.update[first + part.start : first + part.stop]
            for (a, row), (b, column) in itertools.product(runs, runs):
                if row.start < column.start:
                    continue
                block = below[:, a, b] if a.start >= b.start else below[:, b, a].mT  # only the lower half is right
                if column.start < separator:
                    front[:, row, column] -= block
                else:
                    down, across = (slice(s.start - separator, s.stop - separator) for s in (row, column))
                    update[:, down, across] += block
        lower, bad = torch.linalg.cholesky_ex(front[:, :separator])
        self.lower[part] = lower
        if len(self.boundary):
            side = torch.linalg.solve_triangular(lower.mT, front[:, separator:], upper=True, left=False)
            self.side[part] = side
            update.baddbmm_(side, side.mT)
        return bad.max()

    def forward(self, x: Tensor, part: slice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One step of L y = x: the separator's pixels, their y, the boundary's pixels, and what to take off there."""
        pixels = self.start[part, None] + self.separator_pixels
        found = torch.linalg.solve_triangular(self.lower[part], x[pixels], upper=False)
        return pixels, found, self.start[part, None] + self.boundary_pixels, self.side[part] @ found

    def backward(self, x: Tensor, part: slice) -> None:
        """One step of Lᵀ x = y, in place."""
        pixels = self.start[part, None] + self.separator_pixels
        right = x[pixels] - self.side[part].mT @ x[self.start[part, None] + self.boundary_pixels]
        x[pixels] = torch.linalg.solve_triangular(self.lower[part].mT, right, upper=True)


def _tree(roots: dict[Shape, np.ndarray], reach: int) -> list[list[_Group]]:
    """The groups by level, from the roots (shape: their corners (n, 2)) to the leaves."""
    levels: list[list[_Group]] = []
    waiting = {shape: [corners] for shape, corners in roots.items()}
    births: list[tuple[_Group, Shape, int, tuple[int, int]]] = []
    while waiting:
        groups = {shape: _Group(shape, np.concatenate(found), reach) for shape, found in waiting.items()}
        for parent, shape, first, corner in births:
            parent.adopt(groups[shape], first, corner)
        levels.append(list(groups.values()))
        waiting, births = {}, []
        for group in groups.values():
            for shape, corner in group.cut[0] if group.cut else ():
                found = waiting.setdefault(shape, [])
                births.append((group, shape, sum(map(len, found)), corner))
                found.append(group.corners + np.array(corner))
    return levels


def _roots(size: Size, count: int = 1) -> dict[Shape, np.ndarray]:
    """`count` grids, one below the other, that know nothing of each other."""
    height = size[0] // count
    return {(height, size[1], (True,) * 4): np.stack([height * np.arange(count), np.zeros(count, int)], -1)}


def predict_bytes(size: Size, reach: int, item: int = 8) -> int:
    """The memory that a Dissection takes at its peak: the factor, and what two levels of the tree hand on."""
    levels = [[group.size() for group in level] for level in _tree(_roots(size), reach)]
    handed = [sum(left for _, left in level) for level in levels]
    return item * (sum(kept for level in levels for kept, _ in level)
                   + max(a + b for a, b in zip(handed, [*handed[1:], 0], strict=True)))  # fmt: skip


class Dissection:
    """The Cholesky factor of a symmetric positive definite matrix on a grid: made once, used for any right-hand side.

    `matrix` is a Stencil, or scipy's on a grid of `size` whose couplings reach no further than `reach`; of `count` > 1
    grids that lie one below the other, each is factorised by itself. Raises ValueError for a matrix of another size or
    reach, and for one that is not positive definite.
    """

    def __init__(
        self,
        matrix: Stencil | scipy.sparse.sparray | scipy.sparse.spmatrix,
        size: Size | None = None,
        reach: int = 1,
        device: str | torch.device | None = None,
        dtype: torch.dtype = torch.float64,
        count: int = 1,
    ):
        if not isinstance(matrix, Stencil):
            if size is None:
                raise ValueError("size: a matrix of scipy does not say how wide its grid is")
            matrix = Stencil.from_scipy(matrix, size, reach)
        stencil = Stencil(matrix.offsets, matrix.values.to(device=device, dtype=dtype))
        self._like, self._count = stencil.values.new_empty(()), stencil.values[0].numel()
        self._levels = _tree(_roots(size_of(stencil.values), count), stencil.reach)
        below: list[_Group] = []
        for level in reversed(self._levels):
            for group in level:
                group.prepare(stencil)
                group.update = stencil.values.new_empty(len(group.corners), len(group.boundary), len(group.boundary))
            bad = self._each(level, lambda group, part: group.factorise(stencil, part))
            if any(bad):
                raise ValueError("matrix: it is not positive definite")
            for group in below:
                del group.update
            below = level

    @property
    def bytes(self) -> int:
        """What the factor takes."""
        return self._like.element_size() * sum(group.size()[0] for level in self._levels for group in level)

    def solve(self, right: Tensor) -> Tensor:
        """x with matrix · x = right: (N, k) or (N,) → the same shape, in the factor's precision.

        Raises ValueError for another N.
        """
        if len(right) != self._count:
            raise ValueError(f"right: {len(right)} rows; the matrix has {self._count}")
        x = right.to(self._like).reshape(len(right), -1).clone()
        for level in reversed(self._levels):
            for separator, found, boundary, update in self._each(level, lambda group, part: group.forward(x, part)):
                x[separator] = found
                x.index_add_(0, boundary.flatten(), update.flatten(0, 1), alpha=-1)
        for level in self._levels:
            self._each(level, lambda group, part: group.backward(x, part))
        return x.view(right.shape)

    def _each(self, level: list[_Group], work: Callable[[_Group, slice], Any]) -> list:
        """`work` on all regions of a level: on a CPU in portions that fit its cache, one thread for each.

        LAPACK's own threads would meet at a barrier after every one of the small matrices.
        """
        if self._like.device.type != "cpu":
            return [work(group, slice(0, len(group.corners))) for group in level]
        portions = []
        for group in level:
            step = max(1, CHUNK // (self._like.element_size() * (len(group.separator) + len(group.boundary)) ** 2))
            count = len(group.corners)
            portions += [(group, slice(first, min(first + step, count))) for first in range(0, count, step)]
        threads = torch.get_num_threads()
        if len(portions) < threads or threads == 1:
            return [work(*portion) for portion in portions]
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            done = list(pool.map(lambda portion: work(*portion), portions))
        torch.set_num_threads(threads)  # the workers' 1 is also what a new thread would start with
        return done
