"""How soon coarse to fine gets to where the plain recipe ends: 300 evaluations of L-BFGS at full size.

Both start from the content and minimise the same objective with the same optimiser. Both are judged by the
same `BoundObjective` at full size, on the clamped picture. Clocks include everything a user waits for (targets, coarse
levels), and not the judging.
"""

import inspect
import math
from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor

from styletx import Encoder, Run, gatys, gatys_objective, load, load_encoder, resize, samples
from styletx.encoders import WEIGHTS
from styletx.images import fit_size
from styletx.objective import BoundObjective

from .measure import summary, synchronise

PAIRS = (("kodak-23", "starry-night"), ("bridge", "great-wave"), ("kodak-19", "the-scream"))
OFFLINE = (("china", "stained-glass"), ("astronaut", "flower"), ("chelsea", "coffee"))
BUDGETS = (100, 150, 200, 300, 400, 600)
PLAIN = 300
DEFAULT = inspect.signature(gatys).parameters["steps"].default


def run(device: torch.device, quick: bool = False) -> dict:
    """One row for each pair of pictures."""
    pairs = PAIRS if all(samples.available(name) for pair in PAIRS for name in pair) else OFFLINE
    weights = None if (WEIGHTS / "mini.safetensors").is_file() else "random"
    encoder = load_encoder("mini", weights=weights, device=device)
    size, plain, budgets, repeats = (96, 12, (6, 12, 24), 1) if quick else (512, PLAIN, BUDGETS, 3)
    rows = [row(*pair, encoder, size, plain, budgets, repeats) for pair in pairs[: 1 if quick else None]]
    named = "mini" if weights is None else "mini, random weights"
    return {"encoder": named, "size": size, "pairs": rows}


def row(
    content: str, style: str, encoder: Encoder, size: int, plain: int, budgets: tuple[int, ...], repeats: int
) -> dict:
    """One pair: where the plain run ends, the smallest budget that gets there, and the seconds of both."""
    pictures = load(content), load(style)
    final = fit_size(*pictures[0].shape[-2:], longer=size)
    level = gatys_objective(*pictures).at(final, encoder, encoder.device)
    settings = {"size": size, "encoder": encoder, "device": encoder.device}

    def plainly() -> dict:
        return timed(lambda: gatys(*pictures, steps=plain, levels=1, **settings), level)

    def coarsely(budget: int, goal: float) -> dict:
        return timed(lambda: gatys(*pictures, steps=budget, **settings), level, goal)

    gatys(*pictures, steps=3, **settings).finish(progress=False)  # warm-up
    first = plainly()
    goal, tried = first["objective"], []
    for budget in budgets:
        tried.append({"budget": budget} | coarsely(budget, goal))
        if tried[-1]["reached"] is not None:
            break
    default = {"budget": DEFAULT} | coarsely(DEFAULT, goal)
    plain_runs, coarse_runs = [first], [tried[-1]]
    for _ in range(repeats - 1):
        plain_runs.append(plainly())
        coarse_runs.append(coarsely(tried[-1]["budget"], goal))
    reached = all(found["reached"] is not None for found in coarse_runs)
    plain_seconds = summary([found["seconds"] for found in plain_runs])
    coarse_seconds = summary([found["reached"] for found in coarse_runs]) if reached else None
    return {
        "content": content,
        "style": style,
        "pixels": list(final),
        "objective at the start": value(level, pictures[0]),
        "plain": {
            "objective": goal,
            "evaluations": first["evaluations"],
            "asked": plain,
            "seconds": plain_seconds,
        },
        "coarse to fine": {"budget": tried[-1]["budget"], "tried": tried, "seconds": coarse_seconds},
        "default": default,
        "ratio": coarse_seconds["median"] / plain_seconds["median"] if reached else None,
    }


def timed(begin: Callable[[], Run], level: BoundObjective, goal: float = -math.inf) -> dict:
    """A run to its end: its seconds, evaluations and objective, and when it first was at the goal or below.

    The clock stands still while a step at full size is judged.
    """
    reached, judging, evaluations = None, 0.0, 0
    device = level.device
    synchronise(device)
    start = perf_counter()
    run = begin()
    for step in run:
        evaluations = step.evaluations
        if reached is None and goal > -math.inf and tuple(step.size) == level.size:
            synchronise(device)
            pause = perf_counter()
            if value(level, step.image) <= goal:
                reached = pause - start - judging
            synchronise(device)
            judging += perf_counter() - pause
    best = run.best
    synchronise(device)
    seconds = perf_counter() - start - judging
    objective = value(level, best)
    if reached is None and objective <= goal:  # only the settled picture is as good
        reached = seconds
    return {"seconds": seconds, "evaluations": evaluations, "objective": objective, "reached": reached}


@torch.no_grad()
def value(level: BoundObjective, image: Tensor) -> float:
    """The objective at full size of a picture as it will be seen: resized to that size and clamped."""
    return float(sum(level(resize(image.to(level.device), level.size).clamp(0, 1)).values()))
