"""A loss that learns: a critic of patches, taught what the style's features look like while the picture is made."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..graph import check_whole
from ..statistics import identity
from .base import Loss


@dataclass
class Critic:
    """The reference's features, the network that tells them from others, and its optimiser."""

    reference: Tensor
    network: nn.Module
    optimiser: torch.optim.Optimizer
    scale: Tensor

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
        return Critic(reference, network, optimiser, reference.square().mean().sqrt().clamp(min=1e-8))

    def compare(self, features: Tensor, target: Critic, weights: Tensor | None = None) -> Tensor:
        """Mean hinge over the patches, (1/n) Σ max(0, 1 − D): 0 where the critic is sure that it is the style."""
        if weights is None:
            return _hinge(features, target)
        score = target(features)
        trim = [(a - b) // 2 for a, b in zip(weights.shape[-2:], score.shape[-2:], strict=True)]
        inside = weights[..., trim[0] : trim[0] + score.shape[-2], trim[1] : trim[1] + score.shape[-1]]
        return (F.relu(1 - score) * inside).sum() / inside.sum().clamp(min=1e-8)

    @torch.enable_grad()
    def update(self, features: Tensor, target: Critic, weights: Tensor | None = None) -> Critic:
        """A few lessons on the style's patches against the picture's: the hinge loss of a GAN's critic."""
        for _ in range(self.lessons):
            loss = F.relu(1 - target(target.reference)).mean() + F.relu(1 + target(features.detach())).mean()
            target.optimiser.zero_grad()
            loss.backward()
            target.optimiser.step()
        return target


def _hinge(features: Tensor, critic: Critic) -> Tensor:
    return F.relu(1 - critic(features)).mean()


def adversarial_loss(lessons: int = 2, rate: float = 1e-3, seed: int = 0) -> Adversarial:
    """The Markovian adversarial loss: a critic learns the style's patches of features while the picture is made.

    It learns `lessons` times at each step of the optimiser, so the objective moves: Adam only, and the last picture is
    the result. Its values at different steps do not compare. Source: Li & Wand 2016 (Precomputed real-time texture
    synthesis with Markovian GANs), section 3.
    """
    check_whole("lessons", lessons, 1)
    return Adversarial(
        identity, _hinge, name="adversarial", every=1, learns=True, least=5, lessons=lessons, rate=rate, seed=seed
    )
