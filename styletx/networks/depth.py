"""Depth from one picture, and the loss that keeps it (lecture 05).

`depth_encoder()` looks like any other encoder, with one layer, "depth": so the depth loss is one more Match,

    Match(depth_loss, content, "depth", encoder=depth_encoder())
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..devices import pick_device
from ..encoders import WEIGHTS, Affine, Encoder, EncoderError, read_weights
from ..images import fit_size, resize, size_of
from ..losses import Loss, mean_squared
from ..statistics import identity

WIDTHS = (12, 24, 36, 48, 64)
LONGER = 160  # longer side at which the network looks: it has learnt what things look like at this size
MIDDLE, SPREAD = 1.2, 0.9  # of log depth in the scenes it learns from: the network predicts (log depth − 1.2) / 0.9

# (1/M) Σ (d(x) − d(p))², d the predicted depth at each pixel. Source: Liu et al. 2017 (their loss at the depth
# network's output).
depth_loss = Loss(identity, mean_squared, name="depth", aligned=True)


class DepthNetwork(nn.Module):
    """A small U-Net: a picture (B, 3, H, W) in [0, 1] to its standardised log depth (B, 1, H/2, W/2)."""

    def __init__(self, widths: Iterable[int] = WIDTHS):
        super().__init__()
        widths = tuple(widths)
        self.prepare = Affine([0.45] * 3, [0.25] * 3)
        self.down = nn.ModuleList(
            _double(3 if k == 0 else widths[k - 1], width, stride=2) for k, width in enumerate(widths)
        )
        self.up = nn.ModuleList(
            _double(widths[k] + widths[k - 1], widths[k - 1]) for k in range(len(widths) - 1, 0, -1)
        )
        self.head = nn.Conv2d(widths[0], 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x, kept = self.prepare(image), []
        for block in self.down:
            x = block(x)
            kept.append(x)
        for block, beside in zip(self.up, reversed(kept[:-1]), strict=True):
            x = F.interpolate(x, size=beside.shape[-2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([x, beside], 1))
        return self.head(x)


def _double(before: int, width: int, stride: int = 1) -> nn.Sequential:
    # Batch normalisation: its statistics stand still in use, so that every pixel's depth depends on the picture alone.
    layers = []
    for k in range(2):
        layers += [
            nn.Conv2d(before if k == 0 else width, width, 3, stride if k == 0 else 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


class DepthEncoder(Encoder):
    """Any differentiable depth function with an encoder's face: layers "input" and "depth", (B, 1, h, w)."""

    def __init__(self, name: str, function: Callable[[Tensor], Tensor]):
        super().__init__(name, {}, nn.Identity(), pooling="none")
        self.function = function
        self.register_buffer("place", torch.zeros(()))  # says on which device, for functions without weights
        self.requires_grad_(False).eval()

    @property
    def layers(self) -> list[str]:
        return ["input", "depth"]

    def forward(self, image: Tensor, layers: str | Iterable[str], switches: bool = False) -> dict[str, Tensor]:
        wanted = self.check_layers(layers)
        features = {"input": image}
        if "depth" in wanted:
            depth = self.function(image)
            if depth.ndim != 4 or depth.shape[:2] != (image.shape[0], 1):
                raise EncoderError(f"{self.name}: it gives {tuple(depth.shape)}; a depth is (B, 1, h, w)")
            features["depth"] = depth
        return {name: features[name] for name in wanted}

    def channels(self, layer: str) -> int:
        self.check_layers(layer)
        return 3 if layer == "input" else 1

    def receptive_field(self, layer: str) -> tuple[int, int]:
        raise EncoderError("receptive_field: a depth at one pixel depends on all of the picture")

    def smallest(self, layer: str, positions: int = 1) -> int:
        return positions

    def extra_repr(self) -> str:
        return f"{self.name}, depth"


class AtOneSize(nn.Module):
    """A network that has learnt at one size: pictures go in with that longer side."""

    def __init__(self, network: nn.Module, longer: int = LONGER):
        super().__init__()
        self.network, self.longer = network, longer

    def forward(self, image: Tensor) -> Tensor:
        size = fit_size(*size_of(image), longer=self.longer)
        return self.network(image if size == size_of(image) else resize(image, size))


def depth_encoder(
    function: Callable[[Tensor], Tensor] | None = None,
    *,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
) -> DepthEncoder:
    """The encoder whose layer "depth" is what `function` says of pictures (B, 3, H, W) in [0, 1]: (B, 1, h, w).

    Without a function: the small network of this package (standardised log depth, see `recipes/depth.py`), or one with
    the `weights` of a file. A function that is a module is frozen and set to evaluate, in place. Raises EncoderError
    for a weights file that does not fit.
    """
    if function is not None and weights is not None:
        raise ValueError("function, weights: a function has no file of weights; give one of the two")
    if function is not None:
        name = getattr(function, "__name__", type(function).__name__)
        return DepthEncoder(name, function).to(pick_device(device))
    path = Path(weights) if weights else WEIGHTS / "depth.safetensors"
    network, state = DepthNetwork(), read_weights(path)
    try:
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    except (RuntimeError, AttributeError) as error:
        raise EncoderError(f"depth: {path} does not hold the depth network ({error})") from None
    return DepthEncoder("depth", AtOneSize(network)).to(pick_device(device))


def hub_depth(model: str = "MiDaS_small", *, device: str | torch.device | None = None) -> DepthEncoder:
    """A large public depth network from torch.hub (intel-isl/MiDaS), looked through in the same way.

    It gives *inverse* depth, at 256 pixels. torch.hub downloads and runs that repository's code, which needs a
    connection and the packages it imports (timm). Raises EncoderError where it cannot be had. Source: Ranftl et al.
    2022.
    """
    try:
        network = torch.hub.load("intel-isl/MiDaS", model, trust_repo=True)
    except (OSError, ImportError, RuntimeError, KeyError, ValueError) as error:
        raise EncoderError(
            f'depth: "{model}" could not be had from torch.hub ({error}); depth_encoder() needs no connection'
        ) from None
    chosen = pick_device(device)
    network = network.to(chosen)

    def inverse_depth(image: Tensor) -> Tensor:
        height, width = (max(32, round(side / 32) * 32) for side in fit_size(*size_of(image), longer=256))
        return network(encoder.prepare(resize(image, (height, width))))[:, None]

    encoder = DepthEncoder(model, inverse_depth)
    encoder.prepare = Affine((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    encoder.network = network.requires_grad_(False).eval()
    return encoder.to(chosen)
