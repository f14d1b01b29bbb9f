"""What a training writes down: a table for spreadsheets, and events for TensorBoard."""

import csv
import itertools
import time
from pathlib import Path

from ..run import Step


class Log:
    """Writes `log.csv` in a folder, and TensorBoard's events beside it where tensorboard is installed.

        run.finish(each=Log("runs/starry"))            # then: tensorboard --logdir runs

    A row is step, seconds, loss and each term; every so many steps (`every`) the mean over them, and what is left at
    the end by `close`. A training that goes on goes on in its table: rows behind the step where it takes up are
    dropped; the table of one that begins anew is kept as log-1.csv. Previews go to TensorBoard as pictures. Raises
    ValueError for a table of other terms.
    """

    def __init__(self, folder: str | Path, every: int = 10):
        self.folder, self.every = Path(folder).expanduser(), every
        self.path = self.folder / "log.csv"
        self._seen: list[Step] = []
        self._begun, self._events = time.monotonic(), None
        self._names: list[str] | None = None

    def __call__(self, step: Step) -> None:
        """Take note of a step."""
        if self._names is None:
            self._open(step)
        self._seen.append(step)
        if step.raw is not None and self._events is not None:
            self._events.add_image("preview", step.image[0], step.number)
        if step.number % self.every == 0 or step.number == step.total:
            self._write()

    def close(self) -> None:
        """Write what is left."""
        self._write()
        if self._events is not None:
            self._events.close()

    def _open(self, step: Step) -> None:
        self._names = ["loss", *step.terms]
        header, rows = ["step", "seconds", *self._names], []
        if self.path.is_file():
            with self.path.open(newline="") as file:
                rows = [row for row in csv.reader(file) if row]
            if rows and rows[0] != header:
                raise ValueError(f"{self.path}: a table of {', '.join(rows[0])}; this training has {', '.join(header)}")
        if rows and step.number == 1:
            earlier = (self.folder / f"log-{k}.csv" for k in itertools.count(1))
            self.path.rename(next(path for path in earlier if not path.exists()))
            rows = []
        kept = [row for row in rows[1:] if int(row[0]) < step.number]
        self._begun -= float(kept[-1][1]) if kept else 0.0
        self.folder.mkdir(parents=True, exist_ok=True)
        self._events = _events(self.folder, step.number)
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([header, *kept])

    def _write(self) -> None:
        if not self._seen:
            return
        losses = [{"loss": step.loss, **step.losses} for step in self._seen]
        means = {name: sum(one[name] for one in losses) / len(losses) for name in losses[0]}
        number, seconds = self._seen[-1].number, time.monotonic() - self._begun
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow([number, f"{seconds:.2f}", *(f"{value:.6g}" for value in means.values())])
        if self._events is not None:
            for name, value in means.items():
                self._events.add_scalar(name, value, number)
            self._events.flush()
        self._seen = []


def _events(folder: Path, first: int):  # type: ignore[no-untyped-def]  # tensorboard's own writer, where there is one
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=first)
