"""Conjugate gradients on a grid of pixels, for pictures too large to be factorised in one piece (lecture 11).

The preconditioner solves overlapping tiles exactly, in single precision where that will do, and adds up what they say
(additive Schwarz).
1 − αS needs no coarse grid beside them: at α = 0.9999 a pixel feels others some hundred pixels away, less than a tile.
Source: Smith, Bjørstad & Gropp 1996 (Domain decomposition).
"""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from ..images import Size, size_of
from .nested_dissection import Dissection, predict_bytes
from .stencil import Stencil


class NotConverged(RuntimeError):
    """A solver that ran out of iterations; `residual` is how far it got, ‖b − Ax‖ / ‖b‖."""

    def __init__(self, residual: float, iterations: int, tolerance: float):
        self.residual = residual
        super().__init__(f"iterations: after {iterations} the residual is {residual:.1e}; {tolerance:.1e} was wanted")


@torch.no_grad()
def conjugate_gradients(
    matrix: Stencil,
    right: Tensor,
    precondition: Callable[[Tensor], Tensor] = lambda residual: residual,
    tolerance: float = 1e-7,
    iterations: int = 500,
) -> Tensor:
    """x with matrix · x = right, for all columns at once: (N, k) → (N, k).

    It ends when ‖b − Ax‖ ≤ `tolerance`·‖b‖ in every column. matrix and preconditioner are symmetric and positive
    definite. Raises NotConverged after so many iterations. Source: Hestenes & Stiefel 1952.
    """
    size, wanted = size_of(matrix.values), tolerance * right.norm(dim=0)
    x, residual, direction, before = torch.zeros_like(right), right.clone(), torch.zeros_like(right), right.new_ones(1)
    for _ in range(iterations):
        if bool((residual.norm(dim=0) <= wanted).all()):
            return x
        preconditioned = precondition(residual)
        product = (residual * preconditioned).sum(0)
        direction = preconditioned + product / before * direction
        before = product.where(product > 0, torch.ones_like(product))  # a column of zeros stays one
        image = matrix.apply(direction.T.reshape(-1, *size)).flatten(1).T
        slope = (direction * image).sum(0)
        step = product / slope.where(slope > 0, torch.ones_like(slope))
        x += step * direction
        residual -= step * image
    if bool((residual.norm(dim=0) <= wanted).all()):
        return x
    raise NotConverged(float((tolerance * residual.norm(dim=0) / wanted).nan_to_num().max()), iterations, tolerance)


class Tiles:
    """Σ_T P_T A_T⁻¹ P_Tᵀ: each tile's part of the matrix solved by itself; called with (N, k), it gives (N, k).

    Tiles are `side` pixels apart and reach an eighth of that beyond. Before and after, a pixel is weighted by the root
    of its share in each tile: shares fall off towards the tile's edge and add up to 1 (weights that jump there cost
    several times the iterations). `side=None`: one tile, the whole picture.
    """

    def __init__(self, matrix: Stencil, side: int | None = None, dtype: torch.dtype = torch.float32):
        _, height, width = matrix.values.shape
        (tops, high), (lefts, wide) = (_starts(length, side or length) for length in (height, width))
        device = matrix.values.device
        rows, columns = (torch.arange(length, device=device) for length in (high, wide))
        corners = [top * width + left for top, left in itertools.product(tops, lefts)]
        self._pixels = torch.cat([(corner + rows[:, None] * width + columns).flatten() for corner in corners])
        stacked = matrix.values.flatten(1)[:, self._pixels].view(-1, len(corners) * high, wide)
        self.factor = Dissection(Stencil(matrix.offsets, stacked), dtype=dtype, count=len(corners))
        share = (_ramp(high, side)[:, None] * _ramp(wide, side)).to(matrix.values).flatten().repeat(len(corners))
        total = share.new_zeros(height * width).index_add_(0, self._pixels, share)
        self._weights = (share / total[self._pixels]).sqrt()[:, None]

    def __call__(self, residual: Tensor) -> Tensor:
        found = self.factor.solve(residual[self._pixels] * self._weights).to(residual)
        return torch.zeros_like(residual).index_add_(0, self._pixels, found * self._weights)


def _starts(length: int, side: int) -> tuple[list[int], int]:
    """Where tiles begin along a side, and how long they are; the first and last are moved inside."""
    count, overlap = -(-length // side), side // 8
    long = min(length, side + 2 * overlap)
    return [min(max(0, i * side - overlap), length - long) for i in range(count)], long


def _ramp(length: int, side: int | None) -> Tensor:
    """Up to 1 over the overlap of two tiles, and down again at the other end."""
    places = torch.arange(1, length + 1, dtype=torch.float64)
    return (torch.minimum(places, places.flip(0)) / (2 * ((side or length) // 8) + 1)).clamp(max=1)


def tile_side(size: Size, reach: int, limit: float, item: int = 4) -> int | None:
    """The largest tiles (None: the whole picture) that take at most `limit` bytes in numbers of `item`, or else 128."""
    for side in (None, 1024, 512, 256):
        (tops, high), (lefts, wide) = (_starts(length, side or length) for length in size)
        if len(tops) * len(lefts) * predict_bytes((high, wide), reach, item) <= limit:
            return side
    return 128
