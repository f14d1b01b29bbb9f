"""Where the lectures are: beside the package in a clone, or a copy of those that an installed package brings."""

import shutil
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

COPY = "styletx-lectures"
"""The folder, in the current one, into which an installed package's lectures are copied to be worked on."""


def folder() -> Path:
    """The folder of the lectures; FileNotFoundError where there are none.

    A package that was installed without its clone copies its own into `styletx-lectures`, where they can be changed;
    what is there already is left as it is.
    """
    beside = Path(__file__).parents[2] / "notebooks"
    if (beside / "00_start_here.ipynb").is_file():
        return beside
    brought = installed()
    if not brought:
        raise FileNotFoundError(f"{beside}: the lectures are not there; install the package anew, or clone the course")
    copy = Path(COPY).resolve()
    copy.mkdir(exist_ok=True)
    for path in brought:
        if not (copy / path.name).exists():
            shutil.copy(path, copy)
    return copy


def installed() -> list[Path]:
    """The lectures that the installed package brings."""
    try:
        listed = files("styletx-course") or []
    except PackageNotFoundError:
        return []
    found = [Path(str(entry.locate())) for entry in listed if entry.suffix == ".ipynb"]
    return [path for path in found if path.is_file()]
