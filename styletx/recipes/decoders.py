"""How `mini`'s decoders were made: python -m styletx.recipes.decoders --photos DIR --paintings DIR

Each decoder learns to make the picture of `mini`'s features at one layer, with the pixels and, on a part of each batch,
with those features themselves: ‖D(Φ(x)) − x‖² and ‖Φ(D(Φ(x))) − Φ(x)‖², each divided by its own size. While it learns,
its input is whitened and every convolution is followed by batch normalisation, whose statistics stand still after a
while: their noise alone would keep it below 30 dB. Both are folded into the convolutions at the end. The optimiser
is SOAP, Adam in the eigenvectors of Shampoo's preconditioner: features are correlated, and Adam alone is slow.

    python -m styletx.recipes.decoders --judge

compares them with the public pairs on the Kodak photos, which none of them has seen.
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .. import samples
from ..encoders import WEIGHTS, half_state, load_encoder, read_weights
from ..networks.decoders import LEVELS, MINI_LEVELS, PAIRS, UPSAMPLING, Pair, load_pairs, mini_decoder
from ..run import Step
from ..samples import load
from ..training.fit import train
from ..training.photos import Pictures, load_paintings, load_photos
from ..whitening import gaussian
from .judge import PHOTOS
from .mini import filters

# relu3_1 takes longest: deeper, more steps bring less.
STEPS = {"relu1_1": 2000, "relu2_1": 2500, "relu3_1": 3000, "relu4_1": 1500, "relu5_1": 1500}
FREEZE = 0.3  # of the steps, after which batch normalisation stands still
BATCH = 8


def psnr(pair: Pair, names: tuple[str, ...] = PHOTOS) -> float:
    """Mean PSNR in dB of encode and decode over photos."""
    scores = []
    with torch.no_grad():
        for name in names:
            photo = load(name).to(pair.encoder.device)
            height, width = (side // 16 * 16 for side in photo.shape[-2:])
            photo = photo[..., :height, :width]
            scores.append(-10 * torch.log10((pair(photo).clamp(0, 1) - photo).square().mean()))
    return float(torch.stack(scores).mean())


def judge(device: torch.device, weights: Path | None = None) -> dict[str, dict[str, float]]:
    """{pair and way up: {layer: PSNR}} of every pair there is."""
    table: dict[str, dict[str, float]] = {}
    for name in PAIRS:
        for upsampling in UPSAMPLING if name == "mini" else ("nearest",):
            layers = MINI_LEVELS[upsampling] if name == "mini" else PAIRS[name]
            own = weights if name == "mini" else None
            pairs = load_pairs(name, layers, upsampling=upsampling, device=device, weights=own)
            table[f"{name}, {upsampling}"] = {pair.layer: psnr(pair) for pair in pairs}
    return table


def teach(pair: Pair, pictures: Pictures, steps: int, rate: float, seed: int, checkpoint: Path, half: bool) -> None:
    """Train the pair's decoder, from its checkpoint if there is one; with `half`, in bfloat16."""
    from pytorch_optimizer import SOAP

    device = pair.encoder.device

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        image = torch.cat([pictures.photo_batch(BATCH - 2, generator), pictures.painting_batch(2, generator)])
        image = image.to(device, memory_format=torch.channels_last)
        few = slice(-3, None)  # a photo and two paintings
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            with torch.no_grad():
                features, switches = pair.encode(image)
            made = pair.decode(features, switches).float()
            again = pair.encoder(made[few], pair.layer)[pair.layer].float()
        features = features.float()
        return {
            "pixels": (made - image).square().mean() / image.var(),
            "features": 0.1 * (again - features[few]).square().mean() / features.square().mean(),
        }

    first = pictures.photo_batch(48, torch.Generator().manual_seed(seed)).to(device)
    for_learning(pair, first)
    pair.decoder.train()

    def each(step: Step) -> None:
        if step.number >= FREEZE * steps:
            for part in pair.decoder.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eval()

    soap = partial(SOAP, weight_decay=0.0, precondition_frequency=5)
    train(
        losses, {"decoder": pair.decoder}, steps=steps, rate=rate, clip=10.0, seed=seed, optimizer=soap,
        checkpoint=checkpoint,
    ).finish(each=each, name=checkpoint.stem)  # fmt: skip
    folded(pair)


def untrained(device: torch.device, seed: int) -> list[Pair]:
    """Every pair of `mini` that is shipped, its decoder seeded (He initialisation)."""
    encoder, pairs = load_encoder("mini", device=device), []
    generator = torch.Generator().manual_seed(seed)
    for upsampling, layers in MINI_LEVELS.items():
        for layer in layers:
            decoder = mini_decoder(encoder, layer, upsampling)
            for step in decoder.steps.children():
                if isinstance(step, nn.Conv2d | nn.ConvTranspose2d):
                    weight, bias = filters(step)
                    nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
                    nn.init.zeros_(bias)
            _, bias = filters(decoder.steps["conv1_1"])
            nn.init.constant_(bias, 0.45)  # begins at a grey picture, not at a black one
            decoder = decoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            pairs.append(Pair(encoder, decoder, layer))
    return pairs


@torch.no_grad()
def for_learning(pair: Pair, image: Tensor) -> Pair:
    """The pair with a whitening before its decoder, from the features of `image`, and batch normalisation in it."""
    features = pair.encoder(image, pair.layer)[pair.layer].transpose(0, 1).flatten(1)
    found = gaussian(features[None, :, :, None])
    white = nn.Conv2d(len(features), len(features), 1).to(features.device)
    weight, bias = filters(white)
    weight.copy_(found.power(-0.5)[:, :, None, None])
    bias.copy_(-(found.power(-0.5) @ found.mean)[:, 0])
    steps = pair.decoder.steps
    first = next(iter(steps))
    for name, step in steps.items():
        if isinstance(step, nn.Conv2d | nn.ConvTranspose2d):
            after = [] if name == "conv1_1" else [nn.BatchNorm2d(step.out_channels, momentum=0.05)]
            before = [white.requires_grad_(False)] if name == first else []
            steps[name] = nn.Sequential(*before, step, *after).to(features.device)
    return pair


@torch.no_grad()
def folded(pair: Pair) -> Pair:
    """The pair as it is used: whitening and batch normalisation folded into the convolutions beside them."""
    for name, step in pair.decoder.eval().steps.items():
        if not isinstance(step, nn.Sequential):
            continue
        parts = list(step)
        convolution = next(
            p for p in parts if isinstance(p, nn.Conv2d | nn.ConvTranspose2d) and p.kernel_size != (1, 1)
        )
        weight, bias = filters(convolution)
        if parts[0] is not convolution:
            whitening, shift = filters(parts[0])
            bias.add_((weight.sum((2, 3)) @ shift[:, None])[:, 0])
            weight.copy_(torch.einsum("ojhw,ji->oihw", weight, whitening[:, :, 0, 0]))
        norm = parts[-1]
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            transposed = isinstance(convolution, nn.ConvTranspose2d)
            fused = fuse_conv_bn_weights(
                weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias,
                transpose=transposed,
            )  # fmt: skip
            weight.copy_(fused[0])
            bias.copy_(fused[1])
        pair.decoder.steps[name] = convolution
    pair.decoder.requires_grad_(False)
    return pair


def save(pairs: list[Pair], path: Path) -> None:
    """Write the decoders into a file, in half precision, beside others that it has already."""
    state = read_weights(path) if path.is_file() else {}
    mine = tuple(f"{pair.decoder.upsampling}/{pair.layer}/" for pair in pairs)
    state = {key: value for key, value in state.items() if not key.startswith(mine)}
    state |= {
        f"{pair.decoder.upsampling}/{pair.layer}/{key}": value
        for pair in pairs
        for key, value in half_state(pair.decoder.steps).items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path)
    path.chmod(0o644)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m styletx.recipes.decoders", description=__doc__.splitlines()[0])
    parser.add_argument("--judge", action="store_true", help="only compare what is there with the public pairs")
    parser.add_argument("--photos", type=Path, help="folder of photographs (default: torchvision's Caltech-101)")
    parser.add_argument("--paintings", type=Path, help="folder of paintings (default: the samples)")
    parser.add_argument("--upsampling", nargs="+", choices=UPSAMPLING, default=UPSAMPLING, help="train only these")
    parser.add_argument("--layers", nargs="+", choices=LEVELS, default=LEVELS, help="train only these")
    parser.add_argument("--bfloat16", action="store_true", help="faster, on processors that can; not for relu1_1")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of steps of every decoder")
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=WEIGHTS / "mini-decoders.safetensors")
    parser.add_argument("--checkpoints", type=Path, default=samples.cache_folder() / "recipes" / "decoders")
    parser.add_argument("--restart", action="store_true", help="begin anew instead of going on from the checkpoints")
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if options.judge:
        for name, row in judge(device, options.out).items():
            print(f"{name:<28}" + "  ".join(f"{layer} {value:.2f} dB" for layer, value in row.items()))
        return
    pictures = Pictures(load_photos(options.photos), load_paintings(options.paintings))
    pairs = untrained(device, options.seed)
    for pair in pairs:
        if pair.decoder.upsampling not in options.upsampling or pair.layer not in options.layers:
            continue
        checkpoint = options.checkpoints / f"{pair.decoder.upsampling}-{pair.layer}.pt"
        if options.restart:
            checkpoint.unlink(missing_ok=True)
        steps = max(1, round(STEPS[pair.layer] * options.scale))
        half = options.bfloat16 and pair.layer != "relu1_1"  # 40 dB are beyond its eight bits
        teach(pair, pictures, steps, options.rate, options.seed, checkpoint, half)
        save([pair], options.out)
        print(f"{pair.decoder.upsampling} {pair.layer}: {psnr(pair):.2f} dB", flush=True)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
