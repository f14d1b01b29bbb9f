"""Whitening and colouring: decompositions beside singular value decompositions, one transform, a whole picture."""

import torch
from torch import Tensor

from styletx import load
from styletx.methods.wct import wct
from styletx.whitening import gaussian, transfer

from .measure import interleave, ratio, summary

CHANNELS, SIDE, SIZE = 512, 64, 512  # relu4_1 and relu5_1 of VGG-19; 64×64 positions; pixels


def run(device: torch.device, quick: bool = False) -> dict:
    """Seconds of both, interleaved, and of five levels of `mini`."""
    channels, side, size, rounds = (16, 8, 64, 2) if quick else (CHANNELS, SIDE, SIZE, 9)
    content, style = clouds(channels, side, device)
    matrices = [gaussian(one).power(1.0) for one in (content, style)]
    decompositions = {
        "styletx": lambda: [torch.linalg.eigh(matrix) for matrix in matrices],
        "SVD": lambda: [torch.linalg.svd(matrix) for matrix in matrices],
    }
    transforms = {
        "styletx": lambda: transfer(content, gaussian(style)),
        "SVD": lambda: by_svd(content, style),
    }
    found = {}
    for name, cases in (("decompositions", decompositions), ("transform", transforms)):
        seconds = interleave(cases, rounds, 2, device)
        found[name] = {
            "seconds": {which: summary(values) for which, values in seconds.items()},
            "ratio": ratio(seconds["styletx"], seconds["SVD"]),
        }
    photo, painting = load("china"), load("stained-glass", size=512)
    photo = photo[..., : min(photo.shape[-2:]), : min(photo.shape[-2:])]
    options = dict(size=size, deepest="relu5_1", device=device)
    whole = interleave({"wct": lambda: wct(photo, painting, **options)}, 2 if quick else 5, 1, device)
    return {"channels": channels, "positions": side * side, "size": size, **found, "whole": summary(whole["wct"])}


def clouds(channels: int, side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Two clouds (1, C, side, side) of correlated, non-negative features, seeded."""
    draw = torch.Generator().manual_seed(0)
    found = []
    for _ in range(2):
        mixing = torch.randn(channels, channels, generator=draw) / channels**0.5
        points = torch.einsum("ij,jhw->ihw", mixing, torch.randn(channels, side, side, generator=draw))
        found.append(points.relu()[None].to(device))
    return found[0], found[1]


def by_svd(content: Tensor, style: Tensor) -> Tensor:
    """The same transform as most code has it: SVD of both covariances, features whitened, then coloured."""
    (mine, mean), (theirs, centre) = (moments(one) for one in (content, style))
    left, values, _ = torch.linalg.svd(mine)
    white = left @ torch.diag(values.clamp(min=1e-5 * float(values[0])).rsqrt()) @ left.T
    right, values, _ = torch.linalg.svd(theirs)
    colour = right @ torch.diag(values.sqrt()) @ right.T
    moved = colour @ (white @ (content[0].flatten(1).double() - mean)) + centre
    return moved.view_as(content).to(content.dtype)


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """(covariance, mean) of features, in float64."""
    cloud = features[0].flatten(1).double()
    mean = cloud.mean(1, keepdim=True)
    return (cloud - mean) @ (cloud - mean).T / cloud.shape[1], mean
