"""A strip of pictures to scrub through without a kernel: radio buttons and style rules, no script."""

import html
import uuid
from dataclasses import dataclass

from torch import Tensor

from .pictures import data_url, shape_of

BUDGET = 200_000  # characters of a whole strip: a page may hold several things
MOMENTS = (0, 0.03, 0.08, 0.17, 0.32, 0.55, 0.8, 1)  # a picture forms fast at first


@dataclass(frozen=True)
class Frame:
    """A picture on the way, and when it was there."""

    image: Tensor
    evaluations: int
    caption: str
    unit: str = "evaluation"


def strip(frames: list[Frame], alt: str) -> str:
    """The frames as HTML: the chosen one large (the last one at first), all of them small in a row below if many.

    Keyboard: Tab, then the arrow keys. It needs no kernel and no script, and stays below `BUDGET` characters.
    """
    longer, quality = 512, 84
    while True:
        made = _strip(frames, alt, longer, quality)
        if len(made) <= BUDGET or longer < 64:
            return made
        longer, quality = round(longer * 0.85), max(60, quality - 6)


def _strip(frames: list[Frame], alt: str, longer: int, quality: int) -> str:
    # JupyterLab would take the arrow keys for itself; it leaves alone what carries this attribute.
    ours = 'data-lm-suppress-shortcuts="true"'
    key, last = "s" + uuid.uuid4().hex[:8], len(frames) - 1
    radios, pictures, film, rules = [], [], [], []
    for k, frame in enumerate(frames):
        moment = "start" if frame.evaluations == 0 else "result" if k == last else str(frame.evaluations)
        when = {"start": "at the start", "result": "the result"}.get(moment, f"after {moment} {frame.unit}s")
        chosen = " checked" if k == last else ""
        radios.append(f'<input type="radio" {ours} name="{key}" id="{key}-{k}" aria-label="{when}"{chosen}>')
        source = data_url(frame.image, longer if k == last else longer // 2, quality if k == last else quality - 9)
        pictures.append(
            f'<figure class="stx-figure f{k}"><img decoding="sync" {shape_of(frames[-1].image)} src="{source}" '
            f'alt="{html.escape(f"{alt}, {when}")}"><figcaption>{html.escape(frame.caption)}</figcaption></figure>'
        )
        small = f'<img alt="" src="{data_url(frame.image, 96, 66)}">'
        film.append(f'<label for="{key}-{k}">{small}<span>{moment}</span></label>')
        mine = f"~.stx-film label:nth-child({k + 1})"
        rules.append(f"#{key}-{k}:checked~.stx-frames .f{k}{{display:block}}"
                     f"#{key}-{k}:checked{mine}{{border-color:var(--stx-style);opacity:1}}"
                     f"#{key}-{k}:focus-visible{mine}{{outline:3px solid var(--stx-content)}}")  # fmt: skip
    if len(frames) == 1:  # made in one pass: there is nothing to choose
        return f'<div class="stx-strip">{pictures[0]}</div>'
    return (f'<div class="stx-strip" role="radiogroup" aria-label="how the picture formed: choose a moment">'
            f'<style>{"".join(rules)}</style>{"".join(radios)}<div class="stx-frames">{"".join(pictures)}</div>'
            f'<div class="stx-film">{"".join(film)}</div></div>')  # fmt: skip
