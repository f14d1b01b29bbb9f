"""Figures that take too long for a lecture: made by `make gallery`, kept here as files, shown by `figure`."""

import base64
import html
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def figure(name: str, alt: str) -> Any:
    """The kept figure of that name for a notebook, with its alternative text. FileNotFoundError where there is none."""
    from IPython.display import HTML

    path = FOLDER / f"{name}.jpg"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not made yet; run: make gallery")
    data = base64.b64encode(path.read_bytes()).decode()
    return HTML(f'<img src="data:image/jpeg;base64,{data}" alt="{html.escape(alt)}" style="max-width: 100%">')


def numbers(name: str) -> Any:
    """What was measured when the figure of that name was made."""
    return json.loads((FOLDER / "numbers.json").read_text())[name]
