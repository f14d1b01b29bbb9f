"""styletx/methods/deep_photo.py: the augmented loss densely in float64, what an affine map of colours costs, runs."""

import importlib

import numpy as np
import pytest
import torch

from styletx import load, load_encoder
from styletx.images import noise_like, resize, resize_mask
from styletx.methods.deep_photo import deep_photo, deep_photo_objective, find_segments, paper_objective, photorealism
from styletx.methods.options import Choice, Number, Picture, options

LAYERS = ("relu1_1", "relu2_1", "relu3_1")
SMALL = dict(size=96, steps=4, device="cpu")


@pytest.fixture(scope="module")
def mini():
    return load_encoder("mini", device="cpu")


@pytest.fixture(scope="module")
def photos():
    return load("china", size=96), load("flower", size=96)


def strips(picture, edges):
    """Soft masks (1, K, H, W): vertical strips that end at the shares `edges` of the width, each edge 9 pixels wide."""
    across = torch.arange(picture.shape[-1]) + 0.5
    steps = [((across - edge * picture.shape[-1]) / 9 + 0.5).clamp(0, 1) for edge in edges]
    steps = torch.stack([torch.ones_like(across), *steps, torch.zeros_like(across)])
    return (steps[:-1] - steps[1:])[None, :, None].expand(-1, -1, picture.shape[-2], -1)


def dense_style(encoder, x, style, where, layers):
    """Σ_l Σ_c m_c |G_c(x) − A_c|² / Σ_l' ..., each layer over its value without features; numpy, float64, by loops."""
    total = 0.0
    areas = where[0].double().mean((0, 2, 3)).numpy()
    for layer in layers:
        grams = []
        for image, masks in ((x, where[0]), (style, where[1])):
            features = encoder(image, layer)[layer][0].double().numpy()
            small = resize_mask(masks, features.shape[1:])[0].double().numpy()
            found = []
            for mask in small:
                gram = np.zeros((len(features), len(features)))
                for row in range(features.shape[1]):
                    column = features[:, row]
                    gram += (column * mask[row]) @ column.T
                found.append(gram / mask.sum())
            grams.append(found)
        value = sum(m * ((g - a) ** 2).mean() for m, g, a in zip(areas, *grams, strict=True))
        size = sum(m * (a**2).mean() for m, a in zip(areas, grams[1], strict=True))
        total += value / size / len(layers)
    return total


def style_term(content, style, where, image, encoder, layers=LAYERS, weight=1.0):
    objective = deep_photo_objective(content, style, where, style_layers=layers, style_weight=weight, matting_weight=0)
    return objective.at(tuple(image.shape[-2:]), encoder)(image)["style"]


def test_augmented_loss_is_the_formula(photos, mini):
    content, style = photos[0], resize(photos[1], photos[0].shape[-2:])  # one size: the reference is not resized
    where = strips(content, (0.3, 0.55)), strips(style, (0.5, 0.8))
    x = (content + 0.1 * torch.randn(content.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    with torch.no_grad():
        ours = float(style_term(content, style, where, x, mini))
        expected = dense_style(mini, x, style, where, LAYERS)
    assert ours == pytest.approx(expected, rel=1e-4)


def test_gradient_of_the_augmented_loss(photos):
    """In float64, the slope along a random direction against a central difference."""
    encoder = load_encoder("mini", device="cpu").double()
    content, style = photos[0][..., :32, :40], photos[1][..., :36, :33]
    where = strips(content, (0.4,)), strips(style, (0.5,))
    objective = deep_photo_objective(content, style, where, style_layers=LAYERS, style_weight=1.0, matting_weight=0)
    generator = torch.Generator().manual_seed(0)
    x = content.double() + 0.1 * torch.randn(content.shape, generator=generator, dtype=torch.float64)
    way = torch.randn(content.shape, generator=generator, dtype=torch.float64)
    level = objective.at(tuple(x.shape[-2:]), encoder)
    x.requires_grad_(True)
    (slope,) = torch.autograd.grad(level(x)["style"], x)
    with torch.no_grad():
        step = 1e-7  # smaller than the way to the next kink of a ReLU, mostly
        numeric = (level(x + step * way)["style"] - level(x - step * way)["style"]) / (2 * step)
    assert float((slope * way).sum()) == pytest.approx(float(numeric), rel=1e-5)


def test_order_of_segments_does_not_matter(photos, mini):
    content, style = photos
    where = strips(content, (0.3, 0.55)), strips(style, (0.5, 0.8))
    turned = tuple(masks[:, [2, 0, 1]] for masks in where)
    one, other = (float(style_term(content, style, w, content, mini)) for w in (where, turned))
    assert one == pytest.approx(other, rel=1e-6)


def test_one_segment_everywhere_is_gatys(photos, mini):
    content, style = photos
    everywhere = torch.ones(1, 1, *content.shape[-2:]), torch.ones(1, 1, *style.shape[-2:])
    plain = style_term(content, style, None, content, mini)
    assert float(style_term(content, style, everywhere, content, mini)) == pytest.approx(float(plain), rel=1e-6)


def test_segments_count_by_their_area(photos, mini):
    """Two halves of one region, compared with the same reference, are that region: only shares by area give this."""
    content, style = photos
    half = torch.full((1, 1, *content.shape[-2:]), 0.25)
    where = torch.cat([half, 3 * half], 1), torch.full((1, 2, *style.shape[-2:]), 0.5)
    plain = style_term(content, style, None, content, mini)
    assert float(style_term(content, style, where, content, mini)) == pytest.approx(float(plain), rel=1e-5)


def test_a_segment_without_a_position_asks_for_nothing_there(photos, mini):
    """4×4 pixels are a sixteenth of a position at relu5_1, and 16 positions at relu1_1."""
    content, style = photos
    masks = torch.zeros(1, 2, *content.shape[-2:])
    masks[:, 0, 20:24, 20:24] = 1
    masks[:, 1] = 1 - masks[:, 0]
    for layer, asks in (("relu1_1", True), ("relu5_1", False)):
        values = []
        for edge in (0.3, 0.6):  # another reference for the first alone
            theirs = torch.cat([strips(style, (edge,))[:, :1], strips(style, (0.5,))[:, 1:]], 1)
            values.append(float(style_term(content, style, (masks, theirs), content, mini, layer)))
        assert (values[0] != values[1]) == asks


def matting(content, image, **options):
    return float(photorealism(content, **options)(tuple(content.shape[-2:]), torch.device("cpu"))(image))


def test_affine_maps_of_colour_are_free_and_bent_ones_are_not(photos):
    content = photos[0]
    turn = torch.tensor([[0.5, 0.2, 0.1], [-0.3, 0.8, 0.1], [0.2, 0.2, -0.6]])
    affine = torch.einsum("ij,bjhw->bihw", turn, content) + torch.tensor([0.1, -0.2, 0.4]).view(1, 3, 1, 1)
    bent = (2 * torch.pi * content).sin()
    free, costly = matting(content, affine), matting(content, bent)
    assert free < 1e-4 and costly > 100 * free and costly > 1e-3
    assert matting(content, affine.flip(-1)) > 100 * free  # an affine map of another picture


def test_locally_affine_is_enough(photos):
    """Two maps that agree on a strip of one colour: no window sees both, so it is free, though no one map gives it."""
    content = photos[0].clone()
    strip = torch.tensor([0.3, 0.5, 0.4]).view(1, 3, 1, 1)
    content[..., 40:43] = strip
    right = torch.arange(content.shape[-1]) > 41
    agreeing = torch.where(right, strip - 0.5 * (content - strip), content)
    clashing = torch.where(right, strip - 0.5 * (content - strip) + 0.2, content)
    assert matting(content, agreeing) < 1e-4 and matting(content, clashing) > 1e-3


@pytest.mark.parametrize("name", ["china", "coffee"])
def test_noise_costs_its_weight_at_any_size(name):
    """What relative means here: a picture torn as badly as noise costs 1, at 64 and at 192 pixels."""
    photo = load(name)
    for size in (64, 96, 192):
        small = resize(photo, size)
        assert matting(small, noise_like(small, seed=5)) == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_matting_holds_and_style_comes(photos):
    """The bar of the lecture, small: a twentieth of the matting term, and 60% of the style's reduction."""
    content, style = photos
    ends = {}
    for weight in (0.0, None):
        options = {} if weight is None else {"matting_weight": weight}
        run = deep_photo(content, style, size=96, steps=60, segments="none", start="content", device="cpu", **options)
        ends[weight] = run.finish(progress=False)
    mini = load_encoder("mini", device="cpu")
    with torch.no_grad():
        styles = {k: float(style_term(content, style, None, p, mini)) for k, p in ends.items()}
        before = float(style_term(content, style, None, content, mini))
    assert matting(content, ends[None]) < matting(content, ends[0.0]) / 20
    assert before - styles[None] > 0.6 * (before - styles[0.0])


@pytest.mark.parametrize("size", [(50, 71), (97, 64)])
@pytest.mark.parametrize("segments", ["cluster", "none"])
def test_sizes_that_no_pooling_divides(size, segments):
    content = resize(load("china"), size)
    result = deep_photo(content, "flower", **(SMALL | {"size": max(size)}), segments=segments).finish(progress=False)
    assert result.shape == content.shape and bool(result.isfinite().all())
    assert float(result.min()) >= 0 and float(result.max()) <= 1


def test_seeded(photos):
    first, second = (deep_photo(*photos, **SMALL).finish(progress=False) for _ in range(2))
    assert torch.equal(first, second)


def test_starts(photos):
    content, style = photos
    begun = {
        start: next(deep_photo(content, style, start=start, segments="none", **SMALL)) for start in
        ("content", "matched", "noise")
    }  # fmt: skip
    assert torch.allclose(begun["content"].raw, content) and begun["content"].losses["matting"] < 1
    gap = (begun["matched"].raw - style.mean((2, 3), keepdim=True)).mean((2, 3)).abs().max()
    assert 2 * float(gap) < float((content.mean((2, 3)) - style.mean((2, 3))).abs().max())  # what left [0, 1] is cut
    assert begun["noise"].losses["matting"] > 10 * begun["matched"].losses["matting"]


def test_a_picture_keeps_its_detail_and_noise_does_not(photos):
    content, style = photos
    for start, kept in (("content", True), ("noise", False)):
        run = deep_photo(content, style, size=96, steps=2, levels=[48, 96], start=start, segments="none", device="cpu")
        begun = [step.raw for step in run if step.level == 1][0]
        first = content if start == "content" else noise_like(content, 0, size=tuple(content.shape[-2:]))
        blurred = resize(resize(first, 48), first.shape[-2:])
        assert torch.allclose(begun, first if kept else blurred, atol=1e-6)


def test_given_masks_are_compared_in_their_order(photos):
    content, style = photos
    masks = strips(content, (0.5,)), strips(style, (0.5,))
    where = find_segments(content, style, mask=masks[0], style_mask=masks[1])
    assert where[0] is masks[0] and where[1] is masks[1]
    assert find_segments(content, style, "none") is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mask": torch.ones(1, 2, 9, 9)}, "style_mask: none given"),
        ({"style_mask": torch.ones(1, 2, 9, 9)}, "mask: none given"),
        ({"mask": torch.ones(1, 2, 9, 9), "style_mask": torch.ones(1, 3, 9, 9)}, "2 and 3 regions"),
        ({"mask": torch.ones(2, 9, 9), "style_mask": torch.ones(1, 2, 9, 9)}, r"masks are \(1, K, H, W\)"),
        ({"mask": 255 * torch.ones(1, 2, 9, 9), "style_mask": torch.ones(1, 2, 9, 9)}, r"\[0, 1\]"),
        ({"mask": torch.zeros(1, 2, 9, 9), "style_mask": torch.ones(1, 2, 9, 9)}, "region 1 of 2 has no pixel"),
        ({"mask": "coffee", "style_mask": "chelsea"}, "photograph|colours"),
        ({"mask": "coffee", "style_mask": torch.ones(1, 2, 9, 9)}, "one is a file"),
        ({"segments": "by hand"}, "by hand"),
        ({"count": 1}, "count: 1"),
        ({"matting_weight": -1.0}, "matting_weight: -1"),
        ({"matting_weight": float("nan")}, "matting_weight: nan"),
        ({"start": "nowhere"}, "nowhere"),
        ({"size": 8}, "size: 8"),
        ({"style_weight": 0.0, "content_weight": 0.0}, "both are 0"),
        ({"recipe": "folklore"}, "folklore"),
        ({"recipe": "paper", "encoder": "vgg16"}, "vgg16"),
        ({"content": torch.rand(1, 3, 1, 1)}, "content: 1×1"),
        ({"style": torch.rand(1, 3, 5, 7)}, "style: 7×5"),
    ],
)
def test_bad_input_is_refused_at_once(wrong, message):
    with pytest.raises(ValueError, match=message):
        deep_photo(**{"content": "china", "style": "flower", **SMALL, **wrong})


def test_options_are_read_from_the_signature():
    found = {option.name: option for option in options(deep_photo)}
    pictures = {n: o.required for n, o in found.items() if isinstance(o.allowed, Picture)}
    assert pictures == {"content": True, "style": True, "mask": False, "style_mask": False}
    assert isinstance(found["matting_weight"].allowed, Number) and found["size"].default == 384
    assert isinstance(found["segments"].allowed, Choice) and all(option.allowed.help for option in found.values())


def test_the_papers_recipe_is_the_authors_code(monkeypatch, photos):
    """Their losses as neuralstyle_seg.lua has them, on random VGG-19: 5, 100, 10⁴; first without λ, then with it."""
    small = load_encoder("vgg19", weights="random", device="cpu")
    module = importlib.import_module("styletx.methods.deep_photo")
    monkeypatch.setattr(module, "load_encoder", lambda *a, **k: small)
    content = photos[0]
    style = resize(photos[1], content.shape[-2:])
    masks = strips(content, (0.3,)), strips(style, (0.5,))
    run = deep_photo(content, style, mask=masks[0], style_mask=masks[1], recipe="paper", size=96, steps=2, device="cpu")
    steps = list(run)
    assert [max(step.size) for step in steps][0] == 48 and steps[0].losses["matting"] == 0
    last = next(step for step in steps if max(step.size) == 96)
    objective = paper_objective(content, style, masks, tuple(content.shape[-2:]), "relu4_2", LAYERS)
    x = (content + 0.2 * torch.randn(content.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    with torch.no_grad():
        values = objective.at(tuple(content.shape[-2:]), small)(x)
        seen = [small(image, [*LAYERS, "relu4_2"]) for image in (x, content, style)]
        scale = 255 * 0.226
        expected = 5 * (scale * (seen[0]["relu4_2"] - seen[1]["relu4_2"])).square().mean()
        styled = 0.0
        for layer in LAYERS:
            for k in range(2):
                grams = []
                for features, mask in ((seen[0][layer], masks[0]), (seen[2][layer], masks[1])):
                    cloud = scale * features[0].flatten(1)
                    weights = resize_mask(mask[:, k : k + 1], features.shape[-2:]).flatten()
                    grams.append((cloud * weights) @ cloud.T / (len(cloud) * weights.sum()))
                styled += 100 * masks[0][:, k].mean() * (grams[0] - grams[1]).square().mean()
    assert float(values["content"]) == pytest.approx(float(expected), rel=1e-3)
    assert float(values["style"]) == pytest.approx(float(styled), rel=1e-3)
    assert float(values["matting"]) == pytest.approx(1e4 * matting(content, x, eps=1e-7, relative=False), rel=1e-4)
    assert last.losses["matting"] > 0
