"""How a texture network is made: python -m styletx.recipes.textures NAME [NAME ...] --folder DIR

Those that ship were made so: 800 steps of 2 samples of 192 pixels, six minutes each on two cores. The paper's size is
`--steps 2000 --batch 16 --size 256 --rate 0.1 --schedule falling`, two hours on a GPU of its time. A training that was
stopped goes on from its checkpoint.
"""

import argparse
from pathlib import Path

from ..methods.textures import SCHEDULES, TEXTURES, train_texture


def main(arguments: list[str] | None = None) -> None:
    """Train a network for each texture."""
    parser = argparse.ArgumentParser(prog="python -m styletx.recipes.textures", description="Train texture networks.")
    parser.add_argument("names", nargs="*", help=f"samples' names or files (default: {', '.join(TEXTURES)})")
    parser.add_argument("--folder", type=Path, default=Path(), help="for the networks' files (default: here)")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--batch", type=int, default=2, help="samples in a step")
    parser.add_argument("--size", type=int, default=192, help="of a sample, in pixels")
    parser.add_argument("--rate", type=float, default=0.02)
    parser.add_argument("--schedule", choices=SCHEDULES, default="one-cycle")
    parser.add_argument("--device", help="cpu, cuda, mps (default: the best there is)")
    options = parser.parse_args(arguments)
    folder = options.folder.expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    for name in options.names or TEXTURES:
        out = folder / f"texture-{Path(name).stem}.safetensors"
        run = train_texture(
            name, steps=options.steps, batch=options.batch, size=options.size, rate=options.rate,
            schedule=options.schedule, checkpoint=out.with_suffix(".checkpoint.pt"), out=out, device=options.device,
        )  # fmt: skip
        run.finish(progress=True)
        print(out)


if __name__ == "__main__":
    main()
