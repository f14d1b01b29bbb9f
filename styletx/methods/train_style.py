"""A network that learns a style while one watches (lecture 08)."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from .. import samples
from ..encoders import load_encoder
from ..images import fit_size, resize, size_of
from ..networks.transform_net import NORMS, UPSAMPLING, TransformNet
from ..run import Run
from ..samples import Source, picture
from ..training.fit import fit
from ..training.photos import Photos
from .arguments import ContentWeight, Photo
from .gatys import gatys_objective
from .options import Choice, Number, Picture, checked
from .watched import Watched, network_place


@checked
def train_style(
    content: Photo,
    style: Annotated[Source, Picture("the picture whose style is learnt")],
    *,
    steps: Annotated[int, Number(1, 100_000, step=50, help="steps of the training")] = 600,
    style_weight: Annotated[float, Number(0, 1e6, log=True, help="β, the weight of the style (relative)")] = 8.0,
    size: Annotated[int, Number(32, 1024, step=32, help="longer side of the photo that is shown")] = 256,
    width: Annotated[int, Number(1, 64, help="channels of the network's first layer (the paper's: 32)")] = 8,
    content_weight: ContentWeight = 1.0,
    rate: Annotated[float, Number(1e-5, 0.1, log=True, help="learning rate")] = 4e-3,
    batch: Annotated[int, Number(1, 64, help="crops of photos in a step")] = 1,
    side: Annotated[int, Number(64, 512, step=16, help="of a crop, in pixels")] = 128,
    norm: Annotated[str, Choice(NORMS, help="what is normalised")] = "instance",
    upsampling: Annotated[str, Choice(UPSAMPLING, help="the way up")] = "nearest",
    seed: Annotated[int, Number(0, 2**31 - 1, help="seed of the first weights and of the crops")] = 0,
    photos: str | Path | Sequence[str | Path] | None = None,
    out: str | Path | None = None,
    device: str | torch.device | None = None,
) -> Run[Tensor]:
    """Teach a network a style, and show what it makes of `content`; a Run whose `best` is that picture (1, 3, H, W).

    It learns from `photos`: a folder, or names; by default the photographs that are here, with which it will know a
    style after minutes, but not every photo. `styletx train` is the whole thing, with checkpoints. `out`: a
    .safetensors file for the network, written whenever it is shown. Strokes have the size that `gatys` gives them at
    `size`. Raises ValueError (or a subclass) for a bad argument, at once. Source: Johnson, Alahi & Fei-Fei 2016.
    """
    photo = picture(content, argument="content")
    photo = resize(photo, fit_size(*size_of(photo), longer=size))
    out = network_place(out)
    with torch.random.fork_rng(devices=[]):  # a network's first weights come from the CPU's global generator
        torch.default_generator.manual_seed(seed)
        network = TransformNet(width, norm, upsampling)
    objective = gatys_objective(
        "content", picture(style, argument="style"), content_weight=content_weight, style_weight=style_weight,
        style_scale=math.sqrt(photo.shape[-2] * photo.shape[-1]) / side,
    )  # fmt: skip
    known = photos if photos is not None else samples.names("photo", available=True, showable=True)
    crops = Photos(known, side, seed)
    run = fit(
        network, objective, crops, steps=steps, batch=batch, rate=rate, preview=photo,
        preview_every=max(1, min(20, steps // 20)), encoder=load_encoder("mini", device=device), seed=seed,
    )  # fmt: skip
    named = str(style) if isinstance(style, str | Path) else "a picture"
    about: dict[str, object] = {"style": named, "steps": steps, "photos": len(crops.paths)}
    return Run(Watched(run, network, lambda: network(photo.to(run.device)), out, about))
