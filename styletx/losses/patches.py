"""Losses that look at patches: each patch of the picture beside one of the style's (lecture 05)."""

from dataclasses import dataclass

import scipy
import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_whole
from .base import Loss, mean_squared

BLOCK = 2**24  # entries of a matching matrix that exist at one time: 64 MiB
ASSIGNED = 1024  # patches that one optimal assignment joins; its time grows with the cube


def patches(features: Tensor, size: int = 3, stride: int = 1) -> Tensor:
    """All size×size patches as columns: (1, C, H, W) → (C·size², N). Raises ValueError where none fits."""
    if features.shape[0] != 1:
        raise ValueError(f"features: a batch of {features.shape[0]}; patches are compared for one picture at a time")
    if min(features.shape[-2:]) < size:
        height, width = features.shape[-2:]
        raise ValueError(f"patch: {size}×{size} does not fit into features of {width}×{height}; take an earlier layer")
    return F.unfold(features, size, stride=stride)[0]


@torch.no_grad()
def nearest_patches(found: Tensor, candidates: Tensor, block: int = BLOCK) -> Tensor:
    """For each column of (D, N) the column of (D, M) with the highest normalised cross-correlation: (N,) indices.

    NCC = ⟨a, b⟩ / (|a| |b|); a patch without any content goes to the first candidate. In blocks of columns, so that
    nothing holds N×M. Source: Li & Wand 2016, Eq. 3.
    """
    length = candidates.norm(dim=0)
    candidates = candidates / length.clamp(min=1e-8)
    rows = max(1, block // candidates.shape[1])
    chosen = [(found[:, i : i + rows].T @ candidates).argmax(1) for i in range(0, found.shape[1], rows)]
    return torch.cat(chosen)


@dataclass(frozen=True)
class MRF(Loss):
    """Every patch beside its nearest one of the style; `mrf_loss(...)` makes one."""

    size: int = 3
    stride: int = 1

    def prepare(self, reference: Tensor, weights: Tensor | None = None) -> Tensor:
        """The reference's patches (D, M)."""
        return self._patches(reference.detach(), weights)

    def compare(self, features: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean squared difference of each patch and its nearest one; the choice has no gradient."""
        found = self._patches(features, weights)
        if not found.shape[1] or not target.shape[1]:
            return features.sum() * 0
        if not bool(found.detach().any()):  # no features at all: nothing is nearest; as far as patches are large
            return (found.mean(1, keepdim=True) - target).square().mean()
        return (found - target[:, nearest_patches(found, target)]).square().mean()

    def _patches(self, features: Tensor, weights: Tensor | None) -> Tensor:
        found = patches(features, self.size, self.stride)
        if weights is None:
            return found
        inside = patches(weights, self.size, self.stride).mean(0) > 0.5  # most of the patch lies in the region
        return found[:, inside]


def mrf_loss(size: int = 3, stride: int = 1) -> MRF:
    """Markov random field loss: (1/ND) Σ_i ‖Ψ_i(x) − Ψ_NN(i)(s)‖², nearest by normalised cross-correlation.

    `size`×`size` patches, every `stride` positions. With regions, a patch belongs to one if most of it lies inside.
    Raises ValueError for a patch larger than the features. Source: Li & Wand 2016, Eq. 2 and 3.
    """
    _check(size, stride)
    return MRF(patches, mean_squared, name="mrf", min_positions=size, size=size, stride=stride)


@dataclass(frozen=True)
class Semantic(Loss):
    """MRF loss on features with the regions' masks beside them; `semantic_loss(...)` makes one."""

    size: int = 3
    stride: int = 1
    weight: float = 1.0

    def prepare(self, reference: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor, float]:
        """The reference's patches, the same with their masks, and how large a mask's 1 is."""
        reference = reference.detach()
        # Masks count as much as features do on average: Champandard balances the two in the same way.
        scale = self.weight * float(reference.square().mean().sqrt()) * reference.shape[1] ** 0.5
        found = patches(reference, self.size, self.stride)
        return found, self._labelled(found, weights, scale), scale

    def compare(self, features: Tensor, target: tuple[Tensor, Tensor, float], weights: Tensor | None = None) -> Tensor:
        """Mean squared difference of each patch and the one that is nearest in features and masks together."""
        wanted, labelled, scale = target
        found = patches(features, self.size, self.stride)
        if not bool(found.detach().any()):
            return (found.mean(1, keepdim=True) - wanted).square().mean()
        nearest = nearest_patches(self._labelled(found.detach(), weights, scale), labelled)
        return (found - wanted[:, nearest]).square().mean()

    def _labelled(self, found: Tensor, weights: Tensor | None, scale: float) -> Tensor:
        if weights is None:
            raise ValueError("masks: the semantic loss needs the masks of both pictures, one for each label")
        return torch.cat([found, scale * patches(weights, self.size, self.stride)])


def semantic_loss(size: int = 3, stride: int = 1, weight: float = 1.0) -> Semantic:
    """The MRF loss where patches are chosen by features *and* masks: sky finds sky, water finds water.

    The K `masks` are further channels of the patches, `weight` times as strong as the features. Raises
    ValueError without masks. Source: Champandard 2016 (Semantic style transfer), section 3.
    """
    _check(size, stride)
    if not 0 <= weight < float("inf"):
        raise ValueError(f"weight: {weight}; it must be a number that is not negative")
    return Semantic(patches, mean_squared, name="semantic", joint_regions=True, min_positions=size, size=size,
                    stride=stride, weight=weight)  # fmt: skip


@dataclass(frozen=True)
class _Assigned:
    """The style's patches, and which of them each patch of the picture has been given (none before the first draw)."""

    patches: Tensor
    given: Tensor | None = None
    draws: int = 0


@dataclass(frozen=True)
class Reshuffle(Loss):
    """Every patch of the style is used about once; `reshuffle_loss(...)` makes one."""

    size: int = 3
    stride: int = 1
    seed: int = 0

    def prepare(self, reference: Tensor, weights: Tensor | None = None) -> _Assigned:
        """The reference's patches, not yet given to any of the picture's."""
        _no_regions(weights)
        return _Assigned(patches(reference.detach(), self.size, self.stride))

    def compare(self, features: Tensor, target: _Assigned, weights: Tensor | None = None) -> Tensor:
        """Mean squared difference of each patch and the one it has been given (assigned now, where none was)."""
        _no_regions(weights)
        found = patches(features, self.size, self.stride)
        if target.given is None or target.given.shape[0] != found.shape[1]:
            target = self.update(features, target)
        return (found - target.patches[:, target.given]).square().mean()

    @torch.no_grad()
    def update(self, features: Tensor, target: _Assigned, weights: Tensor | None = None) -> _Assigned:
        """Assign anew: in random blocks of patches, each block's own candidates are dealt out optimally.

        A block holds the candidates that its patches have now, so the sum of squared differences never grows.
        """
        found = patches(features, self.size, self.stride)
        count, draws = found.shape[1], target.draws + 1
        generator = torch.Generator().manual_seed(self.seed * 100_003 + draws)
        given = target.given
        if given is None or given.shape[0] != count:
            given = _dealt(count, target.patches.shape[1], generator).to(found.device)
        given = given.clone()
        order = torch.randperm(count, generator=generator).to(found.device)
        for block in order.split(ASSIGNED):
            mine, theirs = found[:, block], target.patches[:, given[block]]
            cost = mine.square().sum(0)[:, None] + theirs.square().sum(0)[None] - 2 * mine.T @ theirs
            _, columns = scipy.optimize.linear_sum_assignment(cost.cpu().double().numpy())
            given[block] = given[block][torch.as_tensor(columns, device=found.device)]
        return _Assigned(target.patches, given, draws)


def _no_regions(weights: Tensor | None) -> None:
    if weights is not None:
        raise ValueError("masks: the reshuffle loss knows no regions; take the MRF loss")


def _dealt(count: int, candidates: int, generator: torch.Generator) -> Tensor:
    """`count` indices below `candidates`, each as often as any other, give or take one, shuffled."""
    rounds = [torch.randperm(candidates, generator=generator) for _ in range(-(-count // candidates))]
    return torch.cat(rounds)[:count][torch.randperm(count, generator=generator)]


def reshuffle_loss(size: int = 3, stride: int = 1, update_every: int = 10, seed: int = 0) -> Reshuffle:
    """Feature reshuffle: (1/ND) Σ_i ‖Ψ_i(x) − Ψ_σ(i)(s)‖², σ using every patch of the style about once.

    Where the style has more patches than the picture, a random choice of them is dealt out, each once.

    σ is an optimal assignment, in random blocks of 1,024 patches, made anew each `update_every` steps of the optimiser.
    What MRF lacks (it may use one patch everywhere) and Gram lacks (it breaks patches up) come together. Source: Gu
    et al. 2018, Eq. 4 to 6; there a penalty on repeated use stands for the assignment.
    """
    _check(size, stride)
    check_whole("update_every", update_every, 1)
    return Reshuffle(
        patches,
        mean_squared,
        name="reshuffle",
        update_every=update_every,
        min_positions=size,
        size=size,
        stride=stride,
        seed=seed,
    )


def _check(size: int, stride: int) -> None:
    check_whole("size", size, 1)
    check_whole("stride", stride, 1)
