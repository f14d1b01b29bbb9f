"""What importing costs in a fresh interpreter: styletx before a name is used, all its names, and torch alone."""

import subprocess
import sys

import torch

from .measure import ROOT, ratio, summary

STATEMENTS = ("import torch", "import styletx", "from styletx import *")


def run(device: torch.device, quick: bool = False) -> dict:
    """Seconds of each import, in turn, after one that has brought the files into the system's cache."""
    seconds: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for number in range(3 if quick else 16):
        for statement in STATEMENTS if number % 2 == 0 else reversed(STATEMENTS):
            taken = fresh(statement)
            if number:
                seconds[statement].append(taken)
    return {
        "seconds": {statement: summary(values) for statement, values in seconds.items()},
        "ratio": ratio(seconds[STATEMENTS[-1]], seconds[STATEMENTS[0]]),
    }


def fresh(statement: str) -> float:
    """Seconds that a fresh interpreter takes for a statement."""
    code = f"from time import perf_counter as now\nt = now()\n{statement}\nprint(now() - t)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout)
