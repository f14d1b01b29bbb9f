"""python -m styletx.recipes.gallery [NAME ...]: makes the figures named, or all of them."""

import argparse
import json
import time

from tqdm import tqdm

from ...devices import describe_device
from ...gallery import FOLDER
from ...images import show
from . import control, deep_photo, gatys, inversion, kernels, museum, one_shot

FIGURES = {
    make.__name__: (make, columns)
    for part in (gatys, inversion, kernels, museum, control, one_shot, deep_photo)
    for make, columns in part.FIGURES.items()
}


def draw(name: str, pictures: list, captions: list[str], columns: int) -> None:
    """Keep the figure as JPEG."""
    # A page is some seven inches wide: many pictures in a row have to be low, or their captions shrink away.
    drawn = show(*pictures, titles=captions, columns=columns, height=2.6 if columns < 4 else 1.6)
    path = FOLDER / f"{name}.jpg"
    drawn.savefig(path, dpi=110 if columns < 4 else 170, bbox_inches="tight", pil_kwargs={"quality": 85})


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
        pictures, captions, measured = make()
        if pictures:
            draw(name, pictures, captions, columns)
        numbers[name] = {**measured, "device": describe_device(), "made in": round(time.monotonic() - start, 1)}
        path.write_text(json.dumps(numbers, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
