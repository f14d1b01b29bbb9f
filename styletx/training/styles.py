"""Styles to train on, as many as can be had from few paintings: windows of them, in other colours; photographs, too."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from .. import samples
from ..images import resize
from ..samples import styles
from .photos import Photos

PLAIN, PHOTOS, MADE = 0.5, 0.2, 0.05  # parts that are paintings in their own colours, photographs, and made here


class Styles:
    """Pictures (1, 3, side, side) to take a style from, drawn with a generator.

    A window of a painting, at a random zoom and maybe mirrored; of half of them with other colours: the channels
    exchanged, mixed a little, darker or lighter. Between them photographs, and styles that are made here.
    """

    def __init__(self, paintings: Sequence[str | Path], photos: Photos, side: int):
        self.paintings = [_smaller(samples.picture(one, argument="paintings"), 2 * side) for one in paintings]
        self.made = [styles.make(name, side, side) for name in styles.STYLES]
        self.photos, self.side = photos, side

    def __call__(self, generator: torch.Generator) -> Tensor:
        """One of them."""
        draw = torch.rand(6, generator=generator).tolist()
        if draw[0] < PHOTOS:
            number = int(torch.randint(2**31, (), generator=generator))
            return resize(self.photos[number][0][None], (self.side, self.side))
        if draw[0] < PHOTOS + MADE:
            return self.made[int(draw[1] * len(self.made))]
        painting = self.paintings[int(draw[1] * len(self.paintings))]
        height, width = painting.shape[-2:]
        side = round(min(height, width) * (0.5 + 0.5 * draw[2]))
        top, left = int(draw[3] * (height - side + 1)), int(draw[4] * (width - side + 1))
        window = resize(painting[..., top : top + side, left : left + side], (self.side, self.side)).clamp(0, 1)
        window = window.flip(-1) if draw[5] < 0.5 else window
        return window if float(torch.rand((), generator=generator)) < PLAIN else _recoloured(window, generator)


def _smaller(picture: Tensor, shorter: int) -> Tensor:
    height, width = picture.shape[-2:]
    factor = shorter / min(height, width)
    return picture if factor >= 1 else resize(picture, (round(height * factor), round(width * factor)))


def _recoloured(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Channels in another order and mixed a little, and another gamma for each."""
    order = torch.randperm(3, generator=generator)
    mix = torch.eye(3)[order] + 0.3 * (torch.rand(3, 3, generator=generator) - 0.5)
    mixed = torch.einsum("ij,bjhw->bihw", mix / mix.sum(1, keepdim=True), picture).clamp(0, 1)
    gamma = 2 ** (1.4 * torch.rand(3, generator=generator) - 0.7)
    return (mixed + 1e-4) ** gamma[:, None, None]
