"""styletx/control.py: covariances that must be equal, colours that must stay."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from styletx import load
from styletx.control import keep_chroma, match_colours
from styletx.images import rgb_to_yiq


def picture(seed, size=(9, 11), low=0.0, high=1.0):
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(1, 3, *size, generator=generator, dtype=torch.float64)


def test_matched_colours_have_the_contents_moments():
    style, content = picture(0, (20, 30), 0.4, 0.6), picture(1, (25, 20), 0.3, 0.7)
    colours, wanted = (p[0].flatten(1).numpy() for p in (match_colours(style, content), content))
    assert np.allclose(colours.mean(1), wanted.mean(1), atol=1e-6)
    assert np.allclose(np.cov(colours, bias=True), np.cov(wanted, bias=True), atol=1e-6)
    assert torch.allclose(match_colours(content, content), content, atol=1e-9)


def test_a_grey_painting_stays_defined():
    """No colour to take the root of: it becomes a picture in the content's mean colour, with its brightness."""
    grey = picture(0)[:, :1].expand(1, 3, -1, -1)
    photo = load("chelsea", 64).double()
    found = match_colours(grey, photo)
    assert bool(found.isfinite().all())
    flat = match_colours(torch.full((1, 3, 5, 5), 0.5, dtype=torch.float64), photo)
    assert torch.allclose(flat.mean((2, 3)), photo.mean((2, 3)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(0, 999))
def test_chroma_is_kept_to_a_255th(first, second):
    result, content = picture(first), picture(second)
    kept = keep_chroma(result, content)
    assert float(kept.min()) >= 0 and float(kept.max()) <= 1
    gap = (rgb_to_yiq(kept) - rgb_to_yiq(content))[:, 1:].abs().max()
    assert float(gap) <= 1 / 255


def test_brightness_is_the_results_where_there_is_room():
    result, content = picture(0, low=0.4, high=0.6), picture(1, low=0.45, high=0.55)
    kept = keep_chroma(result, content)
    assert torch.allclose(rgb_to_yiq(kept)[:, :1], rgb_to_yiq(result)[:, :1], atol=1e-5)
    assert torch.allclose(keep_chroma(content, content), content, atol=1e-5)
    with pytest.raises(ValueError, match="one size"):
        keep_chroma(result[..., :5], content)
