"""The strips of lectures 10 and 11: whitening and colouring, and what makes a photograph of it."""

import torch

from ...images import resize
from ...methods.photo_wct import photo_wct
from ...methods.smoothing import smooth
from ...methods.wct import wct
from ...samples import load
from . import SIZE, TITLES, Strip


def one_shot() -> Strip:
    """Four photos and paintings, and what becomes of them in one pass."""
    pairs = (("kodak-23", "starry-night"), ("kodak-21", "the-scream"), ("kodak-19", "great-wave"),
             ("kodak-23", "composition-vii"))  # fmt: skip
    pictures, titles = [], []
    for photo, painting in pairs:
        made = resize(wct(photo, painting, size=640), SIZE)
        pictures += [load(photo, SIZE), load(painting), made]
        titles += ["the photograph", TITLES[painting], f"the photograph, as {TITLES[painting]}"]
    return pictures, titles, {}


def photo_realism() -> Strip:
    """The six pictures of the slide: style, content, and both decoders with and without smoothing."""
    content, style = resize(load("kodak-21"), SIZE), resize(load("beach-city"), SIZE)
    made = {
        way: photo_wct(content, style, size=SIZE, upsampling=way, smoothing="none") for way in ("nearest", "unpool")
    }
    smoothed = {way: smooth(picture, content) for way, picture in made.items()}
    pictures = [style, content, made["nearest"], made["unpool"], smoothed["nearest"], smoothed["unpool"]]
    captions = ["style", "content", "WCT", "PhotoWCT", "WCT + smoothing", "PhotoWCT + smoothing"]
    edges = {name: _edges(one, content) for name, one in zip(captions[1:], pictures[1:], strict=True)}
    return pictures, captions, {"edges": edges}


def _edges(image: torch.Tensor, photo: torch.Tensor) -> float:
    """Correlation of the two pictures' gradient magnitudes: 1 where all edges stand where they stood."""
    slopes = []
    for one in (image, photo):
        grey = one.mean(1)
        across, down = grey[:, :-1, 1:] - grey[:, :-1, :-1], grey[:, 1:, :-1] - grey[:, :-1, :-1]
        slopes.append((across.square() + down.square()).sqrt().flatten())
    return float(torch.corrcoef(torch.stack(slopes))[0, 1])


FIGURES = {one_shot: 3, photo_realism: 3}
