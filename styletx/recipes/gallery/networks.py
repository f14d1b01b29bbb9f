"""The strips of lecture 08: what networks paint in one pass, what that is worth, and how a photo is enlarged."""

import torch
import torch.nn.functional as F

from ...encoders import load_encoder
from ...images import noise_like, resize, size_of
from ...methods.enlarge import enlarge
from ...methods.gatys import gatys_objective
from ...methods.painters import ALONE, LOSSES
from ...methods.stylize import stylize
from ...samples import load
from ...synthesis import synthesize
from ..judge import PHOTOS
from ..judge_networks import judge_enlarging, judge_style
from ..transform import STYLE_WEIGHT
from . import SIZE, TITLES, Strip, detail


def networks() -> Strip:
    """Three photos, and each in three styles, in one pass."""
    pictures, titles = [], []
    for photo in ("kodak-21", "kodak-24", "kodak-23"):
        pictures += [resize(load(photo), SIZE), *(stylize(photo, style=style, size=SIZE) for style in ALONE)]
        titles += ["the photograph", *(TITLES[style] for style in ALONE)]
    return pictures, titles, {}


def network_worth() -> Strip:
    """One photo by optimisation from noise and by a network, same objective; and the means over photos and styles."""
    photo, style = resize(load("kodak-21"), 256), load("starry-night")
    encoder, objective = load_encoder("mini"), gatys_objective(photo, style, style_weight=STYLE_WEIGHT)
    run = synthesize(objective, encoder, start=noise_like(photo, 0), steps=100, levels=1)
    made = {}
    for step in run:
        if step.evaluations in (20, 50, 100):
            made[step.evaluations] = step.image
    pictures = [*made.values(), stylize(photo, size=256)]
    titles = [*(f"from noise, {count} evaluations" for count in made), "the network, one pass"]
    bound = objective.at(size_of(photo), encoder)
    with torch.no_grad():
        values = [sum(float(v) for v in bound(picture.to(encoder.device)).values()) for picture in pictures]
    titles = [f"{title}: {value:.2f}" for title, value in zip(titles, values, strict=True)]
    return pictures, titles, {style: judge_style(style, PHOTOS[::2]) for style in ALONE}


def enlarged() -> Strip:
    """A detail of a photo at a quarter of its side, and enlarged in three ways."""
    photo = resize(load("kodak-04"), SIZE)
    height, width = (side // 4 for side in size_of(photo))
    photo = photo[..., : 4 * height, : 4 * width]
    small = resize(photo, (height, width))
    made = {"a quarter of the side": F.interpolate(small, scale_factor=4), "bicubic": resize(small, size_of(photo))}
    made |= {f"trained with the {loss} loss": enlarge(small, loss=loss) for loss in LOSSES[::-1]}
    made["the original"] = photo
    pictures = [detail(picture.clamp(0, 1), (0.3, 0.5), zoom=1.7) for picture in made.values()]
    return pictures, [*made], judge_enlarging()


FIGURES = {networks: 4, network_worth: 4, enlarged: 3}
