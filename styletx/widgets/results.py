"""What goes into a panel, checked, and what comes out of it, saved."""

import difflib
import itertools
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..images import write
from ..methods import METHODS
from ..methods.options import check_options
from ..methods.record import record

DRIVE_FOLDER = Path("/content/drive/MyDrive")  # Colab's, where it is mounted


def find_method(method: str | Callable) -> Callable:
    """The function of a method's name; ValueError, with the names there are, for another."""
    if callable(method):
        return method
    if method not in METHODS:
        raise ValueError(f'method: "{method}" is none of {", ".join(METHODS)}')
    return METHODS[method]


def name_of(method: Callable) -> str:
    """The name that a method has in METHODS, or else the function's own."""
    return next((name for name, known in METHODS.items() if known is method), method.__name__)


def check_given(
    method: Callable, name: str, takes: Iterable[str], given: Mapping[str, Any], main: Iterable[str]
) -> None:
    """ValueError for a keyword that the method does not take, with the nearest ones, and for a value out of range."""
    for kind, words in (("keyword", given), ("main", main)):
        for word in words:
            if word not in takes:
                near = difflib.get_close_matches(word, takes, n=3, cutoff=0.5)
                right = f"the nearest are {', '.join(near)}" if near else f"it takes {', '.join(takes)}"
                raise ValueError(f'{kind}: {name} has no "{word}"; {right}')
    # A choice may also be the thing itself: an encoder, a picture to start from.
    check_options(method, {k: v for k, v in given.items() if isinstance(v, str | int | float | list | tuple)})


def make_record(method: Callable, pictures: dict, arguments: dict) -> dict | Exception | None:
    """The record of a run that begins; the error that says why it cannot be written down; None for an unknown method.

    The error is kept for whoever saves: the run itself does not need a record.
    """
    name = name_of(method)
    if METHODS.get(name) is not method:
        return None
    try:
        return record(name, pictures, arguments)
    except (ValueError, OSError, TypeError) as error:
        return error


def save_result(image: Tensor, names: list[str], record: dict | None, folder: str | Path = ".") -> Path:
    """Write the result as a PNG with its record, under a speaking name that is still free; gives the path.

    Raises ImageError where the folder cannot be written to.
    """
    stem = re.sub(r"[^\w.-]+", "-", "-".join([*names, f"{max(image.shape[-2:])}px"]))
    return write(image, _free(Path(folder), stem), record)


def _free(folder: Path, stem: str) -> Path:
    """The first of stem.png, stem-2.png, ... that is not there yet."""
    paths = (folder / f"{stem}{'' if k == 1 else f'-{k}'}.png" for k in itertools.count(1))
    return next(path for path in paths if not path.exists())


def keep_on_drive(path: Path) -> str:
    """Where a saved picture lies, in words; it is also copied to Colab's Drive where that is mounted."""
    if not DRIVE_FOLDER.is_dir():
        return str(path)
    try:
        return f"{path} and {shutil.copy(path, _free(DRIVE_FOLDER, path.stem))}"
    except OSError as error:
        return f"{path}, but not in Drive ({error})"
