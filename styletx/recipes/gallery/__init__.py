"""The slow strips of the lectures: python -m styletx.recipes.gallery [NAME ...], also `make gallery`.

Each function of these modules is one figure: it runs the method at full quality, and gives pictures with titles and
what was measured. Each module lists its figures with the number of pictures in a row. The pictures of a figure are kept
at one size, as WebP in styletx/course/gallery/; titles and numbers beside them in numbers.json.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...images import resize, size_of

Strip = tuple[list[Tensor], list[str], dict]
SIZE = 384
PHOTO, PAINTING = "kodak-21", "starry-night"
TITLES = {
    "kodak-19": "the photograph",
    "kodak-21": "the photograph",
    "kodak-23": "the photograph",
    "starry-night": "Starry Night",
    "great-wave": "The Great Wave",
    "the-scream": "The Scream",
    "composition-vii": "Composition VII",
    "water-lilies": "Water Lilies",
    "wheat-field-with-cypresses": "Wheat Field with Cypresses",
}


def detail(picture: Tensor, centre: tuple[float, float] = (0.45, 0.4), zoom: float = 2.5) -> Tensor:
    """A part of the picture, `zoom` times as large, around a point given in parts of its height and width."""
    sides = [round(side / zoom) for side in picture.shape[-2:]]
    top, left = (
        min(max(round(at * whole - side / 2), 0), whole - side)
        for at, whole, side in zip(centre, picture.shape[-2:], sides, strict=True)
    )
    part = picture[..., top : top + sides[0], left : left + sides[1]]
    return resize(part, size_of(picture))


def covering(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """The picture at that size: scaled until it covers it, and what stands over cut off alike on both sides."""
    height, width = picture.shape[-2:]
    factor = max(size[0] / height, size[1] / width)
    larger = resize(picture, (max(size[0], round(height * factor)), max(size[1], round(width * factor))))
    top, left = ((large - side) // 2 for large, side in zip(larger.shape[-2:], size, strict=True))
    return larger[..., top : top + size[0], left : left + size[1]].clamp(0, 1)


def sheet(pictures: list[Tensor], columns: int, gap: int = 8) -> Tensor:
    """Pictures of one size as one picture on white, in rows."""
    framed = [F.pad(picture.cpu(), (0, gap, 0, gap), value=1.0) for picture in pictures]
    rows = [torch.cat(framed[start : start + columns], -1) for start in range(0, len(framed), columns)]
    return torch.cat(rows, -2)[..., :-gap, :-gap]
