"""The book's and the notebooks' maintenance: `python book/make.py VERB`, from anywhere.

notebooks            notebooks/NN_*.py (py:percent, the source) -> .ipynb, without outputs, reproducibly, with
                     the book's directives as HTML that every notebook program shows (plain.py)
check-notebooks      exit status 1 when an .ipynb is not what its .py makes
vendor               MathJax, require.js and the widget manager into book/_vendor: the pages then work offline
build                the strict build: a warning or a failing cell is an error
address URL          set the repository's public address ("" takes it away) wherever it is shown
check-environments   pyproject.toml, environment.yml and Colab's versions agree
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import jupytext
import nbformat
import yaml

sys.path.insert(0, str(Path(__file__).parent))
import api  # noqa: E402
from plain import make_plain  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
ADDRESS = BOOK / "address.txt"  # the one place where the address stands; all the rest is derived from it
CONSTRAINTS = BOOK / "colab-constraints.txt"
COLAB_PYTHON = "3.12"
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
VENDOR = BOOK / "_vendor"
VENDORED = {  # package: the folder it goes to, and what is kept of it
    "mathjax@3": ("mathjax", ["es5/tex-chtml.js", "es5/input/tex/extensions", "es5/output/chtml/fonts"]),
    "@jupyter-widgets/html-manager@1.0.15": ("widgets", ["dist/embed-amd.js", "dist/*.woff2"]),
    "requirejs@2.3.7": ("requirejs", ["require.js"]),
}
# Without the [course] extra: Colab has its own notebook server, which must stay as it is.
COLAB_CELL = """\
# On Colab this fetches the course's package; anywhere else it does nothing.
import sys

if "google.colab" in sys.modules:
    %pip install -q "styletx-course @ git+{url}" jupyterquiz"""


def address() -> str:
    return ADDRESS.read_text().strip()


def make_notebook(source: Path, url: str = "", plain: bool = True) -> str:
    """The text of the .ipynb that a py:percent file makes: no outputs, ids from the source alone.

    `plain`: as people open it; else as the book reads it, with its directives.
    """
    notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    if url:
        first = next((i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"), 0)
        install, hidden = COLAB_CELL.format(url=url), {"tags": ["hide-input"]}
        notebook.cells.insert(first, nbformat.v4.new_code_cell(install, metadata=hidden))
    if plain:
        notebook.cells = make_plain(notebook.cells, BOOK / "references.bib")
    for position, cell in enumerate(notebook.cells):
        cell.id = hashlib.sha256(f"{position} {cell.cell_type} {cell.source}".encode()).hexdigest()[:12]
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def sources() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("[0-9][0-9]*_*.py"))


def write_notebooks() -> None:
    for source in sources():
        text = make_notebook(source, address())
        source.with_suffix(".ipynb").write_text(text, encoding="utf-8", newline="\n")


def stale_notebooks() -> list[str]:
    """One line for each .ipynb that is missing, is not what its .py makes, or has no .py."""
    wrong = []
    for source in sources():
        made = source.with_suffix(".ipynb")
        if not made.exists() or made.read_text(encoding="utf-8") != make_notebook(source, address()):
            wrong.append(f"{made.name} is not what {source.name} makes: python book/make.py notebooks")
    made = sorted((ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb"))
    return wrong + [f"{path.name} has no .py" for path in made if not path.with_suffix(".py").exists()]


def with_badge(readme: str, url: str) -> str:
    """README.md with the Colab badge between its two `address` comments, or with nothing there."""
    inside = ""
    if url:
        page = f"{url.removeprefix('https://github.com/')}/blob/main/notebooks/00_start_here.ipynb"
        badge = "![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)"
        inside = f"[{badge}](https://colab.research.google.com/github/{page})\n"
    block = f"<!-- address -->\n{inside}<!-- /address -->"
    return re.sub(r"<!-- address -->.*?<!-- /address -->", lambda _: block, readme, flags=re.S)


def set_address(url: str) -> None:
    url = url.strip().rstrip("/").removesuffix(".git")
    if url and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", url):
        sys.exit(f'address: got "{url}"; Colab opens only https://github.com/OWNER/REPOSITORY ("" for none)')
    ADDRESS.write_text(url + "\n" if url else "")
    readme = ROOT / "README.md"
    readme.write_text(with_badge(readme.read_text(encoding="utf-8"), url), encoding="utf-8", newline="\n")
    write_notebooks()


def vendor() -> bool:
    """Fetch the pages' JavaScript with npm; where that cannot be done, say why and return False."""
    done, npm = VENDOR / "versions.json", shutil.which("npm")
    if done.exists() and json.loads(done.read_text()) == list(VENDORED):
        return True
    shutil.rmtree(VENDOR, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        for package, (name, keep) in VENDORED.items():
            command = [npm or "npm", "pack", "--silent", package]
            packed = npm and subprocess.run(command, capture_output=True, text=True, cwd=folder)
            if not packed or packed.returncode:
                why = packed.stderr.strip() if packed else "there is no npm here"
                print(f"vendor: {why}\nThe pages will take their JavaScript from a CDN.", file=sys.stderr)
                return False
            unpacked = Path(folder, name)
            shutil.unpack_archive(Path(folder, packed.stdout.split()[-1]), unpacked)
            for origin in (path for item in keep for path in (unpacked / "package").glob(item)):
                target = VENDOR / name / origin.relative_to(unpacked / "package")
                target.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if origin.is_dir() else shutil.copy)(origin, target)
    done.write_text(json.dumps(list(VENDORED)))
    return True


def configuration(url: str, vendored: bool) -> dict:
    """book/_config.yml with what depends on the address and on the vendored files."""
    config = yaml.safe_load((BOOK / "_config.yml").read_text(encoding="utf-8"))
    sphinx = config["sphinx"]["config"]
    if url:
        config["repository"] = {"url": url, "branch": "main"}
        config["launch_buttons"]["colab_url"] = "https://colab.research.google.com"
        config["html"] |= {"use_repository_button": True, "use_issues_button": True}
    if vendored:
        sphinx["html_static_path"].append("book/_vendor")
        sphinx["mathjax_path"] = "mathjax/es5/tex-chtml.js"
        sphinx["html_js_files"][0][1]["data-widgets"] = "widgets/dist/"
        manager = {"data-jupyter-widgets-cdn-only": "true"}
        sphinx["nb_ipywidgets_js"] = {"requirejs/require.js": {}, "widgets/dist/embed-amd.js": manager}
    return config


def forget_stale_outputs(folder: Path) -> None:
    """Outputs are cached by the notebook's text alone: drop them when the package it imports has changed."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "styletx").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    stamp = folder / "package.sha256"
    if not stamp.exists() or stamp.read_text() != digest.hexdigest():
        shutil.rmtree(folder / ".jupyter_cache", ignore_errors=True)
        shutil.rmtree(folder / ".doctrees", ignore_errors=True)
        stamp.write_text(digest.hexdigest())


def with_note(source: Path) -> str:
    """A lecture as the book reads it: its last cell says where the names that it imports are described."""
    notebook = nbformat.reads(make_notebook(source, address(), plain=False), as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell(api.note(api.used(source)), id="in-the-package"))
    return nbformat.writes(notebook, version=4)


def stage(folder: Path) -> None:
    """The book's sources as it reads them: its own pages, and the lectures with their directives.

    What has not changed is left alone, so that a second build reads only what has.
    """
    wanted = {f"notebooks/{s.stem}.ipynb": with_note(s).encode() for s in sources()}
    lectures = {source.stem: source for source in sources()}
    wanted |= {f"book/api/{name}.md": text.encode() for name, text in api.pages(lectures).items()}
    contents = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    wanted["toc.yml"] = yaml.safe_dump(api.toc(contents), sort_keys=False).encode()
    for path in [*BOOK.glob("*.md"), *BOOK.glob("*.bib"), *BOOK.glob("_toc.yml"), *BOOK.glob("_static/**/*"),
                 *VENDOR.rglob("*")]:  # fmt: skip
        if path.is_file():
            wanted[f"book/{path.relative_to(BOOK).as_posix()}"] = path.read_bytes()
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
    for name, data in wanted.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def build(vendored: bool) -> int:
    (folder := BOOK / "_build").mkdir(exist_ok=True)
    forget_stale_outputs(folder)
    config = configuration(address(), vendored and vendor())
    (folder / "config.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    stage(folder / "source")
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", "book/_build/source"]
    command += [
        "--config",
        "book/_build/config.yml",
        "--toc",
        str(folder / "source" / "toc.yml"),
        "--path-output",
        "book",
    ]
    status = subprocess.run([*command, "-W", "-n", "--keep-going"], cwd=ROOT).returncode
    for page in (folder / "html" / "_sources" / "notebooks").glob("*.ipynb"):  # what a page's download button gives
        shutil.copy(ROOT / "notebooks" / page.name, page)
    return status


def requirements(lines) -> dict[str, tuple[str, set[str]]]:
    """{name: (text, bounds)} of requirements as pip or conda writes them, in pip's names."""
    found = {}
    for line in lines:
        name, bounds = re.fullmatch(r"([\w.-]+)\s*(.*)", line).groups()
        name = CONDA_NAMES.get(name, name)
        found[name] = (name + bounds, set(bounds.replace(" ", "").split(",")))
    return found


def solve(asked: dict, *options: str) -> dict[str, str]:
    """{name: version} that uv finds for these requirements; RuntimeError where there is no such set."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "-q", "--no-header", "--no-annotate", "-"]
    command += ["--python-version", COLAB_PYTHON, *options]
    text = "\n".join(text for text, _ in asked.values())
    solved = subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT)
    if solved.returncode:
        raise RuntimeError(solved.stderr.strip())
    return dict(line.split("==") for line in solved.stdout.split() if "==" in line)


def check_environments(offline: bool = False) -> list[str]:
    """What disagrees between pyproject.toml, environment.yml and Colab's versions, one line each."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pip = requirements(project["dependencies"] + project["optional-dependencies"]["course"])
    pip["python"] = (project["requires-python"], {project["requires-python"]})
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    listed = [line for line in conda["dependencies"] if isinstance(line, str) and line != "pip"]
    inner = next(line["pip"] for line in conda["dependencies"] if isinstance(line, dict))
    other = requirements(listed + [line for line in inner if not line.startswith("-e")])
    wrong = [f"{name}: not conda-forge" for name in set(conda["channels"]) - {"conda-forge", "nodefaults"}]
    for name in sorted(pip.keys() | other.keys()):
        here, there = pip.get(name, ("nothing", None)), other.get(name, ("nothing", None))
        if here[1] != there[1]:
            wrong.append(f"{name}: {here[0]} in pyproject.toml, {there[0]} in environment.yml")
    if offline or wrong:
        return wrong
    del pip["python"], other["python"]
    pins = dict(line.split("==") for line in CONSTRAINTS.read_text().split() if "==" in line)
    try:
        got = solve(pip, "-c", str(CONSTRAINTS))
        print(f"beside Colab's versions: {len(got)} packages; environment.yml: {len(solve(other))} packages")
    except RuntimeError as error:
        return [str(error)]
    moved = {name: pin for name, pin in pins.items() if got.get(name) != pin}
    return [f"{name}: {got.get(name)} beside Colab's {pin}" for name, pin in moved.items()]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in ("notebooks", "check-notebooks", "vendor"):
        verbs.add_parser(verb)
    verbs.add_parser("build").add_argument("--cdn", action="store_true", help="no vendored JavaScript")
    verbs.add_parser("address").add_argument("url")
    verbs.add_parser("check-environments").add_argument("--offline", action="store_true")
    given = parser.parse_args(argv)
    if given.verb == "build":
        return build(not given.cdn)
    wrong = {
        "notebooks": write_notebooks,
        "check-notebooks": stale_notebooks,
        "vendor": lambda: [] if vendor() else ["nothing vendored"],
        "address": lambda: set_address(given.url),
        "check-environments": lambda: check_environments(given.offline),
    }[given.verb]()
    print("\n".join(wrong or [f"{given.verb}: fine"]), file=sys.stderr if wrong else sys.stdout)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
