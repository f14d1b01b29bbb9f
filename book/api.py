"""The book's pages about the package: one for each module, from its docstrings, linked with the lectures."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "styletx"
LEFT_OUT = ("recipes",)  # commands, not an interface


def modules() -> list[str]:
    """The modules that have a page: "images", "methods.gatys", ..."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if parts and parts[0] not in LEFT_OUT and not parts[-1].startswith("_"):
            found.append(".".join(parts))
    return found


def names_from() -> dict[str, str]:
    """{name: module} of what `from styletx import name` gives, read from the package without importing it."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    table = next(node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "_FROM")
    return {name: module for module, names in ast.literal_eval(table).items() for name in names}


def used(source: Path) -> list[str]:
    """The modules that a lecture imports from, in the order of their pages."""
    code = "\n".join(
        part.partition("\n")[2]
        for part in source.read_text(encoding="utf-8").split("\n# %%")
        if "[markdown]" not in part.partition("\n")[0]
    )
    code = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith(("%", "!")))
    home, found, known = names_from(), set(), modules()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "styletx":
            module = node.module.partition(".")[2]
            for alias in node.names:
                inner = f"{module}.{alias.name}".lstrip(".")
                found.add(inner if inner in known else module or home.get(alias.name, alias.name))
    return [name for name in known if name in found]


def pages(lectures: dict[str, Path]) -> dict[str, str]:
    """{name of a page: its text}: the index and a page for each module; lectures: {stem: source}."""
    uses = {stem: used(source) for stem, source in lectures.items()}
    made = {}
    for name in modules():
        full = f"styletx.{name}"
        shown = ", ".join(f"{{doc}}`../../notebooks/{stem}`" for stem, names in uses.items() if name in names)
        note = f"Used in {shown}.\n\n" if shown else ""
        # Imported names are documented where they are defined.
        options = "   :members:\n   :member-order: bysource\n   :ignore-module-all:\n"
        rst = f"```{{eval-rst}}\n.. automodule:: {full}\n{options}```"
        made[name] = f"# {name}\n\n{note}{rst}\n"
    rows = "\n".join(f"- {{doc}}`{name}`: {first_line(name)}" for name in made)
    made["index"] = f"# The package\n\nEvery name that has a docstring, from it. `from styletx import ...` gives " \
                    f"{', '.join(f'`{name}`' for name in sorted(names_from()))}.\n\n{rows}\n"  # fmt: skip
    return made


def first_line(name: str) -> str:
    """What a module says of itself, in one line."""
    path = PACKAGE / Path(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]


def note(names: list[str]) -> str:
    """The last cell of a lecture in the book: where the names that it imports are described."""
    return "**In the package.** " + ", ".join(f"{{doc}}`../book/api/{name}`" for name in names)


def toc(contents: dict) -> dict:
    """The book's table of contents with these pages at its back."""
    sections = [{"file": f"book/api/{name}"} for name in modules()]
    part = {"caption": "The package", "chapters": [{"file": "book/api/index", "sections": sections}]}
    return contents | {"parts": [*contents["parts"], part]}
