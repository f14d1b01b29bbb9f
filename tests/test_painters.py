"""styletx/methods/painters.py, sheet.py and the shell's ways: which network paints, said in words; sheets and pipes."""

import io
import json
import sys
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from styletx import cli, gatys, images, load, load_encoder, resize, stylize
from styletx.encoders import EncoderError
from styletx.images import write
from styletx.methods import record as records
from styletx.methods.painters import ALONE, ANY, LOOKED_AT, STYLES, Styled, network_file, painter, point_of
from styletx.methods.sheet import sheet
from styletx.networks.any_style import SEEN, AnyStyle, style_statistics
from styletx.networks.files import load_network
from styletx.networks.transform_net import TransformNet

SIZE = 48


@pytest.fixture(scope="module")
def network():
    found = load_network(network_file(ANY), "cpu")
    assert isinstance(found, AnyStyle)
    return found


def test_the_network_that_ships_has_learnt_what_is_named(network):
    assert tuple(network.styles) == STYLES and set(ALONE) <= set(STYLES) and len(STYLES) >= 16


def test_a_name_is_painted_by_its_own_network_or_by_the_one_for_all(network):
    assert isinstance(painter("wave", "cpu"), TransformNet) and isinstance(painter("great-wave", "cpu"), TransformNet)
    assert isinstance(painter("Hokusai", "cpu"), TransformNet)
    for words in ("shipwreck", "composition", "kandinsky", "wave:1"):
        assert isinstance(painter(words, "cpu"), Styled)
    point = network.point(torch.tensor([STYLES.index("composition-vii")]))
    assert torch.allclose(painter("composition", "cpu").point, point)


def test_any_other_painting_is_predicted(network, tmp_path):
    """A sample's name, a file and a tensor are one painting; its point comes from its statistics at one size."""
    painting = load("waves", size=300)
    small = resize(painting, (LOOKED_AT, LOOKED_AT))
    with torch.no_grad():
        expected = network.predict(style_statistics(load_encoder("mini", device="cpu")(small, SEEN)))
    write(painting, tmp_path / "mine.png")
    for style, far in ((painting, 1e-4), (str(tmp_path / "mine.png"), 0.05), ("waves", 0.2)):
        assert float((painter(style, "cpu").point - expected).abs().max()) < far
    other = painter("mosaic", "cpu").point
    assert float((other - expected).abs().max()) > 0.2
    mixed = point_of("waves:1,mosaic:0,starry-night:3", network)
    both = point_of("waves", network) / 4 + 3 * network.point(torch.tensor([0])) / 4
    assert torch.allclose(mixed, both, atol=1e-5)
    everything = ",".join(f"{name}:0.5" for name in STYLES)  # longer than a file's name may be
    assert torch.allclose(point_of(everything, network), network.point(torch.eye(len(STYLES))).mean(0), atol=1e-5)
    with pytest.raises(EncoderError, match="is a file, and stands alone"):
        point_of(f"waves,{tmp_path / 'mine.png'}:0.5", network)


@pytest.mark.parametrize(
    ("style", "words"),
    [("shipwreckk", "'shipwreckk' is not known; there is shipwreck, or a painting: a sample or a file"),
     ("night", "'night' is more than one; there is starry-night, starry-night-over-the-rhone"),
     ("nowhere.jpg", "'nowhere.jpg' is not known"), ("wave:0.5,vermeer:0.5", "'vermeer' is not known"),
     ("monet", "'monet' is more than one; there is water-lilies, charing-cross-bridge"),
     ("wave,vermeer:0", "'vermeer' is not known"), (r"C:\\nowhere\\x.jpg", "not known"),
     ("wave:-1,scream:2", "a weight must be"), ("wave:0,scream:0", "above 0"), ("nowhere.safetensors", "nowhere")],
)  # fmt: skip
def test_what_nobody_paints(style, words, tmp_path, capsys):
    with pytest.raises((EncoderError, ValueError), match=words):
        stylize("china", style=style, size=SIZE, device="cpu")
    given = ["stylize", "china", "--style", style, "-o", str(tmp_path / "x.png"), "--size", "48", "--quiet"]
    assert cli.main(given) == 2 and len(capsys.readouterr().err.splitlines()) == 1


def test_a_sheet_has_every_picture_in_its_place():
    """Read back from where rows and columns say: the pictures are there, unchanged, with titles between."""
    pictures = [torch.full((1, 3, 20, 30), value) for value in (0.1, 0.3, 0.5, 0.7, 0.9)]
    made = sheet(pictures, ["one", "two", "three", "four", "five"])
    for value, picture in zip((0.1, 0.3, 0.5, 0.7, 0.9), pictures, strict=True):
        same = (made[0] - value).abs().amax(0) < 1e-6
        rows, columns = same.any(1).nonzero()[:, 0], same.any(0).nonzero()[:, 0]
        top, left = int(rows[0]), int(columns[0])
        assert torch.equal(made[..., top : top + 20, left : left + 30], picture)
        assert float(made[..., top + 20 : top + 34, left : left + 30].min()) < 0.6  # a title
    assert float(made[..., 0, :].min()) == 1 and float(made[..., -1].min()) == 1
    for wrong, titles in (([], []), (pictures, ["one"]), ([*pictures, torch.ones(1, 3, 9, 9)], ["x"] * 6)):
        with pytest.raises(ValueError, match="pictures"):
            sheet(wrong, titles)
    assert sheet(pictures[:1], ["a title that is much longer than its picture is wide"]).shape[-1] < 60


def test_the_sheet_of_all_styles_from_the_shell_and_again(tmp_path):
    out = tmp_path / "sheet.png"
    assert cli.main(["stylize", "china", "--sheet", "--size", "48", "-o", str(out), "--quiet"]) == 0
    name, pictures, arguments = records.again(out)
    again = stylize(**pictures, **arguments, device="cpu")
    assert name == "stylize" and arguments["style"] == "all"
    assert float((again - images.read(out)).abs().max()) <= 0.5 / 255 + 1e-6
    assert cli.main(["stylize", "china", "coffee", "--sheet", "-o", str(tmp_path / "many"), "--quiet"]) == 2


def test_from_a_pipe_into_a_pipe(monkeypatch):
    """A photo's bytes on stdin, a PNG with its record on stdout and nothing else."""
    photo = load("china", size=SIZE)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(images.to_png(photo))))
    out = SimpleNamespace(buffer=io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    given = ["--style", "shipwreck", "--size", "48", "-o", "-", "--quiet", "--device", "cpu"]
    assert cli.main(["stylize", "-", *given]) == 0
    png = out.buffer.getvalue()
    assert Image.open(io.BytesIO(png)).format == "PNG"
    expected = stylize(images.read(images.to_png(photo)), style="shipwreck", size=SIZE, device="cpu")
    assert float((images.read(png) - expected).abs().max()) <= 0.5 / 255 + 1e-6
    assert images.read_record(png)["inputs"]["content"]["source"] == "an upload"


def test_pipes_that_cannot_be(monkeypatch, capsys, tmp_path):
    for given, words in (
        (["wct", "-", "-", "-o", str(tmp_path / "x.png")], "only one picture can come from stdin"),
        (["wct", "-", "china", "-o", str(tmp_path / "x.png")], "is empty"),  # there is nothing on stdin
        (["reinhard", "china", "flower", "-o", "-", "--json"], "the picture itself goes to stdout"),
        (["stylize", "china", "coffee", "-o", "-"], "goes one photo"),
        (["stylize", "-", "coffee", "-o", str(tmp_path / "many")], "goes one photo"),
    ):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
        assert cli.main([*given, "--quiet"]) == 2
        assert words in capsys.readouterr().err


def test_json_says_what_was_made(tmp_path, capsys):
    out = tmp_path / "x.png"
    given = ["--style", "shipwreck", "--size", "48", "--quiet", "--json", "--device", "cpu"]
    assert cli.main(["stylize", "china", *given, "-o", str(out)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["output"] == str(out) and (said["width"], said["height"]) == (48, 32) and said["seconds"] >= 0
    assert said["method"] == "stylize" and said["arguments"]["style"] == "shipwreck" and "CPU" in said["device"].upper()
    assert cli.main(["stylize", "china", str(tmp_path / "none.jpg"), *given, "-o", str(tmp_path / "many")]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"error", "input"} in [set(line) for line in lines] and len(lines) == 2
    assert next(line for line in lines if "output" in line)["inputs"]["content"]["source"] == "china"


def test_a_paintings_file_is_in_the_record_with_its_hash(tmp_path, capsys):
    painting, out = tmp_path / "mine.png", tmp_path / "x.png"
    write(load("waves", size=64), painting)
    given = ["stylize", "china", "--style", str(painting), "--size", "48", "--quiet", "-o"]
    assert cli.main([*given, str(out)]) == 0
    assert records.again(out)[1]["style"] == str(painting)
    assert cli.main([*given, str(painting)]) == 2 and "would overwrite" in capsys.readouterr().err
    folder = ["stylize", "china", "coffee", "--style", str(out), "--size", "48", "--quiet", "-o", str(tmp_path)]
    out.rename(tmp_path / "china.png")  # which `china` would be painted over
    folder[4] = str(tmp_path / "china.png")
    assert cli.main(folder) == 2 and "would overwrite" in capsys.readouterr().err
    write(load("mosaic", size=64), painting)
    with pytest.raises(records.RecordError, match="style"):
        records.again(tmp_path / "china.png")


def test_a_sheet_that_could_not_be_read_again_is_refused():
    with pytest.raises(ValueError, match="size: a sheet of pictures of 4096 pixels"):
        stylize("china", style="all", size=4096)


def test_an_optimisation_may_begin_with_any_painting_in_one_pass():
    run = gatys("china", "waves", size=96, steps=1, start="stylize", levels=1, keep_detail=False, device="cpu")
    assert torch.allclose(run.best, stylize("china", style="waves", size=96, device="cpu"), atol=1e-6)
    with pytest.raises(ValueError, match="start: stylize paints in one style"):
        gatys("china", ["waves", "mosaic"], size=64, steps=1, start="stylize")
