"""styletx/segments.py: masks from files with all that goes wrong in files, and regions that are known beforehand."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from styletx import load, load_encoder
from styletx import read as read_image
from styletx.graph.matting import matting_laplacian
from styletx.images import ImageError
from styletx.samples.scenes import random_scene
from styletx.segments import SegmentError, cluster, merge, read_masks, refine, semantic, without_orphans


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


def one_hot(rows):
    """Masks (1, K, H, W) from rows of labels."""
    labels = torch.tensor(rows)
    return torch.nn.functional.one_hot(labels).permute(2, 0, 1)[None].float()


def test_merged_regions_add_up():
    masks = torch.rand(1, 4, 5, 6, generator=torch.Generator().manual_seed(0)).softmax(1)
    merged = merge(masks, [[0, 3], [1], [2]])
    assert torch.equal(merged[:, 0], masks[:, 0] + masks[:, 3]) and torch.equal(merged[:, 2], masks[:, 2])
    assert torch.allclose(merged.sum(1), torch.ones(1, 5, 6))
    for wrong in ([[0, 1], [1, 2, 3]], [[0, 1, 2]]):
        with pytest.raises(ValueError, match="groups"):
            merge(masks, wrong)


def test_orphans_go_to_their_neighbours():
    """Region 2 is missing in the reference, region 3 in the picture: by hand, column 2 joins 0 and column 3 joins 1."""
    masks = torch.cat([one_hot([[0, 0, 2, 2, 1, 1]] * 3), torch.zeros(1, 1, 3, 6)], 1)
    reference = one_hot([[0, 0, 1, 3], [1, 1, 3, 3]])
    reference[:, 2] = 0
    found, theirs = without_orphans(masks, reference)
    assert torch.equal(found, one_hot([[0, 0, 0, 1, 1, 1]] * 3))
    assert torch.equal(theirs, reference[:, :2])
    same = without_orphans(found, reference[:, :2])
    assert torch.equal(same[0], found) and torch.equal(same[1], reference[:, :2])


def test_without_a_common_region_all_is_one():
    masks, reference = one_hot([[0, 0], [0, 0]]), one_hot([[1, 1]])
    found, theirs = without_orphans(torch.cat([masks, 0 * masks], 1), reference)
    assert torch.equal(found, torch.ones(1, 1, 2, 2)) and torch.equal(theirs, torch.ones(1, 1, 1, 2))


def test_soft_orphans_lose_nothing():
    """Every pixel still has weight 1, and what it gave to other regions than the orphan stays."""
    masks = torch.rand(1, 3, 8, 9, generator=torch.Generator().manual_seed(0)).softmax(1)
    masks[:, 0, :4] += 1
    masks = masks / masks.sum(1, keepdim=True)
    reference = torch.zeros(1, 3, 8, 9)
    reference[:, 0], reference[:, 1] = 0.5, 0.5
    found, _ = without_orphans(masks, reference)
    assert torch.allclose(found.sum(1), torch.ones(1, 8, 9))
    assert bool((found >= masks[:, :2] - 1e-6).all())


class ByColour(torch.nn.Module):
    """A stand-in for a network of transformers: blue is sky, green is a lake or (brighter) the sea, red is a person."""

    def __init__(self):
        super().__init__()
        self.config = SimpleNamespace(id2label={0: "sky", 1: "lake", 2: "sea", 3: "person", 4: "bed "})

    def forward(self, pixel_values):
        red, green, blue = pixel_values.unbind(1)
        scores = torch.stack([blue, green - 0.1, 2 * green - 1.5, red, -5 * torch.ones_like(red)], 1)
        return SimpleNamespace(logits=torch.nn.functional.avg_pool2d(9 * scores, 4))


def test_named_regions_of_a_stand_in(tmp_path):
    both = [
        coded(tmp_path / "a.png", [BLUE, GREEN], (64, 64)),
        coded(tmp_path / "b.png", [(0, 255, 0), BLUE], (96, 64)),
    ]
    names, (first, second) = semantic(*(read_image(p) for p in both), model=ByColour(), device="cpu")
    assert names == ["sky", "water"]  # lake and sea are one
    assert first.shape == (1, 2, 64, 64) and second.shape == (1, 2, 64, 96)
    assert float(first[0, 0, :, :30].mean()) > 0.99 and float(second[0, 1, :, :44].mean()) > 0.99
    apart, _ = semantic(read_image(both[1]), model=ByColour(), alike={"sky": ["sky"], "sea": ["sea"]}, device="cpu")
    assert apart == ["sky", "sea"]


def test_named_regions_have_no_orphans(tmp_path):
    """A person in the content, none in the style: her pixels get the likeliest of the style's labels."""
    content = read_image(coded(tmp_path / "a.png", [BLUE, (255, 60, 120), GREEN], (96, 64)))
    style = read_image(coded(tmp_path / "b.png", [BLUE, GREEN], (64, 64)))
    names, (first, second) = semantic(content, style, model=ByColour(), device="cpu")
    assert names == ["sky", "water"] and torch.equal(first.sum(1), torch.ones(1, 64, 96))
    assert float(first[0, 0, :, 36:60].mean()) > 0.95  # blue 120 is more than green 60
    with pytest.raises(SegmentError, match="no region"):
        semantic(content, read_image(coded(tmp_path / "c.png", [BLUE])), read_image(coded(tmp_path / "d.png", [GREEN])),
                 model=ByColour(), device="cpu")  # fmt: skip


def test_a_missing_network_says_what_to_do(monkeypatch):
    photo = torch.rand(1, 3, 64, 64)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SegmentError, match="pip install transformers"):
        semantic(photo)

    class Offline:
        @staticmethod
        def from_pretrained(name):
            raise OSError("We couldn't connect")

    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(AutoModelForSemanticSegmentation=Offline))
    with pytest.raises(SegmentError, match="could not be fetched .*couldn't connect"):
        semantic(photo)


def test_refined_labels_of_a_rendered_scene():
    """Its true labels are known: of 30% wrong pixels a tenth is left, and borders drawn too coarsely come right."""
    generator = torch.Generator().manual_seed(3)
    scene, camera = random_scene([load(name, 128) for name in ("brick", "grass", "gravel", "coffee")], generator)
    picture, labels = scene.render(camera, (72, 96))[0], scene.depth(camera, (72, 96))[1]
    labels = torch.unique(labels, return_inverse=True)[1]
    true, count = torch.nn.functional.one_hot(labels).permute(2, 0, 1)[None].float(), int(labels.max()) + 1
    wrong = torch.rand(labels.shape, generator=generator) < 0.3
    noisy = torch.where(wrong, torch.randint(count, labels.shape, generator=generator), labels)
    noisy = torch.nn.functional.one_hot(noisy, count).permute(2, 0, 1)[None].float()
    coarse = torch.nn.functional.interpolate(
        torch.nn.functional.avg_pool2d(true, 8), size=labels.shape, mode="bilinear"
    )
    for given, left in ((noisy, 0.1), (coarse, 0.7)):
        found = refine(given, picture)
        before, after = (float((m.argmax(1) != true.argmax(1)).float().mean()) for m in (given, found))
        assert after < left * before
        assert torch.allclose(found.sum(1), torch.ones(1, 72, 96), atol=1e-5) and float(found.min()) >= 0


def test_refined_labels_are_the_minimiser():
    """Against a dense solve with the explicit matrix; and a smoother that does nothing gives the masks back."""
    generator = torch.Generator().manual_seed(0)
    image, masks = torch.rand(1, 3, 7, 9, generator=generator), torch.rand(1, 2, 7, 9, generator=generator).softmax(1)
    system = matting_laplacian(image).toarray() + 0.5 * np.eye(63)
    dense = np.linalg.solve(system, 0.5 * masks[0].flatten(1).double().numpy().T).T.reshape(1, 2, 7, 9)
    assert dense.min() > 0  # nothing to be cut off
    assert np.allclose(refine(masks, image, 0.5).numpy(), dense, atol=1e-5)
    assert torch.allclose(refine(masks, image, smoother=lambda m: m), masks, atol=1e-6)
    with pytest.raises(ValueError, match="masks: "):
        refine(masks, image[..., :5])
    with pytest.raises(ValueError, match="fidelity: 0"):
        refine(masks, image, 0)
