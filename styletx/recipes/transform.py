"""How a network that paints is made: python -m styletx.recipes.transform --photos DIR --style NAME [NAME ...]

A `TransformNet` learns to make of any photo what an optimisation would be looking for: the same losses at the same
layers with the same weights, as the mean over crops of photographs; several styles make a `ManyStyles` of it. With
--add NETWORK one of these learns a style more, everything else in it staying as it is. Steps,
batch and crops are options; the full size is Johnson et al.'s, `--width 32 --side 256 --batch 4 --rate 1e-3 --steps
40000`, or Dumoulin et al.'s, with `--batch 16` and their 32 paintings, for whoever has a GPU. It goes on from its
checkpoint. On several GPUs or machines: accelerate launch -m styletx.recipes.transform ...; `styletx train` is the
same.
"""

import argparse
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import samples
from ..checks import check_whole
from ..devices import describe_device
from ..encoders import load_encoder
from ..images import check_place, fit_size, resize, size_of, write
from ..methods.gatys import gatys_objective
from ..methods.painters import network_file, predicted
from ..networks.any_style import AnyStyle
from ..networks.conditional import ManyStyles
from ..networks.files import Network, about_network, load_network, save_network
from ..networks.transform_net import NORMS, UPSAMPLING, TransformNet
from ..objective import Objective
from ..run import Step
from ..training.fit import fit
from ..training.log import Log
from ..training.machines import machines
from ..training.photos import Photos, default_photos

STYLE_WEIGHT = 8.0  # 50, `gatys`' own, and 20 leave too little of the photo
OPTIMIZERS = ("adam", "soap")


def optimizer_of(name: str, every: int = 10) -> Callable[..., torch.optim.Optimizer] | None:
    """None for Adam, which is `fit`'s own; or SOAP, which also turns the gradient into its own eigenvectors.

    every: so many steps these are computed anew.
    """
    if name == "adam":
        return None
    try:
        from pytorch_optimizer import SOAP
    except ImportError:
        raise ValueError("optimizer: soap needs pip install pytorch-optimizer") from None
    return partial(SOAP, betas=(0.95, 0.95), weight_decay=0.0, precondition_frequency=every)


def add_training(parser: argparse.ArgumentParser, side: int, batch: int, steps: int, rate: float, every: str) -> None:
    """The options of every training of a network on photos."""
    add = parser.add_argument
    add("--photos", type=Path, help="folder of photographs (default: torchvision's Caltech-101, 131 MB)")
    add("--side", type=int, default=side, help=f"of a crop, in pixels (default: {side})")
    add("--batch", type=int, default=batch, help=f"crops in a step (default: {batch})")
    add("--steps", type=int, default=steps, help=f"default: {steps}, {every}")
    add("--optimizer", default="adam", choices=OPTIMIZERS,
        help="soap needs pip install pytorch-optimizer, and learns faster")  # fmt: skip
    add("--rate", type=float, default=rate, help=f"learning rate (default: {rate})")
    add("--encoder", default="mini", help="the network that looks: mini, vgg16, vgg19 ...")
    add("--workers", type=int, default=0, help="processes that decode photos (default: 0)")
    add("--seed", type=int, default=0)
    add("--preview", default="china", help="a photo on which what was learnt is shown, every 250 steps")
    add("--log", type=Path, help="a folder for log.csv, and for TensorBoard where it is installed")
    add("-o", "--out", type=Path, required=True, help="the network's file, .safetensors")
    add("--checkpoint", type=Path, help="default: beside the file")
    add("--device", help="cpu, cuda, mps (default: the best there is)")


def learn(
    options: argparse.Namespace,
    make: Callable[[], Network],
    objective: Objective,
    told: dict[str, object],
    degrade: Callable[[Tensor], Tensor] | None = None,
    seen_as: Callable[[Any], nn.Module] | None = None,
) -> int:
    """Train what `make` makes, with the options of `add_training`; write it with every preview, and at the end.

    told: what the file and the checkpoint say of it, beside these options. seen_as: how the network is called.
    """
    out = options.out.expanduser()
    checkpoint = (options.checkpoint or out.with_suffix(".checkpoint.pt")).expanduser()
    if out.suffix != ".safetensors":
        raise ValueError(f"out: {out}; right would be a .safetensors file")
    for path in (out, checkpoint):
        path.parent.mkdir(parents=True, exist_ok=True)
        check_place(path)
    where = machines()
    if where.device is not None and options.device:
        raise ValueError("device: accelerate launch decides it; leave it out")
    preview = samples.picture(options.preview, argument="preview")
    preview = resize(preview, fit_size(*size_of(preview), longer=384))
    torch.manual_seed(options.seed)
    network = make()
    folder = options.photos
    if folder is None:
        if where.number == 0:
            default_photos()  # fetched by one of them
        where.any(False)  # for which the others wait
        folder = default_photos()
    photos = Photos(folder, options.side, options.seed)
    own = ("encoder", "side", "batch", "steps", "optimizer", "rate", "seed")
    about = told | {name: getattr(options, name) for name in own} | {"photos": len(photos.paths)}
    encoder = load_encoder(options.encoder, device=where.device or options.device)
    log = Log(options.log) if options.log and where.number == 0 else None

    def each(step: Step) -> None:
        if log is not None:
            log(step)
        if step.raw is not None and where.number == 0:
            save_network(network, out, about | {"step": step.number})
            write(step.image, out.with_suffix(".preview.jpg"))

    run = fit(
        seen_as(network) if seen_as else network, objective, photos, steps=options.steps, batch=options.batch,
        rate=options.rate, encoder=encoder, degrade=degrade, workers=options.workers, seed=options.seed,
        checkpoint=checkpoint, optimizer=optimizer_of(options.optimizer), preview=preview,
        preview_every=250, machines=where,
        identity={key: value for key, value in about.items() if key != "steps"} | network.settings,
    )  # fmt: skip
    if where.number == 0:
        print(f"{out.stem} on {describe_device(encoder.device)}, step {run.evaluations} of {run.total}")
    try:
        run.finish(each=each, name=out.stem, progress=where.number == 0)
    finally:
        if log is not None:
            log.close()
        where.close()
    if where.number == 0:
        save_network(network, out, about | {"step": run.evaluations})  # also where the checkpoint was the last
        print(f"{out}" + (f", stopped after step {run.evaluations} of {run.total}" if run.stopped else ""))
    return 0


def main(arguments: list[str] | None = None, name: str = "python -m styletx.recipes.transform") -> int:
    """Train a network that paints in one style."""
    parser = argparse.ArgumentParser(prog=name, description="Train a network that paints in one style, or in several.")
    parser.add_argument("--style", required=True, nargs="+", help="names or files; several: one network for all")
    parser.add_argument(
        "--add", metavar="NETWORK", help="a network of many styles, any or a file, that learns this too"
    )
    parser.add_argument("--content-weight", type=float, default=1.0, help="default: 1")
    parser.add_argument("--style-weight", type=float, default=STYLE_WEIGHT, help=f"default: {STYLE_WEIGHT:.0f}")
    parser.add_argument("--size", type=int, default=256, help="of photos on which strokes are gatys' (default: 256)")
    parser.add_argument("--width", type=int, default=8, help="channels of the first layer (default: 8; paper: 32)")
    parser.add_argument("--inner", type=int, help="channels of the blocks, for several styles (default: 4 × width)")
    parser.add_argument("--norm", default="instance", choices=NORMS, help="default: instance; the paper's: batch")
    parser.add_argument("--upsampling", default="nearest", choices=UPSAMPLING, help="the paper's: transposed")
    add_training(parser, side=176, batch=2, steps=6000, rate=4e-3, every="twenty minutes on two cores")
    options = parser.parse_args(arguments)
    check_whole("side", options.side, 16)
    check_whole("size", options.size, 32)
    told = {key: getattr(options, key) for key in ("content_weight", "style_weight", "size")}
    # At 3:2, a photo of that longer side has 2/3·size² pixels; a crop has side².
    scale = options.size * math.sqrt(2 / 3) / options.side
    styles = [samples.picture(one, argument="style") for one in options.style]
    several = len(styles) > 1
    if several and (options.norm, options.upsampling) != ("instance", "nearest"):
        raise ValueError("norm, upsampling: a network of several styles has conditional instance norm, and nearest")
    if options.inner is not None and not several:
        raise ValueError("inner: of a network of several styles; one of a single style has 4 × width")
    if options.add and (several or options.optimizer != "adam"):
        raise ValueError("add: one style, with adam: what does not learn has to stay as it is")
    if options.add and network_file(options.add).resolve() == options.out.expanduser().resolve():
        raise ValueError("out: the network that is added to; choose another file")
    objective = gatys_objective(
        "content", styles, content_weight=options.content_weight, style_weight=options.style_weight,
        style_scale=scale, choose="style" if several else "",
    )  # fmt: skip

    def make() -> Network:
        if options.add:
            return _one_more(options.add, Path(options.style[0]).stem, styles[0])
        if several:
            return ManyStyles([Path(one).stem for one in options.style], options.width, inner=options.inner)
        return TransformNet(options.width, options.norm, options.upsampling)

    told["style"] = options.style if several else options.style[0]
    if options.add:
        told["add"] = about_network(network_file(options.add))
    return learn(options, make, objective, told, seen_as=_Newest if options.add else None)


def _one_more(name: str, style: str, painting: Tensor) -> ManyStyles:
    """The network of that name or file with a style more, at its predicted point where points can be predicted."""
    network = load_network(network_file(name), "cpu")
    if not isinstance(network, ManyStyles):
        raise ValueError(f"add: {name} is no network of many styles")
    network.add(style, predicted(network, painting) if isinstance(network, AnyStyle) else None)
    return network


class _Newest(nn.Module):
    """A network of many styles in its last one."""

    def __init__(self, network: ManyStyles):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        last = len(self.network.styles) - 1
        return self.network(image, torch.full((len(image),), last, device=image.device))


if __name__ == "__main__":
    main()
