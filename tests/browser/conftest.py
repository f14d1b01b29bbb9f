"""A real browser, and the servers it looks at. Every wait is bounded.

Where there is no chromium or no playwright the tests are skipped and say why; with STYLETX_REQUIRE_BROWSER=1 (CI)
they fail instead.
"""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
START = 90  # seconds that a server or a kernel may take to be there, on a machine with other work
CELLS = {
    "panel": """
from styletx.widgets import Panel
Panel("gatys", content="china", style="stained-glass", size=96, steps=3000)
""",
    "inversion": """
from styletx.widgets import Panel
Panel("invert", image="china", layer="relu3_1", size=96, steps=3000)
""",
    "kernels": """
from styletx.widgets import Panel
Panel("gatys", content="china", style="stained-glass", loss="mmd-linear", size=96, steps=3000,
      main=("loss", "style_weight"))
""",
    "wct": """
from styletx.widgets import Panel
Panel("wct", content="china", style="stained-glass", size=96, main=("strength", "layer"))
""",
    "smooth": """
from styletx import load
from styletx.widgets import Panel
china = load("china", size=128)
Panel("smooth", stylised=(china + 0.1 * (china > 0.5)).clamp(0, 1), content=china)
""",
    "graph": """
from styletx.widgets import GraphPanel
GraphPanel("china")
""",
    "mixing": """
from styletx.widgets import MixingPanel
MixingPanel("china", size=96)
""",
    "painter": """
from styletx.widgets import MaskPainter
MaskPainter("china", ("first", "second"))
""",
}


def skip_or_fail(reason: str, variable: str = "STYLETX_REQUIRE_BROWSER") -> None:
    """Skip with a reason; fail where the environment says that it must not be skipped."""
    if os.environ.get(variable) == "1":
        pytest.fail(f"{variable}=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip_or_fail("there is no playwright here: pip install playwright")
    program = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        skip_or_fail("there is no chromium here: apt install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(START * 1000)
    yield page
    context.close()


@pytest.fixture(scope="session")
def lecture(tmp_path_factory) -> Path:
    """A folder with a notebook of one cell for each widget."""
    folder = tmp_path_factory.mktemp("lecture")
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    for name, code in CELLS.items():
        cells = [nbformat.v4.new_code_cell(code.strip())]
        book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(book, folder / f"{name}.ipynb")
    return folder


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def server(arguments: list[str], port: int, folder: Path, path: str = "/"):
    """Start `python -m ...`, wait until it answers, give its address; ended with all that it has started."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(home),
        "JUPYTER_RUNTIME_DIR": str(home),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    with open(folder / f"{arguments[0]}.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait_for(process, port, path, folder / f"{arguments[0]}.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(4)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _wait_for(process: subprocess.Popen, port: int, path: str, log: Path) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", path)
            if connection.getresponse().status < 500:
                return
        time.sleep(0.3)
    pytest.fail(f"the server did not answer within {START} s:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def jupyterlab(browser, lecture):
    """The address of the lecture in JupyterLab."""
    port = free_port()
    flags = [
        "--no-browser",
        "--allow-root",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={lecture}",
        "--IdentityProvider.token=",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with server(["jupyterlab", *flags], port, lecture, "/api") as address:
        yield f"{address}/lab/workspaces/panel/tree/panel.ipynb"


@pytest.fixture(scope="session")
def voila(browser, lecture):
    """The address of the lecture in Voilà."""
    port = free_port()
    flags = ["--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1", "panel.ipynb"]
    with server(["voila", *flags], port, lecture, "/voila/static/") as address:
        yield address
