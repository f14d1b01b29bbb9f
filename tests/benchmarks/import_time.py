"""What `import styletx` costs in a fresh interpreter, beside `import torch` alone."""

import subprocess
import sys

import torch

from .measure import ROOT, ratio, summary

NAMES = ("torch", "styletx")


def run(device: torch.device, quick: bool = False) -> dict:
    """Seconds of each import, in turn, after one that has brought the files into the system's cache."""
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    for number in range(3 if quick else 16):
        for name in NAMES if number % 2 == 0 else reversed(NAMES):
            taken = fresh(name)
            if number:
                seconds[name].append(taken)
    return {
        "seconds": {name: summary(values) for name, values in seconds.items()},
        "ratio": ratio(seconds["styletx"], seconds["torch"]),
    }


def fresh(name: str) -> float:
    """Seconds that a fresh interpreter takes to import a module."""
    code = f"from time import perf_counter as now; t = now(); import {name}; print(now() - t)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout)
