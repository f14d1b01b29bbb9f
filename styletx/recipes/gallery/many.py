"""The strips of lecture 09: what many styles in one network are worth, and the style that was added to them."""

import torch
from torch import Tensor, nn

from ...images import resize, size_of
from ...methods.painters import ALONE, ANY, STYLES, Styled, any_style_network, network_file, painter, predicted
from ...networks.any_style import AnyStyle
from ...networks.files import about_network
from ...samples import load
from ..judge import PHOTOS
from ..judge_networks import objective_of
from . import SIZE, TITLES, Strip, covering

ADDED = STYLES[-1]


def _ways(network: AnyStyle, style: str) -> dict[str, nn.Module]:
    """The network in a style, by the point that was learnt and by the one that is predicted."""
    learnt = network.point(torch.tensor([network.styles.index(style)]))
    return {"learnt": Styled(network, learnt), "predicted": Styled(network, predicted(network, load(style)))}


@torch.no_grad()
def many_worth() -> Strip:
    """One photo in three styles, by three ways each; and the objective of each way for every style."""
    network, photo = any_style_network("cpu"), resize(load("kodak-23"), SIZE)
    rows: dict[str, dict[str, float]] = {}
    pictures: list[Tensor] = []
    titles: list[str] = []
    for style in STYLES:
        ways = _ways(network, style)
        if style in ALONE:
            ways = {"alone": painter(style, "cpu")} | ways
            pictures += [way(photo).clamp(0, 1) for way in ways.values()]
            titles += [f"{TITLES[style]}: its own network", "learnt row", "predicted row"]
        rows[style] = {name: objective_of(way, style, PHOTOS[::2]) for name, way in ways.items()}
    return pictures, titles, {"styles": rows}


@torch.no_grad()
def style_added() -> Strip:
    """A painting that a network learnt later, and a photo by its predicted point and by the one that it learnt."""
    network, photo = any_style_network("cpu"), resize(load("kodak-21"), SIZE)
    ways = _ways(network, ADDED)
    values = {name: objective_of(way, ADDED, PHOTOS[::2]) for name, way in ways.items()}
    others = [objective_of(_ways(network, style)["learnt"], style, PHOTOS[::2]) for style in STYLES[:-1]]
    made = [way(photo).clamp(0, 1) for way in (ways["predicted"], ways["learnt"])]
    pictures = [covering(load(ADDED), size_of(photo)), photo, *made]
    steps = about_network(network_file(ANY))["step"]
    titles = ["Monet, Étretat", "a photo", "before: the predicted point", f"after {steps} steps"]
    told = {"before": values["predicted"], "after": values["learnt"], "steps": steps}
    told["others"] = sum(others) / len(others)
    return pictures, titles, told


FIGURES = {many_worth: 3, style_added: 2}
