"""The package as others get it: built, installed without its clone, as the Colab cell does; what importing costs."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import styletx
from styletx.course import lectures

ROOT = Path(__file__).resolve().parent.parent


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment with a wheel of this checkout, without the clone beside it, that borrows what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=os.name != "nt")
    python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(*pip, "--python", python, "install", "--no-deps", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return python, site, wheel


@pytest.mark.slow
def test_a_wheel_brings_everything(installed, tmp_path):
    """Weights, figures, samples' list, style sheets and lectures; and nothing of the tests."""
    python, site, wheel = installed
    names = zipfile.ZipFile(wheel).namelist()
    for path in [*ROOT.glob("styletx/**/*"), *ROOT.glob("notebooks/*.ipynb")]:
        if path.is_file() and path.suffix not in (".pyc", ".md"):
            assert any(name.endswith(path.relative_to(ROOT).as_posix()) for name in names), path
    assert not [name for name in names if name.startswith(("tests/", "book/"))]
    code = (
        "import styletx; from styletx.course.lectures import folder; "
        "r = styletx.gatys('china', 'waves', size=64, steps=2, device='cpu').finish(progress=False); "
        "print(styletx.__file__, styletx.__version__, len(list(folder().glob('*.ipynb'))), tuple(r.shape))"
    )
    said = run(python, "-c", code, cwd=tmp_path)
    count = len(list((ROOT / "notebooks").glob("*.ipynb")))
    assert said == f"{site / 'styletx' / '__init__.py'} {styletx.__version__} {count} (1, 3, 43, 64)"
    assert len(list((tmp_path / lectures.COPY).glob("*.ipynb"))) == count


@pytest.mark.slow
def test_the_colab_cell_asks_for_the_name_that_the_wheel_has(installed):
    """pip refuses an address whose package has another name; another project has the name styletx on the index."""
    cell = re.search(r'COLAB_CELL = """\\\n(.*?)"""', (ROOT / "book" / "make.py").read_text(encoding="utf-8"), re.S)
    asked = re.search(r'"([\w-]+) @ git\+', cell.group(1)).group(1)
    metadata = zipfile.ZipFile(installed[-1])
    (name,) = [n for n in metadata.namelist() if n.endswith("dist-info/METADATA")]
    assert f"Name: {asked}\n" in metadata.read(name).decode()


def test_nobody_is_told_to_install_another_project():
    told = re.compile(r"pip install[^\n]*[\s\"']styletx(?!-course)\b|styletx @ git|styletx\[")
    patterns = ("*.md", "*.toml", "*.yml", "book/*.*", "notebooks/*.py", "styletx/**/*.py")
    for path in [path for pattern in patterns for path in ROOT.glob(pattern)]:
        assert not told.search(path.read_text(encoding="utf-8")), path


def test_lectures_are_copied_once_and_never_overwritten(tmp_path, monkeypatch):
    brought = tmp_path / "share" / "00_start_here.ipynb"
    brought.parent.mkdir()
    brought.write_text("theirs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lectures, "installed", lambda: [brought])
    monkeypatch.setattr(lectures, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    copy = lectures.folder()
    (copy / brought.name).write_text("mine")
    assert lectures.folder() == copy and (copy / brought.name).read_text() == "mine"
    monkeypatch.setattr(lectures, "installed", lambda: [])
    with pytest.raises(FileNotFoundError, match="lectures are not there"):
        lectures.folder()


def test_importing_loads_nothing():
    """Not even torch; and all names together none of the slow parts of scipy, nor what draws."""
    heavy = ["scipy.sparse", "scipy.ndimage", "scipy.optimize", "matplotlib", "skimage", "sklearn", "IPython",
             "ipywidgets", "torchvision"]  # fmt: skip
    code = (
        "import sys, styletx; print('torch' in sys.modules or 'numpy' in sys.modules)\n"
        f"from styletx import *; print([name for name in {heavy} if name in sys.modules])"
    )
    assert run(sys.executable, "-c", code, cwd=ROOT).splitlines() == ["False", "[]"]


def test_lazy_names_are_those_that_type_checkers_see():
    """The two lists of names in styletx/__init__.py say the same, and every name is there."""
    tree = ast.parse(Path(styletx.__file__).read_text(encoding="utf-8"))
    (block,) = [n for n in tree.body if isinstance(n, ast.If)]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == styletx._HOME | {"samples": None}
    for name in styletx.__all__:
        assert getattr(styletx, name) is not None and name in dir(styletx)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        styletx.nothing  # noqa: B018
