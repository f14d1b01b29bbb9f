"""The mask painter: regions of a picture from a list, on a grid or by drawing; three ways that share one result."""

import base64
import functools
import html
import io
import uuid
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import ipywidgets as widgets
import numpy as np
import scipy
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..images import resize, size_of, to_array
from ..samples import picture
from ..segments import cluster, from_labels
from .controls import CSS, box, set_help
from .pictures import shape_of

COLOURS = ("#0b6e99", "#d9601a", "#3c9a4b", "#8e5bb5", "#c9a400", "#c2456e")
LONGER, GRID, CLUSTERS = 256, 12, 6
HISTORY = 20  # moves that can be taken back
# What a drag on the canvas does. Inline handlers, because a script in an HTML widget does not run; the drawing goes as
# a PNG into a text field, which is a widget that the kernel hears.
DRAW = """const c=this,r=c.getBoundingClientRect(),g=c.getContext('2d'),
x=(event.clientX-r.left)*c.width/r.width,y=(event.clientY-r.top)*c.height/r.height;
if(event.button>0)return;if(event.type==='pointerdown'){c.setPointerCapture(event.pointerId);c.last=[x,y]}
if(!c.last)return;g.strokeStyle=c.dataset.colour;g.lineWidth=+c.dataset.brush;g.lineCap='round';
g.beginPath();g.moveTo(...c.last);g.lineTo(x+.01,y);g.stroke();c.last=[x,y];event.preventDefault()"""
SEND = """const c=this;if(!c.last)return;c.last=null;
const f=document.querySelector('.'+c.dataset.field+' input');f.value=c.toDataURL('image/png');
f.dispatchEvent(new Event('input',{bubbles:true}));f.dispatchEvent(new Event('change',{bubbles:true}))"""


class MaskPainter(widgets.VBox):
    """Say which part of a picture is which: `masks` is (1, K, H, W) for the K names, at the picture's size.

        painter = MaskPainter("china", ("sky and houses", "water"))
        gatys("china", ["waves", "mosaic"], mask=painter.masks)        # or Panel(..., mask=painter)

    Numbered regions (a clustering of deep features) are taken into the chosen part from a list; cells of a coarse grid
    by clicking them; pixels by drawing on the picture. It starts from a clustering into as many regions as there are
    names. Raises ValueError for fewer than two names or more than six, for fewer than two clusters, and for a bad
    picture.
    """

    def __init__(self, image: str | Tensor, names: Sequence[str] = ("part 1", "part 2"), *, clusters: int = CLUSTERS,
                 encoder: str = "mini", seed: int = 0):  # fmt: skip
        self.names = [str(name) for name in names]
        if not 2 <= len(self.names) <= len(COLOURS) or len(set(self.names)) != len(self.names):
            raise ValueError(f"names: {self.names}; two to {len(COLOURS)} different names, one for each part")
        if isinstance(clusters, bool) or not isinstance(clusters, int | Integral) or not 2 <= clusters <= 99:
            raise ValueError(f"clusters: {clusters}; it must be a whole number from 2 to 99")
        given = picture(image, argument="image")
        self.full = size_of(given)
        self.image = resize(given, LONGER) if max(self.full) > LONGER else given
        self._pixels = to_array(self.image)
        self.regions, start = (
            cluster(self.image, count=count, encoder=encoder, layer="relu3_1", seed=seed)[0][0].argmax(0).numpy()
            for count in (clusters, len(self.names))
        )
        # It starts from whole regions: each belongs to the part that has most of it.
        self.labels = start
        whole = self._by_region([self._majority(start[self.regions == k]) for k in range(int(self.regions.max()) + 1)])
        self.labels = whole if len(np.unique(whole)) == len(self.names) else start
        self._marks = [_widest(self.regions == k) for k in range(int(self.regions.max()) + 1)]
        self._past: list[np.ndarray] = []
        self._showing, self._shown = False, 0
        self._field = f"stx-drawn-{uuid.uuid4().hex}"  # two notebooks may be open in one page
        super().__init__(self._build())
        self.add_class("stx-panel")
        self._show()

    @property
    def masks(self) -> Tensor:
        """(1, K, H, W), 1 where a pixel belongs to the part. A part without any pixel has a mask of zeros."""
        return from_labels(torch.from_numpy(self.labels.astype(np.int64)), self.full, len(self.names))

    def assign(self, where: np.ndarray, part: int | None = None) -> None:
        """Give the pixels (h, w), a boolean array of `labels`' shape, to a part (default: the chosen one)."""
        part = self.part if part is None else part
        if part not in range(len(self.names)):
            raise ValueError(f"part: {part}; there are {len(self.names)}, from 0")
        self._change(np.where(where, part, self.labels))

    def _change(self, labels: np.ndarray) -> None:
        if not np.array_equal(labels, self.labels):
            self._past = [*self._past[-HISTORY + 1 :], self.labels]
            self.labels = labels
        self._show()

    def undo(self) -> None:
        """Take the last change back."""
        if self._past:
            self.labels = self._past.pop()
            self._show()

    @property
    def part(self) -> int:
        """The number of the chosen part, from 0."""
        return self.names.index(self.choice.value)

    @property
    def _other(self) -> int:
        """Where goes what is taken away from the chosen part: to the first one, and the first one's to the second."""
        return 1 if self.part == 0 else 0

    # Building.

    def _build(self) -> list[widgets.Widget]:
        self.choice = widgets.ToggleButtons(options=self.names, description="paint")
        self.brush = widgets.IntSlider(16, min=2, max=64, description="brush", continuous_update=False)
        self.back = widgets.Button(description="Undo", icon="rotate-left")
        self.view = widgets.HTML()
        self.drawn = widgets.Text()
        self.drawn.add_class(self._field)
        self.drawn.add_class("stx-drawn")
        count = int(self.regions.max()) + 1
        shares = [100 * float((self.regions == k).mean()) for k in range(count)]
        options = [(f"region {k + 1} ({share:.0f} %)", k) for k, share in enumerate(shares)]
        self.list = widgets.SelectMultiple(options=options, rows=min(count, 8), description="regions")
        set_help(
            self.list,
            "the numbered regions of the chosen part; with Ctrl, one more or one less (it goes to the first part)",
        )
        self.cells = [widgets.ToggleButton() for _ in range(GRID * GRID)]
        grid = widgets.GridBox(self.cells, layout=widgets.Layout(grid_template_columns=f"repeat({GRID}, 1fr)"))
        grid.add_class("stx-cells")
        folded = widgets.Accordion([grid], selected_index=None)
        folded.set_title(0, "On a grid")
        self.choice.observe(lambda change: self._show(), "value")
        self.brush.observe(lambda change: self._show(), "value")
        self.back.on_click(lambda button: self.undo())
        self.drawn.observe(lambda change: self._draw(change["new"]), "value")
        self.list.observe(lambda change: self._listed(set(change["new"])), "value")
        for number, cell in enumerate(self.cells):
            cell.observe(lambda change, n=number: self._clicked(n), "value")
        see = box([self.view], "stx-see")
        settings = box([self.choice, self.list, self.brush, self.back, folded, self.drawn], "stx-set stx-live")
        return [widgets.HTML(f"<style>{CSS}</style>"), box([see, settings], "stx-body", widgets.HBox)]

    # The three ways.

    def _listed(self, chosen: set[int]) -> None:
        if self._showing:
            return
        before = self._regions_of(self.part)
        # Only what was chosen or left just now changes: a drawing inside a region that stays chosen is kept.
        labels = np.where(np.isin(self.regions, list(chosen - before)), self.part, self.labels)
        gone = np.isin(self.regions, list(before - chosen)) & (labels == self.part)
        self._change(np.where(gone, self._other, labels))

    def _clicked(self, number: int) -> None:
        if self._showing:
            return
        rows, columns = self._cell(number)
        where = np.zeros(self.labels.shape, bool)
        where[rows, columns] = True
        mine = self._majority(self.labels[rows, columns]) == self.part
        self.assign(where, self._other if mine else self.part)

    def _draw(self, address: str) -> None:
        if not address:
            return
        self.drawn.value = ""
        try:
            data = base64.b64decode(address.partition(",")[2], validate=True)
            drawing = Image.open(io.BytesIO(data)).convert("RGBA")
        except (ValueError, OSError):
            return self._show()  # not a drawing: nothing is changed, and the canvas is clean again
        height, width = self.labels.shape
        painted = np.asarray(drawing.resize((width, height), Image.Resampling.BILINEAR))[..., 3] > 127
        return self.assign(painted)

    def _cell(self, number: int) -> tuple[slice, slice]:
        row, column = divmod(number, GRID)
        height, width = self.labels.shape
        return (slice(row * height // GRID, (row + 1) * height // GRID),
                slice(column * width // GRID, (column + 1) * width // GRID))  # fmt: skip

    def _majority(self, labels: np.ndarray) -> int:
        return int(np.bincount(labels.ravel(), minlength=len(self.names)).argmax()) if labels.size else 0

    def _by_region(self, parts: list[int]) -> np.ndarray:
        return np.array(parts)[self.regions]

    def _regions_of(self, part: int) -> set[int]:
        return {k for k in np.unique(self.regions).tolist() if self._majority(self.labels[self.regions == k]) == part}

    # Showing.

    def _show(self) -> None:
        self._showing = True  # what is set here is not a click
        try:
            self.list.value = tuple(sorted(self._regions_of(self.part)))
            for number, cell in enumerate(self.cells):
                part = self._majority(self.labels[self._cell(number)])
                row, column = divmod(number, GRID)
                cell.value = part == self.part
                for k in range(len(self.names)):
                    (cell.add_class if k == part else cell.remove_class)(f"stx-part-{k}")
                set_help(cell, f"row {row + 1}, column {column + 1}: {self.names[part]}")
        finally:
            self._showing = False
        self.back.disabled = not self._past
        height, width = self.labels.shape
        shares = [100 * (self.labels == k).mean() for k in range(len(self.names))]
        legend = " ".join(
            f'<span><i style="background:{COLOURS[k]}"></i>{html.escape(name)} {share:.0f} %</span>'
            for k, (name, share) in enumerate(zip(self.names, shares, strict=True))
        )
        self._shown += 1  # so that the HTML is another one, and the canvas clean, also where nothing has changed
        one_line = {name: html.escape(" ".join(code.split())) for name, code in (("draw", DRAW), ("send", SEND))}
        self.view.value = (
            f'<figure class="stx-figure stx-painting"><div><img {shape_of(self.image)} src="{self._overlay()}" '
            f'alt="the picture with its parts: {html.escape(", ".join(self.names))}">'
            f'<canvas width="{width}" height="{height}" data-shown="{self._shown}" data-colour="{COLOURS[self.part]}" '
            f'data-brush="{self.brush.value}" data-field="{self._field}" '
            f'onpointerdown="{one_line["draw"]}" onpointermove="{one_line["draw"]}" '
            f'onpointerup="{one_line["send"]}" onpointercancel="{one_line["send"]}"></canvas></div>'
            f'<figcaption class="stx-legend">{legend}</figcaption></figure>'
        )

    def _overlay(self) -> str:
        colours = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in COLOURS])
        mixed = 0.55 * self._pixels + 0.45 * colours[self.labels]
        inner = scipy.ndimage.minimum_filter(self.labels, 3) == scipy.ndimage.maximum_filter(self.labels, 3)
        mixed[~inner] = 255
        shown = Image.fromarray(mixed.round().astype(np.uint8)).resize(
            (2 * mixed.shape[1], 2 * mixed.shape[0]), Image.Resampling.BILINEAR
        )
        pen = ImageDraw.Draw(shown)
        for k, (row, column) in enumerate(self._marks):
            pen.text((2 * column, 2 * row), str(k + 1), fill="white", stroke_fill="black", stroke_width=2, anchor="mm",
                     font=_font(20))  # fmt: skip
        buffer = io.BytesIO()
        shown.save(buffer, "JPEG", quality=85)
        return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _widest(region: np.ndarray) -> tuple[int, int]:
    """The place in a region that is farthest from its border: where its number stands."""
    depth = scipy.ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(row), int(column)


@functools.cache
def _font(size: int) -> Any:
    import matplotlib

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans-Bold.ttf", size)
