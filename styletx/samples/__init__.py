"""Pictures and weights by name: made here, lying in a dependency, or fetched once and checked by their hash.

`samples.json` lists what can be fetched, by *key* ("images/style/starry-night.jpg"): address, sha256, credit
and licence. A picture's *name* is the key's stem ("starry-night"). What has an unclear licence has `show`
false: it may be used in tests, not shown in the book.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from .. import images
from . import styles

KINDS = {"content": "photo", "style": "painting", "texture": "texture"}
Source = str | os.PathLike | bytes | Tensor
"""A picture however it is given: a sample's name, a path, a file's bytes, or an image (1, 3, H, W)."""
STYLE_SIZE = 512
"""The longer side of a style made here, where no size is asked for."""


class SampleError(ValueError):
    """A name that is no picture, or a file that cannot be had; the message says what to do."""


@dataclass(frozen=True)
class Sample:
    """What is known about a picture without opening it.

    kind: photo, painting, texture or style; source: made here, scikit-learn, scikit-image or fetched;
    show: may the book show it; key: its place in samples.json, where it has one.
    """

    name: str
    kind: str
    credit: str
    licence: str
    source: str
    show: bool
    key: str = ""


# The picture's name, and where it lies inside the dependency.
_BUNDLED = {
    "china": ("scikit-learn", "datasets/images/china.jpg", "danielbuechele, Flickr", "CC BY 2.0"),
    "flower": ("scikit-learn", "datasets/images/flower.jpg", "vultilion, Flickr", "CC BY 2.0"),
    "astronaut": ("scikit-image", "data/astronaut.png", "Eileen Collins, NASA", "public domain"),
    "chelsea": ("scikit-image", "data/chelsea.png", "Stéfan van der Walt", "CC0"),
    "coffee": ("scikit-image", "data/coffee.png", "Rachel Michetti, Pikolo Espresso Bar", "CC0"),
    "rocket": ("scikit-image", "data/rocket.jpg", "Launch of DSCOVR, SpaceX", "public domain"),
    # scikit-image brings the very files (the same sha256) that samples.json lists.
    "brick": ("scikit-image", "data/brick.png", "", ""),
    "grass": ("scikit-image", "data/grass.png", "", ""),
    "gravel": ("scikit-image", "data/gravel.png", "", ""),
}


def names(kind: str | None = None, available: bool = False, showable: bool = False) -> list[str]:
    """Names of the pictures: all, or of one `kind` (photo, painting, texture, style).

    `available`: only those that need no download; `showable`: only those that the book may show. Raises
    SampleError for another kind.
    """
    if kind not in (None, *KINDS.values(), "style"):
        raise SampleError(f"kind: no kind {kind!r}; there are photo, painting, texture and style")
    chosen = (s for s in _samples().values() if kind in (None, s.kind) and (s.show or not showable))
    return [s.name for s in chosen if not available or _is_here(s)]


def info(name: str) -> Sample:
    """What is known about a picture; raises SampleError, with the nearest names, for one that is not known."""
    if name not in _samples():
        raise SampleError(f"{name}: no picture of that name{_nearest(name, _samples())}")
    return _samples()[name]


def available(name: str) -> bool:
    """Can the picture, or the file of that key, be loaded without a network? Checked by hash; nothing is fetched."""
    return _look(name)[0] is not None if name in _entries() else _is_here(info(name))


def load(name: str | os.PathLike, size: int | None = None) -> Tensor:
    """The picture of that name, or else the file of that path, as an image (1, 3, H, W) in [0, 1].

    `size` is the longer side: what is larger is made smaller, never the reverse; a style made here is square
    and has any size, 512 where none is given. Raises SampleError where neither name nor file is known, or
    where a picture cannot be fetched, and what `images.read` raises.
    """
    if str(name) not in _samples():
        name = os.path.expanduser(name)
        if os.path.exists(name):
            return images.read(name, size)
        raise SampleError(f"{name}: neither a picture's name nor a file{_nearest(str(name), _samples())}")
    sample = _samples()[str(name)]
    images.check_size(size)
    if sample.source == "made here":
        return styles.make(sample.name, size or STYLE_SIZE, size or STYLE_SIZE)
    if sample.source == "fetched" or (sample.key and not _bundled_file(sample.name)):
        return images.read(fetch(sample.key), size)
    image = images.from_array(_from_dependency(sample))
    return images.resize(image, size) if size is not None and size < max(image.shape[-2:]) else image


def picture(source: Source, size: int | None = None, argument: str = "picture") -> Tensor:
    """A picture however it is given: a sample's name, a path, a file's bytes, or an image (1, 3, H, W)."""
    if isinstance(source, bytes):
        return images.read(source, size)
    if isinstance(source, str | os.PathLike):
        return load(source, size)
    if not isinstance(source, Tensor):
        got = type(source).__name__
        raise images.ImageError(f"{argument}: {got} is no picture; give a name, a path or a tensor (1, 3, H, W)")
    if not source.is_floating_point():
        raise images.ImageError(f"{argument}: a picture has floats in [0, 1]; got {source.dtype}")
    if source.ndim != 4 or source.shape[:2] != (1, 3) or not source.isfinite().all():
        got = tuple(source.shape)
        raise images.ImageError(f"{argument}: a picture is a finite (1, 3, H, W) in [0, 1]; got {got}")
    source = source if source.dtype == torch.float64 else source.float()
    longer = max(source.shape[-2:])
    return images.resize(source, size) if size is not None and size < longer else source


def pictures(source: Source | Sequence[Source], size: int | None = None, argument: str = "picture") -> list[Tensor]:
    """One or several pictures, however they are given, as a list."""
    several = source if isinstance(source, list | tuple) else [cast(Source, source)]
    return [picture(one, size, argument) for one in several]


def load_or(name: str, fallback: str, size: int | None = None) -> Tensor:
    """`load(name)`; where it can be neither found nor fetched, `load(fallback)` and a line that says so.

    For lectures, which must run without a network. Raises SampleError where one of the names is unknown.
    """
    info(fallback)
    if info(name).source == "fetched":
        try:
            fetch(info(name).key)
        except SampleError:
            print(f"Note: {name} is not here and could not be fetched; {fallback} stands in for it.")
            return load(fallback, size)
    return load(name, size)


def cache_folder() -> Path:
    """The user's cache folder, where downloads go (it need not exist yet)."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("styletx", appauthor=False))


def fetch(key: str) -> Path:
    """The file of a key of samples.json (a picture or weights), its sha256 checked, downloaded where need be.

    Looks in the read-only folder that STYLETX_CACHE names, then in the user's cache folder, then downloads it
    there once, showing credit and licence. Raises SampleError for an unknown key or where it cannot be had.
    """
    if key not in _entries():
        raise SampleError(f"{key}: no such file in samples.json{_nearest(key, _entries())}")
    found, damaged = _look(key)
    if found is not None:
        return found
    return _download(key, damaged)


@cache
def _entries() -> dict[str, dict]:
    return json.loads(Path(__file__).with_name("samples.json").read_text(encoding="utf-8"))


@cache
def _samples() -> dict[str, Sample]:
    found = [
        Sample(name, "photo", credit, licence, source, True)
        for name, (source, _, credit, licence) in _BUNDLED.items()
        if credit
    ]
    for key, entry in _entries().items():
        top, kind, *rest = key.split("/")
        if top == "images":
            name = Path(rest[-1]).stem
            source = _BUNDLED[name][0] if name in _BUNDLED else "fetched"
            about = entry["credit"], entry["licence"], source, entry["show"], key
            found.append(Sample(name, KINDS[kind], *about))
    found += [Sample(name, "style", "styletx", "CC0", "made here", True) for name in styles.STYLES]
    return {sample.name: sample for sample in found}


def _is_here(sample: Sample) -> bool:
    if sample.source == "made here" or (sample.source != "fetched" and _bundled_file(sample.name)):
        return True
    return bool(sample.key) and _look(sample.key)[0] is not None


def _bundled_file(name: str) -> Path | None:
    """Where the dependency keeps the picture, found without importing it, which takes a second."""
    source, place = _BUNDLED[name][:2]
    # scikit-image is moving its files into its second package.
    for module in ("sklearn",) if source == "scikit-learn" else ("skimage", "_skimage2"):
        spec = importlib.util.find_spec(module)
        if spec and spec.origin and (file := Path(spec.origin).parent / place).is_file():
            return file
    return None


def _from_dependency(sample: Sample):
    if _bundled_file(sample.name) is None:
        raise SampleError(
            f"{sample.name}: comes with {sample.source}, which is not installed or lacks it; "
            f"pip install {sample.source}, or choose one of {', '.join(styles.STYLES)}"
        )
    if sample.source == "scikit-learn":
        from sklearn.datasets import load_sample_image

        return load_sample_image(f"{sample.name}.jpg")
    import skimage.data

    return getattr(skimage.data, sample.name)()


def _look(key: str) -> tuple[Path | None, list[Path]]:
    """The sound file, if there is one, and the damaged ones met on the way to it."""
    given = os.environ.get("STYLETX_CACHE")
    damaged: list[Path] = []
    for folder in ([Path(given)] if given else []) + [cache_folder()]:
        path = folder / key
        if path.is_file():
            if hashlib.sha256(path.read_bytes()).hexdigest() == _entries()[key]["sha256"]:
                return path, damaged
            damaged.append(path)
    return None, damaged


def _download(key: str, damaged: list[Path]) -> Path:
    import pooch

    entry, target = _entries()[key], cache_folder() / key
    # On stdout there may be a picture.
    for path in damaged:
        print(f"{path} is damaged (its sha256 is not the published one): fetching it again.", file=sys.stderr)
    print(
        f"Fetching {key}: {entry['credit']}. Licence: {entry['licence']}.", file=sys.stderr
    )  # stdout may be a picture
    try:
        # pooch writes beside the target and moves it there only when the hash is right.
        found = pooch.retrieve(
            entry["url"],
            f"sha256:{entry['sha256']}",
            target.name,
            target.parent,
            downloader=pooch.HTTPDownloader(progressbar=True, timeout=30),
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        ready = [*list(styles.STYLES)[:4], *(name for name in ("china", "astronaut") if _bundled_file(name))]
        also = f" {damaged[0]} is there but damaged." if damaged else ""
        other = f", or choose a picture that needs no download: {', '.join(ready)}"
        other = other if key.startswith("images/") else ""
        raise SampleError(
            f"{key}: not here and could not be fetched ({type(error).__name__}: {reason}).{also} Connect "
            f"once, or set STYLETX_CACHE to a folder that has {key}{other}."
        ) from error
    return Path(found)


def _nearest(word: str, known: dict) -> str:
    # A part of a name ("night", "kodak") is near too, though difflib does not think so.
    close = [name for name in known if word and word.lower() in name][:2]
    close += [name for name in difflib.get_close_matches(word.lower(), known) if name not in close]
    return f"; the nearest are {', '.join(close)}" if close else f"; there are {', '.join([*known][:8])} ..."
