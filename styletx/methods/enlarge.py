"""A network that enlarges: what a smaller picture has lost is drawn anew (lecture 08).

Source: Johnson, Alahi & Fei-Fei, Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016.
"""

from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from ..encoders import EncoderError
from ..images import MAX_PIXELS, size_of
from ..networks.files import load_network
from ..networks.transform_net import SuperResolution
from ..samples import picture
from .arguments import Photo
from .options import Choice, Number, checked
from .painters import LOSSES, network_file, one_pass

TILE, MARGIN = 256, 20  # pixels of a picture that is enlarged: 4 + 8 + 2 + 1 for the filters, 2 for bicubic


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


def enlarger(loss: str | Path, device: str | torch.device | None = None) -> SuperResolution:
    """The network of one of `LOSSES`, or of a file; EncoderError where there is none that enlarges."""
    network = load_network(network_file(loss, LOSSES, "loss"), device)
    if not isinstance(network, SuperResolution):
        raise EncoderError(f"{loss}: not a network that enlarges")
    return network


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
            made = one_pass(network, part)[..., down : down + network.factor * tile, across:]
            parts.append(made[..., : network.factor * min(tile, width - left)])
        rows.append(torch.cat(parts, -1)[..., : network.factor * min(tile, height - top), :])
    return torch.cat(rows, -2)
