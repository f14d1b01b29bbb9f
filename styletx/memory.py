"""How much memory a run will take: predicted before it starts, and said with the size that would fit."""

import contextlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from .devices import free_memory
from .encoders import Encoder


def predict_memory(encoder: Encoder, layers: Sequence[str], size: tuple[int, int], pictures: int) -> int:
    """Bytes that one evaluation takes at its peak: the features kept for the backward pass, and as many
    `pictures` as the optimiser keeps.

    Counted per step of the encoder up to the deepest layer: a convolution keeps its (padded) input and its output;
    four fifths as much again for what lives for a moment. Measured against the true peak in the benchmarks: at large
    sizes a little above it, so that a run which may begin can also end.
    """
    height, width = size
    total: float = height * width * 3 * pictures
    deepest = max((encoder.layers.index(layer) for layer in layers), default=0)
    stride, before = 1, 3
    for name in encoder.layers[1 : deepest + 1]:
        if name.startswith("relu") or name not in encoder.steps:
            continue  # a ReLU works in place; a pyramid's bands are small beside what is counted above
        step, channels = encoder.steps[name], encoder.channels(name)
        padded = before if getattr(step, "padding_mode", "zeros") == "reflect" else 0
        kept = padded * height * width / stride**2
        jump = getattr(step, "stride", 1)
        stride *= jump[0] if isinstance(jump, tuple) else jump
        kept += channels * height * width / stride**2 * (3 if name.startswith("pool") else 1)
        total += kept
        before = channels
    return int(4 * 1.8 * total)


def check_memory(encoder: Encoder, layers: Sequence[str], size: tuple[int, int], pictures: int) -> None:
    """MemoryError, naming the size that would fit, where one evaluation would not fit into the device's memory."""
    needed, free = predict_memory(encoder, layers, size, pictures), free_memory(encoder.device)
    if needed > free:
        raise MemoryError(too_large(encoder, layers, size, pictures, f"about {needed / 2**30:.1f} GiB needed"))


def too_large(encoder: Encoder, layers: Sequence[str], size: tuple[int, int], pictures: int, why: str) -> str:
    """The line that says what does not fit, why, and which longer side would."""
    longer, free = max(size), free_memory(encoder.device)
    per_pixel = predict_memory(encoder, layers, size, pictures) / (size[0] * size[1])
    fits = int(longer * math.sqrt(0.9 * free / per_pixel / (size[0] * size[1]))) // 16 * 16
    return (
        f"size: {size[1]}×{size[0]} does not fit into the memory of {encoder.device} with {encoder.name} ({why}, "
        f"{free / 2**30:.1f} GiB free); a longer side of {max(16, min(fits, longer - 16))} would"
    )


def resident(highest: bool = False, reset: bool = False) -> int:
    """Bytes of this process in memory, now or at its highest since the last reset.

    From /proc where there is one: getrusage's maximum may be that of the process which started this one.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if reset:
        with contextlib.suppress(OSError):  # where it may not be reset, the peak is an upper bound
            Path("/proc/self/clear_refs").write_text("5")
    wanted = "VmHWM:" if highest else "VmRSS:"
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(wanted))
