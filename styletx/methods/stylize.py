"""Networks that paint at once, in one style (lecture 08), in many, or in any (lecture 09).

What an optimisation seeks anew for each photo, a network can learn once: then a photo costs one pass.
Sources: Johnson, Alahi & Fei-Fei 2016; Dumoulin, Shlens & Kudlur 2017; Ghiasi et al. 2017.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from ..checks import check_whole
from ..images import MAX_PIXELS, Size, fit_size, resize, size_of
from ..networks.transform_net import check_side
from ..samples import Source, picture
from .arguments import LongerSide, Photo
from .control import keep_chroma
from .options import Choice, Number, check_options, checked
from .painters import STYLES, one_pass, painter
from .sheet import sheet

ALL = "all"


@checked
@torch.no_grad()
def stylize(
    content: Photo,
    *,
    style: Annotated[
        str | Path | Tensor,
        Choice(STYLES, open=True, also=(ALL,), help="a painting, a mixture like wave:0.5,scream:0.5, or a file"),
    ] = "starry-night",
    size: LongerSide = 512,
    strength: Annotated[float, Number(0, 1, step=0.05, help="how much of the painting is laid over the photo")] = 1.0,
    keep_colours: Annotated[
        str | None, Choice((None, "luminance"), help="whether the photo's colours are kept, and its brightness painted")
    ] = None,
    device: str | torch.device | None = None,
) -> Tensor:
    """Paint a photo with a network, in one pass; a picture (1, 3, H, W) in [0, 1].

    `style`: one of `STYLES`, or a word of its or its painter's name that no other has ("wave", "munch"); a mixture
    ("wave:0.5,scream:0.5"); any other painting, as a sample's name, a file or a tensor (1, 3, H, W); the .safetensors
    file that `styletx train` wrote, where that has many styles with one of them, or a mixture, behind it:
    "mine.safetensors#wave"; or "all", for a sheet with all of `STYLES` (the picture is then made of pictures of that
    `size`). Three of the paintings have networks of their own (`painters.ALONE`). Strokes have a size in pixels, that
    of the training: a larger picture has finer ones. `strength` below 1 mixes the result with the photo;
    `keep_colours="luminance"` takes only its brightness. Raises ValueError (or a subclass) for a picture that is too
    small and for a mixture with a negative weight or none above 0, EncoderError for a style that is not known and for a
    file that is missing or damaged or holds no such network.
    """
    photo = picture(content, argument="content")
    photo = resize(photo, fit_size(*size_of(photo), longer=size))
    if isinstance(style, str) and style == ALL:
        if 2 * (len(STYLES) + 1) * math.prod(size_of(photo)) > MAX_PIXELS:
            raise ValueError(f"size: a sheet of pictures of {size} pixels could not be read again; make them smaller")
        painted = [_finished(one_pass(painter(one, device), photo), photo, strength, keep_colours) for one in STYLES]
        return sheet([photo.cpu().float().clamp(0, 1), *painted], ["the photo", *STYLES])
    return _finished(one_pass(painter(style, device), photo), photo, strength, keep_colours)


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
    style: str | Path | Tensor = "starry-night",
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
    check_options(stylize, {"size": size, "strength": strength, "keep_colours": keep_colours})
    network = painter(style, device)
    waiting: dict[Size, list[tuple[int, Tensor]]] = {}

    def painted(group: list[tuple[int, Tensor]]) -> Iterator[tuple[int, Tensor | Exception]]:
        photos = torch.cat([photo for _, photo in group])
        made = _finished(one_pass(network, photos), photos, strength, keep_colours)
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
