"""styletx/widgets/drive.py and results.py: what a run leaves behind when it is interrupted, fails or is saved late."""

import contextlib
import functools
import gc
import weakref
from typing import Annotated

import pytest

pytest.importorskip("ipywidgets")

import torch  # noqa: E402

from styletx import Energy, Objective, images, load, synthesize  # noqa: E402
from styletx.methods import METHODS  # noqa: E402
from styletx.methods.deep_photo import deep_photo  # noqa: E402
from styletx.methods.options import Number, Picture  # noqa: E402
from styletx.widgets import Panel, results  # noqa: E402
from styletx.widgets.job import Job  # noqa: E402

SMALL = {"content": "china", "style": "stained-glass", "size": 64, "device": "cpu"}


def a_run(steps: int = 40, hook=lambda: None):
    """A quick run whose objective calls `hook` at each evaluation."""

    def energy(image):
        hook()
        return (image - 0.5).square().mean()

    start = load("china", size=48)
    return synthesize(Objective(Energy(energy)), "mini", start=start, steps=steps, levels=1, device="cpu")


def interrupt_at(number: int):
    """A function that raises KeyboardInterrupt at its call of that number."""
    calls = iter(range(1, 10**6))

    def hook():
        if next(calls) == number:
            raise KeyboardInterrupt

    return hook


def test_an_interrupt_while_it_gets_ready_does_not_begin_anew():
    begun = []

    def start():
        begun.append(1)
        raise KeyboardInterrupt

    job = Job(start, lambda job: None)
    with pytest.raises(KeyboardInterrupt):
        job.drain()
    job.interrupted()
    assert len(begun) == 1 and job.over and job.stopped and job.image is None and job.error is None
    assert job.wait(0)


def test_an_interrupt_inside_a_step_keeps_the_best_picture():
    job = Job(lambda: a_run(hook=interrupt_at(3)), lambda job: None)
    with pytest.raises(KeyboardInterrupt):
        job.drain()
    job.interrupted()
    assert job.over and job.stopped and 0 < job.evaluations < job.total
    assert job.image.shape[-1] == 48 and job.frames[-1].evaluations == job.evaluations


def test_a_second_interrupt_leaves_nothing_running():
    def changed(job):
        raise KeyboardInterrupt

    job = Job(a_run, changed)
    with pytest.raises(KeyboardInterrupt):
        job.drain()
    with pytest.raises(KeyboardInterrupt):
        job.interrupted()
    assert job.over and job.wait(0)


@pytest.mark.slow
@pytest.mark.parametrize("at_the_end", [False, True])
def test_an_interrupted_panel_can_be_run_again(at_the_end):
    """Interrupted twice in a row, or while the finished picture is drawn: the buttons know that it is over."""
    panel = Panel("gatys", steps=8, **SMALL)
    draw, calls = panel._refresh, []

    def refresh(job):
        calls.append(job.over)
        if calls.count(True) == 1 and job.over if at_the_end else len(calls) in (3, 4):
            raise KeyboardInterrupt
        draw(job)

    panel._refresh = refresh
    with contextlib.suppress(KeyboardInterrupt):  # the second one is the reader's
        panel.run()
    assert not panel.running and not panel.run_button.disabled and panel.stop_button.disabled
    assert not at_the_end or (panel.image is not None and not panel.save_button.disabled and not panel._job.stopped)
    panel._refresh = draw
    assert panel.run().image is not None and panel.step.evaluations == 8


def test_stop_on_the_last_evaluation_is_an_end_not_a_stop():
    job = Job(lambda: a_run(steps=3), lambda job: job.stop() if job.step and job.step.evaluations == 3 else None)
    job.drain()
    assert job.over and job.evaluations == job.total == 3 and not job.stopped


def test_a_job_that_is_over_holds_no_run():
    """An encoder, the targets and the start would stay on the device for as long as the notebook lives."""
    job = Job(a_run, lambda job: None)
    job.advance()
    run = weakref.ref(job.run)
    job.drain()
    gc.collect()
    assert run() is None and job.image is not None


def test_a_failed_job_does_not_hold_what_it_had_allocated():
    held = []

    class Large(torch.Tensor):
        pass

    def start():
        large = torch.zeros(3).as_subclass(Large)
        held.append(weakref.ref(large))
        raise torch.OutOfMemoryError("CUDA out of memory")

    job = Job(start, lambda job: None)
    job.drain()
    assert isinstance(job.error, torch.OutOfMemoryError) and job.error.__traceback__ is not None
    assert held[0]() is None


def test_what_cannot_be_shown_ends_the_job_with_its_error():
    told = []

    def changed(job):
        told.append(job.error)
        if job.step is not None and job.error is None:
            raise RuntimeError("out of memory")

    job = Job(a_run, changed)
    job.drain()
    assert job.over and job.wait(0) and str(job.error) == "out of memory"
    assert told[-1] is job.error
    assert job.image is not None and 0 < job.evaluations < job.total  # what was reached is kept


def method(result):
    def made(content: Annotated[str, Picture("x")], *, size: Annotated[int, Number(1, 9)] = 3):
        return result

    return Panel(made, content="china")


@pytest.mark.parametrize(
    "result", [torch.full((1, 3, 8, 8), float("nan")), torch.zeros(2, 3, 8, 8), torch.zeros(3, 600, 8)]
)
def test_a_direct_result_that_is_no_picture_is_said(result):
    panel = method(result)
    with pytest.raises(images.ImageError, match="result"):
        panel.run()
    assert not panel.running and panel.image is None and not panel.run_button.disabled
    assert "result" in panel._message.value and "stopped by an error" in panel.status.value


def test_an_interrupted_click_is_a_stopped_run_and_its_record_says_so(tmp_path, monkeypatch):
    """What a notebook's Interrupt does while a widget's handler is at work: nothing of it is raised to the kernel."""

    gatys = METHODS["gatys"]

    @functools.wraps(gatys)
    def interrupted(*pictures, **given):
        run = gatys(*pictures, **given)
        finish, count = run._steps, iter(range(100))

        def steps():
            for step in finish:
                if next(count) == 3:
                    raise KeyboardInterrupt
                yield step

        run._steps = steps()
        return run

    monkeypatch.setitem(METHODS, "gatys", interrupted)
    panel = Panel("gatys", drive="slice", steps=30, **SMALL)
    panel._work(60)
    assert not panel.running and "stopped" in panel.status.value
    spent = images.read_record(panel.save(tmp_path))["stopped"]
    assert 0 < spent < 30


def test_the_record_is_of_the_files_that_were_run_not_of_those_there_at_save(tmp_path):
    photo = tmp_path / "photo.png"
    images.write(load("coffee", size=64), photo)
    from styletx.methods.record import RecordError, again, fingerprint

    before = fingerprint(photo)
    panel = Panel("gatys", steps=3, **SMALL | {"content": str(photo)}).run()
    images.write(load("rocket", size=64), photo)
    saved = panel.save(tmp_path)
    assert images.read_record(saved)["inputs"]["content"]["sha256"] == before
    with pytest.raises(RecordError, match="not the picture it was"):
        again(saved)
    photo.unlink()
    assert panel.save(tmp_path).is_file()


def test_a_method_given_as_a_function_has_its_name_and_its_record(tmp_path):
    panel = Panel(deep_photo, content="china", style="flower", size=64, steps=3, device="cpu").run()
    saved = panel.save(tmp_path)
    assert panel.name == "deep-photo" and images.read_record(saved)["method"] == "deep-photo"


def test_drive_keeps_what_is_there(tmp_path, monkeypatch):
    """Colab begins in an empty folder each day; the names on Drive are those of yesterday."""
    here, drive = tmp_path / "here", tmp_path / "drive"
    here.mkdir()
    drive.mkdir()
    monkeypatch.setattr(results, "DRIVE_FOLDER", drive)
    for day in (b"yesterday", b"today"):
        (here / "a.png").write_bytes(day)
        said = results.keep_on_drive(here / "a.png")
    assert (drive / "a.png").read_bytes() == b"yesterday" and (drive / "a-2.png").read_bytes() == b"today"
    assert str(drive / "a-2.png") in said

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(results.shutil, "copy", full)
    said = results.keep_on_drive(here / "a.png")
    assert said.startswith(str(here / "a.png")) and "not in Drive" in said and "no space left" in said


def test_a_good_picture_does_not_hide_that_the_other_is_none(tmp_path):
    (tmp_path / "broken.jpg").write_text("no picture")
    panel = Panel("gatys", **SMALL)
    panel.pickers["content"].choose(str(tmp_path / "broken.jpg"))
    assert "broken.jpg" in panel._message.value
    panel.pickers["style"].choose("waves")
    assert "broken.jpg" in panel._message.value
    panel.pickers["content"].choose("coffee")
    assert panel._message.value == ""


def test_a_device_may_have_a_number():
    assert Panel("gatys", **SMALL | {"device": "cpu:0"})._device.value == "cpu"
