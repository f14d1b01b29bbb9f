"""Pictures in a panel: as HTML with their alternative text, and a picker by name, path or upload."""

import base64
import html
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from .. import samples
from ..images import resize, to_jpeg
from .controls import label, set_help

THUMBNAIL = 144  # pixels of its longer side: twice what is shown, for fine screens
FIRST = {"content": ("photo", "painting", "style", "texture"), "style": ("style", "painting", "texture", "photo")}
STANDARD = {"content": "china", "style": "stained-glass"}
"""What a picker shows where the caller names nothing."""


def data_url(image: Tensor, longer: int, quality: int = 82) -> str:
    """The picture as a JPEG in an address, at most `longer` pixels on its longer side."""
    image = resize(image.detach(), longer) if max(image.shape[-2:]) > longer else image
    return "data:image/jpeg;base64," + base64.b64encode(to_jpeg(image, quality)).decode()


def picture_html(image: Tensor, alt: str, caption: str = "", longer: int = 640, quality: int = 82) -> str:
    """One picture that fills its column, with a caption under it."""
    # decoding="sync": a picture that is replaced four times a second must not be blank in between.
    return (f'<figure class="stx-figure"><img decoding="sync" {shape_of(image)} '
            f'src="{data_url(image, longer, quality)}" alt="{html.escape(alt)}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>")  # fmt: skip


def shape_of(image: Tensor) -> str:
    """The attributes that give a picture its place before it is there; narrow where it is higher than wide."""
    height, width = image.shape[-2:]
    share = min(100, round(100 * width / height))
    return f'style="aspect-ratio:{width}/{height};width:{share}%" width="{width}" height="{height}"'


def uploaded(value: Any) -> tuple[str, bytes] | None:
    """(name, bytes) of the last uploaded file: ipywidgets 8 gives a tuple of dicts, 7 a dict of dicts by name."""
    if isinstance(value, dict):
        found = [(name, entry["content"]) for name, entry in value.items()]
    else:
        found = [(entry["name"], entry["content"]) for entry in value]
    return (found[-1][0], bytes(found[-1][1])) if found else None


class Picker(widgets.HBox):
    """A picture by name, path or upload: `source` is what the method gets, `name` what a reader calls it.

    `changed(picker, error)` is called after each choice; `error`, kept as an attribute, says why there is no thumbnail,
    or is None.
    """

    def __init__(self, option: str, given: Any, changed: Callable[["Picker", Exception | None], None]):
        self.option, self.changed = option, changed
        self.image: Tensor | None = None
        self.error: Exception | None = None
        kinds = FIRST.get(option, FIRST["content"])
        self.sources: dict[str, Any] = {n: n for kind in kinds for n in samples.names(kind, available=True)}
        self.thumbnail = widgets.HTML()
        self.choice = widgets.Dropdown(description=label(option))
        self.path = widgets.Text(placeholder="path of a file, then Enter", continuous_update=False)
        self.upload = widgets.FileUpload(accept="image/*", multiple=False, description="Upload")
        set_help(self.choice, f"the {label(option)} picture")
        set_help(self.path, f"the {label(option)} picture as a file on the kernel's machine")
        set_help(self.upload, f"the {label(option)} picture from this computer")
        files = widgets.HBox([self.path, self.upload])
        files.add_class("stx-files")
        right = widgets.VBox([self.choice, files])
        right.add_class("stx-live")
        super().__init__([self.thumbnail, right])
        for name in ("stx-picker", f"stx-{option}"):
            self.add_class(name)
        self._listing = False
        given = given if given is not None else STANDARD.get(option, next(iter(self.sources)))
        self.choice.observe(lambda change: self._chosen(), "value")
        self.choose(given, "given" if isinstance(given, Tensor | bytes) else str(given))
        self.path.observe(lambda change: self._typed(change["new"].strip()), "value")
        self.upload.observe(lambda change: self._uploaded(change["new"]), "value")

    @property
    def name(self) -> str:
        return Path(self.choice.value).stem

    @property
    def source(self) -> Any:
        return self.sources[self.choice.value]

    def choose(self, source: Any, name: str | None = None) -> None:
        """Take a sample's name, a path, an upload's bytes or a tensor; the list gets what it does not have."""
        name = name or (source if source in self.sources else os.path.basename(source) or source)
        self.sources[name] = source
        if name not in self.choice.options:
            self._listing = True  # new options alone select the first
            self.choice.options = list(self.sources)
            self._listing = False
        if self.choice.value == name:
            self._chosen()
        self.choice.value = name

    def _typed(self, path: str) -> None:
        if path:
            self.choose(path)

    def _uploaded(self, value: Any) -> None:
        found = uploaded(value)
        if found:
            self.choose(found[1], found[0])

    def _chosen(self) -> None:
        if self._listing:
            return
        self.error, what, name = None, label(self.option), html.escape(self.name)
        try:
            self.image = samples.picture(self.source, argument=self.option)
            size = math.ceil(THUMBNAIL * max(self.image.shape[-2:]) / min(self.image.shape[-2:]))
            shown = f'<img alt="{what}: {name}" src="{data_url(self.image, min(size, 320), 72)}">'
        except (ValueError, OSError) as problem:
            self.image, self.error, shown = None, problem, '<span class="stx-none">no picture</span>'
        caption = f"<figcaption>{what}<span>: {name}</span></figcaption>"
        self.thumbnail.value = f'<figure class="stx-thumb">{shown}{caption}</figure>'
        self.changed(self, self.error)
