"""`styletx stylize` of several photos, or of a folder of them, into a folder."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from . import images, samples
from .devices import describe_device
from .methods.record import record
from .methods.stylize import ALL, stylize_all
from .training.photos import picture_files


def is_folder(name: str) -> bool:
    """Is it a folder? Not where a sample has the name: that goes first everywhere."""
    return name not in samples.names() and Path(name).expanduser().is_dir()


def paint_folder(given: argparse.Namespace, values: dict[str, Any]) -> bool:
    """Paint all photos of `given.content` into the folder `given.output`; were there any?

    Raises ValueError where a picture would be overwritten that is not of styletx' making, or that is painted.
    """
    if "-" in (given.output, *given.content):
        raise ValueError("-: from a pipe and into one goes one photo; name a picture as output")
    folder = Path(given.output).expanduser()
    if not folder.is_dir() and (folder.exists() or folder.suffix):
        raise ValueError(f"{folder}: for several photos the output is a folder")
    places: dict[Path, str | Path] = {}  # where each goes: a folder's pictures keep their places in it
    taken: set[str] = set()  # in one case: some file systems do not tell a.png from A.png
    for source in given.content:
        root = Path(source).expanduser() if is_folder(source) else None
        found = {file: file.relative_to(root) for file in picture_files(root)} if root else {source: Path(source)}
        for photo, place in found.items():
            place = (place if root else Path(place.name)).with_suffix(".png")
            while str(place).casefold() in taken:
                place = place.with_stem(place.stem + "-2")
            taken.add(str(place).casefold())
            places[place] = photo
    names, failed = list(places), 0
    used = [one for one in (*places.values(), given.style) if one not in samples.names()]
    sources = {Path(os.path.expanduser(one)).resolve() for one in used}
    for place in names:
        if (folder / place).resolve() in sources:
            raise ValueError(f"{folder / place}: would overwrite a picture it is made from; choose another folder")
        if (folder / place).exists() and not _ours(folder / place):
            raise ValueError(f"{folder / place}: is there already, and not made by styletx; choose another folder")
    style, where = values.pop("style"), describe_device(given.device)
    if style == ALL:
        raise ValueError("sheet: of one photo, into a picture such as sheet.png")
    made = stylize_all(places.values(), style=style, **values, batch=given.batch, device=given.device)
    for number, image in tqdm(made, total=len(names), desc=f"{style} on {where}", disable=given.quiet):
        if isinstance(image, Exception):
            failed += 1
            print(f"styletx stylize: {one_line(image)}", file=sys.stderr)
            if given.json:
                print(json.dumps({"input": str(places[names[number]]), "error": one_line(image)}))
            continue
        output = folder / names[number]
        output.parent.mkdir(parents=True, exist_ok=True)
        carried = record("stylize", {"content": places[names[number]]}, {"style": style, **values})
        images.write(image, output, record=carried)
        if given.json:
            print(json.dumps(about(output, image) | {"device": where} | carried))
    if not given.json:
        print(f"{folder}: {len(names) - failed} pictures" + (f", {failed} photos left out" if failed else ""))
    return failed < len(names)


def _ours(path: Path) -> bool:
    """Is it a picture that styletx has made, so that it can be made again?"""
    try:
        return "method" in images.read_record(path)
    except (ValueError, OSError):
        return False


def about(output: Path, image: Tensor) -> dict[str, Any]:
    """What `--json` says of a picture beside its record."""
    height, width = images.size_of(image)
    return {"output": str(output), "width": width, "height": height}


def one_line(error: BaseException) -> str:
    """An error's words in one line."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
