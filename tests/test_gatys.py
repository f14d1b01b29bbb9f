"""styletx/methods/gatys.py: the method as a user meets it."""

import importlib

import pytest
import torch

from styletx import gatys, gram_loss, load, load_encoder, reconstruct_content, reconstruct_style
from styletx.images import noise_like, resize
from styletx.losses import STYLE_LOSSES
from styletx.methods.gatys import STYLE_LAYERS, STYLE_WEIGHT, style_parts
from styletx.methods.options import Choice, Number, Picture, check_options, options

SMALL = {"size": 96, "device": "cpu"}


def gram_distance(encoder, picture, style, layer="relu2_1"):
    with torch.no_grad():
        return float(gram_loss(encoder(picture, layer)[layer], encoder(style, layer)[layer]))


@pytest.mark.slow
def test_style_comes_and_content_stays():
    """Judged by an encoder that was not optimised: statistics of the pyramid's bands, and the photo's own layout."""
    photo, style = load("china", size=128), load("mosaic", size=128)
    result = gatys(photo, style, size=128, steps=100, device="cpu").finish(progress=False)
    judge = load_encoder("laplacian", device="cpu")
    for band in ("band1", "band2"):
        assert gram_distance(judge, result, style, band) < 0.5 * gram_distance(judge, photo, style, band)
    assert result.shape == photo.shape and float(result.min()) >= 0 and float(result.max()) <= 1
    grey = [p.mean(1).flatten() - p.mean() for p in (result, photo, noise_like(photo, 0))]
    likeness = [float(torch.dot(grey[0], g) / (grey[0].norm() * g.norm())) for g in grey[1:]]
    assert likeness[0] > 0.4 > likeness[1] + 0.3


@pytest.mark.slow
def test_weights_are_relative_across_sizes_and_encoders():
    """The same β gives about the same share of the style, at 96 and at 192 pixels."""
    ends = []
    for size in (96, 192):
        steps = list(gatys("china", "mosaic", size=size, steps=80, device="cpu"))
        ends.append(steps[-1].losses["content"])
    assert 0.4 < ends[0] / ends[1] < 2.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, kept",
    [
        ({}, True),
        ({"start": "style"}, True),
        ({"start": "noise"}, False),
        ({"keep_detail": False}, False),
        ({"start": "noise", "keep_detail": True}, True),
    ],
)
def test_what_a_level_begins_with(options, kept):
    """With one evaluation to a level nothing is changed: the second level begins with the start, or with it blurred."""
    photo, painting = load("china", size=128), resize(load("mosaic"), (85, 128))
    run = gatys(photo, painting, size=128, levels=[64, 128], steps=2, device="cpu", **options)
    begun = [step.raw for step in run if step.level == 1][0]
    starts = {"content": photo, "style": painting, "noise": noise_like(photo, 0, size=(85, 128))}
    start = starts[options.get("start", "content")]
    assert torch.allclose(begun, start if kept else resize(resize(start, 64), (85, 128)), atol=1e-6)


def test_tensors_of_other_floats_give_the_same_picture():
    photo, painting = load("china", size=64), load("mosaic", size=64)
    single = gatys(photo, painting, size=64, steps=3, device="cpu").finish(progress=False)
    double = gatys(photo.double(), painting.double(), size=64, steps=3, device="cpu").finish(progress=False)
    assert torch.allclose(single, double, atol=1e-4)


@pytest.mark.slow
def test_more_style_weight_less_style_loss():
    ends = []
    for weight in (0.01, 1.0, 100.0):
        steps = list(gatys("china", "waves", steps=60, style_weight=weight, **SMALL))
        ends.append((steps[-1].losses["style"] / weight, steps[-1].losses["content"]))
    styles, contents = zip(*ends, strict=True)
    assert styles[0] > styles[1] > styles[2] and contents[0] < contents[1] < contents[2]


@pytest.mark.slow
def test_starts():
    photo = load("china", size=96)
    content = next(gatys(photo, "waves", steps=1, **SMALL))
    assert content.losses["content"] < 0.02
    noise = [next(gatys(photo, "waves", start="noise", seed=seed, steps=1, **SMALL)).raw for seed in (0, 0, 1)]
    assert torch.equal(noise[0], noise[1]) and not torch.equal(noise[0], noise[2])
    own = resize(load("mosaic"), (64, 96))
    assert torch.equal(next(gatys(photo, "waves", start=own, steps=1, **SMALL)).raw, own)


def test_size_is_the_longer_side_and_small_photos_grow():
    assert gatys("china", "waves", size=96, steps=2).finish(False).shape == (1, 3, 64, 96)
    assert gatys(load("china", size=48), "waves", size=96, steps=2).finish(False).shape[-1] == 96


@pytest.mark.slow
def test_reconstructions():
    photo = load("coffee", size=96)
    encoder = load_encoder("mini", device="cpu")
    shallow = reconstruct_content(photo, "relu1_1", size=96, steps=150, device="cpu").finish(False)
    deep = reconstruct_content(photo, "relu5_1", size=96, steps=150, device="cpu").finish(False)
    errors = [float((p - photo).square().mean()) for p in (shallow, deep)]
    assert errors[0] < 0.1 * errors[1]
    texture = reconstruct_style("mosaic", STYLE_LAYERS[:2], size=96, steps=100, device="cpu").finish(False)
    style = load("mosaic", size=96)
    assert gram_distance(encoder, texture, style) < 0.02 * gram_distance(encoder, noise_like(style, 0), style)


def test_the_papers_recipe_is_the_papers_objective(monkeypatch):
    """α = 1, β = 10³, ½ Σ and Σ/(4N²M²), average pooling, from noise, one level; checked by hand on random VGG-19."""
    small = load_encoder("vgg19", weights="random", pooling="avg", device="cpu")
    seen = {}
    module = importlib.import_module("styletx.methods.gatys")
    monkeypatch.setattr(module, "load_encoder", lambda *a, **k: seen.update(k, name=a[0]) or small)
    photo, style = load("china", size=64), resize(load("mosaic"), (43, 64))
    step = next(gatys(photo, style, size=64, steps=1, recipe="paper", device="cpu"))
    assert (seen["name"], seen["pooling"], seen["normalised"]) == ("vgg19", "avg", True)
    with torch.no_grad():
        layers = ["relu4_2", *STYLE_LAYERS]
        x, p, a = (small(image, layers) for image in (noise_like(photo, 0), photo, style))
        content = (x["relu4_2"] - p["relu4_2"]).square().sum() / 2
        expected = 0.0
        for layer in STYLE_LAYERS:
            f, g = x[layer][0].flatten(1), a[layer][0].flatten(1)
            expected += (f @ f.T - g @ g.T).square().sum() / (4 * f.shape[0] ** 2 * f.shape[1] ** 2) / 5
    assert step.losses["content"] == pytest.approx(float(content), rel=1e-3)
    assert step.losses["style"] == pytest.approx(1e3 * float(expected), rel=1e-3)
    with pytest.raises(ValueError, match="vgg16"):
        gatys(photo, style, recipe="paper", encoder="vgg16")


def test_the_default_loss_is_gram_matrices_and_deep_covariances():
    """Both terms by hand, with torch.cov, each layer relative to the painting's own; `loss="gram"` is the paper's."""
    encoder = load_encoder("mini", device="cpu")
    photo, style = resize(load("china"), (64, 96)), resize(load("mosaic"), (64, 96))
    step = next(gatys(photo, style, size=96, steps=1, levels=1, encoder=encoder))
    plain = next(gatys(photo, style, size=96, steps=1, levels=1, encoder=encoder, loss="gram"))
    with torch.no_grad():
        x, a = (encoder(image, STYLE_LAYERS) for image in (photo, style))
    share, expected = STYLE_WEIGHT / 5, {"style": 0.0, "strokes": 0.0}
    for layer in STYLE_LAYERS:
        f, g = (value[layer][0].flatten(1).double() for value in (x, a))
        grams = f @ f.T / f.shape[1], g @ g.T / g.shape[1]
        covariances = torch.cov(f, correction=0), torch.cov(g, correction=0)
        tenth = share / 10 if layer in ("relu4_1", "relu5_1") else 0.0
        for name, weight, (mine, theirs) in (("style", share, grams), ("strokes", tenth, covariances)):
            expected[name] += weight * float((mine - theirs).square().sum() / theirs.square().sum())
    for name, value in expected.items():
        assert step.losses[name] == pytest.approx(value, rel=1e-3)
    assert plain.losses["style"] == pytest.approx(expected["style"], rel=1e-3) and "strokes" not in plain.losses


def test_layers_named_keep_their_statistic():
    parts = style_parts(layers={"relu2_2": 0.5, "relu4_2": 2.0})
    assert {name: (loss.name, layers) for name, (loss, layers) in parts.items()} == {
        "style": ("gram", {"relu2_2": 0.5, "relu4_2": 2.0}),
        "strokes": ("covariance", {"relu4_2": 0.2}),
    }
    assert list(style_parts(layers="relu1_1")) == ["style"]
    with pytest.raises(ValueError, match="gram-covariance"):
        style_parts("grim")


def test_options_are_read_from_the_signature():
    found = {option.name: option for option in options(gatys)}
    pictures = {n: o.required for n, o in found.items() if isinstance(o.allowed, Picture)}
    assert pictures == {"content": True, "style": True, "mask": False, "style_mask": False}
    assert isinstance(found["size"].allowed, Number) and found["size"].default == 512
    assert isinstance(found["start"].allowed, Choice) and "noise" in found["start"].allowed.values
    for option in found.values():
        assert option.allowed.help
        if not option.required:
            check_options(gatys, {option.name: option.default})


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"content": "no-such-picture"}, "no-such-picture"),
        ({"style": "stary-night"}, "starry-night"),
        ({"steps": 0}, "steps: 0"),
        ({"style_weight": -1.0}, "style_weight: -1"),
        ({"style_weight": float("nan")}, "style_weight: nan"),
        ({"tv_weight": float("inf")}, "tv_weight: inf"),
        ({"size": 8}, "size: 8"),
        ({"size": 100.5}, "size: 100.5"),
        ({"start": "nowhere"}, "nowhere"),
        ({"encoder": "mimi"}, "mini"),
        ({"style_layers": "relu9_9"}, "relu9_9"),
        ({"style_layers": {"relu1_1": -2.0}}, "weight"),
        ({"device": "abacus"}, "abacus"),
        ({"content": torch.rand(1, 3, 1, 1)}, "content: 1×1"),
        ({"style": torch.rand(1, 3, 5, 7)}, "style: 7×5"),
        ({"content": torch.rand(3, 64, 64)}, "content"),
        ({"style": torch.full((1, 3, 64, 64), float("nan"))}, "style"),
        ({"content": torch.zeros(1, 3, 64, 64, dtype=torch.uint8)}, "content: .*uint8"),
        ({"start": torch.zeros(1, 3, 64, 64, dtype=torch.uint8)}, "start: .*uint8|start: .*float"),
        ({"style_weight": 0.0, "content_weight": 0.0}, "both are 0"),
        ({"recipe": "folklore"}, "folklore"),
    ],
)
def test_bad_input_is_refused_at_once(wrong, message):
    with pytest.raises(ValueError, match=message):
        gatys(**{"content": "china", "style": "mosaic", "size": 96, "steps": 2, **wrong})


@pytest.mark.slow
@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_every_style_loss_by_name_lowers_itself(name):
    """From the photo, coarse to fine, through the whole method: the style term falls, and the picture moves."""
    run = gatys("china", "stained-glass", size=96, steps=30, loss=name, levels=1, device="cpu")
    steps = list(run)
    assert steps[-1].losses["style"] < 0.7 * steps[0].losses["style"]
    assert steps[-1].evaluations <= 30 and float((run.best - steps[0].image).abs().mean()) > 0.01


def test_other_losses_have_no_paper_recipe():
    with pytest.raises(ValueError, match="recipe: .* Gram matrices"):
        gatys("china", "flower", size=64, loss="bn", recipe="paper", device="cpu")
    with pytest.raises(ValueError, match="style: .* too few"):
        gatys("china", torch.rand(1, 3, 9, 40), size=64, loss="mrf", device="cpu")
    with pytest.raises(ValueError, match="size"):
        gatys("china", "flower", size=32, loss="mrf", device="cpu")
