"""styletx/training/log.py: a table that adds up, goes on where the training does, and events for TensorBoard."""

import csv

import pytest
import torch

from styletx.run import Step
from styletx.training.log import Log


def steps(first, last, total=20):
    """Terms a = n and b = 2n: the loss is 3n."""
    for n in range(first, last + 1):
        yield Step(n, total, n, {"a": torch.tensor(float(n)), "b": torch.tensor(2.0 * n)})


def rows(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_a_row_is_the_mean_over_its_steps(tmp_path):
    log = Log(tmp_path / "runs", every=4)
    for step in steps(1, 10):
        log(step)
    log.close()
    table = rows(tmp_path / "runs" / "log.csv")
    assert table[0] == ["step", "seconds", "loss", "a", "b"]
    assert [row[0] for row in table[1:]] == ["4", "8", "10"]
    assert [float(row[2]) for row in table[1:]] == [7.5, 19.5, 28.5]  # 3 · the mean of 1 … 4, 5 … 8, 9 and 10
    assert all(float(row[3]) * 2 == float(row[4]) for row in table[1:])


def test_it_goes_on_where_the_training_does(tmp_path, monkeypatch):
    """The checkpoint was of step 5, so what the table has beyond it is dropped, and seconds go on: one for each row."""
    now = iter(range(100, 200))
    monkeypatch.setattr("styletx.training.log.time.monotonic", lambda: float(next(now)))
    for first, last in ((1, 10), (6, 20)):
        log = Log(tmp_path, every=5)
        for step in steps(first, last):
            log(step)
        log.close()
    table = rows(tmp_path / "log.csv")
    assert [row[0] for row in table[1:]] == ["5", "10", "15", "20"]
    assert [float(row[1]) for row in table[1:]] == [1, 2, 3, 4]


def test_a_training_that_begins_anew_keeps_the_table_before_it(tmp_path):
    for _ in range(3):
        log = Log(tmp_path, every=5)
        for step in steps(1, 5):
            log(step)
        log.close()
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["log-1.csv", "log-2.csv", "log.csv"]
    assert rows(tmp_path / "log-1.csv")[1][2:] == rows(tmp_path / "log.csv")[1][2:]


def test_a_table_of_something_else_is_not_overwritten(tmp_path):
    (tmp_path / "log.csv").write_text("name,mark\nMonet,1\n")
    with pytest.raises(ValueError, match="a table of name, mark"):
        Log(tmp_path)(next(steps(1, 1)))
    assert (tmp_path / "log.csv").read_text() == "name,mark\nMonet,1\n"


def test_tensorboard_reads_it(tmp_path):
    """TensorBoard's own reader finds the losses and the preview."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = Log(tmp_path, every=5)
    for step in steps(1, 9):
        log(step)
    log(Step(10, 20, 10, {"a": torch.tensor(10.0), "b": torch.tensor(20.0)}, raw=torch.rand(1, 3, 8, 9)))
    log.close()
    seen = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in seen.Scalars("loss")] == [(5, 9.0), (10, 24.0)]
    assert seen.Images("preview")[0].width == 9
