"""python -m styletx.recipes.gallery [NAME ...]: makes the figures named, or all of them."""

import argparse
import json
import time

from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ...course.gallery import FOLDER, files
from ...devices import describe_device
from ...images import to_array, to_jpeg
from . import (
    control,
    covering,
    deep_photo,
    gatys,
    inversion,
    kernels,
    many,
    museum,
    networks,
    one_shot,
    sheet,
    textures,
)

WIDEST = 448  # pixels of one picture

FIGURES = {
    make.__name__: (make, columns)
    for part in (gatys, inversion, kernels, museum, control, one_shot, networks, textures, many, deep_photo)
    for make, columns in part.FIGURES.items()
}


def keep(name: str, pictures: list[Tensor], titles: list[str]) -> None:
    """The figure's pictures as files, all at the size of the last one, the widest that a page can show them sharp."""
    height, width = pictures[-1].shape[-2:]
    factor = min(1.0, WIDEST / width)
    size = (round(height * factor), round(width * factor))
    if name == "header":  # the README can show one picture only
        whole = sheet([covering(picture.cpu(), size) for picture in pictures], FIGURES[name][1])
        (FOLDER / "header.jpg").write_bytes(to_jpeg(whole, 85))
        return
    for old in FOLDER.glob(f"{name}-*.webp"):
        old.unlink()
    for path, picture in zip(files(name, len(titles)), pictures, strict=True):
        Image.fromarray(to_array(covering(picture.cpu(), size))).save(path, quality=82, method=6)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m styletx.recipes.gallery", description="Make the lectures' figures."
    )
    parser.add_argument("names", nargs="*", choices=[[], *FIGURES], help="which figures (default: all)")
    names = parser.parse_args(arguments).names or list(FIGURES)
    path = FOLDER / "numbers.json"
    numbers = json.loads(path.read_text()) if path.is_file() else {}
    for name in tqdm(names, desc=describe_device()):
        start = time.monotonic()
        make, columns = FIGURES[name]
        pictures, titles, measured = make()
        took = round(time.monotonic() - start, 1)
        numbers[name] = {**measured, "device": describe_device(), "made in": took}
        if pictures:
            keep(name, pictures, titles)
            numbers[name] |= {"titles": titles, "columns": columns}
        path.write_text(json.dumps(numbers, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
