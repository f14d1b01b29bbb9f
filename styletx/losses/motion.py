"""Losses between pictures that show one thing twice: the frames of a film, the two views of a stereo pair (lecture 05).

A flow (1, 2, H, W) says, in pixels of a picture of that size, how far to the right and down the same thing lies in the
other picture. A mask (1, 1, H, W) is 1 where the flow can be trusted.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import Size, resize_mask, size_of
from ..statistics import identity
from .base import Loss, mean_squared


def warp(image: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """(what `image` shows at p + flow(p), where that lies inside): (B, C, H, W) and a mask (B, 1, H, W).

    Bilinear; outside the border's pixels are repeated, and the mask is 0. Raises ValueError where the sizes differ.
    """
    if flow.shape[-2:] != image.shape[-2:] or flow.shape[1] != 2:
        raise ValueError(f"flow: {tuple(flow.shape)} for a picture of {tuple(image.shape)}; it is (B, 2, H, W)")
    height, width = image.shape[-2:]
    rows = torch.arange(height, device=image.device, dtype=image.dtype).view(1, -1, 1)
    columns = torch.arange(width, device=image.device, dtype=image.dtype).view(1, 1, -1)
    x, y = columns + flow[:, 0], rows + flow[:, 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], -1)
    grid = grid.expand(image.shape[0], -1, -1, -1)
    warped = F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return warped, inside[:, None].to(image.dtype).expand(image.shape[0], -1, -1, -1)


def resize_flow(flow: Tensor, size: Size) -> Tensor:
    """A flow for pictures of another size: its arrows grow as the picture does."""
    height, width = flow.shape[-2:]
    resized = F.interpolate(flow, size=size, mode="bilinear", align_corners=False)
    return resized * flow.new_tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1)


def consistency_mask(flow: Tensor, back: Tensor) -> Tensor:
    """1 where there and back leads to where one was, 0 where something is hidden in the other picture.

    Hidden: ‖w̃ + ŵ‖² > 0.01 (‖w̃‖² + ‖ŵ‖²) + 0.5, w̃ the other flow where this one leads. Source: Sundaram et al. 2010;
    Ruder et al. 2016, Eq. 5.
    """
    there, inside = warp(back, flow)
    gap = (flow + there).square().sum(1, keepdim=True)
    size = flow.square().sum(1, keepdim=True) + there.square().sum(1, keepdim=True)
    return (gap <= 0.01 * size + 0.5).to(flow.dtype) * inside


@dataclass(frozen=True)
class Warped:
    """A view of the other picture: warped by a flow into this one's place, at any size."""

    flow: Tensor

    def __call__(self, image: Tensor) -> Tensor:
        flow = resize_flow(self.flow.to(image), size_of(image))
        return warp(image, flow)[0]


# (1/D) Σ c_k (x_k − ω_k)²: this frame is the last one, moved, wherever the flow is known. On layer "input", the last
# frame's result seen through `Warped(flow)`, masks c on both sides. Source: Ruder et al. 2016, Eq. 6.
# The disparity loss is the same between two views, from the left and from the right. Source: Chen et al. 2018, Eq. 4.
temporal_loss = Loss(identity, mean_squared, name="temporal", aligned=True)
disparity_loss = Loss(identity, mean_squared, name="disparity", aligned=True)


def stereo_disparity(left: Tensor, right: Tensor, flows: tuple[Tensor, Tensor], masks: tuple[Tensor, Tensor]) -> Tensor:
    """Both directions of the disparity loss between two results: how badly each view follows from the other.

    flows, masks: of the left picture (where its things lie in the right one), and of the right picture. Source: Chen et
    al. 2018, Eq. 4.
    """
    total = left.new_zeros(())
    for mine, other, flow, mask in ((left, right, flows[0], masks[0]), (right, left, flows[1], masks[1])):
        seen = Warped(flow)(other)
        weight = resize_mask(mask.to(mine), size_of(mine))
        total = total + disparity_loss(mine, seen, weight, weight)
    return total
