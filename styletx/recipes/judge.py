"""How good is `mini`? python -m styletx.recipes.judge [--encoder mini ...] [--out FILE]

Five judgements on pictures that it was never trained on (fetched by name where they are not in the cache):

slopes    what an optimisation follows: the gradient of one layer's Gram loss with respect to the picture, its cosine
          with the teacher's, VGG-19 to relu3_1 and its small copy deeper.
ranks     Spearman correlation of its Gram and content distances with VGG-19's, over all pairs of 21 pictures.
gram      pictures stylised with it, judged with VGG-19: the Gram distance to the style over the photo's own.
patches   the same pictures, judged without any network: sliced Wasserstein distance of 7×7 patches on a pyramid.
content   whose edges does the result have? Among all the photos the nearest must be its own.
"""

import argparse
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor

from ..encoders import Encoder, load_encoder
from ..evaluation.metrics import STATISTICS, gram_ratio, nearest_photo, patch_ratio, slope
from ..images import resize
from ..losses import content_loss, gram_loss
from ..methods.gatys import gatys
from ..methods.wct import at_area
from ..samples import load
from ..training.photos import HELD_OUT

LAYERS = ("relu1_1", "relu2_1", "relu3_1")
PHOTOS = tuple(f"kodak-{n:02d}" for n in (1, 3, 4, 5, 7, 8, 13, 15, 19, 21, 23, 24))
PAINTINGS = HELD_OUT
TEXTURES = ("brick", "grass", "gravel")
# Where the teacher is VGG-19 itself, and where it is the small network that `mini` began from.
TEACHERS = {**dict.fromkeys(LAYERS, "vgg19-normalised"), "relu4_1": "vgg19-small", "relu5_1": "vgg19-small"}
GRADIENT_PAIRS = (("kodak-21", "starry-night"), ("kodak-15", "great-wave"), ("kodak-04", "the-scream"),
                  ("kodak-24", "te-fare"), ("kodak-07", "etretat"))  # fmt: skip
# The six held-out paintings, two of them twice; faces, animals, buildings, landscapes, things.
PAIRS = (("kodak-23", "starry-night"), ("kodak-21", "great-wave"), ("kodak-15", "the-scream"), ("kodak-03", "te-fare"),
         ("kodak-08", "etretat"), ("kodak-04", "in-bed"), ("kodak-24", "starry-night"),
         ("kodak-13", "great-wave"))  # fmt: skip


@torch.no_grad()
def distances(encoder: Encoder, pictures: Sequence[Tensor]) -> dict[str, dict[str, np.ndarray]]:
    """{"gram" | "content": {layer: distances of all pairs}} of square pictures of one size."""
    features = [encoder(picture, LAYERS) for picture in pictures]
    first, second = np.triu_indices(len(pictures), 1)
    return {
        name: {
            layer: np.array(
                [float(loss(features[i][layer], features[j][layer])) for i, j in zip(first, second, strict=True)]
            )
            for layer in LAYERS
        }
        for name, loss in (("gram", gram_loss), ("content", content_loss))
    }


def square(name: str, side: int = 256) -> Tensor:
    """A picture's central square: content distances need equal sizes."""
    picture = load(name)
    height, width = picture.shape[-2:]
    least = min(height, width)
    top, left = (height - least) // 2, (width - least) // 2
    return resize(picture[..., top : top + least, left : left + least], (side, side))


def ranks(encoder: Encoder, judge: Encoder, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Spearman correlation of the two encoders' distances over all pairs of the named pictures."""
    pictures = [square(name) for name in names]
    mine, theirs = distances(encoder, pictures), distances(judge, pictures)
    return {kind: {n: float(spearmanr(mine[kind][n], theirs[kind][n])[0]) for n in LAYERS} for kind in mine}


def slope_cosines(encoders: dict[str, Encoder], pairs: Sequence[tuple[str, str]] = GRADIENT_PAIRS) -> dict:
    """{encoder: {"gram" | "covariance": {layer: cosine}}} of each encoder's slopes and its teacher's.

    At the photo of 192×288 pixels and at the photo with Gaussian noise of 0.1, the painting at equal area; means over
    both and over the pairs.
    """
    teachers = {name: load_encoder(name, device="cpu") for name in set(TEACHERS.values())}
    found = {name: {kind: dict.fromkeys(TEACHERS, 0.0) for kind in STATISTICS} for name in encoders}
    generator = torch.Generator().manual_seed(0)
    for content, style in pairs:
        photo, painting = load(content), load(style)
        photo = resize(photo, (192, 288) if photo.shape[-1] > photo.shape[-2] else (288, 192))
        painting = at_area(painting, photo[0, 0].numel())
        noisy = photo + 0.1 * torch.randn(photo.shape, generator=generator)
        for (kind, statistic), layer, image in product(STATISTICS.items(), TEACHERS, (photo, noisy)):
            theirs = slope(teachers[TEACHERS[layer]], image, painting, layer, statistic).flatten()
            for name, encoder in encoders.items():
                mine = slope(encoder, image, painting, layer, statistic).flatten()
                found[name][kind][layer] += float(F.cosine_similarity(mine, theirs, 0)) / (2 * len(pairs))
    return found


def stylisations(
    encoder: str | Encoder, size: int = 384, pairs: Sequence[tuple[str, str]] = PAIRS, **options
) -> list[dict]:
    """`gatys` with its defaults on the pairs, each judged by both teachers, by patches, and by whose edges it has."""
    judges: dict[str, list[str]] = {}
    for layer, name in TEACHERS.items():
        judges.setdefault(name, []).append(layer)
    teachers = {name: load_encoder(name, device="cpu") for name in judges}
    rows = []
    for content, style in pairs:
        result = gatys(content, style, encoder=encoder, size=size, device="cpu", **options).finish(progress=False)
        photo, painting = load(content), load(style)
        ratio: dict[str, float] = {}
        for name, layers in judges.items():
            ratio |= gram_ratio(teachers[name], result, photo, painting, layers)
        rows.append({
            "content": content, "style": style, **ratio, "gram": float(np.mean([ratio[layer] for layer in LAYERS])),
            "patches": patch_ratio(result, photo, painting), "nearest": nearest_photo(result, PHOTOS),
            "picture": result,
        })  # fmt: skip
    return rows


def means(rows: list[dict]) -> dict[str, float]:
    """The means over the pairs."""
    return {key: float(np.mean([row[key] for row in rows])) for key in ("gram", "patches", *TEACHERS)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m styletx.recipes.judge", description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", nargs="+", default=["mini", "vgg19-small"])
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    options = parser.parse_args(arguments)
    judge = load_encoder("vgg19-normalised", device="cpu")
    encoders, found = {name: load_encoder(name, device="cpu") for name in options.encoder}, {}
    cosines = slope_cosines(encoders)
    for name, encoder in encoders.items():
        rows = stylisations(encoder)
        for row in rows:
            row.pop("picture")
        found[name] = {
            "slopes": cosines[name],
            "ranks": ranks(encoder, judge, PHOTOS + PAINTINGS + TEXTURES),
            "ranks of photos": ranks(encoder, judge, PHOTOS),
            "pairs": rows,
            "means": means(rows),
        }
        print(name, json.dumps(found[name], indent=1))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
