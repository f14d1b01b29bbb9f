"""styletx/methods/control.py: covariances that must be equal, colours that must stay."""

import numpy as np
import pytest
import torch
from fuzz import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st

from styletx import Match, Objective, gatys, gram_loss, load, load_encoder
from styletx.encoders import EncoderError
from styletx.images import rgb_to_yiq
from styletx.methods.control import keep_chroma, match_colours
from styletx.samples import SampleError


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


@settings(max_examples=40 * FUZZ, deadline=None)
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


def halves(picture):
    masks = torch.zeros(1, 2, *picture.shape[-2:])
    masks[:, 0, :, : picture.shape[-1] // 2] = 1
    masks[:, 1] = 1 - masks[:, 0]
    return masks


@pytest.mark.slow
@pytest.mark.parametrize("swapped", [False, True])
def test_each_region_gets_its_own_style(swapped):
    """Judged by another network than the one optimised: each half is at a third of the other style's distance."""
    photo, styles = load("chelsea", 128), [load("mosaic", 128), load("waves", 128)]
    styles = styles[::-1] if swapped else styles
    result = gatys(photo, styles, mask=halves(photo), size=128, steps=150, device="cpu").finish(progress=False)
    try:
        judge = load_encoder("vgg19-small", device="cpu")
    except (EncoderError, SampleError) as error:
        pytest.skip(f"no second network here: {error}")
    middle = result.shape[-1] // 2
    for k, part in enumerate((result[..., : middle - 8], result[..., middle + 8 :])):
        near, far = (gram_distance(judge, part, styles[j]) for j in (k, 1 - k))
        assert near < far / 3


def gram_distance(judge, part, style):
    layers = ("relu1_1", "relu2_1", "relu3_1")
    mine, theirs = judge(part, layers), judge(style, layers)
    return sum(float(gram_loss(mine[n], theirs[n]) / gram_loss(0 * mine[n], theirs[n])) for n in layers)


def test_a_region_without_a_position_of_its_own_asks_for_nothing():
    """One pixel is a 256th of a position at relu5_1: there only the other region counts; at relu1_1 both do."""
    photo, styles = load("chelsea", 96), [load("mosaic", 96), load("waves", 96)]
    masks = torch.zeros(1, 2, *photo.shape[-2:])
    masks[0, 0, 10, 10] = 1
    masks[:, 1] = 1 - masks[:, 0]
    encoder, size = load_encoder("mini", device="cpu"), tuple(photo.shape[-2:])
    for layer, asks in (("relu1_1", True), ("relu5_1", False)):
        values = []
        for first in (styles[0], load("coffee", 96)):
            match = Match(gram_loss, [first, styles[1]], layer, masks=(masks, None))
            values.append(float(Objective(match, relative=False).at(size, encoder, device="cpu")(photo)["gram"]))
        assert (values[0] != values[1]) == asks


def test_a_mask_of_another_size_is_stretched():
    photo, styles = load("chelsea", 96), [load("mosaic", 96), load("waves", 96)]
    small = halves(torch.zeros(1, 3, 7, 10))
    given = dict(size=96, steps=6, device="cpu")
    one, other = (gatys(photo, styles, mask=m, **given).finish(progress=False) for m in (small, halves(photo)))
    assert float((one - other).abs().mean()) < 0.02


@pytest.mark.slow
def test_a_mixture_of_one_is_that_style_exactly():
    photo, styles = load("chelsea", 96), [load("mosaic", 96), load("waves", 96)]
    given = dict(size=96, steps=12, device="cpu")
    one = gatys(photo, styles[0], **given).finish(progress=False)
    mixed = gatys(photo, styles, mix=(1.0, 0.0), **given).finish(progress=False)
    assert torch.equal(one, mixed)
    other = gatys(photo, styles[1], **given).finish(progress=False)
    assert torch.equal(other, gatys(photo, styles, mix=(0.0, 1.0), **given).finish(progress=False))
    even = gatys(photo, styles, **given).finish(progress=False)
    again = gatys(photo, styles, mix=(2.0, 2.0), **given).finish(progress=False)
    assert torch.equal(even, again) and not torch.equal(even, one)


def test_luminance_only_keeps_the_colours():
    photo, style = load("coffee", 96), load("mosaic", 96)
    result = gatys(photo, style, keep_colours="luminance", size=96, steps=40, device="cpu").finish(progress=False)
    gap = (rgb_to_yiq(result.double()) - rgb_to_yiq(photo.double()))[:, 1:].abs().max()
    assert float(gap) <= 1 / 255 and float(result.min()) >= 0 and float(result.max()) <= 1
    moved = (rgb_to_yiq(result) - rgb_to_yiq(photo))[:, 0].abs().mean()
    assert float(moved) > 0.02


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(style=["mosaic", "waves"], mask=torch.ones(1, 3, 9, 9)), "3 regions for 2 styles"),
        (dict(style=["mosaic", "waves"], mask=torch.zeros(1, 2, 9, 9)), "region 1 of 2 has no pixel"),
        (dict(style=["mosaic", "waves"], mask=2 * torch.ones(1, 2, 9, 9)), r"\[0, 1\]"),
        (dict(style="mosaic", style_mask=torch.ones(1, 2, 9, 9)), "style_mask"),
        (dict(style=["mosaic", "waves"], mask=torch.ones(1, 2, 9, 9), mix=(1, 1)), "mix, mask"),
        (dict(style=["mosaic", "waves"], mix=(1.0,)), "mix"),
        (dict(style=["mosaic", "waves"], mix=(0.0, 0.0)), "mix"),
        (dict(style=["mosaic", "waves"], mix=(float("nan"), 1.0)), "mix"),
        (dict(style=["mosaic", "waves"], mix="half"), "mix"),
        (dict(style=["mosaic", "waves"], mask=torch.ones(1, 2, 9, 9), loss="reshuffle"), "no regions"),
        (dict(style="mosaic", mask=torch.ones(1, 2, 9, 9), style_mask=torch.ones(1, 3, 9, 9)), "2 and 3 regions"),
        (dict(style="mosaic", mask="coffee", style_mask=torch.ones(1, 2, 9, 9)), "one is a file"),
        (dict(style="mosaic", keep_colours="green"), "keep_colours"),
        (dict(style=[]), "style: none"),
        (dict(style=["mosaic", "waves"], recipe="paper"), "recipe"),
    ],
)
def test_bad_control_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        gatys("chelsea", size=64, steps=5, device="cpu", **arguments)
