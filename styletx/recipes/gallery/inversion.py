"""The strips of lecture 02: what a layer remembers."""

from functools import partial

import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from ...encoders import Encoder, load_encoder
from ...images import fit_size, resize, size_of, to_array
from ...methods.inversion import invert, reconstruction_error
from ...samples import load
from . import PHOTO, Strip

LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_4", "relu4_1", "relu5_1")
DEEP, LONGER, STEPS = "relu4_1", 256, 300
PHOTOS = ("kodak-04", "kodak-15", "kodak-19", "kodak-21", "kodak-23")


def judged(picture: Tensor, photo: Tensor, encoder: Encoder, layer: str) -> dict[str, float]:
    """PSNR in dB, SSIM, and the reconstruction error of the features, each against the photo."""
    mine, theirs = to_array(picture), to_array(photo)
    with torch.no_grad():
        codes = [encoder(p.to(encoder.device), layer)[layer] for p in (picture, photo)]
    return {
        "psnr": float(peak_signal_noise_ratio(theirs, mine)),
        "ssim": float(structural_similarity(theirs, mine, channel_axis=-1)),
        "error": float(reconstruction_error(*codes)),
    }


def _photo(name: str = PHOTO, longer: int = LONGER) -> Tensor:
    photo = load(name)
    return resize(photo, fit_size(*size_of(photo), longer=longer))


def inversion_layers() -> Strip:
    """One photo from every layer, all at one λ; beside it, in numbers, the same without regularisers."""
    photo, encoder = _photo(), load_encoder("mini")
    pictures = []
    found: dict[str, dict[str, dict[str, float]]] = {"regularised": {}, "free": {}}
    for layer in LAYERS:
        make = partial(invert, photo, layer=layer, size=LONGER, steps=STEPS, encoder=encoder)
        calm = make().finish(progress=False)
        free = make(alpha_weight=0.0, beta_weight=0.0).finish(progress=False)
        pictures.append(calm)
        found["regularised"][layer] = judged(calm, photo, encoder, layer)
        found["free"][layer] = judged(free, photo, encoder, layer)
    return [photo, *pictures], ["the photo", *LAYERS], found


def inversion_beta() -> Strip:
    """A deep layer without regularisers, and with growing λ_β."""
    photo, encoder, weights = _photo(), load_encoder("mini"), (0.0, 0.1, 1.0, 10.0, 100.0)
    pictures, found = [], {}
    for weight in weights:
        make = partial(invert, photo, layer=DEEP, size=LONGER, steps=STEPS, beta_weight=weight, encoder=encoder)
        run = make() if weight else make(alpha_weight=0.0)
        pictures.append(run.finish(progress=False))
        found[f"{weight:g}"] = judged(pictures[-1], photo, encoder, DEEP)
    captions = ["no regulariser", *(f"λ_β = {weight:g}" for weight in weights[1:])]
    return [photo, *pictures], ["the photo", *captions], found


def inversion_starts() -> Strip:
    """Four noise starts from one code, at three depths, and how far the results spread, over five photos."""
    layers, seeds, encoder = ("relu2_1", "relu3_1", "relu5_1"), range(4), load_encoder("mini")
    pictures, captions = [], []
    spread: dict[str, dict[str, float]] = {layer: {} for layer in layers}
    for name in PHOTOS:
        photo = _photo(name, 160)
        for layer in layers:
            runs = (invert(photo, layer=layer, size=160, steps=200, seed=s, encoder=encoder) for s in seeds)
            found = torch.cat([run.finish(progress=False) for run in runs])
            spread[layer][name] = float(found.std(0, correction=0).square().mean().sqrt())
            if name == PHOTO:
                pictures += list(found.split(1))
                captions += [f"{layer}, noise {seed + 1}" for seed in seeds]
    return pictures, captions, {"spread": spread}


def inversion_patch() -> Strip:
    """From the central 5×5 positions of the code alone; beside each the receptive field, drawn on the photo."""
    photo, encoder = _photo(), load_encoder("mini")
    layers, pictures, captions = ("relu2_1", "relu3_1", "relu4_1", "relu5_1"), [], []
    for layer in layers:
        size, stride = encoder.receptive_field(layer)
        pictures.append(_framed(photo, size + 4 * stride))
        captions.append(f"{layer}: {size + 4 * stride} pixels")
    for layer in layers:
        run = invert(photo, layer=layer, size=LONGER, steps=STEPS, code="patch", encoder=encoder)
        pictures.append(run.finish(progress=False))
        captions.append(f"from {layer}")
    return pictures, captions, {}


def _framed(photo: Tensor, side: int) -> Tensor:
    """The photo, dim outside its central square of `side` pixels."""
    height, width = photo.shape[-2:]
    mask = torch.zeros(1, 1, height, width)
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    mask[..., top : top + side, left : left + side] = 1
    return photo * (0.25 + 0.75 * mask) + 0.3 * (1 - mask)


def inversion_pooled() -> Strip:
    """From each channel's mean alone: what there is, without where."""
    photo, layers = _photo(), ("relu2_1", "relu3_1", "relu4_1", "relu5_1")
    runs = (invert(photo, layer=layer, size=LONGER, steps=STEPS, code="pooled") for layer in layers)
    return [photo, *(run.finish(progress=False) for run in runs)], ["the photo", *layers], {}


FIGURES = {inversion_layers: 3, inversion_beta: 3, inversion_starts: 4, inversion_patch: 4, inversion_pooled: 3}
