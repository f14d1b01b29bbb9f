"""A contact sheet: pictures of one size in rows, each with its name below."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..images import from_array, size_of

SHAPE = 1.5  # width over height that the sheet comes near to


def sheet(pictures: Sequence[Tensor], titles: Sequence[str]) -> Tensor:
    """Pictures (1, 3, H, W) of one size on white, with titles; a picture (1, 3, H', W') in [0, 1].

    Raises ValueError for no pictures, for another number of titles and for pictures of several sizes.
    """
    sizes = {size_of(one) for one in pictures}
    if len(sizes) != 1 or len(titles) != len(pictures):
        raise ValueError(f"pictures: {len(pictures)} of sizes {sorted(sizes)}, {len(titles)} titles; they must match")
    ((height, width),) = sizes
    gap, line = max(4, width // 48), max(14, height // 10)
    columns = min(range(1, len(pictures) + 1), key=lambda n: _badness(n, len(pictures), width, height + line))
    cells = []
    for picture, title in zip(pictures, titles, strict=True):
        titled = torch.cat([F.pad(picture.cpu().float(), (gap, 0, 0, 0), value=1), _title(title, gap + width, line)], 2)
        cells.append(F.pad(titled, (0, 0, gap, 0), value=1))
    cells += [torch.ones_like(cells[0])] * (-len(cells) % columns)
    rows = [torch.cat(cells[start : start + columns], 3) for start in range(0, len(cells), columns)]
    return F.pad(torch.cat(rows, 2), (0, gap, 0, gap), value=1)


def _badness(columns: int, count: int, width: int, height: int) -> float:
    """How far from `SHAPE` the sheet is, and how much of it is empty."""
    rows = -(-count // columns)
    return abs(math.log(columns * width / (rows * height * SHAPE))) + (rows * columns - count) / count


def _title(text: str, width: int, height: int) -> Tensor:
    strip = Image.new("RGB", (width, height), "white")
    size = min(0.66 * height, 1.7 * width / max(1, len(text)))  # smaller for a long name below a narrow picture
    font = ImageFont.load_default(size)
    ImageDraw.Draw(strip).text((width / 2, 0.45 * height), text, fill=(60, 60, 60), font=font, anchor="mm")
    return from_array(np.asarray(strip))
