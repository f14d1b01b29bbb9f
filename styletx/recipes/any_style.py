r"""How the network for any style is made: python -m styletx.recipes.any_style --photos DIR --out FILE

In turn, a step with the named styles, each photo in one of them, whose points are learnt as they are, and a step with
styles that are drawn anew (`training.styles`), whose points are predicted from what `mini` sees of them. The filters
serve both. It goes on from its checkpoint. The network that ships came in four trainings, of 78, 68, 24 and 2 minutes
on two cores; the first with the content counting for a third of what it does now (it was measured on one batch):

    python -m styletx.recipes.transform --photos DIR --style NAMED ... --batch 4 --steps 12000 --optimizer soap -o MANY
    python -m styletx.recipes.any_style --photos DIR --begin MANY --steps 6000 --out ANY
    python -m styletx.recipes.any_style --photos DIR --begin ANY --style-weight 3 --tv-weight 1 --rate 2.5e-3 \
        --steps 2500 --out CLEARER
    python -m styletx.recipes.transform --photos DIR --add CLEARER --style etretat --style-weight 3 --steps 600 \
        --batch 2 --rate 0.02 -o styletx/weights/stylize-any.safetensors
"""

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor

from .. import samples
from ..encoders import Encoder, load_encoder
from ..images import fit_size, resize, size_of, write
from ..methods.gatys import TV_WEIGHT, gatys_objective
from ..methods.painters import STYLES
from ..methods.watched import network_place
from ..networks.any_style import SEEN, AnyStyle, style_statistics
from ..networks.conditional import ManyStyles
from ..networks.files import Network, load_network, save_network
from ..training.fit import train
from ..training.photos import Feed, Photos, default_photos
from ..training.styles import Styles
from .transform import OPTIMIZERS, STYLE_WEIGHT, optimizer_of

NAMED = STYLES[:16]  # in the table, by name; the other paintings are known to the predictor alone
UNSEEN = ("etretat", "night-cafe", "red-vineyards", "in-bed")  # the predictor does not see them


def main(arguments: list[str] | None = None) -> None:
    """Train the network for named styles and any other."""
    parser = argparse.ArgumentParser(
        prog="python -m styletx.recipes.any_style", description="Train a network for any style."
    )
    add = parser.add_argument
    add("--photos", type=Path, help="folder of photographs (default: torchvision's Caltech-101, 131 MB)")
    add("--out", type=Path, required=True, help="the network's file, .safetensors")
    add("--begin", type=Path, help="a network for the named styles, with whose filters and points it begins")
    add("--steps", type=int, default=6000, help="default: 6000, seventy minutes on two cores")
    add("--batch", type=int, default=4)
    add("--side", type=int, default=176, help="of a crop, in pixels")
    add("--size", type=int, default=256, help="of photos on which strokes are gatys'")
    add("--width", type=int, default=8)
    add("--inner", type=int, default=48)
    add("--style-weight", type=float, default=STYLE_WEIGHT)
    add("--tv-weight", type=float, default=TV_WEIGHT)
    add("--rate", type=float, default=4e-3)
    add("--optimizer", default="soap", choices=OPTIMIZERS)
    add("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    out = network_place(options.out)
    assert out is not None
    looking = load_encoder("mini")
    photos = Photos(options.photos or default_photos(), options.side, options.seed)
    # At 3:2, a photo of that longer side has 2/3·size² pixels; a crop has side².
    scale = options.size * math.sqrt(2 / 3) / options.side
    paintings = [n for n in samples.names("painting", showable=True) if n not in UNSEEN]
    drawn = Styles(paintings, photos, round(options.side * scale))
    torch.manual_seed(options.seed)
    example = statistics(looking, torch.zeros(1, 3, 64, 64))
    network = AnyStyle(NAMED, example.shape[1], options.width, inner=options.inner).to(looking.device)
    generator = torch.Generator().manual_seed(options.seed)
    network.scale_to(torch.cat([statistics(looking, drawn(generator)) for _ in range(200)]))
    if options.begin:
        begin_as(network, load_network(options.begin, "cpu"))
    named = [samples.load(name) for name in NAMED]
    how = {"style_weight": options.style_weight, "tv_weight": options.tv_weight, "style_scale": scale}
    size = (options.side, options.side)
    table = gatys_objective("content", named, choose="style", **how).at(size, looking)
    brought = gatys_objective("content", "style", **how).at(size, looking)
    feed = Feed(photos, options.batch)
    turn = Turn()
    with torch.no_grad():  # which fixes the denominators, also where a training goes on
        first = feed.first().to(looking.device)
        none = torch.zeros(len(first), dtype=torch.int64)
        table(first, {"content": first, "style": none})
        brought(first, {"content": first, "style": first})

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        photo = next(feed).to(looking.device)
        turn.number += 1
        if turn.number % 2:
            chosen = torch.randint(len(NAMED), (options.batch,), generator=generator)
            return table(network(photo, chosen.to(looking.device)), {"content": photo, "style": chosen})
        style = torch.cat([drawn(generator) for _ in range(options.batch)]).to(looking.device)
        made = network.paint(photo, network.predict(statistics(looking, style)))
        return brought(made, {"content": photo, "style": style})

    preview = samples.load("kodak-21" if samples.available("kodak-21") else "china")
    preview = resize(preview, fit_size(*size_of(preview), longer=256)).to(looking.device)
    unseen = statistics(looking, resize(samples.load_or(UNSEEN[0], "waves"), 256))

    @torch.no_grad()
    def look() -> Tensor:
        pictures = [network(preview, torch.tensor([k], device=looking.device)) for k in range(3)]
        return torch.cat([*pictures, network.paint(preview, network.predict(unseen))], -1).cpu()

    about = {
        key: getattr(options, key)
        for key in ("batch", "side", "size", "rate", "optimizer", "seed", "style_weight", "tv_weight")
    }
    about |= {"begin": options.begin and options.begin.name}
    about |= {"photos": len(photos.paths), "paintings": len(paintings)}
    run = train(
        losses, {"network": network}, steps=options.steps, rate=options.rate, clip=10.0, seed=options.seed,
        keep={"photos": feed, "turn": turn}, checkpoint=out.with_suffix(".checkpoint.pt"), preview=look,
        # An odd number of steps, so that both kinds of step have their turn at it.
        preview_every=250, optimizer=optimizer_of(options.optimizer, every=9), identity=about | network.settings,
    )  # fmt: skip
    for step in run:
        if step.raw is not None:
            save_network(network, out, about | {"step": step.number})
            write(step.image, out.with_suffix(".preview.jpg"))
            print(step.number, {name: round(float(value), 3) for name, value in step.terms.items()}, flush=True)
    save_network(network, out, about | {"step": run.evaluations})
    print(out)


@torch.no_grad()
def begin_as(network: AnyStyle, trained: Network) -> None:
    """Take filters and points of a network for the same styles that may be narrower, and paint just as it does.

    A channel that is new looks at everything, and nothing looks at it yet; the predictor begins at the mean point. A
    network for any style is taken as it is.
    """
    if not isinstance(trained, ManyStyles) or trained.styles != network.styles:
        raise ValueError(f"begin: no network for {', '.join(network.styles)}")
    if isinstance(trained, AnyStyle):
        if trained.settings != network.settings:
            raise ValueError(f"begin: {trained.settings}; right would be {network.settings}")
        network.load_state_dict(trained.state_dict())
        return
    if trained.blocks != network.blocks or any(a > b for a, b in zip(trained.channels, network.channels, strict=True)):
        raise ValueError(f"begin: channels {trained.channels}; they go up to {network.channels}")
    mine = network.state_dict()
    for name, known in trained.state_dict().items():
        if name.startswith("tables"):  # γ of every channel, then β
            for part, values in zip(mine[name].chunk(2, dim=1), known.chunk(2, dim=1), strict=True):
                part[:, : values.shape[1]] = values
        else:
            out, into = known.shape[:2]
            mine[name][:out] = 0
            mine[name][:out, :into] = known
    network.decode.bias.copy_(network.point(torch.arange(len(network.styles))).mean(0))


class Turn:
    """Which step is next; it is put away with a checkpoint."""

    number = 0

    def state_dict(self) -> dict[str, int]:
        return {"number": self.number}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.number = state["number"]


@torch.no_grad()
def statistics(looking: Encoder, pictures: Tensor) -> Tensor:
    """What a style is to the predictor: (B, D)."""
    return style_statistics(looking(pictures.to(looking.device), SEEN))


if __name__ == "__main__":
    main()
