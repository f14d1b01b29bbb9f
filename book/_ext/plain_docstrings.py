"""Docstrings are prose with `names` in backticks, not reStructuredText: nothing else in them is markup."""

import re


def prose(text: str) -> str:
    """Text in which no character means anything, but for *one word* that is stressed."""
    parts = re.split(r"(?<!\S)(\*\w+\*)(?![\w*])", text)
    return "".join(part if k % 2 else re.sub(r"([\\*|_`])", r"\\\1", part) for k, part in enumerate(parts))


def safe(line: str) -> str:
    """The line as reStructuredText that looks like it: names in backticks as code, all else as it stands."""
    parts = line.split("`")
    if len(parts) % 2 == 0:  # a backtick too many: all of it is prose
        return prose(line)
    made = ""
    for k, part in enumerate(parts):
        if k % 2 == 0:  # what follows code at once is kept together with it
            made += "\\ " * (k > 0 and part[:1].isalnum()) + prose(part)
        else:
            made += f"``{part}``"
    return made


ARGUMENT = re.compile(r"([a-z_]+(?:, [a-z_]+)*): ")


def paragraphs(lines):
    """The docstring's parts between empty lines."""
    part = []
    for line in [*lines, ""]:
        if line.strip():
            part.append(line)
        elif part:
            yield part
            part = []


def process(app, what, name, obj, options, lines):
    """Indented paragraphs are code; one that begins with `name: ` is a list of arguments; all else is prose."""
    made = []
    for part in paragraphs(lines):
        if all(line.startswith("    ") for line in part):
            made += ["::", "", *part, ""]
            continue
        listed = bool(ARGUMENT.match(part[0]))
        for line in part:
            begins = listed and ARGUMENT.match(line)
            made.append(("- " if begins else "  " if listed else "") + safe(line.strip()))
        made.append("")
    lines[:] = made


def setup(app):
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}
