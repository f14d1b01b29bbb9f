"""How `mini` was made: python -m styletx.recipes.mini --photos DIR --paintings DIR

What an optimisation follows is not a distance but its gradient, and a deep network learnt from nothing has gradients of
its own, however near its features come to the teacher's. So `mini` begins as `vgg19-small`, a sixteen times smaller
VGG-19 (Wang et al. 2020): its own weights where a channel ever fires, and new channels that start by changing nothing
where it has none (about a third of its channels never fire) and where blocks 2 and 3 are wider. Then all of it learns:

slopes    the gradient of the Gram loss with respect to the picture, its direction as VGG-19's at relu1_1, relu2_1 and
          relu3_1 (`vgg19-normalised`): plain and centred, at photos and paintings, at noise, and half-way to a style.
deep      the same at relu4_1 and relu5_1 with `vgg19-small` itself as the teacher: there it only has to stay right.
held      its features there stay those that it began with, up to one factor for each layer.
gram      Gram distances of all pairs in a batch, in logarithms up to a common factor: small ones count as much.
content   the same of content distances.
energy    the size of each picture's Gram matrix, up to a common factor.

How much a channel counts in a layer's Gram matrix is learnt apart from what the next layer makes of it: a factor per
channel, which is multiplied into its convolution at the end and divided out of the next one.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from .. import samples
from ..encoders import WEIGHTS, Affine, Encoder, half_state, load_encoder, mini_encoder
from ..evaluation.metrics import STATISTICS, slopes
from ..networks.decoders import LEVELS
from ..run import Step
from ..statistics import gram
from ..training.fit import Stateful, train
from ..training.photos import CROP, Pictures, load_paintings, load_photos

LAYERS = LEVELS
TRUE_LAYERS, DEEP_LAYERS = LAYERS[:3], LAYERS[3:]  # where the teacher is VGG-19 itself, and where the small one
# How often each layer's slope is looked at: relu3_1 is the hardest to learn, and strokes live there.
OFTEN = {"relu1_1": 0.18, "relu2_1": 0.27, "relu3_1": 0.55}
# So that no term drowns another in the gradient: those of the deep layers are the steepest by far.
WEIGHTS_OF_TERMS = {"slopes": 3.0, "deep": 0.3, "held": 1.0, "gram": 1.0, "content": 3.0, "energy": 0.3}
FAINT = {"relu2_1": 0.3, "relu3_1": 0.3, "relu4_1": 0.03, "relu5_1": 0.03}  # the size at which new channels begin
SILENT = 1e-3  # of its layer's mean activation: what fires less is taken not to fire at all
BATCH = 4


def disturb(images: Tensor, generator: torch.Generator) -> Tensor:
    """Channel gains and noise, fine and coarse: an optimisation passes through pictures that no camera makes."""
    count = images.shape[0]
    gains = 1 + 0.3 * torch.randn(count, 3, 1, 1, generator=generator)
    strength = 0.2 * torch.rand(count, 2, 1, 1, generator=generator)
    fine = torch.randn(images.shape, generator=generator)
    coarse = F.interpolate(torch.randn(count, 3, CROP // 8, CROP // 8, generator=generator), size=(CROP, CROP))
    return images * gains + strength[:, :1] * fine + strength[:, 1:] * coarse


def varied(images: Tensor, generator: torch.Generator) -> Tensor:
    """The same pictures sharper (six of ten), with less or more contrast, and some of them grey (two of ten)."""

    def draw() -> Tensor:
        return torch.rand(len(images), 1, 1, 1, generator=generator)

    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), 3, 1)
    sharp = images + 2 * draw() * (draw() < 0.6) * (images - blurred)
    middle = sharp.mean((1, 2, 3), keepdim=True)
    contrast = (middle + (0.5 + draw()) * (sharp - middle)).clamp(0, 1)
    return torch.where(draw() < 0.2, contrast.mean(1, keepdim=True), contrast)


class Walks:
    """A store of pictures on their way from a photo to a painting's style: each visit may take them a step further."""

    STEP, AGAIN = 0.02, 0.4  # root mean square of a step; how often a visit begins a new walk

    def __init__(self, pictures: Pictures, count: int = 32):
        self.pictures = pictures
        self.state = {name: torch.zeros(count, 3, CROP, CROP) for name in ("image", "style")}
        self.state["begun"] = torch.zeros(count, dtype=torch.bool)

    def state_dict(self) -> dict:
        return self.state

    def load_state_dict(self, state: dict) -> None:
        self.state = state

    def visit(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """`count` of them: where they stand in the store, the pictures as they are now, and the styles they go to."""
        chosen = torch.randperm(len(self.state["begun"]), generator=generator)[:count]
        again = torch.rand(count, generator=generator) < self.AGAIN
        for index in chosen[again | ~self.state["begun"][chosen]].tolist():
            self.state["image"][index] = _lively(self.first, generator)
            self.state["style"][index] = _lively(partial(self.pictures.painting_batch, 1), generator)
            self.state["begun"][index] = True
        return chosen, self.state["image"][chosen], self.state["style"][chosen]

    def first(self, generator: torch.Generator) -> Tensor:
        """Where a walk begins: mostly a photo, sharp or soft, else a painting or noise; half of them with noise."""
        kind, noisy, size = torch.rand(3, generator=generator).tolist()
        if kind < 0.1:
            return disturb(torch.full((1, 3, CROP, CROP), 0.5), generator).clamp(0, 1)
        if kind < 0.25:
            image = self.pictures.painting_batch(1, generator)
        else:
            image = (self.pictures.collage_batch if kind < 0.6 else self.pictures.photo_batch)(1, generator)
        image = varied(image, generator)
        noise = torch.randn(image.shape, generator=generator)
        return (image + 0.15 * size * noise).clamp(0, 1) if noisy < 0.5 else image

    def step(self, chosen: Tensor, slopes: Tensor) -> None:
        """Down the slope, by the same length for every picture."""
        size = slopes.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-20)
        self.state["image"][chosen] = (self.state["image"][chosen] - self.STEP * slopes / size).clamp(0, 1)


def _lively(draw: Callable[[torch.Generator], Tensor], generator: torch.Generator) -> Tensor:
    """A picture that is not all one colour (3, H, W): a flat one has no style to go to or to come from."""
    for _ in range(20):
        picture = draw(generator)[0]
        if float(picture.std((1, 2)).mean()) > 0.04:
            break
    return picture


def filters(step: nn.Module) -> tuple[Tensor, Tensor]:
    """Weights and biases of a convolution."""
    assert isinstance(step, nn.Conv2d | nn.ConvTranspose2d) and step.bias is not None
    return step.weight, step.bias


@torch.no_grad()
def begin(pictures: Tensor, generator: torch.Generator) -> Encoder:
    """`mini` as it starts: `vgg19-small`'s channels that fire on the pictures, and new ones that change nothing.

    Where more channels fire than a layer of `mini` has (in relu4_4), the faintest are left behind. A layer's old
    channels see only old ones. New ones see all there are: as VGG-19's filters, as well as least squares can tell them
    from the layer before, where VGG-19 teaches, else at random. At the layers whose Gram matrices are followed they
    start faint.
    """
    small, true = (load_encoder(name, device="cpu") for name in ("vgg19-small", "vgg19-normalised"))
    student = mini_encoder()
    relus = [name for name in student.layers if name.startswith("relu")]
    seen = small(pictures, relus)
    taught = true(pictures[::2], [name for name in true.layers if name.startswith("conv")])
    # Its own first step (BGR from 0 to 255) goes into the first convolution, behind `mini`'s: x = std·z + mean.
    (bgr, offset), (first, first_bias) = filters(small.prepare), filters(small.steps["conv1_1"])
    assert isinstance(student.prepare, Affine)
    colours = bgr[:, :, 0, 0] * student.prepare.std.flatten()
    shift = bgr[:, :, 0, 0] @ student.prepare.mean.flatten() + offset
    first_bias.add_(torch.einsum("oikl,i->o", first, shift))
    first.copy_(torch.einsum("oikl,ic->ockl", first, colours))

    before = torch.arange(3)
    for relu in relus:
        name = relu.replace("relu", "conv")
        (old, old_bias), (new, new_bias) = filters(small.steps[name]), filters(student.steps[name])
        means = seen[relu].mean((0, 2, 3))
        kept = means.argsort(descending=True)[: min(int((means >= SILENT * means.mean()).sum()), len(new))]
        count, more = len(kept), len(new) - len(kept)
        new[:count], new_bias[:count] = 0, old_bias[kept]
        new[:count, : len(before)] = old[kept][:, before]
        if more:
            if name in taught:
                below = student(pictures[::2], student.layers[student.layers.index(name) - 1])
                weight, bias = told_apart(next(iter(below.values())), taught[name], more, generator)
                new[count:], new_bias[count:] = weight, bias
            else:
                new[count:] = torch.randn(new[count:].shape, generator=generator)
                new_bias[count:] = 0
            _scaled(student, pictures, relu, torch.arange(count, len(new)))
        before = kept
    return settle(student, pictures)


def told_apart(below: Tensor, wanted: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weights (count, C, 3, 3) and biases that give `count` of the wanted channels from features (B, C, h, w) below.

    The channels are those that least squares, with a small ridge, tells best on a sample of positions.
    """
    patches = F.unfold(F.pad(below, (1,) * 4, mode="reflect"), 3).transpose(1, 2).flatten(0, 1)
    values = wanted.flatten(2).transpose(1, 2).flatten(0, 1)
    some = torch.randperm(len(patches), generator=generator)[:20000]
    given, values = F.pad(patches[some], (0, 1), value=1.0).double(), values[some].double()
    square = given.T @ given
    square.diagonal().add_(1e-4 * square.diagonal().mean())
    found = torch.linalg.solve(square, given.T @ values)
    missed = (given @ found - values).square().mean(0) / values.var(0)
    best = found[:, missed.argsort()[:count]].T.float()
    return best[:, :-1].unflatten(1, (-1, 3, 3)), best[:, -1]


def apart(mine: Tensor, theirs: Tensor) -> Tensor:
    """1 − cosine, the mean over a batch of slopes; short slopes count less, because theirs turn at the least change."""
    mine, theirs = mine.flatten(1), theirs.flatten(1)
    length = mine.detach().norm(dim=1)
    weight = (length / length.mean().clamp(min=1e-20)).clamp(max=1)
    return (weight * (1 - F.cosine_similarity(mine, theirs, 1))).mean()


class Gauge(nn.Module):
    """A positive factor per channel of the layers that VGG-19 teaches (see this module's first lines)."""

    SPEED = 10.0  # how much faster than a weight a factor's logarithm learns

    def __init__(self, student: Encoder):
        super().__init__()
        self.logs = nn.ParameterDict({n: nn.Parameter(torch.zeros(student.channels(n))) for n in TRUE_LAYERS})

    def __call__(self, layer: str, features: Tensor) -> Tensor:
        return features * self.factors(layer).view(1, -1, 1, 1) if layer in self.logs else features

    def factors(self, layer: str) -> Tensor:
        return (self.SPEED * self.logs[layer]).exp()

    @torch.no_grad()
    def fold(self, student: Encoder) -> None:
        """Into the convolutions, so that the layers behind see what they saw: ReLU commutes with positive factors."""
        for layer in self.logs:
            name, factors = layer.replace("relu", "conv"), self.factors(layer)
            after = student.layers[student.layers.index(layer) + 1]
            weight, bias = filters(student.steps[name])
            weight.mul_(factors.view(-1, 1, 1, 1))
            bias.mul_(factors)
            filters(student.steps[after])[0].div_(factors.view(1, -1, 1, 1))
            self.logs[layer].zero_()


def size_terms(ours: Tensor, true: Tensor) -> dict[str, Tensor]:
    """How far pair distances and sizes of Gram matrices (B, C, C) are from the teacher's, up to a common factor."""
    pairs = [_pair_distances(grams) for grams in (ours, true)]
    floor = 1e-3 * pairs[1].mean()
    traces = [grams.diagonal(dim1=1, dim2=2).sum(1) for grams in (ours, true)]
    norms = [grams.square().sum((1, 2)) for grams in (ours, true)]
    gaps = [
        (mine + low).log() - (theirs + low).log()
        for (mine, theirs), low in ((pairs, floor), (traces, 1e-12), (norms, 1e-12))
    ]
    pair, trace, norm = (_spread(gap) for gap in gaps)
    return {"gram": pair, "energy": 5 * trace + 1.25 * norm}


def _pair_distances(grams: Tensor) -> Tensor:
    """Squared Frobenius distances of every two matrices of a batch: (B, C, C) → (B(B−1)/2,)."""
    flat = grams.flatten(1)
    inner = flat @ flat.T
    norms = inner.diagonal()
    first, second = torch.triu_indices(len(grams), len(grams), offset=1)
    return (norms[first] + norms[second] - 2 * inner[first, second]).clamp(min=0)


def content_term(mine: Tensor, theirs: Tensor) -> dict[str, Tensor]:
    """How far squared distances of all pairs of pictures are from the teacher's, up to a common factor."""
    ours, true = (_pair_distances(value.flatten(1)) for value in (mine, theirs.detach()))
    return {"content": _spread((ours + 1e-12).log() - (true + 1e-12).log())}


def _spread(gaps: Tensor) -> Tensor:
    """Their variance, but that a gap of more than 1 from the mean counts by its size, not by its square."""
    off = gaps - gaps.mean()
    return 2 * F.smooth_l1_loss(off, torch.zeros_like(off))


@torch.no_grad()
def revive(student: Encoder, pictures: Tensor, generator: torch.Generator) -> Encoder:
    """Channels that hardly fire on the pictures begin anew: random filters, faint, which no later layer hears."""
    for relu in [name for name in student.layers if name.startswith("relu")]:
        means = student(pictures, relu)[relu].mean((0, 2, 3))
        dead = (means < SILENT * means.mean()).nonzero().flatten()
        if not len(dead):
            continue
        behind = student.layers[student.layers.index(relu) + 1 :]
        after = next((name for name in behind if name.startswith("conv")), None)
        if after:
            filters(student.steps[after])[0][:, dead] = 0
        weight, bias = filters(student.steps[relu.replace("relu", "conv")])
        drawn = torch.randn(weight[dead].shape, generator=generator)
        weight[dead], bias[dead] = drawn.to(weight.device), 0
        _scaled(student, pictures, relu, dead)
    return student


@torch.no_grad()
def _scaled(student: Encoder, pictures: Tensor, relu: str, new: Tensor) -> None:
    """Gives new channels the mean that they begin with (see FAINT); what never fires gets its sign turned first."""
    weight, bias = filters(student.steps[relu.replace("relu", "conv")])
    for _ in range(2):
        means = student(pictures, relu)[relu].mean((0, 2, 3))
        old = torch.ones_like(means, dtype=torch.bool)
        old[new] = False
        factor = FAINT.get(relu, 1.0) * means[old].mean() / means[new].mean().clamp(min=1e-12)
        factors = torch.where(means[new] > 0, factor, -1.0)
        weight[new] *= factors.view(-1, 1, 1, 1)
        bias[new] *= factors


@torch.no_grad()
def settle(student: Encoder, pictures: Tensor) -> Encoder:
    """Scale every layer by one factor, so that its mean activation is 1; kernels stay as learnt but for a scale."""
    relus = [name for name in student.layers if name.startswith("relu")]
    features = student(pictures, relus)
    before = 1.0
    for name in relus:
        mean = float(features[name].mean())
        weight, bias = filters(student.steps[name.replace("relu", "conv")])
        weight.mul_(before / mean)
        bias.div_(mean)
        before = mean
    return student


def save(student: Encoder, path: Path) -> None:
    """Write the encoder in half precision."""
    state = half_state(student.steps)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path)


class Learner:
    """The student with its teachers and pictures."""

    def __init__(self, student: Encoder, pictures: Pictures, device: torch.device, seed: int):
        self.device, self.seed, self.walks = device, seed, Walks(pictures)
        self.beginning = copy.deepcopy(student)  # what it has to hold
        self.student, self.gauge = student.requires_grad_(True), Gauge(student).to(device)
        self.true = load_encoder("vgg19-normalised", device=device)

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """The terms at one shallow and one deep layer, drawn, on a batch of walks and the styles they go to."""
        chosen, image, style = (
            value.to(self.device, memory_format=torch.channels_last) if value.dim() == 4 else value
            for value in self.walks.visit(BATCH, generator)
        )
        image.requires_grad_(True)
        draw = torch.rand(5, generator=generator).tolist()
        shallow = TRUE_LAYERS[int(torch.tensor(list(OFTEN.values())).multinomial(1, generator=generator))]
        deep = DEEP_LAYERS[draw[0] < 0.65]  # relu5_1 is the first to lose its way
        near, far = (STATISTICS["covariance" if number < 0.5 else "gram"] for number in draw[1:3])
        upto = TRUE_LAYERS[: TRUE_LAYERS.index(shallow) + 1]

        def slope(encoder, layer: str, statistic, create_graph: bool = False) -> Tensor:
            walking, towards = encoder
            wanted = statistic(towards[layer].detach())
            return slopes(walking[layer], wanted, image, statistic, create_graph)

        def seen(encoder: Encoder, layers) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
            with torch.no_grad():
                towards = encoder(style, layers)
            return encoder(image, layers), towards

        true, held = seen(self.true, upto), seen(self.beginning, DEEP_LAYERS)
        mine = [self.student(picture, LAYERS) for picture in (image, style)]
        for features in mine:
            features.update({n: self.gauge(n, features[n]) for n in TRUE_LAYERS})
        wanted, ours = slope(true, shallow, near), slope(mine, shallow, near, True)
        self.walks.step(chosen, (ours if draw[3] < 0.5 else wanted).detach().cpu())
        terms = dict.fromkeys(WEIGHTS_OF_TERMS, torch.zeros((), device=self.device))
        terms["slopes"] = apart(ours, wanted)
        if draw[4] < 0.5:  # half as often: it is as dear as all the rest, and only has to stay
            terms["deep"] = 2 * apart(slope(mine, deep, far, True), slope(held, deep, far))
        for kept, features in zip(held, mine, strict=True):
            for n in DEEP_LAYERS:
                was = kept[n].detach()
                terms["held"] = terms["held"] + (features[n] - was).square().mean() / was.square().mean() / 2
        for n in upto:
            both, theirs = (torch.cat([x[n], y[n]]) for x, y in (mine, (true[0], true[1])))
            for name, term in (size_terms(gram(both), gram(theirs.detach())) | content_term(both, theirs)).items():
                terms[name] = terms[name] + term / len(upto)
        return {name: WEIGHTS_OF_TERMS[name] * term for name, term in terms.items()}

    def learn(self, steps: int, rate: float, checkpoint: Path) -> None:
        """Train the student, from the checkpoint if there is one; and write what it is by then beside it."""
        log: list[dict] = []
        means: dict[str, float] = {}
        begun = time.monotonic()

        def each(step: Step) -> None:
            for name, value in step.losses.items():
                value /= WEIGHTS_OF_TERMS[name]
                means[name] = means.get(name, value) + 0.02 * (value - means.get(name, value))
            if step.number % 100 == 0:
                log.append({"step": step.number, "seconds": round(time.monotonic() - begun), **means})
            if step.number % 250 == 0:
                checkpoint.with_suffix(".log.json").write_text(json.dumps(log, indent=1))
                save(self.finished(), checkpoint.with_suffix(".safetensors"))

        parts = {"student": self.student, "gauge": self.gauge}
        keep: dict[str, Stateful] = {"walks": self.walks}
        run = train(self.losses, parts, steps=steps, rate=rate, seed=self.seed, keep=keep, checkpoint=checkpoint)
        run.finish(each=each, name=checkpoint.stem)

    def finished(self) -> Encoder:
        """A copy of the student as it will be used: factors folded in, mean activations 1."""
        student, gauge = mini_encoder().to(self.device), Gauge(self.student).to(self.device)
        student.load_state_dict(self.student.state_dict())
        gauge.load_state_dict(self.gauge.state_dict())
        gauge.fold(student)
        draw = torch.Generator().manual_seed(1)
        photos = self.walks.pictures.photo_batch(64, draw).to(self.device)
        return settle(revive(student, photos, draw), photos)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m styletx.recipes.mini", description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of photographs (default: torchvision's Caltech-101)")
    parser.add_argument("--paintings", type=Path, help="folder of paintings (default: the samples)")
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=WEIGHTS / "mini.safetensors")
    parser.add_argument("--checkpoint", type=Path, default=samples.cache_folder() / "recipes" / "mini.pt")
    parser.add_argument("--restart", action="store_true", help="begin anew instead of going on from the checkpoint")
    options = parser.parse_args(arguments)
    if options.restart:
        options.checkpoint.unlink(missing_ok=True)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pictures = Pictures(load_photos(options.photos), load_paintings(options.paintings))
    draw = torch.Generator().manual_seed(options.seed)
    student = begin(torch.cat([pictures.photo_batch(48, draw), pictures.painting_batch(16, draw)]), draw)
    student = student.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner = Learner(student, pictures, device, options.seed)
    learner.learn(options.steps, options.rate, options.checkpoint)
    save(learner.finished(), options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
