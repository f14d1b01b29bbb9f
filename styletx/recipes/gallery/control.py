"""The strip of lecture 06: a style for each region."""

from ...gatys import gatys
from ...images import resize
from ...lecture import heat
from ...samples import load
from ...segments import cluster
from . import PHOTO, SIZE, Strip


def control() -> Strip:
    """A photo, its two regions, and two styles in them, both ways round."""
    photo, names = resize(load(PHOTO), SIZE), ["starry-night", "the-scream"]
    masks = cluster(photo, count=2, layer="relu3_1")[0]
    pictures = [
        gatys(photo, pair, mask=masks, size=SIZE, steps=250).finish(progress=False) for pair in (names, names[::-1])
    ]
    captions = ["the photograph", "its regions", "Starry Night and The Scream", "the other way round"]
    return [photo, heat(masks[0, :1], 0, 1, colours="viridis"), *pictures], captions, {}


FIGURES = {control: 4}
