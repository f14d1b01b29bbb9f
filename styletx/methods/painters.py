"""Which network paints, said in words: a painting, a mixture of several, a painting's file, or a network's.

A painting that a network of its own has learnt is painted by that; everything else by the one network for any style.
"""

import difflib
import math
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import samples
from ..encoders import WEIGHTS, Encoder, EncoderError, load_encoder
from ..networks.any_style import SEEN, AnyStyle, style_statistics
from ..networks.conditional import ManyStyles
from ..networks.files import load_network
from ..networks.transform_net import SuperResolution, TransformNet
from ..samples import picture
from .wct import at_area

ALONE = ("starry-night", "great-wave", "the-scream")  # each has a network of its own
STYLES = (
    *ALONE, "shipwreck", "wheat-field-with-cypresses", "olive-trees", "starry-night-over-the-rhone", "tahitian-women",
    "te-fare", "water-lilies", "charing-cross-bridge", "san-giorgio-at-dusk", "composition-vii", "flowering-plum",
    "riverbank", "dance-foyer", "etretat",
)  # fmt: skip
"""What a network that ships has learnt; the last was added when the others had been learnt."""
ANY = "any"
LOSSES = ("perceptual", "pixel")
NETWORKS = (*ALONE, ANY, *LOSSES)
LOOKED_AT = 209  # the side of a square of as many pixels as a painting has when its point is predicted


class Styled(nn.Module):
    """A network of many styles at one point (1, size): pictures to pictures."""

    def __init__(self, network: ManyStyles, point: Tensor):
        super().__init__()
        self.network, self.point = network, point.to(next(network.parameters()))

    def forward(self, image: Tensor) -> Tensor:
        return self.network.paint(image, self.point)


def painter(style: str | Path | Tensor, device: str | torch.device | None = None) -> TransformNet | Styled:
    """The network that paints in a style: pictures (B, 3, H, W) in [0, 1] to such pictures.

    style: one of `STYLES`, or a word of its name or its painter's that no other has ("wave", "munch"); a mixture
    ("wave:0.5,scream:0.5"); any other painting, as a sample's name, a file or a tensor (1, 3, H, W); or a network's
    .safetensors file, where it has many styles with a # and one of them or a mixture behind it. Raises EncoderError
    for a style that is not known (with the nearest) and for a file that is missing or damaged or holds no network that
    paints, ValueError for a weight that is negative or no number, and for weights that are all 0.
    """
    if isinstance(style, Tensor):
        network = any_style_network(device)
        return Styled(network, predicted(network, picture(style, argument="style")))
    name, chosen = file_and_choice(str(style))
    if Path(name).suffix == ".safetensors":
        return _from_file(name, chosen, device)
    if name not in STYLES and not _is_picture(name):  # "wave": no more than a part of a name
        name = among[0] if len(among := _with_word(name, STYLES)) == 1 else name
    if name in ALONE:
        return _from_file(str(network_file(name)), "", device)
    network = any_style_network(device)
    return Styled(network, point_of(name, network))


def _from_file(name: str, chosen: str, device: str | torch.device | None) -> TransformNet | Styled:
    network = load_network(Path(name).expanduser(), device)
    if isinstance(network, ManyStyles):
        if not chosen:
            known = network.styles
            raise EncoderError(f"{name}: it has many styles; name one, as in {name}#{known[0]}: {', '.join(known)}")
        return Styled(network, point_of(chosen, network))
    if not isinstance(network, TransformNet):
        raise EncoderError(f"{name}: not a network that paints")
    if chosen:
        raise EncoderError(f"{name}#{chosen}: a network of one style; nothing can be chosen behind its name")
    return network


def _is_picture(name: str) -> bool:
    return name in samples.names() or os.path.isfile(os.path.expanduser(name))  # where Path would raise for long names


def any_style_network(device: str | torch.device | None = None) -> AnyStyle:
    """The network that ships for many styles, and for any."""
    network = load_network(network_file(ANY), device)
    assert isinstance(network, AnyStyle)
    return network


def predicted(network: AnyStyle, painting: Tensor) -> Tensor:
    """The point (1, size) that the network predicts for a painting (1, 3, H, W), seen at the size of its training."""
    where = next(network.parameters())
    seen = at_area(painting, LOOKED_AT**2).to(where)
    with torch.no_grad():
        return network.predict(style_statistics(_looking(where.device)(seen, SEEN)))


@cache
def _looking(device: torch.device) -> Encoder:
    return load_encoder("mini", device=device)


def file_and_choice(style: str) -> tuple[str, str]:
    """Of "many.safetensors#wave" the network's file and what is chosen of it; of anything else itself, and ""."""
    file, mark, chosen = style.rpartition(".safetensors#")
    return (f"{file}.safetensors", chosen) if mark else (style, "")


def point_of(words: str, network: ManyStyles) -> Tensor:
    """The point (1, size) of "wave:0.5,scream:0.5"; without a number a style counts 1.

    Where the network can predict points, each may also be a picture by a sample's name, and a painting's file may stand
    alone: in a mixture its picture's record could not tell whether it is still the same. Raises
    EncoderError for a style that is not known, with the nearest, and ValueError for weights that are negative or all 0.
    """
    weights = mixture(words)
    total = sum(weights.values())
    if len(weights) > 1:
        for name in weights:
            if name not in samples.names() and name not in network.styles and _is_picture(name):
                raise EncoderError(f"style: {name} is a file, and stands alone; mix what has a name")
    points = [weight / total * _one_point(name, network) for name, weight in weights.items()]
    return torch.stack(points).sum(0)


def _one_point(name: str, network: ManyStyles) -> Tensor:
    if isinstance(network, AnyStyle) and name not in network.styles and _is_picture(name):
        return predicted(network, picture(name, argument="style"))
    try:
        known = known_style(name, network.styles)
    except EncoderError as error:
        more = ", or a painting: a sample or a file" if isinstance(network, AnyStyle) else ""
        raise EncoderError(f"{error}{more}") from None
    number = network.styles.index(known)
    return network.point(torch.tensor([number], device=next(network.parameters()).device))


def mixture(words: str) -> dict[str, float]:
    """ "wave:0.5,scream:0.5" as weights by name; without a number a style counts 1.

    What is a picture as a whole is one. Raises ValueError for weights that are negative, no numbers or all 0.
    """
    if _is_picture(words):
        return {words: 1.0}
    weights: dict[str, float] = {}
    for part in words.split(","):
        name, colon, number = part.strip().rpartition(":")
        if not colon or set(number) & {"/", "\\"}:  # behind a drive's letter there is no weight
            name, number = part.strip(), "1"
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not 0 <= weight <= 1e6:
            raise ValueError(f"style: {part.strip()}; a weight must be a number from 0 to 1e6, as in {name}:0.5")
        weights[name.strip()] = weights.get(name.strip(), 0.0) + weight
    if not sum(weights.values()) > 0:
        raise ValueError(f"style: {words}; at least one weight must be above 0")
    return weights


def known_style(name: str, styles: Sequence[str], argument: str = "style") -> str:
    """The one of that name, or the only one with that word in its name or its painter's; else EncoderError."""
    among = [name] if name in styles else _with_word(name, styles)
    if len(among) == 1:
        return among[0]
    near = among or difflib.get_close_matches(name, styles) or list(styles)
    what = "more than one" if among else "not known"
    raise EncoderError(f"{argument}: {name!r} is {what}; there is {', '.join(near)}")


def _with_word(word: str, styles: Sequence[str]) -> list[str]:
    """Those that have the word in their name, or in their painter's."""
    found = []
    for style in styles:
        credit = samples.info(style).credit if style in samples.names() else ""
        if word.lower() in {*style.split("-"), *credit.partition(",")[0].lower().split()}:
            found.append(style)
    return found


def network_file(name: str | Path, among: Sequence[str] = NETWORKS, argument: str = "network") -> Path:
    """Where a network lies: one that ships, by its name, or the file of that path; EncoderError for neither."""
    path = Path(name).expanduser()
    if path.suffix == ".safetensors":
        return path
    try:
        name = known_style(str(name), among, argument)
    except EncoderError as error:
        raise EncoderError(f"{error}, or a .safetensors file") from None
    return WEIGHTS / f"{'enlarge' if name in LOSSES else 'stylize'}-{name}.safetensors"


def one_pass(network: TransformNet | Styled | SuperResolution, photo: Tensor) -> Tensor:
    """What the network makes of photos, on its own device; (B, 3, H, W) in [0, 1] on the CPU."""
    where = next(network.parameters()).device
    made: Tensor = network(photo.to(where, torch.float32))
    return made.clamp(0, 1).float().cpu()
