"""styletx/devices.py: how much memory there is, and what it looks like when there is too little."""

import math

import psutil
import pytest
import torch

from styletx import devices
from styletx.devices import is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried ..."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: not enough memory: you tried ..."),
        MemoryError(),
    ],
)
def test_every_device_has_its_words_for_too_little_memory(error):
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("shapes do not match")) and not is_out_of_memory(ValueError("memory"))


def test_a_container_has_only_its_part_of_the_memory(tmp_path, monkeypatch):
    """Control groups 2 and 1 by hand: limit − used + what only caches files; "max" is no limit."""
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 200\n")
    assert devices._free_in_container(tmp_path) == math.inf
    (tmp_path / "memory.max").write_text("1000\n")
    assert devices._free_in_container(tmp_path) == 1000 - 700 + 200
    old = tmp_path / "old"
    (old / "memory").mkdir(parents=True)
    (old / "memory" / "memory.limit_in_bytes").write_text("5000\n")
    (old / "memory" / "memory.usage_in_bytes").write_text("4000\n")
    (old / "memory" / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 30\n")
    assert devices._free_in_container(old) == 1030
    assert devices._free_in_container(tmp_path / "nothing") == math.inf
    assert 0 < devices.free_memory("cpu") <= psutil.virtual_memory().total
    monkeypatch.setattr(devices, "_free_in_container", lambda: 12345)
    assert devices.free_memory("cpu") == 12345
