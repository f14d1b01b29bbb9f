"""styletx/graph/nested_dissection.py: against scipy's solver, on grids of every shape."""

import numpy as np
import pytest
import torch
from fuzz import FUZZ
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import spsolve

from styletx.graph import nested_dissection
from styletx.graph.nested_dissection import Dissection, predict_bytes
from styletx.graph.stencil import Stencil, overlap, window


def matrix(height, width, reach, seed=0):
    """A symmetric matrix with couplings of either sign up to `reach`, diagonally dominant."""
    generator = torch.Generator().manual_seed(seed)
    offsets = window(reach)
    values = torch.zeros(len(offsets), height, width, dtype=torch.float64)
    for k, offset in enumerate(offsets):
        if offset > (0, 0):
            here, there = overlap(offset, (height, width))
            drawn = torch.rand(values[k][here].shape, generator=generator, dtype=torch.float64) - 0.3
            values[k][here] = drawn
            values[offsets.index((-offset[0], -offset[1]))][there] = drawn
    stencil = Stencil(offsets, values)
    stencil.centre().copy_(values.abs().sum(0) + 0.01)
    return stencil


@settings(max_examples=40 * FUZZ, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 3), st.integers(0, 99))
@example(1, 200, 2, 0)
@example(150, 1, 1, 0)
@example(2, 90, 3, 0)
def test_the_solution_is_scipys(height, width, reach, seed):
    stencil = matrix(height, width, reach, seed)
    right = np.random.default_rng(seed).random((height * width, 3))
    expected = spsolve(stencil.csr().tocsc(), right).reshape(right.shape)
    factor = Dissection(stencil)
    assert np.allclose(factor.solve(torch.from_numpy(right)), expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())
    single = factor.solve(torch.from_numpy(right[:, 0]))  # a vector is a vector
    assert single.shape == (height * width,)
    assert np.allclose(single, expected[:, 0], rtol=1e-8, atol=1e-8 * np.abs(expected).max())


def test_scipys_matrices_do_as_well():
    """A graph's Laplacian plus 1, from scipy, with the smallest and with a larger reach."""
    from styletx.graph.affinity import grid_graph

    graph = grid_graph(20, 31).astype(float)
    system = sparse.csr_array(sparse.diags_array(graph.sum(1) + 1) - graph)
    right = np.random.default_rng(0).random((620, 2))
    expected = spsolve(system.tocsc(), right)
    for reach in (1, 2):
        assert np.allclose(Dissection(system, (20, 31), reach).solve(torch.from_numpy(right)), expected, atol=1e-12)


def test_portions_and_threads_change_nothing(monkeypatch):
    stencil, right = matrix(60, 45, 2), torch.rand(2700, 3, dtype=torch.float64)
    expected, threads = Dissection(stencil).solve(right), torch.get_num_threads()
    monkeypatch.setattr(nested_dissection, "CHUNK", 1)  # each region by itself
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found = Dissection(stencil).solve(right)
            assert torch.allclose(found, expected, atol=1e-12)
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)


def test_grids_below_each_other_are_solved_apart():
    parts = [matrix(17, 12, 2, seed) for seed in range(3)]
    stacked = Stencil(parts[0].offsets, torch.cat([part.values for part in parts], 1))
    right = torch.rand(3 * 17 * 12, 2, dtype=torch.float64)
    found = Dissection(stacked, count=3).solve(right).chunk(3)
    for part, one, mine in zip(parts, right.chunk(3), found, strict=True):
        assert torch.allclose(Dissection(part).solve(one), mine, atol=1e-12)


def test_single_precision():
    stencil, right = matrix(40, 50, 1), torch.rand(2000, 1, dtype=torch.float64)
    factor = Dissection(stencil, dtype=torch.float32)
    found = factor.solve(right)
    assert found.dtype == torch.float32 and factor.bytes * 2 == Dissection(stencil).bytes
    assert torch.allclose(found.double(), Dissection(stencil).solve(right), rtol=1e-3, atol=1e-3)


def test_memory_is_predicted():
    """The factor is counted to the byte, and far below the N²/2 numbers of a dense one."""
    factor = Dissection(matrix(90, 120, 2))
    held = sum(group.lower.nbytes + group.side.nbytes for level in factor._levels for group in level)
    assert factor.bytes == held
    assert held < predict_bytes((90, 120), 2) < 3 * held < 8 * 10800**2 / 20


def test_it_says_what_is_wrong():
    stencil = matrix(10, 12, 1)
    stencil.centre()[4, 4] = -1
    with pytest.raises(ValueError, match="not positive definite"):
        Dissection(stencil)
    with pytest.raises(ValueError, match="^matrix:"):
        Dissection(sparse.eye_array(10, format="csr"), (3, 4))
    with pytest.raises(ValueError, match="^right:"):
        Dissection(matrix(3, 4, 1)).solve(torch.rand(5, 3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_solves_it_too():
    stencil, right = matrix(70, 55, 2), torch.rand(3850, 3, dtype=torch.float64)
    found = Dissection(stencil, device="cuda").solve(right.cuda())
    assert torch.allclose(found.cpu(), Dissection(stencil).solve(right), atol=1e-10)
