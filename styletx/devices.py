"""Where a computation runs: chosen automatically, shown to the reader, changed by one argument."""

import os

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
    present = {
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
    """Bytes that a computation on this device may still take (MPS shares the machine's memory)."""
    device = pick_device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    try:
        with open("/proc/meminfo") as lines:
            entries = dict(line.split(":") for line in lines)
        return int(entries["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # not Linux: what the machine has, not what is free
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, ValueError, OSError):  # Windows has no sysconf
            return 8 * 2**30
