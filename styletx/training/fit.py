"""The one training loop: seeded, checkpointed, resumed where it stopped; on one device, or on many machines.

`train` minimises whatever losses it is given; `fit` teaches a network to make, of photographs, what an objective asks.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..checks import check_whole
from ..encoders import Encoder, load_encoder
from ..images import Size, size_of
from ..objective import Objective
from ..run import Run, Step
from .machines import Alone, Machines
from .photos import Feed, Photos


class Stateful(Protocol):
    """Anything that can be put away and taken up again."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> object: ...


def one_cycle(number: int, total: int, warmup: float = 0.05) -> float:
    """The learning rate's factor: up linearly over the first 5% of the steps, then down a cosine to zero."""
    rise = max(1, round(total * warmup))
    if number < rise:
        return (number + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (number - rise) / max(1, total - rise)))


def falling(number: int, total: int) -> float:
    """Ulyanov et al.'s: 1 for half of the steps, then 0.7, and 0.7 times that after each further tenth of them.

    Of 2,000 steps: 0.7 at step 1,000, 0.49 at step 1,200 ...
    """
    return 0.7 ** max(0, 1 + math.floor((number - total / 2) / (total / 10)))


def train(
    losses: Callable[[torch.Generator], dict[str, Tensor]],
    modules: dict[str, nn.Module],
    *,
    steps: int,
    rate: float = 1e-3,
    clip: float = 1.0,
    seed: int = 0,
    optimizer: Callable[..., torch.optim.Optimizer] | None = None,
    keep: dict[str, Stateful] | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 250,
    identity: Mapping[str, object] | None = None,
    machines: Machines | None = None,
    preview: Callable[[], Tensor] | None = None,
    preview_every: int = 25,
    schedule: Callable[[int, int], float] = one_cycle,
) -> Run[dict[str, nn.Module]]:
    """Minimise the sum of `losses(generator)` over the modules' parameters; a Run whose `best` is the modules.

    `optimizer(parameters, lr=rate)` makes the optimiser; without one it is AdamW with a weight decay of 10⁻⁴. Its rate
    is multiplied by `schedule(number, steps)`. `losses` draws its own batch with the generator it is given, and returns
    the terms by name. With a `checkpoint` file, everything (modules, optimiser, generator, and what `keep` names) is
    saved after so many steps, when the run is stopped, and at the end; a later call with the same arguments and file
    goes on from there, on a CPU to the same weights as an uninterrupted one. `identity` says in words what is being
    trained. `preview` makes the picture that every so many steps, and the last one, show. On several `machines`, each
    makes its own part of the gradient.
    Raises ValueError for fewer than one step and for a checkpoint that is damaged or of something else, and, while it
    runs, FloatingPointError naming a term that is not finite.
    """
    check_whole("steps", steps, 1)
    check_whole("checkpoint_every", checkpoint_every, 1)
    check_whole("preview_every", preview_every, 1)
    parameters = [p for module in modules.values() for p in module.parameters() if p.requires_grad]
    make = optimizer or partial(torch.optim.AdamW, weight_decay=1e-4)
    work = _Training(
        losses, modules, steps, rate, clip, parameters, make(parameters, lr=rate),
        torch.Generator().manual_seed(seed), keep or {}, Path(checkpoint) if checkpoint else None, checkpoint_every,
        {name: str(value) for name, value in (identity or {}).items()}, machines or Alone(), preview, preview_every,
        schedule,
    )  # fmt: skip
    if work.checkpoint is not None and work.checkpoint.is_file():
        work.load()
    # Else one of them would wait for the others for ever.
    begun = work.machines.any(work.evaluations > 0)
    if work.machines.any(begun and not work.evaluations):
        raise ValueError(f"{checkpoint}: not there on every machine; they need one folder in common")
    return Run(work)


def fit(
    network: nn.Module,
    objective: Objective,
    photos: Photos,
    *,
    steps: int,
    batch: int = 4,
    rate: float = 1e-3,
    degrade: Callable[[Tensor], Tensor] | None = None,
    encoder: str | Encoder = "mini",
    clip: float = 10.0,
    workers: int = 0,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 250,
    identity: Mapping[str, object] | None = None,
    preview: Tensor | None = None,
    preview_every: int = 25,
    optimizer: Callable[..., torch.optim.Optimizer] | None = None,
    machines: Machines | None = None,
    schedule: Callable[[int, int], float] = one_cycle,
    device: str | torch.device | None = None,
) -> Run[dict[str, nn.Module]]:
    """Teach a network: what it makes of photos is to have a low objective; a Run whose `best` is {"network": network}.

    Each step looks at `batch` crops x of the photos; the network is given x, or a smaller or worse `degrade(x)`, and
    what it makes is compared as the objective says, in which every reference that is named ("content") is x. Where the
    objective chooses among references, so does each crop at random, and the network is told: network(x, chosen). One
    that has a `noise` of its own (a `TextureNet`) is given some before: network(noise, x). The loss is the mean over
    the crops, and its relative weights are those of the first crops (`Feed.first`). The photos come in the order that
    their own seed decides, decoded in so many `workers` (processes; a script needs its `__main__` guard for them); one
    that was stopped goes on with the batch that it would have had next. The network is left in training mode.
    `preview`: a photo (1, 3, H, W); every so many steps show what is made of it. On several `machines` (see there) a
    batch is divided among them, and norms over a batch see their own part; else as in `train`.
    Raises ValueError also for a loss or view that is drawn anew or learns while a picture is optimised.
    Source: Johnson, Alahi & Fei-Fei 2016, Fig. 2.
    """
    machines = machines or Alone()
    looking = machines.look(load_encoder(encoder, device=machines.device or device))
    network.to(looking.device).train()
    feed = Feed(photos, batch, workers, machines.number, machines.count)
    bound = objective.at((photos.side, photos.side), looking)
    if bound.changes:
        raise ValueError("objective: one of its losses or views is drawn anew or learns; a network cannot follow that")
    first = feed.first().to(looking.device)
    choices = objective.choices()
    none = {name: torch.zeros(len(first), dtype=torch.int64) for name in choices}
    with torch.no_grad():  # which fixes the denominators
        bound(first, dict.fromkeys(objective.batch_entries(), first) | none)

    noise = getattr(network, "noise", None)

    def inputs(x: Tensor, generator: torch.Generator) -> tuple[Any, ...]:
        x = x if degrade is None else degrade(x)
        if noise is None:
            return (x,)
        # Like what is chosen below: drawn for the whole batch.
        drawn = noise(len(x) * machines.count, size_of(x), generator)
        return [machines.part(z) for z in drawn], x

    shared = machines.share(network)  # the same parameters; its gradients are the mean over the machines

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        image = next(feed).to(looking.device)
        # Drawn for the whole batch, so that however many machines there are, each photo is given the same style.
        drawn = {name: torch.randint(count, (batch,), generator=generator) for name, count in choices.items()}
        drawn = {name: machines.part(chosen).to(looking.device) for name, chosen in drawn.items()}
        made = shared(*inputs(image, generator), *drawn.values())
        return bound(made.float(), dict.fromkeys(objective.batch_entries(), image) | drawn)

    @torch.no_grad()
    def look() -> Tensor:
        assert preview is not None
        photo = preview.to(looking.device, torch.float32)
        first_ones = [torch.zeros(1, dtype=torch.int64, device=looking.device) for _ in choices]
        photo = photo if degrade is None else degrade(photo)
        still = [] if noise is None else [noise(1, size_of(photo), torch.Generator().manual_seed(seed))]
        made: Tensor = network.eval()(*still, photo, *first_ones)
        network.train()
        return made.float().cpu()

    return train(
        losses, {"network": network}, steps=steps, rate=rate, clip=clip, seed=seed, keep={"photos": feed},
        optimizer=optimizer or partial(torch.optim.Adam, betas=(0.9, 0.99)), checkpoint=checkpoint,
        checkpoint_every=checkpoint_every, machines=machines, preview=None if preview is None else look,
        preview_every=preview_every, schedule=schedule,
        identity={"photos": len(photos.paths), "side": photos.side, "order": photos.seed, "batch": batch,
                  "measured on": len(first), "encoder": looking.name, **(identity or {})},
    )  # fmt: skip


@dataclass
class _Training:
    """The state of one training; `best` is what it trains."""

    losses: Callable[[torch.Generator], dict[str, Tensor]]
    modules: dict[str, nn.Module]
    total: int
    rate: float
    clip: float
    parameters: list[nn.Parameter]
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    keep: dict[str, Stateful]
    checkpoint: Path | None
    checkpoint_every: int
    identity: dict[str, str]
    machines: Machines
    preview: Callable[[], Tensor] | None
    preview_every: int
    schedule: Callable[[int, int], float]
    evaluations: int = 0
    halt: threading.Event = field(default_factory=threading.Event)
    unit: str = "step"

    @property
    def budget(self) -> list[tuple[Size, int]]:
        return [((1, 1), self.total)]  # every step costs the same

    @property
    def device(self) -> torch.device:
        return self.parameters[0].device

    @property
    def best(self) -> dict[str, nn.Module]:
        return self.modules

    def parts(self) -> dict[str, Stateful]:
        """All that a training has to remember, beside the generator."""
        scaled = {"machines": self.machines} if self.machines.state_dict() else {}
        return {**self.modules, "optimiser": self.optimiser, **scaled, **self.keep}

    def load(self) -> None:
        assert self.checkpoint is not None
        try:
            saved = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            other = [name for name, value in self.identity.items() if saved["identity"].get(name) != value]
            if other:
                raise ValueError(f"{other[0]} was {saved['identity'].get(other[0])}, is {self.identity[other[0]]}")
            for name, part in self.parts().items():
                part.load_state_dict(saved["parts"][name])
            self.generator.set_state(saved["generator"])
            self.evaluations = saved["number"]
        except (KeyError, TypeError, ValueError, RuntimeError, EOFError, UnpicklingError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"{self.checkpoint}: damaged, or of another training ({reason}); begin anew") from None

    def save(self) -> None:
        if self.checkpoint is None or self.machines.number:  # all of them have the same; the first one writes
            return
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        state = {name: part.state_dict() for name, part in self.parts().items()}
        fresh = self.checkpoint.with_name(self.checkpoint.name + ".new")  # renamed when complete: a cut leaves the old
        told = {"generator": self.generator.get_state(), "number": self.evaluations, "identity": self.identity}
        try:
            torch.save({"parts": state, **told}, fresh)
        except RuntimeError as error:  # torch's word for a place that cannot be written to, or is full
            raise OSError(f"{self.checkpoint}: cannot be written ({str(error).splitlines()[0]})") from None
        fresh.replace(self.checkpoint)

    def steps(self) -> Iterator[Step]:
        try:
            yield from self._steps()
        finally:
            for part in self.keep.values():
                getattr(part, "close", lambda: None)()

    def _steps(self) -> Iterator[Step]:
        while self.evaluations < self.total:
            if self.machines.any(self.halt.is_set()):
                self.halt.set()
                self.save()
                return
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate * self.schedule(self.evaluations, self.total)
            terms = self.losses(self.generator)
            self.optimiser.zero_grad(set_to_none=True)
            self.machines.backward(sum(terms.values(), torch.zeros((), device=self.device)))
            norm = self.machines.clip(self.parameters, self.clip, self.optimiser)
            if not math.isfinite(norm):
                wrong = [name for name, term in terms.items() if not bool(term.isfinite().all())] or ["a gradient"]
                raise FloatingPointError(
                    f"training: {wrong[0]} is not finite at step {self.evaluations + 1}; lower the rate"
                )
            self.machines.step(self.optimiser)
            self.evaluations += 1
            last = self.evaluations == self.total
            if self.evaluations % self.checkpoint_every == 0 or last:
                self.save()
            raw = None
            if self.preview is not None and (self.evaluations % self.preview_every == 0 or last):
                raw = self.preview()
            yield Step(
                self.evaluations, self.total, self.evaluations, {name: term.detach() for name, term in terms.items()},
                size=None if raw is None else size_of(raw), raw=raw,
            )  # fmt: skip
