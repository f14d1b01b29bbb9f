"""What goes into a panel, checked, and what comes out of it, saved."""

import difflib
import itertools
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import methods
from ..images import write
from ..options import check_options

DRIVE_FOLDER = Path("/content/drive/MyDrive")  # Colab's, where it is mounted


def find_method(method: str | Callable) -> Callable:
    """The function of a method's name; ValueError, with the names there are, for another."""
    if callable(method):
        return method
    if method not in methods.METHODS:
        raise ValueError(f'method: "{method}" is none of {", ".join(methods.METHODS)}')
    return methods.METHODS[method]


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


def save_result(image: Tensor, name: str, method: Callable, names: list[str], pictures: dict, arguments: dict,
                folder: str | Path = ".", stopped: int | None = None) -> Path:  # fmt: skip
    """Write the result as a PNG with its record, under a speaking name that is still free; gives the path.

    A method that has no name in METHODS cannot be made again: its picture has no record. Raises RecordError where
    an argument cannot be written down, ImageError where the folder cannot be written to.
    """
    record = methods.record(name, pictures, arguments) if methods.METHODS.get(name) is method else None
    if record is not None and stopped is not None:
        record["stopped"] = stopped
    stem = re.sub(r"[^\w.-]+", "-", "-".join([*names, name, f"{max(image.shape[-2:])}px"]))
    free = (Path(folder) / f"{stem}{'' if k == 1 else f'-{k}'}.png" for k in itertools.count(1))
    return write(image, next(path for path in free if not path.exists()), record)


def keep_on_drive(path: Path) -> str:
    """Where a saved picture lies, in words; it is also copied to Colab's Drive where that is mounted."""
    if not DRIVE_FOLDER.is_dir():
        return str(path)
    return f"{path} and {shutil.copy(path, DRIVE_FOLDER)}"
