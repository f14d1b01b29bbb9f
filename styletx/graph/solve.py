"""Linear systems on a grid of pixels: directly where there is room for the factor, else by conjugate gradients."""

import torch
from torch import Tensor

from ..checks import check_choice, check_whole
from ..devices import free_memory
from ..images import size_of
from .conjugate_gradients import Tiles, conjugate_gradients, tile_side
from .nested_dissection import Dissection, predict_bytes
from .stencil import Stencil

SOLVERS = ("auto", "direct", "cg")


class Solver:
    """x with matrix · x = right for a symmetric, positive definite matrix: prepared once, called with (N, k).

    `solver`: "direct" factorises the matrix (float64); "cg" takes less memory, however large the picture: conjugate
    gradients to a residual of `tolerance`, preconditioned on tiles of `side` pixels (None: as large as there is room
    for) that are factorised in `precision`; "auto" is direct where that takes no more than half of the free memory.
    Raises ValueError for another solver or size of tiles, NotConverged (when called) after so many `iterations`.
    """

    def __init__(
        self,
        matrix: Stencil,
        solver: str = "auto",
        *,
        side: int | None = None,
        tolerance: float = 1e-7,
        iterations: int = 500,
        precision: torch.dtype = torch.float64,
    ):
        check_choice("solver", solver, SOLVERS)
        check_whole("iterations", iterations, 1)
        if side is not None:
            check_whole("side", side, 16)
        self.matrix, self.tolerance, self.iterations = matrix, tolerance, iterations
        size, room = size_of(matrix.values), free_memory(matrix.values.device) / 2
        if solver == "auto":
            solver = "direct" if predict_bytes(size, matrix.reach) <= room else "cg"
        self.solver = solver
        self._direct: Dissection | None = None
        self._tiles: Tiles | None = None
        if solver == "direct":
            self._direct = Dissection(matrix)
        else:
            if side is None:
                side = tile_side(size, matrix.reach, room, torch.finfo(precision).bits // 8)
            self._tiles = Tiles(matrix, side, precision)

    def __call__(self, right: Tensor) -> Tensor:
        """(N, k) → (N, k), in float64."""
        right = right.to(self.matrix.values.device).double()
        if self._tiles is not None:
            return conjugate_gradients(self.matrix, right, self._tiles, self.tolerance, self.iterations)
        assert self._direct is not None
        return self._direct.solve(right)


def solve(matrix: Stencil, right: Tensor, solver: str = "auto") -> Tensor:
    """x with matrix · x = right, (N,) → (N,) or (N, k) → (N, k); raises as `Solver`, which keeps what is prepared."""
    return Solver(matrix, solver)(right.view(len(right), -1)).view(right.shape)
