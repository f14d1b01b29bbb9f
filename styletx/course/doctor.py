"""`styletx doctor`: device, versions, memory, weights, and a short test of each method."""

import importlib.metadata
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from .. import __version__, samples
from ..devices import describe_device, free_memory, pick_device
from ..encoders import ENCODERS, WEIGHTS, load_encoder
from ..methods import METHODS
from ..methods.enlarge import enlarger
from ..methods.options import Picture, options
from ..methods.painters import ALONE, ANY, LOSSES, STYLES, network_file, painter
from ..methods.textures import TEXTURES, texture_file, texture_network

PACKAGES = ("torch", "torchvision", "numpy", "ipywidgets", "ipykernel", "jupyterlab")


def examine(device: str | torch.device | None = None) -> bool:
    """Print device, versions, memory, weights and pictures, and try each method for about five seconds; all well?"""
    chosen = pick_device(device)
    print(f"styletx {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    print("versions  " + ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    print(f"device    {describe_device(chosen)}")
    print(f"memory    {free_memory(chosen) / 2**30:.1f} GiB free")
    well = True
    for name in ENCODERS:
        try:
            note = _weights_note(name)
        except Exception as error:  # whatever it is, a torchvision that does not fit torch, say: go on
            note, well = f"PROBLEM: {error}", False
        print(f"weights   {name:<18}{note}")
    networks: list[tuple[str, Callable[..., object], Path]]
    networks = [(name, painter, network_file(name)) for name in ALONE]
    networks += [(STYLES[-1], painter, network_file(ANY))]
    networks += [(name, enlarger, network_file(name)) for name in LOSSES]
    networks += [(name, texture_network, texture_file(name)) for name in TEXTURES]
    for name, load, path in networks:
        try:
            size = path.stat().st_size
            load(name, "cpu")
            note = f"in the package ({size / 1e6:.1f} MB)"
        except Exception as error:  # as above
            note, well = f"PROBLEM: {error}", False
        print(f"network   {path.stem:<26}{note}")
    here, known = len(samples.names(available=True)), len(samples.names())
    print(f"pictures  {here} of {known} are here; the others are fetched when first named")
    for name, method in METHODS.items():
        start = time.monotonic()
        try:
            fine, note = _try(method, chosen)
        except Exception as error:  # whatever it is: an examination goes on to the next method
            fine, note = False, f"PROBLEM: {error}"
        well &= fine
        print(f"method    {name:<18}{note}, {time.monotonic() - start:.1f} s")
    print("all well" if well else "something is wrong: see PROBLEM above")
    return well


def _try(method: Callable, device: torch.device) -> tuple[bool, str]:
    """(does it work, what it came to) of a method on two small pictures."""
    required = [o.name for o in options(method) if isinstance(o.allowed, Picture) and o.required]
    tried = [samples.load(name, size=160) for name in ("china", "flower")]  # of one size, as smoothing needs them
    small = {o.name: value for o in options(method) for name, value in (("steps", 40), ("size", 160)) if o.name == name}
    made = method(**dict(zip(required, tried, strict=False)), **small, device=device)
    if isinstance(made, Tensor):
        fine = bool(made.isfinite().all()) and float(made.std()) > 0.01
        return fine, "works" if fine else "PROBLEM: there is no picture in the result"
    losses = [step.loss for step in made]
    fine = bool(made.best.isfinite().all()) and min(losses) < losses[0] / 2
    return fine, f"{'works' if fine else 'PROBLEM: the loss did not fall'}, loss {losses[0]:.3g} → {min(losses):.3g}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _weights_note(name: str) -> str:
    entry = ENCODERS[name]
    if entry.source == "package":
        load_encoder(name, device="cpu")
        own, decoders = ((WEIGHTS / f"{name}{part}.safetensors").stat().st_size / 1e6 for part in ("", "-decoders"))
        return f"in the package ({own:.1f} MB, its decoders {decoders:.1f} MB)"
    if entry.source == "samples":
        return "here" if samples.available(entry.key) else "fetched when first named"
    if entry.source == "none":
        return "needs none"
    from torchvision import models

    url = models.get_model_weights(name).IMAGENET1K_V1.url
    here = (Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]).is_file()
    return "here" if here else "fetched by torchvision when first named"
