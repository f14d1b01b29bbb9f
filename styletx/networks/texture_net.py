"""Texture networks: noise at several scales, or a photo and noise, to a picture.

    network = TextureNet()
    network(network.noise(1, (256, 384), generator))

Source: Ulyanov, Lebedev, Vedaldi & Lempitsky, Texture Networks: Feed-forward Synthesis of Textures and Stylized Images,
ICML 2016, section 4 and figure 2.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_choice, check_whole
from ..images import Size, size_of
from .transform_net import NORMS

NOISE = 3  # channels of each noise tensor
PADDINGS = ("circular", "reflect", "zeros")
Padding = Literal["circular", "reflect", "zeros"]


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.Identity()


class Block(nn.Sequential):
    """3×3, 3×3 and 1×1 convolutions, each with its normalisation and a leaky ReLU behind it."""

    def __init__(self, in_channels: int, channels: int, norm: str, padding: Padding):
        steps: list[nn.Module] = []
        for into, kernel in ((in_channels, 3), (channels, 3), (channels, 1)):
            filters = nn.Conv2d(into, channels, kernel, padding=kernel // 2, padding_mode=padding, bias=norm == "none")
            nn.init.xavier_uniform_(filters.weight)
            steps += [filters, _norm(norm, channels), nn.LeakyReLU(0.01)]
        super().__init__(*steps)


class Join(nn.Module):
    """What comes from below, enlarged twice, beside what comes in at this scale; each normalised before."""

    def __init__(self, below: int, beside: int, norm: str):
        super().__init__()
        self.below, self.beside = _norm(norm, below), _norm(norm, beside)

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        return torch.cat([self.below(F.interpolate(below, scale_factor=2.0)), self.beside(beside)], 1)


class TextureNet(nn.Module):
    """The generator: from the coarsest scale up, a block for each noise tensor, joined to what came from below.

    `forward(noise)` makes a picture (B, 3, H, W) of noise tensors (B, 3, H/2ⁱ, W/2ⁱ), i = 0 … scales − 1, the finest
    first; `noise` rounds sides that are no multiples of 2^(scales − 1) up to the next. With `content`, a photo
    (B, 3, H, W) in [0, 1] goes in beside the noise at every scale, `forward(noise, photo)`, and decides the size. Fully
    convolutional, so that any size comes out of one network; with circular padding, opposite edges of a texture fit.
    `width`: channels of each scale's block, 8 in the paper; they add up on the way. Paper: 5 scales, 6 with content;
    batch normalisation. Departs from it in a sigmoid behind the last convolution. Weights of the blocks: Xavier's, from
    PyTorch's global generator. Raises ValueError for fewer than 1 scale or channel, an unknown norm or padding, and
    (when called) for noise of other sizes, and for a photo that is missing, or not wanted.
    """

    def __init__(
        self, scales: int = 5, width: int = 8, *, content: bool = False, norm: str = "batch",
        padding: Padding = "circular",
    ):  # fmt: skip
        super().__init__()
        check_whole("scales", scales, 1)
        check_whole("width", width, 1)
        check_choice("norm", norm, NORMS)
        check_choice("padding", padding, PADDINGS)
        self.settings = dict(scales=scales, width=width, content=content, norm=norm, padding=padding)
        self.scales, self.content = scales, content
        incoming = NOISE + 3 * content
        self.inputs = nn.ModuleList(Block(incoming, width, norm, padding) for _ in range(scales))
        self.joins = nn.ModuleList(Join((k + 1) * width, width, norm) for k in range(scales - 1))
        self.blocks = nn.ModuleList(Block(k * width, k * width, norm, padding) for k in range(2, scales + 1))
        self.last = nn.Conv2d(scales * width, 3, 1)

    def noise(self, count: int, size: Size, generator: torch.Generator | None = None) -> list[Tensor]:
        """Noise for `count` pictures of that size (height, width), uniform in [0, 1], the finest scale first."""
        return [
            torch.rand(count, NOISE, *scale, generator=generator).to(self.last.weight.device)
            for scale in self.sizes(size)
        ]

    def sizes(self, size: Size) -> list[Size]:
        """Of the noise tensors for a picture of that size (height, width), the finest first."""
        step = 2 ** (self.scales - 1)
        height, width = (-(-side // step) * step for side in size)
        return [(height >> k, width >> k) for k in range(self.scales)]

    def forward(self, noise: Sequence[Tensor], photo: Tensor | None = None) -> Tensor:
        if (photo is None) == self.content:
            raise ValueError(f"photo: this network takes {'a' if self.content else 'no'} photo beside the noise")
        size = size_of(noise[0] if photo is None else photo) if noise else (0, 0)
        sizes = self.sizes(size)
        height, width = sizes[0]
        if [size_of(z) for z in noise] != sizes:
            raise ValueError(f"noise: {[tuple(z.shape) for z in noise]}; right would be sizes {sizes}")
        if photo is not None:
            more = (0, width - size[1], 0, height - size[0])
            photo = F.pad(photo, more, mode="replicate") if any(more) else photo
            noise = [torch.cat([z, F.adaptive_avg_pool2d(photo, s)], 1) for z, s in zip(noise, sizes, strict=True)]
        x = self.inputs[-1](noise[-1])
        for k, (join, block) in enumerate(zip(self.joins, self.blocks, strict=True)):
            scale = self.scales - 2 - k
            x = block(join(x, self.inputs[scale](noise[scale])))
        return torch.sigmoid(self.last(x))[..., : size[0], : size[1]]


def closeness(images: Tensor) -> Tensor:
    """How alike the pictures of a batch (B, 3, H, W) are: −1/B Σᵢ ln min_{j≠i} ‖xᵢ − xⱼ‖ / √(3HW); 0 for one alone.

    Least where each is far from its nearest: an estimate of minus the entropy of what a generator makes, up to a
    factor and a constant. Source: Ulyanov, Vedaldi & Lempitsky, Improved Texture Networks, CVPR 2017, eq. 7 (from
    Kozachenko & Leonenko 1987).
    """
    count = len(images)
    if count == 1:
        return images.sum() * 0
    flat = images.flatten(1)
    with torch.no_grad():
        apart = torch.cdist(flat, flat).fill_diagonal_(torch.inf)
    # Not the root of cdist, whose gradient at 0 is not finite.
    return -0.5 * ((flat - flat[apart.argmin(1)]).square().mean(1) + 1e-8).log().mean()
