"""styletx/losses/patches.py: patches found by loops, assignments by all permutations."""

import itertools

import numpy as np
import pytest
import torch

from styletx.losses import mrf_loss, patches, reshuffle_loss, semantic_loss


def features(seed, size=(5, 6), channels=2):
    return torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def all_patches(value, size=3):
    v = value[0].numpy()
    rows, columns = v.shape[1] - size + 1, v.shape[2] - size + 1
    return [v[:, i : i + size, j : j + size].ravel() for i in range(rows) for j in range(columns)]


def test_mrf_by_loops():
    x, style = features(0), features(1, (6, 4))
    mine, theirs = all_patches(x), all_patches(style)
    total = 0.0
    for patch in mine:
        scores = [patch @ p / (np.linalg.norm(patch) * np.linalg.norm(p)) for p in theirs]
        total += np.mean((patch - theirs[int(np.argmax(scores))]) ** 2)
    assert float(mrf_loss()(x, style)) == pytest.approx(total / len(mine))
    assert float(mrf_loss()(x, x)) == 0


@pytest.mark.parametrize("block", [1, 25, 10**9])
def test_blocks_choose_alike(block):
    x, y = (patches.patches(features(s, (9, 8))) for s in (0, 1))
    whole = patches.nearest_patches(x, y)
    assert torch.equal(patches.nearest_patches(x, y, block), whole)


def test_regions_keep_to_themselves():
    """With halves, a patch of the left half finds only the reference's left half."""
    x, style = features(0, (5, 12)), features(1, (5, 12))
    left = torch.zeros(1, 1, 5, 12, dtype=torch.float64)
    left[..., :6] = 1
    # patches that lie in the half by more than a half: their middle column is inside
    found = float(mrf_loss()(x, style, left, left))
    alone = float(mrf_loss()(x[..., :7], style[..., :7]))
    assert found == pytest.approx(alone)
    assert float(mrf_loss()(x, style, torch.zeros_like(left), left)) == 0


def test_relative_weights_do_not_depend_on_the_order_of_the_styles_patches():
    """What a loss is worth without features is that of all patches: not of the corner that happens to come first."""
    style = features(1, (8, 8))
    halves = torch.zeros(1, 2, 8, 8, dtype=torch.float64)
    halves[:, 0, :, :4] = halves[:, 1, :, 4:] = 1
    nothing = torch.zeros_like(style)
    wanted = np.mean([np.mean(patch**2) for patch in all_patches(style)])
    assert float(mrf_loss()(nothing, style)) == pytest.approx(wanted)
    assert float(semantic_loss()(nothing, style, halves, halves)) == pytest.approx(wanted)
    dark = style.clone()
    dark[..., :4, :4] = 0
    assert float(mrf_loss()(nothing, dark)) > 0.2 * wanted


def test_semantic_masks_decide():
    """Two halves of the style are the same but for their masks: sky takes from sky, whatever the features prefer."""
    style = features(0, (6, 12))
    x = style.flip(-1)
    halves = torch.zeros(1, 2, 6, 12, dtype=torch.float64)
    halves[:, 0, :, :6] = halves[:, 1, :, 6:] = 1
    loss, free = semantic_loss(weight=100.0), semantic_loss(weight=0.0)
    target = loss.prepare(style, halves)
    wanted, labelled, scale = target
    found = patches.patches(x)
    chosen = patches.nearest_patches(loss._labelled(found, halves, scale), labelled)
    columns = torch.arange(4 * 10) % 10
    pure = (columns < 4) | (columns > 5)  # patches that lie in one half
    assert bool(((chosen % 10 < 5) == (columns < 5))[pure].all())
    assert float(free(x, style, halves, halves)) == pytest.approx(float(mrf_loss()(x, style)))
    with pytest.raises(ValueError, match="masks"):
        loss(x, style)


def test_reshuffle_is_the_optimal_assignment():
    """Four patches on four: no permutation is cheaper; each is used once."""
    x, style = features(0, (4, 4)), features(1, (4, 4))
    mine, theirs = all_patches(x), all_patches(style)
    best = min(
        sum(np.mean((mine[i] - theirs[j]) ** 2) for i, j in enumerate(order)) / 4
        for order in itertools.permutations(range(4))
    )
    loss = reshuffle_loss()
    target = loss.update(x, loss.prepare(style))
    assert float(loss.compare(x, target)) == pytest.approx(best)
    assert sorted(target.given.tolist()) == [0, 1, 2, 3]


def test_reshuffle_uses_patches_about_once_and_never_gets_worse(monkeypatch):
    monkeypatch.setattr(patches, "ASSIGNED", 16)
    x, style = features(0, (12, 12)), features(1, (9, 7))
    loss = reshuffle_loss()
    target = loss.prepare(style)
    costs = []
    for _ in range(6):
        target = loss.update(x, target)
        costs.append(float(loss.compare(x, target)))
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(costs))
    used = torch.bincount(target.given, minlength=35)
    assert used.min() >= 2 and used.max() <= 3  # 100 patches of 35


@pytest.mark.parametrize("make", [mrf_loss, reshuffle_loss])
def test_gradients(make):
    """Where no choice is about to flip, the slope is that of the chosen patches."""
    loss = make()
    x = features(0, (4, 5)).requires_grad_(True)
    target = loss.update(x, loss.prepare(features(1, (5, 5))))
    assert torch.autograd.gradcheck(lambda value: loss.compare(value, target), (x,), eps=1e-7)


@pytest.mark.parametrize("make", [mrf_loss, semantic_loss, reshuffle_loss])
def test_bad_values(make):
    with pytest.raises(ValueError, match="size: 0"):
        make(size=0)
    with pytest.raises(ValueError, match="stride: 1.5"):
        make(stride=1.5)
    with pytest.raises(ValueError, match="patch: 3×3"):
        make().prepare(torch.rand(1, 2, 2, 9), None if make is reshuffle_loss else torch.ones(1, 1, 2, 9))


def test_reshuffle_knows_no_regions():
    with pytest.raises(ValueError, match="no regions"):
        reshuffle_loss().prepare(torch.rand(1, 2, 9, 9), torch.ones(1, 1, 9, 9))
