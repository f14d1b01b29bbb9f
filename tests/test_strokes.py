"""styletx/methods/strokes.py: sums over sizes, added up by hand with the losses they are made of."""

import math

import pytest
import torch

from styletx import Objective, gram_loss, load, load_encoder, resize, synthesize
from styletx.methods.strokes import Shrink, hierarchical_loss, stroke_loss, stroke_weights

LAYERS = ("relu1_1", "relu2_1")


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("mini", device="cpu")


def test_weights_move_continuously_between_neighbours():
    assert stroke_weights(1.0) == {1.0: 1.0}
    assert stroke_weights(math.sqrt(2)) == pytest.approx({1.0: 0.5, 2.0: 0.5})
    assert stroke_weights(0.1) == {0.5: 1.0} and stroke_weights(9.0) == {2.0: 1.0}
    before, after = stroke_weights(1.999), stroke_weights(2.0)
    assert before[2.0] == pytest.approx(after[2.0], abs=1e-3)
    for size in (0.5, 0.6, 1.3, 1.9):
        assert sum(stroke_weights(size).values()) == pytest.approx(1)


@pytest.mark.parametrize("arguments", [(0.0,), (-1.0,), (math.nan,), (1.0, ()), (1.0, (2.0, 1.0)), (1.0, (1.0, 1.0))])
def test_sizes_that_are_none(arguments):
    with pytest.raises(ValueError, match="size"):
        stroke_weights(*arguments)


def test_stroke_loss_by_hand(encoder):
    """Between two sizes: the Gram distances to the style at both of them, each with its weight."""
    style, image = load("mosaic", size=64), load("china", size=64)
    style = style[..., :48, :64]
    image = image[..., :40, :64]
    level = Objective(*stroke_loss(style, "relu2_1", math.sqrt(2), weight=6.0), relative=False).at(
        (40, 64), encoder, device="cpu"
    )
    found = level(image)
    area = math.sqrt(40 * 64 / (48 * 64))
    wanted = {}
    for t in (1.0, 2.0):
        shown = resize(style, (round(48 * area * t), round(64 * area * t)))
        mine, theirs = encoder(image, "relu2_1")["relu2_1"], encoder(shown, "relu2_1")["relu2_1"]
        mine, theirs = (f.flatten(2)[0] @ f.flatten(2)[0].T / f[0, 0].numel() for f in (mine, theirs))
        wanted[f"strokes {t:g}×"] = 3.0 * (mine - theirs).square().mean()
    assert {k: float(v) for k, v in found.items()} == pytest.approx({k: float(v) for k, v in wanted.items()}, rel=1e-4)


def test_hierarchical_loss_by_hand(encoder):
    style, image = load("mosaic", size=64)[..., :48, :48], torch.rand(1, 3, 48, 48)
    level = Objective(*hierarchical_loss(style, LAYERS, resolutions={1.0: 2.0, 0.5: 1.0}), relative=False)
    found = level.at((48, 48), encoder, device="cpu")(image)
    for k, share in ((1.0, 2.0), (0.5, 1.0)):
        side = round(48 * k)
        mine, theirs = (encoder(resize(p, (side, side)), LAYERS) for p in (image, style))
        wanted = share * sum(float(gram_loss(mine[n], theirs[n])) for n in LAYERS) / 2
        assert float(found[f"at {k:g}×"]) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("resolutions", [[0.0], [-0.5], [2.0], [math.nan], [], [1.0, 1.0]])
def test_resolutions_that_are_none(resolutions):
    with pytest.raises(ValueError, match="resolutions"):
        hierarchical_loss(torch.rand(1, 3, 8, 8), "relu1_1", resolutions=resolutions)


def test_a_quarter_of_a_small_picture_is_found_out_before_the_run(encoder):
    """At a quarter of its size a picture needs four times the side; coarse levels that are too small are left out."""
    style = torch.rand(1, 3, 256, 256)
    objective = Objective(*hierarchical_loss(style, ("relu1_1", "relu5_1")))
    assert objective.smallest(encoder) == 4 * encoder.smallest("relu5_1")
    run = synthesize(objective, encoder, start=torch.rand(1, 3, 171, 256), steps=3, device="cpu")
    assert all(min(size) >= objective.smallest(encoder) for size, _ in run.schedule)
    assert run.finish(progress=False).shape[-2:] == (171, 256)
    with pytest.raises(ValueError, match="too few"):
        synthesize(objective, encoder, start=torch.rand(1, 3, 96, 96), device="cpu")


def test_shrink_has_a_gradient():
    image = torch.rand(1, 3, 6, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Shrink(0.5), image)


@pytest.mark.slow
@pytest.mark.parametrize("make", [stroke_loss, hierarchical_loss])
def test_they_fall_and_another_distance_with_them(encoder, make):
    """Minimised alone, each falls to a fifth, and a distance that nobody asked for falls too."""
    from styletx.losses import sliced_wasserstein

    style, photo = load("mosaic", size=128), load("china", size=128)
    objective = Objective(*make(style, ("relu1_1", "relu2_1", "relu3_1")))
    steps = list(synthesize(objective, encoder, start=photo, steps=60, levels=1, device="cpu"))
    assert steps[-1].loss < steps[0].loss / 5
    other = sliced_wasserstein(directions=64, update_every=0)
    start, end, wanted = (encoder(p, "relu2_1")["relu2_1"] for p in (photo, steps[-1].image, style))
    assert float(other(end, wanted)) < float(other(start, wanted)) / 1.5
