"""A Laplacian pyramid with an encoder's face."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..images import Size, size_of
from .network import Encoder, EncoderError


class Laplacian(Encoder):
    """A Laplacian pyramid as an encoder without weights: band1 (finest) … band5 and lowpass, three channels each.

    band_k = g_k − expand(g_{k+1}), with g the 5-tap binomial Gaussian pyramid (Burt & Adelson 1983); the bands
    expanded and added give the picture back.
    """

    LEVELS = 5
    kernel: Tensor

    def __init__(self) -> None:
        super().__init__("laplacian", {}, nn.Identity(), pooling="none")
        taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
        self.register_buffer("kernel", torch.outer(taps, taps).expand(3, 1, 5, 5).clone())

    @property
    def layers(self) -> list[str]:
        return ["input", *(f"band{level}" for level in range(1, self.LEVELS + 1)), "lowpass"]

    def forward(self, image: Tensor, layers: str | Iterable[str], switches: bool = False) -> dict[str, Tensor]:
        wanted = self.check_layers(layers)
        deepest = max(wanted, key=self.layers.index)
        self.check_size(image, deepest)
        features = {"input": image}
        current = image
        for level in range(1, self.LEVELS + 1):
            if f"band{level - 1}" == deepest or deepest == "input":
                break
            padded = F.pad(current, (2, 2, 2, 2), mode="reflect")
            coarse = F.conv2d(padded, self.kernel, stride=2, groups=3)
            features[f"band{level}"] = current - self.expand(coarse, size_of(current))
            current = coarse
        features["lowpass"] = current
        return {name: features[name] for name in wanted}

    @staticmethod
    def expand(coarse: Tensor, size: Size) -> Tensor:
        """A level of the Gaussian pyramid at the size of the next finer one."""
        return F.interpolate(coarse, size=tuple(size), mode="bilinear", align_corners=False)

    def channels(self, layer: str) -> int:
        self.check_layers(layer)
        return 3

    def receptive_field(self, layer: str) -> tuple[int, int]:
        raise EncoderError("receptive_field: a pyramid's bands are differences of sizes, not a chain of filters")

    def smallest(self, layer: str, positions: int = 1) -> int:
        if layer == "lowpass":  # one halving below the last band
            return max(3, 2 * positions - 1) * 2 ** (self.LEVELS - 1)
        level = self.layers.index(layer)
        return max(3, positions) * 2 ** max(level - 1, 0)  # a mirrored border of two needs three pixels

    def extra_repr(self) -> str:
        return "laplacian, band1 … lowpass"
