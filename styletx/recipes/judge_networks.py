"""How good are the networks that ship? python -m styletx.recipes.judge_networks [--styles NAME ...] [--out FILE]

objective   what the network minimises, of its picture, and of an optimisation from noise after 50 and 100
            evaluations: how many evaluations is one pass worth? On the Kodak photos at 256 pixels.
own photo   whose edges does the painted picture have? Among all the photos the nearest must be its own.
start       how many evaluations `gatys` from the photo and from the network's picture need to reach one value.
enlarging   a photo at a quarter of its side and back: PSNR of the luminance, and how far it is from the original at
            VGG-19's relu2_1, for bicubic and both networks. (None was trained with VGG-19; `mini`, with which the one
            for the perceptual loss was, had it for its teacher.)
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..encoders import Encoder, load_encoder
from ..evaluation.metrics import nearest_photo
from ..images import luminance, noise_like, resize, size_of
from ..losses import content_loss
from ..methods.enlarge import enlarger
from ..methods.gatys import gatys_objective
from ..methods.painters import ALONE, LOSSES, painter
from ..objective import Objective
from ..samples import load
from ..synthesis import synthesize
from .judge import PHOTOS
from .transform import STYLE_WEIGHT

COUNTS = (50, 100)  # evaluations that the network is compared with
REFINED = 60  # evaluations of `gatys` with the same objective, from the photo and from the network's picture
JUDGE, LAYER = "vgg19-normalised", "relu2_1"


def reached(objective: Objective, encoder: Encoder, start: Tensor, evaluations: int, keep_detail=False) -> list[float]:
    """The objective at every evaluation of an optimisation at one size, as low as it was until then."""
    run = synthesize(objective, encoder, start=start, steps=evaluations, levels=1, keep_detail=keep_detail)
    found: list[float] = []
    lowest = float("inf")
    for step in run:
        lowest = min(lowest, step.loss)
        found += [lowest] * (step.evaluations - len(found))
    return found[:evaluations]


def judge_style(style: str, photos: Sequence[str] = PHOTOS, size: int = 256) -> dict:
    """The network of a style on the photos: objective, an optimisation's beside it, and whose photo it is."""
    encoder, network, painting = load_encoder("mini", device="cpu"), painter(style, "cpu"), load(style)
    rows: list[dict[str, Any]] = []
    for name in photos:
        photo = resize(load(name), size)
        objective = gatys_objective(photo, painting, style_weight=STYLE_WEIGHT)
        bound = objective.at(size_of(photo), encoder)
        with torch.no_grad():
            made = network(photo)
            terms = {term: float(value) for term, value in bound(made).items()}
        own = sum(terms.values())
        curve = reached(objective, encoder, noise_like(photo, 0), max(COUNTS))
        refined = reached(objective, encoder, made, REFINED)
        plain = reached(objective, encoder, photo, REFINED)
        rows.append({
            "photo": name, "network": own, "terms": terms, "nearest": nearest_photo(made, PHOTOS),
            "optimised": {count: curve[count - 1] for count in COUNTS}, "worth": worth(curve, own), "curve": curve,
            "start": {"goal": plain[-1], "evaluations": worth(refined, plain[-1])},
        })  # fmt: skip
    curves = [row.pop("curve") for row in rows]
    return {"rows": rows, "curve": [round(_mean(values), 4) for values in zip(*curves, strict=True)], "means": {
        "network": _mean(row["network"] for row in rows), "worth": _mean(row["worth"] for row in rows),
        "optimised": {count: _mean(row["optimised"][count] for row in rows) for count in COUNTS},
        "own photo": sum(row["nearest"] == row["photo"] for row in rows),
        "start": _mean(row["start"]["evaluations"] for row in rows),
    }}  # fmt: skip


@torch.no_grad()
def objective_of(network: nn.Module, style: str, photos: Sequence[str] = PHOTOS, size: int = 256) -> float:
    """What a network that paints was trained to make low, of its pictures of the photos: the mean."""
    encoder, painting, found = load_encoder("mini", device="cpu"), load(style), []
    for name in photos:
        photo = resize(load(name), size)
        bound = gatys_objective(photo, painting, style_weight=STYLE_WEIGHT).at(size_of(photo), encoder)
        found.append(sum(float(value) for value in bound(network(photo).clamp(0, 1)).values()))
    return _mean(found)


def worth(curve: Sequence[float], value: float) -> int:
    """The number of evaluations after which the curve is as low as the value; its length where it never is."""
    return next((number for number, lowest in enumerate(curve, 1) if lowest <= value), len(curve))


def _mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


@torch.no_grad()
def judge_enlarging(photos: Sequence[str] = PHOTOS, size: int = 256, factor: int = 4) -> dict:
    """{"bicubic" | "pixel" | "perceptual": {"psnr": dB, "features": relative distance}}, means over the photos."""
    judge = load_encoder(JUDGE, device="cpu")
    networks = {loss: enlarger(loss, "cpu") for loss in LOSSES}
    found: dict[str, list[tuple[float, float]]] = {}
    for name in photos:
        photo = resize(load(name), size)
        height, width = (side // factor for side in size_of(photo))
        photo = photo[..., : height * factor, : width * factor]
        small = resize(photo, (height, width)).clamp(0, 1)
        made = {"bicubic": resize(small, size_of(photo)).clamp(0, 1)}
        made |= {loss: network(small).clamp(0, 1) for loss, network in networks.items()}
        seen = judge(photo, LAYER)[LAYER]
        for way, picture in made.items():
            far = content_loss(judge(picture, LAYER)[LAYER], seen) / seen.square().mean()
            found.setdefault(way, []).append((psnr(picture, photo, factor), float(far)))
    return {
        way: {"psnr": _mean(p for p, _ in pairs), "features": _mean(f for _, f in pairs)}
        for way, pairs in found.items()
    }


def psnr(image: Tensor, original: Tensor, border: int = 0) -> float:
    """10 log₁₀ 1/MSE of the luminance, without `border` pixels at each edge, in dB."""
    inner = slice(border, -border or None)
    error = (luminance(image) - luminance(original))[..., inner, inner]
    return float(-10 * error.square().mean().log10())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m styletx.recipes.judge_networks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--styles", nargs="*", default=list(ALONE))
    parser.add_argument("--photos", type=int, default=len(PHOTOS), help="how many of them")
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    options = parser.parse_args(arguments)
    found: dict = {style: judge_style(style, PHOTOS[: options.photos]) for style in options.styles}
    found["enlarging"] = judge_enlarging(PHOTOS[: options.photos])
    for name, one in found.items():
        print(name, json.dumps(one.get("means", one), indent=1))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
