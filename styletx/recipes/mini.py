"""How `mini` was made: python -m styletx.recipes.mini --photos DIR --paintings DIR

A narrow VGG-19 is distilled from VGG-19 itself (relu1_1, relu2_1, relu3_1: `vgg19-normalised`) and from a
small one with its linear map back to VGG-19's channels (relu4_1, relu5_1: `vgg19-small`). Six things are asked of it:

kernel    the matrix of inner products between positions. Gram and MMD see nothing else, so `mini`'s Gram is VGG's.
gram      the Gram distance of every pair in a batch, in logarithms: small ones count as much as large ones.
energy    the size of each picture's Gram matrix at relu3_1, up to one common factor: sharp against soft pictures.
features  VGG's features by a linear map of its own.
pixels    the picture itself, read off relu4_1 and relu5_1 by a linear map (its error in logarithms, as a PSNR is):
          what cannot be decoded cannot serve whitening and colouring.
alive     every channel reaches above zero somewhere in the batch: kernels alone are matched with few deep channels.

It learns in two parts, one after the other. The *trunk*, up to relu3_1, learns from VGG-19 itself. Then the *deep*
layers learn from the small network, on a trunk that stands still: what they want must not cost the trunk anything.

Some of what it sees are no photos: paintings, disturbed pictures, and pictures which are being stylised *with the
student itself* while it learns. Those are what an optimisation looks at half-way, and where a student and its
teacher come apart first. Photos and paintings are seen sharper, paler, more vivid and greyer than they are, and as
collages of pictures at half their size, because the kernels of sharp pictures are the largest, and the photos it
learns from are soft.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from .. import samples
from ..encoders import WEIGHTS, Encoder, load_encoder
from ..images import read, resize
from ..statistics import gram
from ..training import fit

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
TRUE_LAYERS, DEEP_LAYERS = LAYERS[:3], LAYERS[3:]  # where the teacher is VGG-19 itself, and where the small one
# relu3_1 is the hardest to learn (96 channels for VGG-19's 256), and strokes live there.
WEIGHT = {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 3.0, "relu4_1": 1.0, "relu5_1": 1.0}
TEACHER_CHANNELS = (64, 128, 256, 512, 512)
# Judged on, so never trained on (the Kodak photos and the textures are not among the paintings anyway).
HELD_OUT = ("starry-night", "great-wave", "the-scream", "te-fare", "in-bed", "etretat")
CROP, POSITIONS = 128, 1024
PIXELS = 1.0  # weight of the term at each deep layer


def folder_pictures(folder: Path, short: int, progress: str) -> list[Tensor]:
    """All pictures below a folder, without the held-out ones, as uint8 (3, H, W), shorter side at most `short`."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    paths = [p for p in paths if p.stem not in HELD_OUT]
    if not paths:
        raise SystemExit(f"{folder}: no .jpg or .png pictures in there")
    return [_bytes(read(path), short) for path in tqdm(paths, desc=progress)]


def _bytes(image: Tensor, short: int) -> Tensor:
    height, width = image.shape[-2:]
    factor = max(short, CROP) / min(height, width)
    if factor != 1 and (factor < 1 or min(height, width) < CROP):
        image = resize(image, (max(CROP, round(height * factor)), max(CROP, round(width * factor))))
    return (image[0].clamp(0, 1) * 255).round().to(torch.uint8)


def default_photos() -> Path:
    """Caltech-101 as torchvision fetches it (131 MB), in the user's cache folder."""
    from torchvision.datasets import Caltech101

    return Path(Caltech101(samples.cache_folder() / "caltech", download=True).root) / "101_ObjectCategories"


def load_photos(folder: Path | None) -> list[Tensor]:
    """The photographs of a folder, or Caltech-101's."""
    return folder_pictures(folder or default_photos(), 192, "photos")


def load_paintings(folder: Path | None) -> list[Tensor]:
    """The paintings of a folder, or the samples', without those that are judged on."""
    if folder:
        return folder_pictures(folder, 320, "paintings")
    known = [n for n in samples.names("painting", showable=True) if n not in HELD_OUT]
    return [_bytes(samples.load(n), 320) for n in tqdm(known, desc="paintings")]


class Pictures:
    """Random crops of photos and of paintings, some of them disturbed."""

    def __init__(self, photos: list[Tensor], paintings: list[Tensor]):
        self.photos, self.paintings = photos, paintings

    def crop(self, pictures: list[Tensor], generator: torch.Generator) -> Tensor:
        """A random window of a random picture, at a random zoom, maybe mirrored: (1, 3, CROP, CROP)."""
        picture = pictures[int(torch.randint(len(pictures), (), generator=generator))]
        draw = torch.rand(4, generator=generator).tolist()
        height, width = picture.shape[-2:]
        side = int(CROP * (min(height, width) / CROP) ** draw[0])
        top, left = int(draw[1] * (height - side + 1)), int(draw[2] * (width - side + 1))
        window = picture[None, :, top : top + side, left : left + side].float() / 255
        window = window if side == CROP else resize(window, (CROP, CROP))
        return window.flip(-1) if draw[3] < 0.5 else window

    def photo_batch(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.cat([self.crop(self.photos, generator) for _ in range(count)])

    def painting_batch(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.cat([self.crop(self.paintings, generator) for _ in range(count)])

    def collage_batch(self, count: int, generator: torch.Generator) -> Tensor:
        """Four photos each, or one and its mirror images, at half the side: sharper than any of them at its full."""
        rows = []
        for _ in range(count):
            alone = bool(torch.rand((), generator=generator) < 0.5)
            parts = [resize(self.crop(self.photos, generator), (CROP // 2,) * 2) for _ in range(1 if alone else 4)]
            if alone:
                parts += [parts[0].flip(-1), parts[0].flip(-2), parts[0].flip(-1, -2)]
            rows.append(torch.cat([torch.cat(parts[:2], 3), torch.cat(parts[2:], 3)], 2))
        return torch.cat(rows)


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


class Stylised:
    """A store of crops in the middle of being stylised with the student, a few Adam steps at every visit."""

    def __init__(self, pictures: Pictures, count: int = 32, life: int = 20):
        shape = (count, 3, CROP, CROP)
        self.pictures, self.life = pictures, life
        self.state = {name: torch.zeros(shape) for name in ("image", "style", "first", "second")}
        self.state["age"] = torch.full((count,), life)  # all of them begin anew at their first visit

    def state_dict(self) -> dict:
        return self.state

    def load_state_dict(self, state: dict) -> None:
        self.state = state

    def visit(self, student: Encoder, count: int, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Take `count` of them a few steps further; their pictures now, and the styles they are led to."""
        chosen = torch.randperm(len(self.state["age"]), generator=generator)[:count]
        for index in chosen.tolist():
            if self.state["age"][index] >= self.life:
                self.state["image"][index] = self.pictures.photo_batch(1, generator)[0]
                self.state["style"][index] = self.pictures.painting_batch(1, generator)[0]
                self.state["first"][index] = self.state["second"][index] = 0
                # Their ages are spread, so that a visit meets young and old ones alike.
                self.state["age"][index] = int(torch.randint(0, 3, (), generator=generator))
        device = next(student.parameters()).device
        image, style, first, second = (self.state[n][chosen].to(device) for n in ("image", "style", "first", "second"))
        with torch.no_grad():
            targets = {layer: gram(value) for layer, value in student(style, TRUE_LAYERS).items()}
        for step in range(steps):
            image.requires_grad_(True)
            grams = {layer: gram(value) for layer, value in student(image, TRUE_LAYERS).items()}
            loss = sum(
                ((grams[n] - wanted).square().sum((1, 2)) / wanted.square().sum((1, 2))).sum()
                for n, wanted in targets.items()
            )
            (slope,) = torch.autograd.grad(loss, image)
            with torch.no_grad():
                done = (self.state["age"][chosen] * steps + step + 1).view(-1, 1, 1, 1).to(device)
                first = 0.9 * first + 0.1 * slope
                second = 0.99 * second + 0.01 * slope.square()
                mean, spread = first / (1 - 0.9**done), second / (1 - 0.99**done)
                image = image.detach() - 0.03 * mean / (spread.sqrt() + 1e-12)
        for name, value in (("image", image), ("first", first), ("second", second)):
            self.state[name][chosen] = value.cpu()
        self.state["age"][chosen] += 1
        return image, style


class Teacher:
    """VGG-19's features at the five layers, each scaled to mean square 1."""

    def __init__(self, device: torch.device):
        # bfloat16 and channels_last: a third of the time on a CPU, and its rounding is far below what is learnt.
        self.true = load_encoder("vgg19-normalised", device=device).bfloat16().to(memory_format=torch.channels_last)
        self.small = load_encoder("vgg19-small", device=device).bfloat16().to(memory_format=torch.channels_last)
        state = torch.load(samples.fetch("weights/vgg19-small/encoder5.pth"), map_location=device, weights_only=True)
        # The small network was trained with these linear maps back to VGG-19's 512 channels.
        self.maps = {
            n: [state["model"][f"conv{n[4]}1_aux.{part}"].bfloat16() for part in ("weight", "bias")] for n in LAYERS[3:]
        }
        self.scale: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(self, image: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        image = image.bfloat16().contiguous(memory_format=torch.channels_last)
        if layers == TRUE_LAYERS:
            features = self.true(image, layers)
        else:
            features = {n: F.conv2d(f, *self.maps[n]).relu() for n, f in self.small(image, layers).items()}
        features = {n: value.float() for n, value in features.items()}
        for name, value in features.items():
            self.scale.setdefault(name, value.square().mean().rsqrt())
        return {n: value * self.scale[n] for n, value in features.items()}


def quiet_channels(before_relu: dict[str, Tensor]) -> Tensor:
    """Mean shortfall of channels whose highest value in the batch stays below half the layer's root mean square."""
    shortfalls = []
    for value in before_relu.values():
        size = value.detach().square().mean().sqrt()
        shortfalls.append((0.5 - value.amax((0, 2, 3)) / size.clamp(min=1e-6)).clamp(min=0).mean())
    return torch.stack(shortfalls).sum()


def stride(layer: str) -> int:
    """Pixels from one position of the layer to the next."""
    return 2 ** (int(layer[4]) - 1)


class Reader(nn.Module):
    """The picture from 3×3 positions of a layer: the linear map with the least squared error over the last pictures.

    It is solved for, not learnt (sums that forget a fiftieth of themselves at each batch): always the best there is.
    """

    def __init__(self, channels: int, stride: int):
        super().__init__()
        inputs, outputs = 9 * channels + 1, 3 * stride**2
        self.stride, self.age = stride, 0
        for name, shape in (("square", (inputs, inputs)), ("product", (inputs, outputs)), ("map", (inputs, outputs))):
            self.register_buffer(name, torch.zeros(shape))

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        """The picture that is read off features (B, C, h, w), after learning from this very pair."""
        patches = F.unfold(F.pad(features, (1,) * 4, mode="replicate"), 3).transpose(1, 2)
        given = F.pad(patches, (0, 1), value=1.0)
        self.see(given.detach().flatten(0, 1), F.pixel_unshuffle(image, self.stride).flatten(2).transpose(1, 2))
        return F.pixel_shuffle((given @ self.map).transpose(1, 2).unflatten(2, features.shape[-2:]), self.stride)

    @torch.no_grad()
    def see(self, given: Tensor, wanted: Tensor) -> None:
        self.square.mul_(0.98).addmm_(given.T, given)
        self.product.mul_(0.98).addmm_(given.T, wanted.flatten(0, 1))
        if self.age % 10 == 0:
            square = self.square.double()
            square.diagonal().add_(1e-4 * square.diagonal().mean())
            self.map.copy_(torch.linalg.solve(square, self.product.double()))
        self.age += 1


class Heads(nn.Module):
    """What only the training needs: a linear map and a scale per layer, and two readers of the picture."""

    def __init__(self, student: Encoder):
        super().__init__()
        widths = [student.channels(layer) for layer in LAYERS]
        self.maps = nn.ModuleDict(
            {n: nn.Linear(w, t) for n, w, t in zip(LAYERS, widths, TEACHER_CHANNELS, strict=True)}
        )
        self.log_scale = nn.ParameterDict({n: nn.Parameter(torch.zeros(())) for n in LAYERS})
        self.readers = nn.ModuleDict({n: Reader(w, stride(n)) for n, w in zip(DEEP_LAYERS, widths[3:], strict=True)})

    @torch.no_grad()
    def fit_scales(self, mine: dict[str, Tensor]) -> None:
        """Start from scales that make the student's features as large as the teacher's: mean square 1."""
        for name, value in mine.items():
            self.log_scale[name].fill_(-0.5 * value.square().mean().log())


def distillation_terms(
    mine: dict, theirs: dict, image: Tensor, heads: Heads, generator: torch.Generator
) -> dict[str, Tensor]:
    """The first four terms of this module's first lines, each summed over the layers of `mine`."""
    terms = dict.fromkeys(("kernel", "gram", "features"), 0.0)
    for name in mine:
        scale = heads.log_scale[name].exp()
        student, teacher = mine[name] * scale, theirs[name]
        height, width = teacher.shape[-2:]
        chosen = torch.randperm(height * width, generator=generator)[: POSITIONS // len(image)].to(image.device)
        rows, columns = chosen // width, chosen % width
        cloud, target = (value[:, :, rows, columns].transpose(0, 1).flatten(1) for value in (student, teacher))
        kernel, wanted = cloud.T @ cloud, target.T @ target
        terms["kernel"] += WEIGHT[name] * (kernel - wanted).square().sum() / wanted.square().sum()

        ours, true = (_pair_distances(gram(value)) for value in (student, teacher))
        floor = 1e-3 * true.mean()
        gap = (ours + floor).log() - (true + floor).log()
        terms["gram"] += 0.3 * WEIGHT[name] * F.smooth_l1_loss(gap, torch.zeros_like(gap), beta=0.5)

        guess = heads.maps[name](cloud.T)
        terms["features"] += 0.1 * (guess - target.T).square().sum() / target.square().sum()
    for name in (n for n in DEEP_LAYERS if n in mine):
        error = (heads.readers[name](mine[name], image) - image).square().mean((1, 2, 3))
        terms["pixels"] = terms.get("pixels", 0.0) + PIXELS * (error + 1e-4).log().mean()
    return terms


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
    pair, trace, norm = (gap.var(correction=0) for gap in gaps)
    return {"gram": pair, "energy": 5 * trace + 1.25 * norm}


def _pair_distances(grams: Tensor) -> Tensor:
    """Squared Frobenius distances of every two matrices of a batch: (B, C, C) → (B(B−1)/2,)."""
    flat = grams.flatten(1)
    inner = flat @ flat.T
    norms = inner.diagonal()
    first, second = torch.triu_indices(len(grams), len(grams), offset=1)
    return (norms[first] + norms[second] - 2 * inner[first, second]).clamp(min=0)


@torch.no_grad()
def settle(student: Encoder, pictures: Tensor) -> Encoder:
    """Scale every layer by one factor, so that its mean activation is 1; kernels stay as learnt but for a scale."""
    relus = [name for name in student.layers if name.startswith("relu")]
    features = student(pictures, relus)
    before = 1.0
    for name in relus:
        mean = float(features[name].mean())
        step = student.steps[name.replace("relu", "conv")]
        step.weight.mul_(before / mean)
        step.bias.div_(mean)
        before = mean
    return student


def save(student: Encoder, path: Path) -> None:
    """Write the encoder in half precision."""
    state = {key: value.detach().half().contiguous().cpu() for key, value in student.steps.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path)


class Learner:
    """The student with its teachers, heads and pictures: one part of it learns at a time."""

    def __init__(self, student: Encoder, pictures: Pictures, device: torch.device, seed: int):
        self.student, self.pictures, self.device, self.seed = student, pictures, device, seed
        self.heads, self.teacher = Heads(student).to(device), Teacher(device)
        self.stylised = Stylised(pictures)

    def learn(self, layers: tuple[str, ...], steps: int, rate: float, checkpoint: Path) -> None:
        """Train the convolutions that only these layers need, from the checkpoint if there is one."""
        student, heads = self.student, self.heads
        names = [n for n in student.layers if n.startswith("conv")]
        names = [n for n in names if (n <= "conv3_1") == (layers == TRUE_LAYERS)]
        student.requires_grad_(False)
        for name in names:
            student.steps[name].requires_grad_(True)
        watched, hardest = [n for n in names if n != "conv1_1"], TRUE_LAYERS[-1]
        draw = torch.Generator().manual_seed(self.seed)
        first = torch.cat([self.pictures.photo_batch(8, draw), self.pictures.painting_batch(8, draw)]).to(self.device)
        with torch.no_grad():
            heads.fit_scales(student(first, layers))
        self.teacher(first, layers)  # its scales are set by the first pictures it sees

        def losses(generator: torch.Generator) -> dict[str, Tensor]:
            image = self.batch(generator)
            theirs = self.teacher(image, layers)
            mine = student(image, [*layers, *watched])
            terms = distillation_terms({n: mine[n] for n in layers}, theirs, image, heads, generator)
            if hardest in mine:  # neither the first picture, which is being stylised, nor the last, disturbed
                grams = (gram(mine[hardest][1:-1] * heads.log_scale[hardest].exp()), gram(theirs[hardest][1:-1]))
                more = size_terms(*grams)
                terms = {**terms, "gram": terms["gram"] + more["gram"], "energy": more["energy"]}
            return {**terms, "alive": 0.3 * quiet_channels({n: mine[n] for n in watched})}

        log, shown = [], tqdm(total=steps, desc=checkpoint.stem)
        parts = {"student": student, "heads": heads}
        keep = {"stylised": self.stylised}
        for progress in fit(losses, parts, steps=steps, rate=rate, seed=self.seed, keep=keep, checkpoint=checkpoint):
            shown.update(progress.number - shown.n)
            shown.set_postfix({k: f"{v:.3f}" for k, v in progress.losses.items()}, refresh=False)
            if progress.number % 100 == 0:
                log.append({"step": progress.number, "seconds": round(progress.seconds), **progress.losses})
            if progress.number % 500 == 0 or progress.number == steps:
                save(student, checkpoint.with_suffix(".safetensors"))
                checkpoint.with_suffix(".log.json").write_text(json.dumps(log, indent=1))
        shown.close()

    def batch(self, generator: torch.Generator) -> Tensor:
        """13 pictures: one being stylised, eleven photos, paintings and collages, and a disturbed photo."""
        moving, _ = self.stylised.visit(self.student, 1, 2, generator)
        pictures = self.pictures
        natural = [pictures.photo_batch(3, generator), pictures.painting_batch(3, generator)]
        natural = varied(torch.cat([*natural, pictures.collage_batch(2, generator)]), generator)
        plain = torch.cat([pictures.collage_batch(2, generator), pictures.photo_batch(1, generator)])
        rest = torch.cat([natural, plain, disturb(pictures.photo_batch(1, generator), generator)])
        return torch.cat([moving.to(self.device), rest.to(self.device)])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m styletx.recipes.mini", description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of photographs (default: torchvision's Caltech-101)")
    parser.add_argument("--paintings", type=Path, help="folder of paintings (default: the samples)")
    parser.add_argument("--steps", type=int, default=8000, help="for the trunk")
    parser.add_argument("--deep-steps", type=int, default=3000, help="for the deep layers")
    parser.add_argument("--parts", nargs="+", choices=("trunk", "deep"), default=["trunk", "deep"])
    parser.add_argument("--start", type=Path, help="weights to begin from (default: random ones)")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=WEIGHTS / "mini.safetensors")
    parser.add_argument("--checkpoint", type=Path, default=samples.cache_folder() / "recipes" / "mini.pt")
    parser.add_argument("--restart", action="store_true", help="begin anew instead of going on from the checkpoint")
    options = parser.parse_args(arguments)
    if options.restart:
        for part in options.parts:
            options.checkpoint.with_name(f"{options.checkpoint.stem}-{part}.pt").unlink(missing_ok=True)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(options.seed)
    photos, paintings = load_photos(options.photos), load_paintings(options.paintings)
    student = load_encoder("mini", weights=options.start or "random", device="cpu")
    student = student.to(device, memory_format=torch.channels_last)
    learner = Learner(student, Pictures(photos, paintings), device, options.seed)
    plan = {"trunk": (TRUE_LAYERS, options.steps), "deep": (DEEP_LAYERS, options.deep_steps)}
    for part in options.parts:
        layers, steps = plan[part]
        learner.learn(layers, steps, options.rate, options.checkpoint.with_name(f"{options.checkpoint.stem}-{part}.pt"))
    pictures = learner.pictures
    student.requires_grad_(False)
    settle(student, pictures.photo_batch(64, torch.Generator().manual_seed(1)).to(device))
    save(student, options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
