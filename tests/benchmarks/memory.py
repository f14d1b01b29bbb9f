"""Peak memory of a Gatys run beside what `styletx.memory.predict_memory` says, and beside pystiche's.

CUDA: the allocator's peak. CPU: growth of the resident set from just before the run to its peak. Each in an
interpreter of its own, after a small run that has loaded what is loaded once.
"""

import json
import subprocess
import sys

import torch

from styletx import load_encoder
from styletx.memory import predict_memory, resident
from styletx.methods.gatys import STYLE_LAYERS
from styletx.synthesis import HISTORY, PICTURES

from . import peer
from .measure import ROOT

LAYERS = (*STYLE_LAYERS, "relu4_2")
STEPS = 2 * HISTORY  # evaluations: enough to fill L-BFGS's history


def run(device: torch.device, quick: bool = False) -> dict:
    """Every network and size: bytes predicted, ours and pystiche's."""
    sizes, rows = ((128,) if quick else (256, 512)), []
    for network in ("mini", "vgg19"):
        for size in sizes:
            encoder = load_encoder(network, weights="random", device="cpu")
            rows.append({"network": network, "size": size, "steps": 4 if quick else STEPS})
            rows[-1]["predicted"] = predict_memory(encoder, LAYERS, (size, size), PICTURES)
            for side in ("styletx", "pystiche"):
                rows[-1][side] = in_subprocess(side, network, size, rows[-1]["steps"], device)
    return {"rows": rows}


def in_subprocess(side: str, network: str, size: int, steps: int, device: torch.device) -> int | None:
    """Peak bytes of one run in a fresh interpreter; None for pystiche where it is not installed."""
    arguments = f"{side!r}, {network!r}, {size}, {steps}, {str(device)!r}"
    call = f"from tests.benchmarks.memory import peak; print(peak({arguments}))"
    done = subprocess.run([sys.executable, "-c", call], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        if side == "pystiche" and "No module named 'pystiche'" in done.stderr:
            return None
        raise RuntimeError(f"memory of {side}, {network}, {size}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peak(side: str, network: str, size: int, steps: int, device: str) -> int:
    """Bytes that a run of `steps` evaluations takes at its peak, above what was taken before it."""
    device = torch.device(device)
    encoder = load_encoder(network, weights="random", device=device)
    if side == "pystiche":
        network = peer.their_encoder(encoder)
        if encoder.name == "vgg19":
            del encoder  # its own copy of the weights is there now
        run = peer.their_run
    else:
        network, run = encoder, peer.our_run
    run(network, *peer.pictures(64, device), 2)
    given = peer.pictures(size, device)
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run(network, *given, steps)
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    before = resident(reset=True)
    run(network, *given, steps)
    return max(0, resident(highest=True) - before)
