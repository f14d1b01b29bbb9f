"""One network for many styles: what they have in common is in its filters, and each style is a point (γ, β).

    network(photos, tensor([3, 0]))           # each photo in its own style
    network(photos, tensor([[0.5, 0.5, 0]]))  # half-way between two
    network.paint(photos, point)              # anywhere

Source: Dumoulin, Shlens & Kudlur, A Learned Representation for Artistic Style, ICLR 2017.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_whole
from .transform_net import Convolution, divisible


def condition(features: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    """Conditional instance normalisation: γ (x − μ(x)) / √(σ²(x) + ε) + β, each channel of each picture by itself.

    features (B, C, H, W); gamma, beta (B, C). With γ and β the standard deviation and the mean of a style's features
    it is AdaIN. Source: Dumoulin et al. 2017, eq. 5; Huang & Belongie 2017, eq. 8.
    """
    batch, channels, height, width = features.shape
    # Every channel of every picture as a channel of one picture: a single pass, also where they differ in style.
    alone = features.reshape(1, batch * channels, height, width)
    weight, shift = gamma.reshape(-1), beta.reshape(-1)
    return F.instance_norm(alone, weight=weight, bias=shift, eps=eps).reshape(features.shape)


class Painter(nn.Module):
    """Dumoulin et al.'s network without its styles: `paint` makes of photos what a point (γ, β) asks for.

    9×9, two halvings, residual blocks, two doublings (nearest, then a convolution), 9×9, sigmoid; conditional instance
    normalisation behind every convolution; each mirrors its border. Pictures (B, 3, H, W) in [0, 1] to such pictures;
    each side needs at least 8 pixels. `width`: channels of the first layer, 32 in the paper; `inner`: of the residual
    blocks, there and by default four times as many. First weights from N(0, 0.01²), of PyTorch's global generator.
    Raises ValueError for a width below 1 and for fewer than 0 blocks, and (when called) for a picture that is too
    small. Source: Dumoulin et al. 2017, appendix A.
    """

    def __init__(self, width: int = 32, blocks: int = 5, inner: int | None = None):
        super().__init__()
        inner = 4 * width if inner is None else inner
        check_whole("width", width, 1)
        check_whole("inner", inner, 1)
        check_whole("blocks", blocks, 0)
        sizes = [(3, width, 9, 1), (width, 2 * width, 3, 2), (2 * width, inner, 3, 2)]
        sizes += [(inner, inner, 3, 1)] * (2 * blocks)
        layers = [
            Convolution(into, out, kernel, stride=stride, norm="none", relu=False, bias=False)
            for into, out, kernel, stride in sizes
        ]
        for into, out in ((inner, 2 * width), (2 * width, width)):
            layers.append(Convolution(into, out, 3, upsampling="nearest", norm="none", relu=False, bias=False))
        layers.append(Convolution(width, 3, 9, norm="none", relu=False, bias=False))
        self.layers = nn.ModuleList(layers)
        self.blocks = blocks
        self.channels: list[int] = [layer.filters.weight.shape[0] for layer in layers]
        for layer in layers:
            nn.init.normal_(layer.filters.weight, std=0.01)

    @property
    def size(self) -> int:
        """How many numbers a point has: a γ and a β for each channel of each convolution."""
        return 2 * sum(self.channels)

    def paint(self, image: Tensor, point: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in the styles of points (B, size), or of one for all (1, size)."""
        if point.shape[1:] != (self.size,) or len(point) not in (1, len(image)):
            right = f"({len(image)}, {self.size})"
            raise ValueError(f"point: {tuple(point.shape)}; right would be {right} for so many pictures")
        height, width = image.shape[-2:]
        parts = iter(point.expand(len(image), -1).split([2 * count for count in self.channels], dim=1))
        layers = iter(self.layers)

        def step(x: Tensor) -> Tensor:
            return condition(next(layers)(x), *next(parts).chunk(2, dim=1))

        x = divisible(image)
        for _ in range(3):
            x = F.relu(step(x))
        for _ in range(self.blocks):
            x = x + step(F.relu(step(x)))
        for _ in range(2):
            x = F.relu(step(x))
        return torch.sigmoid(step(x))[..., :height, :width]


class ManyStyles(Painter):
    """A `Painter` with a table of points, one for each of its styles, by name.

    With `width=32` a style is 3,206 numbers, beside 1.7 million for all of them in common. Raises ValueError as a
    `Painter`, and for no styles and for two of one name. Source: Dumoulin et al. 2017.
    """

    def __init__(self, styles: Sequence[str], width: int = 32, blocks: int = 5, inner: int | None = None):
        super().__init__(width, blocks, inner)
        styles = list(styles)
        if not styles or len(set(styles)) < len(styles):
            raise ValueError(f"styles: {styles}; right would be names, each of them once")
        _check_names(styles)
        self.settings: dict[str, Any] = dict(styles=styles, width=width, blocks=blocks, inner=inner)
        # A table for each convolution, (styles, 2C): γ = 1, then β = 0.
        begin = [torch.cat([torch.ones(len(styles), c), torch.zeros(len(styles), c)], 1) for c in self.channels]
        self.tables = nn.ParameterList(begin)

    @property
    def styles(self) -> list[str]:
        """The names of its styles."""
        names: list[str] = self.settings["styles"]
        return names

    def point(self, style: Tensor) -> Tensor:
        """The points (B, size) of numbers of styles (B,), or of mixtures (B, styles) of their points.

        Weights of a mixture may be anything: convex ones (none negative, sum 1) lie between the styles. Raises
        ValueError for another shape, weights that are whole numbers, and a number that no style has.
        """
        mixed = style.is_floating_point()
        if style.shape[1:] != ((len(self.styles),) if mixed else ()) or style.ndim == 0 or style.dtype == torch.bool:
            right = f"(B,) whole numbers or (B, {len(self.styles)}) floats"
            raise ValueError(f"style: {tuple(style.shape)} of {style.dtype}; right would be {right}")
        if not mixed and any(not 0 <= number < len(self.styles) for number in style.tolist()):
            raise ValueError(f"style: {style.tolist()}; there are {len(self.styles)} styles, from 0 on")
        if mixed:
            return torch.cat([style @ table for table in self.tables], 1)
        return torch.cat([table[style] for table in self.tables], 1)

    def forward(self, image: Tensor, style: Tensor) -> Tensor:
        """Each picture in its style, or mixture of styles (see `point`)."""
        return self.paint(image, self.point(style))

    def add(self, name: str, like: Tensor | None = None) -> None:
        """One style more, at the mean of the others' points or at `like` (1, size), and alone in being trainable.

        Everything else is frozen: the filters, and in each table the rows of the other styles, whose gradient is zero
        (an optimiser must have no weight decay). Raises ValueError for a name that is taken or could not be called.
        """
        if name in self.styles:
            raise ValueError(f"name: {name} is taken; there is {', '.join(self.styles)}")
        _check_names([name])
        with torch.no_grad():
            mean = self.tables[0].new_full((1, len(self.styles)), 1 / len(self.styles))
            start = self.point(mean) if like is None else like
            rows = start.split([2 * count for count in self.channels], dim=1)
            tables = [torch.cat([table, row.to(table)]) for table, row in zip(self.tables, rows, strict=True)]
        self.requires_grad_(False)
        self.tables = nn.ParameterList(tables)
        for table in self.tables:
            table.register_hook(_only_last)
        self.styles.append(name)


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not name.strip() or name != name.strip() or set(name) & set(",:#"):
            raise ValueError(f"styles: {name!r}; a name has no comma, colon or # and no space at its ends")


def _only_last(gradient: Tensor) -> Tensor:
    kept = torch.zeros_like(gradient)
    kept[-1] = gradient[-1]
    return kept
