"""styletx/widgets/mixing_panel.py: what is seen is the mixture that the square says."""

import pytest
import torch

from styletx import load, stylize
from styletx.images import read
from styletx.methods import record as records
from styletx.widgets import MixingPanel

CORNERS = ["starry-night", "shipwreck", "waves", "composition-vii"]


@pytest.fixture
def panel():
    return MixingPanel("china", CORNERS, size=64, device="cpu")


def test_a_place_is_a_bilinear_mixture(panel):
    for across, down in ((0.0, 0.0), (1.0, 0.25), (0.3, 0.6)):
        panel.clicked.value = f"{across},{down}"
        x, y = torch.tensor([1 - across, across]), torch.tensor([1 - down, down])
        assert panel.weights == pytest.approx((y[:, None] * x).flatten().tolist(), abs=1e-6)
        words = ",".join(f"{n}:{w}" for n, w in zip(CORNERS, panel.weights, strict=True))
        expected = stylize("china", style=words, size=64, device="cpu")
        assert float((panel.image - expected).abs().max()) < 0.01
    assert "28% starry-night" in panel.view.value and "42% waves" in panel.view.value
    assert panel.clicked.value == ""


def test_a_click_paints_once_and_nonsense_does_not(panel):
    seen = []
    panel.view.observe(lambda change: seen.append(change["new"]), "value")
    panel.clicked.value = "0.75,0.125"
    assert (panel.across.value, panel.down.value) == (0.75, 0.12) and len(seen) == 1
    for nonsense in ("", "here", "2,2", "0.5", "nan,nan"):
        panel.clicked.value = nonsense
    assert len(seen) == 1


@pytest.mark.slow
def test_every_control_changes_the_picture(panel):
    before = panel.image
    for control, value in ((panel.across, 0.9), (panel.down, 0.9), (panel.corners[3], "great-wave"),
                           (panel.strength, 0.5), (panel.colours, "luminance")):  # fmt: skip
        control.value = value
        assert float((panel.image - before).abs().mean()) > 0.003, control
        before = panel.image
    panel.picker.choose("coffee")
    assert panel.image.shape[-2:] == load("coffee", size=64).shape[-2:]


def test_what_is_saved_can_be_made_again(panel, tmp_path, monkeypatch):
    path = panel.save(tmp_path)
    name, pictures, arguments = records.again(path)
    assert name == "stylize" and "starry-night:" in arguments["style"]
    assert float((stylize(**pictures, **arguments, device="cpu") - read(path)).abs().max()) <= 0.5 / 255 + 1e-6
    monkeypatch.chdir(tmp_path)
    panel.save_button.click()
    assert "Saved as" in panel.message.value and len(list(tmp_path.glob("*.png"))) == 2


def test_the_paintings_colours_come_back(panel):
    before = panel.image
    panel.colours.index = 1
    panel.colours.index = 0
    assert torch.equal(panel.image, before) and panel.colours.label == "the paintings'"


def test_what_is_saved_is_what_is_seen(panel, tmp_path):
    """A photo that cannot be painted leaves the picture, and its record, as they were."""
    seen = panel.image
    panel.picker.choose(torch.rand(1, 3, 3, 300), "a stripe")
    assert "Not done" in panel.message.value and torch.equal(panel.image, seen)
    assert records.again(panel.save(tmp_path))[1]["content"] == "china"


def test_bad_input_is_named(panel):
    with pytest.raises(ValueError, match="styles: 3; right would be four"):
        MixingPanel("china", CORNERS[:3])
    with pytest.raises(ValueError, match="nowhere"):
        MixingPanel("china", [*CORNERS[:3], "nowhere"], size=64)
    with pytest.raises(ValueError, match="nowhere"):
        MixingPanel("nowhere", CORNERS, size=64)
    panel.picker.choose("nowhere.jpg")  # by a reader: a message, and the picture stays
    assert "Not done" in panel.message.value and panel.image is not None
    panel.picker.choose("china")
    assert panel.message.value == ""
