"""The record that every saved picture carries, from which it can be made again."""

import hashlib
import inspect
import os
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from .. import __version__, images, samples
from . import METHODS
from .options import Choice, options, picture_options
from .painters import file_and_choice


class RecordError(ValueError):
    """A picture without a usable record, or one whose inputs are no longer what they were."""


def record(name: str, pictures: dict[str, Any], arguments: dict[str, Any]) -> dict:
    """What a saved picture carries: method, version, each input's name or path with its hash, and the arguments.

    An argument that is a picture or the file of one, or of a network, is an input, too.
    Arguments that are left at their defaults are recorded too, so that a later version's other defaults do not
    change the picture; the device is not, nor a picture that was not given. Whoever saves a run that was stopped adds
    `stopped`, its evaluations. Raises RecordError for an argument that JSON cannot hold.
    """
    takes = inspect.signature(METHODS[name]).parameters.values()
    apart = {"device", *picture_options(METHODS[name]), *pictures}
    values = {p.name: p.default for p in takes if p.default is not p.empty} | arguments
    values = {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items() if k not in apart}
    values = {k: str(v) if isinstance(v, os.PathLike) else v for k, v in values.items()}
    words = {o.name: o.allowed.values for o in options(METHODS[name]) if isinstance(o.allowed, Choice)}
    files = {key: value for key, value in values.items() if _is_input(value) and value not in words.get(key, ())}
    values = {key: value for key, value in values.items() if key not in files}
    for key, value in values.items():
        if not isinstance(value, str | int | float | bool | list | tuple | dict | None):
            raise RecordError(f"{key}: {type(value).__name__} cannot be written into a picture's record")
    inputs = {
        key: [_entry(one) for one in value] if isinstance(value, list | tuple) else _entry(value)
        for key, value in (pictures | files).items()
        if value is not None
    }
    return {"styletx": __version__, "method": name, "inputs": inputs, "arguments": values}


def _is_input(value: Any) -> bool:
    """Is it a picture or the file of one, or of a network? It is recorded with its hash."""
    if isinstance(value, Tensor | bytes):
        return True
    return isinstance(value, str) and os.path.isfile(os.path.expanduser(file_and_choice(value)[0]))


def _entry(source: Any) -> dict[str, str]:
    return {"source": _source(source), "sha256": fingerprint(source)}


def fingerprint(source: Any) -> str:
    """sha256 of what was read: a file's or an upload's bytes, or the values of a sample or of a tensor."""
    if isinstance(source, Tensor):
        return hashlib.sha256(source.detach().cpu().float().contiguous().numpy().tobytes()).hexdigest()
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if str(source) not in samples.names() and (path := Path(file_and_choice(str(source))[0]).expanduser()).is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return hashlib.sha256(images.to_array(samples.load(source)).tobytes()).hexdigest()


def again(path: str | os.PathLike) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """(method, pictures, arguments) from a saved picture's record: call METHODS[method](**pictures, **arguments).

    Raises RecordError where an input is gone or no longer the same, naming it, and for a record of a method or of
    arguments that are not known here; ImageError for a file without a record.
    """
    found = images.read_record(path)
    try:
        name, inputs, arguments = found["method"], found["inputs"], dict(found["arguments"])
        sources = {
            key: [(one["source"], one["sha256"]) for one in (entry if isinstance(entry, list) else [entry])]
            for key, entry in inputs.items()
        }
    except (KeyError, TypeError, AttributeError):
        raise RecordError(f"{path}: its record is not one of styletx") from None
    if name not in METHODS:
        raise RecordError(f'{path}: made by "{name}", which is none of {", ".join(METHODS)}')
    pictures = {}
    for key, entries in sources.items():
        for source, wanted in entries:
            if source not in samples.names() and not Path(file_and_choice(source)[0]).is_file():
                raise RecordError(f"{key}: {source} is not there any more")
            if fingerprint(source) != wanted:
                raise RecordError(f"{key}: {source} is not the picture it was (its sha256 has changed)")
        several = [source for source, _ in entries]
        pictures[key] = several if isinstance(inputs[key], list) else several[0]
    try:
        inspect.signature(METHODS[name]).bind(**pictures, **arguments)
    except TypeError as error:
        raise RecordError(f"{path}: its record does not fit {name} ({error})") from None
    return name, pictures, arguments


def _source(value: Any) -> str:
    """A sample's name as it is, a file's absolute path, and a plain word for what has neither."""
    if isinstance(value, bytes | Tensor):
        return "an upload" if isinstance(value, bytes) else "a tensor"
    return str(value) if str(value) in samples.names() else str(Path(value).expanduser().resolve())
