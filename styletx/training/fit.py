"""The one training loop: seeded, checkpointed, resumed where it stopped."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn


class Stateful(Protocol):
    """Anything that can be put away and taken up again."""

    def state_dict(self) -> dict: ...
    def load_state_dict(self, state: dict) -> object: ...


@dataclass(frozen=True)
class Progress:
    """One training step: its number out of `total`, the loss terms, the seconds since the (re)start."""

    number: int
    total: int
    losses: dict[str, float]
    seconds: float


def one_cycle(number: int, total: int, warmup: float = 0.05) -> float:
    """The learning rate's factor: up linearly over the first 5% of the steps, then down a cosine to zero."""
    rise = max(1, round(total * warmup))
    if number < rise:
        return (number + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (number - rise) / max(1, total - rise)))


def fit(
    losses: Callable[[torch.Generator], dict[str, Tensor]],
    modules: dict[str, nn.Module],
    *,
    steps: int,
    rate: float = 1e-3,
    clip: float = 1.0,
    seed: int = 0,
    optimizer: Callable[..., torch.optim.Optimizer] | None = None,
    keep: dict[str, Stateful] | None = None,
    checkpoint: Path | None = None,
    every: int = 250,
) -> Iterator[Progress]:
    """Minimise the sum of `losses(generator)` over the modules' parameters, one yield per step.

    `optimizer(parameters, lr=rate)` makes the optimiser; without one it is AdamW with a weight decay of 10⁻⁴.
    `losses` draws its own batch with the generator it is given, and returns the terms by name. With a `checkpoint`
    file, everything (modules, optimiser, generator, and what `keep` names) is saved every `every` steps and at the
    end, and a later call with the same file goes on from there, to the same weights as an uninterrupted one.
    Raises ValueError for fewer than one step and for a checkpoint of something else, and FloatingPointError naming a
    term that is not finite.
    """
    if steps < 1:
        raise ValueError(f"steps: {steps} is not a number of steps; it must be at least 1")
    parameters = [p for module in modules.values() for p in module.parameters() if p.requires_grad]
    make = optimizer or partial(torch.optim.AdamW, weight_decay=1e-4)
    optimiser = make(parameters, lr=rate)
    generator = torch.Generator().manual_seed(seed)
    parts: dict[str, Stateful] = {**modules, "optimiser": optimiser, **(keep or {})}
    first = 0
    if checkpoint is not None and checkpoint.is_file():
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        try:
            for name, part in parts.items():
                part.load_state_dict(saved["parts"][name])
            generator.set_state(saved["generator"])
            first = saved["number"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{checkpoint}: of another training ({str(error).splitlines()[0]}); begin anew") from None

    def save(number: int) -> None:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        state = {name: part.state_dict() for name, part in parts.items()}
        fresh = checkpoint.with_suffix(".new")  # renamed when complete: a cut in between leaves the old one whole
        torch.save({"parts": state, "generator": generator.get_state(), "number": number}, fresh)
        fresh.replace(checkpoint)

    start = time.monotonic()
    for number in range(first, steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * one_cycle(number, steps)
        terms = losses(generator)
        optimiser.zero_grad(set_to_none=True)
        sum(terms.values()).backward()
        norm = nn.utils.clip_grad_norm_(parameters, clip)
        values = {name: float(term.detach()) for name, term in terms.items()}
        if not math.isfinite(float(norm)):
            wrong = [name for name, value in values.items() if not math.isfinite(value)] or ["a gradient"]
            raise FloatingPointError(f"training: {wrong[0]} is not finite at step {number + 1}; lower the rate")
        optimiser.step()
        if checkpoint is not None and ((number + 1) % every == 0 or number + 1 == steps):
            save(number + 1)
        yield Progress(number + 1, steps, values, time.monotonic() - start)
