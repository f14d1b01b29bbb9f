"""styletx/losses/kernels.py: against sums written out, Gram matrices, and distributions whose answer is known."""

import itertools
import math

import numpy as np
import pytest
import torch
from fuzz import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st

from styletx import gram, gram_loss
from styletx.losses import (
    gaussian_kernel,
    kernels,
    linear_kernel,
    median_bandwidth,
    mmd,
    mmd_linear_time,
    mmd_squared,
    mmd_unbiased,
    polynomial_kernel,
    two_sample_test,
    witness,
)

KERNELS = {
    "linear": (linear_kernel(), lambda a, b: a @ b),
    "square": (polynomial_kernel(2), lambda a, b: (a @ b) ** 2),
    "square, offset": (polynomial_kernel(2, 0.5), lambda a, b: (a @ b + 0.5) ** 2),
    "cubic": (polynomial_kernel(3, 1.0), lambda a, b: (a @ b + 1) ** 3),
    "gaussian": (gaussian_kernel(0.7), lambda a, b: math.exp(-((a - b) @ (a - b)) / (2 * 0.49))),
}


SIZES = st.tuples(st.integers(1, 5), st.integers(1, 5))


def points(channels, count, seed, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(channels, count, generator=generator, dtype=torch.float64) + shift


def uniform(x):
    return x, x.new_full((x.shape[1],), 1 / x.shape[1])


def written_out(k, x, y):
    """Every pair, in plain Python."""

    def mean(a, b):
        return np.mean([k(p, q) for p, q in itertools.product(a.T, b.T)])

    x, y = x.numpy(), y.numpy()
    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


@pytest.mark.parametrize("name", KERNELS)
def test_mmd_is_the_sum_over_all_pairs(name):
    kernel, k = KERNELS[name]
    x, y = points(3, 7, 0), points(3, 5, 1, shift=0.4)
    assert float(mmd_squared(kernel, uniform(x), uniform(y))) == pytest.approx(written_out(k, x, y), rel=1e-9)


@pytest.mark.parametrize("name", KERNELS)
def test_kernel_along_is_its_diagonal(name):
    kernel, k = KERNELS[name]
    x, y = points(3, 6, 0), points(3, 6, 1)
    assert torch.allclose(kernel.along(x, y), kernel(x, y).diagonal())
    assert float(kernel(x, y)[2, 4]) == pytest.approx(k(x[:, 2].numpy(), y[:, 4].numpy()))


@pytest.mark.parametrize("sizes", [((4, 5), (4, 5)), ((4, 5), (3, 7))], ids=["equal", "unequal"])
def test_gram_loss_is_mmd_with_the_second_order_kernel(sizes):
    """E_s = Σ(G − A)²/(4N²M²) = MMD²/(4N²) with G, A undivided and M each picture's own number of positions."""
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(1, 6, *size, generator=generator, dtype=torch.float64) for size in sizes)
    channels = 6
    squared = float(mmd("polynomial", degree=2)(first, second))
    g, a = (value[0].flatten(1) @ value[0].flatten(1).T / value[0][0].numel() for value in (first, second))
    gatys = float((g - a).square().sum()) / (4 * channels**2)
    assert gatys == pytest.approx(squared / (4 * channels**2), rel=1e-12)
    assert float(gram_loss(first, second)) == pytest.approx(squared / channels**2, rel=1e-12)


def test_mixing_gram_matrices_and_mixing_losses_pull_alike():
    """∇ Σ w_i ‖G − A_i‖² = ∇ ‖G − Σ w_i A_i‖² for weights that sum to 1; the values differ by a constant."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 4, 5, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    styles = [torch.rand(1, 4, 6, 3, generator=generator, dtype=torch.float64) for _ in range(3)]
    shares = (0.2, 0.5, 0.3)
    losses = sum(w * gram_loss(x, s) for w, s in zip(shares, styles, strict=True))
    mixture = sum(w * gram(s) for w, s in zip(shares, styles, strict=True))
    (one,) = torch.autograd.grad(losses, x)
    (other,) = torch.autograd.grad((gram(x) - mixture).square().mean(), x)
    assert torch.allclose(one, other, rtol=1e-9, atol=1e-12 * float(one.abs().max()))


@pytest.mark.parametrize("name", ["cubic", "gaussian"])
@pytest.mark.parametrize("block", [1, 30, 10**9])
def test_blocks_are_the_dense_sum_forward_and_backward(name, block):
    kernel, _ = KERNELS[name]
    x, y = points(3, 23, 0).requires_grad_(True), points(3, 17, 1)

    def total(size):
        (a, w), (b, v) = uniform(x), uniform(y)
        return kernels.kernel_mean(kernel, (a, w), (a, w), size) - 2 * kernels.kernel_mean(kernel, (a, w), (b, v), size)

    dense = kernel(x, x).mean() - 2 * kernel(x, y).mean()
    (expected,) = torch.autograd.grad(dense, x)
    found = total(block)
    (slope,) = torch.autograd.grad(found, x)
    assert float(found) == pytest.approx(float(dense), abs=1e-10)
    assert torch.allclose(slope, expected, atol=1e-10)


@settings(max_examples=30 * FUZZ, deadline=None)
@given(
    st.integers(1, 6), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99)
)
def test_never_negative_and_zero_for_the_same_cloud(channels, h1, w1, h2, w2, seed):
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(1, channels, h1, w1, generator=generator, dtype=torch.float64)
    second = torch.rand(1, channels, h2, w2, generator=generator, dtype=torch.float64)
    for loss in (mmd("linear"), mmd("polynomial", degree=3, offset=1), mmd("gaussian")):
        assert float(loss(first, second)) >= -1e-12
        assert abs(float(loss(first, first.flip(-1)))) < 1e-12  # the same points in another order


def test_weights_are_a_weighted_sample():
    """A mask of ones and zeros is the subset; a weight of 2 is the point twice; a soft mask only counts relatively."""
    first, second = torch.rand(1, 3, 4, 6), torch.rand(1, 3, 5, 5)
    loss = mmd("gaussian", bandwidth=0.8)
    mask = torch.zeros(1, 1, 4, 6)
    mask[..., :2] = 1
    assert float(loss(first, second, mask)) == pytest.approx(float(loss(first[..., :2], second)), rel=1e-4)
    assert float(loss(first, second, 0.3 * mask)) == pytest.approx(float(loss(first, second, mask)), rel=1e-4)
    twice = torch.ones(1, 1, 4, 6)
    twice[..., 0] = 2
    doubled = torch.cat([first[..., :1], first], -1)
    assert float(loss(first, second, twice)) == pytest.approx(float(loss(doubled, second)), rel=1e-4)
    nothing = torch.zeros(1, 1, 4, 6)
    assert float(loss(first, second, nothing)) == 0


@pytest.mark.parametrize("loss", [mmd("linear"), mmd("polynomial", degree=3), mmd("gaussian", bandwidth=1.0)])
def test_gradients(loss):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    target = loss.prepare(torch.randn(1, 3, 4, 4, generator=generator, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda value: loss.compare(value, target), (x,))


def test_median_rule():
    line = torch.tensor([[0.0, 1.0, 3.0]])  # distances 1, 2, 3
    assert median_bandwidth(line) == 2
    assert median_bandwidth(torch.ones(4, 9)) == 1  # nothing to measure by
    with pytest.raises(ValueError, match="at least two"):
        median_bandwidth(torch.ones(4, 1))
    mostly = torch.zeros(1, 10)
    mostly[0, 0] = 5
    assert median_bandwidth(mostly) == pytest.approx(1.0)  # nine of 45 distances are 5


def test_unbiased_and_linear_time_estimates_by_hand():
    x, y = points(2, 6, 0), points(2, 6, 1, shift=0.3)
    kernel, k = KERNELS["gaussian"]
    a, b = x.numpy().T, y.numpy().T
    within = [np.mean([k(p, q) for i, p in enumerate(c) for j, q in enumerate(c) if i != j]) for c in (a, b)]
    expected = sum(within) - 2 * np.mean([k(p, q) for p in a for q in b])
    assert float(mmd_unbiased(kernel, x, y)) == pytest.approx(expected)
    h = [k(a[i], a[i + 1]) + k(b[i], b[i + 1]) - k(a[i], b[i + 1]) - k(a[i + 1], b[i]) for i in range(0, 6, 2)]
    assert float(mmd_linear_time(kernel, x, y)) == pytest.approx(np.mean(h))
    for estimate in (mmd_unbiased, mmd_linear_time):
        with pytest.raises(ValueError, match="1 and 6"):
            estimate(kernel, x[:, :1], y)


def test_unbiased_estimate_is_no_loss():
    """Same mean, growing spread: with the linear kernel it falls without end; the V-statistic never does."""
    still = torch.zeros(1, 8, dtype=torch.float64) + 1e-3
    alternating = torch.tensor([[1.0, -1, 0, 0, 0, 0, 0, 0]], dtype=torch.float64)
    linear = linear_kernel()
    falling = [float(mmd_unbiased(linear, s * alternating, still)) for s in (1, 10, 100)]
    assert falling[0] > falling[1] > falling[2] and falling[2] < -100
    biased = [float(mmd_squared(linear, uniform(s * alternating), uniform(still))) for s in (1, 10, 100)]
    assert biased == pytest.approx([1e-6] * 3)  # the squared distance of the means, whatever the spread


def test_two_sample_test_and_witness():
    kernel = gaussian_kernel(1.0)
    x, y = points(1, 120, 0), points(1, 100, 1, shift=1.0)
    assert two_sample_test(kernel, x, y, permutations=200)[1] < 0.01
    assert two_sample_test(kernel, x, points(1, 100, 2), permutations=200)[1] > 0.05
    wide = 1.7 * points(1, 120, 3)  # the same mean: the linear kernel cannot see it, the Gaussian one can
    wide = wide - wide.mean() + x.mean()
    assert two_sample_test(linear_kernel(), x, wide, permutations=200)[1] > 0.05
    assert two_sample_test(kernel, x, wide, permutations=200)[1] < 0.05
    places = torch.tensor([[-2.0, 3.0]], dtype=torch.float64)
    left, right = witness(kernel, x, y, places).tolist()
    assert left > 0 > right  # more of X on the left, more of Y on the right


def test_positions_are_drawn_anew():
    loss = mmd("gaussian", bandwidth=0.5, positions=20)
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(1, 3, side, side, generator=generator) for side in (8, 9))
    target = loss.prepare(second)
    before = float(loss.compare(first, target))
    assert float(loss.compare(first, target)) == before  # inside a step nothing moves
    after = float(loss.compare(first, loss.update(first, target)))
    assert after != before
    exact = float(mmd("gaussian", bandwidth=0.5)(first, second))
    # Of n points drawn without replacement n pairs are a point with itself, the others any two different points.
    drawn = []
    for _ in range(300):
        target = loss.update(first, target)
        drawn.append(float(loss.compare(first, target)))
    more = 0.0
    for cloud in (first[0].flatten(1), second[0].flatten(1)):
        count, within = cloud.shape[1], float(gaussian_kernel(0.5)(cloud, cloud).mean())
        different = (count * within - 1) / (count - 1)
        more += 1 / 20 + (1 - 1 / 20) * different - within
    assert np.mean(drawn) == pytest.approx(exact + more, rel=0.1)
    whole = mmd("gaussian", bandwidth=0.5, positions=500)
    target = whole.prepare(second)
    assert whole.update(first, target) is target


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(kernel="cosine"), "kernel"),
        (dict(kernel="gaussian", bandwidth=0), "bandwidth: 0"),
        (dict(kernel="gaussian", bandwidth=float("nan")), "bandwidth: nan"),
        (dict(kernel="polynomial", degree=0), "degree: 0"),
        (dict(kernel="polynomial", offset=-1), "offset: -1"),
        (dict(kernel="linear", positions=-3), "positions: -3"),
    ],
)
def test_bad_values_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        mmd(**arguments)
