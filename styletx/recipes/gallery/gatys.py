"""The strips of lecture 03, and the README's picture."""

import time

import torch
from torch import Tensor

from ...images import noise_like, resize, size_of
from ...losses import content_loss, covariance_loss, gram_loss, total_variation, value_range
from ...methods.gatys import (
    CONTENT_LAYERS,
    RANGE_WEIGHT,
    STYLE_LAYERS,
    STYLE_WEIGHT,
    TV_WEIGHT,
    gatys,
    gatys_objective,
    reconstruct_content,
    reconstruct_style,
)
from ...methods.stylize import stylize
from ...objective import Energy, Match, Objective
from ...samples import load
from ...synthesis import synthesize
from . import PAINTING, PHOTO, SIZE, TITLES, Strip, detail

PAINTINGS = (
    "starry-night",
    "great-wave",
    "the-scream",
    "composition-vii",
    "water-lilies",
    "wheat-field-with-cypresses",
)


def header() -> Strip:
    """The README's first picture: a photo, what three paintings make of it, details; and four by a network, at once."""
    photo = resize(load(PHOTO), 512)
    pictures = [photo, *(gatys(PHOTO, name, size=512, steps=300).finish(progress=False) for name in PAINTINGS[:3])]
    at_once = ("wheat-field-with-cypresses", "shipwreck", "san-giorgio-at-dusk", "composition-vii")
    painted = [stylize(photo, style=style, size=512) for style in at_once]
    return [*pictures, *(detail(picture) for picture in pictures), *painted], [], {}


def six_paintings() -> Strip:
    """One photo in six paintings: each painting, what it makes of the photo, and a part of that, larger."""
    pictures, titles, seconds = [], [], {}
    for name in PAINTINGS:
        start = time.monotonic()
        made = gatys(PHOTO, name, size=SIZE, steps=250).finish(progress=False)
        seconds[name] = time.monotonic() - start
        pictures += [load(name), made, detail(made)]
        titles += [TITLES[name], f"the photograph, as {TITLES[name]}", "a part of it"]
    return pictures, titles, {"seconds": seconds}


def content_reconstruction() -> Strip:
    """From noise, the features of one layer alone (Gatys et al. 2016, Fig. 1)."""
    layers = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_1")
    photo = load(PHOTO, 256)
    pictures = [reconstruct_content(photo, layer, steps=300).finish(progress=False) for layer in layers]
    errors = {n: float((p.cpu() - photo).square().mean().sqrt()) for n, p in zip(layers, pictures, strict=True)}
    return [photo, *pictures], ["photo", *layers], {"rms error": errors}


def style_reconstruction() -> Strip:
    """From noise, the Gram matrices of more and more layers (Gatys et al. 2016, Fig. 1)."""
    style = load(PAINTING, 256)
    pictures = [reconstruct_style(style, STYLE_LAYERS[:k], steps=300).finish(progress=False) for k in range(1, 6)]
    return [style, *pictures], ["painting", *("… " + n if k else n for k, n in enumerate(STYLE_LAYERS))], {}


def gram_and_covariance() -> Strip:
    """The paper's loss, the default one, and covariances alone at the deep layers, with a part of each, larger."""
    content, style = resize(load(PHOTO), SIZE), load(PAINTING)
    share = STYLE_WEIGHT / len(STYLE_LAYERS)
    alone = Objective(
        Match(content_loss, content, CONTENT_LAYERS),
        Match(gram_loss, style, dict.fromkeys(STYLE_LAYERS[:3], share)),
        Match(covariance_loss, style, dict.fromkeys(STYLE_LAYERS[3:], share)),
        Energy(total_variation, TV_WEIGHT),
        Energy(value_range, RANGE_WEIGHT),
    )
    ways = {
        "Gram matrices": gatys(PHOTO, PAINTING, size=SIZE, steps=250, loss="gram"),
        "covariances beside them": gatys(PHOTO, PAINTING, size=SIZE, steps=250),
        "covariances alone": synthesize(alone, start=content, steps=250, keep_detail=True),
    }
    pictures, titles = [content, style], [TITLES[PHOTO], TITLES[PAINTING]]
    for title, run in ways.items():
        made = run.finish(progress=False)
        pictures += [made, detail(made)]
        titles += [title, "a part of it"]
    return pictures, titles, {}


def alpha_beta() -> Strip:
    """α/β over four orders of magnitude, and what the two losses make of it."""
    weights = (0.01, 0.1, 1.0, 10.0, 100.0)
    return _weights([STYLE_WEIGHT * w for w in weights], [f"α/β = {1 / (STYLE_WEIGHT * w):.3g}" for w in weights])


def gamma() -> Strip:
    """The style coefficient γ = 0.1 … 10 of the slides, in units of the default weight."""
    weights = (0.1, 0.2, 1.0, 5.0, 10.0)
    return _weights([STYLE_WEIGHT * w for w in weights], [f"γ = {w:g}" for w in weights])


def _weights(weights: list[float], titles: list[str]) -> Strip:
    pictures, losses = [load(PAINTING)], {}
    level = _judge(PHOTO, PAINTING)
    for weight, title in zip(weights, titles, strict=True):
        pictures.append(gatys(PHOTO, PAINTING, size=SIZE, style_weight=weight).finish(progress=False))
        losses[title] = _losses(level, pictures[-1])
    return pictures, [TITLES[PAINTING], *titles], {"losses": losses}


def _judge(photo: str, painting: str, size: int = SIZE):
    """Content and style loss with weight 1 each, at the gallery's size."""
    content, style = load(photo), load(painting)
    objective = gatys_objective(content, style, style_weight=1.0, tv_weight=0.0)
    return objective.at(size_of(resize(content, size)), "mini")


@torch.no_grad()
def _losses(level, picture: Tensor) -> dict[str, float]:
    """The content loss, and the style loss with all its terms."""
    values = {name: float(value) for name, value in level(picture.to(level.device)).items()}
    return {"content": values["content"], "style": values["style"] + values.get("strokes", 0.0)}


def pooling() -> Strip:
    """Max against average pooling."""
    pictures = [gatys(PHOTO, PAINTING, size=SIZE, pooling=kind).finish(progress=False) for kind in ("max", "avg")]
    return _with_parts(pictures, ["max pooling", "average pooling"])


def starts() -> Strip:
    """From the content, from two noise pictures, from the painting."""
    runs = [("content", 0), ("noise", 0), ("noise", 1), ("style", 0)]
    level = _judge(PHOTO, PAINTING)
    pictures = [gatys(PHOTO, PAINTING, size=SIZE, start=s, seed=n, steps=300).finish(progress=False) for s, n in runs]
    captions = ["from the photo", "from noise (seed 0)", "from noise (seed 1)", "from the painting"]
    return pictures, captions, {"losses": {c: _losses(level, p) for c, p in zip(captions, pictures, strict=True)}}


def optimisers() -> Strip:
    """L-BFGS against Adam at one size: the pictures after the same number of evaluations, and the curves."""
    pictures, curves = [], {}
    for name, rate in (("lbfgs", None), ("adam", None)):
        run = gatys(PHOTO, PAINTING, size=256, levels=1, steps=300, optimizer=name)
        curves[name] = [(step.evaluations, step.loss) for step in run]
        pictures.append(run.best)
    return pictures, ["L-BFGS, 300 evaluations", "Adam, 300 evaluations"], {"curves": curves}


def four_pictures() -> Strip:
    """The in-class problem: which picture has which losses?"""
    photo, painting = resize(load(PHOTO), SIZE), load("great-wave")
    result = gatys(PHOTO, "great-wave", size=SIZE).finish(progress=False)
    texture = reconstruct_style(painting, size=SIZE, steps=300).finish(progress=False)
    noise = noise_like(photo, 0).clamp(0, 1)
    pictures = [noise, resize(texture, size_of(photo)), result, photo]
    level = _judge(PHOTO, "great-wave")
    return pictures, list("ABCD"), {"losses": {c: _losses(level, p) for c, p in zip("ABCD", pictures, strict=True)}}


def coarse_to_fine() -> Strip:
    """The same budget at full size only, and coarse to fine, at 512 pixels."""
    pictures = [gatys(PHOTO, PAINTING, size=512, levels=n, steps=150).finish(progress=False) for n in (1, None)]
    return _with_parts(pictures, ["512 pixels only", "coarse to fine"])


def scales() -> Strip:
    """The size of the strokes: the painting at half, at equal and at twice the picture's size."""
    values = (0.5, 1.0, 2.0)
    pictures = [gatys(PHOTO, PAINTING, size=SIZE, style_scale=s).finish(progress=False) for s in values]
    return _with_parts(pictures, [f"style_scale = {s:g}" for s in values])


def _with_parts(pictures: list[Tensor], titles: list[str]) -> Strip:
    """A row of pictures, and below each a part of it, larger: strokes can be seen."""
    return [*pictures, *map(detail, pictures)], [*titles, *["a part of it"] * len(pictures)], {}


def failures() -> Strip:
    """What goes wrong, made on purpose."""
    tiny = gatys(PHOTO, PAINTING, size=SIZE, style_layers="relu1_1").finish(progress=False)
    stuck = gatys(PHOTO, PAINTING, size=SIZE, start="noise", steps=12, levels=1).finish(progress=False)
    drowned = gatys(PHOTO, PAINTING, size=SIZE, style_weight=1e5).finish(progress=False)
    blurred = gatys(PHOTO, PAINTING, size=SIZE, tv_weight=1000.0).finish(progress=False)
    empty = gatys(PHOTO, "soup-distribution", size=SIZE).finish(progress=False)
    right = gatys(PHOTO, PAINTING, size=SIZE).finish(progress=False)
    titles = ["as it should be", "only relu1_1: colours", "12 evaluations: noise left", "β too large: content lost",
              "too much TV: blur", "a drawing: no colour to take"]  # fmt: skip
    return [right, tiny, stuck, drowned, blurred, empty], titles, {}


FIGURES = {
    header: 4,
    six_paintings: 3,
    content_reconstruction: 3,
    style_reconstruction: 3,
    gram_and_covariance: 2,
    alpha_beta: 3,
    gamma: 3,
    pooling: 2,
    starts: 2,
    optimisers: 2,
    four_pictures: 4,
    coarse_to_fine: 2,
    scales: 3,
    failures: 3,
}
