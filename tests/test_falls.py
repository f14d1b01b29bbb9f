"""Every style loss does what it is for: minimised alone it falls, and a distance nobody asked for falls too."""

import pytest
import torch

from styletx import Match, Objective, gatys, gram_loss, load, load_encoder, synthesize
from styletx.evaluation.metrics import patch_ratio
from styletx.losses import STYLE_LOSSES, adversarial_loss, laplacian_loss, semantic_loss
from styletx.methods.gatys import STYLE_LAYERS
from styletx.segments import cluster

pytestmark = pytest.mark.slow

PATCHES = {"mrf", "reshuffle"}


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("mini", device="cpu")


@pytest.fixture(scope="module")
def pair():
    photo, painting = load("china", size=128), load("stained-glass", size=128)
    return photo, painting


def fall(objective, encoder, start, **options):
    """(how many times smaller the objective is at the end, the result): judged by one level, targets at rest."""
    run = synthesize(objective, encoder, start=start, steps=100, levels=1, device="cpu", **options)
    result = run.finish(progress=False)
    values = []
    for picture in (start, result):  # each at a level of its own: both meet the same draw, and the assignment is theirs
        level = objective.at(tuple(start.shape[-2:]), encoder, device="cpu")
        level.update(picture, 0)
        with torch.no_grad():
            values.append(float(sum(level(picture).values())))
    return values[0] / values[1], result


def gram_fall(encoder, layer, result, pair):
    """How many times nearer to the painting's Gram matrix the result is than the photo, at one layer."""
    (mine, photos, wanted) = (encoder(picture, layer)[layer] for picture in (result, *pair))
    return float(gram_loss(photos, wanted) / gram_loss(mine, wanted))


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_each_style_loss_falls_and_patches_follow(name, encoder, pair):
    """To a fifth at its default layers (patches: a half); a distance nobody asked for falls with it."""
    photo, painting = pair
    loss, layers = STYLE_LOSSES[name]
    layers = ("relu3_1",) if name in PATCHES else layers
    times, result = fall(Objective(Match(loss, painting, layers or STYLE_LAYERS)), encoder, photo)
    assert times >= (2 if name in PATCHES else 5)
    if name in PATCHES:  # which leave the pixels between their patches to themselves
        assert gram_fall(encoder, "relu2_1", result, pair) > 2
    else:
        assert patch_ratio(result, photo, painting) < 0.95


def test_semantic_loss_falls(encoder, pair):
    photo, painting = pair
    masks = cluster(photo, painting, count=2, encoder=encoder, layer="relu3_1")
    times, result = fall(Objective(Match(semantic_loss(), painting, "relu3_1", masks=tuple(masks))), encoder, photo)
    assert times >= 2
    assert gram_fall(encoder, "relu2_1", result, pair) > 2


def test_laplacian_loss_falls_from_a_stylised_picture(encoder, pair):
    """It is zero at the photo: from a stylised one edges come back, and so do pixels nobody asked for."""
    photo, painting = pair
    start = gatys(photo, painting, size=128, steps=40, style_weight=100.0, device="cpu").finish(progress=False)
    times, result = fall(Objective(Match(laplacian_loss, photo, "input")), encoder, start)
    assert times >= 5
    fine = [torch.nn.functional.avg_pool2d(p, 4).diff(dim=-1) for p in (photo, start, result)]
    assert float((fine[2] - fine[0]).square().mean()) < float((fine[1] - fine[0]).square().mean()) / 2


def test_a_critic_is_pleased_and_halves_the_other_distance(encoder, pair):
    """Its own values at different steps do not compare: a distance at a layer it never saw is halved instead."""
    photo, painting = pair
    objective = Objective(Match(adversarial_loss(), painting, ("relu1_1", "relu2_1", "relu3_1")))
    run = synthesize(objective, encoder, start=photo, steps=100, levels=1, optimizer="adam", rate=0.03, device="cpu")
    assert gram_fall(encoder, "relu4_1", run.finish(progress=False), pair) >= 2
