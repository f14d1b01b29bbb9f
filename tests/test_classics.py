"""styletx/methods/classics.py: moments that must be equal, paths that no other path beats."""

import itertools

import numpy as np
import pytest
import torch
from fuzz import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st

from styletx import load
from styletx.methods.classics import cheapest_path, lab_to_rgb, quilt, reinhard, rgb_to_lab


def test_lab_and_back():
    image = torch.rand(1, 3, 5, 7, dtype=torch.float64) * 0.9 + 0.05
    assert torch.allclose(lab_to_rgb(rgb_to_lab(image)), image, atol=1e-9)
    grey = rgb_to_lab(torch.full((1, 3, 1, 1), 0.5))[0, :, 0, 0]
    assert abs(float(grey[1])) < 5e-3 and abs(float(grey[2])) < 5e-3  # grey has next to no colour


def test_reinhard_takes_mean_and_spread():
    """Where nothing has to be clipped, the result has the style's moments in lαβ."""
    content = torch.rand(1, 3, 40, 50) * 0.2 + 0.4
    style = torch.rand(1, 3, 30, 30) * 0.3 + 0.3
    result = rgb_to_lab(reinhard(content, style, size=50))
    wanted = rgb_to_lab(style)
    assert torch.allclose(result.mean((2, 3)), wanted.mean((2, 3)), atol=1e-4)
    assert torch.allclose(result.std((2, 3), correction=0), wanted.std((2, 3), correction=0), rtol=1e-2)


def test_reinhard_on_itself_and_on_nothing():
    photo = load("chelsea", 64)
    assert torch.allclose(reinhard(photo, photo, size=64), photo.clamp(min=0), atol=5e-3)
    flat = torch.full((1, 3, 20, 32), 0.5)
    result = reinhard(flat, photo, size=32)
    assert bool(result.isfinite().all()) and float(result.std(dim=(2, 3)).max()) < 1e-6
    with pytest.raises(ValueError, match="size"):
        reinhard(photo, photo, size=1)


@settings(max_examples=30 * FUZZ, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_cheapest_path_by_trying_all(rows, columns, seed):
    cost = np.random.default_rng(seed).random((rows, columns))
    path = cheapest_path(cost)
    assert np.all(np.abs(np.diff(path)) <= 1)
    legal = (p for p in itertools.product(range(columns), repeat=rows) if np.all(np.abs(np.diff(p)) <= 1))
    best = min(sum(cost[r, c] for r, c in enumerate(p)) for p in legal)
    assert sum(cost[r, c] for r, c in enumerate(path)) == pytest.approx(best)


def test_quilting_invents_no_pixel():
    """Every pixel is one of the texture's, and the seed decides which."""
    texture = load("mosaic", 96)
    made = quilt(texture, (120, 150), patch=32, overlap=8)
    assert made.shape == (1, 3, 120, 150)
    palette = {tuple(p) for p in texture[0].flatten(1).T.numpy().round(5).tolist()}
    assert all(tuple(p) in palette for p in made[0].flatten(1).T.numpy().round(5).tolist())
    assert torch.equal(made, quilt(texture, (120, 150), patch=32, overlap=8))
    assert not torch.equal(made, quilt(texture, (120, 150), patch=32, overlap=8, seed=1))


def test_quilting_a_periodic_texture_is_seamless():
    """Stripes go on: somewhere in the texture a patch fits exactly, and it is found."""
    stripes = (torch.arange(64) // 4 % 2).float().expand(1, 3, 64, 64).clone()
    made = quilt(stripes, (64, 100), patch=24, overlap=8, tolerance=0.0)
    assert torch.equal(made[..., :1, :], made[..., 40:41, :])
    changes = (made[0, 0, 0].diff() != 0).nonzero().flatten().diff()
    assert changes.tolist() == [4] * len(changes)


@pytest.mark.parametrize("arguments", [dict(patch=8, overlap=8), dict(patch=200), dict(overlap=0)])
def test_quilting_bad_values(arguments):
    with pytest.raises(ValueError, match="patch, overlap"):
        quilt(load("mosaic", 64), (64, 64), **arguments)
