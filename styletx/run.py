"""What every iterative work gives: a Run of Steps, to be watched, stopped and finished in one way.

    for step in run:
        panel.show(step)                 # whoever leaves the loop may go on later, or take the best there is

A progress bar, a widget, a test, the command line and a lecture's `for` loop all read this one stream, of a picture
that is optimised (`synthesize`) as of a network that is trained (`fit`).
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from .images import Size, to_png

Result = TypeVar("Result", covariant=True)


@dataclass(frozen=True)
class Step:
    """One step of a run: where it is, what it has cost, what the terms are, and the picture.

    `evaluations` out of `total` have been spent; `level` counts the sizes from 0; `terms` stay on the device until
    they are read (`losses` reads them). `shares` is each term's part of the gradient's norm, where asked for. `raw` is
    the picture inside an optimisation, where values may leave [0, 1]; a training without previews has none.
    """

    number: int
    total: int
    evaluations: int
    terms: dict[str, Tensor]
    level: int = 0
    size: Size | None = None
    raw: Tensor | None = field(default=None, repr=False)
    shares: dict[str, float] | None = None
    output: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)

    @property
    def image(self) -> Tensor:
        """The picture at this step, in [0, 1]; ValueError where the work makes none."""
        if self.raw is None:
            raise ValueError("image: this run makes no picture on its way")
        image = self.raw.clamp(0, 1)
        return image if self.output is None else self.output(image)

    @property
    def losses(self) -> dict[str, float]:
        """The weighted terms as numbers."""
        return {name: float(value) for name, value in self.terms.items()}

    @property
    def loss(self) -> float:
        """The weighted sum that is minimised."""
        return sum(self.losses.values())


class Work(Protocol[Result]):
    """What a Run drives.

    `budget`: the sizes that are worked at, coarse to fine, with the evaluations meant for each. `steps` spends them,
    and ends soon after `halt` is set. `best`: the result so far, at any time.
    """

    halt: threading.Event
    unit: str

    @property
    def budget(self) -> list[tuple[Size, int]]: ...

    @property
    def evaluations(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def best(self) -> Result: ...

    def steps(self) -> Iterator[Step]: ...


class Run(Generic[Result]):
    """A run in progress: iterate over its Steps, `finish` it, or `stop` it from another thread.

    `best` is the best result so far: a picture (1, 3, H, W) in [0, 1] at the size that was asked for, or what is being
    trained.
    """

    def __init__(self, work: Work[Result]):
        self._work = work
        self._steps = work.steps()
        self.schedule = work.budget
        self.total = sum(evaluations for _, evaluations in work.budget)
        self.device = work.device

    @property
    def unit(self) -> str:
        """What is counted: evaluations of an objective, or steps of a training."""
        return self._work.unit

    @property
    def evaluations(self) -> int:
        """How many evaluations have been spent."""
        return self._work.evaluations

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop (by `stop`, or by Ctrl-C in `finish`) before its budget was spent."""
        return self._work.halt.is_set() and self.evaluations < self.total

    def __iter__(self) -> Iterator[Step]:
        return self

    def __next__(self) -> Step:
        return next(self._steps)

    def stop(self) -> None:
        """End the run at the next evaluation, also inside a line search; safe from any thread."""
        self._work.halt.set()

    @property
    def best(self) -> Result:
        """The best result so far."""
        return self._work.best

    def finish(self, progress: bool = True, each: Callable[[Step], object] | None = None, name: str = "") -> Result:
        """Run to the end, with a progress bar if wanted, and give the best result.

        each: called with every step. name: what stands before the bar (default: the device). Ctrl-C ends the run after
        the evaluation that it is at, and still gives the result; a second one is raised. Raises what a step raises,
        such as FloatingPointError and MemoryError.
        """
        from tqdm.auto import tqdm

        bar = tqdm(total=self.total, initial=self.evaluations, disable=not progress, unit=self.unit[:4],
                   desc=name or str(self.device))  # fmt: skip
        with bar, _interrupts(self.stop):
            try:
                for step in self:
                    if each is not None:
                        each(step)
                    bar.update(step.evaluations - bar.n)
                    shown = {} if step.size is None else {"size": f"{step.size[1]}×{step.size[0]}"}
                    bar.set_postfix(shown, loss=f"{step.loss:.4g}", refresh=False)
            except KeyboardInterrupt:
                self.stop()
        return self.best

    def _repr_png_(self) -> bytes | None:
        best = self.best
        return to_png(best) if isinstance(best, Tensor) else None


@contextlib.contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C calls `stop` and nothing else: an exception in the middle of a step would lose that step."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def first(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        stop()

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
