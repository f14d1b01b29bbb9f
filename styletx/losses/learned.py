"""A loss that learns: a critic of patches, taught what the style's features look like while the picture is made."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_whole
from ..statistics import identity
from .base import Loss


@dataclass
class Critic:
    """The reference's features, the network that tells them from others, and its optimiser."""

    reference: Tensor
    network: nn.Module
    optimiser: torch.optim.Optimizer
    scale: Tensor
    weights: Tensor | None = None  # where the reference is the style's own: (1, 1, h, w)

    def __call__(self, features: Tensor) -> Tensor:
        """A score for each 5×5 patch: above 0 for the style's."""
        if min(features.shape[-2:]) < 5:
            height, width = features.shape[-2:]
            raise ValueError(f"features: {width}×{height}, too few for a critic of 5×5 patches; take an earlier layer")
        return self.network(features / self.scale)


def patch_critic(channels: int, width: int = 64) -> nn.Module:
    """A PatchGAN on features: its score at a position sees 5×5 of them, and nothing beyond."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, width, 3),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, width, 3),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 1, 1),
    )


@dataclass(frozen=True)
class Adversarial(Loss):
    """How far a critic of patches is from taking the features for the style's; `adversarial_loss(...)` makes one."""

    lessons: int = 2
    rate: float = 1e-3
    seed: int = 0

    def prepare(self, reference: Tensor, weights: Tensor | None = None) -> Critic:
        """A critic that has not learnt anything yet, seeded."""
        reference = reference.detach()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = patch_critic(reference.shape[1])
        network.to(reference)
        optimiser = torch.optim.Adam(network.parameters(), lr=self.rate, betas=(0.5, 0.9))
        scale = reference.square().mean().sqrt().clamp(min=1e-8)
        return Critic(reference, network, optimiser, scale, weights)

    def compare(self, features: Tensor, target: Critic, weights: Tensor | None = None) -> Tensor:
        """Mean hinge over the patches, (1/n) Σ max(0, 1 − D): 0 where the critic is sure that it is the style."""
        return _hinge(target(features), weights)

    @torch.enable_grad()
    def update(self, features: Tensor, target: Critic, weights: Tensor | None = None) -> Critic:
        """A few lessons on the style's patches against the picture's: the hinge loss of a GAN's critic."""
        for _ in range(self.lessons):
            loss = _hinge(target(target.reference), target.weights) + _hinge(-target(features.detach()), weights)
            target.optimiser.zero_grad()
            loss.backward()
            target.optimiser.step()
        return target


def _hinge(score: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of max(0, 1 − D), over the patches whose middle lies in the region."""
    if weights is None:
        return F.relu(1 - score).mean()
    top, left = ((a - b) // 2 for a, b in zip(weights.shape[-2:], score.shape[-2:], strict=True))
    inside = weights[..., top : top + score.shape[-2], left : left + score.shape[-1]]
    return (F.relu(1 - score) * inside).sum() / inside.sum().clamp(min=1e-8)


def adversarial_loss(lessons: int = 2, rate: float = 1e-3, seed: int = 0) -> Adversarial:
    """The Markovian adversarial loss: a critic learns the style's patches of features while the picture is made.

    It learns `lessons` times at each step of the optimiser, so the objective moves: Adam only, and the last picture is
    the result. Its values at different steps do not compare. Source: Li & Wand 2016 (Precomputed real-time texture
    synthesis with Markovian GANs), section 3.
    """
    check_whole("lessons", lessons, 1)
    return Adversarial(
        identity,
        _hinge,
        name="adversarial",
        update_every=1,
        learns=True,
        min_positions=5,
        lessons=lessons,
        rate=rate,
        seed=seed,
    )
