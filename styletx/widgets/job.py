"""How a run is driven: by a thread, by a heartbeat or by clicks. All of them call `Job.advance`.

A loop in a button's handler would never see Stop. A thread does, in JupyterLab and Voilà; in Colab what a thread
sends may not be shown, so there the browser ticks (ipywidgets' Play) and each tick's handler does a slice of work.
"""

import contextvars
import sys
import threading
import time
import traceback
from collections.abc import Callable

from torch import Tensor

from ..devices import is_out_of_memory
from ..images import resize
from ..run import Run, Step
from ..samples import picture
from .strip import MOMENTS, Frame

DRIVES = ("thread", "heartbeat", "slice")
FRAME = 512  # longer side that a kept moment has at most
TICK, SLICE = 0.4, 5.0  # seconds of work in a tick, and in a click


def automatic() -> str:
    """The drive that holds here: in Colab what a thread sends may not be shown (colabtools #3373)."""
    return "heartbeat" if "google.colab" in sys.modules else "thread"


class Job:
    """One run of a method, advanced a step at a time by whoever drives it.

    start: gives a Run, or (a direct method) the picture itself. changed: called after each step, and at the end. Once
    it is over it keeps pictures and numbers only: a panel lives as long as its notebook, and networks are large.
    """

    def __init__(self, start: Callable[[], Run | Tensor], changed: Callable[["Job"], None]):
        self._start: Callable[[], Run | Tensor] | None = start
        self._changed = changed
        self._lock, self._halt, self._over = threading.Lock(), threading.Event(), False
        self._told = threading.Event()
        self.run: Run | None = None
        self.step: Step | None = None
        self.image: Tensor | None = None
        self.error: BaseException | None = None
        self.evaluations = self.total = 0
        self.unit = "evaluation"
        self.took, self.began = 0.0, time.monotonic()
        self.frames: list[Frame] = []
        self._history: list[tuple[int, int, dict]] = []
        self._read = 0

    @property
    def over(self) -> bool:
        return self._over

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop, or failed, before its budget was spent."""
        return (self._halt.is_set() or self.error is not None) and (self.image is None or self.evaluations < self.total)

    def wait(self, timeout: float | None = None) -> bool:
        """Until it is over and `changed` knows (the result is on the page); False after `timeout` seconds."""
        return self._told.wait(timeout)

    def stop(self) -> None:
        """End at the next evaluation; safe from any thread."""
        self._halt.set()
        run = self.run
        if run is not None:
            run.stop()

    def advance(self) -> bool:
        """One step more; False when there is none. Only Ctrl-C is raised: `error` holds what else went wrong.

        Messages may overlap (JupyterLab's subshells): who comes while a step is being made goes away again.
        """
        if self.over or not self._lock.acquire(blocking=False):
            return False
        try:
            self._advance()
        except KeyboardInterrupt:
            raise  # to Panel.run, which stops the run and keeps its best picture
        except BaseException as error:  # in a thread nobody else would see it
            self._fail(error)
        finally:
            self._lock.release()
        try:
            self._tell()
        finally:
            if self.over:
                self._told.set()
        return not self.over

    def _tell(self) -> None:
        try:
            self._changed(self)
        except Exception as error:  # a picture that cannot be shown, or no memory for it
            if self.error is not None:
                raise
            self._fail(error)
            self._changed(self)

    def advance_for(self, seconds: float) -> None:
        """Steps for so many seconds, a tick's or a click's worth; getting ready does not count."""
        if self.run is None:
            self.advance()
        end = time.monotonic() + seconds
        while self.advance() and time.monotonic() < end:
            pass

    def drain(self) -> None:
        """All steps."""
        while self.advance():
            pass

    def interrupted(self) -> None:
        """What Ctrl-C asks for: stop, keep the best picture; and be over, and shown so, also after a second one."""
        if not self.over:
            self.stop()
        try:
            self.drain()
        finally:
            self._close()
            try:
                self._changed(self)
            finally:
                self._told.set()

    def drain_in_thread(self) -> None:
        """All steps, in a daemon thread that has this one's context (without it ipykernel loses its output)."""
        threading.Thread(target=contextvars.copy_context().run, args=(self.drain,), daemon=True).start()

    def _advance(self) -> None:
        run = self.run
        if run is None:
            # Interrupted while it was getting ready, or ended by another thread: not begun anew.
            if self._halt.is_set() or self._start is None:
                return self._close()
            made = self._start()
            if isinstance(made, Tensor):
                image, self.total = picture(made, argument="result"), 1
                return self._end(image, 1)
            self.run, self.total, self.began = made, made.total, time.monotonic()
            self.unit = made.unit
            self._keep(made.best, 0, "start")
            if self._halt.is_set():
                made.stop()
            return None
        step = next(run, None)
        if step is None:
            return self._end(run.best, run.evaluations)
        self.step = step
        self._history.append((step.evaluations, step.level, step.terms))
        due = MOMENTS[min(len(self.frames), len(MOMENTS) - 1)] * self.total
        if len(self.frames) < len(MOMENTS) - 1 and step.evaluations >= due:
            self._keep(step.image, step.evaluations, f"after {step.evaluations} of {self.total} {self.unit}s")
        return None

    def _keep(self, image: Tensor, evaluations: int, caption: str) -> None:
        height, width = image.shape[-2:]
        small = (resize(image, FRAME) if max(height, width) > FRAME else image).detach().cpu()
        self.frames.append(Frame(small, evaluations, f"{caption} · {width}×{height} px", self.unit))

    def _end(self, image: Tensor, spent: int) -> None:
        self.image, self.evaluations = image, spent
        self._keep(image, spent, f"result, {spent} {self.unit}s" if self.step else "result")
        self._close()

    def _fail(self, error: BaseException) -> None:
        if is_out_of_memory(error):
            traceback.clear_frames(error.__traceback__)  # what failed for want of memory must not keep it
        self.error = error
        if self.run is not None and self.image is None:  # hours of work may lie in it
            try:
                self.image, self.evaluations = self.run.best.cpu(), self.run.evaluations
            except RuntimeError:
                self.image = None  # there is no memory even for that
        self._close()

    def _close(self) -> None:
        if not self._over:
            self.took = time.monotonic() - self.began
        self._over, self.run, self._start = True, None, None

    @property
    def history(self) -> list[tuple[int, int, dict[str, float]]]:
        """(evaluations, level, {term: value}) of each step; the terms are read from the device only now, once."""
        for k in range(self._read, len(self._history)):
            evaluations, level, terms = self._history[k]
            self._history[k] = evaluations, level, {name: float(value) for name, value in terms.items()}
            self._read = k + 1
        return self._history[: self._read]

    def seconds_left(self) -> float | None:
        """What is left at this pace: an evaluation at a size costs as much as it has pixels."""
        run = self.run  # read once: another thread may end it in a moment
        if self.step is None or run is None:
            return None
        spent, whole, done, pixels = 0, 0.0, 0.0, 0
        for (height, width), budget in run.schedule:
            pixels = height * width
            whole += budget * pixels
            done += pixels * min(max(self.step.evaluations - spent, 0), budget)
            spent += budget
        return (time.monotonic() - self.began) * (whole - done) / done if done else None
