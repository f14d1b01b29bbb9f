"""The matting Laplacian and closed-form smoothing, beside pymatting and SciPy's factorised solve; the fast mode too.

Whole rows in interpreters of their own, so that memory can be told: seconds of the first Y on a content, of a second
one, and by how much the resident set grew (the CPU; on CUDA the allocator's peak).
"""

import json
import subprocess
import sys
from time import perf_counter

import torch
from torch import Tensor

from styletx import load, resize
from styletx.memory import resident

from .measure import ROOT, interleave, ratio, summary, synchronise

SIZE, LARGE, ALPHA = (512, 768), (1024, 1536), 0.9999
# (what, affinity, size)
ROWS = [("direct", "gaussian", SIZE), ("auto", "gaussian", LARGE), ("direct", "matting", SIZE), ("cg", "matting", SIZE),
        ("auto", "matting", LARGE), ("guided", "matting", SIZE), ("factorized", "matting", SIZE),
        ("pymatting", "matting", SIZE)]  # fmt: skip
QUICK = [(solver, "matting", (32, 48)) for solver in ("direct", "cg", "factorized", "pymatting")]


def run(device: torch.device, quick: bool = False) -> dict:
    """The Laplacian, interleaved with pymatting's; then every row, with its difference from the direct solution."""
    rows = []
    for solver, affinity, size in QUICK if quick else ROWS:
        rows.append({"solver": solver, "affinity": affinity, "size": list(size)})
        rows[-1] |= in_subprocess(solver, affinity, size, device)
    return {"laplacian": laplacian((32, 48) if quick else SIZE, quick), "rows": rows}


def laplacian(size: tuple[int, int], quick: bool) -> dict:
    """Seconds of the sparse matrix, ours and pymatting's (compiled beforehand)."""
    import pymatting

    from styletx.graph.matting import matting_laplacian

    image = photo(size)
    array = image[0].permute(1, 2, 0).double().numpy()
    cases = {"styletx": lambda: matting_laplacian(image), "pymatting": lambda: pymatting.cf_laplacian(array)}
    seconds = interleave(cases, 2 if quick else 9, 2, torch.device("cpu"))
    return {
        "size": list(size),
        "seconds": {name: summary(values) for name, values in seconds.items()},
        "ratio": ratio(seconds["styletx"], seconds["pymatting"]),
    }


def photo(size: tuple[int, int]) -> Tensor:
    """A photograph of that size, larger than its file where need be."""
    return resize(load("china"), size).double()


def in_subprocess(solver: str, affinity: str, size: tuple[int, int], device: torch.device) -> dict:
    """One row in a fresh interpreter."""
    call = (
        f"from tests.benchmarks.smoothing import peak; peak({solver!r}, {affinity!r}, {tuple(size)}, {str(device)!r})"
    )
    done = subprocess.run([sys.executable, "-c", call], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{solver} {affinity} {size}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peak(solver: str, affinity: str, size: tuple[int, int], device: str) -> None:
    """Print seconds of a first and a second Y, bytes, and the largest difference from the direct solution."""
    device = torch.device(device)
    smoothed(solver, affinity, (48, 64), device, 1)  # loads and compiles what is loaded once
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        before = resident(reset=True)
    seconds, result = smoothed(solver, affinity, size, device, 2)
    after = torch.cuda.max_memory_allocated() if device.type == "cuda" else resident(highest=True)
    row = {"first": seconds[0], "second": seconds[1], "bytes": max(0, after - before), "difference": None}
    if size[0] * size[1] <= SIZE[0] * SIZE[1] and solver != "direct":
        row["difference"] = float((smoothed("direct", affinity, size, device, 1)[1] - result).abs().max())
    print(json.dumps(row))


def smoothed(solver: str, affinity: str, size: tuple[int, int], device: torch.device, times: int):
    """(seconds of the first Y and of the others, the first result) of one way of smoothing."""
    content = photo(size)
    pictures = [(0.7 * content.flip(1) + 0.1 * content.flip(-1)).clamp(0, 1), content.square()][:times]
    seconds, results = [], []
    prepare = None
    for picture in pictures:
        synchronise(device)
        start = perf_counter()
        if prepare is None:
            prepare = prepared(solver, affinity, content, device)
        results.append(prepare(picture))
        synchronise(device)
        seconds.append(perf_counter() - start)
    return seconds, results[0].double().cpu()


def prepared(solver: str, affinity: str, content: Tensor, device: torch.device):
    """A function from a picture to the smoothed one, with all that can be reused already done."""
    from styletx.methods.smoothing import Smoother, guided_filter

    if solver == "guided":
        return lambda picture: guided_filter(picture, content)
    if solver == "factorized":
        return by_scipy(content, affinity)
    if solver == "pymatting":
        return by_pymatting(content)
    return Smoother(content, alpha=ALPHA, affinity=affinity, solver=solver, device=device)


def system(content: Tensor, affinity: str):
    """(I − αS, √D) in SciPy, of the random-walk form."""
    import numpy as np
    from scipy import sparse

    from styletx.graph.affinity import degree, gaussian_affinity, normalised
    from styletx.graph.matting import matting_affinity

    found = (matting_affinity if affinity == "matting" else gaussian_affinity)(content)
    return sparse.csc_array(sparse.eye_array(found.shape[0]) - ALPHA * normalised(found)), np.sqrt(degree(found))


def by_scipy(content: Tensor, affinity: str):
    """`scipy.sparse.linalg.factorized` of the same matrix, and a solve for each channel."""
    from scipy.sparse.linalg import factorized

    matrix, root = system(content, affinity)
    solve = factorized(matrix)
    return lambda picture: _by_channel(picture, root, solve)


def by_pymatting(content: Tensor):
    """pymatting's incomplete Cholesky factorisation and conjugate gradients, on the same matrix."""
    import pymatting
    from scipy.sparse import csc_matrix

    matrix, root = system(content, "matting")
    matrix = csc_matrix(matrix)  # it does not know SciPy's sparse arrays
    factor = pymatting.ichol(matrix, discard_threshold=1e-4)
    return lambda picture: _by_channel(picture, root, lambda y: pymatting.cg(matrix, y, M=factor, rtol=1e-8))


def _by_channel(picture: Tensor, root, solve) -> Tensor:
    channels = [
        torch.from_numpy((1 - ALPHA) * solve(root * channel.flatten().double().numpy()) / root).view(channel.shape)
        for channel in picture[0]
    ]
    return torch.stack(channels)[None].clamp(0, 1)
