"""Where a computation runs: chosen automatically, shown to the reader, changed by one argument."""

import re
from collections.abc import Callable
from pathlib import Path

import psutil
import torch


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device to run on: the one asked for, else CUDA, else Apple's MPS, else the CPU.

    Raises ValueError for a name that is unknown, or known but absent on this machine.
    """
    if device is None or device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ValueError(f'device: no device "{device}"; it is one of auto, cpu, cuda, cuda:N, mps') from None
    present: dict[str, Callable[[], bool]] = {
        "cpu": lambda: True,
        "cuda": lambda: (chosen.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
    }
    if chosen.type not in present:
        raise ValueError(f'device: "{device}" is not supported; it is one of auto, cpu, cuda, cuda:N, mps')
    if not present[chosen.type]():
        raise ValueError(f'device: "{device}" is not on this machine; "auto" would take {pick_device()}')
    return chosen


def describe_device(device: str | torch.device | None = None) -> str:
    """One line for a reader: the device, its name and its memory in GiB."""
    device = pick_device(device)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{device} ({properties.name}, {properties.total_memory / 2**30:.0f} GiB)"
    if device.type == "mps":
        return f"{device} (Apple GPU)"
    return f"{device} ({torch.get_num_threads()} threads, {free_memory(device) / 2**30:.0f} GiB free)"


def free_memory(device: str | torch.device | None = None) -> int:
    """Bytes that a computation on it may still take (MPS shares the machine's memory, a container has a part)."""
    device = pick_device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = min(psutil.virtual_memory().available, _free_in_container())
    if device.type == "mps" and hasattr(torch.mps, "recommended_max_memory"):
        taken = torch.mps.current_allocated_memory()
        free += torch.mps.driver_allocated_memory() - taken  # PyTorch's cache, as on CUDA
        free = min(free, torch.mps.recommended_max_memory() - taken)
    return max(free, 0)


def _free_in_container(root: str | Path = "/sys/fs/cgroup") -> float:
    """What a container (Docker, Binder, JupyterHub) leaves of its memory, in bytes; infinite where there is no limit.

    Control groups of version 2, else 1; what only caches files can be had back, and counts as free.
    """
    for most, now, cached in (("memory.max", "memory.current", "inactive_file"),
                                ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes",
                                 "total_inactive_file")):  # fmt: skip
        limit, used = Path(root, most), Path(root, now)
        try:
            entries = dict(line.split() for line in (limit.parent / "memory.stat").read_text().splitlines())
            return int(limit.read_text()) - int(used.read_text()) + int(entries.get(cached, 0))
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
    return float("inf")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory was short: CUDA has a class for it, MPS and the CPU only say so."""
    if isinstance(error, RuntimeError):  # torch.OutOfMemoryError is one
        said = re.search("out of memory|not enough memory|can't allocate memory", str(error), re.IGNORECASE)
        return isinstance(error, torch.OutOfMemoryError) or said is not None
    return isinstance(error, MemoryError)
