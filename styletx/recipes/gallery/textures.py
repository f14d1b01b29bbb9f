"""The strips of lecture 07: texture networks, what they are worth, batch against instance norm, and diversity.

All but the first two train networks first: some twenty minutes on two cores.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ... import samples
from ...encoders import load_encoder
from ...images import noise_like, resize
from ...losses import gram_loss, value_range
from ...methods.gatys import RANGE_WEIGHT, STYLE_LAYERS, gatys_objective
from ...methods.stylize import stylize
from ...methods.textures import TEXTURES, sample, texture_network, train_texture
from ...methods.train_style import train_style
from ...networks.texture_net import TextureNet, closeness
from ...objective import Energy, Match, Objective
from ...samples import load
from ...synthesis import synthesize
from ...training.fit import fit
from ...training.photos import Photos
from . import SIZE, TITLES, Strip, covering

SIDE = 256


def texture_samples() -> Strip:
    """Each texture that ships beside two samples of its network."""
    pictures, titles = [], []
    for name in TEXTURES:
        network = texture_network(name, "cpu")
        pictures += [covering(load(name), (SIDE, SIDE)), *(sample(network, (SIDE, SIDE), seed) for seed in (1, 2))]
        titles += [TITLES.get(name, name.capitalize()), "a sample", "another one"]
    return pictures, titles, {}


def texture_worth() -> Strip:
    """A texture by optimisation from noise and by its network, same loss: pictures, losses and seconds."""
    name, counts = TEXTURES[0], (20, 50, 200)
    target, encoder = load(name), load_encoder("mini", device="cpu")
    network, side = texture_network(name, "cpu"), 192  # as it was trained
    objective = Objective(Match(gram_loss, target, STYLE_LAYERS), Energy(value_range, RANGE_WEIGHT))
    bound = objective.at((side, side), encoder)
    begin = noise_like(target, 0, size=(side, side))  # as `reconstruct_style` has it
    made, start = {}, time.perf_counter()
    curve: list[float] = []
    for step in synthesize(objective, encoder, start=begin, steps=max(counts), levels=1, keep_detail=False):
        curve += [min([step.loss, *curve])] * (step.evaluations - len(curve))
        if step.evaluations in counts:
            made[step.evaluations] = step.image
    seconds = time.perf_counter() - start
    with torch.no_grad():
        sample(network, (side, side))  # once for nothing: the first pass is slower
        start = time.perf_counter()
        drawn = [sample(network, (side, side), seed) for seed in range(8)]
        once = (time.perf_counter() - start) / len(drawn)
        losses = [sum(float(value) for value in bound(one).values()) for one in drawn]
    own = sum(losses) / len(losses)
    worth = next((number for number, value in enumerate(curve, 1) if value <= own), len(curve))
    pictures = [*made.values(), drawn[0]]
    titles = [f"optimised, {count} evaluations: {curve[count - 1]:.4f}" for count in made]
    titles.append(f"the network, one pass: {own:.4f}")
    told = {"network": own, "worth": worth, "evaluations": {str(count): curve[count - 1] for count in counts},
            "seconds": {"network": once, "evaluation": seconds / max(counts)}}  # fmt: skip
    return pictures, titles, told


def batch_or_instance() -> Strip:
    """A photo and the same with less contrast, painted by two networks that differ in their normalisation."""
    photo = resize(load("kodak-23"), SIZE)
    contents = {"": photo, "the pale one, ": 0.35 * photo + 0.45}
    pictures, titles, changed = [*contents.values()], ["a photo", "a third of its contrast"], {}
    for norm in ("batch", "instance"):
        with TemporaryDirectory() as folder:
            out = Path(folder) / "network.safetensors"
            run = train_style(photo, "great-wave", steps=900, batch=2, side=144, size=SIZE, norm=norm, out=out)
            run.finish(progress=False)
            found = [stylize(content, style=out, size=SIZE) for content in contents.values()]
        changed[norm] = float((found[0] - found[1]).abs().mean())
        pictures += found
        titles += [f"{name}{norm} norm" for name in contents]
    return pictures, titles, changed


def diversity_loss() -> Strip:
    """Four samples each of two networks for one texture, without and with a price on being alike."""
    pictures, titles, told = [], [], {}
    for weight in (0.0, 0.03):
        with TemporaryDirectory() as folder:
            out = Path(folder) / "network.safetensors"
            train_texture(
                "the-scream", steps=400, batch=4, size=128, rate=0.02, schedule="one-cycle", diversity=weight, out=out
            ).finish(progress=False)
            network = texture_network(out, "cpu")
        drawn = torch.cat([sample(network, (128, 128), seed) for seed in range(8)])
        told[str(weight)] = float((-closeness(drawn)).exp())
        pictures += [resize(one[None], SIDE) for one in drawn[:4]]
        titles += [f"λ = {weight:g}"] * 4
    return pictures, titles, told


def texture_painted() -> Strip:
    """A photo painted three times by a network of six scales that takes noise, too."""
    photo, side = resize(load("kodak-21"), SIZE), 144
    torch.manual_seed(0)
    network = TextureNet(scales=6, content=True, norm="instance", padding="reflect")
    scale = (photo.shape[-2] * photo.shape[-1]) ** 0.5 / side
    objective = gatys_objective("content", load("starry-night"), style_weight=8, style_scale=scale)
    photos = Photos(samples.names("photo", available=True, showable=True), side)
    run = fit(network, objective, photos, steps=1500, batch=2, rate=1e-2, device="cpu")
    run.finish(progress=False)
    network.eval()
    with torch.no_grad():
        drawn = []
        for seed in range(3):
            noise = network.noise(1, (photo.shape[-2], photo.shape[-1]), torch.Generator().manual_seed(seed))
            drawn.append(network(noise, photo))
    told = {"apart": float((drawn[0] - drawn[1]).abs().mean()), "from photo": float((drawn[0] - photo).abs().mean())}
    return [photo, *drawn], ["a photo", *(f"painted, noise {seed + 1}" for seed in range(3))], told


FIGURES = {texture_samples: 3, texture_worth: 4, batch_or_instance: 2, diversity_loss: 4, texture_painted: 2}
