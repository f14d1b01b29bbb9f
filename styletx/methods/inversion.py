"""Layer inversion: what does a layer remember of a picture? (lecture 02)

From noise, a picture is sought that has the same features at one layer: x minimises ‖Φ(x) − Φ₀‖² / ‖Φ₀‖² + λ_α R_α(x)
+ λ_β R_β(x). Source: Mahendran & Vedaldi, Understanding Deep Image Representations by Inverting Them, CVPR 2015.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from ..encoders import DEEP, ENCODERS, Encoder, load_encoder
from ..images import fit_size, resize, size_of
from ..losses import Loss, alpha_norm, beta_variation
from ..objective import Energy, Match, Objective
from ..run import Run
from ..samples import Source, picture
from ..statistics import identity, mean
from ..synthesis import synthesize
from .arguments import Steps
from .options import Choice, Number, Picture, checked

LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_4", "relu4_1", "relu4_4", "relu5_1")
ALPHA_WEIGHT = 1e-3
BETA_WEIGHT = 5.0
PATCH = 5  # positions a side of the central patch


def reconstruction_error(features: Tensor, code: Tensor) -> Tensor:
    """‖Φ − Φ₀‖² / ‖Φ₀‖²: 0 for the same features, 1 for none at all. Source: Mahendran & Vedaldi 2015, section 2."""
    return (features - code).square().sum() / code.square().sum().clamp(min=1e-12)


def central_patch(features: Tensor, weights: Tensor | None = None, side: int = PATCH) -> Tensor:
    """The side×side positions in the middle, all of them where there are fewer: (B, C, H, W) → (B, C, ≤ s, ≤ s)."""
    top, left = (max(0, (length - side) // 2) for length in features.shape[-2:])
    return features[..., top : top + side, left : left + side]


CODES = {
    "all": Loss(identity, reconstruction_error, name="code", aligned=True),
    "patch": Loss(central_patch, reconstruction_error, name="central patch", aligned=True),
    "pooled": Loss(mean, reconstruction_error, name="pooled code", aligned=True),
}


@dataclass(frozen=True)
class Jitter:
    """A view: the picture moved by up to `reach` pixels, its border repeated; another way at each `update`."""

    reach: int
    update_every: int = 5
    draw: int = 0

    def __call__(self, image: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(self.draw)
        down, across = torch.randint(0, 2 * self.reach + 1, (2,), generator=generator).tolist()
        height, width = image.shape[-2:]
        padded = F.pad(image, (self.reach,) * 4, mode="replicate")
        return padded[..., down : down + height, across : across + width]

    def update(self) -> "Jitter":
        """The next move."""
        return replace(self, draw=self.draw + 1)


@checked
def invert(
    image: Annotated[Source, Picture("the photograph to be remembered")],
    *,
    layer: Annotated[str, Choice(LAYERS, help="the layer to invert", open=True)] = "relu3_1",
    size: Annotated[int, Number(32, 2048, step=32, help="longer side of the result in pixels")] = 224,
    steps: Steps = 300,
    code: Annotated[str, Choice(tuple(CODES), help="which part of the code is kept")] = "all",
    alpha_weight: Annotated[float, Number(0, 1e3, log=True, help="λ_α, against values that run away")] = ALPHA_WEIGHT,
    beta_weight: Annotated[float, Number(0, 1e4, log=True, help="λ_β, against noise")] = BETA_WEIGHT,
    beta: Annotated[float, Number(0.5, 4, step=0.5, help="β, the exponent of total variation")] = 2.0,
    jitter: Annotated[int, Number(0, 32, help="pixels that the picture may be moved by while it is sought")] = 0,
    encoder: Annotated[
        str | Encoder, Choice((*DEEP, "alexnet"), help="the network to invert", also=tuple(ENCODERS))
    ] = "mini",
    seed: Annotated[int, Number(0, 2**31 - 1, help="seed of the noise it starts from")] = 0,
    levels: int | None = None,
    device: str | torch.device | None = None,
) -> Run[Tensor]:
    """Seek, from noise, a picture that one layer of a network cannot tell from `image`; gives a Run.

    Minimises ‖Φ(x) − Φ₀‖²/‖Φ₀‖² + λ_α R_α(x) + λ_β R_β(x), with R_α the 6-norm and R_β total variation, both per
    pixel. `code="patch"` keeps only the central 5×5 positions of the code, `code="pooled"` only each channel's mean.
    Raises ValueError (or a subclass) for a bad argument, at once. Source: Mahendran & Vedaldi 2015, section 2;
    the jitter: Mahendran & Vedaldi 2016, section 4.
    """
    photo = picture(image, argument="image")
    network = load_encoder(encoder, device=device)
    final = fit_size(*size_of(photo), longer=size)
    photo = resize(photo, final)
    view = (Jitter(jitter), None) if jitter else None
    objective = Objective(
        Match(CODES[code], photo, layer, view=view, name="code"),
        Energy(alpha_norm, alpha_weight),
        Energy(partial(beta_variation, beta=beta), beta_weight, name="beta_variation"),
        relative=False,
    )
    return synthesize(objective, network, start=_grey_noise(photo, seed), steps=steps, levels=levels, device=device)


def _grey_noise(photo: Tensor, seed: int) -> Tensor:
    """Seeded noise around mid-grey: the start must know nothing of the photo, not even its colours."""
    generator = torch.Generator().manual_seed(seed)
    return (0.5 + 0.1 * torch.randn(photo.shape, generator=generator)).clamp(0, 1)
