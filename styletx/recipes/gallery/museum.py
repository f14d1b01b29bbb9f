"""The strips of lecture 05: one photo and one painting in every room of the museum, and what each loss costs."""

import json
import subprocess
import sys
import time
from statistics import median

import torch
import torch.nn.functional as F

from ...course.figures import heat
from ...encoders import load_encoder
from ...evaluation.litmus import truth_table
from ...images import luminance, noise_like, resize, size_of
from ...losses import (
    STYLE_LOSSES,
    content_loss,
    gram_loss,
    histogram_loss,
    laplacian_loss,
    total_variation,
    value_range,
)
from ...memory import resident
from ...methods.classics import quilt
from ...methods.gatys import RANGE_WEIGHT, STYLE_LAYERS, STYLE_WEIGHT, TV_WEIGHT, gatys
from ...networks import depth_encoder, depth_loss
from ...objective import Energy, Match, Objective
from ...samples import load
from ...synthesis import synthesize
from ..depth import judge
from . import PAINTING, PHOTO, SIZE, TITLES, Strip


def before_networks() -> Strip:
    """One texture made again by a pyramid's histograms, by quilting, by Gram matrices."""
    texture = resize(load("gravel"), 192)
    pyramid = load_encoder("laplacian")
    bands = [name for name in pyramid.layers if name.startswith("band")] + ["input"]
    objective = Objective(Match(histogram_loss, texture, bands), Energy(value_range, RANGE_WEIGHT))
    noise = noise_like(texture, 0)[:, :1].expand(-1, 3, -1, -1).contiguous()  # a grey texture
    histograms = synthesize(objective, pyramid, start=noise, steps=150, levels=1).finish(progress=False)
    sewn = quilt(texture, (192, 192), patch=48, overlap=12)
    smooth = Energy(total_variation, TV_WEIGHT)  # without it the noise leaves a crosshatch that no layer sees
    objective = Objective(Match(gram_loss, texture, STYLE_LAYERS), smooth, Energy(value_range, RANGE_WEIGHT))
    network = synthesize(objective, start=noise, steps=300, levels=1).finish(progress=False)  # the same noise
    captions = ["the texture", "histograms, 1995", "quilting, 2001", "Gram matrices, 2015"]
    return [texture, histograms, sewn, network], captions, {}


def museum() -> Strip:
    """The same content, style and weights under every style loss."""
    pictures, seconds = [load(PHOTO), load(PAINTING)], {}
    for name in STYLE_LOSSES:
        start = time.monotonic()
        pictures.append(gatys(PHOTO, PAINTING, size=SIZE, loss=name).finish(progress=False))
        seconds[name] = time.monotonic() - start
    return pictures, [TITLES[PHOTO], TITLES[PAINTING], *STYLE_LOSSES], {"seconds": seconds}


def museum_cost() -> Strip:
    """Numbers only: seconds and memory of an evaluation with its gradient, each loss in an interpreter of its own."""
    cost: dict[str, dict[int, dict[str, float]]] = {}
    for name in STYLE_LOSSES:
        cost[name] = {}
        for size in (256, 512):
            call = f"from styletx.recipes.gallery.museum import measure; measure({name!r}, {size})"
            done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"cost of {name} at {size}: {done.stderr[-2000:]}")
            cost[name][size] = json.loads(done.stdout.splitlines()[-1])
    return [], [], {"cost": cost}


def measure(name: str, size: int) -> None:
    """Print the median seconds of an evaluation with its gradient, and by how many bytes memory grew at its peak."""
    loss, layers = STYLE_LOSSES[name]
    photo, painting = resize(load(PHOTO), size), load(PAINTING)
    encoder = load_encoder("mini")
    objective = Objective(Match(loss, painting, layers or STYLE_LAYERS))
    x, seconds = photo.to(encoder.device).requires_grad_(True), []
    before = peak_memory(encoder.device, reset=True)
    level = objective.at(size_of(photo), encoder)
    level.update(x, 0)
    for _ in range(4):
        start = time.perf_counter()
        (slope,) = torch.autograd.grad(sum(level(x).values(), torch.zeros((), device=x.device)), x)
        float(slope.sum())  # waits for the device
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": median(seconds[1:]), "memory": peak_memory(encoder.device) - before}))


def peak_memory(device: torch.device, reset: bool = False) -> int:
    """Bytes at the highest since the last reset: the allocator's on CUDA, the process's elsewhere."""
    if device.type != "cuda":
        return resident(highest=not reset, reset=reset)
    if reset:
        torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.max_memory_allocated(device)


def stability() -> Strip:
    """Numbers only: how far ten textures from ten noise starts spread, with and without what is said to steady them.

    Spread: the standard deviation over seeds, of the mean colour (mean over channels), and of the local contrast
    (standard deviations in 16×16 windows) relative to its mean.
    """
    painting, photo = load(PAINTING), resize(load(PHOTO), 128)
    terms: dict[str, list[Match | Energy]] = {
        "Gram": [],
        "Gram, total variation": [Energy(total_variation, TV_WEIGHT)],
        "Gram, histogram": [Match(histogram_loss, painting, STYLE_LAYERS, weight=STYLE_WEIGHT)],
    }
    spread = {}
    for name, more in terms.items():
        objective = Objective(
            Match(gram_loss, painting, STYLE_LAYERS, weight=STYLE_WEIGHT), Energy(value_range, RANGE_WEIGHT), *more
        )
        runs = (synthesize(objective, start=noise_like(photo, seed), steps=120) for seed in range(10))
        results = torch.cat([run.finish(progress=False) for run in runs]).cpu()
        windows = F.unfold(luminance(results), 16, stride=16)
        contrast = windows.std(1).flatten(1)
        spread[name] = {
            "mean colour": float(results.mean((2, 3)).std(0).mean()),
            "local contrast": float(contrast.mean(1).std() / contrast.mean()),
            "unevenness": float((contrast.std(1) / contrast.mean(1)).mean()),
        }
    return [], [], {"spread": spread}


def structure() -> Strip:
    """Gram matrices alone, with the photo's edges, with its depth; and the depth that the network sees in each."""
    photo, look = resize(load("kodak-08"), SIZE), depth_encoder()
    keepers: dict[str, list[Match]] = {
        "Gram alone": [],
        "with the photo's edges": [Match(laplacian_loss, photo, "input", weight=5.0)],
        "with the photo's depth": [Match(depth_loss, photo, "depth", weight=10.0, encoder=look)],
    }
    pictures, changes = [photo], {}
    for name, more in keepers.items():
        objective = Objective(
            Match(content_loss, photo, "relu4_2"),
            Match(gram_loss, load(PAINTING), STYLE_LAYERS, weight=STYLE_WEIGHT / 5),
            Energy(total_variation, TV_WEIGHT),
            Energy(value_range, RANGE_WEIGHT),
            *more,
        )
        pictures.append(synthesize(objective, start=photo, steps=200).finish(progress=False).cpu())
    with torch.no_grad():
        maps = [look(p.to(look.device), "depth")["depth"][0].cpu() for p in pictures]
    low, high = float(maps[0].min()), float(maps[0].max())
    changes = {name: float((m - maps[0]).square().mean()) for name, m in zip(keepers, maps[1:], strict=True)}
    captions = ["the photo", *keepers, *["its depth, as the network sees it"] * len(maps)]
    return [*pictures, *(heat(m, low, high) for m in maps)], captions, {"change of depth": changes}


def litmus() -> Strip:
    """Numbers only: which style loss sees which difference."""
    return [], [], {"seen": truth_table(load_encoder("mini", device="cpu"))}


def depth_judged() -> Strip:
    """Numbers only: the depth network and two guesses on 60 scenes it has never seen."""
    return [], [], {"judged": judge(60)}


FIGURES = {litmus: 1, before_networks: 4, museum: 3, museum_cost: 1, stability: 1, structure: 4, depth_judged: 1}
