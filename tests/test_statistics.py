"""styletx/statistics.py and styletx/losses: by hand, by autograd, and against the documents' conversion factors."""

import math

import pytest
import torch
from fuzz import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st

from styletx.losses import (
    CONVENTIONS,
    content_loss,
    convention_factor,
    gram_loss,
    mean_squared,
    total_variation,
    value_range,
)
from styletx.statistics import gram, identity

F64 = torch.float64


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def test_gram_of_two_channels_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])  # channel 1: 1 2, channel 2: 3 −1, two positions
    expected = torch.tensor([[[(1 + 4) / 2, (3 - 2) / 2], [(3 - 2) / 2, (9 + 1) / 2]]])
    assert torch.equal(gram(features), expected)


def test_gram_forgets_where():
    features = random(2, 5, 4, 6)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    shuffled = features.flatten(2)[..., order].unflatten(2, (4, 6))
    assert torch.allclose(gram(shuffled), gram(features), rtol=1e-12, atol=0)


def test_weights_are_a_sample():
    """A mask of zeros and ones gives the Gram matrix of the positions inside, not one with false zeros."""
    features = random(1, 3, 4, 4)
    mask = torch.zeros(1, 1, 4, 4, dtype=F64)
    mask[..., :2] = 1
    assert torch.allclose(gram(features, mask), gram(features[..., :2]), rtol=1e-12)
    assert torch.equal(gram(features, 0 * mask), torch.zeros(1, 3, 3, dtype=F64))  # an empty region's stated value


def test_gradient_of_a_weighted_gram():
    """Its way back is written by hand: against differences, in the features and in the weights; two in a batch."""
    features, weights = (
        random(2, 3, 3, 4).requires_grad_(True),
        random(1, 1, 3, 4, seed=1).square().requires_grad_(True),
    )
    assert torch.autograd.gradcheck(gram, (features, weights))
    assert torch.autograd.gradgradcheck(gram, (features, weights))


def test_weighted_grams_keep_no_copies_of_the_features():
    """What autograd keeps for twenty regions: the features once, and a mask for each."""
    features, kept = random(1, 16, 8, 8).requires_grad_(True), {}
    masks = [random(1, 1, 8, 8, seed=k).square() for k in range(20)]
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.setdefault(t.data_ptr(), t), lambda t: t):
        sum(gram(features, mask).sum() for mask in masks)
    assert sum(t.numel() for t in kept.values()) <= features.numel() + sum(m.numel() + 256 + 1 for m in masks)


@settings(deadline=None, max_examples=25 * FUZZ)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))
def test_gram_is_symmetric_and_positive(channels, height, width):
    matrix = gram(random(1, channels, height, width))[0]
    assert torch.allclose(matrix, matrix.T, rtol=1e-12, atol=1e-15)
    assert float(torch.linalg.eigvalsh(matrix).min()) >= -1e-12


def test_losses_by_hand():
    first, second = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[0.0, 4.0]]]])
    assert float(mean_squared(first, second)) == (1 + 4) / 2
    assert float(content_loss(first, second)) == 2.5
    assert float(gram_loss(first, second)) == ((1 + 4) / 2 - (0 + 16) / 2) ** 2
    assert torch.equal(identity(first, torch.tensor([[[[1.0, 0.0]]]])), torch.tensor([[[[1.0, 0.0]]]]))


def test_total_variation_of_a_checkerboard_and_of_a_line():
    board = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]).expand(1, 3, 2, 3)
    assert float(total_variation(board)) == 2.0  # every neighbour differs by 1, in both directions
    assert float(total_variation(torch.ones(1, 3, 1, 1))) == 0.0
    assert float(total_variation(torch.tensor([0.0, 1.0, 1.0]).expand(1, 3, 1, 3))) == 0.5


def test_range_counts_only_what_is_outside():
    assert float(value_range(torch.tensor([[[[-1.0, 0.0, 0.5, 1.0, 3.0]]]]))) == pytest.approx((1 + 4) / 5)


@pytest.mark.parametrize("loss", [content_loss, gram_loss])
def test_gradcheck_of_losses(loss):
    features, reference = random(1, 3, 3, 4).requires_grad_(True), random(1, 3, 3, 4, seed=1)
    target = loss.prepare(reference)
    assert not target.requires_grad
    assert torch.autograd.gradcheck(lambda x: loss.compare(x, target), features)
    assert torch.allclose(loss.compare(features, target), loss(features, reference))


@pytest.mark.parametrize("energy", [total_variation, value_range])
def test_gradcheck_of_energies(energy):
    assert torch.autograd.gradcheck(energy, (2 * random(1, 3, 4, 3)).requires_grad_(True))


def as_written(source, term, features, reference):
    """The loss as the source prints it, with sums over undivided Gram matrices."""
    n, m = features.shape[1], features.shape[-2] * features.shape[-1]
    f, p = features[0].flatten(1), reference[0].flatten(1)
    squared, g = (f - p).square().sum(), (f @ f.T - p @ p.T).square().sum()
    return {
        "styletx": (squared / (n * m), g / (n**2 * m**2)),
        "Gatys et al. 2016; Kitov": (squared / 2, g / (4 * n**2 * m**2)),
        "Wonka 1.4": (squared / (n * m), g / (n**2 * m**2)),
        "Ayala & Wolters; Johnson et al. 2016": (squared / (n * m), ((f @ f.T - p @ p.T) / (n * m)).square().sum()),
        "Luan et al. 2017; Ranjan": (squared / (2 * n * m), g / (2 * n**2)),
        "Ulyanov et al. 2016; Wonka 1.5": (squared, g),
        "Dumoulin et al. 2017; Wonka 1.7": (squared / (n * m), g / (n * m)),
    }[source][("content", "style").index(term)]


@pytest.mark.parametrize("source", CONVENTIONS)
@pytest.mark.parametrize("term", ["content", "style"])
def test_conversion_factors(source, term):
    features, reference = random(1, 3, 4, 5), random(1, 3, 4, 5, seed=1)
    ours = (content_loss if term == "content" else gram_loss)(features, reference)
    factor = convention_factor(source, term, channels=3, positions=20)
    assert float(factor * ours) == pytest.approx(float(as_written(source, term, features, reference)), rel=1e-12)


def test_alpha_over_beta_means_something_else_elsewhere():
    """ERRATA 10: 10⁻³ in Gatys' normalisation is about 4·10³ in Wonka's, for conv4_2 (512 channels) at 512 pixels."""
    n, m = 512, 64 * 64
    content = convention_factor("Gatys et al. 2016; Kitov", "content", n, m)
    style = convention_factor("Gatys et al. 2016; Kitov", "style", n, m)
    assert 1e-3 * content / style == pytest.approx(4.2e3, rel=0.01)


def test_unknown_conventions_are_named():
    with pytest.raises(ValueError, match="Nobody"):
        convention_factor("Nobody", "style", 1, 1)
    with pytest.raises(ValueError, match="neither"):
        convention_factor("styletx", "stile", 1, 1)


def test_hand_derived_gradient_of_the_style_loss():
    """ERRATA 9: for E = Σ(G − A)²/(N²M²) the factor is 4, and "0 where F ≤ 0" is about the value before the ReLU."""
    before = random(3, 8).requires_grad_(True)
    target = random(3, 3, seed=1)
    target = target + target.T
    after = before.relu()
    loss = (after @ after.T - target).square().sum() / (3**2 * 8**2)
    (by_autograd,) = torch.autograd.grad(loss, before)
    with torch.no_grad():
        by_hand = 4 / (3**2 * 8**2) * (after.T @ (after @ after.T - target)).T * (before > 0)
    assert torch.allclose(by_autograd, by_hand, rtol=1e-12)
    assert math.isclose(float((by_autograd / (by_hand / 2))[before > 0].mean()), 2.0)  # the slide's 2 is half of it
