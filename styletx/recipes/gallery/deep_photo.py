"""The strips of lecture 12: what each part of Deep Photo Style Transfer is for, what λ costs, and how it fails."""

import torch
from torch import Tensor

from ...encoders import load_encoder
from ...images import resize, size_of
from ...losses import gram_loss, value_range
from ...methods.deep_photo import (
    MATTING_WEIGHT,
    RANGE_WEIGHT,
    STYLE_LAYERS,
    STYLE_WEIGHT,
    deep_photo,
    deep_photo_objective,
    find_segments,
    photorealism,
)
from ...objective import Energy, Match, Objective
from ...samples import load, relight
from ...synthesis import synthesize
from . import PHOTO, SIZE, Strip

SUNSET = "beach-city"
LAMBDAS = (0.0, 1e2, 1e3, 1e4, 1e5)


def deep_photo_parts() -> Strip:
    """Neither segments nor matting, each alone, and both; with what they leave of the losses."""
    kinds: dict[str, dict[str, str | float]] = {
        "neither (Gatys et al.)": dict(segments="none", matting_weight=0.0),
        "segments": dict(matting_weight=0.0),
        "matting": dict(segments="none"),
        "both": {},
    }
    pictures = [_photo(**options) for options in kinds.values()]
    measured = {name: _measure(p) for name, p in zip(kinds, pictures, strict=True)}
    return [load(PHOTO, SIZE), load(SUNSET, SIZE), *pictures], ["content", "style", *kinds], {"losses": measured}


def deep_photo_lambda() -> Strip:
    """λ over five values, and what it takes from the style."""
    losses = {"content": _measure(resize(load(PHOTO), SIZE))}
    pictures = [_photo(matting_weight=weight) for weight in LAMBDAS]
    losses |= {f"{weight:g}": _measure(p) for weight, p in zip(LAMBDAS, pictures, strict=True)}
    return pictures, [f"λ = {weight:g}" for weight in LAMBDAS], {"losses": losses}


def _photo(**options) -> Tensor:
    return deep_photo(PHOTO, SUNSET, **{"size": SIZE} | options).finish(progress=False)


@torch.no_grad()
def _measure(picture: Tensor) -> dict[str, float]:
    """The augmented style loss, and the matting term, both relative and with weight 1, of a finished picture."""
    content, style, encoder = load(PHOTO), load(SUNSET), load_encoder("mini")
    where = find_segments(content, style, encoder=encoder)
    objective = deep_photo_objective(content, style, where, style_weight=1.0, matting_weight=1.0)
    values = objective.at(size_of(picture), encoder)(picture.to(encoder.device))
    return {name: float(values[name]) for name in ("style", "matting")}


def deep_photo_times() -> Strip:
    """Time of day, weather, season: each row a content, a style, and what becomes of the content."""
    rows = {
        "time of day": ("kodak-19", load(SUNSET)),
        "weather": ("kodak-21", load("bridge")),
        "season": ("kodak-24", relight.winter(load("kodak-13"))),
    }
    pictures, captions = [], []
    for name, (content, style) in rows.items():
        result = deep_photo(content, style, size=SIZE).finish(progress=False)
        pictures += [resize(load(content), SIZE), resize(style, SIZE), result]
        captions += ["content", "style", name]
    return pictures, captions, {}


def deep_photo_relit() -> Strip:
    """One photograph at six other times, made by `styletx.samples.relight`."""
    times = ("dusk", "night", "fog", "overcast", "autumn", "winter")
    photo = resize(load("kodak-13"), SIZE)
    return [getattr(relight, name)(photo) for name in times], list(times), {}


def deep_photo_failures() -> Strip:
    """What goes wrong, made on purpose."""
    content, style = load(PHOTO), load(SUNSET)
    found = find_segments(content, style, count=2)
    assert found is not None
    here, there = found
    swapped = _photo(mask=here, style_mask=there.flip(1))
    tinted = _photo(matting_weight=100 * MATTING_WEIGHT, style_weight=1.0)
    painted = _photo(matting_weight=0.01 * MATTING_WEIGHT)
    objective = Objective(  # ε as in the paper, and no content: nothing holds back what matting does not see
        Match(gram_loss, style, STYLE_LAYERS, weight=STYLE_WEIGHT),
        Energy(factory=photorealism(content, eps=1e-7), weight=MATTING_WEIGHT),
        Energy(value_range, weight=RANGE_WEIGHT),
    )
    grainy = synthesize(objective, start=resize(content, SIZE), steps=200, keep_detail=True).finish(progress=False)
    captions = ["segments swapped", "λ too large: a tint", "λ too small: paint", "ε = 10⁻⁷: speckles in the sky"]
    return [swapped, tinted, painted, grainy], captions, {}


FIGURES = {deep_photo_parts: 3, deep_photo_lambda: 3, deep_photo_times: 3, deep_photo_relit: 3, deep_photo_failures: 2}
