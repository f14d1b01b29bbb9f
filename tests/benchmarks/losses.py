"""Losses that run in blocks, beside the plain dense version of the same formula; and the sizes only blocks can do.

Each row in an interpreter of its own: seconds of a value with its gradient (median), and by how much the resident set
grew (the CPU; on CUDA the allocator's peak).
"""

import json
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

from styletx import load_encoder
from styletx.losses import histogram_loss, mmd, mrf_loss, reshuffle_loss
from styletx.memory import resident

from .measure import ROOT, summary, synchronise

CHANNELS, BANDWIDTH = 64, 8.0
# (loss, side of the square of positions, with a dense partner?, repetitions)
ROWS = [("gaussian MMD", 32, True, 5), ("gaussian MMD", 64, True, 3), ("gaussian MMD", 128, False, 1),
        ("gaussian MMD", 256, False, 1), ("MRF", 32, True, 5), ("MRF", 64, True, 3), ("MRF", 128, False, 3),
        ("reshuffle", 128, False, 3), ("histogram", 64, True, 5), ("histogram", 256, True, 3)]  # fmt: skip
QUICK = [("gaussian MMD", 8, True, 1), ("MRF", 8, True, 1), ("reshuffle", 8, False, 1), ("histogram", 8, True, 1)]


def run(device: torch.device, quick: bool = False) -> dict:
    """Every row: seconds and bytes of ours, and of the dense version where one fits."""
    rows = []
    for name, side, dense, times in QUICK if quick else ROWS:
        rows.append({"loss": name, "positions": side * side, "repetitions": times, "styletx": None, "dense": None})
        for which in ("styletx", *(("dense",) if dense else ())):
            rows[-1][which] = in_subprocess(which, name, side, times, device)
    return {"channels": CHANNELS, "rows": rows, "whole": [] if quick else whole(device)}


def whole(device: torch.device) -> list[dict]:
    """MRF and reshuffle through `mini` at relu3_1 of 512 pixels, encoder and gradient included."""
    return [{"loss": name, "pixels": 512, **in_subprocess("styletx", f"{name} of a picture", 512, 3, device)}
            for name in ("MRF", "reshuffle")]  # fmt: skip


def in_subprocess(which: str, name: str, side: int, times: int, device: torch.device) -> dict[str, float]:
    """{"seconds": median and quartiles, "bytes": ...} of one row in a fresh interpreter."""
    call = f"from tests.benchmarks.losses import peak; peak({which!r}, {name!r}, {side}, {times}, {str(device)!r})"
    done = subprocess.run([sys.executable, "-c", call], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{which} {name} {side}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peak(which: str, name: str, side: int, times: int, device: str) -> None:
    """Print how long it takes, and the bytes above what was taken before."""
    device = torch.device(device)
    small = evaluation(which, name, 32 if name.endswith("picture") else 6, device)
    small()  # loads what is loaded once
    evaluate = evaluation(which, name, side, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        before = resident(reset=True)
    seconds = []
    for _ in range(times):
        synchronise(device)
        start = perf_counter()
        evaluate()
        synchronise(device)
        seconds.append(perf_counter() - start)
    after = torch.cuda.max_memory_allocated() if device.type == "cuda" else resident(highest=True)
    print(json.dumps({"seconds": summary(seconds), "bytes": max(0, after - before)}))


def evaluation(which: str, name: str, side: int, device: torch.device) -> Callable[[], Tensor]:
    """A function that computes the loss and its gradient, which it gives."""
    generator = torch.Generator().manual_seed(0)
    if name.endswith(" of a picture"):
        encoder = load_encoder("mini", weights="random", device=device)
        image, style = (torch.rand(1, 3, side, side, generator=generator).to(device) for _ in range(2))
        loss = {"MRF": mrf_loss(), "reshuffle": reshuffle_loss()}[name.removesuffix(" of a picture")]
        with torch.no_grad():
            target = loss.prepare(encoder(style, "relu3_1")["relu3_1"])
            target = loss.update(encoder(image, "relu3_1")["relu3_1"], target)
        image.requires_grad_(True)
        return lambda: torch.autograd.grad(loss.compare(encoder(image, "relu3_1")["relu3_1"], target), image)[0]
    shape = (1, CHANNELS, side, side)
    x, y = (torch.rand(shape, generator=generator).to(device) for _ in range(2))
    x.requires_grad_(True)
    if which == "dense":
        return lambda: torch.autograd.grad(DENSE[name](x, y), x)[0]
    loss = {"gaussian MMD": mmd("gaussian", bandwidth=BANDWIDTH), "MRF": mrf_loss(), "reshuffle": reshuffle_loss(),
            "histogram": histogram_loss}[name]  # fmt: skip
    target = loss.update(x.detach(), loss.prepare(y))
    return lambda: torch.autograd.grad(loss.compare(x, target), x)[0]


def dense_mmd(x: Tensor, y: Tensor) -> Tensor:
    """MMD² from three full kernel matrices, as the formula stands."""
    first, second = x[0].flatten(1).T, y[0].flatten(1).T

    def k(a: Tensor, b: Tensor) -> Tensor:
        return (-torch.cdist(a, b).square() / (2 * BANDWIDTH**2)).exp().mean()

    return k(first, first) + k(second, second) - 2 * k(first, second)


def dense_mrf(x: Tensor, y: Tensor) -> Tensor:
    """The MRF loss from the full matrix of all patches with all patches."""
    found, candidates = F.unfold(x, 3)[0], F.unfold(y, 3)[0]
    alike = F.normalize(found, dim=0).T @ F.normalize(candidates, dim=0)
    return (found - candidates[:, alike.argmax(1)]).square().mean()


def dense_histogram(x: Tensor, y: Tensor) -> Tensor:
    """Sort both and pair them: for two pictures of one size and without ties the same loss."""
    order = x.detach().flatten(2).argsort(2)
    wanted = torch.empty_like(x).flatten(2).scatter(2, order, y.flatten(2).sort(2).values)
    return (x.flatten(2) - wanted).square().mean()


DENSE = {"gaussian MMD": dense_mmd, "MRF": dense_mrf, "histogram": dense_histogram}
