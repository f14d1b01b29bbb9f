"""Objectives: which statistics of which references a picture shall have, and what is asked of the picture itself.

    objective = Objective(
        Match(content_loss, content, layers="relu4_2", weight=alpha),
        Match(gram_loss, style, layers=STYLE_LAYERS, weight=beta),
        Energy(total_variation, weight=gamma),
    )
    bound = objective.at((384, 512), encoder)      # references resized and their targets computed, once
    bound(image)                                   # {"content": ..., "gram": ..., "total_variation": ...}

Weights are *relative*: every layer of a Match is divided by its value at a picture without any features, which is the
reference's own size: the squared norm of its Gram matrix, say. So one weight means the same at 128 and at 512 pixels,
and with any encoder.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .encoders import Encoder, load_encoder
from .images import Size, resize, resize_mask, size_of
from .losses import Loss

Layers = str | Iterable[str] | Mapping[str, float]
Masks = tuple[Tensor | None, Tensor | None]
FLOOR = 1e-8  # of a denominator: a reference without any variation has nothing to be measured by
View = Callable[[Tensor], Tensor]


def layer_weights(layers: Layers) -> dict[str, float]:
    """{layer: weight} of a name, of several names (equal weights that add up to 1), or of such a mapping."""
    if isinstance(layers, Mapping):
        return dict(layers)
    names = [layers] if isinstance(layers, str) else list(layers)
    return {name: 1 / len(names) for name in names}


@dataclass(frozen=True)
class Match:
    """One loss between a picture and a reference, at some layers of an encoder.

    reference: a picture (1, 3, H, W), or several: with `masks`, one for each region; without, a mixture. Or the name of
        a batch entry: its picture is given with each call, `bound(image, {"content": photos})`, as in training. What is
        not aligned (a style) then has denominators of its own in every row.
    mix: how much of each reference is in a mixture, or how much each region counts (default: all alike); only the
    proportions count. A region with less weight than one position of a layer, in picture or reference, asks for
    nothing there.
    layers: a name, several names (equal weights that add up to 1), or {name: weight}.
    masks: (1, K, H, W) of the picture and of the reference(s), for K regions; either may be None.
    view: maps of the picture and of the reference that come before the encoder (a crop, a coarser scale). A map of
        the picture that has `update_every` is replaced by its `update()` each so many steps (a jitter).
    scale: the reference's size relative to the picture's, for losses that are not aligned: the size of the strokes.
    choose: the name of a batch entry of whole numbers (B,): which of the references each picture of a batch is compared
        with, as for a network that learns several styles. Each reference then has its own denominators.
    """

    loss: Loss
    reference: Tensor | Sequence[Tensor] | str
    layers: Layers
    weight: float = 1.0
    encoder: str | Encoder | None = None
    masks: Masks | None = None
    view: tuple[View | None, View | None] | None = None
    scale: float = 1.0
    name: str = ""
    mix: Sequence[float] | None = None
    choose: str = ""

    def __post_init__(self) -> None:
        if self.choose and (not self.references() or self.masks or self.mix):
            raise ValueError("choose: one of several pictures, without masks and without a mix")

    def layer_weights(self) -> dict[str, float]:
        """{layer: weight}."""
        return layer_weights(self.layers)

    def references(self) -> list[Tensor]:
        """The references as a list, one for each region where there are regions; none where a batch brings them."""
        if isinstance(self.reference, str):
            return []
        return [self.reference] if isinstance(self.reference, Tensor) else list(self.reference)

    def regions(self) -> int:
        """How many regions the masks have; 0 without masks."""
        return max((mask.shape[1] for mask in self.masks or () if mask is not None), default=0)


@dataclass(frozen=True)
class Energy:
    """A function of the picture alone, without a reference; its value counts as it is.

    factory: where the function depends on the size, what makes it, (size, device) → function; called once per level.
    Raises ValueError unless one of the two is given.
    """

    function: View | None = None
    weight: float = 1.0
    name: str = ""
    factory: Callable[[Size, torch.device], View] | None = None

    def __post_init__(self) -> None:
        if (self.function is None) == (self.factory is None):
            raise ValueError(
                "function, factory: an energy is either a function of pictures or what makes one for a size"
            )

    def at(self, size: Size, device: torch.device) -> View:
        """The function, for pictures of that size."""
        function = self.factory(size, device) if self.factory else self.function
        assert function is not None
        return function


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
        self._named: dict[tuple[str, torch.device], Encoder] = {}
        taken: set[str] = set()
        for term in terms:
            base = name = term.name or _name_of(term)
            weights = [term.weight, *(term.layer_weights().values() if isinstance(term, Match) else ())]
            for weight in weights:
                if not math.isfinite(weight) or weight < 0:
                    raise ValueError(f"weight: {weight} of {name}; it must be a number that is not negative")
            if isinstance(term, Match):
                _shares(term)
            number = 2
            while name in taken:
                name, number = f"{base} {number}", number + 1
            taken.add(name)
            self.terms.append(replace(term, name=name))

    def encoder_of(self, match: Match, encoder: Encoder) -> Encoder:
        """The encoder that a Match looks through, on the device of the run's own; one named in it is loaded once."""
        if not isinstance(match.encoder, str):
            return encoder if match.encoder is None else load_encoder(match.encoder, device=encoder.device)
        key = match.encoder, encoder.device
        if key not in self._named:
            self._named[key] = load_encoder(match.encoder, device=encoder.device)
        return self._named[key]

    def batch_entries(self) -> list[str]:
        """The names of the batch entries that serve as references."""
        names = [t.reference for t in self.terms if isinstance(t, Match) and isinstance(t.reference, str)]
        return list(dict.fromkeys(names))

    def choices(self) -> dict[str, int]:
        """{batch entry: among how many references it chooses}; ValueError for one that has several counts."""
        found: dict[str, int] = {}
        for term in self.terms:
            if isinstance(term, Match) and term.choose:
                count = len(term.references())
                if found.setdefault(term.choose, count) != count:
                    raise ValueError(f"choose: {term.choose} chooses among {found[term.choose]} and among {count}")
        return found

    def layers(self) -> list[str]:
        """All layers that some Match reads from the run's own encoder."""
        matches = [term for term in self.terms if isinstance(term, Match) and term.encoder is None]
        return list(dict.fromkeys(layer for match in matches for layer in match.layer_weights()))

    def smallest(self, encoder: Encoder) -> int:
        """The shortest side of a picture in which every Match that the encoder serves has something to compare."""
        matches = [
            (term, term.encoder or encoder)
            for term in self.terms
            if isinstance(term, Match) and not isinstance(term.encoder, str)
        ]
        encoder.check_layers([layer for m, _ in matches if m.encoder is None for layer in m.layer_weights()] or "input")
        return max((_smallest(m, network, (m.view or (None,))[0]) for m, network in matches), default=1)

    def at(
        self, size: Size, encoder: str | Encoder = "mini", device: str | torch.device | None = None
    ) -> "BoundObjective":
        """This objective for pictures of `size` (height, width): references and masks resized, targets computed."""
        return BoundObjective(self, size, load_encoder(encoder, device=device))


def _name_of(term: Match | Energy) -> str:
    if isinstance(term, Match):
        return term.loss.name
    function = term.function or term.factory
    return getattr(function, "__name__", type(function).__name__)


class BoundObjective:
    """An objective at one size: `bound(image)` gives {term: weighted scalar}, with one pass through each encoder."""

    def __init__(self, objective: Objective, size: Size, encoder: Encoder):
        self.size = (size[0], size[1])
        self.encoder = encoder
        self.device = encoder.device
        self.energies = [
            (term.name, term.weight, term.at(self.size, self.device))
            for term in objective.terms
            if isinstance(term, Energy) and term.weight
        ]
        self.matches: list[_BoundMatch | _Chosen | _Brought] = [
            _kind(term)(term, self.size, objective.encoder_of(term, encoder), objective.relative)
            for term in objective.terms
            if isinstance(term, Match) and term.weight
        ]

    @property
    def changes(self) -> bool:
        """Whether `update` makes another objective of it every so many steps."""
        return any(_period(part) for bound in self.matches for part in (bound.loss, bound.view))

    def __call__(self, image: Tensor, batch: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """{term: weighted scalar}, the mean over the pictures of a batch (B, 3, H, W).

        batch: the pictures that serve as references by name, (B, 3, H, W), and which references are chosen, (B,).
        Raises ValueError for one that is missing.
        """
        seen: dict[tuple[Encoder, View | None], dict[str, Tensor]] = {}
        for encoder, view in dict.fromkeys((bound.encoder, bound.view) for bound in self.matches):
            asked = [b.weights for b in self.matches if (b.encoder, b.view) == (encoder, view)]
            layers = list(dict.fromkeys(layer for weights in asked for layer in weights))
            seen[encoder, view] = encoder(view(image) if view else image, layers)
        for bound in self.matches:
            if bound.entry is not None:
                if batch is None or bound.entry not in batch:
                    raise ValueError(f'batch: no entry "{bound.entry}", which {bound.name} is to be compared with')
                bound.take(batch[bound.entry])
        values = {bound.name: bound(seen[bound.encoder, bound.view]) for bound in self.matches}
        return values | {name: weight * energy(image) for name, weight, energy in self.energies}

    def update(self, image: Tensor, steps: int) -> bool:
        """After so many steps of the optimiser: targets that are due are drawn, reassigned or taught anew.

        True if the objective is another one now. `image` is the picture as it is.
        """
        moved = [bound for bound in self.matches if _is_due(bound.view, steps) and steps]
        for bound in moved:
            view: Any = bound.view
            bound.view = view.update()
        due = [bound for bound in self.matches if _is_due(bound.loss, steps)]
        for bound in due:
            with torch.no_grad():
                image = image.detach()
                features = bound.encoder(bound.view(image) if bound.view else image, list(bound.weights))
            bound.update(features)
        return bool(due or moved)


def _period(part: object) -> int:
    return getattr(part, "update_every", 0)


def _is_due(part: object, steps: int) -> bool:
    return _period(part) > 0 and steps % _period(part) == 0


def _shares(match: Match) -> list[float]:
    """What each region, or each reference of a mixture, counts: proportions, but 1 for every region if none are given.

    Raises ValueError for a mix that does not fit.
    """
    regions = match.regions()
    count = regions or max(1, len(match.references()))
    if match.mix is None:
        return [1.0 if regions else 1 / count] * count
    mix = list(match.mix)
    if len(mix) != count or not all(math.isfinite(m) and m >= 0 for m in mix) or not sum(mix) > 0:
        what = "regions" if regions else "references"
        raise ValueError(f"mix: {mix} for {count} {what}; one number each, none negative, not all 0")
    if regions and match.loss.joint_regions:
        raise ValueError(f"mix: {match.loss.name} compares all regions at once, so that none counts by itself")
    return [share / sum(mix) for share in mix]


def _smallest(match: Match, encoder: Encoder, view: View | None) -> int:
    """The shortest side of a picture that has something to compare at all layers, seen through the view."""
    layers = encoder.check_layers(match.layer_weights())
    need = max(encoder.smallest(layer, match.loss.min_positions) for layer in layers)
    return math.ceil(need / getattr(view, "factor", 1))  # a view may make pictures smaller by a known factor


class _BoundMatch:
    """A Match with its targets and denominators at one size."""

    @torch.no_grad()
    def __init__(self, match: Match, size: Size, encoder: Encoder, relative: bool):
        self.match, self.size = match, size
        self.name, self.loss, self.weight = match.name, match.loss, match.weight
        self.entry = match.reference if isinstance(match.reference, str) else None
        self.encoder = encoder
        self.view, self.reference_view = match.view or (None, None)
        self.weights = {layer: weight for layer, weight in match.layer_weights().items() if weight}
        self.layers = self.encoder.check_layers(self.weights or match.layer_weights())
        self.relative = relative and not self.loss.learns
        regions, references = match.regions(), match.references()
        if regions and len(references) not in (1, regions):
            raise ValueError(f"masks: {regions} regions for {len(references)} references; one each, or one for all")
        self.joint = self.loss.joint_regions and bool(regions)
        self.regional = bool(regions) and not self.joint
        self.count = regions if self.regional else max(1, len(references))
        self.empty = self._empty()
        self.masks, self.reference_mask = self._masks()
        self.targets: dict[str, list[Any]] = {}
        self.shares: dict[str, list[float]] = {}
        self.denominators = dict.fromkeys(self.layers, 1.0)
        if references:
            self._take(references)

    def take(self, given: Tensor) -> None:
        """Compare with the picture or pictures that a batch brings."""
        self._take([given])

    def _take(self, references: list[Tensor]) -> None:
        """Compare with these references: their targets, and (the first time) the denominators."""
        first = not self.targets
        with torch.no_grad():
            self._set_targets([self._look(r.to(self.encoder.device, torch.float32)) for r in references])
            if self.relative and first:  # one for all regions and for all parts of a mixture
                empty = {n: features.expand(len(references[0]), -1, -1, -1) for n, features in self.empty.items()}
                self.denominators = {n: max(float(self._compare(empty[n], n)), FLOOR) for n in self.layers}

    def _empty(self) -> dict[str, Tensor]:
        """Features of the picture's size without any content."""
        blank = torch.zeros(1, 3, *self.size, device=self.encoder.device)
        features = self.encoder(self.view(blank) if self.view else blank, self.layers)
        return {layer: torch.zeros_like(found) for layer, found in features.items()}

    def _masks(self) -> tuple[dict[str, Tensor | None], Tensor | None]:
        """The picture's masks at the size of each layer, by which a statistic weighs positions; the references'."""
        mask, reference_mask = self.match.masks or (None, None)
        if self.loss.aligned:  # position by position: one mask serves both sides
            mask, reference_mask = (
                (reference_mask if mask is None else mask),
                (mask if reference_mask is None else reference_mask),
            )
        device = self.encoder.device
        found = {
            n: None if mask is None else resize_mask(mask.to(device), size_of(features))
            for n, features in self.empty.items()
        }
        return found, reference_mask

    def _look(self, reference: Tensor) -> dict[str, Tensor]:
        """The features of a reference, at the size at which it is compared."""
        size = self.size
        if not self.loss.aligned:  # equal area, times the style scale
            height, width = reference.shape[-2:]
            factor = self.match.scale * math.sqrt(size[0] * size[1] / (height * width))
            least = _smallest(self.match, self.encoder, self.reference_view)
            size = (max(round(height * factor), least), max(round(width * factor), least))
        reference = resize(reference, size)
        seen = self.reference_view(reference) if self.reference_view else reference
        features: dict[str, Tensor] = self.encoder(seen, self.layers)
        return features

    def _set_targets(self, seen: list[dict[str, Tensor]]) -> None:
        shares = _shares(self.match)[: self.count]
        for layer in self.layers:
            self.targets[layer], self.shares[layer] = [], list(shares)
            for k in range(self.count):
                features = seen[k if len(seen) > 1 else 0][layer]
                weights = None
                if self.reference_mask is not None:
                    chosen = self.reference_mask if self.joint else self.reference_mask[:, k : k + 1]
                    weights = resize_mask(chosen.to(features.device), size_of(features))
                if self.regional and any(m is not None and float(m.sum()) < 1 for m in (weights, self._mask(layer, k))):
                    self.shares[layer][k] = 0.0  # no feature there is the region's own
                self.targets[layer].append(self.loss.prepare(features, weights))

    def _mask(self, layer: str, k: int) -> Tensor | None:
        mask = self.masks[layer]
        return mask if mask is None or self.joint else mask[:, k : k + 1]

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
        return sum(parts, features.new_zeros(())) if parts else features.sum() * 0

    def __call__(self, features: dict[str, Tensor]) -> Tensor:
        parts = [w * self._compare(features[n], n) / self.denominators[n] for n, w in self.weights.items()]
        return self.weight * sum(parts, next(iter(features.values())).new_zeros(()))


class _Brought:
    """A Match whose styles come with the batch, one for each picture: each is compared with its own."""

    def __init__(self, match: Match, size: Size, encoder: Encoder, relative: bool):
        self.bound = bound = _BoundMatch(match, size, encoder, relative)
        self.name, self.loss, self.encoder, self.view = bound.name, bound.loss, bound.encoder, bound.view
        self.weights, self.entry = bound.weights, bound.entry
        self.styles: list[Tensor] = []

    def take(self, given: Tensor) -> None:
        """The style of each picture, (B, 3, H, W)."""
        self.styles = [given[row : row + 1] for row in range(len(given))]

    def update(self, features: dict[str, Tensor]) -> None:
        raise ValueError(f"loss: {self.name} changes while it is followed; its styles cannot come with a batch")

    def __call__(self, features: dict[str, Tensor]) -> Tensor:
        first = next(iter(features.values()))
        if len(self.styles) != len(first):
            raise ValueError(f"batch: {len(self.styles)} pictures in {self.entry} for {len(first)}; one each")
        total = first.new_zeros(())
        for row, style in enumerate(self.styles):
            self.bound.targets = {}  # so that denominators are this style's, too
            self.bound.take(style)
            total = total + self.bound({layer: features[layer][row : row + 1] for layer in self.weights})
        return total / len(first)


class _Chosen:
    """A Match that compares each picture of a batch with one of its references: one bound Match for each of these."""

    def __init__(self, match: Match, size: Size, encoder: Encoder, relative: bool):
        alone = (replace(match, reference=one, choose="") for one in match.references())
        self.parts = [_BoundMatch(one, size, encoder, relative) for one in alone]
        first = self.parts[0]
        self.name, self.loss, self.encoder, self.view = first.name, first.loss, first.encoder, first.view
        self.weights, self.entry = first.weights, match.choose
        self.chosen: list[int] = []

    def take(self, given: Tensor) -> None:
        """Which reference each picture is compared with; ValueError for what is no such choice."""
        self.chosen = given.tolist() if given.ndim == 1 and not given.is_floating_point() else []
        if not self.chosen or not all(0 <= k < len(self.parts) for k in self.chosen):
            right = f"a whole number for each picture; there are references 0 … {len(self.parts) - 1}"
            raise ValueError(f"batch: {self.entry} is {given.tolist()}; right would be {right}")

    def update(self, features: dict[str, Tensor]) -> None:
        raise ValueError(f"loss: {self.name} changes while it is followed; it cannot choose among references")

    def __call__(self, features: dict[str, Tensor]) -> Tensor:
        first = next(iter(features.values()))
        if len(self.chosen) != len(first):
            raise ValueError(f"batch: {self.entry} chooses for {len(self.chosen)} pictures of {len(first)}")
        total = first.new_zeros(())
        for k in sorted(set(self.chosen)):
            rows = [row for row, one in enumerate(self.chosen) if one == k]
            mine = {layer: features[layer][rows] for layer in self.weights}
            total = total + len(rows) / len(self.chosen) * self.parts[k](mine)
        return total


def _kind(match: Match) -> type[_BoundMatch] | type[_Chosen] | type[_Brought]:
    if match.choose:
        return _Chosen
    return _Brought if isinstance(match.reference, str) and not match.loss.aligned else _BoundMatch
