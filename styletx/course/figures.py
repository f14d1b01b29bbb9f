"""What several lectures draw: numbers in a grid, maps in colour, a table.

Pictures themselves are shown by `images.show`. Everything else that a lecture draws stands in its own cells.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CONTENT, STYLE = "#0b6e99", "#b5461b"  # one colour for content and one for style, in every plot of the course


def heat(
    maps: Tensor,
    low: float | None = None,
    high: float | None = None,
    size: tuple[int, int] | None = None,
    gamma: float = 1.0,
    colours: str = "inferno",
) -> Tensor:
    """Maps (C, h, w) as images (C, 3, h, w): `low` … `high` (default: their own range) through a colour map.

    One range for all, so that bright means the same everywhere; `gamma` below 1 lifts small values; `size`
    repeats pixels (nearest): a coarse map looks as coarse as it is. Raises ValueError for another shape.
    """
    from matplotlib import colormaps

    if maps.ndim != 3:
        raise ValueError(f"maps: shape {tuple(maps.shape)}; right would be (C, h, w)")
    maps = maps.detach().float().cpu()
    low = float(maps.min()) if low is None else low
    high = float(maps.max()) if high is None else high
    values = ((maps - low) / max(high - low, 1e-12)).clamp(0, 1) ** gamma
    images = torch.from_numpy(colormaps[colours](values.numpy())[..., :3]).float().permute(0, 3, 1, 2)
    return images if size is None else F.interpolate(images, size=size, mode="nearest-exact")


def number_grids(*arrays: Tensor, titles: Sequence[str], signs: Sequence[str] = (), marks: Sequence[tuple] = ()):
    """The Figure of small arrays (h, w) as grids of numbers, with `signs` between them.

    marks: (which array, row, column, height, width, colour) of frames that point something out.
    """
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.patches import Rectangle

    heights, widths = zip(*(array.shape for array in arrays), strict=True)
    size = (0.5 * sum(widths) + 0.6 * len(arrays), 0.5 * max(heights) + 0.4)
    layout = ConstrainedLayoutEngine(wspace=0.12)
    figure, axes = plt.subplots(1, len(arrays), width_ratios=widths, squeeze=False, layout=layout, figsize=size)
    for axis, array, title in zip(axes[0], arrays, titles, strict=True):
        spread = 1.6 * max(float(array.abs().max()), 1e-12)
        axis.imshow(array, cmap="RdBu_r", vmin=-spread, vmax=spread)
        for row, column in torch.cartesian_prod(*map(torch.arange, array.shape)).tolist():
            axis.text(column, row, f"{float(array[row, column]):g}", ha="center", va="center", fontsize=11)
        axis.set_xticks([k - 0.5 for k in range(array.shape[1])], [], minor=True)
        axis.set_yticks([k - 0.5 for k in range(array.shape[0])], [], minor=True)
        axis.grid(which="minor", color="white", linewidth=1.5)
        axis.tick_params(which="both", length=0, labelleft=False, labelbottom=False)
        axis.spines[:].set_visible(False)
        axis.set_title(title, fontsize=11)
    for axis, sign in zip(axes[0, 1:], signs, strict=False):
        axis.text(-0.08, 0.5, sign, transform=axis.transAxes, ha="right", va="center", fontsize=18)
    for which, row, column, height, width, colour in marks:
        corner = (column - 0.5, row - 0.5)
        frame = Rectangle(corner, width, height, fill=False, edgecolor=colour, lw=2.5, clip_on=False, zorder=5)
        axes[0, which].add_patch(frame)
    plt.close(figure)
    return figure


class _Board:
    """A plane on which pictures, boxes and arrows are put; `figure` is what was drawn."""

    def __init__(self, size: tuple[float, float], width: tuple[float, float], height: tuple[float, float]):
        import matplotlib.pyplot as plt

        self.figure, self.axis = plt.subplots(figsize=size)
        self.axis.set(xlim=width, ylim=height)
        self.axis.set_aspect("equal")
        self.axis.axis("off")
        plt.close(self.figure)

    def put(self, image: Tensor, left: float, bottom: float, width: float, name: str, colour: str = "black") -> None:
        height = width * image.shape[-2] / image.shape[-1]
        shown = image[0].permute(1, 2, 0).clamp(0, 1)
        where = (left, left + width, bottom, bottom + height)
        self.axis.imshow(shown, extent=where, zorder=2, interpolation="nearest" if image.shape[-1] < 64 else None)
        self.axis.text(left + width / 2, bottom + height + 1.1, name, ha="center", color=colour, fontsize=13)

    def box(self, left: float, bottom: float, width: float, height: float, text: str, colour: str) -> None:
        from matplotlib.patches import FancyBboxPatch

        shape = FancyBboxPatch(
            (left, bottom), width, height, boxstyle="round,pad=0,rounding_size=1", fc="white", ec=colour, lw=1.6
        )
        self.axis.add_patch(shape)
        self.axis.text(left + width / 2, bottom + height / 2, text, ha="center", va="center", fontsize=11)

    def arrow(self, start: tuple[float, float], end: tuple[float, float], colour: str = "black") -> None:
        style = dict(arrowstyle="-|>", color=colour, lw=1.6, shrinkA=0, shrinkB=0)
        self.axis.annotate("", end, start, arrowprops=style)


def pipeline(photo: Tensor, made: Tensor, painting: Tensor):
    """The Figure of how a network learns to paint: x → f_W → ŷ, and ŷ beside y_c and y_s in a loss network.

    Photo x = y_c, what the network makes of it, and the painting y_s are pictures (1, 3, H, W). Source: Johnson et al.
    2016, Fig. 2.
    """
    board, grey = _Board((11.5, 5.9), (0, 93), (-3, 44)), "#8a949a"
    board.put(photo, 1, 15, 15, "$x$")
    board.box(21, 14.5, 13, 11, "transform\nnetwork $f_W$\n(learns)", "black")
    board.put(made, 39, 15, 15, r"$\hat{y} = f_W(x)$")
    board.put(painting, 39, 29.5, 13, "$y_s$", STYLE)
    board.put(photo, 39, 1, 15, "$y_c = x$", CONTENT)
    board.box(60, 4, 13, 31, "loss\nnetwork $\\phi$\n(at rest)", grey)
    board.box(77, 22.5, 15, 9, "style loss\n" r"$\|G(\hat{y}) - G(y_s)\|^2$", STYLE)
    board.box(77, 8, 15, 9, "content loss\n" r"$\|\phi(\hat{y}) - \phi(y_c)\|^2$", CONTENT)
    board.arrow((16.5, 20), (20.8, 20))
    board.arrow((34.2, 20), (38.6, 20))
    board.arrow((54.4, 20), (59.8, 20))
    board.arrow((52.4, 33), (59.8, 33), STYLE)
    board.arrow((54.4, 6), (59.8, 6), CONTENT)
    board.arrow((73.2, 27), (76.8, 27), STYLE)
    board.arrow((73.2, 12.5), (76.8, 12.5), CONTENT)
    board.axis.plot([85, 85, 27.5, 27.5], [7.8, -2, -2, 12], color=grey, lw=1.4, ls="--")
    board.arrow((27.5, 11.9), (27.5, 14.2), grey)
    board.axis.text(26.5, 5, "gradient", color=grey, fontsize=10, ha="right", va="center")
    return board.figure


def generator(noise: Sequence[Tensor], made: Tensor, channels: int = 8):
    """The Figure of a texture network: each noise tensor through a block, joined to what comes from coarser ones.

    noise: as the network takes it, the finest first, (1, 3, H/2ⁱ, W/2ⁱ); made: the picture. Source: Ulyanov et al.
    2016, Fig. 2.
    """
    count = len(noise)
    board = _Board((11.5, 4.6), (0, 20 * count + 26), (-4, 36))
    for place, z in enumerate(reversed(noise)):
        left, side = 20 * place, 2.5 + 2 * place
        board.put(z, left + (11 - side) / 2, 21 + (11 - side) / 2, side, f"$z_{count - 1 - place}$", STYLE)
        board.arrow((left + 5.5, 20.5), (left + 5.5, 16.4), STYLE)
        board.box(left, 11, 11, 5, f"block: {channels}", "black")
        if place:
            board.arrow((left + 5.5, 10.8), (left + 5.5, 6.4))
            board.box(left - 1, 0, 13, 6, f"join, block:\n{(place + 1) * channels}", "black")
            board.arrow((left - 8, 3) if place > 1 else (left - 14.5, 3), (left - 1.3, 3))
            board.axis.text(left - 5, 4.2, "×2", ha="center", fontsize=11)
        else:
            board.axis.plot([5.5, 5.5], [10.8, 3], color="black", lw=1.6)
    end = 20 * count
    board.arrow((end - 8, 3), (end + 0.4, 3))
    board.axis.text(end - 4, 4.2, "1×1", ha="center", fontsize=11)
    board.put(made, end + 1, -3, 23, r"$g(z;\,\theta)$")
    return board.figure


def table(rows: Sequence[Sequence[Any]], header: Sequence[str]):
    """An HTML table: columns of numbers to the right, floats with three significant digits."""
    from IPython.display import HTML

    def line(values: Sequence[Any], tag: str) -> str:
        text = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in values]
        how = [f'style="text-align:{side};padding:0.2em 0.9em"' for side in sides]
        return "".join(f"<{tag} {h}>{html.escape(t)}</{tag}>" for h, t in zip(how, text, strict=True))

    sides = ["right" if isinstance(value, int | float) else "left" for value in rows[0]]
    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return HTML(f"<table><thead><tr>{line(header, 'th')}</tr></thead><tbody>{body}</tbody></table>")
