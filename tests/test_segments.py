"""styletx/segments.py: masks from files with all that goes wrong in files, and regions that are known beforehand."""

import numpy as np
import pytest
import torch
from PIL import Image

from styletx import load_encoder
from styletx.images import ImageError
from styletx.segments import cluster, read_masks


def coded(path, colours, size=(40, 30), quality=None):
    """Vertical strips of the colours, as a file."""
    width, height = size
    array = np.zeros((height, width, 3), np.uint8)
    for k, colour in enumerate(colours):
        array[:, k * width // len(colours) : (k + 1) * width // len(colours)] = colour
    Image.fromarray(array).save(path, **({"quality": quality} if quality else {}))
    return path


RED, GREEN, BLUE = (255, 0, 0), (0, 200, 0), (0, 0, 255)


def test_colours_are_labels_in_one_order(tmp_path):
    first = coded(tmp_path / "a.png", [RED, GREEN, BLUE])
    second = coded(tmp_path / "b.png", [BLUE, RED, GREEN], size=(60, 20))
    one, other = read_masks(first, second)
    assert one.shape == (1, 3, 30, 40) and other.shape == (1, 3, 20, 60)
    assert torch.equal(one.sum(1), torch.ones(1, 30, 40))
    order = [BLUE, RED, GREEN]  # from dark to light: 0.11, 0.30 and 0.46 of white
    for k, colour in enumerate(order):
        assert bool(one[0, k, :, [RED, GREEN, BLUE].index(colour) * 13 + 6].all())
        assert bool(other[0, k, :, [BLUE, RED, GREEN].index(colour) * 20 + 9].all())


def test_a_jpeg_keeps_the_order(tmp_path):
    """Blue and green have no red to be sorted by: noise must not swap them, nor one style's region with another's."""
    first = read_masks(coded(tmp_path / "a.png", [GREEN, BLUE]))[0]
    noisy = read_masks(coded(tmp_path / "a.jpg", [GREEN, BLUE], quality=60))[0]
    assert float((first != noisy).float().mean()) < 0.05
    assert bool(first[0, 0, :, -1].all())  # blue is darker: the first region, on the right


def test_a_photograph_is_no_mask():
    with pytest.raises(ImageError, match="photograph|colours"):
        read_masks("coffee")


def test_soft_edges_and_jpeg_noise_go_to_the_nearer_label(tmp_path):
    sharp = coded(tmp_path / "a.png", [RED, BLUE])
    soft = Image.open(sharp).resize((41, 31), Image.BICUBIC).resize((40, 30), Image.BICUBIC)
    soft.save(tmp_path / "soft.png")
    masks = read_masks(tmp_path / "soft.png")[0]
    wanted = read_masks(sharp)[0]
    assert masks.shape[1] == 2 and float((masks != wanted).float().mean()) < 0.03
    noisy = read_masks(coded(tmp_path / "a.jpg", [RED, BLUE], quality=70))[0]
    assert noisy.shape[1] == 2 and float((noisy != wanted).float().mean()) < 0.03


@pytest.mark.parametrize("mode", ["L", "P"])
def test_grey_and_index_masks(tmp_path, mode):
    Image.open(coded(tmp_path / "a.png", [(0, 0, 0), (255, 255, 255)])).convert(mode).save(tmp_path / "b.png")
    masks = read_masks(tmp_path / "b.png")[0]
    assert torch.equal(masks[0, 0, 0], (torch.arange(40) < 20).float())


def test_what_is_no_mask_is_refused(tmp_path):
    with pytest.raises(ImageError, match="one colour"):
        read_masks(coded(tmp_path / "a.png", [RED]))
    with pytest.raises(ImageError, match="colours"):
        read_masks(torch.rand(1, 3, 50, 50))
    with pytest.raises(ImageError, match="#0000ff is missing in picture 1"):
        read_masks(coded(tmp_path / "b.png", [RED, GREEN]), coded(tmp_path / "c.png", [RED, BLUE]))


def test_clusters_find_two_textures_in_two_pictures():
    """Fine and coarse noise side by side, in another order in the second picture: the labels correspond."""
    generator = torch.Generator().manual_seed(0)
    fine = torch.rand(1, 3, 96, 64, generator=generator)
    coarse = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 4, generator=generator), size=(96, 64))
    pictures = torch.cat([fine, coarse], -1), torch.cat([coarse, fine], -1)
    first, second = cluster(*pictures, count=2, layer="relu3_1", device="cpu")
    assert first.shape == (1, 2, 96, 128) and torch.equal(first.sum(1), torch.ones(1, 96, 128))
    left, right = first[0, :, 10:-10, 8:56].mean((1, 2)), second[0, :, 10:-10, 72:120].mean((1, 2))
    assert int(left.argmax()) == int(right.argmax()) and float(left.max()) > 0.9 and float(right.max()) > 0.9
    again = cluster(*pictures, count=2, layer="relu3_1", device="cpu")
    assert torch.equal(again[0], first)


@pytest.mark.parametrize("count", [1, 0, 2.5, True, 10**6, float("nan"), float("inf")])
def test_bad_counts(count):
    with pytest.raises(ValueError, match="count"):
        cluster(torch.rand(1, 3, 64, 64), count=count, encoder=load_encoder("mini", device="cpu"))
