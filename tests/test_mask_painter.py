"""styletx/widgets/mask_painter.py: three ways to one mask, without a browser; the drawing as the PNG a canvas sends."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from styletx import load
from styletx.methods.record import fingerprint
from styletx.widgets import MaskPainter, Panel
from styletx.widgets.mask_painter import GRID


@pytest.fixture
def painter():
    return MaskPainter(load("china", 96), ("first", "second"), clusters=4)


def drawing(size, box):
    """What the canvas sends for a filled rectangle."""
    image = Image.new("RGBA", size)
    ImageDraw.Draw(image).rectangle(box, fill=(200, 0, 0, 255))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def test_it_starts_from_a_clustering(painter):
    masks = painter.masks
    assert masks.shape == (1, 2, *painter.full)
    assert torch.equal(masks.sum(1), torch.ones(1, *painter.full))
    assert 0.02 < float(masks[:, 1].mean()) < 0.98


def test_the_list_assigns_whole_regions(painter):
    painter.choice.value = "second"
    painter.list.value = (0, 2)
    second = painter.labels == 1
    assert np.array_equal(second, np.isin(painter.regions, (0, 2)))
    painter.list.value = (1,)  # a plain click: another region instead
    assert np.array_equal(painter.labels == 1, painter.regions == 1)
    painter.undo()
    assert np.array_equal(painter.labels == 1, np.isin(painter.regions, (0, 2)))
    painter.list.value = (0,)
    assert np.array_equal(painter.labels == 1, painter.regions == 0)
    painter.choice.value = "first"
    assert set(painter.list.value) == {1, 2, 3}


def test_the_list_keeps_what_was_drawn_in_regions_that_stay(painter):
    painter.assign(np.ones(painter.labels.shape, bool), 0)
    painter.choice.value = "second"
    painter.list.value = (0, 1, 2)
    painter.choice.value = "first"
    boat = np.zeros(painter.labels.shape, bool)
    boat[tuple(np.argwhere(painter.regions == 1)[0])] = True
    painter.choice.value = "second"
    painter.assign(boat, 0)
    painter.list.value = (0, 1, 2, 3)  # one region more
    assert not painter.labels[boat].any() and (painter.labels[~boat] == 1).all()


def test_a_cell_and_its_undoing(painter):
    painter.assign(np.ones(painter.labels.shape, bool), 0)
    painter.choice.value = "second"
    cell = painter.cells[5 * GRID + 3]
    assert not cell.value
    cell.value = True
    height, width = painter.labels.shape
    rows, columns = slice(5 * height // GRID, 6 * height // GRID), slice(3 * width // GRID, 4 * width // GRID)
    wanted = np.zeros((height, width), int)
    wanted[rows, columns] = 1
    assert np.array_equal(painter.labels, wanted)
    assert "stx-part-1" in cell._dom_classes and "stx-part-0" not in cell._dom_classes
    cell.value = False  # once more: back to the other part
    assert not painter.labels.any()
    painter.undo()
    assert np.array_equal(painter.labels, wanted)


def test_a_drawing_paints_the_chosen_part(painter):
    painter.assign(np.ones(painter.labels.shape, bool), 0)
    painter.choice.value = "second"
    height, width = painter.labels.shape
    painter.drawn.value = drawing((width, height), (10, 5, 39, 24))
    wanted = np.zeros((height, width), int)
    wanted[5:25, 10:40] = 1
    assert np.array_equal(painter.labels, wanted)
    assert painter.drawn.value == ""  # the same drawing again is a change again


@pytest.mark.parametrize("rubbish", ["x", "data:image/png;base64,AAAA", "data:image/png;base64,###"])
def test_what_is_no_drawing_changes_nothing(painter, rubbish):
    before = painter.labels.copy()
    painter.drawn.value = rubbish
    assert np.array_equal(painter.labels, before)


def test_the_picture_says_what_it_shows(painter):
    assert 'alt="the picture with its parts: first, second"' in painter.view.value
    assert all("row" in (getattr(c, "tooltip", None) or c.description_tooltip) for c in painter.cells)


@pytest.mark.parametrize("names", [("one",), ("a", "a"), tuple("abcdefg"), ()])
def test_names_that_are_none(names):
    with pytest.raises(ValueError, match="names"):
        MaskPainter(load("china", 96), names)


def test_other_arguments_that_are_none(painter):
    with pytest.raises(ValueError, match="clusters"):
        MaskPainter(load("china", 96), clusters=1)
    with pytest.raises(ValueError, match="part: 7"):
        painter.assign(painter.labels == 0, 7)


def test_a_panel_takes_it(painter, tmp_path):
    """Several styles, and what is painted when Run is pressed, not what was there when the panel was made."""
    panel = Panel("gatys", content="china", style=["waves", "mosaic"], mask=painter, size=64, steps=3)
    assert list(panel.pickers) == ["content"]
    painter.assign(np.arange(painter.labels.size).reshape(painter.labels.shape) % 2 == 0, 1)
    panel.run()
    assert panel._record["inputs"]["mask"]["sha256"] == fingerprint(painter.masks)
    assert panel.image.shape[-1] == 64
    assert panel.save(tmp_path).is_file()
    with pytest.raises(ValueError, match="mix"):
        Panel("gatys", content="china", style=["waves", "mosaic"], mix=(-1, 2))
