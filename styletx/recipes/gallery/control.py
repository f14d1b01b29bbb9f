"""The strip of lecture 06: a style for each region."""

from ...course.figures import heat
from ...images import resize
from ...methods.gatys import gatys
from ...samples import load
from ...segments import cluster
from . import PHOTO, SIZE, TITLES, Strip


def control() -> Strip:
    """A photo and its two regions, two styles, and what becomes of them, both ways round."""
    photo, names = resize(load(PHOTO), SIZE), ["starry-night", "the-scream"]
    masks = cluster(photo, count=2, layer="relu3_1")[0]
    runs = [gatys(photo, pair, mask=masks, size=SIZE, steps=250) for pair in (names, names[::-1])]
    made = [run.finish(progress=False) for run in runs]
    first, second = (TITLES[name] for name in names)
    regions = heat(masks[0, :1], 0, 1, colours="viridis")
    both = [f"{sky} where it is yellow, {land} where it is violet" for sky, land in ((first, second), (second, first))]
    titles = ["the photograph", first, second, "its regions", *both]
    return [photo, load(names[0]), load(names[1]), regions, *made], titles, {}


FIGURES = {control: 3}
