"""How things are measured: warm-up, interleaved rounds, synchronisation, medians, spread, and the machine."""

import datetime
import os
import platform
import random
import statistics
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from time import perf_counter

import torch

from styletx import describe_device

ROOT = Path(__file__).parents[2]
RESAMPLES = 4000  # of the bootstrap


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given: before a clock is read, and after."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def interleave(cases: dict[str, Callable], rounds: int, warm_up: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every case in every round: A B, B A, A B, ... so that a drifting clock hits all alike."""
    for _ in range(warm_up):
        for case in cases.values():
            case()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds):
        for name in list(cases) if number % 2 == 0 else reversed(cases):
            synchronise(device)
            start = perf_counter()
            cases[name]()
            synchronise(device)
            seconds[name].append(perf_counter() - start)
    return seconds


def summary(values: list[float]) -> dict:
    """Median, quartiles and how many there were."""
    many = values if len(values) > 1 else values * 2
    low, middle, high = statistics.quantiles(many, n=4, method="inclusive")
    return {"median": middle, "q1": low, "q3": high, "repetitions": len(values)}


def ratio(ours: list[float], theirs: list[float], seed: int = 0) -> dict:
    """Our median over theirs, with a bootstrap 95% interval that draws whole rounds: pairs stay together."""
    generator, pairs, drawn = random.Random(seed), list(zip(ours, theirs, strict=True)), []
    for _ in range(RESAMPLES):
        first, second = zip(*generator.choices(pairs, k=len(pairs)), strict=True)
        drawn.append(statistics.median(first) / statistics.median(second))
    drawn.sort()
    low, high = drawn[int(0.025 * RESAMPLES)], drawn[int(0.975 * RESAMPLES)]
    return {"ratio": statistics.median(ours) / statistics.median(theirs), "low": low, "high": high}


def conditions(device: torch.device, quick: bool) -> dict:
    """When, where and with what a benchmark ran; the load is what the machine was doing before."""
    names = ("torch", "torchvision", "numpy", "scipy", "pystiche", "pymatting")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "quick": quick,
        "device": "cpu" if device.type == "cpu" else describe_device(device),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | {name: version(name) for name in names},
    }


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def version(name: str) -> str | None:
    """The installed version of a package, None where there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
