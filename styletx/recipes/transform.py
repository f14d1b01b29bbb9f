"""How a network that paints in one style is made: python -m styletx.recipes.transform --photos DIR --style NAME

A `TransformNet` learns to make of any photo what `gatys` would be looking for: the same losses at the same layers with
the same weights, as the mean over crops of photographs. Steps, batch and crops are options; the full size is Johnson et
al.'s, `--width 32 --side 256 --rate 1e-3 --steps 40000`, for whoever has a GPU. It goes on from its checkpoint.
"""

import argparse
from pathlib import Path

import torch

from .. import samples
from ..encoders import load_encoder
from ..images import fit_size, resize, size_of, write
from ..methods.gatys import STYLE_WEIGHT, gatys_objective
from ..networks.transform_net import TransformNet, save_network
from ..run import Step
from ..training.fit import fit
from ..training.photos import Photos, default_photos


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m styletx.recipes.transform", description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of photographs (default: torchvision's Caltech-101)")
    parser.add_argument("--style", required=True, help="a sample's name or a file")
    parser.add_argument("--style-weight", type=float, default=STYLE_WEIGHT)
    parser.add_argument("--style-scale", type=float, default=1.0, help="size of the strokes")
    parser.add_argument("--encoder", default="mini", help="the network that looks")
    parser.add_argument("--width", type=int, default=8, help="channels of the first layer (the paper's: 32)")
    parser.add_argument("--side", type=int, default=176, help="of a crop, in pixels")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=0, help="processes that decode photos")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--preview", help="a photo that is painted after every 250 steps, beside the checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="the network's file")
    parser.add_argument("--checkpoint", type=Path, help="default: beside the file")
    options = parser.parse_args(arguments)
    checkpoint = options.checkpoint or options.out.with_suffix(".checkpoint.pt")
    preview = samples.picture(options.preview) if options.preview else None
    options.out.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    network = TransformNet(options.width)
    style = samples.picture(options.style, argument="style")
    objective = gatys_objective("content", style, style_weight=options.style_weight, style_scale=options.style_scale)
    photos = Photos(options.photos or default_photos(), options.side, options.seed)
    about = {key: str(value) for key, value in vars(options).items() if key in
             ("style", "style_weight", "style_scale", "encoder", "side", "batch", "steps", "rate", "seed")}  # fmt: skip

    def each(step: Step) -> None:
        if step.number % 250 == 0 or step.number == step.total:
            save_network(network, options.out, about | {"step": step.number})
            if preview is not None:
                photo = resize(preview, fit_size(*size_of(preview), longer=384)).to(next(network.parameters()).device)
                with torch.no_grad():
                    write(network.eval()(photo).cpu(), checkpoint.with_suffix(".jpg"))
                network.train()
            print({name: round(value, 4) for name, value in step.losses.items()}, flush=True)

    run = fit(
        network, objective, photos, steps=options.steps, batch=options.batch, rate=options.rate,
        encoder=load_encoder(options.encoder), workers=options.workers, seed=options.seed, checkpoint=checkpoint,
        identity={name: value for name, value in about.items() if name != "steps"},
    )  # fmt: skip
    run.finish(each=each, name=options.out.stem)
    save_network(network, options.out, about | {"step": run.evaluations})  # also where the checkpoint was the last


if __name__ == "__main__":
    main()
