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
