"""styletx/methods/stylize.py: the networks that ship, other people's files, many photos, and a start for gatys."""

import shutil

import pytest
import torch

from styletx import cli, enlarge, gatys, images, load, resize, stylize
from styletx.encoders import EncoderError
from styletx.images import write
from styletx.methods import record as records
from styletx.methods.enlarge import enlarger, in_tiles
from styletx.methods.painters import ALONE, LOSSES, network_file, painter
from styletx.methods.stylize import stylize_all
from styletx.networks.files import save_network
from styletx.networks.transform_net import SuperResolution, TransformNet


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A file as `styletx train` writes it; its network does little."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("own") / "mine.safetensors"
    save_network(TransformNet(width=2, blocks=1), path)
    return str(path)


@pytest.fixture(scope="module")
def sharpening(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "sharp.safetensors"
    save_network(SuperResolution(2, width=4, norm="none", skip=True), path)
    return str(path)


@pytest.mark.parametrize("size", [(33, 50), (47, 64)])
def test_one_pass_through_the_network(own, size):
    """The same as calling the network by hand; sides that are no multiple of 4 come back."""
    photo = resize(load("china"), size)
    made = stylize(photo, style=own, size=size[1], device="cpu")
    with torch.no_grad():
        assert torch.equal(made, painter(own, "cpu")(photo))
    assert float(made.min()) >= 0 and float(made.max()) <= 1


def test_enlarged_by_the_files_factor(sharpening):
    """A network with a skip that has learnt nothing is bicubic."""
    photo = load("coffee", size=40)
    made = enlarge(photo, loss=sharpening, device="cpu")
    height, width = photo.shape[-2:]
    expected = torch.nn.functional.interpolate(photo, (2 * height, 2 * width), mode="bicubic").clamp(0, 1)
    assert torch.allclose(made, expected, atol=1e-6)
    assert enlarge("coffee", loss=sharpening, size=20, device="cpu").shape[-1] == 40


@pytest.mark.parametrize("norm", ["none", "batch", "instance"])
@pytest.mark.parametrize("size", [(70, 90), (25, 130), (24, 24)])
def test_tiles_are_not_seen(size, norm):
    """Tile by tile is what the network makes of the whole picture."""
    torch.manual_seed(0)
    network = SuperResolution(4, width=4, norm=norm, skip=True).eval()
    torch.nn.init.normal_(network.steps[-1].filters.weight, std=0.05)
    photo = resize(load("coffee"), size)
    with torch.no_grad():
        whole, tiled = network(photo), in_tiles(network, photo, tile=24)
    assert tiled.shape == whole.shape and torch.allclose(tiled, whole, atol=1e-5)


def test_what_is_no_such_network_is_named(own, sharpening, tmp_path):
    (tmp_path / "torn.safetensors").write_bytes(b"not weights")
    for style, words in (
        ("vermeer", "style: 'vermeer' is not known; there is starry-night, .*, or a painting"),
        (str(tmp_path / "none.safetensors"), "there is no file"),
        (str(tmp_path / "torn.safetensors"), "torn.safetensors"),
        (sharpening, "not a network that paints"),
    ):
        with pytest.raises(EncoderError, match=words):
            stylize("china", style=style, size=64)
    with pytest.raises(EncoderError, match="not a network that enlarges"):
        enlarge("china", loss=own)
    for number, error in stylize_all([torch.rand(1, 3, 3, 300)], style=own, size=64):
        assert number == 0 and "content: 64×1 pixels are too few" in str(error)


def test_many_photos_in_batches_are_what_one_at_a_time_makes(own, tmp_path):
    """Instance normalisation looks at each picture alone, so the batch changes rounding only."""
    names = ["china", "coffee", "flower", tmp_path / "damaged.jpg", "astronaut", "china"]
    (tmp_path / "damaged.jpg").write_bytes(b"not a photo")
    made = dict(stylize_all(names, style=own, size=48, batch=2, device="cpu"))
    assert sorted(made) == list(range(6)) and isinstance(made[3], ValueError)
    for number in (0, 1, 2, 4, 5):
        alone = stylize(names[number], style=own, size=48, device="cpu")
        assert torch.allclose(made[number], alone, atol=1e-5)
    with pytest.raises(ValueError, match="batch"):
        next(stylize_all(["china"], style=own, batch=0))


def test_a_folder_from_the_shell(own, tmp_path, capsys):
    """Pictures keep their places, damaged ones are named and counted, and each carries its record."""
    photos, out = tmp_path / "photos", tmp_path / "painted"
    (photos / "inner").mkdir(parents=True)
    write(load("china", size=40), photos / "a.jpg")
    write(load("coffee", size=40), photos / "inner" / "a.png")
    (photos / "torn.jpg").write_bytes(b"nothing")
    given = ["stylize", str(photos), "--style", own, "-o", str(out), "--size", "40", "--device", "cpu", "--quiet"]
    assert cli.main(given) == 0
    said = capsys.readouterr()
    assert "torn.jpg" in said.err and "2 pictures, 1 photos left out" in said.out
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png")) == ["a.png", "inner/a.png"]
    assert cli.main([*given, "--strength", "0", "--keep-colours", "luminance"]) == 0  # nothing is painted at all
    assert float((images.read(out / "a.png") - images.read(photos / "a.jpg")).abs().max()) < 0.01
    assert cli.main([*given, "--strength", "7"]) == 2 and cli.main(given) == 0
    name, pictures, arguments = records.again(out / "inner" / "a.png")
    assert name == "stylize" and pictures["content"] == str(photos / "inner" / "a.png")
    again = stylize(**pictures, **arguments, device="cpu")
    assert float((again - images.read(out / "inner" / "a.png")).abs().max()) <= 0.5 / 255 + 1e-6
    for photo in (photos / "a.jpg", photos / "inner" / "a.png"):
        photo.write_bytes(b"nothing")
    assert cli.main(given) == 2  # none of them can be read
    given[given.index("-o") + 1] = str(tmp_path / "one.png")
    assert cli.main(given) == 2 and "the output is a folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert cli.main(["stylize", str(tmp_path / "empty"), "-o", str(out)]) == 2


def test_a_misspelt_photo_is_named_and_one_photo_may_go_into_a_folder(own, tmp_path, capsys):
    given = ["stylize", "chinna", "--style", own, "-o", str(tmp_path / "out.png"), "--size", "40", "--quiet"]
    assert cli.main(given) == 2 and "chinna: neither a picture's name nor a file" in capsys.readouterr().err
    given[1], given[5] = "china", str(tmp_path / "out")
    assert cli.main(given) == 0 and (tmp_path / "out" / "china.png").is_file()


def test_pictures_of_one_name_do_not_overwrite_each_other(own, tmp_path):
    write(load("china", size=40), tmp_path / "china.jpg")
    out = tmp_path / "out"
    given = ["stylize", "china", str(tmp_path / "china.jpg"), "--style", own, "-o", str(out), "--size", "40", "--quiet"]
    assert cli.main(given) == 0
    assert sorted(path.name for path in out.iterdir()) == ["china-2.png", "china.png"]


def test_a_photo_is_never_painted_over(own, tmp_path, capsys):
    write(load("china", size=40), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    assert cli.main(["stylize", str(tmp_path), "--style", own, "-o", str(tmp_path), "--size", "40", "--quiet"]) == 2
    assert "would overwrite" in capsys.readouterr().err and (tmp_path / "a.png").read_bytes() == before


def test_other_pictures_are_never_painted_over(own, tmp_path, capsys):
    """Of two photos with one stem the first one's place is the second photo; and what styletx has made is its own."""
    for name in ("a.jpg", "a.png"):
        write(load("china", size=40), tmp_path / name)
    before = (tmp_path / "a.png").read_bytes()
    given = ["stylize", str(tmp_path), "--style", own, "--size", "40", "--quiet", "-o"]
    assert cli.main([*given, str(tmp_path)]) == 2 and (tmp_path / "a.png").read_bytes() == before
    out = tmp_path / "out.2026"
    out.mkdir()
    (tmp_path / "A.png").write_bytes(before)
    for _ in range(2):  # a second time its own pictures make room
        assert cli.main([*given[:1], str(tmp_path / "a.png"), str(tmp_path / "A.png"), *given[2:], str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["A-2.png", "a.png"]
    assert cli.main([*given[:1], str(out), *given[2:], str(out)]) == 2  # also where what goes in is its own
    assert "would overwrite a picture it is made from" in capsys.readouterr().err
    (tmp_path / "A.png").unlink()
    (out / "notes.png").write_bytes(before)
    write(load("china", size=40), tmp_path / "notes.jpg")
    assert cli.main([*given[:1], str(tmp_path / "notes.jpg"), *given[2:], str(out)]) == 2
    assert "not made by styletx" in capsys.readouterr().err and (out / "notes.png").read_bytes() == before


def test_bad_sizes_are_named_once_before_the_work(own, capsys):
    for size, words in (
        ("100.5", "not a whole number"),
        ("5000", "outside"),
        ("0", "outside"),
        ("nan", "not a number"),
    ):
        assert cli.main(["stylize", "china", "coffee", "--style", own, "-o", "nowhere", "--size", size, "--quiet"]) == 2
        assert len(said := capsys.readouterr().err.splitlines()) == 1 and words in said[0]
    assert cli.main(["enlarge", "china", "--size", "3", "-o", "out.png", "--quiet"]) == 2
    assert "needs at least 5" in capsys.readouterr().err
    with pytest.raises(ValueError, match="size: enlarged it would have 12000×8000 pixels"):
        enlarge(torch.rand(1, 3, 1, 1).expand(1, 3, 2000, 3000))


def test_the_record_knows_the_networks_file(own, tmp_path):
    """Another network under the same name would make another picture: it is noticed."""
    out, network = tmp_path / "out.png", tmp_path / "mine.safetensors"
    shutil.copy(own, network)
    assert cli.main(["stylize", "china", "--style", str(network), "-o", str(out), "--size", "40", "--quiet"]) == 0
    assert records.again(out)[1]["style"] == str(network)
    for name in ("once.png", "twice.png"):  # what was made again can be made again
        assert cli.main(["again", str(out), "-o", str(tmp_path / name)]) == 0
        out = tmp_path / name
    torch.manual_seed(1)
    save_network(TransformNet(width=2, blocks=1), network)
    with pytest.raises(records.RecordError, match="style"):
        records.again(out)


def test_gatys_begins_with_what_a_network_made(monkeypatch):
    """Before the first evaluation the best picture is the network's."""
    run = gatys("china", ALONE[0], size=96, steps=1, start="stylize", levels=1, keep_detail=False, device="cpu")
    assert torch.allclose(run.best, stylize("china", style=ALONE[0], size=96, device="cpu"), atol=1e-6)


@pytest.mark.parametrize("name", [*ALONE, *LOSSES])
def test_a_network_ships_that_says_how_it_was_trained(name):
    from safetensors import safe_open

    with safe_open(network_file(name), framework="pt") as file:
        about = file.metadata()["about"]
    assert '"steps"' in about and '"photos"' in about
    network = painter(name, "cpu") if name in ALONE else enlarger(name, "cpu")
    assert all(bool(value.isfinite().all()) for value in network.state_dict().values())
