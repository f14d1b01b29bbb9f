"""Can it be decoded? A quick decoder for a layer of an encoder: what cannot be decoded cannot serve whitening later.

    python -m styletx.recipes.decoder_check --photos DIR [--encoder mini vgg19-small]

A mirrored decoder (nearest upsampling, reflect padding) is trained for a few hundred steps with the squared error of
the pixels, then judged on photos that neither it nor the encoder has seen. Far from a good decoder, but the same for
every encoder: the comparison is what counts.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from ..encoders import Encoder, load_encoder
from ..samples import load
from ..training.fit import train
from ..training.photos import CROP, Pictures, load_photos
from .judge import PHOTOS

LAYERS = ("relu4_1", "relu5_1")


def mirrored(encoder: Encoder, layer: str) -> nn.Sequential:
    """The encoder's layers up to `layer` in reverse: convolutions back to 3 channels, upsampling for pooling."""
    names = encoder.layers[1 : encoder.layers.index(layer) + 1]
    parts: list[nn.Module] = []
    for name in reversed(names):
        step = encoder.steps[name]
        if isinstance(step, nn.Conv2d):
            parts.append(nn.Conv2d(step.out_channels, step.in_channels, 3, padding=1, padding_mode="reflect"))
            parts.append(nn.ReLU())
        elif name.startswith("pool"):
            parts.append(nn.Upsample(scale_factor=2))
    return nn.Sequential(*parts[:-1])  # no ReLU behind the pixels


def decoder_psnr(encoder: Encoder, layer: str, pictures: Pictures, steps: int = 300, seed: int = 0) -> float:
    """Mean PSNR in dB, over the Kodak photos' centres, of a mirrored decoder trained for `steps` steps."""
    torch.manual_seed(seed)
    decoder = mirrored(encoder, layer)

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        image = pictures.photo_batch(4, generator)
        return {"pixels": (decoder(encoder(image, layer)[layer]) - image).square().mean()}

    train(losses, {"decoder": decoder}, steps=steps, rate=2e-3, seed=seed).finish(progress=False)
    scores = []
    with torch.no_grad():
        for name in PHOTOS:
            photo = load(name, size=384)
            top, left = ((side - 2 * CROP) // 2 // 16 * 16 for side in photo.shape[-2:])
            photo = photo[..., top : top + 2 * CROP, left : left + 2 * CROP]
            error = (decoder(encoder(photo, layer)[layer]).clamp(0, 1) - photo).square().mean()
            scores.append(-10 * torch.log10(error))
    return float(torch.stack(scores).mean())


def check(encoders: dict[str, Encoder], pictures: Pictures, steps: int = 300) -> dict[str, dict[str, float]]:
    """{encoder: {layer: PSNR}} at relu4_1 and relu5_1."""
    return {
        name: {layer: decoder_psnr(encoder, layer, pictures, steps) for layer in LAYERS}
        for name, encoder in encoders.items()
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m styletx.recipes.decoder_check", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--photos", type=Path, help="folder of photographs (default: torchvision's Caltech-101)")
    parser.add_argument("--encoder", nargs="+", default=["mini", "vgg19-small"])
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args(arguments)
    photos = load_photos(options.photos)
    encoders = {name: load_encoder(name, device="cpu") for name in options.encoder}
    for name, scores in check(encoders, Pictures(photos, []), options.steps).items():
        print(name, ", ".join(f"{layer} {value:.2f} dB" for layer, value in scores.items()))


if __name__ == "__main__":
    main()
