"""A network that paints at once, and one that sharpens (lecture 08).

What an optimisation seeks anew for each photo, a network can learn once: then a photo costs one pass.
Source: Johnson, Alahi & Fei-Fei, Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from ..checks import check_whole
from ..encoders import WEIGHTS, EncoderError
from ..images import MAX_PIXELS, Size, fit_size, resize, size_of
from ..networks.transform_net import SuperResolution, TransformNet, check_side, load_network
from ..samples import Source, picture
from .arguments import LongerSide, Photo
from .options import Choice, Number, check_options, checked

STYLES = ("starry-night", "great-wave", "the-scream")
LOSSES = ("perceptual", "pixel")
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
    device: str | torch.device | None = None,
) -> Tensor:
    """Paint a photo with a network that has learnt one style, in one pass; a picture (1, 3, H, W) in [0, 1].

    `style`: one of `STYLES`, or the .safetensors file that `styletx train` wrote. Strokes have a size in pixels, the
    one that the network was trained with: a larger picture has finer ones. Raises ValueError (or a subclass) for a
    picture that is too small, EncoderError for a file that is missing or damaged or holds no such network.
    """
    photo = picture(content, argument="content")
    network = painter(style, device)
    return _pass(network, resize(photo, fit_size(*size_of(photo), longer=size)))


@torch.no_grad()
def stylize_all(
    photos: Iterable[Source],
    *,
    style: str | Path = "starry-night",
    size: int = 512,
    batch: int = 4,
    device: str | torch.device | None = None,
) -> Iterator[tuple[int, Tensor | Exception]]:
    """(number, picture) for each of many photos, as `stylize` makes it; those of one size in batches.

    They come as they are ready, not in order. For a photo that cannot be read, or is too small, it is the error.
    """
    check_whole("batch", batch, 1)
    check_options(stylize, {"style": style, "size": size})
    network = painter(style, device)
    waiting: dict[Size, list[tuple[int, Tensor]]] = {}

    def painted(group: list[tuple[int, Tensor]]) -> Iterator[tuple[int, Tensor | Exception]]:
        made = _pass(network, torch.cat([photo for _, photo in group]))
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


def painter(style: str | Path, device: str | torch.device | None = None) -> TransformNet:
    """The network of one of `STYLES`, or of a file; EncoderError where there is none that paints."""
    network = load_network(network_file(style), device)
    if not isinstance(network, TransformNet):
        raise EncoderError(f"{style}: a network that enlarges, not one that paints")
    return network


def enlarger(loss: str | Path, device: str | torch.device | None = None) -> SuperResolution:
    """The network of one of `LOSSES`, or of a file; EncoderError where there is none that enlarges."""
    network = load_network(network_file(loss), device)
    if not isinstance(network, SuperResolution):
        raise EncoderError(f"{loss}: a network that paints, not one that enlarges")
    return network


def network_file(name: str | Path) -> Path:
    """Where a network lies: one that ships, by its name, or the file of that path; EncoderError for neither."""
    for kind, shipped in (("stylize", STYLES), ("enlarge", LOSSES)):
        if name in shipped:
            return WEIGHTS / f"{kind}-{name}.safetensors"
    path = Path(name).expanduser()
    if path.suffix != ".safetensors":
        raise EncoderError(
            f"{name}: no network of that name; there is {', '.join((*STYLES, *LOSSES))}, or a .safetensors file"
        )
    return path


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


def _pass(network: TransformNet | SuperResolution, photo: Tensor) -> Tensor:
    where = next(network.parameters()).device
    made: Tensor = network(photo.to(where, torch.float32))
    return made.clamp(0, 1).float().cpu()
