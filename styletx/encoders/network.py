"""A chain of named layers, and what can be said of one without weights."""

import difflib
from collections.abc import Iterable
from itertools import chain
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..images import size_of


class EncoderError(ValueError):
    """An encoder, a layer or a weights file that is not there or not right."""


class Affine(nn.Module):
    """x → (x − mean) / std, channel by channel: what a network wants to see of a picture in [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Iterable[float], std: Iterable[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(tuple(mean)).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(tuple(std)).view(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


class Encoder(nn.Module):
    """A chain of named steps (convolution, ReLU, pooling, ...) behind the network's own normalisation."""

    def __init__(self, name: str, steps: dict[str, nn.Module], prepare: nn.Module, pooling: str = "max"):
        super().__init__()
        self.name = name
        self.pooling = pooling
        self.prepare = prepare
        self.steps = nn.ModuleDict(steps)
        self.normalised = False  # whether `normalise` has rescaled its filters
        self.dead: dict[str, list[int]] = {}  # those that it left as they are
        self.requires_grad_(False).eval()

    @property
    def device(self) -> torch.device:
        """Where the weights are, and pictures have to be."""
        return next(chain(self.parameters(), self.buffers())).device

    @property
    def layers(self) -> list[str]:
        """The names of all layers, from the picture inwards."""
        return ["input", *self.steps]

    def forward(self, image: Tensor, layers: str | Iterable[str], switches: bool = False) -> dict[str, Any]:
        """Features of `image` (B, 3, H, W) at `layers`: {name: (B, C, h, w)}, "input" being the picture itself.

        With `switches=True` the entry "switches" holds {pool: (indices, input size)} for max-unpooling.
        Raises EncoderError for an unknown layer and for a picture too small to reach the deepest one.
        """
        wanted = self.check_layers(layers)
        deepest = max(wanted, key=self.layers.index)
        self.check_size(image, deepest)
        features: dict[str, Any] = {"input": image} if "input" in wanted else {}
        if deepest == "input":
            return features
        x, before, pools = self.prepare(image), "input", {}
        for name, step in self.steps.items():
            if switches and isinstance(step, nn.MaxPool2d):
                size = size_of(x)
                x, indices = F.max_pool2d(
                    x, step.kernel_size, step.stride, step.padding, ceil_mode=step.ceil_mode, return_indices=True
                )
                pools[name] = (indices, size)
            elif isinstance(step, nn.ReLU) and before not in wanted and before != "input":
                x = F.relu_(x)  # nobody asked for the value before the ReLU: no second copy of it
            else:
                x = step(x)
            if name in wanted:
                features[name] = x
            if name == deepest:
                break
            before = name
        if switches:
            features["switches"] = pools
        return features

    def check_layers(self, layers: str | Iterable[str]) -> list[str]:
        """The names as a list; EncoderError with the nearest names for one that does not exist."""
        wanted = [layers] if isinstance(layers, str) else list(layers)
        if not wanted:
            raise EncoderError(f"layers: none given; {self.name} has {', '.join(self.layers)}")
        for name in wanted:
            if name not in self.layers:
                near = difflib.get_close_matches(str(name), self.layers, n=4) or self.layers[1:]
                raise EncoderError(f'layers: no layer "{name}" in {self.name}; it has {", ".join(near)}')
        return wanted

    def check_size(self, image: Tensor, layer: str) -> None:
        """EncoderError for a picture too small to reach `layer`."""
        if min(image.shape[-2:]) < self.smallest(layer):
            raise EncoderError(
                f"image: {image.shape[-2]}×{image.shape[-1]} pixels are too few for {layer} of {self.name}; "
                f"each side needs at least {self.smallest(layer)}"
            )

    def channels(self, layer: str) -> int:
        """Number of channels of a layer."""
        self.check_layers(layer)
        count = 3
        for name in self.layers[1 : self.layers.index(layer) + 1]:
            count = getattr(self.steps[name], "out_channels", count)
        return count

    def receptive_field(self, layer: str) -> tuple[int, int]:
        """(size, stride) in pixels: how wide one position of `layer` sees, and how far apart two neighbours look.

        By the usual recursion over kernels k and strides s: size += (k − 1)·stride, stride *= s.
        """
        self.check_layers(layer)
        size, stride = 1, 1
        for name in self.layers[1 : self.layers.index(layer) + 1]:
            kernel, step, _ = _geometry(self.steps[name])
            size += (kernel - 1) * stride
            stride *= step
        return size, stride

    def smallest(self, layer: str, positions: int = 1) -> int:
        """The shortest side of a picture that still has so many positions a side at `layer`."""
        need = positions
        for name in reversed(self.layers[1 : self.layers.index(layer) + 1]):
            kernel, stride, padding = _geometry(self.steps[name])
            need = max((need - 1) * stride + kernel - 2 * padding, 1)
            if getattr(self.steps[name], "padding_mode", "zeros") == "reflect" and padding:
                need = max(need, padding + 1)  # a mirror needs something behind its first pixel
        return need

    def extra_repr(self) -> str:
        return f"{self.name}, {self.pooling} pooling, {self.layers[1]} … {self.layers[-1]}"


class Fire(nn.Module):
    """SqueezeNet's module: a 1×1 squeeze, then 1×1 and 3×3 side by side (Iandola et al. 2016, Fig. 2)."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = block
        self.out_channels = sum(getattr(block, name).out_channels for name in ("expand1x1", "expand3x3"))
        self.kernel_size, self.stride, self.padding = 3, 1, 1

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


@torch.no_grad()
def normalise(encoder: Encoder, photos: Iterable[Tensor], floor: float = 1e-6) -> Encoder:
    """Rescale every filter, in place, so that its mean activation after the ReLU over `photos` is 1.

    With a_i the mean activations of the layer before and b_j of this one: W_ji ← W_ji·a_i/b_j, bias_j ← bias_j/b_j.
    ReLU and pooling commute with positive factors, so every layer only gets one factor per channel, and what the
    network computes stays the same. A dead filter (mean below `floor` times its layer's) keeps its scale, and is
    listed in `encoder.dead`. Source: Gatys, Ecker & Bethge 2016, section 2.
    """
    photos = list(photos)
    convolutions = {name: step for name, step in encoder.steps.items() if isinstance(step, nn.Conv2d)}
    if any(isinstance(step, Fire) for step in encoder.steps.values()):
        raise EncoderError(f"normalised: {encoder.name} has branches; it is for chains (vgg19, vgg16, alexnet, mini)")
    relus = [name.replace("conv", "relu") for name in convolutions]
    runs = [encoder(photo.to(encoder.device), relus) for photo in photos]
    encoder.normalised, encoder.dead = True, {}
    before = None
    for step, relu in zip(convolutions.values(), relus, strict=True):
        count = sum(run[relu][0, 0].numel() for run in runs)
        mean = sum(run[relu].double().sum((0, 2, 3)) for run in runs) / count
        dead = mean <= floor * mean.mean().clamp(min=1e-12)
        if dead.any():
            encoder.dead[relu] = dead.nonzero().flatten().tolist()
        mean = mean.masked_fill(dead, 1.0).float()
        groups_in = step.weight.shape[1]
        if before is not None:
            step.weight.mul_(before[:groups_in].view(1, -1, 1, 1))
        step.weight.div_(mean.view(-1, 1, 1, 1))
        if step.bias is not None:
            step.bias.div_(mean)
        before = mean
    return encoder


def vgg_steps(
    channels: Iterable[int],
    blocks: Iterable[int],
    pooling: str = "max",
    padding_mode: Literal["zeros", "reflect"] = "zeros",
    last: str = "",
) -> dict[str, nn.Module]:
    """VGG's layout as named steps: blocks of 3×3 convolutions with ReLU, a 2×2 pooling after each block.

    Stops after the layer `last` if one is named. Source: Simonyan & Zisserman 2015, table 1.
    """
    steps: dict[str, nn.Module] = {}
    width = 3
    for block, (out, count) in enumerate(zip(channels, blocks, strict=True), start=1):
        for index in range(1, count + 1):
            steps[f"conv{block}_{index}"] = nn.Conv2d(width, out, 3, padding=1, padding_mode=padding_mode)
            steps[f"relu{block}_{index}"] = nn.ReLU()
            width = out
            if last == f"relu{block}_{index}":
                return steps
        steps[f"pool{block}"] = pool_step(pooling)
    return steps


def pool_step(pooling: str, kernel: int = 2, stride: int = 2, ceil_mode: bool = False) -> nn.Module:
    kind = nn.MaxPool2d if pooling == "max" else nn.AvgPool2d
    return kind(kernel, stride, ceil_mode=ceil_mode)


def _geometry(step: nn.Module) -> tuple[int, int, int]:
    """(kernel, stride, padding) of a step; (1, 1, 0) for what works point by point."""
    values = (getattr(step, "kernel_size", 1), getattr(step, "stride", 1), getattr(step, "padding", 0))
    kernel, stride, padding = (value[0] if isinstance(value, tuple) else value for value in values)
    return kernel, stride, padding
