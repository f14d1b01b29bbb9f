"""The litmus suite: minimal pairs of textures, and which style loss can tell them apart (lecture 05).

A pair lives in a feature cloud or in pixels (then it is seen through an encoder). Two textures differ in exactly one
thing; a third picture is another crop of the first one. A loss *sees* the difference if the distance of the pair is
more than ten times the distance between the two crops.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..encoders import Encoder
from ..losses import STYLE_LOSSES, Loss, mmd

# The catalogue's losses; a draw of positions would hide small differences, so the Gaussian kernel looks at all.
LOSSES = {name: loss for name, (loss, _) in STYLE_LOSSES.items()} | {"mmd-gaussian": mmd("gaussian")}
FACTOR = 10.0
ROUNDING = 1e-9  # of a loss: crops that have one statistic exactly still differ by rounding


@dataclass(frozen=True)
class TexturePair:
    """Two textures, another crop of the first, and which losses are expected to tell the two textures apart."""

    name: str
    lives_in: str
    make: Callable[[], tuple[Tensor, Tensor, Tensor]]
    seen_by: tuple[str, ...]
    because: str


def sees(loss: Loss, pair: TexturePair, encoder: Encoder | None = None, layer: str = "relu3_1") -> bool:
    """True if the loss tells the pair's textures apart: over ten times the distance of two crops of one texture."""
    apart, alike, scale = distances(loss, pair, encoder, layer)
    return apart > FACTOR * alike + ROUNDING * scale


def distances(loss: Loss, pair: TexturePair, encoder: Encoder | None, layer: str) -> tuple[float, float, float]:
    """(between the two textures, between two crops of one, and what rounding is measured by)."""
    first, second, crop = pair.make()
    if pair.lives_in == "pixels":
        if encoder is None:
            raise ValueError(f"encoder: {pair.name} lives in pixels; it is seen through an encoder")
        first, second, crop = (encoder(picture.float(), layer)[layer] for picture in (first, second, crop))
    # Of each loss both ways: a loss that looks for nearest patches may find all of one texture inside the other.
    apart = max(_distance(loss, first, second), _distance(loss, second, first))
    alike = max(_distance(loss, first, crop), _distance(loss, crop, first))
    return apart, alike, 1 + _distance(loss, first, torch.zeros_like(first))


def _distance(loss: Loss, first: Tensor, second: Tensor) -> float:
    target = loss.prepare(second)
    if loss.update_every:
        target = loss.update(first, target)
    return float(loss.compare(first, target))


def _coin(seed: int, side: int = 64) -> Tensor:
    """−1 at one half of the positions and 1 at the other, in random order: (1, 1, side, side)."""
    return _shuffled([-1.0, 1.0], seed, side)


def _shuffled(values: list[float], seed: int, side: int = 64) -> Tensor:
    """Each of the values equally often, in random order."""
    order = torch.randperm(side * side, generator=torch.Generator().manual_seed(seed))
    repeated = torch.tensor(values, dtype=torch.float64).repeat(side * side // len(values))
    return repeated[order].view(1, 1, side, side)


def _spike() -> tuple[Tensor, Tensor, Tensor]:
    constant = torch.ones(1, 1, 32, 32, dtype=torch.float64)
    return constant, _shuffled([0.0, 0.0, 0.0, 2.0], 0, 32), constant.clone()


def _three_values() -> tuple[Tensor, Tensor, Tensor]:
    root = math.sqrt(2)
    return _coin(0), _shuffled([-root, 0.0, 0.0, root], 1), _coin(2)


def _correlation() -> tuple[Tensor, Tensor, Tensor]:
    one, other, crop = _coin(0), _coin(1), _coin(2)
    return torch.cat([one, one], 1), torch.cat([one, other], 1), torch.cat([crop, crop], 1)


def _diagonals() -> Tensor:
    """Diagonal stripes, four positions wide."""
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    return ((columns + rows) % 8 < 4).double()[None, None] * 2 - 1


def _permuted() -> tuple[Tensor, Tensor, Tensor]:
    stripes = _diagonals()
    order = torch.randperm(32 * 32, generator=torch.Generator().manual_seed(0))
    return stripes, stripes.flatten(2)[..., order].view_as(stripes), stripes.roll(4, -1)


def _mirrored() -> tuple[Tensor, Tensor, Tensor]:
    stripes = _diagonals()
    return stripes, stripes.flip(-1), stripes.roll(4, -1)


def _phases() -> tuple[Tensor, Tensor, Tensor]:
    """Dots on a jittered grid, and noise with the same power at every frequency."""
    generator = torch.Generator().manual_seed(0)
    side, grid = 144, 9  # an odd grid: one of 8 would keep step with the poolings of the multi-scale Gram matrix
    field = torch.zeros(side, 2 * side, dtype=torch.float64)
    for row in range(0, side, grid):
        for column in range(0, 2 * side, grid):
            down, across = torch.randint(0, grid - 2, (2,), generator=generator).tolist()
            field[row + down : row + down + 3, column + across : column + across + 3] = 1
    dots, crop = field[:, :side], field[:, side:]
    noise = torch.fft.rfft2(torch.randn(side, side, generator=generator, dtype=torch.float64))
    phases = noise / noise.abs().clamp(min=1e-12)
    phases[0, 0] = 1  # the mean stays
    shuffled = torch.fft.irfft2(torch.fft.rfft2(dots).abs() * phases, s=(side, side))
    return dots[None, None], shuffled[None, None], crop[None, None]


def _hatching() -> tuple[Tensor, Tensor, Tensor]:
    """Slanted lines in pixels, and their mirror image: networks have filters for one and for the other."""
    side = 128
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")

    def lines(shift: int) -> Tensor:
        wave = torch.sin((2 * columns + rows + shift) * (2 * math.pi / 16))
        return (0.5 + 0.4 * wave).expand(1, 3, side, side).clone()

    return lines(0), lines(0).flip(-1), lines(8)


PAIRS = (
    TexturePair(
        "one Gram matrix: a constant and spikes",
        "features",
        _spike,
        tuple(name for name in STYLE_LOSSES if name != "gram"),
        "Both have mean square 1, and G = Σ + μμᵀ is the sum of spread and squared mean. Whatever takes the two apart, "
        "or looks at positions, sees it.",
    ),
    TexturePair(
        "one mean and spread: two values and three",
        "features",
        _three_values,
        ("mmd-gaussian", "histogram", "sliced-wasserstein", "mrf"),
        "Moments up to the second are equal, and positions are independent in both: whatever is made of moments is "
        "blind. Reshuffle deals every patch out once; of two random crops neither has the other's patches as often, "
        "and that costs it nearly as much.",
    ),
    TexturePair(
        "one set of histograms: channels alike and independent",
        "features",
        _correlation,
        ("gram", "centred-gram", "covariance", "multiscale-gram", "mmd-polynomial", "mmd-gaussian",
         "sliced-wasserstein", "mrf"),
        "Each channel by itself is the same. A loss has to look at two channels together, at one position: the shifted "
        "Gram matrix looks at two positions only, where both textures are independent. Reshuffle: as above.",
    ),
    TexturePair(
        "positions permuted",
        "features",
        _permuted,
        ("shifted-gram", "multiscale-gram", "mrf", "reshuffle"),
        "Every orderless statistic is a sum over positions, in whatever order.",
    ),
    TexturePair(
        "mirrored, in features",
        "features",
        _mirrored,
        ("mrf", "reshuffle"),
        "One point at a time nothing changes; nor does the correlation with a neighbour to the right, or below. Only a "
        "patch knows which diagonal it holds.",
    ),
    TexturePair(
        "mirrored, in pixels",
        "pixels",
        _hatching,
        tuple(STYLE_LOSSES),
        "Through a network everything sees it: its channels are patches already, with a direction each.",
    ),
    TexturePair(
        "phases shuffled",
        "features",
        _phases,
        ("mmd-gaussian", "histogram", "sliced-wasserstein", "mrf"),
        "The power spectrum is kept, and with it the mean, the spread and all correlations between two positions: "
        "whatever is made of these is blind. The values themselves become a bell curve. Reshuffle: as above.",
    ),
)  # fmt: skip


def truth_table(encoder: Encoder) -> dict[str, dict[str, bool]]:
    """{pair: {loss: does it see the difference?}} for every style loss by name, measured."""
    return {pair.name: {name: sees(loss, pair, encoder) for name, loss in LOSSES.items()} for pair in PAIRS}
