"""styletx/graph/solve.py: both solvers against scipy's, and what is chosen where memory is short."""

import pytest
import torch
from scipy.sparse.linalg import spsolve

from styletx import load
from styletx.graph import solve as module
from styletx.graph.affinity import gaussian_stencil
from styletx.graph.conjugate_gradients import NotConverged
from styletx.graph.matting import matte, matting_stencil
from styletx.graph.nested_dissection import predict_bytes
from styletx.graph.solve import Solver, solve
from styletx.graph.stencil import Stencil
from styletx.segments import cluster, refine


@pytest.fixture(scope="module")
def system():
    affinity = gaussian_stencil(load("china", 64).double())
    matrix = Stencil(affinity.offsets, -affinity.values)
    matrix.centre().add_(1.01 * affinity.values.sum(0))
    return matrix, torch.rand(matrix.values[0].numel(), 2, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("solver", ["direct", "cg", "auto"])
def test_every_solver_solves(system, solver):
    matrix, right = system
    expected = torch.from_numpy(spsolve(matrix.csr().tocsc(), right.numpy()))
    assert torch.allclose(solve(matrix, right, solver), expected, rtol=1e-5, atol=1e-5)
    assert torch.allclose(solve(matrix, right[:, 0], solver), expected[:, 0], rtol=1e-5, atol=1e-5)
    for precision in (torch.float32, torch.float64):
        tiled = Solver(matrix, "cg", side=16, precision=precision)
        assert torch.allclose(tiled(right), expected, rtol=1e-5, atol=1e-5)


def test_tiles_are_as_large_as_their_precision_allows(system, monkeypatch):
    """Half of the memory for the whole picture in double precision: one tile of single numbers, several of double."""
    matrix, _ = system
    asked = []
    monkeypatch.setattr(module, "Tiles", lambda matrix, side, precision: asked.append((precision, side)))
    whole = predict_bytes((matrix.values.shape[-2], matrix.values.shape[-1]), matrix.reach, 8)
    monkeypatch.setattr(module, "free_memory", lambda device: 2 * 0.75 * whole)
    for precision in (torch.float32, torch.float64):
        Solver(matrix, "cg", precision=precision)
    assert asked[0] == (torch.float32, None) and asked[1][0] == torch.float64 and asked[1][1] is not None


def test_the_direct_one_is_taken_where_there_is_room(system, monkeypatch):
    matrix, right = system
    assert Solver(matrix).solver == "direct"
    monkeypatch.setattr(module, "free_memory", lambda device: 10)
    assert Solver(matrix).solver == "cg"


def test_bad_arguments_are_named(system):
    matrix, right = system
    for wrong in (dict(solver="jacobi"), dict(iterations=0), dict(side=4)):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Solver(matrix, **wrong)
    with pytest.raises(NotConverged):
        Solver(matrix, "cg", side=16, iterations=1)(right)


def test_mattes_and_segments_have_a_way_out_of_memory(monkeypatch):
    """The iterative solver, on several tiles, gives what the direct one gives."""
    monkeypatch.setattr(module, "tile_side", lambda *_: 24)
    photo = load("china", size=72)
    marks = torch.full(photo.shape[-2:], 0.5)
    marks[:6], marks[-6:] = 0, 1
    assert torch.allclose(matte(photo, marks, solver="cg"), matte(photo, marks, solver="direct"), atol=1e-3)
    masks = cluster(photo, count=3)[0]
    found, expected = (refine(masks, photo, solver=solver) for solver in ("cg", "direct"))
    assert torch.allclose(found, expected, atol=1e-4)
    assert float((found.argmax(1) != masks.argmax(1)).float().mean()) > 0  # it did something
    assert matting_stencil(photo).reach == 2
