"""Pictures to train on: read once, kept as bytes, given out as random crops."""

from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from .. import samples
from ..images import read, resize

CROP = 128  # pixels of a crop's side
# Paintings that encoders and decoders are judged on: nothing is trained on them.
HELD_OUT = ("starry-night", "great-wave", "the-scream", "te-fare", "in-bed", "etretat")


def folder_pictures(folder: Path, short: int, progress: str) -> list[Tensor]:
    """All pictures below a folder, without the held-out ones, as uint8 (3, H, W), shorter side at most `short`.

    Raises ValueError for a folder without any.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    paths = [p for p in paths if p.stem not in HELD_OUT]
    if not paths:
        raise ValueError(f"{folder}: no .jpg or .png pictures in there")
    return [_bytes(read(path), short) for path in tqdm(paths, desc=progress)]


def _bytes(image: Tensor, short: int) -> Tensor:
    height, width = image.shape[-2:]
    factor = max(short, CROP) / min(height, width)
    if factor != 1 and (factor < 1 or min(height, width) < CROP):
        image = resize(image, (max(CROP, round(height * factor)), max(CROP, round(width * factor))))
    return (image[0].clamp(0, 1) * 255).round().to(torch.uint8)


def default_photos() -> Path:
    """Caltech-101 as torchvision fetches it (131 MB), in the user's cache folder."""
    from torchvision.datasets import Caltech101

    return Path(Caltech101(samples.cache_folder() / "caltech", download=True).root) / "101_ObjectCategories"


def load_photos(folder: Path | None) -> list[Tensor]:
    """The photographs of a folder, or Caltech-101's."""
    return folder_pictures(folder or default_photos(), 192, "photos")


def load_paintings(folder: Path | None) -> list[Tensor]:
    """The paintings of a folder, or the samples', without those that are judged on."""
    if folder:
        return folder_pictures(folder, 320, "paintings")
    known = [n for n in samples.names("painting", showable=True) if n not in HELD_OUT]
    return [_bytes(samples.load(n), 320) for n in tqdm(known, desc="paintings")]


class Pictures:
    """Random crops of photos and of paintings, some of them disturbed."""

    def __init__(self, photos: list[Tensor], paintings: list[Tensor]):
        self.photos, self.paintings = photos, paintings

    def crop(self, pictures: list[Tensor], generator: torch.Generator) -> Tensor:
        """A random window of a random picture, at a random zoom, maybe mirrored: (1, 3, CROP, CROP)."""
        picture = pictures[int(torch.randint(len(pictures), (), generator=generator))]
        draw = torch.rand(4, generator=generator).tolist()
        height, width = picture.shape[-2:]
        side = int(CROP * (min(height, width) / CROP) ** draw[0])
        top, left = int(draw[1] * (height - side + 1)), int(draw[2] * (width - side + 1))
        window = picture[None, :, top : top + side, left : left + side].float() / 255
        window = window if side == CROP else resize(window, (CROP, CROP))
        return window.flip(-1) if draw[3] < 0.5 else window

    def photo_batch(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.cat([self.crop(self.photos, generator) for _ in range(count)])

    def painting_batch(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.cat([self.crop(self.paintings, generator) for _ in range(count)])

    def collage_batch(self, count: int, generator: torch.Generator) -> Tensor:
        """Four photos each, or one and its mirror images, at half the side: sharper than any of them at its full."""
        rows = []
        for _ in range(count):
            alone = bool(torch.rand((), generator=generator) < 0.5)
            parts = [resize(self.crop(self.photos, generator), (CROP // 2,) * 2) for _ in range(1 if alone else 4)]
            if alone:
                parts += [parts[0].flip(-1), parts[0].flip(-2), parts[0].flip(-1, -2)]
            rows.append(torch.cat([torch.cat(parts[:2], 3), torch.cat(parts[2:], 3)], 2))
        return torch.cat(rows)
