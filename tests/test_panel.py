"""styletx/widgets: the panel in a real kernel, spoken to as a browser does, with today's widgets and with Colab's."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

widgets = pytest.importorskip("ipywidgets")
manager = pytest.importorskip("jupyter_client.manager")

import torch  # noqa: E402

from styletx import samples  # noqa: E402
from styletx.images import read_record, to_png  # noqa: E402
from styletx.methods.gatys import gatys  # noqa: E402
from styletx.methods.options import Choice, Number, options  # noqa: E402
from styletx.widgets import Panel  # noqa: E402
from styletx.widgets.charts import loss_curve, share_bar  # noqa: E402
from styletx.widgets.controls import plain  # noqa: E402
from styletx.widgets.pictures import uploaded  # noqa: E402
from styletx.widgets.strip import BUDGET, Frame, strip  # noqa: E402

ROOT = Path(__file__).parents[1]
COLAB = ["ipywidgets==7.7.1", "ipykernel==6.17.1", "ipython_genutils", "nest_asyncio"]  # the rest is shared
WAIT = 90  # seconds that a kernel may take for anything, on a machine with other work
SMALL = 'content="china", style="stained-glass", size=64'


def skip_or_fail(reason: str) -> None:
    if os.environ.get("STYLETX_REQUIRE_BROWSER") == "1":
        pytest.fail(f"STYLETX_REQUIRE_BROWSER=1, but {reason}")
    pytest.skip(reason)


def colab_packages() -> Path:
    """A folder with Colab's ipywidgets and ipykernel, made once: in front of this environment's packages it hides
    today's, and everything else (torch above all) is shared."""
    folder = samples.cache_folder() / f"widgets7-py{sys.version_info.major}{sys.version_info.minor}"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *COLAB]
        try:
            subprocess.run(pip, check=True, capture_output=True, text=True, timeout=180)
        except (subprocess.SubprocessError, OSError) as error:
            why = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1:]
            skip_or_fail(f"{', '.join(COLAB[:2])} cannot be installed: {' '.join(why)}")
        (folder / "made").touch()
    return folder


class Kernel:
    """A kernel with the panel in it: `ask` evaluates there, `send` does what a browser does."""

    def __init__(self, path: list[Path], folder: Path):
        self.manager = manager.KernelManager()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path)), "OMP_NUM_THREADS": "1"}
        self.manager.start_kernel(env=environment, cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=WAIT)
        self.do("import styletx.widgets, ipywidgets, time; from styletx.widgets import Panel")

    def do(self, code: str, value: str = "None"):
        """Run code, then give the value of an expression."""
        wanted = {"value": f"__import__('json').dumps({value})"}
        reply = self.client.execute(code, user_expressions=wanted, reply=True, timeout=WAIT)["content"]
        assert reply["status"] == "ok", "\n".join(reply.get("traceback", []))
        found = reply["user_expressions"]["value"]
        assert found["status"] == "ok", found
        return json.loads(eval(found["data"]["text/plain"]))

    def ask(self, value: str):
        return self.do("", value)

    def send(self, widget: str, **state) -> None:
        """A widget's new state, as the browser sends it."""
        self._message(widget, {"method": "update", "state": state, "buffer_paths": []})

    def click(self, widget: str) -> None:
        self._message(widget, {"method": "custom", "content": {"event": "click"}})

    def _message(self, widget: str, data: dict, buffers: list | None = None) -> None:
        content = {"comm_id": self.ask(f"{widget}.model_id"), "data": data}
        message = self.client.session.msg("comm_msg", content)
        self.client.session.send(self.client.shell_channel.socket, message, buffers=buffers)

    def until(self, condition: str, seconds: float = WAIT):
        """Poll the effect: ipykernel 7 does not promise to handle a message before the next cell."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.ask(condition):
                return found
            time.sleep(0.1)
        pytest.fail(f"{condition} was not true within {seconds} s; the panel says {self.ask('panel.status.value')}")


@pytest.fixture(scope="module", params=["today", "colab"])
def kernel(request, tmp_path_factory):
    path = [ROOT] if request.param == "today" else [colab_packages(), ROOT]
    kernel = Kernel(path, tmp_path_factory.mktemp("work"))
    try:
        if request.param == "colab":
            assert kernel.ask("ipywidgets.__version__") == "7.7.1"
        yield kernel
    finally:
        kernel.client.stop_channels()
        kernel.manager.shutdown_kernel(now=True)


@pytest.mark.slow
def test_run_changes_the_picture_stop_stops_within_a_step_and_it_runs_again(kernel):
    kernel.do(f'panel = Panel("gatys", {SMALL}, steps=4000)')
    for _ in range(2):
        kernel.do("idle = panel.picture.value")
        kernel.click("panel.run_button")
        kernel.until("panel.running and panel.step is not None and panel.step.number > 2")
        kernel.until("panel.picture.value != idle")
        kernel.click("panel.run_button")  # a second click starts nothing
        number = kernel.ask("panel.step.number")  # the kernel answers while it runs
        kernel.do("run = panel._job.run; panel.stop(); spent = run.evaluations; done = panel.wait(60)")
        assert kernel.ask("done and run.evaluations - spent") <= 1  # the one that was being made
        assert kernel.ask("panel.step.number") >= number
        assert not kernel.ask("panel.running")
        assert kernel.ask("panel.step.evaluations") < 4000
        assert "stx-strip" in kernel.ask("panel.picture.value")
        assert kernel.ask("list(panel.image.shape)") == [1, 3, 43, 64]


@pytest.mark.slow
def test_stop_is_a_message_too(kernel):
    kernel.do(f'panel = Panel("gatys", {SMALL}, steps=4000)')
    kernel.click("panel.run_button")
    kernel.until("panel.step is not None")
    kernel.click("panel.stop_button")
    kernel.until("panel.wait(0)")
    assert kernel.ask("panel.error is None and panel.save_button.disabled is False")


@pytest.mark.slow
def test_a_moved_slider_is_what_is_run_and_what_is_saved(kernel):
    kernel.do(f'panel = Panel("gatys", {SMALL}, steps=3)')
    kernel.send("panel.controls['steps']", value=5)
    kernel.until("panel.controls['steps'].value == 5")
    kernel.click("panel.run_button")
    kernel.until("panel.image is not None")
    assert kernel.ask("panel.step.total") == 5
    kernel.click("panel.save_button")
    kernel.until("'Saved' in panel._message.value")
    name = "china-stained-glass-gatys-64px.png"
    record = kernel.do("from styletx.images import read_record", f"read_record({name!r})")
    assert record["method"] == "gatys" and record["arguments"]["steps"] == 5
    assert record["inputs"]["content"]["source"] == "china"


def test_an_error_is_shown_in_plain_words_and_escaped(kernel):
    kernel.do(f'panel = Panel("gatys", {SMALL}, steps=3)')
    kernel.send("panel.pickers['content'].path", value="no <b>such</b> file.jpg")
    kernel.until("'stx-error' in panel._message.value")
    kernel.click("panel.run_button")
    kernel.until("panel.error is not None and not panel.running")
    shown = kernel.until("'stx-error' in panel._message.value and panel._message.value")
    assert "no &lt;b&gt;such&lt;/b&gt; file.jpg" in shown and "<b>such" not in shown and "Traceback" not in shown
    assert kernel.ask("panel.image is None and not panel.run_button.disabled")


def test_a_fault_of_a_method_is_shown_not_lost_in_the_thread(kernel):
    kernel.do("""
from typing import Annotated
from styletx.methods.options import Number
def broken(*, size: Annotated[int, Number(1, 9)] = 3):
    raise KeyError("<i>lost</i>")
panel = Panel(broken)
""")
    kernel.click("panel.run_button")
    shown = kernel.until("panel._message.value")
    assert "KeyError: " in shown and "&lt;i&gt;lost" in shown


def test_a_direct_method_gives_its_picture(kernel):
    kernel.do("""
from typing import Annotated
from styletx import samples
from styletx.methods.options import Number, Picture
def darker(content: Annotated[str, Picture("what to darken")], *, factor: Annotated[float, Number(0, 1, 0.1)] = 0.5):
    return samples.picture(content, 64) * factor
panel = Panel(darker, content="china")
""")
    kernel.click("panel.run_button")
    kernel.until("panel.image is not None")
    kernel.do("source = samples.picture('china', 64)")
    assert kernel.ask("bool((panel.image == source * 0.5).all())")


def test_an_upload_arrives_in_either_format(kernel):
    kernel.do(f'panel = Panel("gatys", {SMALL}, steps=3)')
    picture = torch.zeros(1, 3, 48, 72)
    picture[:, 0] = 1
    data, upload = to_png(picture), "panel.pickers['style'].upload"
    about = {"name": "red.png", "type": "image/png", "size": len(data)}
    about |= {"last_modified": 0} if kernel.ask("ipywidgets.__version__ >= '8'") else {"lastModified": 0}
    if kernel.ask("ipywidgets.__version__ >= '8'"):
        state, place = {"value": [about]}, ["value", 0, "content"]
    else:
        state, place = {"metadata": [about], "data": [None], "_counter": 1}, ["data", 0]
    kernel._message(upload, {"method": "update", "state": state, "buffer_paths": [place]}, [data])
    kernel.until("panel.pickers['style'].name == 'red'")
    assert kernel.ask("type(panel.pickers['style'].source).__name__") == "bytes"
    assert kernel.ask("panel.pickers['style'].image.mean((0, 2, 3)).tolist()") == [1, 0, 0]
    kernel.click("panel.run_button")
    kernel.until("panel.image is not None")


@pytest.mark.slow
def test_a_heartbeat_advances_the_run(kernel):
    kernel.do("import styletx.widgets.panel as module; module.TICK = 0.01")  # a beat is a step or two, on any machine
    kernel.do(f'panel = Panel("gatys", {SMALL}, steps=12, drive="heartbeat")')
    beat = 0
    while beat == 0 or kernel.ask("panel.running"):
        beat += 1
        assert beat < 200
        kernel.send("panel.play", value=beat)
        kernel.until(f"panel.play.value == {beat}")
    assert kernel.ask("panel.step.evaluations") == 12
    kernel.do("job = panel._job")
    assert kernel.ask("panel.play.max == panel.play.value")  # where Play stops by itself
    kernel.send("panel.play", value=beat)  # a late beat starts nothing
    assert kernel.ask("panel._job is job and not panel.running")
    kernel.send("panel.play", value=0)  # pressed again: Play rewinds ...
    kernel.send("panel.play", value=1)  # ... and beats
    kernel.until("panel.running and panel.play.value == 1 and panel.play.max > 1000")
    kernel.send("panel.play", value=0)  # its own stop button
    kernel.until("not panel.running and panel.image is not None")
    kernel.send("panel.play", value=1)
    kernel.until("panel.running and panel.play.value == 1")
    kernel.do("job = panel._job")
    kernel.click("panel.stop_button")  # ours; Play's beats go on
    kernel.until("not panel.running")
    kernel.send("panel.play", value=2)
    kernel.until("panel.play.value in (1, 2)")
    assert kernel.ask("panel._job is job and not panel.running and panel.image is not None")


@pytest.mark.slow
def test_a_click_computes_for_a_slice_of_seconds(kernel):
    kernel.do("import styletx.widgets.panel as module; module.SLICE = 0.5")
    kernel.do(f'panel = Panel("gatys", {SMALL}, steps=4000, drive="slice")')
    reached = 0
    for _ in range(2):
        kernel.click("panel.run_button")
        reached = kernel.until(f"panel.step is not None and panel.step.number > {reached} and panel.step.number")
        assert kernel.ask("panel.running and not panel.run_button.disabled")
    kernel.click("panel.stop_button")
    kernel.until("not panel.running and panel.image is not None")


# What needs no kernel.


@pytest.fixture(scope="module")
def ran():
    return Panel("gatys", content="china", style="stained-glass", size=64, steps=20, shares=True).run()


def test_the_controls_are_the_signature():
    panel = Panel("gatys")
    bare = {"mix", "mask", "style_mask"}  # several numbers, and pictures that may be left out: given by keyword
    for option in options(gatys):
        if option.name in panel.pickers or option.name in bare:
            continue
        control = panel.controls[option.name]
        assert plain(control, option) == option.default
        if isinstance(option.allowed, Choice):
            assert len(control.options) == len(option.allowed.values)
        assert (getattr(control, "tooltip", None) or control.description_tooltip) == option.allowed.help
    assert set(panel.pickers) | set(panel.controls) == {option.name for option in options(gatys)} - bare


def test_a_logarithmic_weight_can_be_switched_off():
    panel = Panel("gatys", tv_weight=0.03)
    values = [value for _, value in panel.controls["tv_weight"].options]
    assert values[0] == 0 and 0.03 in values and values[-1] == 1e4 and values == sorted(values)


def test_every_slider_stays_within_the_signature():
    panel = Panel("gatys", steps=4999, size=4096)
    for option in options(gatys):
        control = panel.controls.get(option.name)
        if isinstance(option.allowed, Number) and hasattr(control, "max"):
            assert option.allowed.low <= control.min <= control.max <= option.allowed.high
    assert panel.controls["steps"].value == 4999 and panel.controls["size"].value == 4096


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"stile": "waves"}, 'no "stile"; the nearest are style'),
        ({"size": 7}, "size: 7 is outside"),
        ({"start": "nowhere"}, "start: 'nowhere' is not one of"),
        ({"main": ("sise",)}, 'main: gatys has no "sise"'),
        ({"drive": "magic"}, "thread, heartbeat, slice"),
        ({"device": "abacus"}, "device"),
    ],
)
def test_what_is_none_is_named(given, words):
    with pytest.raises(ValueError, match=words):
        Panel("gatys", **given)


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match="gatys"):
        Panel("gattys")


def test_run_leaves_a_page_that_needs_no_kernel(ran, tmp_path):
    html = ran.picture.value
    assert 6 <= html.count('type="radio"') <= 8 and html.count(" checked>") == 1
    assert "<script" not in html and "onclick" not in html and "http" not in html
    assert len(html) <= BUDGET
    assert html.count("<img") == html.count("alt=")
    assert ran.image.shape == (1, 3, 43, 64) and ran.step.evaluations == 20
    assert "saved page" in ran._note.value
    assert read_record(ran.save(tmp_path))["arguments"]["steps"] == 20
    assert ran.save(tmp_path).name == "china-stained-glass-gatys-64px-2.png"


def test_run_raises_what_the_method_raises():
    panel = Panel("gatys", content="no such file.jpg")
    with pytest.raises(samples.SampleError, match="no such file"):
        panel.run()


def test_a_single_frame_leaves_nothing_to_choose():
    made = strip([Frame(torch.rand(1, 3, 20, 30), 0, "result")], "one pass")
    assert made.count("<img") == 1 and "radio" not in made and "stx-film" not in made


def test_the_largest_strip_stays_within_its_budget():
    noise = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    made = strip([Frame(noise, k, "<noise>") for k in range(8)], "<noise>")
    assert len(made) <= BUDGET and "<noise>" not in made


def test_the_curve_falls_where_the_loss_falls_and_leaves_out_zeros():
    history = [(k, k // 10, {"style": 10.0 ** (2 - k / 10), "range": 0.0}) for k in range(1, 21)]
    chart = loss_curve(history, 20)
    points = [p.split(",") for p in chart.split('points="')[1].split('"')[0].split()]
    xs, ys = [float(x) for x, _ in points], [float(y) for _, y in points]
    assert xs == sorted(xs) and ys == sorted(ys)  # down the page
    steps = [b - a for a, b in zip(ys, ys[1:], strict=False)]
    assert max(steps) - min(steps) < 0.3  # an exponential is a straight line
    assert 'points=""' in chart


def test_the_bar_shows_the_shares():
    bar = share_bar({"content": 0.25, "style": 0.75})
    assert "width:25.0%" in bar and "width:75.0%" in bar and "content 25%, style 75%" in bar


def test_uploads_of_both_formats():
    new = ({"name": "a.png", "content": memoryview(b"12")},)
    old = {"a.png": {"metadata": {}, "content": b"12"}}
    assert uploaded(new) == uploaded(old) == ("a.png", b"12")
    assert uploaded(()) is uploaded({}) is None
