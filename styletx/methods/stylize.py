"""A network that paints at once, and one that sharpens (lecture 08).

What an optimisation seeks anew for each photo, a network can learn once: then a photo costs one pass.
Source: Johnson, Alahi & Fei-Fei, Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016.
"""

import difflib
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor, nn

from ..checks import check_whole
from ..encoders import WEIGHTS, EncoderError
from ..images import MAX_PIXELS, Size, fit_size, resize, size_of
from ..networks.conditional import ManyStyles
from ..networks.files import load_network
from ..networks.transform_net import SuperResolution, TransformNet, check_side
from ..samples import Source, picture
from .arguments import LongerSide, Photo
from .control import keep_chroma
from .options import Choice, Number, check_options, checked

STYLES = ("starry-night", "great-wave", "the-scream")
LOSSES = ("perceptual", "pixel")
NETWORKS = (*STYLES, *LOSSES)
TILE, MARGIN = 256, 20  # pixels of a picture that is enlarged: 4 + 8 + 2 + 1 for the filters, 2 for bicubic


@checked
@torch.no_grad()
def stylize(
    content: Photo,
    *,
    style: Annotated[
        str | Path, Choice(STYLES, open=True, help="the painting whose network paints, or the file of a network")
    ] = "starry-night",
    size: LongerSide = 512,
    strength: Annotated[float, Number(0, 1, step=0.05, help="how much of the painting is laid over the photo")] = 1.0,
    keep_colours: Annotated[
        str | None, Choice((None, "luminance"), help="whether the photo's colours are kept, and its brightness painted")
    ] = None,
    device: str | torch.device | None = None,
) -> Tensor:
    """Paint a photo with a network that has learnt its style, in one pass; a picture (1, 3, H, W) in [0, 1].

    `style`: one of `STYLES`, or a part of its name that no other has ("wave"); or the .safetensors file that `styletx
    train` wrote. Behind the file of a network of many styles, a # and one of them, or a mixture:
    "mine.safetensors#wave:0.5,scream:0.5" (see `ManyStyles`). Strokes have a size in pixels, the one that the network
    was trained with: a larger picture has finer ones. `strength` below 1 mixes the result with the photo;
    `keep_colours="luminance"` takes only its brightness. Raises ValueError (or a subclass) for a picture that is too
    small and for a mixture with a negative weight or none above 0, EncoderError for a style that is not known and for a
    file that is missing or damaged or holds no such network.
    """
    photo = picture(content, argument="content")
    network = painter(style, device)
    photo = resize(photo, fit_size(*size_of(photo), longer=size))
    return _finished(_pass(network, photo), photo, strength, keep_colours)


def _finished(made: Tensor, photo: Tensor, strength: float, keep_colours: str | None) -> Tensor:
    """What is asked of a painted picture afterwards."""
    photo = photo.cpu().float().clamp(0, 1)
    if keep_colours:
        made = keep_chroma(made, photo)
    return made if strength == 1 else photo + strength * (made - photo)


@torch.no_grad()
def stylize_all(
    photos: Iterable[Source],
    *,
    style: str | Path = "starry-night",
    size: int = 512,
    strength: float = 1.0,
    keep_colours: str | None = None,
    batch: int = 4,
    device: str | torch.device | None = None,
) -> Iterator[tuple[int, Tensor | Exception]]:
    """(number, picture) for each of many photos, as `stylize` makes it; those of one size in batches.

    They come as they are ready, not in order. For a photo that cannot be read, or is too small, it is the error.
    """
    check_whole("batch", batch, 1)
    check_options(stylize, {"style": style, "size": size, "strength": strength, "keep_colours": keep_colours})
    network = painter(style, device)
    waiting: dict[Size, list[tuple[int, Tensor]]] = {}

    def painted(group: list[tuple[int, Tensor]]) -> Iterator[tuple[int, Tensor | Exception]]:
        photos = torch.cat([photo for _, photo in group])
        made = _finished(_pass(network, photos), photos, strength, keep_colours)
        yield from zip((number for number, _ in group), made.split(1), strict=True)

    for number, source in enumerate(photos):
        try:
            photo = picture(source, argument="content")
            photo = resize(photo, fit_size(*size_of(photo), longer=size))
            check_side("content", photo)
        except (ValueError, OSError) as error:
            yield number, error
            continue
        group = waiting.setdefault(size_of(photo), [])
        group.append((number, photo))
        if len(group) == batch:
            yield from painted(waiting.pop(size_of(photo)))
        elif sum(map(len, waiting.values())) >= 4 * batch:  # many sizes: they must not all wait in memory
            yield from painted(waiting.pop(max(waiting, key=lambda one: len(waiting[one]))))
    for group in waiting.values():
        yield from painted(group)


@checked
@torch.no_grad()
def enlarge(
    content: Photo,
    *,
    loss: Annotated[
        str | Path,
        Choice(LOSSES, open=True, help="what the network that enlarges was trained with, or a network's file"),
    ] = "perceptual",
    size: Annotated[
        int, Number(0, 4096, step=32, help="longer side that the photo is made smaller to before; 0: as it is")
    ] = 0,
    device: str | torch.device | None = None,
) -> Tensor:
    """Enlarge a photo four times (or as a file's network does), in one pass; a picture (1, 3, 4H, 4W) in [0, 1].

    "pixel" was trained to have the least squared error, "perceptual" to have the features of the original. What is
    drawn there is likely, not true: nothing can know what a smaller picture has lost. `size` makes the photo smaller
    first. A large one is worked at in tiles. Raises EncoderError as `stylize` does, and ValueError for a photo that is
    too small, or so large that its enlargement could not be read again.
    """
    network, photo = enlarger(loss, device), picture(content, size or None, argument="content")
    height, width = (network.factor * side for side in size_of(photo))
    if height * width > MAX_PIXELS:
        raise ValueError(f"size: enlarged it would have {width}×{height} pixels; make the photo smaller before")
    return in_tiles(network, photo)


def painter(style: str | Path, device: str | torch.device | None = None) -> "TransformNet | Styled":
    """The network of one of `STYLES`, or of a file (and what a # behind it says); EncoderError where none paints."""
    name, chosen = file_and_choice(str(style))
    network = load_network(network_file(name, STYLES, "style"), device)
    if isinstance(network, ManyStyles):
        if not chosen:
            known = network.styles
            raise EncoderError(f"{style}: it has many styles; name one, as in {name}#{known[0]}: {', '.join(known)}")
        return Styled(network, mixture(chosen, network.styles))
    if not isinstance(network, TransformNet):
        raise EncoderError(f"{style}: not a network that paints")
    if chosen:
        raise EncoderError(f"{style}: a network of one style; nothing can be chosen behind its name")
    return network


def file_and_choice(style: str) -> tuple[str, str]:
    """Of "many.safetensors#wave" the network's file and what is chosen of it; of anything else itself, and ""."""
    file, mark, chosen = style.rpartition(".safetensors#")
    return (f"{file}.safetensors", chosen) if mark else (style, "")


class Styled(nn.Module):
    """A network of many styles in one of them, or in a mixture (1, styles): pictures to pictures."""

    def __init__(self, network: ManyStyles, weights: Tensor):
        super().__init__()
        self.network = network
        self.weights = weights.to(next(network.parameters()))

    def forward(self, image: Tensor) -> Tensor:
        return self.network.paint(image, self.network.point(self.weights))


def mixture(words: str, styles: Sequence[str]) -> Tensor:
    """ "wave:0.5,scream:0.5" as weights (1, styles) that add up to 1; without a number a style counts 1.

    Raises ValueError for a style that is not known, with the nearest, and for weights that are negative or all 0.
    """
    weights = torch.zeros(1, len(styles))
    for part in words.split(","):
        name, _, number = part.strip().partition(":")
        try:
            weight = float(number or 1)
        except ValueError:
            weight = math.nan
        if not 0 <= weight <= 1e6:
            raise ValueError(f"style: {part.strip()}; a weight must be a number from 0 to 1e6, as in {name}:0.5")
        weights[0, list(styles).index(known_style(name.strip(), styles))] += weight
    if not float(weights.sum()) > 0:
        raise ValueError(f"style: {words}; at least one weight must be above 0")
    return weights / weights.sum()


def known_style(name: str, styles: Sequence[str], argument: str = "style") -> str:
    """The one of that name, or the only one that has it among its name's words; EncoderError, with the nearest."""
    among = [style for style in styles if name == style] or [s for s in styles if name in s.split("-")]
    if len(among) == 1:
        return among[0]
    near = among or difflib.get_close_matches(name, styles) or list(styles)
    what = "more than one" if among else "not known"
    raise EncoderError(f"{argument}: {name!r} is {what}; there is {', '.join(near)}")


def enlarger(loss: str | Path, device: str | torch.device | None = None) -> SuperResolution:
    """The network of one of `LOSSES`, or of a file; EncoderError where there is none that enlarges."""
    network = load_network(network_file(loss, LOSSES, "loss"), device)
    if not isinstance(network, SuperResolution):
        raise EncoderError(f"{loss}: not a network that enlarges")
    return network


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


def in_tiles(network: SuperResolution, photo: Tensor, tile: int = TILE) -> Tensor:
    """What the network makes of a photo, tile by tile, each with a margin as wide as its filters see: the same picture.

    Instance normalisation looks at the whole picture: with it there is one tile.
    """
    height, width = photo.shape[-2:]
    tile = max(height, width) if network.settings["norm"] == "instance" else tile
    rows = []
    for top in range(0, height, tile):
        parts = []
        for left in range(0, width, tile):
            above, before = min(top, MARGIN), min(left, MARGIN)
            part = photo[..., top - above : top + tile + MARGIN, left - before : left + tile + MARGIN]
            down, across = (network.factor * start for start in (above, before))
            made = _pass(network, part)[..., down : down + network.factor * tile, across:]
            parts.append(made[..., : network.factor * min(tile, width - left)])
        rows.append(torch.cat(parts, -1)[..., : network.factor * min(tile, height - top), :])
    return torch.cat(rows, -2)


def _pass(network: TransformNet | Styled | SuperResolution, photo: Tensor) -> Tensor:
    where = next(network.parameters()).device
    made: Tensor = network(photo.to(where, torch.float32))
    return made.clamp(0, 1).float().cpu()
