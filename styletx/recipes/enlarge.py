"""How a network that enlarges is made: python -m styletx.recipes.enlarge --photos DIR --loss pixel --out FILE

It is given crops at a quarter of their side, and what it makes of them is compared with the crops themselves: pixel by
pixel, or as an encoder sees them. One network for each factor (Johnson et al. 2016, section 3); ×8 is `--factor 8`.
"""

import argparse

from torch import Tensor

from ..checks import check_whole
from ..images import resize, size_of
from ..losses import content_loss
from ..methods.stylize import LOSSES
from ..networks.transform_net import NORMS, SuperResolution
from ..objective import Match, Objective
from .transform import add_training, learn

# The paper's is VGG-16's relu2_2. `mini` was taught VGG-19's relu2_1, and is nearer to it there.
LAYER = "relu2_1"


def main(arguments: list[str] | None = None) -> int:
    """Train a network that enlarges."""
    parser = argparse.ArgumentParser(
        prog="python -m styletx.recipes.enlarge", description="Train a network that enlarges."
    )
    parser.add_argument("--loss", default="perceptual", choices=LOSSES)
    parser.add_argument("--layer", default=LAYER, help=f"where the perceptual loss looks (default: {LAYER})")
    parser.add_argument("--factor", type=int, default=4, help="default: 4")
    parser.add_argument("--width", type=int, default=24, help="channels (default: 24; the paper's: 64)")
    parser.add_argument("--norm", default="none", choices=NORMS, help="default: none; the paper's: batch")
    parser.add_argument("--no-skip", action="store_true", help="without the bicubic enlargement, as the paper has it")
    add_training(parser, side=96, batch=8, steps=2500, rate=2e-3, every="nine minutes on two cores")
    options = parser.parse_args(arguments)
    check_whole("factor", options.factor, 2)
    if options.side % options.factor:
        parser.error(f"--side {options.side} is no multiple of {options.factor}")
    pixels = options.loss == "pixel"
    layer = "input" if pixels else options.layer
    objective = Objective(Match(content_loss, "content", layer, name=options.loss), relative=not pixels)

    def smaller(image: Tensor) -> Tensor:
        height, width = size_of(image)
        return resize(image, (height // options.factor, width // options.factor))

    def make() -> SuperResolution:
        return SuperResolution(options.factor, options.width, options.norm, skip=not options.no_skip)

    return learn(options, make, objective, {"loss": options.loss, "layer": layer}, degrade=smaller)


if __name__ == "__main__":
    main()
