"""The strips of lecture 04: one photo and one painting under several kernels, and what an estimate costs."""

import time
from statistics import median

import torch

from ...images import resize
from ...losses import (
    bn_loss,
    content_loss,
    gaussian_kernel,
    gram_loss,
    linear_kernel,
    mmd_linear_time,
    mmd_squared,
    polynomial_kernel,
    total_variation,
    value_range,
)
from ...losses.kernels import Kernel
from ...methods.gatys import CONTENT_LAYERS, RANGE_WEIGHT, STYLE_LAYERS, STYLE_WEIGHT, TV_WEIGHT, gatys
from ...objective import Energy, Match, Objective
from ...samples import load
from ...synthesis import synthesize
from . import PAINTING, PHOTO, SIZE, TITLES, Strip, detail

KERNELS = {
    "mmd-linear": "linear",
    "gram": "second order: Gram",
    "mmd-polynomial": "(xᵀy + 1)²",
    "mmd-gaussian": "Gaussian",
}


def kernels() -> Strip:
    """The same content, style and weights under four kernels."""
    pictures, titles, seconds = [load(PHOTO), load(PAINTING)], [TITLES[PHOTO], TITLES[PAINTING]], {}
    for name, caption in KERNELS.items():
        start = time.monotonic()
        made = gatys(PHOTO, PAINTING, size=SIZE, loss=name).finish(progress=False)
        seconds[caption] = time.monotonic() - start
        pictures += [made, detail(made)]
        titles += [caption, "a part of it"]
    return pictures, titles, {"seconds": seconds}


def kernel_mixture() -> Strip:
    """BN statistics alone, Gram alone, and both in one objective."""
    content, style = resize(load(PHOTO), SIZE), load(PAINTING)
    shares, pictures = ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0)), []
    for bn, gram in shares:
        objective = Objective(
            Match(content_loss, content, CONTENT_LAYERS),
            Match(bn_loss, style, STYLE_LAYERS, weight=STYLE_WEIGHT * bn),
            Match(gram_loss, style, STYLE_LAYERS, weight=STYLE_WEIGHT * gram),
            Energy(total_variation, TV_WEIGHT),
            Energy(value_range, RANGE_WEIGHT),
        )
        pictures.append(synthesize(objective, start=content, steps=200).finish(progress=False))
    return pictures, ["BN", "half and half", "Gram"], {}


def mmd_cost() -> Strip:
    """Numbers only: seconds of an estimate with its gradient against the number of positions, 96 channels."""
    cases: dict[str, tuple[Kernel, bool]] = {
        "linear kernel, from the means": (linear_kernel(), False),
        "second order, from Gram matrices": (polynomial_kernel(2), False),
        "Gaussian, all pairs": (gaussian_kernel(10.0), False),
        "Gaussian, linear time": (gaussian_kernel(10.0), True),
    }
    found: dict[str, dict[int, float]] = {name: {} for name in cases}
    for count in (256, 1024, 4096, 16384):
        generator = torch.Generator().manual_seed(0)
        x, y = (torch.rand(96, count, generator=generator) for _ in range(2))
        x.requires_grad_(True)
        weights = torch.full((count,), 1 / count)
        for name, (kernel, fast) in cases.items():
            times = []
            for _ in range(4 if count < 10_000 else 2):
                start = time.perf_counter()
                value = mmd_linear_time(kernel, x, y) if fast else mmd_squared(kernel, (x, weights), (y, weights))
                torch.autograd.grad(value, x)
                times.append(time.perf_counter() - start)
            found[name][count] = median(times[1:])
    return [], [], {"seconds": found}


FIGURES = {kernels: 2, kernel_mixture: 3, mmd_cost: 1}
