"""Texture networks: a texture of any size out of noise, in one pass (lecture 07).

Source: Ulyanov, Lebedev, Vedaldi & Lempitsky, Texture Networks: Feed-forward Synthesis of Textures and Stylized Images,
ICML 2016.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from ..checks import check_choice
from ..encoders import WEIGHTS, EncoderError, load_encoder
from ..losses import STYLE_LOSSES
from ..networks.files import load_network
from ..networks.texture_net import TextureNet, closeness
from ..networks.transform_net import NORMS
from ..objective import Energy, Match, Objective
from ..run import Run
from ..samples import Source, picture
from ..training.fit import falling, one_cycle, train
from .arguments import LongerSide
from .gatys import style_parts
from .options import Choice, Number, Picture, checked
from .watched import Watched, network_place

TEXTURES = ("starry-night", "composition-vii", "gravel")
SCHEDULES = {"falling": falling, "one-cycle": one_cycle}


@checked
@torch.no_grad()
def texture(
    *,
    texture: Annotated[
        str | Path, Choice(TEXTURES, open=True, help="what was learnt: a network that ships, or a network's file")
    ] = TEXTURES[0],
    size: LongerSide = 512,
    ratio: Annotated[float, Number(0.125, 8, step=0.125, help="width divided by height")] = 1.0,
    seed: Annotated[int, Number(0, 2**31 - 1, help="seed of the noise: another one, another sample")] = 0,
    device: str | torch.device | None = None,
) -> Tensor:
    """Make a texture out of noise, in one pass; a picture (1, 3, H, W) in [0, 1], of any size.

    With sides that are multiples of 16 (for the networks that ship) its opposite edges fit, so that it can be tiled. No
    side is shorter than 16 pixels. Raises EncoderError for a file
    that is missing or damaged or holds no texture network.
    """
    network = texture_network(texture, device)
    height, width = (size, size * ratio) if ratio <= 1 else (size / ratio, size)
    sides = max(16, round(height)), max(16, round(width))
    return sample(network, sides, seed)


def texture_network(name: str | Path, device: str | torch.device | None = None) -> TextureNet:
    """The network of one of `TEXTURES`, or of a file; EncoderError where there is none that makes textures."""
    network = load_network(texture_file(name), device)
    if not isinstance(network, TextureNet) or network.content:
        raise EncoderError(f"{name}: not a network that makes textures")
    return network


def texture_file(name: str | Path) -> Path:
    """Where a network of textures lies: one that ships, by its name, or the file of that path; else EncoderError."""
    if name in TEXTURES:
        return WEIGHTS / f"texture-{name}.safetensors"
    path = Path(name).expanduser()
    if path.suffix != ".safetensors":
        raise EncoderError(f"{name}: no texture of that name; there is {', '.join(TEXTURES)}, or a .safetensors file")
    return path


def sample(network: TextureNet, size: tuple[int, int], seed: int = 0) -> Tensor:
    """One picture of that size, of the noise of that seed: (1, 3, H, W)."""
    noise = network.noise(1, size, torch.Generator().manual_seed(seed))
    made: Tensor = network(noise)
    return made[..., : size[0], : size[1]].cpu()


@checked
def train_texture(
    style: Annotated[Source, Picture("the texture, or a painting of which the texture is learnt")],
    *,
    steps: Annotated[int, Number(1, 100_000, step=50, help="steps of the training")] = 2000,
    batch: Annotated[int, Number(1, 64, help="samples in a step")] = 16,
    size: Annotated[int, Number(32, 1024, step=16, help="of a sample, in pixels")] = 256,
    rate: Annotated[float, Number(1e-5, 1, log=True, help="learning rate")] = 0.1,
    schedule: Annotated[str, Choice(tuple(SCHEDULES), help="how the rate changes")] = "falling",
    diversity: Annotated[float, Number(0, 1e3, log=True, help="weight of samples being unlike each other")] = 0.0,
    style_scale: Annotated[float, Number(0.25, 4, step=0.25, help="size of the patterns")] = 1.0,
    loss: Annotated[str, Choice(tuple(STYLE_LOSSES), help="what a texture is: the loss that compares it")] = "gram",
    scales: Annotated[int, Number(1, 7, help="noise tensors, each half as large as the one before")] = 5,
    width: Annotated[int, Number(1, 64, help="channels of each scale (the paper's: 8)")] = 8,
    norm: Annotated[str, Choice(NORMS, help="what is normalised")] = "batch",
    seed: Annotated[int, Number(0, 2**31 - 1, help="seed of the first weights and of the noise")] = 0,
    checkpoint: str | Path | None = None,
    out: str | Path | None = None,
    device: str | torch.device | None = None,
) -> Run[Tensor]:
    """Teach a network a texture, and show a sample of it; a Run whose `best` is that picture (1, 3, size, size).

    The defaults are the paper's, for a GPU: two cores need hours for them, and minutes for `steps=600, batch=2,
    size=128, rate=0.02`. `diversity` is the weight of Ulyanov et al.'s second paper: samples that are alike cost.
    `checkpoint`: a file from which a training that was stopped goes on; `out`: a .safetensors file for the network,
    written whenever a sample is shown. Raises ValueError (or a subclass) for a bad argument, at once.
    Source: Ulyanov et al. 2016, and 2017.
    """
    out = network_place(out)
    check_choice("schedule", schedule, SCHEDULES)
    looking = load_encoder("mini", device=device)
    painting = picture(style, argument="style")
    with torch.random.fork_rng(devices=[]):  # a network's first weights come from the CPU's global generator
        torch.default_generator.manual_seed(seed)
        network = TextureNet(scales, width, norm=norm).to(looking.device)
    parts = style_parts(loss).items()
    terms = [Match(part, painting, at, scale=style_scale, name=term) for term, (part, at) in parts]
    bound = Objective(*terms, Energy(closeness, diversity)).at((size, size), looking)
    if bound.changes:
        raise ValueError(
            f"loss: {loss} is drawn anew or learns while a picture is optimised; a network cannot follow it"
        )
    if network.sizes((size, size))[-1][0] < 2:
        raise ValueError(f"scales: {scales} for {size} pixels; the coarsest noise would be a single position")

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        return bound(network(network.noise(batch, (size, size), generator))[..., :size, :size])

    @torch.no_grad()
    def look() -> Tensor:
        network.eval()
        made = sample(network, (size, size), seed)
        network.train()
        return made

    named = str(style) if isinstance(style, str | Path) else "a picture"
    told = dict(style=named, batch=batch, size=size, rate=rate, schedule=schedule, diversity=diversity,
                style_scale=style_scale, loss=loss, seed=seed)  # fmt: skip
    run = train(
        losses, {"network": network}, steps=steps, rate=rate, clip=10.0, seed=seed, checkpoint=checkpoint,
        optimizer=partial(torch.optim.Adam, betas=(0.9, 0.99)), identity=told | network.settings, preview=look,
        preview_every=max(1, min(20, steps // 20)), schedule=SCHEDULES[schedule],
    )  # fmt: skip
    return Run(Watched(run, network, partial(sample, network, (size, size), seed), out, told | {"steps": steps}))
