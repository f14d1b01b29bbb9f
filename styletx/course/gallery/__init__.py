"""Figures that take too long for a lecture: made by `make gallery`, kept here as files, shown by `figure`.

Each picture of a figure is a file of its own, and its title is text of the page, which telephones and screen readers
can read. What was measured when the figure was made is in numbers.json, and so are its titles.
"""

import base64
import html
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def figure(name: str, alt: str) -> Any:
    """The kept figure of that name for a notebook, with its alternative text. FileNotFoundError where there is none."""
    from IPython.display import HTML

    kept = json.loads((FOLDER / "numbers.json").read_text()).get(name, {})
    if "titles" not in kept:
        raise FileNotFoundError(f"{name}: this figure is not made yet; run: make gallery")
    columns, cells = kept["columns"], []
    for path, title in zip(files(name, len(kept["titles"])), kept["titles"], strict=True):
        data = base64.b64encode(path.read_bytes()).decode()
        cells.append(
            f'<figure style="margin:0"><img src="data:image/webp;base64,{data}" alt="{html.escape(title or alt)}" '
            f'style="width:100%;display:block;border-radius:3px"><figcaption style="font-size:0.85em;line-height:1.3;'
            f'padding-top:0.25em">{html.escape(title)}</figcaption></figure>'
        )
    # As many columns as the figure has, or fewer on a narrow page; a row of three stays one on a telephone.
    least = f"max({6 if columns == 3 else 8}rem, {100 // columns - 2}%)"
    grid = f"display:grid;gap:0.7em;align-items:start;grid-template-columns:repeat(auto-fill,minmax({least},1fr))"
    return HTML(f'<div role="group" aria-label="{html.escape(alt)}" style="{grid}">{"".join(cells)}</div>')


def files(name: str, count: int) -> list[Path]:
    """Where a figure's pictures lie, in their order."""
    return [FOLDER / f"{name}-{number}.webp" for number in range(1, count + 1)]


def numbers(name: str) -> Any:
    """What was measured when the figure of that name was made."""
    return json.loads((FOLDER / "numbers.json").read_text())[name]
