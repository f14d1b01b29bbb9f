"""The one optimisation loop of the iterative methods: `synthesize` minimises an objective over a picture."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from numbers import Integral

import torch
from torch import Tensor

from .devices import is_out_of_memory
from .encoders import Encoder, load_encoder
from .images import Size, fit_size, resize, size_of
from .memory import check_memory, too_large
from .objective import BoundObjective, Match, Objective
from .run import Run, Step

SMALLEST_LEVEL = 112  # longer side in pixels: below it a picture has no strokes left
HISTORY = 12  # pairs of pictures that L-BFGS remembers
PICTURES = 2 * HISTORY + 8  # that a run keeps: the pairs, and what it works with
LINE_SEARCH = 20  # evaluations that one line search may take; PyTorch's default of 1 cuts it off
FIRST_MOVE = 0.02  # how far L-BFGS's first step moves a pixel on average, before it knows any curvature

# What a line search has tried: the picture, its value and slope (both rescaled), its terms and their shares.
Trial = tuple[Tensor, Tensor, Tensor, dict[str, Tensor], dict[str, float] | None]


def level_sizes(size: Size, levels: int | Iterable[int] | None = None) -> list[Size]:
    """The schedule of sizes, coarse to fine: halvings of (height, width) down to about 112 pixels.

    `levels`: how many, or their longer sides (the last one must be the picture's own). Raises ValueError else.
    """
    longer = max(size)
    if levels is None:
        levels = 1 + max(0, int(math.log2(max(longer, 1) / SMALLEST_LEVEL)))
    if isinstance(levels, int | Integral):
        if levels < 1:
            raise ValueError(f"levels: {levels}; a schedule has at least one level")
        levels = [round(longer / 2**k) for k in reversed(range(levels))]
    sides = list(levels)
    if not sides or sides[-1] != longer or sorted(set(sides)) != sides or sides[0] < 1:
        raise ValueError(f"levels: {sides} must grow, and end with the picture's longer side, {longer}")
    return [fit_size(*size, longer=side) if side != longer else (size[0], size[1]) for side in sides]


def share_budget(total: int, levels: int) -> list[int]:
    """How evaluations are spread over the levels: most where they are cheap; of too few, the finest have theirs."""
    weights = [1.6 ** (levels - k) for k in range(levels)]
    parts = [max(1, round(total * weight / sum(weights))) for weight in weights]
    parts[0] += total - sum(parts)
    while parts[0] < 1:  # fewer evaluations than levels: the finest ones keep theirs
        parts = parts[1:]
        parts[0] += total - sum(parts)
    return [0] * (levels - len(parts)) + parts


def synthesize(
    objective: Objective,
    encoder: str | Encoder = "mini",
    *,
    start: Tensor,
    steps: int = 200,
    size: int | None = None,
    levels: int | Iterable[int] | None = None,
    optimizer: str = "lbfgs",
    rate: float | None = None,
    shares: bool = False,
    keep_detail: bool = False,
    output: Callable[[Tensor], Tensor] | None = None,
    device: str | torch.device | None = None,
) -> Run[Tensor]:
    """Minimise an objective over the picture, from `start`, coarse to fine; gives a Run.

    start: (1, 3, H, W) in [0, 1]. steps: the budget of evaluations of the objective and its gradient. size: longer
    side of the result in pixels (default: the start's). levels: how many sizes, or their longer sides; 1 works at
    full size only. optimizer: "lbfgs" (strong Wolfe line search) or "adam" (`rate` 0.02). shares: also compute each
    term's share of the gradient (one backward pass for each term). keep_detail: from level to level only what has
    changed is enlarged, and the start x keeps its own detail, x + ↑(y − ↓x) for a coarse result y, like the coarse-grid
    correction of multigrid methods; for a start that is a picture, not noise. output: a map of pictures in [0, 1]
    that everything goes through which leaves the run (colours put back); the optimisation does not see it. Raises
    ValueError for a bad argument at once, MemoryError where the device cannot hold the run, FloatingPointError naming
    a term that stays non-finite.
    """
    if start.ndim != 4 or start.shape[:2] != (1, 3):
        raise ValueError(f"start: a picture is (1, 3, H, W); got {tuple(start.shape)}")
    if not start.is_floating_point():
        raise ValueError(f"start: a picture has floats in [0, 1]; got {start.dtype}")
    if not start.isfinite().all():
        raise ValueError("start: the picture has values that are not finite")
    if isinstance(steps, bool) or not math.isfinite(steps) or int(steps) != steps or steps < 1:
        raise ValueError(f"steps: {steps}; the budget of evaluations must be a whole number, at least 1")
    if optimizer not in ("lbfgs", "adam"):
        raise ValueError(f'optimizer: "{optimizer}" is neither "lbfgs" nor "adam"')
    if rate is not None and not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"rate: {rate}; it must be a positive number")
    if objective.batch_entries():
        raise ValueError(f"objective: its references {', '.join(objective.batch_entries())} are entries of a batch")
    longer = max(size_of(start)) if size is None else size
    final = fit_size(*size_of(start), longer=longer)
    sizes = level_sizes(final, levels)
    encoder = load_encoder(encoder, device=device)
    least = objective.smallest(encoder)
    if min(final) < least:
        raise ValueError(
            f"size: {final[1]}×{final[0]} pixels are too few for the layers of this objective; "
            f"each side needs at least {least}"
        )
    if levels is None:
        sizes = [s for s in sizes if min(s) >= least]
    elif min(sizes[0]) < least:
        raise ValueError(f"levels: {sizes[0][1]}×{sizes[0][0]} pixels are too few; each side needs at least {least}")
    learning = [t.name for t in objective.terms if isinstance(t, Match) and t.loss.learns and t.weight]
    if learning and optimizer == "lbfgs":
        raise ValueError(f"optimizer: {learning[0]} learns while the picture does, so L-BFGS cannot be used; take adam")
    check_room(objective, encoder, final)
    budget = list(zip(sizes, share_budget(int(steps), len(sizes)), strict=True))
    start = start.detach().to(encoder.device, torch.float32)
    return Run(_Work(objective, encoder, start, budget, optimizer, rate, shares, keep_detail, output))


def check_room(objective: Objective, encoder: Encoder, size: Size) -> None:
    """MemoryError, naming the size that would fit, where the device cannot hold a run at that size."""
    check_memory(encoder, objective.layers(), size, PICTURES)


class _Halt(Exception):
    """Raised inside an evaluation to leave an optimiser at once: stopped, or the budget is spent."""


@dataclass
class _Work:
    """The state of one run. Reads `halt`, writes `best`; everything else is its own."""

    objective: Objective
    encoder: Encoder
    start: Tensor
    budget: list[tuple[Size, int]]
    optimizer: str = "lbfgs"
    rate: float | None = None
    shares: bool = False
    keep_detail: bool = False
    output: Callable[[Tensor], Tensor] | None = None
    halt: threading.Event = field(default_factory=threading.Event)
    problem: "_Problem | None" = None
    evaluations: int = 0
    unit: str = "evaluation"

    @property
    def device(self) -> torch.device:
        return self.encoder.device

    @property
    def best(self) -> Tensor:
        """The best picture so far (1, 3, H, W) in [0, 1], at the requested size."""
        image = self.best_at(self.budget[-1][0]).detach().clamp(0, 1)
        return image if self.output is None else self.output(image)

    def best_at(self, size: Size) -> Tensor:
        """The best picture at another size; where detail is kept, the start with what has changed."""
        problem = self.problem  # read once: another thread may be a level further in a moment
        if problem is None or not self.keep_detail:
            return resize(self.start if problem is None else problem.best, size)
        best = problem.best
        if size_of(best) == size:
            return best
        changed = best - resize(self.start, size_of(best))
        return resize(self.start, size) + resize(changed, size)

    def steps(self) -> Iterator[Step]:
        number, total = 0, sum(evaluations for _, evaluations in self.budget)
        for index, (size, budget) in enumerate(self.budget):
            if budget == 0:
                continue
            short, level, problem = False, None, None
            try:
                level = self.objective.at(size, self.encoder, device=self.encoder.device)
                self.problem = problem = _Problem(self, level, self.best_at(size), budget)
                for _ in problem.minimise():
                    number += 1
                    yield Step(
                        number, total, self.evaluations, problem.terms, index, size,
                        problem.x.detach().clone(), problem.shares, self.output,
                    )  # fmt: skip
                problem.settle()
            except RuntimeError as error:
                short = is_out_of_memory(error)
                if not short:
                    raise
            if short:  # measured only here, when what was allocated is given back
                level = problem = None
                if self.problem is not None:
                    del self.problem.level
                raise MemoryError(too_large(self.encoder, self.objective.layers(), size, PICTURES, "out of memory"))
            if self.halt.is_set():
                return


class _Problem:
    """One level: a picture, its objective, the evaluations it may take, and the lowest value it has met."""

    def __init__(self, work: _Work, level: BoundObjective, image: Tensor, budget: int):
        self.work, self.level = work, level
        self.x = image.detach().clone().requires_grad_(True)
        self.seen = self.x.detach().clone()  # the picture that `terms` are of
        self.end = work.evaluations + budget
        self.lowest, self.best = math.inf, image.detach().clone()
        self.terms: dict[str, Tensor] = {}
        self.shares: dict[str, float] | None = None
        self.level.update(self.x, 0)
        self.taken = 0  # steps of the optimiser, by which the objective is updated

    def refresh(self) -> bool:
        """After a step: True if the objective is another one now; what was lowest before does not count any more."""
        self.taken += 1
        if not self.level.update(self.x, self.taken):
            return False
        self.lowest, self.best = math.inf, self.x.detach().clone()
        return True

    def evaluate(self) -> tuple[Tensor, Tensor]:
        """The scalar at x and its gradient, which is also x.grad: one evaluation of the budget."""
        if self.work.halt.is_set() or self.work.evaluations >= self.end:
            raise _Halt
        with torch.enable_grad():
            terms = self.level(self.x)
            total = sum(terms.values(), self.x.new_zeros(()))
            if self.work.shares:
                slopes = [
                    torch.autograd.grad(t, self.x, retain_graph=True, allow_unused=True)[0] for t in terms.values()
                ]
                slopes = [torch.zeros_like(self.x) if s is None else s for s in slopes]
                norms = torch.stack([s.norm() for s in slopes])
                shares = (norms / norms.sum().clamp(min=1e-30)).tolist()
                slope = sum(slopes, torch.zeros_like(self.x))
            else:
                (slope,) = torch.autograd.grad(total, self.x)
        self.work.evaluations += 1
        value = float(total.detach())
        if not math.isfinite(value) or not bool(slope.isfinite().all()):
            wrong = [name for name, term in terms.items() if not bool(term.isfinite())] or ["a gradient"]
            raise FloatingPointError(
                f"objective: the term {wrong[0]} is not finite after {self.work.evaluations} evaluations"
            )
        self.x.grad = slope = slope.contiguous()  # a channels_last one would stop L-BFGS, which views it as a vector
        self.seen, self.terms = self.x.detach().clone(), {name: term.detach() for name, term in terms.items()}
        if self.work.shares:
            self.shares = dict(zip(terms, shares, strict=True))
        if value < self.lowest:
            self.lowest, self.best = value, self.seen
        return total.detach(), slope

    def minimise(self) -> Iterator[None]:
        """Steps of the optimiser until the budget is spent; after a non-finite value once more, from the best."""
        for attempt in (1, 2):
            try:
                yield from self._lbfgs() if self.work.optimizer == "lbfgs" else self._adam()
                return
            except _Halt:
                if self.terms:  # a step that was cut off has moved on: go back to what was evaluated
                    self.x.data.copy_(self.seen)
                    yield
                return
            except FloatingPointError:
                if attempt == 2:
                    raise
                self.x.data.copy_(self.best)  # and a fresh optimiser: the history holds the way into the trouble

    def _lbfgs(self) -> Iterator[None]:
        # PyTorch's L-BFGS has absolute tolerances and stalls silently on small losses: they are off, and the scalar
        # is rescaled so that the gradient's mean size is 1 at the start (the picture then does not depend on it).
        first, slope = self.evaluate()
        scale = 1 / max(float(slope.abs().mean()), 1e-30)
        optimiser: torch.optim.Optimizer = torch.optim.LBFGS(
            [self.x], max_iter=1, max_eval=LINE_SEARCH, history_size=HISTORY, line_search_fn="strong_wolfe",
            tolerance_grad=0, tolerance_change=0,
        )  # fmt: skip
        settings = optimiser.param_groups[0]
        settings["lr"] = FIRST_MOVE * self.x.numel()  # the first step is −lr·g/|g|₁
        trials: list[Trial] = [(self.seen, first * scale, slope * scale, self.terms, self.shares)]
        yield

        def closure() -> float:
            # A step begins where the last line search has ended, at one of its trials: not evaluated twice.
            for place, value, slope, _, _ in trials:
                if torch.equal(place, self.x):
                    self.x.grad = slope
                    return float(value)
            value, slope = self.evaluate()
            value = value * scale
            trials.append((self.seen, value, slope.mul_(scale), self.terms, self.shares))
            return float(value)

        while self.work.evaluations < self.end:
            spent, place = self.work.evaluations, self.seen
            optimiser.step(closure)
            settings["lr"] = 1.0
            unmoved = torch.equal(place, self.x) and not self.level.changes
            trials = [trial for trial in trials if torch.equal(trial[0], self.x)]
            if trials:
                self.seen, *_, self.terms, self.shares = trials[0]
            if self.work.evaluations == spent or unmoved:
                return  # the line search found nothing lower: a minimum to rounding
            yield
            if self.refresh():
                before = trials[0][2] if trials else None
                value, slope = self.evaluate()
                trials = [(self.seen, value * scale, slope.mul_(scale), self.terms, self.shares)]
                # The next pair of the history is new gradient minus last one: let it be the old objective's, or none.
                last = optimiser.state[self.x]["prev_flat_grad"]
                last.add_((slope - before).flatten()) if before is not None else last.copy_(slope.flatten())

    def _adam(self) -> Iterator[None]:
        optimiser = torch.optim.Adam([self.x], lr=self.work.rate or 0.02)
        while self.work.evaluations < self.end:
            self.evaluate()
            yield
            optimiser.step()
            self.refresh()

    @torch.no_grad()
    def settle(self) -> None:
        """Choose the level's best picture: the finalists, lowest and last, are judged as they will be seen."""
        last = self.x.detach().clone()
        if any(match.loss.learns for match in self.level.matches):
            self.best = last  # values from before and after a lesson do not compare
        elif not torch.equal(self.best, last):
            values = [float(sum(self.level(image.clamp(0, 1)).values())) for image in (self.best, last)]
            if values[1] < values[0]:  # False for NaN
                self.best = last
