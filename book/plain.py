"""A lecture as every notebook program shows it: the book's directives and roles as HTML that folds, and as links.

The lectures' sources are written in MyST, which the book understands and JupyterLab, VS Code and Colab do not. There
a solution has to be folded all the same, also where its code is a cell of its own.
"""

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from nbformat import NotebookNode
from pybtex.database import Entry, parse_file

DIRECTIVE = re.compile(
    r"""^(?P<fence>:{3,}|`{3,})\{(?P<name>[\w-]+)\}[ ]*(?P<title>.*)\n
        (?P<options>(?::[\w-]+:.*\n)*)
        (?P<body>(?:.*\n)*?)
        (?P=fence)[ ]*$""",
    re.MULTILINE | re.VERBOSE,
)
LEFT = re.compile(r"^\s*(:{3,}|`{3,}\{)", re.MULTILINE)  # of a directive: without its end, or inside another one
ROLE = re.compile(r"\{([\w:-]+)\}`([^`]+)`")


def make_plain(cells: Iterable[NotebookNode], bibliography: Path) -> list[NotebookNode]:
    """The cells with Markdown and HTML in place of MyST; between solution-start and solution-end text and code folded.

    Code that the book hides, by the tag hide-input, is folded too. (Outputs cannot be: JupyterLab unfolds them when
    it runs a cell.) Raises ValueError for a directive or a role that has no plain form, and for what stands beside a
    solution-end; KeyError for a citation that the bibliography does not have.
    """
    entries = read_entries(bibliography)
    kept, solving = [], False
    for cell in cells:
        if cell.cell_type == "code":
            if solving or "hide-input" in cell.metadata.get("tags", []):
                cell.metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}  # JupyterLab's, and Colab's
        elif cell.cell_type == "markdown":
            starts, ends = ("{solution-start}" in cell.source, "{solution-end}" in cell.source)
            text = ROLE.sub(lambda match: cite(match, entries), DIRECTIVE.sub(directive, cell.source)).strip()
            if LEFT.search(text) or (ends and (starts or text)):
                raise ValueError(f"{cell.source[:60]}: a directive that does not end, or is not alone")
            if starts:
                text = details("Solution (its code is folded in the cells below)", text)
            elif solving and text:
                text = details("Solution, continued", text)
            solving = (solving or starts) and not ends
            if not text:
                continue
            cell.source = text
        kept.append(cell)
    return kept


@functools.cache
def read_entries(bibliography: Path) -> dict[str, Entry]:
    """The bibliography's entries, read once for all lectures."""
    return parse_file(str(bibliography)).entries


def directive(match: re.Match) -> str:
    """One directive as Markdown and HTML."""
    name, title, body = match["name"], match["title"].strip(), match["body"].strip()
    forms: dict[str, Callable[[], str]] = {
        "admonition": lambda: details(title, body) if "dropdown" in match["options"] else box(title, body),
        "exercise": lambda: box(f"Exercise: {title}", body),
        "solution": lambda: details("Solution", body),
        "solution-start": lambda: body,
        "solution-end": lambda: body,
    }
    if name not in forms:
        raise ValueError(f"{name}: this directive has no plain form; there are {', '.join(forms)}")
    return forms[name]()


# Empty lines around the inner text, so that it is read as Markdown.


def details(title: str, body: str) -> str:
    return f"<details>\n<summary><b>{title}</b></summary>\n\n{body}\n\n</details>"


def box(title: str, body: str) -> str:
    return f"<blockquote>\n\n**{title}**\n\n{body}\n\n</blockquote>"


def cite(match: re.Match, entries: dict[str, Entry]) -> str:
    """A citation as author and year, with a link to the paper: in brackets, or with `cite:t` as part of the text."""
    role, keys = match[1], [key.strip() for key in match[2].split(",")]
    if role not in ("cite", "cite:p", "cite:t"):
        raise ValueError(f"{role}: this role has no plain form; there are cite, cite:p and cite:t")
    within = role == "cite:t"
    text = "; ".join(reference(entries[key], "{} ({})" if within else "{}, {}") for key in keys)
    return text if within else f"({text})"


def reference(entry: Entry, form: str) -> str:
    people = [" ".join(person.prelast_names + person.last_names) for person in entry.persons["author"]]
    names = f"{people[0]} et al." if len(people) > 2 else " and ".join(people)
    label, fields = form.format(names, entry.fields["year"]), entry.fields
    address = fields.get("url") or ("doi" in fields and f"https://doi.org/{fields['doi']}")
    if not address and "eprint" in fields:
        address = f"https://arxiv.org/abs/{fields['eprint']}"
    return f"[{label}]({address})" if address else label
