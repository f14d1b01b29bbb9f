"""The grammar of a loss: a statistic and a distance."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

Statistic = Callable[..., Any]  # (features, weights or None) → what describes the cloud


def mean_squared(first: Tensor, second: Tensor) -> Tensor:
    """The mean of the squared differences, (1/n) Σ (a − b)²."""
    return (first - second).square().mean()


@dataclass(frozen=True)
class Loss:
    """distance(statistic(features), statistic(reference)); `loss(features, reference)` gives a scalar.

    `aligned` losses compare position by position (content), so their reference is resized to the picture's size;
    the others' reference only needs a comparable area. What depends on the reference alone is computed once, by
    `prepare`, and compared with by `compare`. Weights are masks (B, 1, H, W) at the features' size; a loss with
    `joint_regions` gets the masks of all K regions at once, (B, K, H, W), the others one region after the other.

    A loss that draws at random, reassigns or learns has `update_every` > 0: its target is replaced by `update` each so
    many steps of the optimiser. One that `learns` cannot be minimised by L-BFGS. `min_positions`: how many positions
    a side features need at least, so that it can compare them.
    """

    statistic: Statistic
    distance: Callable[[Any, Any], Tensor]
    name: str
    aligned: bool = False
    joint_regions: bool = False
    update_every: int = 0
    learns: bool = False
    min_positions: int = 1

    def prepare(self, reference: Tensor, weights: Tensor | None = None) -> Any:
        """The reference's statistic, detached: the target of an optimisation."""
        return self.statistic(reference.detach(), weights).detach()

    def compare(self, features: Tensor, target: Any, weights: Tensor | None = None) -> Tensor:
        """The distance from the features' statistic to a prepared target; the gradient goes to the features only."""
        return self.distance(self.statistic(features, weights), target)

    def update(self, features: Tensor, target: Any, weights: Tensor | None = None) -> Any:
        """The target for the next steps, given the features as they are now."""
        return target

    def scaled(self, factor: Callable[[int, int], float]) -> "Loss":
        """This loss times a factor of the numbers of channels and of positions: another paper's normalisation.

        For a loss that is a statistic and a distance, and no more; ValueError for another.
        """
        if type(self) is not Loss:
            raise ValueError(f"loss: {self.name} is more than a statistic and a distance, and has one normalisation")
        return Scaled(self.statistic, self.distance, self.name, self.aligned, factor=factor)

    def __call__(
        self,
        features: Tensor,
        reference: Tensor,
        weights: Tensor | None = None,
        reference_weights: Tensor | None = None,
    ) -> Tensor:
        return self.compare(features, self.prepare(reference, reference_weights), weights)


@dataclass(frozen=True)
class Scaled(Loss):
    """A loss in other units; `Loss.scaled` makes one."""

    factor: Callable[[int, int], float] = lambda channels, positions: 1.0

    def compare(self, features: Tensor, target: Any, weights: Tensor | None = None) -> Tensor:
        """The distance times the factor."""
        channels, positions = features.shape[1], features.shape[-2] * features.shape[-1]
        return self.factor(channels, positions) * super().compare(features, target, weights)
