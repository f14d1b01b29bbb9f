"""styletx/methods/smoothing.py: against dense algebra, the objective that it minimises, and known answers."""

import numpy as np
import pytest
import torch
from fuzz import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve

from styletx import load, resize
from styletx.graph.affinity import gaussian_affinity, normalised
from styletx.graph.matting import matting_affinity
from styletx.methods.smoothing import NotConverged, Smoother, box_mean, guided_filter, objective, smooth

AFFINITIES = {"matting": matting_affinity, "gaussian": gaussian_affinity}


@pytest.fixture(scope="module")
def photo():
    return load("china", 96)


@pytest.fixture(scope="module")
def painted(photo):
    """The photo with other colours in coarse blocks: what stylisation leaves to be smoothed."""
    generator = torch.Generator().manual_seed(0)
    blocks = torch.rand(1, 3, 8, 12, generator=generator)
    return 0.5 * photo + 0.5 * torch.nn.functional.interpolate(blocks, tuple(photo.shape[-2:]))


def noise(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def columns(image):
    return image[0].flatten(1).T.double()


@pytest.mark.slow
@pytest.mark.parametrize("affinity", AFFINITIES)
@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_the_closed_form_by_scipy(photo, painted, affinity, solver):
    """R = (1 − α)(1 − αS)⁻¹ Y, and with √D around it, from the sparse matrices."""
    weights, alpha = AFFINITIES[affinity](photo), 0.999
    root = np.sqrt(np.asarray(weights.sum(1)).ravel())[:, None]
    system = (-alpha * normalised(weights)).tolil()
    system.setdiag(system.diagonal() + 1)
    system, y = system.tocsc(), columns(painted).numpy()
    expected = {
        "symmetric": spsolve(system, (1 - alpha) * y),
        "random-walk": spsolve(system, (1 - alpha) * root * y) / root,
    }
    for normalise in expected:
        smoother = Smoother(photo, alpha=alpha, normalise=normalise, affinity=affinity, solver=solver, side=32)
        assert np.abs(smoother.solve(columns(painted)).numpy() - expected[normalise]).max() < 1e-6
        picture = expected[normalise].T.reshape(1, 3, *photo.shape[-2:]).clip(0, 1)
        assert np.abs(smoother(painted).numpy() - picture).max() < 2e-6


@pytest.mark.parametrize("affinity", AFFINITIES)
def test_the_symmetric_form_is_the_minimiser(affinity):
    """Its gradient vanishes and every step away is worse; so it is not for the random walk's form."""
    image, y = noise(9, 11), columns(noise(9, 11, 1))
    weights = AFFINITIES[affinity](image)
    found = Smoother(image, alpha=0.9, normalise="symmetric", affinity=affinity).solve(y).requires_grad_()
    value = objective(found, y, weights, 0.9)
    (slope,), best = torch.autograd.grad(value, found), float(value.detach())
    assert float(slope.abs().max()) < 1e-10
    for seed in range(5):
        step = 0.01 * columns(noise(9, 11, 10 + seed))
        assert float(objective(found.detach() + step, y, weights, 0.9)) > best
    other = Smoother(image, alpha=0.9, affinity=affinity).solve(y)
    assert float(objective(other, y, weights, 0.9)) > best


def test_where_the_half_stands():
    """With ½ around both sums the same closed form has a gradient: it is not that objective's minimiser."""
    image, y = noise(6, 5), columns(noise(6, 5, 1))
    weights = gaussian_affinity(image)
    found = Smoother(image, alpha=0.9, normalise="symmetric", affinity="gaussian").solve(y).requires_grad_()
    lopsided = objective(found, y, weights, 0.9) - (1 / 0.9 - 1) * (found - y).square().sum() / 2
    (slope,) = torch.autograd.grad(lopsided, found)
    assert float(slope.abs().max()) > 1e-3


def test_reading_off_the_diagonal_smooths_nothing():
    """(1 − α)(1 − αS)⁻¹ diag(y): its row sums are the answer; its diagonal scales each pixel by itself (ERRATA 1)."""
    image, y = noise(4, 4), columns(noise(4, 4, 1))[:, :1]
    alpha = 0.9
    inverse = torch.linalg.inv(torch.eye(16) - alpha * torch.from_numpy(normalised(gaussian_affinity(image)).toarray()))
    slide = (1 - alpha) * inverse @ torch.diag(y[:, 0])
    found = Smoother(image, alpha=alpha, normalise="symmetric", affinity="gaussian").solve(y)[:, 0]
    assert torch.allclose(slide.sum(1), found, atol=1e-12)
    assert torch.allclose(slide.diagonal() / y[:, 0], (1 - alpha) * inverse.diagonal(), atol=1e-12)
    changed = y.clone()
    changed[5] += 1
    moved = Smoother(image, alpha=alpha, normalise="symmetric", affinity="gaussian").solve(changed)[:, 0]
    others = torch.arange(16) != 5
    assert bool((moved - found)[others].abs().min() > 1e-4)  # the solve carries a change to every pixel
    after = ((1 - alpha) * inverse @ torch.diag(changed[:, 0])).diagonal()
    assert torch.equal(after[others], slide.diagonal()[others])


@pytest.mark.parametrize("affinity", AFFINITIES)
def test_a_constant_stays_in_the_random_walk_only(photo, affinity):
    flat = torch.full((photo.shape[-2] * photo.shape[-1], 1), 0.5, dtype=torch.float64)
    kept = Smoother(photo, affinity=affinity).solve(flat)
    assert float((kept - 0.5).abs().max()) < 1e-6
    papers = Smoother(photo, affinity=affinity, normalise="symmetric").solve(flat)
    assert float((papers - 0.5).abs().max()) > 0.1


@settings(max_examples=25 * FUZZ, deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 12), st.sampled_from(list(AFFINITIES)), st.sampled_from(["direct", "cg"]),
    st.booleans(), st.sampled_from([0.0, 0.5, 0.9999]),
)  # fmt: skip
def test_small_odd_and_constant_pictures(height, width, affinity, solver, constant, alpha):
    """Finite, a constant kept, nothing outside the range of Y by a positive affinity, and α = 0 changes nothing."""
    content = torch.full((1, 3, height, width), 0.4) if constant else noise(height, width)
    y = columns(noise(height, width, 1))
    smoother = Smoother(content, affinity=affinity, solver=solver, alpha=alpha)
    found = smoother.solve(torch.cat([y, torch.ones_like(y[:, :1])], 1))
    assert bool(found.isfinite().all()) and torch.allclose(found[:, 3], torch.ones(len(y)).double(), atol=1e-6)
    if affinity == "gaussian":
        assert float(found[:, :3].min()) > float(y.min()) - 1e-6 and float(found[:, :3].max()) < float(y.max()) + 1e-6
    if alpha == 0 or (affinity == "matting" and min(height, width) < 3):  # no window: every pixel is alone
        assert torch.allclose(found[:, :3], y, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("affinity", AFFINITIES)
@pytest.mark.parametrize("side", [None, 32])
def test_cg_is_direct(photo, painted, affinity, side):
    direct = Smoother(photo, affinity=affinity, solver="direct").solve(columns(painted))
    found = Smoother(photo, affinity=affinity, solver="cg", side=side).solve(columns(painted))
    assert float((found - direct).abs().max()) < 1e-6


def test_it_smooths(photo, painted):
    """Blocks that the photo does not have are gone, edges that it has are kept."""
    found = smooth(painted, photo)

    def roughness(image):
        return float((image[..., 1:] - image[..., :-1] - (photo[..., 1:] - photo[..., :-1])).abs().mean())

    assert found.dtype == torch.float32 and found.shape == painted.shape
    assert roughness(found) < 0.8 * roughness(painted)
    assert float((found.mean((2, 3)) - painted.mean((2, 3))).abs().max()) < 0.02


def test_smooth_is_its_smoother(photo, painted):
    expected = Smoother(photo, alpha=0.99, affinity="gaussian", connectivity=8)(painted)
    assert torch.equal(smooth(painted, photo, alpha=0.99, affinity="gaussian", connectivity=8), expected)
    assert torch.equal(smooth(painted, photo, solver="guided"), guided_filter(painted, photo, 35, 1e-3))
    larger = resize(photo, (photo.shape[-2] * 2, photo.shape[-1] * 2))
    assert smooth(painted, larger, affinity="gaussian").shape == painted.shape


def test_it_does_not_converge_in_two_iterations(photo, painted):
    with pytest.raises(NotConverged, match="^iterations: after 2 the residual is") as caught:
        Smoother(photo, solver="cg", side=16, iterations=2)(painted)
    assert caught.value.residual > 1e-8


@pytest.mark.parametrize(
    "arguments",
    [dict(alpha=1.0), dict(alpha=-0.1), dict(alpha=float("nan")), dict(normalise="none"), dict(affinity="rgb"),
     dict(solver="lu"), dict(iterations=0), dict(side=3), dict(eps=0.0), dict(radius=0), dict(device="tpu")],
)  # fmt: skip
def test_it_says_what_is_wrong(photo, arguments):
    with pytest.raises(ValueError, match=f"^{next(iter(arguments))}:"):
        Smoother(photo, **arguments)


def test_pictures_must_go_together(photo, painted):
    with pytest.raises(ValueError, match="^stylised, content: .* one aspect"):
        smooth(painted, photo[..., :50])
    with pytest.raises(ValueError, match="^stylised:"):
        Smoother(photo)(painted[..., :50])
    with pytest.raises(ValueError, match="^stylised:"):
        smooth(painted[0], photo)
    with pytest.raises(ValueError, match="^alpha:"):
        smooth(painted, photo, alpha=1)
    with pytest.raises(ValueError, match="^stylised, content:"):
        guided_filter(painted, photo[..., :50])
    for arguments in (dict(radius=0), dict(eps=0)):
        with pytest.raises(ValueError, match=f"^{next(iter(arguments))}:"):
            guided_filter(painted, photo, **arguments)


@settings(max_examples=25 * FUZZ, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12))
def test_box_mean_window_by_window(height, width, radius):
    x = noise(height, width)[0, 0]
    rows = [[x[max(0, i - radius) : i + radius + 1, max(0, j - radius) : j + radius + 1].mean() for j in range(width)]
            for i in range(height)]  # fmt: skip
    assert torch.allclose(box_mean(x, radius), torch.tensor(rows).double(), atol=1e-12)


def test_guided_filter_by_least_squares():
    """(a_k, b_k) of each window is a ridge regression, here solved as one; a constant picture stays."""
    content, stylised, radius, eps = noise(7, 8), noise(7, 8, 1), 2, 0.01
    guide, p = content[0].numpy(), stylised[0].numpy()
    sums, counts = np.zeros((3, 4, 7, 8)), np.zeros((7, 8))
    for i in range(7):
        for j in range(8):
            window = np.s_[max(0, i - radius) : i + radius + 1, max(0, j - radius) : j + radius + 1]
            pixels = guide[:, *window].reshape(3, -1).T
            count = len(pixels)
            design = np.block([[pixels, np.ones((count, 1))], [np.sqrt(eps * count) * np.eye(3), np.zeros((3, 1))]])
            wanted = np.concatenate([p[:, *window].reshape(3, -1).T, np.zeros((3, 3))])
            sums[:, :, *window] += np.linalg.lstsq(design, wanted, rcond=None)[0].T[:, :, None, None]
            counts[window] += 1
    expected = ((sums[:, :3] * guide).sum(1) + sums[:, 3]) / counts
    found = guided_filter(stylised, content, radius, eps)
    assert np.abs(found[0].numpy() - expected.clip(0, 1)).max() < 1e-6
    flat = torch.full((1, 3, 7, 8), 0.3)
    assert torch.allclose(guided_filter(flat, content, radius, eps), flat, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("solver", ["direct", "cg", "guided"])
def test_cuda_agrees(photo, painted, solver):
    expected = smooth(painted, photo, solver=solver, device="cpu")
    assert torch.allclose(smooth(painted, photo, solver=solver, device="cuda"), expected, atol=1e-5)
