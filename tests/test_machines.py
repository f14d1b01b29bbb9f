"""styletx/training/machines.py: two processes learn what one does; one that ends does not leave the other waiting."""

import os
import signal
import socket
import subprocess
import sys

import pytest
import torch

from styletx import load
from styletx.images import write
from styletx.training.photos import Feed, Photos

pytest.importorskip("accelerate")

# What each process runs: a tiny network on tiny crops, four of them in a step.
SCRIPT = """
import sys, torch
from torch import nn
from styletx import Match, Objective, content_loss, gram_loss, load
from styletx.training.fit import fit
from styletx.training.machines import machines
from styletx.training.photos import Photos

folder, out, steps, slow = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
torch.set_num_threads(1)
torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1), nn.Sigmoid())
objective = Objective(Match(content_loss, "content", "relu1_1"),
                      Match(gram_loss, load("waves", size=32), "relu1_1", weight=3.0))
where = machines()
run = fit(network, objective, Photos(folder, 32), steps=steps, batch=4, rate=1e-2, machines=where, device="cpu",
          checkpoint=out + ".checkpoint", checkpoint_every=2)
for step in run:
    print("step", step.number, flush=True)
if where.number == 0:
    torch.save({"weights": network.state_dict(), "steps": run.evaluations, "stopped": run.stopped}, out)
where.close()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for name in ("china", "flower", "coffee"):
        write(load(name, size=60), folder / f"{name}.png")
    return folder


def start(folder, out, steps, processes):
    """The processes, as torchrun starts them: rank and address in the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    made = []
    for rank in range(processes):
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_PORT": port}
        several = {name: str(value) for name, value in told.items()} if processes > 1 else {}
        several |= {"MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
        made.append(subprocess.Popen([sys.executable, "-u", "-c", SCRIPT, str(folder), str(out), str(steps)],
                                     env=os.environ | several, stdout=subprocess.PIPE, text=True))  # fmt: skip
    return made


@pytest.mark.slow
def test_two_processes_learn_what_one_does(folder, tmp_path):
    """The same global batch: the mean of two gradients is the gradient of the whole batch, to rounding."""
    for count in (1, 2):
        processes = start(folder, tmp_path / f"{count}.pt", 6, count)
        assert [process.wait(300) for process in processes] == [0] * count
    one, two = (torch.load(tmp_path / f"{count}.pt", weights_only=True) for count in (1, 2))
    assert one["steps"] == two["steps"] == 6
    for name, value in one["weights"].items():
        assert torch.allclose(value, two["weights"][name], atol=2e-4), name


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_one_that_ends_does_not_leave_the_other_waiting(folder, tmp_path, how):
    """Killed, or interrupted from the keyboard: the other ends too, and does not say that all went well."""
    processes = start(folder, tmp_path / "out.pt", 10**6, 2)
    for process in processes:
        while "step" not in process.stdout.readline():
            pass
    processes[1].send_signal(how)
    try:
        assert processes[1].wait(180) != 0
        assert processes[0].wait(180) != 0
    finally:
        for process in processes:
            process.kill()


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_weights(folder, tmp_path):
    whole, killed = tmp_path / "whole.pt", tmp_path / "killed.pt"
    assert start(folder, whole, 40, 1)[0].wait(300) == 0
    for after in (3, 17):
        (process,) = start(folder, killed, 40, 1)
        while f"step {after}" not in (line := process.stdout.readline()):
            assert line, "it ended by itself"
        process.kill()
        assert process.wait(180) != 0 and not killed.exists()
    assert start(folder, killed, 40, 1)[0].wait(300) == 0
    one, two = (torch.load(path, weights_only=True)["weights"] for path in (whole, killed))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_parts_of_a_batch_are_the_batch(folder):
    """Of every batch each machine has its own photos, in order; together they are what one machine has."""
    photos = Photos(folder, 32)
    alone = Feed(photos, 4)
    parts = [Feed(photos, 4, machine=k, machines=2) for k in range(2)]
    for _ in range(3):
        assert torch.equal(next(alone), torch.cat([next(part) for part in parts]))
    parts[1].load_state_dict(alone.state_dict())
    assert torch.equal(next(alone)[2:], next(parts[1]))
    with pytest.raises(ValueError, match="batch: 5 photos cannot be divided among 2"):
        Feed(photos, 5, machines=2)


def test_a_training_that_is_stopped_in_one_process_stops_in_all(folder, tmp_path):
    """`any` is asked before each step: here by one process whose neighbour wants to stop."""
    from styletx.training.machines import Alone

    class Neighbour(Alone):
        asked = 0

        def any(self, flag):
            self.asked += 1
            return self.asked > 5  # two for the checkpoint, and three steps

    from torch import nn

    from styletx import Match, Objective, content_loss
    from styletx.training.fit import fit

    pixels = Objective(Match(content_loss, "content", "input"), relative=False)
    run = fit(nn.Conv2d(3, 3, 1), pixels, Photos(folder, 32), steps=50, batch=1, machines=Neighbour(), device="cpu",
              checkpoint=tmp_path / "run.pt")  # fmt: skip
    assert len(list(run)) == 3 and run.stopped and (tmp_path / "run.pt").is_file()
