"""styletx/losses/distributions.py and the statistics behind it: by hand, and against NumPy, scikit-image and POT."""

import numpy as np
import ot
import pytest
import torch
from fuzz import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.exposure import match_histograms as their_match

from styletx.losses import (
    bn_loss,
    centred_gram_loss,
    covariance_loss,
    gram_loss,
    histogram_loss,
    multiscale_gram_loss,
    shifted_gram_loss,
    sliced_wasserstein,
)
from styletx.statistics import at_ranks, centred_gram, match_histograms, moments, multiscale_gram, ranked, shifted_gram

STYLE_LOSSES = [
    bn_loss,
    centred_gram_loss,
    covariance_loss,
    histogram_loss,
    shifted_gram_loss(1),
    multiscale_gram_loss(2),
    sliced_wasserstein(),
]


def features(seed, size=(4, 5), channels=3):
    return torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def even(count):
    return torch.full((count,), 1 / count, dtype=torch.float64)


def test_moments_by_numpy():
    value = features(0)
    found = moments(value)[0]
    flat = value[0].flatten(1).numpy()
    assert np.allclose(found[0], flat.mean(1)) and np.allclose(found[1], flat.std(1))
    assert float(bn_loss(value, features(1))) == pytest.approx(
        float((found - moments(features(1))[0]).square().sum() / 3)
    )


def test_centred_gram_matrices_by_numpy():
    value = features(0)
    flat = value[0].flatten(1).numpy()
    assert np.allclose(centred_gram(value, centre="channel")[0], np.cov(flat, bias=True))
    moved = flat - flat.mean()
    assert np.allclose(centred_gram(value)[0], moved @ moved.T / moved.shape[1])
    with pytest.raises(ValueError, match="centre"):
        centred_gram(value, centre="picture")


def test_shifted_gram_by_loops():
    value, shift = features(0, (4, 6)), 2
    v = value[0].numpy()
    across = sum(np.outer(v[:, i, j], v[:, i, j + shift]) for i in range(4) for j in range(4)) / 16
    down = sum(np.outer(v[:, i, j], v[:, i + shift, j]) for i in range(2) for j in range(6)) / 12
    assert np.allclose(shifted_gram(value, shift=shift)[0], [across, down])
    with pytest.raises(ValueError, match="shift: 4"):
        shifted_gram(value, shift=4)


def test_multiscale_gram_by_loops():
    value = features(0, (4, 6))
    v = value[0].numpy()
    half = np.array([[[c[i : i + 2, j : j + 2].mean() for j in (0, 2, 4)] for i in (0, 2)] for c in v])
    found = multiscale_gram(value, scales=2)[0]
    for matrix, cloud in zip(found, (v, half), strict=True):
        flat = cloud.reshape(3, -1)
        assert np.allclose(matrix, flat @ flat.T / flat.shape[1])
    assert multiscale_gram(features(0, (1, 3)), scales=4).shape == (1, 4, 3, 3)


@pytest.mark.parametrize("loss", STYLE_LOSSES, ids=lambda loss: loss.name)
def test_a_mask_of_ones_changes_nothing_and_a_region_is_its_own_picture(loss):
    value, other = features(0, (4, 8)), features(1, (4, 8))
    ones = torch.ones(1, 1, 4, 8, dtype=torch.float64)
    assert float(loss(value, other, ones, ones)) == pytest.approx(float(loss(value, other)), rel=1e-9)
    left = ones.clone()
    left[..., 4:] = 0
    alone = float(loss(value[..., :4], other))
    assert float(loss(value, other, left)) == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize("loss", STYLE_LOSSES, ids=lambda loss: loss.name)
def test_gradients_and_zero(loss):
    """gradcheck through everything but a matching, whose target is held fixed; a cloud is at distance 0 from itself."""
    x = features(0).requires_grad_(True)
    target = loss.prepare(features(1, (5, 5)))
    if loss is not histogram_loss:
        assert torch.autograd.gradcheck(lambda value: loss.compare(value, target), (x,))
    assert float(loss(x, x.detach())) == pytest.approx(0, abs=1e-12)


def test_histogram_gradient_holds_the_target_fixed():
    x = features(0).requires_grad_(True)
    reference = features(1)
    (slope,) = torch.autograd.grad(histogram_loss(x, reference), x)
    flat = x.detach()[0].flatten(1)
    matched = match_histograms(flat, even(20), ranked(reference[0].flatten(1), even(20)))
    assert torch.allclose(slope[0].flatten(1), 2 * (flat - matched) / 60)


def test_histogram_matching_as_scikit_image_where_it_applies():
    """Equally many values, none of them twice: both put the k-th smallest where the reference's k-th smallest is."""
    x, y = features(0, (6, 6), 1)[0], features(1, (6, 6), 1)[0]
    mine = match_histograms(x.flatten(1), even(36), ranked(y.flatten(1), even(36)))
    theirs = their_match(x[0].numpy(), y[0].numpy())
    assert np.allclose(mine.view(6, 6), theirs)


def test_ties_go_to_one_value():
    """Three zeros take up the three lowest quantiles together: each becomes their mean."""
    x = torch.tensor([[0.0, 0.0, 0.0, 5.0]], dtype=torch.float64)
    y = torch.tensor([[1.0, 2.0, 6.0, 10.0]], dtype=torch.float64)
    assert match_histograms(x, even(4), ranked(y, even(4))).tolist() == [[3.0, 3.0, 3.0, 10.0]]


@settings(max_examples=40 * FUZZ, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_matching_any_two_sizes(n, m, seed):
    """Order is kept, nothing leaves the reference's range, and its own values are left where they are."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 4, (2, n), generator=generator).double()
    y = torch.rand(2, m, generator=generator, dtype=torch.float64)
    matched = match_histograms(x, even(n), ranked(y, even(m)))
    assert bool((matched.min(1).values >= y.min(1).values - 1e-12).all())
    assert bool((matched.max(1).values <= y.max(1).values + 1e-12).all())
    for row, before in zip(matched, x, strict=True):
        order = before.argsort()
        assert bool((row[order].diff() >= -1e-12).all())
    assert torch.allclose(match_histograms(y, even(m), ranked(y, even(m))), y)


def test_quantiles_by_numpy():
    values = torch.rand(2, 7, dtype=torch.float64)
    at = torch.tensor([0.0, 0.1, 0.5, 0.77, 1.0], dtype=torch.float64)
    theirs = np.quantile(values.numpy(), at.numpy(), axis=1, method="hazen").T
    assert np.allclose(at_ranks(ranked(values, even(7)), at), theirs)


def test_sliced_wasserstein_by_pot():
    """The same directions, the same distance; sizes that differ come close (quantiles against exact transport)."""
    loss = sliced_wasserstein(directions=16)
    x, y = features(0, (5, 6)), features(1, (5, 6))
    target = loss.prepare(y)
    projections = target.directions.numpy().T
    theirs = ot.sliced_wasserstein_distance(
        x[0].flatten(1).numpy().T, y[0].flatten(1).numpy().T, projections=projections
    )
    assert float(loss.compare(x, target)) == pytest.approx(theirs**2, rel=1e-9)
    large = features(2, (20, 20))
    target = loss.prepare(large)
    theirs = ot.sliced_wasserstein_distance(
        x[0].flatten(1).numpy().T, large[0].flatten(1).numpy().T, projections=target.directions.numpy().T
    )
    assert float(loss.compare(x, target)) == pytest.approx(theirs**2, rel=0.15)
    moved = loss.update(x, target)
    assert not torch.equal(moved.directions, target.directions)
    assert torch.allclose(moved.directions.norm(dim=1), torch.ones(16, dtype=torch.float64))


def test_equal_gram_other_histogram():
    """G = Σ + μμᵀ: a constant 1 and a spike of √N among zeros have one Gram matrix; the histogram tells them apart."""
    constant = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    spike = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    spike[..., 1, 2] = 4
    assert float(gram_loss(constant, spike)) == 0
    assert float(histogram_loss(constant, spike)) > 0.1 and float(bn_loss(constant, spike)) > 0.1


@pytest.mark.parametrize("loss", STYLE_LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("size", [(2, 2), (2, 9)])
def test_degenerate_clouds_are_defined(loss, size):
    """Constant features, a region of one cell and an empty one: finite values and slopes."""
    for value in (torch.zeros(1, 3, *size), torch.ones(1, 3, *size)):
        x = value.clone().requires_grad_(True)
        one, none = torch.zeros(1, 1, *size), torch.zeros(1, 1, *size)
        one[..., 0, 0] = 1
        for mask in (None, one, none):
            (slope,) = torch.autograd.grad(loss(x, features(0).float(), mask), x, allow_unused=True)
            assert slope is None or bool(slope.isfinite().all())
