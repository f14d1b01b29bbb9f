"""Objectives: which statistics of which references a picture shall have, and what is asked of the picture itself.

    objective = Objective(
        Match(content_loss, content, layers="relu4_2", weight=alpha),
        Match(gram_loss, style, layers=STYLE_LAYERS, weight=beta),
        Energy(total_variation, weight=gamma),
    )
    level = objective.at((384, 512), encoder)      # references resized and their targets computed, once
    level(image)                                   # {"content": ..., "gram": ..., "total_variation": ...}

Weights are *relative*: every layer of a Match is divided by its value at a picture without any features, which is the
reference's own size: the squared norm of its Gram matrix, say. So one weight means the same at 128 and at 512 pixels,
and with any encoder.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .encoders import Encoder, load_encoder
from .images import resize, resize_mask
from .losses import Loss

FLOOR = 1e-8  # of a denominator: a reference without any variation has nothing to be measured by
View = Callable[[Tensor], Tensor]


def layer_weights(layers: str | Iterable[str] | Mapping[str, float]) -> dict[str, float]:
    """{layer: weight} of a name, of several names (equal weights that add up to 1), or of such a mapping."""
    if isinstance(layers, Mapping):
        return dict(layers)
    names = [layers] if isinstance(layers, str) else list(layers)
    return {name: 1 / len(names) for name in names}


@dataclass(frozen=True)
class Match:
    """One loss between a picture and a reference, at some layers of an encoder.

    reference: a picture (1, 3, H, W), or several: with `where`, one for each region; without, a mixture.
    mix: how much of each reference is in a mixture, or how much each region counts (default: all alike); only the
    proportions count. A region with less weight than one position of a layer, in picture or reference, asks for
    nothing there.
    layers: a name, several names (equal weights that add up to 1), or {name: weight}.
    where: masks (1, K, H, W) of the picture and of the reference(s), for K regions; either may be None.
    view: maps of the picture and of the reference that come before the encoder (a crop, a coarser scale). A map of
        the picture that has `every` is replaced by its `update()` each so many steps of the optimiser (a jitter).
    scale: the reference's size relative to the picture's, for losses that are not aligned: the size of the strokes.
    """

    loss: Loss
    reference: Tensor | Sequence[Tensor]
    layers: str | Iterable[str] | Mapping[str, float]
    weight: float = 1.0
    encoder: str | Encoder | None = None
    where: tuple[Tensor | None, Tensor | None] | None = None
    view: tuple[View | None, View | None] | None = None
    scale: float = 1.0
    name: str = ""
    mix: Sequence[float] | None = None

    def layer_weights(self) -> dict[str, float]:
        """{layer: weight}."""
        return layer_weights(self.layers)

    def references(self) -> list[Tensor]:
        """The references as a list, one for each region where there are regions."""
        return [self.reference] if isinstance(self.reference, Tensor) else list(self.reference)

    def regions(self) -> int:
        """How many regions the masks have; 0 without masks."""
        return max((mask.shape[1] for mask in self.where or () if mask is not None), default=0)


@dataclass(frozen=True)
class Energy:
    """A function of the picture alone, without a reference; its value counts as it is.

    at: where the function depends on the size, what makes it, (size, device) → function; called once per level.
    Raises ValueError unless one of the two is given.
    """

    function: Callable[[Tensor], Tensor] | None = None
    weight: float = 1.0
    name: str = ""
    at: Callable[[tuple[int, int], torch.device], Callable[[Tensor], Tensor]] | None = None

    def __post_init__(self):
        if (self.function is None) == (self.at is None):
            raise ValueError("function, at: an energy is either a function of pictures or what makes one for a size")


class Objective:
    """A sum of weighted terms; `at(size, encoder)` makes it ready for pictures of one size.

    `relative=False` leaves every term as its formula gives it, which is what papers' own weights are meant for.
    Raises ValueError for no terms, and for a weight that is negative or not finite.
    """

    def __init__(self, *terms: Match | Energy, relative: bool = True):
        if not terms:
            raise ValueError("terms: an objective needs at least one Match or Energy")
        self.relative = relative
        self.terms: list[Match | Energy] = []
        taken: set[str] = set()
        for term in terms:
            name = term.name or (term.loss.name if isinstance(term, Match) else (term.function or term.at).__name__)
            weights = [term.weight, *(term.layer_weights().values() if isinstance(term, Match) else ())]
            for weight in weights:
                if not math.isfinite(weight) or weight < 0:
                    raise ValueError(f"weight: {weight} of {name}; it must be a number that is not negative")
            if isinstance(term, Match):
                _shares(term)
            number = 2
            while name in taken:
                name, number = f"{name.rstrip('0123456789 ')} {number}", number + 1
            taken.add(name)
            self.terms.append(replace(term, name=name))

    def layers(self) -> list[str]:
        """All layers that some Match reads from the run's own encoder."""
        matches = [term for term in self.terms if isinstance(term, Match) and term.encoder is None]
        return list(dict.fromkeys(layer for match in matches for layer in match.layer_weights()))

    def smallest(self, encoder: Encoder) -> int:
        """The shortest side of a picture in which every Match that the encoder serves has something to compare."""
        matches = [term for term in self.terms if isinstance(term, Match) and not isinstance(term.encoder, str)]
        encoder.check_layers([layer for m in matches if m.encoder is None for layer in m.layer_weights()] or "input")
        return max((_least(m, m.encoder or encoder, (m.view or (None,))[0]) for m in matches), default=1)

    def at(
        self, size: tuple[int, int], encoder: str | Encoder = "mini", device: str | torch.device | None = None
    ) -> "Level":
        """This objective for pictures of `size` (height, width): references and masks resized, targets computed."""
        return Level(self, size, load_encoder(encoder, device=device))


class Level:
    """An objective at one size: `level(image)` gives {term: weighted scalar}, with one pass through each encoder."""

    def __init__(self, objective: Objective, size: tuple[int, int], encoder: Encoder):
        self.size = tuple(size)
        self.encoder = encoder
        self.device = encoder.device
        self.energies = [
            (term.name, term.weight, term.at(self.size, self.device) if term.at else term.function)
            for term in objective.terms
            if isinstance(term, Energy) and term.weight
        ]
        self.matches = [
            _Bound(term, self.size, encoder, self.device, objective.relative)
            for term in objective.terms
            if isinstance(term, Match) and term.weight
        ]

    @property
    def changes(self) -> bool:
        """Whether `update` makes another objective of it every so many steps."""
        return any(getattr(part, "every", 0) for bound in self.matches for part in (bound.loss, bound.view))

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        seen: dict[tuple, dict[str, Tensor]] = {}
        for encoder, view in dict.fromkeys((bound.encoder, bound.view) for bound in self.matches):
            asked = [b.weights for b in self.matches if (b.encoder, b.view) == (encoder, view)]
            layers = list(dict.fromkeys(layer for weights in asked for layer in weights))
            seen[encoder, view] = encoder(view(image) if view else image, layers)
        values = {bound.name: bound(seen[bound.encoder, bound.view]) for bound in self.matches}
        return values | {name: weight * energy(image) for name, weight, energy in self.energies}

    def update(self, image: Tensor, steps: int) -> bool:
        """After so many steps of the optimiser: targets that are due are drawn, reassigned or taught anew.

        True if the objective is another one now. `image` is the picture as it is.
        """
        moved = [bound for bound in self.matches if _is_due(bound.view, steps) and steps]
        for bound in moved:
            bound.view = bound.view.update()
        due = [bound for bound in self.matches if _is_due(bound.loss, steps)]
        for bound in due:
            with torch.no_grad():
                image = image.detach()
                features = bound.encoder(bound.view(image) if bound.view else image, bound.weights)
            bound.update(features)
        return bool(due or moved)


def _is_due(part: object, steps: int) -> bool:
    every = getattr(part, "every", 0)
    return every > 0 and steps % every == 0


def _shares(match: Match) -> list[float]:
    """What each region, or each reference of a mixture, counts: proportions, but 1 for every region if none are given.

    Raises ValueError for a mix that does not fit.
    """
    regions = match.regions()
    count = regions or len(match.references())
    if match.mix is None:
        return [1.0 if regions else 1 / count] * count
    mix = list(match.mix)
    if len(mix) != count or not all(math.isfinite(m) and m >= 0 for m in mix) or not sum(mix) > 0:
        what = "regions" if regions else "references"
        raise ValueError(f"mix: {mix} for {count} {what}; one number each, none negative, not all 0")
    if regions and match.loss.stacked:
        raise ValueError(f"mix: {match.loss.name} compares all regions at once, so that none counts by itself")
    return [share / sum(mix) for share in mix]


def _least(match: Match, encoder: Encoder, view: View | None) -> int:
    """The shortest side of a picture that has something to compare at all layers, seen through the view."""
    need = max(encoder.smallest(layer, match.loss.least) for layer in encoder.check_layers(match.layer_weights()))
    return math.ceil(need / getattr(view, "factor", 1))  # a view may make pictures smaller by a known factor


class _Bound:
    """A Match with its targets and denominators at one size."""

    @torch.no_grad()
    def __init__(self, match: Match, size: tuple[int, int], encoder: Encoder, device: torch.device, relative: bool):
        self.name, self.loss, self.weight = match.name, match.loss, match.weight
        self.encoder = encoder if match.encoder is None else load_encoder(match.encoder, device=device)
        self.view, look = match.view or (None, None)
        self.weights = {layer: weight for layer, weight in match.layer_weights().items() if weight}
        layers = self.encoder.check_layers(self.weights or match.layer_weights())
        mask, reference_mask = match.where or (None, None)
        if self.loss.aligned:  # position by position: one mask serves both sides
            mask, reference_mask = (
                (reference_mask if mask is None else mask),
                (mask if reference_mask is None else reference_mask),
            )
        references = [r.to(device, torch.float32) for r in match.references()]
        regions = match.regions()
        if regions and len(references) not in (1, regions):
            raise ValueError(f"where: {regions} regions for {len(references)} references; one each, or one for all")
        self.stacked = self.loss.stacked and bool(regions)
        self.regional = bool(regions) and not self.stacked
        self.count = regions if self.regional else len(references)
        shares = _shares(match)[: self.count]

        blank = torch.zeros(1, 3, *size, device=device)
        empty = self.encoder(self.view(blank) if self.view else blank, layers)
        empty = {n: torch.zeros_like(features) for n, features in empty.items()}
        # Masks at the size of each layer: what a statistic weighs the positions by.
        self.masks = {n: None if mask is None else resize_mask(mask.to(device), empty[n].shape[-2:]) for n in layers}
        self.least = _least(match, self.encoder, look)
        seen = [self._look(r, size, match.scale, look, layers) for r in references]
        self.targets: dict[str, list] = {}
        self.shares: dict[str, list[float]] = {}
        for layer in layers:
            self.targets[layer], self.shares[layer] = [], list(shares)
            for k in range(self.count):
                features = seen[k if len(seen) > 1 else 0][layer]
                weights = None
                if reference_mask is not None:
                    chosen = reference_mask if self.stacked else reference_mask[:, k : k + 1]
                    weights = resize_mask(chosen.to(device), features.shape[-2:])
                if self.regional and any(m is not None and float(m.sum()) < 1 for m in (weights, self._mask(layer, k))):
                    self.shares[layer][k] = 0.0  # no feature there is the region's own
                self.targets[layer].append(self.loss.prepare(features, weights))
        self.denominators = dict.fromkeys(layers, 1.0)
        if relative and not self.loss.learns:  # one for all regions and for all parts of a mixture
            self.denominators = {n: max(float(self._compare(empty[n], n)), FLOOR) for n in layers}

    def _look(self, reference: Tensor, size: tuple, scale: float, view: View | None, layers: list[str]) -> dict:
        if not self.loss.aligned:  # equal area, times the style scale
            height, width = reference.shape[-2:]
            factor = scale * math.sqrt(size[0] * size[1] / (height * width))
            size = (max(round(height * factor), self.least), max(round(width * factor), self.least))
        reference = resize(reference, size)
        return self.encoder(view(reference) if view else reference, layers)

    def _mask(self, layer: str, k: int) -> Tensor | None:
        mask = self.masks[layer]
        return mask if mask is None or self.stacked else mask[:, k : k + 1]

    def update(self, features: dict[str, Tensor]) -> None:
        for layer, targets in self.targets.items():
            self.targets[layer] = [
                self.loss.update(features[layer], target, self._mask(layer, k)) for k, target in enumerate(targets)
            ]

    def _compare(self, features: Tensor, layer: str) -> Tensor:
        """The sum over the regions or the parts of a mixture."""
        parts = [
            share * self.loss.compare(features, target, self._mask(layer, k))
            for k, (share, target) in enumerate(zip(self.shares[layer], self.targets[layer], strict=True))
            if share
        ]
        return sum(parts) if parts else features.sum() * 0

    def __call__(self, features: dict[str, Tensor]) -> Tensor:
        parts = (w * self._compare(features[n], n) / self.denominators[n] for n, w in self.weights.items())
        return self.weight * sum(parts)
