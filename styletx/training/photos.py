"""Pictures to train on: read once, kept as bytes, given out as random crops."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm import tqdm

from .. import samples
from ..checks import check_whole
from ..images import ImageError, read, resize, size_of
from ..samples import SampleError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
CROP = 128  # pixels of a crop's side
FIRST = 32  # crops on which is measured what holds for a whole training
# Paintings that encoders and decoders are judged on: nothing is trained on them.
HELD_OUT = ("starry-night", "great-wave", "the-scream", "te-fare", "in-bed", "etretat")


def picture_files(folder: str | Path) -> list[Path]:
    """The picture files below a folder, in one order on every system; ValueError for a folder without any."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder")
    found = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
    if not found:
        raise ValueError(f"{folder}: no pictures in there ({', '.join(SUFFIXES)})")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def folder_pictures(folder: Path, short: int, progress: str) -> list[Tensor]:
    """All pictures below a folder, without the held-out ones, as uint8 (3, H, W), shorter side at most `short`.

    Raises ValueError for a folder without any.
    """
    paths = [p for p in picture_files(folder) if p.stem not in HELD_OUT]
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


class Photos(Dataset[tuple[Tensor, str]]):
    """Crops of photographs, (3, side, side) in [0, 1], by number: the seed and the number decide.

    folder: the photographs below it are taken, or those that are named: samples' names or files.

    Every photo comes once before any comes again, in an order that each round draws anew; from it a window at a random
    zoom, maybe mirrored. `photos[n]` is (crop, names of files that could not be read on the way to it), for any n: a
    damaged file's turn is the next one's. Raises ValueError for a folder without pictures, and with the first crop for
    one in which all are damaged.
    """

    def __init__(self, folder: str | Path | Sequence[str | Path], side: int = 256, seed: int = 0):
        check_whole("side", side, 16)
        self.paths = picture_files(folder) if isinstance(folder, str | Path) else list(folder)
        if not self.paths:
            raise ValueError("photos: none are named")
        for path in self.paths:
            if str(path) not in samples.names() and not Path(path).expanduser().exists():
                raise ValueError(f"photos: {path} is neither a picture's name nor a file")
        self.side, self.seed = side, seed

    def __getitem__(self, number: int) -> tuple[Tensor, str]:
        round_, place = divmod(number, len(self.paths))
        order = torch.randperm(len(self.paths), generator=self._generator(round_, 0))
        broken = []
        for index in order.roll(-place).tolist():
            try:
                image = samples.load(self.paths[index])
            except (ImageError, SampleError, OSError):
                broken.append(str(self.paths[index]))
                continue
            return self._crop(image, self._generator(number, 1))[0], "\n".join(broken)
        raise ValueError(f"{Path(self.paths[0]).parent}: none of {len(self.paths)} pictures can be read")

    def _generator(self, number: int, purpose: int) -> torch.Generator:
        # Hashed: PyTorch's generator looks at 32 bits of a seed, and near seeds would be near.
        state = np.random.SeedSequence([self.seed, purpose, number]).generate_state(1)
        return torch.Generator().manual_seed(int(state[0]))

    def _crop(self, image: Tensor, generator: torch.Generator) -> Tensor:
        draw = torch.rand(4, generator=generator).tolist()
        height, width = size_of(image)
        side = min(height, width)
        if side > self.side:
            side = round(side * (self.side / side) ** draw[0])
        top, left = int(draw[1] * (height - side + 1)), int(draw[2] * (width - side + 1))
        window = resize(image[..., top : top + side, left : left + side], (self.side, self.side))
        return window.flip(-1) if draw[3] < 0.5 else window


class Feed:
    """Batches of photos one after the other, decoded in `workers` processes; it remembers where it is.

    On the `machine`-th of several `machines` it gives that one's part of each batch, which they must divide evenly
    (ValueError).
    """

    def __init__(self, photos: Photos, batch: int, workers: int = 0, machine: int = 0, machines: int = 1):
        check_whole("batch", batch, 1)
        check_whole("workers", workers, 0)
        if batch % machines:
            raise ValueError(f"batch: {batch} photos cannot be divided among {machines} processes")
        self.part = batch // machines
        self.offset = machine * self.part
        self.photos, self.batch, self.workers, self.position = photos, batch, workers, 0
        self.broken: set[str] = set()
        self._batches: Iterator[tuple[Tensor, tuple[str, ...]]] | None = None

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.position, self._batches = state["position"], None

    def close(self) -> None:
        """End the processes; the next batch begins them anew."""
        self._batches = None

    def first(self) -> Tensor:
        """The crops with which every training of these photos begins, wherever it is by now.

        What is measured once, and holds for the whole training, is measured on them: a single batch would be luck.
        There are 32, or fewer large ones (but a batch), so that they need no more memory than 32 of 256 pixels.
        """
        count = max(self.batch, min(FIRST, FIRST * 256**2 // self.photos.side**2))
        return torch.stack([self.photos[number][0] for number in range(count)])

    def __next__(self) -> Tensor:
        """The next batch (batch, 3, side, side)."""
        if self._batches is None:
            loader = DataLoader(
                self.photos, self.part, num_workers=self.workers,
                sampler=_From(self.position + self.offset, self.part, self.batch),
                multiprocessing_context="spawn" if self.workers else None, generator=torch.Generator(),
            )  # fmt: skip
            self._batches = iter(loader)
        crops, named = next(self._batches)
        found = {name for names in named for name in names.splitlines()} - self.broken
        for name in sorted(found):
            print(f"{ascii(name)[1:-1]} cannot be read, and is passed over ({len(self.broken) + 1} so far)")
            self.broken.add(name)
        self.position += self.batch
        return crops


class _From(Sampler[int]):
    """From a number on, without end: so many numbers out of each batch."""

    def __init__(self, first: int, part: int, batch: int):
        self.first, self.part, self.batch = first, part, batch

    def __iter__(self) -> Iterator[int]:
        return (start + k for start in itertools.count(self.first, self.batch) for k in range(self.part))
