"""One network for any style: the point (γ, β) of a painting is predicted from its statistics.

    network.paint(photos, network.predict(style_statistics(encoder(painting, SEEN))))

Source: Ghiasi, Lee, Kudlur, Dumoulin & Shlens, Exploring the structure of a real-time, arbitrary neural artistic
stylization network, BMVC 2017.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..checks import check_whole
from .conditional import ManyStyles

SEEN = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")


def style_statistics(features: Mapping[str, Tensor]) -> Tensor:
    """Mean and standard deviation of every channel, layer by layer: (B, D), D twice the number of channels.

    These alone are a style to `bn_loss` (lecture 04), and what AdaIN hands over.
    """
    parts = [(f.mean((2, 3)), f.var((2, 3), correction=0).clamp(min=0).sqrt()) for f in features.values()]
    return torch.cat([torch.cat(pair, 1) for pair in parts], 1)


class AnyStyle(ManyStyles):
    """A `ManyStyles` that also predicts the point of a painting it has never seen.

    `predict` maps statistics (B, statistics) to points (B, size), by way of a `code` of few numbers, so that paintings
    have to share what describes them. Centre and spread of the statistics are kept from the training (`scale_to`).
    Raises ValueError as a `ManyStyles`, and for fewer than one statistic or number of the code. Source: Ghiasi et al.
    2017, section 2 (there Inception features, and a code of 100).
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self, styles: Sequence[str], statistics: int, width: int = 32, blocks: int = 5, inner: int | None = None,
        code: int = 100,
    ):  # fmt: skip
        super().__init__(styles, width, blocks, inner)
        check_whole("statistics", statistics, 1)
        check_whole("code", code, 1)
        self.settings |= dict(statistics=statistics, code=code)
        self.register_buffer("centre", torch.zeros(statistics))
        self.register_buffer("spread", torch.ones(statistics))
        self.encode = nn.Linear(statistics, code)
        self.decode = nn.Linear(code, self.size)
        nn.init.normal_(self.decode.weight, std=0.01)
        with torch.no_grad():  # begins where the styles of the table begin
            self.decode.bias.copy_(torch.cat([torch.cat([torch.ones(c), torch.zeros(c)]) for c in self.channels]))

    def scale_to(self, statistics: Tensor) -> None:
        """Take centre and spread of the statistics (N, D) of many pictures."""
        self.centre.copy_(statistics.mean(0))
        self.spread.copy_(statistics.std(0, correction=0).clamp(min=1e-3))

    def predict(self, statistics: Tensor) -> Tensor:
        """Points (B, size) of paintings with these statistics (B, D)."""
        point: Tensor = self.decode(torch.relu(self.encode((statistics - self.centre) / self.spread)))
        return point
