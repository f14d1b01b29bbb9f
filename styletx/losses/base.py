"""The grammar of a loss: a statistic and a distance."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Statistic = Callable[[Tensor, Tensor | None], Tensor]


def mean_squared(first: Tensor, second: Tensor) -> Tensor:
    """The mean of the squared differences, (1/n) Σ (a − b)²."""
    return (first - second).square().mean()


@dataclass(frozen=True)
class Loss:
    """distance(statistic(features), statistic(reference)); `loss(features, reference)` gives a scalar.

    `aligned` losses compare position by position (content), so their reference is resized to the picture's size;
    the others' reference only needs a comparable area. What depends on the reference alone is computed once, by
    `prepare`, and compared with by `compare`. Weights are masks (B, 1, H, W) at the features' size.
    """

    statistic: Statistic
    distance: Callable[[Tensor, Tensor], Tensor]
    name: str
    aligned: bool = False

    def prepare(self, reference: Tensor, weights: Tensor | None = None) -> Tensor:
        """The reference's statistic, detached: the target of an optimisation."""
        return self.statistic(reference.detach(), weights).detach()

    def compare(self, features: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
        """The distance from the features' statistic to a prepared target."""
        return self.distance(self.statistic(features, weights), target)

    def __call__(
        self,
        features: Tensor,
        reference: Tensor,
        weights: Tensor | None = None,
        reference_weights: Tensor | None = None,
    ) -> Tensor:
        return self.distance(self.statistic(features, weights), self.statistic(reference, reference_weights))
