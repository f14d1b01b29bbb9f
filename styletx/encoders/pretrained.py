"""Encoders by name: their layouts, and where their weights come from."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .. import samples
from ..devices import pick_device
from .laplacian import Laplacian
from .network import Affine, Encoder, EncoderError, Fire, normalise, pool_step, vgg_steps

MINI_CHANNELS = (16, 64, 96, 112, 128)
VGG_BLOCKS = {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3)}  # convolutions in each block
TORCHVISION_LAYERS = {
    "alexnet": "conv1 relu1 pool1 conv2 relu2 pool2 conv3 relu3 conv4 relu4 conv5 relu5 pool5",
    "squeezenet1_1": "conv1 relu1 pool1 fire2 fire3 pool3 fire4 fire5 pool5 fire6 fire7 fire8 fire9",
}
WEIGHTS = Path(__file__).parents[1] / "weights"
# The photos that `normalised=True` rescales on: those that the dependencies bring, so that it works offline.
NORMALISATION_PHOTOS = ("china", "flower", "astronaut", "chelsea", "coffee", "rocket")


def load_encoder(
    name: str | Encoder = "mini",
    *,
    pooling: str = "max",
    normalised: bool = False,
    device: str | torch.device | None = None,
    weights: str | Path | None = None,
) -> Encoder:
    """The encoder of that name (one of `ENCODERS`) on the device; an Encoder is given back, moved if a device is named.

    `pooling="avg"` swaps max pooling for average pooling; `normalised=True` rescales every filter to mean
    activation 1 (see `normalise`). `weights` names a file instead of the encoder's own; `weights="random"` is the
    bare architecture, seeded. Raises EncoderError for unknown names, and for weights that are damaged or cannot be
    fetched.
    """
    if isinstance(name, Encoder):
        if pooling != "max" and name.pooling != pooling:
            raise EncoderError(f"pooling: the encoder given has {name.pooling} pooling; load it with {pooling}")
        if normalised and not name.normalised:
            raise EncoderError("normalised: the encoder given is not; load it with normalised=True")
        return name if device is None else name.to(pick_device(device))
    if name not in ENCODERS:
        near = difflib.get_close_matches(str(name), ENCODERS, n=3) or ENCODERS
        raise EncoderError(f'encoder: no encoder "{name}"; there is {", ".join(near)}')
    if pooling not in ("max", "avg"):
        raise EncoderError(f'pooling: "{pooling}" is neither "max" nor "avg"')
    if name == "laplacian" and normalised:
        raise EncoderError("laplacian: it has no filters to normalise")
    encoder = ENCODERS[name].build(name, pooling, weights)
    if normalised:
        normalise(encoder, [samples.load(photo, size=256) for photo in NORMALISATION_PHOTOS])
    # channels_last weights: the same numbers, a tenth of the time less on a CPU.
    return encoder.to(pick_device(device)).to(memory_format=torch.channels_last)


def mini_encoder(pooling: str = "max") -> Encoder:
    """The bare architecture of `mini`, untrained: VGG-19's layout to relu5_1 at a quarter to a half of its width."""
    steps = vgg_steps(MINI_CHANNELS, VGG_BLOCKS["vgg19"], pooling, padding_mode="reflect", last="relu5_1")
    return Encoder("mini", steps, Affine([0.45] * 3, [0.25] * 3), pooling)


def _mini(name: str, pooling: str, weights: str | Path | None) -> Encoder:
    encoder = mini_encoder(pooling)
    if weights == "random":
        return _random(encoder)
    return _fill(encoder, read_weights(Path(weights) if weights else WEIGHTS / "mini.safetensors"))


def _torchvision(name: str, pooling: str, weights: str | Path | None) -> Encoder:
    """vgg19, vgg16, alexnet and squeezenet1_1 with torchvision's weights, fetched and hash-checked by torchvision."""
    from torchvision import models

    if name in VGG_BLOCKS:
        steps = vgg_steps((64, 128, 256, 512, 512), VGG_BLOCKS[name], pooling)
    else:
        steps = {}
        bare = getattr(models, name)(weights=None).features
        for step, module in zip(TORCHVISION_LAYERS[name].split(), bare, strict=True):
            if step.startswith("pool"):
                module = pool_step(pooling, module.kernel_size, module.stride, module.ceil_mode)
            elif step.startswith("relu"):
                module = nn.ReLU()  # theirs overwrites the value before it, which may have been asked for
            steps[step] = Fire(module) if step.startswith("fire") else module
    indices = {step: index for index, step in enumerate(steps)}
    prepare = Affine((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    encoder = Encoder(name, steps, prepare, pooling)
    if weights == "random":
        return _random(encoder)
    if weights is not None:
        state = read_weights(Path(weights))
    else:
        entry = models.get_model_weights(name).IMAGENET1K_V1
        try:
            state = entry.get_state_dict(progress=True, check_hash=True)
        except (URLError, OSError, RuntimeError) as error:
            raise EncoderError(
                f"encoder: the weights of {name} could not be fetched from {entry.url} ({error}); connect once, put "
                f'that file into {Path(torch.hub.get_dir()) / "checkpoints"}, or take "mini", which needs none'
            ) from None
    renamed = {}
    for step, index in indices.items():
        prefix = f"features.{index}."
        for key, value in state.items():
            if key.startswith(prefix):
                inner = "block." if isinstance(steps[step], Fire) else ""
                renamed[f"{step}.{inner}{key.removeprefix(prefix)}"] = value
    return _fill(encoder, renamed)


def _public(name: str, pooling: str, weights: str | Path | None) -> Encoder:
    """vgg19-small and vgg19-normalised, as deep as they go."""
    return public_encoder(name, "relu5_1" if name == "vgg19-small" else "relu3_1", pooling, weights)


def public_encoder(name: str, last: str, pooling: str = "max", weights: str | Path | None = None) -> Encoder:
    """A public encoder that ends at `last` (relu1_1 … relu5_1): each level has a file and weights of its own.

    Their first 1×1 convolution makes BGR from 0 to 255 minus its mean of a picture.
    """
    small, level = name == "vgg19-small", int(last[4])
    channels: tuple[int, ...] = (16, 32, 64, 128, 128) if small else (64, 128, 256, 512, 512)
    if small and level == 1:
        channels = (24,)
    blocks = VGG_BLOCKS["vgg19"][:level]
    steps = vgg_steps(channels[:level], blocks, pooling, padding_mode="reflect", last=last)
    encoder = Encoder(name, steps, nn.Conv2d(3, 3, 1), pooling)
    if weights == "random":
        return _random(encoder)
    state = read_weights(Path(weights) if weights else samples.fetch(f"weights/{name}/encoder{level}.pth"))
    new = ["prepare", *(s for s in steps if s.startswith("conv"))]
    try:
        if small:
            state = state["model"]
            old = ["conv0", *(s.replace("_", "") for s in steps if s.startswith("conv"))]
        else:
            old = list(dict.fromkeys(entry.rsplit(".", 1)[0] for entry in state))
        renamed = {
            f"{n}.{part}": state[f"{o}.{part}"] for n, o in zip(new, old, strict=True) for part in ("weight", "bias")
        }
        prepare = {part: renamed.pop(f"prepare.{part}") for part in ("weight", "bias")}
        encoder.prepare.load_state_dict(prepare)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise EncoderError(f"weights: they are not those of {name} to {last} ({str(error).splitlines()[0]})") from None
    return _fill(encoder, renamed)


def _random(encoder: Encoder) -> Encoder:
    """Seeded He initialisation: the bare architecture, for benchmarks and tests that need no trained weights."""
    generator = torch.Generator().manual_seed(0)
    for module in encoder.steps.modules():
        if isinstance(module, nn.Conv2d):
            spread = (2 / module.weight[0].numel()) ** 0.5
            module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * spread)
            if module.bias is not None:
                module.bias.zero_()
    return encoder


def half_state(module: nn.Module) -> dict[str, Tensor]:
    """A module's state as weights files keep it: on the CPU, in half precision where it is a floating-point number."""
    return {
        name: value.detach().half().contiguous().cpu() if value.is_floating_point() else value.cpu()
        for name, value in module.state_dict().items()
    }


def read_weights(path: Path) -> dict:
    """A weights file, without ever running code from it; EncoderError where it is missing or damaged."""
    if not path.is_file():
        raise EncoderError(f"weights: there is no file {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, ValueError, EOFError, OSError) as e:
        reason = str(e).splitlines()[0][:120] if str(e) else type(e).__name__
        raise EncoderError(f"weights: {path} is damaged or no weights file ({reason})") from None


def _fill(encoder: Encoder, state: dict[str, Tensor]) -> Encoder:
    """Put a state dict of {layer.weight, layer.bias} into the encoder's steps, as float32."""
    try:
        encoder.steps.load_state_dict({key: value.float() for key, value in state.items()})
    except (RuntimeError, AttributeError) as error:
        lines = str(error).splitlines()
        raise EncoderError(f"weights: they do not fit {encoder.name}: {' '.join(lines[1:2]) or lines[0]}") from None
    if not all(parameter.isfinite().all() for parameter in encoder.parameters()):
        raise EncoderError(f"weights: those of {encoder.name} hold values that are not finite")
    return encoder


def _laplacian(name: str, pooling: str, weights: str | Path | None) -> Encoder:
    if pooling == "avg" or weights is not None:
        raise EncoderError("laplacian: it has neither pooling nor weights")
    return Laplacian()


@dataclass(frozen=True)
class Entry:
    """How an encoder is built, and where its weights lie: in the package, in samples.json (`key`), or torchvision's.

    `deep`: it has VGG's layers relu1_1 … relu5_1, which the methods' defaults name.
    """

    build: Callable[[str, str, str | Path | None], Encoder]
    source: str
    deep: bool = False
    key: str = ""


ENCODERS = {
    "mini": Entry(_mini, "package", deep=True),
    "vgg19": Entry(_torchvision, "torchvision", deep=True),
    "vgg16": Entry(_torchvision, "torchvision", deep=True),
    "alexnet": Entry(_torchvision, "torchvision"),
    "squeezenet1_1": Entry(_torchvision, "torchvision"),
    "vgg19-small": Entry(_public, "samples", deep=True, key="weights/vgg19-small/encoder5.pth"),
    "vgg19-normalised": Entry(_public, "samples", key="weights/vgg19-normalised/encoder3.pth"),
    "laplacian": Entry(_laplacian, "none"),
}
DEEP = tuple(name for name, entry in ENCODERS.items() if entry.deep)
