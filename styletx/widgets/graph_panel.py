"""The graph panel: a pixel of a picture, its neighbours in the graph, and the weights between them (lecture 11)."""

import ipywidgets as widgets
import numpy as np
from torch import Tensor

from ..graph.affinity import degree, gaussian_affinity, grid_graph
from ..graph.matting import matting_affinity
from ..images import resize, to_array
from ..samples import picture
from .clicks import Clicks
from .controls import CSS, box, set_help
from .pictures import data_url, shape_of

LONGER = 64  # pixels of the longer side: few enough to see each of them
REACH = 3  # pixels shown around the chosen one
KINDS = ("4 neighbours", "8 neighbours", "Gaussian affinity", "matting affinity")


class GraphPanel(widgets.VBox):
    """Click a pixel, or choose its row and column: what is joined to it in the graph, and how strongly.

        GraphPanel("china")

    The picture is made small, so that single pixels can be seen. `weights` is the chosen pixel's row of W as
    {(row, column): weight}. Raises ValueError for a bad picture.
    """

    def __init__(self, image: str | Tensor = "china", kind: str = KINDS[2]):
        if kind not in KINDS:
            raise ValueError(f'kind: "{kind}" is not one of {", ".join(KINDS)}')
        given = picture(image, argument="image")
        self.image = resize(given, LONGER) if max(given.shape[-2:]) > LONGER else given
        self.pixels = to_array(self.image)
        self._matrices: dict = {}
        self._moving = False
        height, width = self.pixels.shape[:2]
        self.kind = widgets.Dropdown(options=KINDS, value=kind, description="weights")
        self.row = widgets.IntSlider(height // 2, min=0, max=height - 1, description="row")
        self.column = widgets.IntSlider(width // 2, min=0, max=width - 1, description="column")
        set_help(self.kind, "how much two neighbouring pixels belong together")
        self.clicked, self.view, self.graph = Clicks(self._click), widgets.HTML(), widgets.HTML()
        for control in (self.kind, self.row, self.column):
            control.observe(lambda change: self._show(), "value")
        see = box([self.view], "stx-see")
        live = box([self.kind, self.row, self.column, self.clicked], "stx-live")  # a saved page hides these
        settings = box([self.graph, live], "stx-set")
        super().__init__([widgets.HTML(f"<style>{CSS}</style>"), box([see, settings], "stx-body", widgets.HBox)])
        self.add_class("stx-panel")
        self._show()

    @property
    def matrix(self):
        """W of the chosen kind, scipy's (N, N)."""
        kind, size = self.kind.value, self.pixels.shape[:2]
        if kind not in self._matrices:
            self._matrices[kind] = {
                KINDS[0]: lambda: grid_graph(*size),
                KINDS[1]: lambda: grid_graph(*size, connectivity=8),
                KINDS[2]: lambda: gaussian_affinity(self.image, connectivity=8),
                KINDS[3]: lambda: matting_affinity(self.image),
            }[kind]().tocsr()
        return self._matrices[kind]

    @property
    def weights(self) -> dict[tuple[int, int], float]:
        """The chosen pixel's row of W: {(row, column): weight}, without zeros."""
        width = self.pixels.shape[1]
        begin, end = self.matrix.indptr[self._index : self._index + 2]
        columns, values = self.matrix.indices[begin:end], self.matrix.data[begin:end]
        return {divmod(int(c), width): float(v) for c, v in zip(columns, values, strict=True) if v}

    @property
    def _index(self) -> int:
        return self.row.value * self.pixels.shape[1] + self.column.value

    def _click(self, across: float, down: float) -> None:
        height, width = self.pixels.shape[:2]
        self._moving = True  # both at once: what is between the old place and the new one is not shown
        self.row.value = min(int(down * height), height - 1)
        self.column.value = min(int(across * width), width - 1)
        self._moving = False
        self._show()

    def _show(self) -> None:
        if self._moving:
            return
        height, width = self.pixels.shape[:2]
        row, column = self.row.value, self.column.value
        mark = (f'<rect x="{column - REACH}" y="{row - REACH}" width="{2 * REACH + 1}" height="{2 * REACH + 1}" '
                'fill="none" stroke="white" stroke-width="0.9"/>'
                f'<rect x="{column - REACH}" y="{row - REACH}" width="{2 * REACH + 1}" height="{2 * REACH + 1}" '
                'fill="none" stroke="black" stroke-width="0.4"/>')  # fmt: skip
        # Enlarged before it is sent, so that its pixels stay squares in every browser.
        large = self.image.repeat_interleave(8, -1).repeat_interleave(8, -2)
        self.view.value = (
            f'<figure class="stx-figure stx-graph"><div style="position:relative"><img {shape_of(self.image)} '
            f'src="{data_url(large, 8 * max(height, width), 92)}" style="width:100%;display:block" '
            f'alt="the picture, in pixels"><svg viewBox="0 0 {width} {height}" {self.clicked.attributes} '
            f'style="position:absolute;inset:0;width:100%;height:100%;cursor:crosshair">{mark}</svg>'
            f"</div><figcaption>row {row}, column {column}: pixel {self._index} of {height * width}</figcaption>"
            "</figure>"
        )
        self.graph.value = self._drawn()

    def _drawn(self) -> str:
        """The pixels around the chosen one, each with its weight, and a line as thick as the weight, as SVG."""
        height, width = self.pixels.shape[:2]
        weights, row, column = self.weights, self.row.value, self.column.value
        strongest = max((abs(v) for place, v in weights.items() if place != (row, column)), default=1.0)
        cells, lines = [], []
        for y in range(row - REACH, row + REACH + 1):
            for x in range(column - REACH, column + REACH + 1):
                if not (0 <= y < height and 0 <= x < width):
                    continue
                left, top = 60 * (x - column + REACH), 60 * (y - row + REACH)
                colour = self.pixels[y, x]
                cells.append(f'<rect x="{left}" y="{top}" width="60" height="60" fill="rgb{tuple(colour.tolist())}"/>')
                value = weights.get((y, x))
                if value is None:
                    continue
                if (y, x) != (row, column):
                    stroke, thick = "#ffffff" if value > 0 else "#e02020", 9 * abs(value) / strongest + 0.5
                    lines.append(
                        f'<line x1="{60 * REACH + 30}" y1="{60 * REACH + 30}" x2="{left + 30}" y2="{top + 30}" '
                        f'stroke="{stroke}" stroke-opacity="0.8" stroke-width="{thick:.2f}"/>'
                    )
                light = float(np.dot(colour, (0.299, 0.587, 0.114))) > 140
                lines.append(
                    f'<text x="{left + 30}" y="{top + 52}" font-size="14" text-anchor="middle" '
                    f'fill="{"#000" if light else "#fff"}">{value:.2g}</text>'
                )
        side = 60 * (2 * REACH + 1)
        total = float(degree(self.matrix)[self._index])
        centre = (f'<rect x="{60 * REACH}" y="{60 * REACH}" width="60" height="60" fill="none" stroke="#b5461b" '
                  'stroke-width="5"/>')  # fmt: skip
        said = ", ".join(f"row {y} column {x}: {v:.2g}" for (y, x), v in weights.items())
        return (
            f'<svg viewBox="0 0 {side} {side}" style="width:100%;max-width:420px" role="img" '
            f'aria-label="weights: {said}">{"".join(cells)}{"".join(lines)}{centre}</svg>'
            f'<p class="stx-note stx-shown">{len(weights)} entries in this row of W; their sum, the degree, is '
            f"{total:.3g}</p>"
        )
