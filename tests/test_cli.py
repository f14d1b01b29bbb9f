"""styletx/cli.py, methods/record.py, course/demo.py and course/doctor.py: the command line, as a shell runs it."""

import functools
import inspect
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from styletx import cli, images, samples
from styletx.course.demo import write_demo
from styletx.course.doctor import examine
from styletx.methods import METHODS
from styletx.methods import record as records
from styletx.methods.options import Number, options, picture_options
from styletx.synthesis import Run

RUN = ["--size", "64", "--steps", "4", "--device", "cpu", "--quiet"]


def gatys(tmp_path, *arguments):
    return cli.main(["gatys", *map(str, arguments), *RUN])


def test_stylises_and_carries_its_record(tmp_path, capsys):
    out = tmp_path / "out.png"
    assert gatys(tmp_path, "china", "mosaic", "-o", out, "--style-weight", "20") == 0
    assert capsys.readouterr().out.strip() == str(out)
    record = images.read_record(out)
    assert record["method"] == "gatys" and record["arguments"]["style_weight"] == 20.0
    assert record["inputs"]["content"]["source"] == "china" and len(record["inputs"]["style"]["sha256"]) == 64
    assert record["arguments"]["seed"] == 0 and "device" not in record["arguments"]


@pytest.mark.slow
def test_again_makes_the_same_picture(tmp_path):
    photo = tmp_path / "photo.png"
    images.write(samples.load("coffee", size=64), photo)
    out, copy = tmp_path / "out.png", tmp_path / "copy.png"
    gatys(tmp_path, photo, "waves", "-o", out, "--start", "noise", "--seed", "3")
    assert cli.main(["again", str(out), "-o", str(copy), "--device", "cpu"]) == 0
    assert torch.equal(images.read(out), images.read(copy))
    assert images.read_record(out) == images.read_record(copy)


@pytest.mark.slow
def test_several_styles_masks_and_colours_are_made_again(tmp_path, capsys):
    """What a list of styles and a mask's file have made is recorded, and made again from the record."""
    mask, out, copy = (tmp_path / name for name in ("mask.png", "out.png", "copy.png"))
    halves = torch.zeros(1, 3, 40, 60)
    halves[..., 30:] = 1
    images.write(halves, mask)
    assert gatys(tmp_path, "china", "waves", "mosaic", "--mask", mask, "--keep-colours", "luminance", "-o", out) == 0
    record = images.read_record(out)
    assert [entry["source"] for entry in record["inputs"]["style"]] == ["waves", "mosaic"]
    assert record["inputs"]["mask"]["source"] == str(mask.resolve())
    assert cli.main(["again", str(out), "-o", str(copy), "--device", "cpu"]) == 0
    assert torch.equal(images.read(out), images.read(copy))
    capsys.readouterr()
    assert gatys(tmp_path, "china", "waves", "mosaic", "--mix", "1", "3", "-o", out) == 0
    assert images.read_record(out)["arguments"]["mix"] == [1.0, 3.0]
    assert gatys(tmp_path, "china", "waves", "mosaic", "coffee", "--mask", mask, "-o", out) == 2
    assert "2 regions for 3 styles" in capsys.readouterr().err
    assert gatys(tmp_path, "china", "waves", "--mask", "coffee", "-o", out) == 2
    assert "mask: " in capsys.readouterr().err


def test_a_direct_method_from_the_shell(tmp_path):
    out, copy = tmp_path / "out.png", tmp_path / "copy.png"
    assert cli.main(["reinhard", "china", "stained-glass", "-o", str(out), "--size", "96", "--quiet"]) == 0
    assert images.read(out).shape[-1] == 96 and images.read_record(out)["method"] == "reinhard"
    assert cli.main(["again", str(out), "-o", str(copy)]) == 0
    assert torch.equal(images.read(out), images.read(copy))


@pytest.mark.parametrize("name", ["wct", "adain", "photo"])
def test_one_shot_from_the_shell_and_again(name, tmp_path):
    out, copy = tmp_path / "out.png", tmp_path / "copy.png"
    call = [name, "china", "coffee", "-o", str(out), "--size", "97", "--strength", "0.5", "--device", "cpu", "--quiet"]
    assert cli.main(call) == 0
    assert images.read(out).shape[-1] == 97 and images.read_record(out)["arguments"]["strength"] == 0.5
    assert cli.main(["again", str(out), "-o", str(copy), "--device", "cpu"]) == 0
    assert torch.equal(images.read(out), images.read(copy))


def test_smoothing_from_the_shell(tmp_path, capsys):
    content, rough, out = (tmp_path / f"{name}.png" for name in ("content", "rough", "out"))
    china = samples.load("china", size=96)
    images.write(china, content)
    noise = torch.randn(china.shape, generator=torch.Generator().manual_seed(0))
    images.write((china + 0.1 * noise).clamp(0, 1), rough)
    assert cli.main(["smooth", str(rough), str(content), "-o", str(out), "--quiet"]) == 0
    before, after = ((images.read(one) - china).square().mean() for one in (rough, out))
    assert after < before / 2
    capsys.readouterr()
    assert cli.main(["smooth", str(rough), str(content), "-o", str(out), "--alpha", "1"]) == 2
    assert "alpha" in capsys.readouterr().err
    assert cli.main(["smooth", str(rough), "astronaut", "-o", str(out)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_bad_masks_from_the_shell(tmp_path, capsys):
    """Of another mode, with labels that do not fit, a photograph: one line each."""
    halves, thirds, grey = (tmp_path / f"{name}.png" for name in ("halves", "thirds", "grey"))
    picture = torch.zeros(1, 3, 40, 60)
    picture[..., 30:] = 1
    images.write(picture, halves)
    picture[..., :20] = 0.5
    images.write(picture, thirds)
    images.write(torch.full((1, 3, 40, 60), 0.5), grey)
    out = tmp_path / "o.png"
    for name in ("wct", "photo"):
        for masks in ((halves, thirds), (grey, grey), ("coffee", halves)):
            call = [name, "china", "coffee", "-o", str(out), "--mask", str(masks[0]), "--style-mask", str(masks[1])]
            assert cli.main(call) == 2
            message = capsys.readouterr().err
            assert message.startswith(f"styletx {name}: mask") and len(message.strip().splitlines()) == 1, message
    assert not out.exists()


def test_again_refuses_a_changed_or_lost_input(tmp_path, capsys):
    photo, out = tmp_path / "photo.png", tmp_path / "out.png"
    images.write(samples.load("coffee", size=64), photo)
    gatys(tmp_path, photo, "waves", "-o", out)
    images.write(samples.load("china", size=64), photo)
    assert cli.main(["again", str(out)]) == 2
    assert "content: " in (message := capsys.readouterr().err) and "photo.png is not the picture it was" in message
    photo.unlink()
    assert cli.main(["again", str(out)]) == 2
    assert "not there any more" in capsys.readouterr().err
    assert cli.main(["again", str(out), "-o", str(out)]) == 2


def test_again_refuses_foreign_records(tmp_path, capsys):
    for record in ({"something": "else"}, {"method": "magic", "inputs": {}, "arguments": {}}):
        images.write(torch.rand(1, 3, 8, 8), tmp_path / "x.png", record=record)
        assert cli.main(["again", str(tmp_path / "x.png")]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    with pytest.raises(records.RecordError, match="object"):
        records.record("gatys", {"content": "china"}, {"start": object()})
    begun = records.record("gatys", {"content": "china"}, {"start": torch.rand(1, 3, 8, 8)})
    images.write(torch.rand(1, 3, 8, 8), tmp_path / "x.png", record=begun)
    with pytest.raises(records.RecordError, match="start: a tensor is not there any more"):
        records.again(tmp_path / "x.png")


def test_again_refuses_arguments_it_does_not_know(tmp_path, capsys):
    gatys(tmp_path, "china", "waves", "-o", tmp_path / "x.png")
    record = images.read_record(tmp_path / "x.png")
    record["arguments"]["brushes"] = 3
    images.write(torch.rand(1, 3, 8, 8), tmp_path / "x.png", record=record)
    assert cli.main(["again", str(tmp_path / "x.png")]) == 2
    assert "does not fit gatys" in (message := capsys.readouterr().err) and "brushes" in message


@pytest.mark.slow
def test_a_stopped_runs_record_says_so(tmp_path, capsys, monkeypatch):
    finish = Run.finish

    def interrupted(run, progress=True):
        next(run)
        run.stop()
        return finish(run, progress)

    monkeypatch.setattr(Run, "finish", interrupted)
    assert gatys(tmp_path, "china", "waves", "-o", tmp_path / "x.png") == 0
    assert images.read_record(tmp_path / "x.png")["stopped"] == 1
    assert "after 1 of 4 evaluations" in capsys.readouterr().err
    monkeypatch.undo()
    assert cli.main(["again", str(tmp_path / "x.png"), "--device", "cpu"]) == 0
    assert "stopped after 1 evaluations" in capsys.readouterr().err
    assert "stopped" not in images.read_record(tmp_path / "x-again.png")


def test_lab_passes_its_options_on(monkeypatch, capsys):
    called = []
    waits = iter([KeyboardInterrupt, KeyboardInterrupt, 0])  # Ctrl-C goes to JupyterLab as well, and it answers

    class Server:
        def __init__(self, command, cwd):
            called.append(command)

        def terminate(self):
            called.append("terminate")

        def wait(self):
            if (outcome := next(waits)) is KeyboardInterrupt:
                raise KeyboardInterrupt
            return outcome

    monkeypatch.setattr(cli.subprocess, "Popen", Server)
    assert cli.main(["lab", "--no-browser", "--port", "9999"]) == 0
    assert next(waits, "none left") == "none left" and len(called) == 1
    waits = iter([KeyboardInterrupt] * 3 + [-15])  # it was not told
    assert cli.main(["lab"]) == -15 and called[-1] == "terminate"
    called.pop()
    assert called[0][-3:] == ["--no-browser", "--port", "9999"]
    with pytest.raises(SystemExit) as status:
        cli.main(["samples", "--no-browser"])
    assert status.value.code == 2 and "unrecognized" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["inf", "nan", "-inf", "1.5"])
@pytest.mark.parametrize("option", ["--size", "--steps", "--seed"])
def test_numbers_that_are_none(tmp_path, capsys, option, value):
    given = ["gatys", "china", "mosaic", "-o", str(tmp_path / "x.png"), "--device", "cpu", f"{option}={value}"]
    assert cli.main(given) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"styletx gatys: {option[2:]}: ") and len(message.strip().splitlines()) == 1


def test_an_output_that_is_an_input_is_refused(tmp_path, capsys):
    photo = tmp_path / "photo.png"
    images.write(samples.load("coffee", size=48), photo)
    before = photo.read_bytes()
    for given in (["smooth", str(photo), "china"], ["gatys", "china", str(photo)]):
        assert cli.main([*given, "-o", f"{tmp_path}/./photo.png", "--device", "cpu"]) == 2
        assert "would overwrite a picture it is made from" in capsys.readouterr().err
    assert photo.read_bytes() == before


def test_memory_that_is_short_is_one_line(monkeypatch, tmp_path, capsys):
    """MPS and the CPU's allocator raise a RuntimeError; another RuntimeError is a fault, with its traceback."""

    def fails(words):
        def method(*_, **__):
            raise RuntimeError(words)

        return method

    given = ["reinhard", "china", "flower", "-o", str(tmp_path / "x.png")]
    monkeypatch.setitem(cli.METHODS, "reinhard", functools.wraps(cli.METHODS["reinhard"])(fails("MPS out of memory")))
    assert cli.main(given) == 2
    assert capsys.readouterr().err == "styletx reinhard: MPS out of memory\n"
    monkeypatch.setitem(cli.METHODS, "reinhard", functools.wraps(cli.METHODS["reinhard"])(fails("a fault")))
    with pytest.raises(RuntimeError, match="a fault"):
        cli.main(given)


def test_a_pipe_that_knows_few_letters(monkeypatch):
    """What `styletx samples > list.txt` meets on Windows: an encoding without most letters."""
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", pipe)
    assert cli.main(["samples"]) == 0
    print("β → ō")
    pipe.flush()
    assert b"china" in pipe.buffer.getvalue() and b"? ? ?" in pipe.buffer.getvalue()


def test_the_list_of_samples_has_credits_and_licences(capsys):
    assert cli.main(["samples"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert len(lines) == len(samples.names())
    for name in samples.names():
        (line,) = [line for line in lines if line.split()[0] == name]
        assert samples.info(name).credit in line and samples.info(name).licence in line


def test_a_record_holds_every_setting():
    """Also those that are no options of a panel: a later default for them must not change the picture either."""
    record = records.record("gatys", {"content": "china", "style": "mosaic"}, {"steps": 3})
    takes = inspect.signature(METHODS["gatys"]).parameters
    assert set(record["arguments"]) == set(takes) - {"device", *picture_options(METHODS["gatys"])}
    assert json.loads(json.dumps(record)) == record
    sizes = records.record("gatys", {}, {"size": np.int64(96), "style_weight": np.float32(0.5)})["arguments"]
    assert json.loads(json.dumps(sizes))["size"] == 96 and sizes["style_weight"] == 0.5
    for name in METHODS:
        assert json.dumps(records.record(name, {}, {}))


def test_the_demo_has_every_method():
    """`examples` names them, or calls them by their own name: nothing in METHODS is left out."""
    source = inspect.getsource(sys.modules["styletx.course.demo"].examples)
    for name, method in METHODS.items():
        assert f'METHODS["{name}"]' in source or f" {method.__name__}(" in source, name


def test_a_choice_of_numbers(tmp_path):
    photo, out = tmp_path / "photo.png", tmp_path / "out.png"
    images.write(samples.load("coffee", size=48), photo)
    assert cli.main(["smooth", str(photo), str(photo), "--connectivity", "8", "-o", str(out), "--device", "cpu"]) == 0
    assert images.read_record(out)["arguments"]["connectivity"] == 8


def bad_files(folder):
    """name → what is wrong with it."""
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("not a picture")
    images.write(samples.load("china", size=128), folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:900])
    images.write(torch.rand(1, 3, 1, 1), folder / "one.png")
    images.write(torch.rand(1, 3, 5, 7), folder / "tiny.png")
    return ("missing.jpg", "empty.jpg", "text.jpg", "cut.jpg", "one.png", "tiny.png", ".")


@pytest.mark.slow
def test_bad_input_gives_one_line_and_status_two(tmp_path, capsys):
    calls = [
        ["gatys", str(tmp_path / name), "mosaic", "-o", str(tmp_path / "o.png"), *RUN] for name in bad_files(tmp_path)
    ]
    good = ["gatys", "china", "mosaic", "-o", str(tmp_path / "o.png"), *RUN]
    calls += [
        [*good, "--encoder", "vgg91"],
        [*good, "--device", "abacus"],
        [*good, "--style-weight", "-1"],
        [*good, "--style-weight", "nan"],
        [*good, "--steps", "0"],
        [*good, "--steps", "2.5"],
        ["gatys", "stary-night", "mosaic", "-o", str(tmp_path / "o.png")],
        ["gatys", "china", "mosaic", "-o", str(tmp_path / "no" / "o.png")],
        ["gatys", "china", "mosaic", "-o", str(tmp_path / "o.bmpx")],
        ["gatys", "china", "mosaic", "-o", str(tmp_path)],
        ["samples", "nothing-like-it"],
        ["again", str(tmp_path / "whole.jpg")],
        ["demo", "-o", str(tmp_path / "no" / "demo.html")],
        ["demo", "-o", str(tmp_path / "demo.txt")],
    ]
    for call in calls:
        assert cli.main(call) == 2, call
        captured = capsys.readouterr()
        assert len(captured.err.strip().splitlines()) == 1 and captured.err.startswith("styletx "), captured.err
        assert captured.out == "" and "Traceback" not in captured.err
    assert not (tmp_path / "o.png").exists()


def test_an_output_that_cannot_be_written_is_found_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(METHODS, "gatys", None)  # would fail, were it called
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(images.ImageError, match="cannot be written"):
        cli._make("gatys", {}, {}, str(tmp_path / "o.png"), "cpu")


def test_unknown_commands_and_missing_arguments_exit_with_two():
    for call in (["no-such-command"], ["gatys", "china"], [], ["gatys", "a", "b"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(call)
        assert caught.value.code == 2


def test_help_lists_every_option(capsys):
    with pytest.raises(SystemExit):
        cli.main(["gatys", "--help"])
    text = capsys.readouterr().out
    for option in options(METHODS["gatys"]):
        assert option.name.replace("_", "-") in text


def test_samples_are_listed_with_their_credit(capsys, tmp_path):
    assert cli.main(["samples"]) == 0
    text = capsys.readouterr().out
    assert "starry-night" in text and "Vincent van Gogh" in text and "stained-glass" in text
    assert cli.main(["samples", "-o", str(tmp_path / "m.png")]) == 2
    assert "name the picture" in capsys.readouterr().err
    assert cli.main(["samples", "mosaic", "-o", str(tmp_path / "m.png")]) == 0
    assert images.read(tmp_path / "m.png").shape[-1] == 512


@pytest.mark.slow
def test_doctor_tries_each_method(capsys):
    assert examine(device="cpu")
    text = capsys.readouterr().out
    for word in ("device    cpu", "torch 2", "mini", "method    gatys", "method    reinhard", "works", "all well"):
        assert word in text
    assert "PROBLEM" not in text


def test_doctor_reports_broken_weights(capsys, monkeypatch, tmp_path):
    (tmp_path / "mini.safetensors").write_bytes(b"broken")
    monkeypatch.setattr("styletx.encoders.pretrained.WEIGHTS", tmp_path)
    assert cli.main(["doctor", "--device", "cpu"]) == 1
    assert "PROBLEM" in capsys.readouterr().out


def test_doctor_goes_on_without_the_decoders(capsys, monkeypatch, tmp_path):
    def missing(name):
        raise FileNotFoundError(f"{name}: gone")

    monkeypatch.setattr("styletx.course.doctor._weights_note", missing)
    monkeypatch.setattr("styletx.course.doctor.METHODS", {"broken": lambda content, device=None: {}["nothing"]})
    assert cli.main(["doctor", "--device", "cpu"]) == 1
    text = capsys.readouterr().out
    assert "PROBLEM: mini: gone" in text and "method    broken" in text and "something is wrong" in text


@pytest.mark.slow
def test_demo_is_one_page_with_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr("styletx.course.demo.PAIRS", (("nothing", "china", "nothing", "mosaic"),))
    monkeypatch.setattr(samples, "load_or", lambda name, other, size=None: samples.load(other, size))
    page = write_demo(tmp_path / "demo.html", size=64, device="cpu").read_text()
    assert page.count("data:image/jpeg;base64,") == 4 * 3 + 4 + 4 + 3 + 3 + 4 + 4 + 4 + 4 + 5 + 4
    assert page.count('alt="') == page.count("<img ") and "http" not in page


@pytest.mark.slow
def test_the_installed_command_runs(tmp_path):
    """In a process of its own, with an empty home: no traceback, and the record is JSON."""
    env = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    call = [sys.executable, "-m", "styletx.cli"]
    out = tmp_path / "o.png"
    done = subprocess.run(
        [*call, "gatys", "china", "mosaic", "-o", str(out), *RUN], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.dumps(images.read_record(out))
    bad = subprocess.run(
        [*call, "gatys", "china", "nowhere", "-o", str(out), *RUN], env=env, capture_output=True, text=True
    )
    assert bad.returncode == 2 and "Traceback" not in bad.stderr and len(bad.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("name", list(METHODS))
def test_a_slider_has_room_to_move(name):
    for option in options(METHODS[name]):
        if isinstance(option.allowed, Number) and option.kind is float and not option.allowed.log:
            assert 0 < option.allowed.step <= (option.allowed.high - option.allowed.low) / 5, option.name
