"""How a network that enlarges is made: python -m styletx.recipes.enlarge --photos DIR --loss pixel --out FILE

It is given crops at a quarter of their side, and what it makes of them is compared with the crops themselves: pixel by
pixel, or as an encoder sees them. (The one that ships for the second began with the weights of the first: --begin.) One
network for each factor (Johnson et al. 2016, section 3); ×8 is `--factor 8`.
"""

import argparse
from pathlib import Path

from torch import Tensor

from ..checks import check_whole
from ..images import resize, size_of
from ..losses import content_loss
from ..methods.enlarge import enlarger
from ..methods.painters import LOSSES
from ..networks.transform_net import NORMS, SuperResolution
from ..objective import Match, Objective
from .transform import add_training, learn

# The paper's is VGG-16's relu2_2. `mini` was taught VGG-19's relu2_1, and is nearer to it there; relu1_2 sees the fine
# grid that a deeper layer alone lets pass.
LAYERS = ("relu1_2", "relu2_1")


def main(arguments: list[str] | None = None) -> int:
    """Train a network that enlarges."""
    parser = argparse.ArgumentParser(
        prog="python -m styletx.recipes.enlarge", description="Train a network that enlarges."
    )
    parser.add_argument("--loss", default="perceptual", choices=LOSSES)
    parser.add_argument("--layers", nargs="+", default=LAYERS, help=f"of the perceptual loss (default: {LAYERS})")
    parser.add_argument("--begin", type=Path, help="the file of a network to begin with: the pixel loss's, say")
    parser.add_argument("--factor", type=int, default=4, help="default: 4")
    parser.add_argument("--width", type=int, default=24, help="channels (default: 24; the paper's: 64)")
    parser.add_argument("--norm", default="none", choices=NORMS, help="default: none; the paper's: batch")
    parser.add_argument("--no-skip", action="store_true", help="without the bicubic enlargement, as the paper has it")
    add_training(parser, side=96, batch=8, steps=2500, rate=2e-3, every="eight minutes on two cores")
    options = parser.parse_args(arguments)
    check_whole("factor", options.factor, 2)
    if options.side % options.factor:
        parser.error(f"--side {options.side} is no multiple of {options.factor}")
    pixels = options.loss == "pixel"
    layers = ["input"] if pixels else list(options.layers)
    objective = Objective(Match(content_loss, "content", layers, name=options.loss), relative=not pixels)

    def smaller(image: Tensor) -> Tensor:
        height, width = size_of(image)
        return resize(image, (height // options.factor, width // options.factor))

    def make() -> SuperResolution:
        if options.begin:
            begun = enlarger(options.begin, "cpu").requires_grad_(True)
            if begun.factor != options.factor:
                raise ValueError(f"begin: {options.begin} enlarges by {begun.factor}, not by {options.factor}")
            return begun
        return SuperResolution(options.factor, options.width, options.norm, skip=not options.no_skip)

    begun = options.begin and options.begin.name
    told: dict[str, object] = {"loss": options.loss, "layers": layers, "begun with": begun}
    return learn(options, make, objective, told, degrade=smaller)


if __name__ == "__main__":
    main()
