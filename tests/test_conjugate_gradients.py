"""styletx/graph/conjugate_gradients.py: conjugate gradients and their preconditioners against the direct solver."""

import pytest
import torch

from styletx import load
from styletx.graph.affinity import gaussian_stencil
from styletx.graph.conjugate_gradients import NotConverged, Tiles, conjugate_gradients, tile_side
from styletx.graph.nested_dissection import Dissection, predict_bytes
from styletx.graph.stencil import Stencil, window


@pytest.fixture(scope="module")
def system():
    """1.0001·D − W of a photo's Gaussian affinity, and right-hand sides."""
    photo = load("china", 96).double()
    affinity = gaussian_stencil(photo)
    matrix = Stencil(affinity.offsets, -affinity.values)
    matrix.centre().add_(1.0001 * affinity.values.sum(0))
    return matrix, photo[0].flatten(1).T.contiguous()


def dense(function, count):
    return function(torch.eye(count, dtype=torch.float64))


def test_conjugate_gradients_end_at_the_solution(system):
    """Also with a column of zeros, whose solution is 0."""
    matrix, right = system
    right = torch.cat([right, torch.zeros_like(right[:, :1])], 1)
    found = conjugate_gradients(matrix, right, tolerance=1e-10, iterations=5000)
    assert torch.allclose(found, Dissection(matrix).solve(right), atol=1e-6)
    assert not found[:, 3].any()


def test_preconditioners_save_iterations(system):
    """Tiles beat none, larger ones smaller ones, and one tile is a solver but for its single precision."""
    matrix, right = system
    choices = [lambda r: r, Tiles(matrix, 16), Tiles(matrix, 32), Tiles(matrix)]
    expected, needed = Dissection(matrix).solve(right), []
    for precondition in choices:
        calls = []

        def counted(residual, precondition=precondition, calls=calls):
            calls.append(1)
            return precondition(residual)

        found = conjugate_gradients(matrix, right, counted, iterations=5000)
        assert torch.allclose(found, expected, atol=1e-5 * float(expected.abs().max()))
        needed.append(len(calls))
    assert needed[0] > 5 * needed[1] and needed[1] > needed[2] > 2 * needed[3] and needed[3] <= 4, needed


def test_not_converged_says_how_far_it_got(system):
    matrix, right = system
    with pytest.raises(NotConverged, match="^iterations: after 3 the residual is") as caught:
        conjugate_gradients(matrix, right, iterations=3)
    assert 1e-8 < caught.value.residual < 1e3


def test_tiles_are_a_symmetric_sum_of_inverses():
    """One tile is the inverse; several are Σ P A_T⁻¹ Pᵀ with weights whose squares add up to 1."""
    generator = torch.Generator().manual_seed(0)
    values = -torch.rand(5, 24, 20, generator=generator, dtype=torch.float64)
    offsets = tuple(offset for offset in window(1) if 0 in offset)
    values[0, 0], values[4, -1], values[1, :, 0], values[3, :, -1] = 0, 0, 0, 0
    values[4, :-1], values[3, :, :-1] = values[0, 1:], values[1, :, 1:]
    values[2] = 0.1 - values[[0, 1, 3, 4]].sum(0)
    matrix = Stencil(offsets, values)
    full = torch.from_numpy(matrix.csr().toarray())
    assert torch.allclose(dense(Tiles(matrix, dtype=torch.float64), 480), torch.linalg.inv(full), atol=1e-9)
    found = dense(Tiles(matrix, 16, dtype=torch.float64), 480)
    pixels = torch.arange(480).view(24, 20)
    parts = [pixels[top : top + 20, left : left + 20].flatten() for top in (0, 4) for left in (0,)]
    # 24 pixels: tiles of 16 with 2 more on either side begin at 0 and, moved inside, at 4; 20 pixels: twice at 0
    ramp = torch.tensor([min(i + 1, 20 - i, 5) / 5 for i in range(20)]).double()
    parts = [part for part in parts for _ in range(2)]
    total = torch.zeros(480, dtype=torch.float64)
    for part in parts:
        total[part] += torch.outer(ramp, ramp).flatten()
    expected = torch.zeros_like(full)
    for part in parts:
        weights = torch.diag((torch.outer(ramp, ramp).flatten() / total[part]).sqrt())
        expected[part[:, None], part] += weights @ torch.linalg.inv(full[part][:, part]) @ weights
    assert torch.allclose(found, expected, atol=1e-9)


def test_tiles_follow_the_memory():
    size = (700, 1100)
    whole = predict_bytes(size, 2, 4)
    assert tile_side(size, 2, whole) is None
    tiles = [tile_side(size, 2, share * whole) for share in (0.99, 0.8, 0.6, 0.0)]
    assert None not in tiles and tiles == sorted(tiles, reverse=True) and tiles[-1] == 128
