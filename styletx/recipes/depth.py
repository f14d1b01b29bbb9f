"""How the small depth network was made: python -m styletx.recipes.depth [--steps N]

Pictures and their depth come from rendered scenes (`samples.scenes`): rooms, streets and walls with textures from the
samples, so nothing has to be fetched. The loss is on log depth: its scale counts only in part (Eigen et al. 2014,
λ = 1/2), and its slopes count as well, for sharp edges. Half of the pictures are disturbed or coloured anew, because
what is being stylised does not look like a photo.

    python -m styletx.recipes.depth --judge

compares the network with two guesses on scenes it has never seen, with textures it has never seen: "lower in the
picture is nearer", and the mean of all scenes.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from scipy.stats import spearmanr
from torch import Tensor
from tqdm import tqdm

from .. import samples
from ..encoders import WEIGHTS, half_state
from ..images import resize
from ..networks import DepthNetwork, depth_encoder
from ..networks.depth import MIDDLE, SPREAD
from ..samples import load
from ..samples.scenes import random_scene
from ..training.fit import train

SIZE = (120, 160)
HELD_OUT = ("brick", "grass", "gravel", "chelsea", "rocket", "waves")
FIRST_JUDGED = 1_000_000  # seeds of scenes from here on are for judging only


def textures(held_out: bool) -> list[Tensor]:
    """Pictures to cover solids with: those kept for judging, or all others that need not be fetched."""
    names = [n for n in samples.names() if samples.info(n).source != "fetched"]
    return [resize(load(n), 160) for n in names if (n in HELD_OUT) == held_out]


def example(seed: int, pictures: list[Tensor]) -> tuple[Tensor, Tensor]:
    """(picture (1, 3, *SIZE), standardised log depth (1, 1, *SIZE / 2)) of the scene with this seed."""
    scene, camera = random_scene(pictures, torch.Generator().manual_seed(seed))
    image, depth = scene.render(camera, SIZE, supersample=1)
    return image, (F.avg_pool2d(depth.log(), 2) - MIDDLE) / SPREAD


def disturbed(image: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the pictures with their channels mixed and shifted, and noise; the others as they are."""
    count = image.shape[0]
    mixing = torch.eye(3) + 0.3 * torch.randn(count, 3, 3, generator=generator)
    mixed = torch.einsum("bij,bjhw->bihw", mixing, image) + 0.1 * torch.randn(count, 3, 1, 1, generator=generator)
    mixed = mixed + 0.15 * torch.rand(count, 1, 1, 1, generator=generator) * torch.randn(
        image.shape, generator=generator
    )
    chosen = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen, mixed.clamp(0, 1), image)


def depth_terms(predicted: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """Scale-invariant error of log depth, and the error of its slopes at four scales."""
    gap = predicted - wanted
    error = gap.square().mean() - 0.5 * gap.mean((1, 2, 3)).square().mean()
    slopes = gap.new_zeros(())
    for k in range(4):
        coarse = F.avg_pool2d(gap, 2**k) if k else gap
        slopes = slopes + coarse.diff(dim=-1).abs().mean() + coarse.diff(dim=-2).abs().mean()
    return {"depth": error, "slopes": 0.5 * slopes}


def judge(count: int = 60, weights: Path | None = None) -> dict[str, dict[str, float]]:
    """Rank correlation with the true depth within a scene, and rms error of log depth after the best shift and scale.

    The mean scene is the mean of these very scenes, which favours it.
    """
    encoder, pictures = depth_encoder(weights=weights, device="cpu"), textures(held_out=True)
    rows: dict[str, list[tuple[float, float]]] = {}
    height, width = (side // 2 for side in SIZE)
    lower = -torch.arange(height, dtype=torch.float32).view(-1, 1).expand(height, width)
    examples = [example(FIRST_JUDGED + k, pictures) for k in range(count)]
    mean = torch.cat([depth for _, depth in examples]).mean(0)[0]
    for image, depth in examples:
        true = depth[0, 0]
        for name, guess in {"network": encoder(image, "depth")["depth"][0, 0], "lower is nearer": lower,
                            "the mean scene": mean}.items():  # fmt: skip
            slope, shift = np.polyfit(guess.flatten(), true.flatten(), 1)
            error = float((true - slope * guess - shift).square().mean().sqrt()) * SPREAD
            rank = float(spearmanr(guess.flatten(), true.flatten())[0])
            rows.setdefault(name, []).append((rank, error))
    return {name: {"rank": float(np.mean([r for r, _ in found])), "log error": float(np.mean([e for _, e in found]))}
            for name, found in rows.items()}  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m styletx.recipes.depth", description=__doc__.splitlines()[0])
    parser.add_argument("--judge", action="store_true", help="only compare what is there with two guesses")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=3000, help="how many are rendered beforehand")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "depth.safetensors")
    parser.add_argument("--checkpoint", type=Path, default=samples.cache_folder() / "recipes" / "depth.pt")
    parser.add_argument("--restart", action="store_true", help="begin anew instead of going on from the checkpoint")
    options = parser.parse_args(arguments)
    if options.judge:
        for name, row in judge(weights=options.out).items():
            print(f"{name:<18}" + "  ".join(f"{key} {value:.3f}" for key, value in row.items()))
        return
    if options.restart:
        options.checkpoint.unlink(missing_ok=True)
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pictures = textures(held_out=False)
    made = [example(seed, pictures) for seed in tqdm(range(options.scenes), desc="scenes")]
    images = (torch.cat([image for image, _ in made]) * 255).to(torch.uint8)
    depths = torch.cat([depth for _, depth in made])
    network = DepthNetwork().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        chosen = torch.randint(len(images), (options.batch,), generator=generator)
        image, depth = disturbed(images[chosen].float() / 255, generator), depths[chosen]
        if torch.rand((), generator=generator) < 0.5:
            image, depth = image.flip(-1), depth.flip(-1)
        return depth_terms(network(image.to(device)), depth.to(device))

    network.train()
    parts = {"network": network}
    train(losses, parts, steps=options.steps, rate=options.rate, seed=options.seed,
        checkpoint=options.checkpoint).finish(name="depth")  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(half_state(network.eval()), options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
