"""The mixing panel: four paintings at the corners of a square, and the photo in what lies between (lecture 09)."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from .. import samples
from ..devices import is_out_of_memory
from ..methods.painters import STYLES
from ..methods.record import record
from ..methods.stylize import stylize
from .clicks import Clicks
from .controls import CSS, NONE, box, label, set_help
from .pictures import Picker, data_url, picture_html
from .results import keep_on_drive, save_result

CORNERS = ("starry-night", "great-wave", "the-scream", "composition-vii")
PLACES = ("top left", "top right", "bottom left", "bottom right")
NOTE = "This is a saved page: open it in Colab or JupyterLab to mix for yourself."


class MixingPanel(widgets.VBox):
    """Drag over the square, or move its two sliders: each place is a mixture of the four paintings at its corners.

        MixingPanel("china", ["starry-night", "great-wave", "shipwreck", "composition-vii"])

    content: the photo; styles: four of `STYLES`, or any other pictures, by samples' names. `image` is what is
    seen, (1, 3, H, W) in [0, 1], `mixture` its style in words, as `stylize` takes it, `error` why there is none.
    Raises ValueError for another number of styles, and what `stylize` raises.
    """

    def __init__(
        self, content: Any = "china", styles: Sequence[str] = CORNERS, size: int = 320, device: str | None = None
    ):
        styles = [styles] if isinstance(styles, str) else [str(style) for style in styles]
        if len(styles) != len(PLACES):
            raise ValueError(f"styles: {len(styles)}; right would be four: {', '.join(PLACES)}")
        self.size, self.device = size, device
        self.image: Tensor | None = None
        self.error: Exception | None = None
        self._saved_as: tuple[list[str], dict] | None = None  # names and record of the picture that is seen
        self._thumbnails: dict[str, str] = {}
        self._still = True  # nothing is painted while everything is put in place
        known = dict.fromkeys([*STYLES, *samples.names("painting", available=True), *samples.names("style"), *styles])
        self.corners = [
            widgets.Dropdown(options=list(known), value=style, description=place)
            for style, place in zip(styles, PLACES, strict=True)
        ]
        self.across = widgets.FloatSlider(0.3, min=0, max=1, step=0.01, description="left to right")
        self.down = widgets.FloatSlider(0.3, min=0, max=1, step=0.01, description="top to bottom")
        self.strength = widgets.FloatSlider(1, min=0, max=1, step=0.05, description="strength")
        self.colours = widgets.Dropdown(
            options=[("the paintings'", NONE), ("the photo's", "luminance")], description="colours"
        )
        set_help(self.strength, "how much of the painting is laid over the photo")
        self.clicked = Clicks(self._moved, drag=True)
        self.picker = Picker("content", content, lambda picker, error: self._show())
        self.view, self.square, self.message = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.save_button = widgets.Button(description="Save", icon="download", tooltip="save the picture as a PNG")
        self.save_button.on_click(lambda button: self._clicked_save())
        moved = (*self.corners, self.across, self.down, self.strength, self.colours)
        for control in moved:
            control.add_class("stx-control")
            control.observe(lambda change: self._show(), "value")
        live = box([self.across, self.down, *self.corners, self.strength, self.colours, self.save_button], "stx-live")
        settings = box([self.square, self.picker, live, self.clicked], "stx-set")
        body = box([box([self.view], "stx-see"), settings], "stx-body", widgets.HBox)
        note = widgets.HTML(f'<p class="stx-note">{NOTE}</p>')
        note.add_class("stx-shown")
        super().__init__([widgets.HTML(f"<style>{CSS}</style>"), body, self.message, note])
        self.add_class("stx-panel")
        self._still = False
        self._show()
        if self.error is not None:
            raise self.error

    @property
    def weights(self) -> list[float]:
        """How much of each corner, in the order of `PLACES`; they add up to 1."""
        x, y = self.across.value, self.down.value
        return [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y]

    @property
    def mixture(self) -> str:
        """The style of the picture, in words."""
        parts = zip(self.corners, self.weights, strict=True)
        return ",".join(f"{corner.value}:{weight:.4g}" for corner, weight in parts if weight >= 5e-5)

    def save(self, folder: str | Path = ".") -> Path:
        """Write the picture as a PNG that carries how it was made; gives the path. ValueError where there is none."""
        if self.image is None or self._saved_as is None:
            raise ValueError("panel: there is no picture to save")
        return save_result(self.image, *self._saved_as, folder)

    def _arguments(self) -> dict[str, Any]:
        kept = {"strength": self.strength.value, "keep_colours": self.colours.value or None}
        return {"style": self.mixture, "size": self.size, **kept}

    def _clicked_save(self) -> None:
        try:
            self._say(html.escape(f"Saved as {keep_on_drive(self.save())}"))
        except (ValueError, OSError) as error:
            self._say(html.escape(f"Not saved. {error}"), "stx-error")

    def _moved(self, across: float, down: float) -> None:
        self._still = True  # both at once
        self.across.value, self.down.value = round(across, 2), round(down, 2)
        self._still = False
        self._show()

    def _show(self) -> None:
        if self._still:
            return
        self.square.value = self._drawn()
        try:
            if self.picker.error is not None:
                raise self.picker.error
            source, arguments = self.picker.source, self._arguments()
            carried = record("stylize", {"content": source}, arguments)
            self.image, self.error = stylize(source, **arguments, device=self.device), None
        except (ValueError, OSError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not is_out_of_memory(error):
                raise
            self.error = error
            self._say(f"<b>Not done.</b> {html.escape(str(error))}", "stx-error")
            return
        self.message.value = ""
        self._saved_as = [self.picker.name, "mixed", *(c.value for c in self.corners)], carried
        parts = sorted(zip(self.weights, self.corners, strict=True), key=lambda pair: -pair[0])
        said = ", ".join(f"{round(100 * weight)}% {corner.value}" for weight, corner in parts if weight >= 0.005)
        self.view.value = picture_html(self.image, f"{label(self.picker.name)}: {said}", said)

    def _say(self, words: str, kind: str = "") -> None:
        self.message.value = f'<div class="stx-message {kind}" role="status">{words}</div>'

    def _drawn(self) -> str:
        """The square as SVG: a painting in each corner, as large as its weight, and where we are."""
        shapes = []
        for k, (corner, weight) in enumerate(zip(self.corners, self.weights, strict=True)):
            side = 20 + 26 * weight
            left, top = (k % 2) * (100 - side), (k // 2) * (100 - side)
            shapes.append(
                f'<image href="{self._thumbnail(corner.value)}" x="{left:.1f}" y="{top:.1f}" width="{side:.1f}" '
                f'height="{side:.1f}" preserveAspectRatio="xMidYMid slice"/>'
            )
        x, y = 100 * self.across.value, 100 * self.down.value
        return (
            f'<svg viewBox="0 0 100 100" role="img" aria-label="a square of four paintings" {self.clicked.attributes} '
            'style="width:100%;max-width:300px;display:block;cursor:crosshair;touch-action:none;border-radius:4px;'
            'background:#8882;user-select:none">'
            f'{"".join(shapes)}<circle cx="{x:.1f}" cy="{y:.1f}" r="3.4" fill="#fff" stroke="#111" stroke-width="1.2"/>'
            "</svg>"
        )

    def _thumbnail(self, style: str) -> str:
        if style not in self._thumbnails:
            if style in samples.names() and not samples.available(style):  # learnt, but its painting is not here
                return ""
            self._thumbnails[style] = data_url(samples.load(style), 160, 75)
        return self._thumbnails[style]
