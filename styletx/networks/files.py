"""The file of a network: its weights in half precision, its kind, its settings, and what it was taught."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..devices import pick_device
from ..encoders import EncoderError, half_state, read_weights
from .any_style import AnyStyle
from .conditional import ManyStyles
from .texture_net import TextureNet
from .transform_net import SuperResolution, TransformNet

Network = TransformNet | ManyStyles | AnyStyle | TextureNet | SuperResolution
KINDS: dict[str, type[TransformNet] | type[ManyStyles] | type[AnyStyle] | type[TextureNet] | type[SuperResolution]] = {
    "style": TransformNet,
    "styles": ManyStyles,
    "any style": AnyStyle,
    "texture": TextureNet,
    "super-resolution": SuperResolution,
}


def save_network(network: Network, path: str | Path, about: Mapping[str, object] | None = None) -> None:
    """Write a network into a .safetensors file, in half precision, with its kind, its settings and `about`.

    Raises ValueError for another suffix, and for a network that is none of `KINDS`.
    """
    path = Path(path).expanduser()
    kind = next((name for name, made in KINDS.items() if type(network) is made), None)
    if path.suffix != ".safetensors" or kind is None:
        raise ValueError(f"path: {path} for a {type(network).__name__}; right would be a .safetensors of {[*KINDS]}")
    told = {"kind": kind, "settings": json.dumps(network.settings), "about": json.dumps(dict(about or {}))}
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(save(half_state(network), metadata=told))  # save_file's own would be readable by nobody else
    fresh.replace(path)  # renamed when complete


def about_network(path: str | Path) -> dict[str, Any]:
    """What a file that `save_network` wrote says of its training; EncoderError for a file that is no such one."""
    try:
        with safe_open(Path(path).expanduser(), framework="pt") as file:
            told: dict[str, Any] = json.loads((file.metadata() or {})["about"])
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise EncoderError(f"{path}: it does not say how it was trained ({type(error).__name__})") from None
    return told


def load_network(path: str | Path, device: str | torch.device | None = None) -> Network:
    """The network of a file that `save_network` wrote, ready for use, on the device.

    Raises EncoderError for a file that is missing or damaged, that is no such network, or whose weights do not fit its
    own settings.
    """
    path = Path(path).expanduser()
    state = read_weights(path)
    try:
        with safe_open(path, framework="pt") as file:
            told = file.metadata() or {}
        network = KINDS[told["kind"]](**json.loads(told["settings"]))
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0][:120]
        raise EncoderError(f"{path}: no network that paints or enlarges ({type(error).__name__}: {reason})") from None
    return network.requires_grad_(False).eval().to(pick_device(device))
