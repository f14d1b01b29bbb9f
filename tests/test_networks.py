"""The networks that ship: as good as weights/README.md says, on photographs that nobody trained on."""

import pytest

from styletx import samples
from styletx.methods.painters import ALONE, LOSSES
from styletx.recipes.judge_networks import judge_enlarging, judge_style, psnr, worth

PHOTOS = ("kodak-15", "kodak-21")
pytestmark = pytest.mark.slow
there = pytest.mark.skipif(
    not all(samples.available(name) for name in (*PHOTOS, *ALONE)), reason="the photographs and paintings are not here"
)


@there
@pytest.mark.parametrize("style", ALONE)
def test_one_pass_is_worth_an_optimisation(style):
    """Its objective is as low as that of 40 evaluations of L-BFGS from noise, and the photo can be made out."""
    judged = judge_style(style, PHOTOS)
    assert judged["means"]["network"] <= judged["curve"][39]
    assert judged["means"]["own photo"] == len(PHOTOS)
    assert judged["means"]["start"] < 60  # of as many from the photo


@there
def test_each_enlarging_network_wins_by_its_own_measure():
    found = judge_enlarging(PHOTOS)
    pixel, perceptual, bicubic = (found[name] for name in ("pixel", "perceptual", "bicubic"))
    assert set(found) == {"bicubic", *LOSSES}
    assert pixel["psnr"] >= bicubic["psnr"] + 0.5
    assert perceptual["features"] < min(pixel["features"], bicubic["features"])


def test_psnr_and_worth_by_hand():
    import torch

    grey = torch.full((1, 3, 8, 8), 0.5)
    assert psnr(grey + 0.1, grey) == pytest.approx(20, abs=1e-3)  # −10 log₁₀ 0.01
    spoilt = grey.clone()
    spoilt[..., 0, :] = 1
    assert psnr(spoilt + 0.1, grey, border=1) == pytest.approx(20, abs=1e-3)
    assert worth([5.0, 3.0, 1.0], 3.0) == 2 and worth([5.0, 3.0, 1.0], 0.5) == 3
