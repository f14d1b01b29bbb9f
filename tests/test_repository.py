"""The repository itself: floors, a light import, no trace of one machine, notebooks, environments."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "styletx"

# From the ground up: a module imports from its own floor and from those below, never from above.
FLOORS = [
    ["checks", "devices", "images"],
    ["samples"],
    ["encoders", "statistics", "whitening"],
    ["graph", "memory"],
    ["losses", "networks", "segments"],
    ["objective"],
    ["run", "synthesis", "training"],
    ["methods"],
    ["evaluation"],
    ["course", "folder", "recipes", "widgets"],
    ["cli"],
    ["__init__"],  # the names a lecture imports: above all
]
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.fixture(scope="module")
def make():
    """book/make.py as a module."""
    pytest.importorskip("jupytext")
    pytest.importorskip("pybtex")
    spec = importlib.util.spec_from_file_location("make", ROOT / "book" / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def imports(path: Path, root: Path = ROOT) -> set[str]:
    """Which parts of styletx (its modules, its packages, or "__init__") a file imports, also lazily."""
    here = list(path.relative_to(root).with_suffix("").parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: -node.level] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            names = [base + [alias.name] for alias in node.names]
        for name in names:
            if name[0] == "styletx" and name[1:] != ["__version__"]:
                part = name[1] if len(name) > 1 else "__init__"
                inside = root / "styletx" / part
                found.add(part if inside.is_dir() or inside.with_suffix(".py").exists() else "__init__")
    return found


def part_of(path: Path, root: Path = ROOT) -> str:
    return path.relative_to(root / "styletx").with_suffix("").parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_floors(path):
    part = part_of(path)
    assert part in FLOOR, f"{part} stands on no floor: give it one in {Path(__file__).name}"
    above = {name for name in imports(path) if FLOOR.get(name, -1) > FLOOR[part]}
    assert not above, f"{part} (floor {FLOOR[part]}) imports from above: {sorted(above)}"


def test_floors_see_every_way_to_import(tmp_path):
    """The reader of imports against a file whose imports are known."""
    inner = tmp_path / "styletx" / "losses"
    inner.mkdir(parents=True)
    for name in ("images", "gatys", "encoders"):
        (tmp_path / "styletx" / f"{name}.py").write_text("")
    path = inner / "gram.py"
    path.write_text(
        "import torch, styletx.images\nfrom ..encoders import Encoder\nfrom .. import __version__, gatys\n"
        "from . import pixels\ndef lazily():\n    from styletx import Run\n"
    )
    assert imports(path, tmp_path) == {"images", "encoders", "gatys", "losses", "__init__"}
    assert part_of(path, tmp_path) == "losses"


def tracked() -> dict[str, str]:
    """{path: text} of the text files that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: nothing tells which files belong to it")
    texts = {}
    for name in listed.splitlines():
        try:
            texts[name] = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
    return texts


def test_no_absolute_path_of_a_machine():
    folders = ["opt", "work", "root", "home", "Users", "mnt"]
    pattern = re.compile(r"(?:file://|(?<![\w.~}$>/-]))/(" + "|".join(folders) + r")\b(?!\.)")
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in tracked().items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line) and name != Path(__file__).relative_to(ROOT).as_posix()
    ]
    assert not found, "\n".join(found)


def test_no_mirror_of_a_machine():
    """What pip and npm are told on this machine is nobody else's business."""
    public = {"pypi.org", "files.pythonhosted.org", "download.pytorch.org", "registry.npmjs.org"}
    told = ""
    for command in ([sys.executable, "-m", "pip", "config", "list"], ["npm", "config", "get", "registry"]):
        try:
            told += subprocess.run(command, capture_output=True, text=True).stdout
        except OSError:
            continue
    hosts = set(re.findall(r"https?://(?:[^@/\s'\"]*@)?([\w.-]+)", told)) - public
    found = [f"{host} in {name}" for name, text in tracked().items() for host in hosts if host in text]
    assert not found


def test_notebooks_are_what_their_sources_make(make):
    assert make.stale_notebooks() == []


def test_notebooks_are_reproducible(make, tmp_path):
    """Made twice the same, without outputs, and with the install cell only where there is an address."""
    source = tmp_path / "00_trial.py"
    source.write_text("# %% [markdown]\n# # Trial\n\n# %%\n1 + 1\n\n# %%\n1 + 1\n")
    first, second = (make.json.loads(make.make_notebook(source)) for _ in range(2))
    assert first == second
    assert [cell["cell_type"] for cell in first["cells"]] == ["markdown", "code", "code"]
    assert len({cell["id"] for cell in first["cells"]}) == 3  # equal cells at two places have two ids
    assert all(cell.get("outputs", []) == [] for cell in first["cells"])
    told = make.json.loads(make.make_notebook(source, "https://github.com/a/b"))["cells"]
    assert "git+https://github.com/a/b" in "".join(told[1]["source"])
    rest = [cell["source"] for cell in told[:1] + told[2:]]
    assert rest == [cell["source"] for cell in first["cells"]]


MYST = """\
# %% [markdown]
# # Trial {cite:p}`gatys2016image`
#
# As {cite:t}`heeger1995pyramid` say {cite}`burt1983laplacian,gatys2016image`.
#
# :::{admonition} Check the slide
# :class: warning
# One **word**.
# :::
#
# ```{exercise} A name
# :label: trial-a
# Do $x$.
# ```
#
# ```{solution} trial-a
# :class: dropdown
# Done.
#
# In two parts.
# ```

# %% tags=["hide-input"]
drawn = 1

# %% [markdown]
# :::{solution-start} trial-b
# :class: dropdown
# :::
#
# Because.

# %%
solved = 1

# %% [markdown]
# And so on.

# %% tags=["hide-output"]
solved += 1

# %% [markdown]
# :::{solution-end}
# :::

# %%
free = 1
"""


def test_a_notebook_as_people_open_it(make, tmp_path):
    """By hand: no directive is left, solutions are folded with their code, citations are links to the papers."""
    source = tmp_path / "00_trial.py"
    source.write_text(MYST)
    cells = make.json.loads(make.make_notebook(source))["cells"]
    first = "".join(cells[0]["source"])
    gatys = "[Gatys et al., 2016](https://doi.org/10.1109/CVPR.2016.265)"
    assert f"# Trial ({gatys})" in first
    assert "As [Heeger and Bergen (1995)](https://doi.org/10.1145/218380.218446) say" in first
    assert f"say ([Burt and Adelson, 1983](https://doi.org/10.1109/TCOM.1983.1095851); {gatys})." in first
    assert "<blockquote>\n\n**Check the slide**\n\nOne **word**.\n\n</blockquote>" in first
    assert "<blockquote>\n\n**Exercise: A name**\n\nDo $x$.\n\n</blockquote>" in first
    solution = "<summary><b>Solution</b></summary>\n\nDone.\n\nIn two parts.\n\n</details>"
    assert f"<details>\n{solution}" in first
    assert "{" not in first and ":::" not in first and "```" not in first
    folded = [(cell["metadata"].get("jupyter", {}), "".join(cell["source"])) for cell in cells[1:]]
    hidden = {"source_hidden": True}
    assert folded[0] == (hidden, "drawn = 1")
    assert folded[1][1].startswith("<details>") and "Because." in folded[1][1] and ":::" not in folded[1][1]
    assert folded[2] == (hidden, "solved = 1") and "And so on." in folded[3][1] and "<details>" in folded[3][1]
    assert folded[4] == (hidden, "solved += 1") and folded[5] == ({}, "free = 1") and len(folded) == 6
    assert cells[3]["metadata"]["cellView"] == "form" and "cellView" not in cells[6]["metadata"]
    told = make.json.loads(make.make_notebook(source, plain=False))["cells"]  # the book reads what stands there
    text = "\n\n".join("".join(cell["source"]) for cell in told if cell["cell_type"] == "markdown")
    lines = [line[2:] for line in MYST.splitlines() if line.startswith("# ") and "%%" not in line]
    assert [line for line in text.splitlines() if line] == lines


@pytest.mark.parametrize(
    ("line", "error", "word"),
    [(":::{margin} a\n# :::", ValueError, "margin"), ("{doc}`a`", ValueError, "doc"),
     ("{cite}`nobody1999`", KeyError, "nobody1999"), (":::{admonition} a", ValueError, "does not end"),
     ("::::{admonition} a\n# :::{admonition} b\n# :::\n# ::::", ValueError, "not alone"),
     (":::{solution-end}\n# :::\n# And more.", ValueError, "not alone")],
)  # fmt: skip
def test_what_has_no_plain_form_is_refused(make, tmp_path, line, error, word):
    source = tmp_path / "00_trial.py"
    source.write_text(f"# %% [markdown]\n# {line}\n")
    with pytest.raises(error, match=word):
        make.make_notebook(source)


def lecture_cells(source: str) -> list[tuple[bool, bool, str]]:
    """(is it code, does it belong to a solution, its text) of each cell of a py:percent file."""
    found, solving = [], False
    for cell in re.split(r"^# %%", source, flags=re.M)[1:]:
        kind, _, text = cell.partition("\n")
        solving = (solving or "{solution-start}" in text) and "{solution-end}" not in text
        found.append(("[markdown]" not in kind, solving, text.strip()))
    return found


LECTURES = sorted((ROOT / "notebooks").glob("[0-9]*.py"))


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_no_lecture_shows_a_directive_or_an_open_solution(path):
    source = path.read_text(encoding="utf-8")
    cells = json.loads(path.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert not re.search(r":::|^`{3,}\{|\{[\w:]+\}`", text, re.M)
    assert text.count("<details>") == text.count("</details>") > 0
    answers = re.findall(r":::\{admonition\} Solution\n# :class: dropdown", source)
    assert text.count("<summary><b>Solution</b>") == source.count("# ```{solution}") + len(answers)
    assert text.count("<summary><b>Solution (its code") == source.count("{solution-start}")
    hidden = {"".join(c["source"]): c["metadata"].get("jupyter", {}).get("source_hidden", False) for c in cells}
    assert all(hidden[code] for is_code, solving, code in lecture_cells(source) if is_code and solving)


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_a_lecture_is_the_same_with_and_without_its_solutions(path):
    """What a solution makes, later cells do not read, unless they make it anew."""
    made: set[str] = set()
    for is_code, solving, code in lecture_cells(path.read_text(encoding="utf-8")):
        if not is_code:
            continue
        names = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]
        stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        if solving:
            made |= stored
        else:
            taken = {node.id for node in names if isinstance(node.ctx, ast.Load)} & made - stored
            assert not taken, f"{sorted(taken)} in {code[:80]!r}"
            made -= stored


def test_the_book_is_built_from_its_own_copy(make, tmp_path, monkeypatch):
    """Made twice, nothing is written again; what is gone from the sources goes from the copy."""
    make.stage(tmp_path)
    lecture = tmp_path / "notebooks" / "03_gatys.ipynb"
    assert "{solution-start}" in lecture.read_text(encoding="utf-8")
    assert (tmp_path / "book" / "intro.md").read_bytes() == (ROOT / "book" / "intro.md").read_bytes()
    (tmp_path / "notebooks" / "99_gone.ipynb").write_text("{}")
    before = lecture.stat().st_mtime_ns
    make.stage(tmp_path)
    assert lecture.stat().st_mtime_ns == before and not (tmp_path / "notebooks" / "99_gone.ipynb").exists()


def test_address_stands_in_one_place(make, tmp_path, monkeypatch):
    """Set in a copy, it is in the badge, the settings and each notebook's first cell of code; taken away, nowhere."""
    url = "https://github.com/someone/course"
    for name in ("README.md", "book/address.txt", "book/_config.yml", *(f"notebooks/{p.name}" for p in LECTURES[:2])):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(make, "ROOT", tmp_path)
    monkeypatch.setattr(make, "ADDRESS", tmp_path / "book" / "address.txt")
    make.set_address(f"{url}.git/")
    assert make.address() == url
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "/github/someone/course/blob/main/notebooks/00_start_here.ipynb" in readme
    assert make.configuration(url, vendored=False)["repository"]["url"] == url
    for path in LECTURES[:2]:
        cells = json.loads((tmp_path / "notebooks" / f"{path.stem}.ipynb").read_text(encoding="utf-8"))["cells"]
        first = next(cell for cell in cells if cell["cell_type"] == "code")
        assert f"git+{url}" in "".join(first["source"])
    make.set_address("")
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == make.with_badge(readme, "")
    assert "repository" not in make.configuration("", vendored=False)
    for path in LECTURES[:2]:
        assert url not in (tmp_path / "notebooks" / f"{path.stem}.ipynb").read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match="only https://github.com"):
        make.set_address("https://gitlab.com/a/b")


def test_the_address_of_this_clone_is_where_it_belongs(make):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert make.with_badge(readme, make.address()) == readme


def test_docstrings_become_pages():
    """By hand: code stays code, arguments become a list, and no character of the prose means anything."""
    spec = importlib.util.spec_from_file_location("plain_docstrings", ROOT / "book" / "_ext" / "plain_docstrings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lines = ["A *word*, |a|·b_ and 2*x.", "More of `name`s and `b` as `c`.", "", "    x = 1", "",
             "image: (1, 3, H, W),", "    or two.", "size: a side. `odd"]  # fmt: skip
    module.process(None, "function", "f", None, None, lines)
    assert lines == [
        "A *word*, \\|a\\|·b\\_ and 2\\*x.", "More of ``name``\\ s and ``b`` as ``c``.", "", "::", "", "    x = 1", "",
        "- image: (1, 3, H, W),", "  or two.", "- size: a side. \\`odd", "",
    ]  # fmt: skip


def test_every_module_has_a_page_and_knows_its_lectures(make):
    api = make.api
    assert {"images", "methods.gatys", "graph.matting", "widgets"} <= set(api.modules())
    assert not [name for name in api.modules() if name.startswith("recipes")]
    made = api.pages({path.stem: path for path in LECTURES})
    assert set(made) == {*api.modules(), "index"}
    assert "automodule:: styletx.methods.gatys" in made["methods.gatys"] and "03_gatys" in made["methods.gatys"]
    listed = api.toc({"root": "a", "parts": []})["parts"][0]["chapters"][0]["sections"]
    assert [entry["file"] for entry in listed] == [f"book/api/{name}" for name in api.modules()]


def test_a_lectures_modules_by_hand(make, tmp_path):
    source = tmp_path / "00_trial.py"
    source.write_text(
        "# %% [markdown]\n# from styletx import wct\n\n# %%\n%matplotlib inline\n"
        "from styletx import gatys, samples\nfrom styletx.graph import matting\nfrom styletx.losses import gram_loss\n"
    )
    assert make.api.used(source) == ["graph.matting", "losses", "methods.gatys", "samples"]


def test_files_that_contributors_are_sent_to_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| `(.+?)` \|$", text, re.M)
    assert len(rows) >= 24 and len({change for change, _ in rows}) == len(rows)
    for _, path in rows:
        assert (ROOT / path).exists(), path
    tree = re.search(r"```\nstyletx/\n(.*?)```", text, re.S).group(1)
    for folder in re.findall(r"(\w+)/", tree):
        assert (PACKAGE / folder).is_dir() or (ROOT / folder).is_dir(), folder


def test_every_chapter_exists(make):
    toc = make.yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    missing = [name for name in [toc["root"], *chapters] if not list(ROOT.glob(f"{name}.[mi][dp]*"))]
    assert not missing


def test_environments_agree(make):
    assert make.check_environments(offline=True) == []


def test_environments_that_differ_are_told_apart(make, tmp_path, monkeypatch):
    """One bound changed, one name gone, one channel too many: each is named."""
    for name in ("pyproject.toml", "environment.yml"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"))
    text = (tmp_path / "environment.yml").read_text()
    for old, new in [("  - tqdm>=4.66\n", ""), ("pillow>=10", "pillow>=99"), ("nodefaults", "pytorch")]:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "environment.yml").write_text(text)
    monkeypatch.setattr(make, "ROOT", tmp_path)
    wrong = make.check_environments(offline=True)
    assert [line.split(":")[0] for line in wrong] == ["pytorch", "pillow", "tqdm"]


def test_requirements_are_lower_bounds_only():
    """Nothing that the package needs is pinned: it must fit into environments that are there, as Colab's."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    upper = [line for line in project["dependencies"] if re.search(r"[<=~]=|<", line.replace(">=", ""))]
    assert not upper
