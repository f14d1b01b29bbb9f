"""`styletx demo`: every method on a real photo, in one web page."""

import base64
import html
import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from .. import __version__, images, samples
from ..devices import describe_device
from ..methods import METHODS
from ..methods.classics import reinhard
from ..methods.enlarge import enlarge
from ..methods.gatys import gatys, reconstruct_content, reconstruct_style
from ..methods.inversion import invert
from ..methods.painters import ALONE, LOSSES
from ..methods.stylize import stylize
from ..methods.textures import TEXTURES, texture
from ..segments import cluster

# (photo, painting): the first pair that is there; each has a companion that is always there.
PAIRS = (("kodak-23", "china", "starry-night", "stained-glass"), ("bridge", "rocket", "great-wave", "waves"),
         ("kodak-19", "coffee", "the-scream", "marbling"))  # fmt: skip


def examples(size: int, device: str | torch.device | None = None) -> Iterator[tuple[str, list[tuple[str, Tensor]]]]:
    """(title, [(caption, picture), ...]) for every method there is, the most beautiful first."""
    for photo, other_photo, painting, other_painting in PAIRS:
        content = samples.load_or(photo, other_photo, size=size)
        style = samples.load_or(painting, other_painting, size=size)
        result = gatys(content, style, size=size, device=device).finish()
        yield "Gatys et al.: style as correlation", [("content", content), ("style", style), ("gatys", result)]
    yield "Before networks: a mean and a spread of colours", [
        ("content", content), ("style", style), ("Reinhard et al.", reinhard(content, style, size=size)),
    ]  # fmt: skip
    skies = samples.load_or("kodak-21", "china", size=size)
    pair = [samples.load_or("starry-night", "waves", size=size), samples.load_or("the-scream", "mosaic", size=size)]
    where = cluster(skies, count=2, layer="relu3_1", device=device)[0]
    parts = gatys(skies, pair, mask=where, size=size, device=device).finish()
    kept = gatys(skies, pair[0], keep_colours="luminance", size=size, device=device).finish()
    yield "Control: a style for each region, and the photo's own colours", [
        ("content", skies), ("a style for each region", parts), ("only the brightness is painted", kept),
    ]  # fmt: skip
    yield "A network that paints at once: three paintings that were learnt", [
        ("content", skies), *((style, stylize(skies, style=style, size=size, device=device)) for style in ALONE),
    ]  # fmt: skip
    learnt = ("shipwreck", "composition-vii", "wheat-field-with-cypresses")
    yield "One network, many paintings: each is a point", [
        ("content", skies), *((style, stylize(skies, style=style, size=size, device=device)) for style in learnt),
    ]  # fmt: skip
    new = samples.load_or("night-cafe", "mosaic", size=size)
    yield "And between the points, and beyond: a mixture, and a painting that it has never seen", [
        ("wave and scream", stylize(skies, style="wave:0.5,scream:0.5", size=size, device=device)), ("style", new),
        ("by the predicted point", stylize(skies, style=new, size=size, device=device)),
    ]  # fmt: skip
    yield "A texture network: noise in, a texture of any size out", [
        (name, texture(texture=name, size=size, device=device)) for name in TEXTURES
    ]  # fmt: skip
    row = [("content", content), ("style", style)]
    row += [(f"{name}, one pass", method(content, style, size=size, device=device)) for name, method in
            (("WCT", METHODS["wct"]), ("AdaIN", METHODS["adain"]))]  # fmt: skip
    yield "One shot: whitening and colouring, without optimising", row
    evening = samples.load_or("beach-city", "rocket", size=size)
    rough = METHODS["photo"](skies, evening, size=size, smoothing="none", device=device)
    smoothed = METHODS["smooth"](rough, skies, device=device)
    yield "A photograph that stays one: PhotoWCT, and closed-form smoothing", [
        ("content", skies), ("style", evening), ("PhotoWCT", rough), ("smoothed", smoothed),
    ]  # fmt: skip
    deep = METHODS["deep-photo"](skies, evening, size=size, device=device).finish()
    yield "Deep photo style transfer: by segments, and locally affine in colour", [
        ("content", skies), ("style", evening), ("Deep Photo", deep),
    ]  # fmt: skip
    small = images.resize(skies, max(32, size // 4))
    yield "A network that enlarges four times", [
        ("bicubic", images.resize(small, (4 * small.shape[-2], 4 * small.shape[-1]))),
        *((f"trained with the {loss} loss", enlarge(small, loss=loss, device=device)) for loss in LOSSES[::-1]),
        ("the original", skies),
    ]  # fmt: skip
    row = [("style", style)]
    for count in (1, 3, 5):
        layers = [f"relu{block}_1" for block in range(1, count + 1)]
        run = reconstruct_style(style, layers, size=max(96, size // 2), device=device)
        row.append((f"up to {layers[-1]}", run.finish()))
    yield "Style reconstruction: more and more layers", row
    row = [("photo", content)]
    for layer in ("relu2_1", "relu3_1", "relu4_1", "relu5_1"):
        row.append((layer, invert(content, layer=layer, size=max(96, size // 2), device=device).finish()))
    yield "Layer inversion: what a layer remembers", row
    row = [("content", content)]
    for layer in ("relu2_1", "relu4_1", "relu5_1"):
        row.append((layer, reconstruct_content(content, layer, size=max(96, size // 2), device=device).finish()))
    yield "Content reconstruction: deeper and deeper", row


def write_demo(path: str | os.PathLike, size: int = 384, device: str | torch.device | None = None) -> Path:
    """Run every method on a real photo, and write one self-contained HTML page; gives its path."""
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{path}: a gallery is a web page; end its name with .html")
    images.check_place(path)
    start, rows = time.monotonic(), []
    for title, pictures in examples(size, device):
        print(f"{time.monotonic() - start:5.0f} s  {title}", flush=True)
        cells = "".join(_figure(caption, picture) for caption, picture in pictures)
        rows.append(f"<section><h2>{html.escape(title)}</h2><div class=row>{cells}</div></section>")
    facts = f"styletx {__version__} on {describe_device(device)}, {time.monotonic() - start:.0f} s"
    path.write_text(PAGE.format(rows="\n".join(rows), facts=html.escape(facts)), encoding="utf-8")
    return path


def _figure(caption: str, picture: Tensor) -> str:
    data = base64.b64encode(images.to_jpeg(picture)).decode()
    text = html.escape(caption)
    return f'<figure><img src="data:image/jpeg;base64,{data}" alt="{text}"><figcaption>{text}</figcaption></figure>'


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>styletx: every method on a real photo</title>
<meta name="viewport" content="width=device-width"><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2rem auto; padding: 0 1rem; color: #1d2529 }}
h1 {{ font-weight: 600 }} h2 {{ font-size: 1.05rem; font-weight: 600; margin: 2rem 0 .5rem }}
.row {{ display: flex; gap: 12px; flex-wrap: wrap }} figure {{ margin: 0; flex: 1 1 220px }}
img {{ width: 100%; border-radius: 4px; display: block }} figcaption {{ color: #55636b; font-size: .9rem }}
</style><h1>Every method, on a real photo</h1><p>{facts}</p>
{rows}
</html>
"""
