"""Feed-forward networks for perceptual losses: one that paints, one that enlarges .

Both are convolutions, residual blocks at a low resolution, and a way up. Source: Johnson, Alahi & Fei-Fei, Perceptual
Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016, and its supplement (tables 1 and 2).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_choice, check_whole
from ..images import interpolate

NORMS = ("instance", "batch", "none")
UPSAMPLING = ("nearest", "transposed")
DOWN = 4  # the style network's residual blocks see a quarter of the picture's sides


class Convolution(nn.Module):
    """Reflect padding, convolution, normalisation and ReLU; with stride 2 down, or up by two with `upsampling`.

    "nearest" repeats pixels and then convolves, "transposed" is the paper's convolution with stride ½, whose overlaps
    leave a checkerboard (Odena et al. 2016).
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, upsampling: str = "",
        norm: str = "instance", relu: bool = True, bias: bool = True,
    ):  # fmt: skip
        super().__init__()
        check_choice("norm", norm, NORMS)
        check_choice("upsampling", upsampling, ("", *UPSAMPLING))
        self.pad, self.up, self.relu = kernel // 2, upsampling == "nearest", relu
        self.filters: nn.Conv2d | nn.ConvTranspose2d
        if upsampling == "transposed":
            self.pad = 0
            self.filters = nn.ConvTranspose2d(
                in_channels, out_channels, kernel, 2, padding=kernel // 2, output_padding=1, bias=bias
            )
        else:
            self.filters = nn.Conv2d(in_channels, out_channels, kernel, stride, bias=bias)
        if norm == "instance":
            self.norm: nn.Module = nn.InstanceNorm2d(out_channels, affine=True)
        else:
            self.norm = nn.BatchNorm2d(out_channels) if norm == "batch" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0) if self.up else x
        x = F.pad(x, [self.pad] * 4, mode="reflect") if self.pad else x
        x = self.norm(self.filters(x))
        return F.relu(x) if self.relu else x


class Residual(nn.Module):
    """x + g(x), g two 3×3 convolutions with a ReLU between them and none behind. Source: Gross & Wilber 2016."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        self.first = Convolution(channels, channels, 3, norm=norm)
        self.second = Convolution(channels, channels, 3, norm=norm, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


class TransformNet(nn.Module):
    """The style network: 9×9, two halvings, five residual blocks, two doublings, 9×9, scaled tanh.

    A picture (B, 3, H, W) in [0, 1] to one of the same size in [0, 1]; sides that are no multiple of 4 repeat their
    border up to the next and are cropped again; each needs at least 8 pixels. `width`: channels of the first layer, 32
    in the paper; the residual blocks have four times as many. Departs from the paper in its padding (each convolution
    mirrors its own border; there 40 pixels are mirrored once) and by default in its norm and its way up (there batch
    normalisation and transposed convolution).
    Its first weights are PyTorch's own, from its global generator. Raises ValueError for an unknown norm or upsampling,
    for a width below 1 and fewer than 0 blocks, and (when called) for a picture that is too small. Source: Johnson et
    al. 2016, table 1.
    """

    def __init__(self, width: int = 32, norm: str = "instance", upsampling: str = "nearest", blocks: int = 5):
        super().__init__()
        check_whole("width", width, 1)
        check_whole("blocks", blocks, 0)
        check_choice("norm", norm, NORMS)
        check_choice("upsampling", upsampling, UPSAMPLING)
        self.settings = dict(width=width, norm=norm, upsampling=upsampling, blocks=blocks)
        self.steps = nn.Sequential(
            Convolution(3, width, 9, norm=norm),
            Convolution(width, 2 * width, 3, stride=2, norm=norm),
            Convolution(2 * width, 4 * width, 3, stride=2, norm=norm),
            *(Residual(4 * width, norm) for _ in range(blocks)),
            Convolution(4 * width, 2 * width, 3, upsampling=upsampling, norm=norm),
            Convolution(2 * width, width, 3, upsampling=upsampling, norm=norm),
            Convolution(width, 3, 9, norm="none", relu=False),
        )

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        made = 0.5 + 0.5 * torch.tanh(self.steps(divisible(image)))
        return made[..., :height, :width]


def divisible(image: Tensor) -> Tensor:
    """The picture, its border repeated until both sides are multiples of 4; ValueError for one that is too small."""
    check_side("image", image)
    height, width = image.shape[-2:]
    more = (-width % DOWN, -height % DOWN)
    return F.pad(image, (0, more[0], 0, more[1]), mode="replicate") if any(more) else image


def check_side(name: str, image: Tensor, least: int = 2 * DOWN) -> None:
    """ValueError for a picture that is too small for a network (a `TransformNet`) whose layers mirror their borders."""
    height, width = image.shape[-2:]
    if min(height, width) < least:
        raise ValueError(f"{name}: {width}×{height} pixels are too few; each side needs at least {least}")


class SuperResolution(nn.Module):
    """The enlarging network: 9×9, four residual blocks, a doubling for each factor of two, 9×9, scaled tanh.

    A picture (B, 3, h, w) in [0, 1] to one of (B, 3, f·h, f·w) in [0, 1]. `skip` adds what it makes to the bicubic
    enlargement instead of making all of it, a departure from the paper: it then begins as bicubic. `width`: 64 in the
    paper. Raises ValueError for a factor that is no power of two from 2 on, an unknown norm or upsampling, and a width
    below 1. Source: Johnson et al. 2016, table 2.
    """

    def __init__(
        self, factor: int = 4, width: int = 64, norm: str = "batch", upsampling: str = "nearest", skip: bool = False
    ):
        super().__init__()
        check_whole("factor", factor, 2)
        check_whole("width", width, 1)
        if factor & (factor - 1):
            raise ValueError(f"factor: {factor}; it must be a power of two: 2, 4, 8")
        check_choice("norm", norm, NORMS)
        check_choice("upsampling", upsampling, UPSAMPLING)
        self.settings = dict(factor=factor, width=width, norm=norm, upsampling=upsampling, skip=skip)
        self.factor, self.skip = factor, skip
        doublings = int(math.log2(factor))
        last = Convolution(width, 3, 9, norm="none", relu=False)
        self.steps = nn.Sequential(
            Convolution(3, width, 9, norm=norm),
            *(Residual(width, norm) for _ in range(4)),
            *(Convolution(width, width, 3, upsampling=upsampling, norm=norm) for _ in range(doublings)),
            last,
        )
        if skip:
            nn.init.zeros_(last.filters.weight)
            if last.filters.bias is not None:
                nn.init.zeros_(last.filters.bias)

    def forward(self, image: Tensor) -> Tensor:
        check_side("image", image, 5)
        made = self.steps(image)
        if self.skip:
            return (interpolate(image, (made.shape[-2], made.shape[-1]), mode="bicubic") + made).clamp(0, 1)
        return 0.5 + 0.5 * torch.tanh(made)
