"""The strips of lectures 10 and 11: whitening and colouring, and what makes a photograph of it."""

import torch

from ...images import resize
from ...photo_wct import photo_wct
from ...samples import load
from ...smoothing import smooth
from ...wct import wct
from . import SIZE, Strip


def one_shot() -> Strip:
    """Two photos in three paintings each, in one pass."""
    names = ("starry-night", "great-wave", "the-scream")
    pictures = [resize(wct(photo, name, size=640), SIZE) for photo in ("kodak-23", "kodak-19") for name in names]
    words = {"starry-night": "Starry Night", "great-wave": "The Great Wave", "the-scream": "The Scream"}
    return pictures, [words[name] for name in names] * 2, {}


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
