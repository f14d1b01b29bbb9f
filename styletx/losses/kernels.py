"""Maximum mean discrepancy: style transfer as matching two distributions of features (lecture 04).

MMD²[X, Y] = mean k(x, x') + mean k(y, y') − 2 mean k(x, y), all pairs, also a point with itself: the biased
V-statistic, which is never negative. The unbiased one is not bounded below (it falls without end while the spread of
X grows), so it serves the two-sample test and is no loss. Source: Li et al. 2017; Gretton et al. 2012.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..checks import check_whole
from ..statistics import point_cloud
from .base import Loss

BLOCK = 2**22  # entries of a kernel matrix that exist at one time: 16 MiB, a size that memory is quickly had for
MEDIAN_SAMPLE = 1024  # points that the median rule looks at

Points = tuple[Tensor, Tensor]  # (C, N) and their weights (N,), which sum to 1


@dataclass(frozen=True)
class Kernel:
    """A kernel that is a function of xᵀy, ‖x‖² and ‖y‖²: `kernel(x, y)` is its matrix, `kernel.along(x, y)` a row."""

    name: str
    function: Callable[[Tensor, Tensor, Tensor], Tensor]
    embed: Callable[[Tensor, Tensor], Tensor] | None = None  # mean of φ(x) where φ is small enough to be written down

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """k(x_i, y_j) of every two points of (C, N) and (C, M): (N, M)."""
        return self.function(x.T @ y, x.square().sum(0)[:, None], y.square().sum(0)[None])

    def along(self, x: Tensor, y: Tensor) -> Tensor:
        """k(x_i, y_i) of points that stand side by side, (C, N) both: (N,)."""
        return self.function((x * y).sum(0), x.square().sum(0), y.square().sum(0))


def linear_kernel() -> Kernel:
    """k(x, y) = xᵀy: MMD compares the means and nothing else."""
    return Kernel("linear", lambda inner, _, __: inner, embed=lambda x, weights: x @ weights)


def polynomial_kernel(degree: int = 2, offset: float = 0.0) -> Kernel:
    """k(x, y) = (xᵀy + c)^d: at d = 2, c = 0 it compares Gram matrices. Raises ValueError for d < 1 and c < 0."""
    check_whole("degree", degree, 1)
    if not (math.isfinite(offset) and offset >= 0):
        raise ValueError(f"offset: {offset}; it must be a number that is not negative")

    def embed(x: Tensor, weights: Tensor) -> Tensor:  # (xᵀy + c)² = ⟨xxᵀ, yyᵀ⟩ + 2c⟨x, y⟩ + c²
        return torch.cat([((x * weights) @ x.T).flatten(), math.sqrt(2 * offset) * (x @ weights)])

    name = f"polynomial of degree {int(degree)}"
    return Kernel(name, lambda inner, _, __: (inner + offset) ** int(degree), embed=embed if degree == 2 else None)


def gaussian_kernel(bandwidth: float) -> Kernel:
    """k(x, y) = exp(−‖x − y‖² / 2σ²), σ the bandwidth. Raises ValueError where that is not positive."""
    if not (math.isfinite(bandwidth) and bandwidth > 0):
        raise ValueError(f"bandwidth: {bandwidth}; it must be a positive number")
    return Kernel("gaussian", lambda *parts: (_squared_distance(*parts) / (-2 * bandwidth**2)).exp())


def _squared_distance(inner: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """‖x − y‖² from xᵀy, ‖x‖² and ‖y‖², never negative."""
    return (first + second - 2 * inner).clamp(min=0)


@torch.no_grad()
def median_bandwidth(points: Tensor) -> float:
    """σ by the median rule: the median distance of two different points of (C, N), of at most 1,024 of them.

    Raises ValueError for fewer than two points; where most points are the same (a constant picture), it is the mean
    distance, and 1 where all are.
    """
    count = points.shape[1]
    if count < 2:
        raise ValueError(f"points: {count}; the median rule needs at least two")
    chosen = points[:, torch.linspace(0, count - 1, min(count, MEDIAN_SAMPLE), device=points.device).long()]
    distances = torch.pdist(chosen.T.cpu().contiguous())
    return float(distances.median()) or float(distances.mean()) or 1.0


def kernel_mean(kernel: Kernel, x: Points, y: Points, block: int = BLOCK) -> Tensor:
    """Σ_ij w_i v_j k(x_i, y_j), a block of rows at a time, forward and backward: memory never grows with N·M.

    The backward pass computes each block anew instead of keeping it.
    """
    rows = max(1, block // max(1, y[0].shape[1]))
    if rows >= x[0].shape[1]:
        return _part(kernel, *x, *y)
    return _Blocks.apply(kernel, rows, *x, *y)


class _Blocks(torch.autograd.Function):
    """`_part`, so many rows at a time. (Checkpointed blocks would all wait in memory until they are collected.)"""

    @staticmethod
    def forward(ctx, kernel: Kernel, rows: int, first: Tensor, weights: Tensor, second: Tensor, others: Tensor):
        ctx.kernel, ctx.rows = kernel, rows
        ctx.save_for_backward(first, weights, second, others)
        return sum(_part(kernel, first[:, i], weights[i], second, others) for i in _slices(first, rows))

    @staticmethod
    @once_differentiable
    def backward(ctx, slope: Tensor):
        first, weights, second, others = ctx.saved_tensors
        found = [torch.zeros_like(t) if asked else None
                 for t, asked in zip(ctx.saved_tensors, ctx.needs_input_grad[2:], strict=True)]  # fmt: skip
        for i in _slices(first, ctx.rows):
            parts = [t.detach().requires_grad_(g is not None)
                     for t, g in zip((first[:, i], weights[i], second, others), found, strict=True)]  # fmt: skip
            with torch.enable_grad():
                value = _part(ctx.kernel, *parts)
            slopes = iter(torch.autograd.grad(value, [part for part in parts if part.requires_grad], slope))
            for total, rows in zip(found, (i, i, slice(None), slice(None)), strict=True):
                if total is not None:
                    total[..., rows] += next(slopes)
        return None, None, *found


def _slices(points: Tensor, rows: int) -> Iterator[slice]:
    return (slice(i, i + rows) for i in range(0, points.shape[1], rows))


def _part(kernel: Kernel, first: Tensor, weights: Tensor, second: Tensor, others: Tensor) -> Tensor:
    return weights @ kernel(first, second) @ others


def mmd_squared(kernel: Kernel, x: Points, y: Points, within_y: Tensor | None = None) -> Tensor:
    """MMD² of two weighted samples, the biased V-statistic; `within_y` where mean k(y, y') is known already.

    A sample without points has no distribution: the distance to it is 0.
    """
    if not x[0].shape[1] or not y[0].shape[1]:
        return x[0].sum() * 0
    if kernel.embed is not None:  # ‖mean φ(x) − mean φ(y)‖², without any pair
        return (kernel.embed(*x) - kernel.embed(*y)).square().sum()
    within = kernel_mean(kernel, y, y) if within_y is None else within_y
    return kernel_mean(kernel, x, x) + within - 2 * kernel_mean(kernel, x, y)


@dataclass
class _Target:
    """Per picture of the batch: its sample, what is drawn of it, its kernel and its mean k(y, y')."""

    samples: list[Points]
    kernels: list[Kernel]
    positions: int
    draws: int = 0

    @torch.no_grad()
    def __post_init__(self) -> None:
        self.drawn = [_draw(points, self) for points in self.samples]
        self.within = [
            None if kernel.embed else kernel_mean(kernel, y, y)
            for kernel, y in zip(self.kernels, self.drawn, strict=True)
        ]


@dataclass(frozen=True)
class MMD(Loss):
    """MMD² between features under a kernel; `mmd(...)` makes one.

    `positions`: at most so many of each cloud, drawn anew every few steps (0: all of them, exactly).
    """

    make: Callable[[Tensor], Kernel] = lambda points: linear_kernel()
    positions: int = 0

    def prepare(self, reference: Tensor, weights: Tensor | None = None) -> _Target:
        """The reference's samples with their kernels, and mean k(y, y') of each."""
        samples = self.statistic(reference.detach(), weights)
        return _Target(samples, [self.make(points) for points, _ in samples], self.positions)

    def update(self, features: Tensor, target: _Target, weights: Tensor | None = None) -> _Target:
        """Other points, where not all are looked at."""
        sizes = [features.shape[-2] * features.shape[-1], *(points.shape[1] for points, _ in target.samples)]
        if max(sizes) <= self.positions:
            return target
        return _Target(target.samples, target.kernels, self.positions, target.draws + 1)


def _distance(found: list[Points], target: _Target) -> Tensor:
    """MMD² to the reference, mean over the batch."""
    parts = [
        mmd_squared(kernel, _draw(x, target), y, within)
        for x, y, kernel, within in zip(found, target.drawn, target.kernels, target.within, strict=True)
    ]
    return torch.stack(parts).mean()


def _draw(points: Points, target: "_Target") -> Points:
    """Some of the points, the same ones until the next draw."""
    cloud, weights = points
    if not target.positions or cloud.shape[1] <= target.positions:
        return points
    generator = torch.Generator().manual_seed(target.draws)
    chosen = torch.randperm(cloud.shape[1], generator=generator)[: target.positions].to(cloud.device)
    weights = weights[chosen]
    return cloud[:, chosen], weights / weights.sum().clamp(min=1e-8)


def mmd(
    kernel: str | Kernel = "gaussian",
    *,
    degree: int = 2,
    offset: float = 0.0,
    bandwidth: float | None = None,
    positions: int = 0,
    name: str = "",
) -> MMD:
    """The loss MMD²[X, Y] with a kernel: "linear", "polynomial", "gaussian", or a Kernel of your own.

    The Gaussian's bandwidth σ is given, or found for each reference by the median rule. `positions` bounds how many
    positions are compared at one time (0: all; the sum over all pairs is then exact, and runs in blocks). Raises
    ValueError for an unknown kernel and for values that make none. Source: Li et al. 2017, Eq. 5 to 10.
    """
    check_whole("positions", positions, 0)
    if isinstance(kernel, Kernel):
        fixed: Kernel | None = kernel
    elif kernel == "linear":
        fixed = linear_kernel()
    elif kernel == "polynomial":
        fixed = polynomial_kernel(degree, offset)
    elif kernel == "gaussian":
        fixed = None if bandwidth is None else gaussian_kernel(bandwidth)
    else:
        raise ValueError(f'kernel: "{kernel}" is none of "linear", "polynomial", "gaussian"')

    def make(points: Tensor) -> Kernel:
        return fixed if fixed is not None else gaussian_kernel(_bandwidth(points))

    label = fixed.name if fixed is not None else "gaussian"
    return MMD(
        point_cloud,
        _distance,
        name=name or f"mmd, {label}",
        update_every=10 if positions else 0,
        make=make,
        positions=int(positions),
    )


def _bandwidth(points: Tensor) -> float:
    return median_bandwidth(points) if points.shape[1] > 1 else 1.0


def mmd_unbiased(kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
    """The unbiased U-statistic of MMD²: as the V-statistic, but no point is paired with itself.

    x (C, n), y (C, m) with n, m ≥ 2; may be negative. Holds all pairs: for samples of some thousand points. Raises
    ValueError for fewer than two. Source: Gretton et al. 2012, Eq. 3.
    """
    n, m = x.shape[1], y.shape[1]
    if min(n, m) < 2:
        raise ValueError(f"x, y: {n} and {m} points; the unbiased estimate needs at least two of each")

    def within(points: Tensor) -> Tensor:
        count, matrix = points.shape[1], kernel(points, points)
        return (matrix.sum() - matrix.diagonal().sum()) / (count * (count - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()


def mmd_linear_time(kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
    """The linear-time estimate of MMD²: mean of h over disjoint pairs of pairs, in O(N).

    h = k(x₁, x₂) + k(y₁, y₂) − k(x₁, y₂) − k(x₂, y₁). Raises ValueError for fewer than two points. Source: Gretton et
    al. 2012, Lemma 14.
    """
    count = min(x.shape[1], y.shape[1]) // 2
    if count < 1:
        raise ValueError(f"x, y: {x.shape[1]} and {y.shape[1]} points; the linear-time estimate needs two of each")
    x1, x2, y1, y2 = x[:, : 2 * count : 2], x[:, 1 : 2 * count : 2], y[:, : 2 * count : 2], y[:, 1 : 2 * count : 2]

    h = kernel.along(x1, x2) + kernel.along(y1, y2) - kernel.along(x1, y2) - kernel.along(x2, y1)
    return h.mean()


def witness(kernel: Kernel, x: Tensor, y: Tensor, at: Tensor) -> Tensor:
    """The witness function f(t) = mean k(x, t) − mean k(y, t) at points (C, T): where X has more than Y, f > 0."""
    return kernel(at, x).mean(1) - kernel(at, y).mean(1)


@torch.no_grad()
def two_sample_test(
    kernel: Kernel, x: Tensor, y: Tensor, permutations: int = 500, seed: int = 0
) -> tuple[float, float]:
    """(MMD², p-value) of "X and Y have one distribution", by the unbiased estimate under permuted labels.

    p = (1 + how many permutations reach it) / (1 + permutations). Holds all pairs: for samples of some thousand points.
    Raises ValueError for fewer than two points. Source: Gretton et al. 2012, section 5.
    """
    if min(x.shape[1], y.shape[1]) < 2:
        raise ValueError(f"x, y: {x.shape[1]} and {y.shape[1]} points; the test needs at least two of each")
    both, n = torch.cat([x, y], 1), x.shape[1]
    matrix = kernel(both, both)
    matrix = matrix - torch.diag(matrix.diagonal())
    m = both.shape[1] - n

    def estimate(order: Tensor) -> float:
        a, b = order[:n], order[n:]
        within = matrix[a][:, a].sum() / (n * (n - 1)) + matrix[b][:, b].sum() / (m * (m - 1))
        return float(within - 2 * matrix[a][:, b].mean())

    generator = torch.Generator().manual_seed(seed)
    observed = estimate(torch.arange(n + m))
    drawn = [estimate(torch.randperm(n + m, generator=generator)) for _ in range(permutations)]
    return observed, (1 + sum(value >= observed for value in drawn)) / (1 + permutations)
