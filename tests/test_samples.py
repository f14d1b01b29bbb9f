"""styletx/samples/__init__.py: names, dependencies' pictures, fetching with and without a network (none is used)."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from styletx import gatys, images, samples
from styletx.methods.record import fingerprint
from styletx.samples import SampleError

CACHE_FOLDER = samples.cache_folder
SHARED = Path(__file__).resolve().parents[1] / ".." / "shared" / "cache"
LISTED = json.loads((Path(samples.__file__).parent / "samples.json").read_text(encoding="utf-8"))
KEY = "images/style/starry-night.jpg"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared cache ../shared/cache is not here")


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No STYLETX_CACHE, an empty user's cache folder, and a network that is down; each attempt is noted."""
    import pooch

    attempts = []

    def down(url, *args, **options):
        attempts.append(url)
        raise OSError("Failed to resolve 'raw.githubusercontent.com'\nsecond line")

    monkeypatch.delenv("STYLETX_CACHE", raising=False)
    monkeypatch.setattr(samples, "cache_folder", lambda: tmp_path / "user")
    monkeypatch.setattr(pooch, "retrieve", down)
    return attempts


@pytest.fixture
def tiny(monkeypatch) -> bytes:
    """The bytes of a picture that samples.json is made to list under starry-night's key."""
    data = images.to_png(torch.full((1, 3, 4, 6), 0.2))
    entry = {**LISTED[KEY], "sha256": hashlib.sha256(data).hexdigest()}
    monkeypatch.setattr(samples, "_entries", lambda: {**LISTED, KEY: entry})
    return data


def put(folder: Path, data: bytes) -> Path:
    path = folder / KEY
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# Names.


def test_names_by_kind_and_what_may_be_shown():
    photos = {"china", "flower", "astronaut", "chelsea", "coffee", "rocket", "kodak-23"}
    assert photos <= set(samples.names("photo"))
    assert {"starry-night", "great-wave", "the-scream"} <= set(samples.names("painting"))
    assert samples.names("texture") == ["brick", "grass", "gravel"]
    assert {"stained-glass", "woodcut", "mosaic"} <= set(samples.names("style"))
    every = samples.names()
    of_a_kind = [len(samples.names(kind)) for kind in ("photo", "painting", "texture", "style")]
    assert len(every) == len(set(every)) == sum(of_a_kind)
    hidden = set(every) - set(samples.names(showable=True))
    assert hidden == {"tubingen", "hoover-tower", "ocean-day", "ocean-sunset"}
    with pytest.raises(SampleError, match="photo, painting"):
        samples.names("sculpture")


def test_info_says_credit_and_licence_of_every_picture():
    for name in samples.names():
        sample = samples.info(name)
        assert sample.name == name and len(sample.credit) > 5 and sample.licence
        assert sample.source in {"made here", "scikit-learn", "scikit-image", "fetched"}
        assert sample.show or "unclear" in sample.licence
    assert "van Gogh" in samples.info("starry-night").credit
    assert samples.info("beach-city").credit == "beach-city, Pexels (CC0)"


@pytest.mark.parametrize("typed, meant", [("stary-night", "starry-night"), ("Mosaic", "mosaic"), ("kodak", "kodak-01")])
def test_unknown_names_suggest_the_nearest(typed, meant):
    for call in (samples.info, samples.load, samples.available):
        with pytest.raises(SampleError) as error:
            call(typed)
        assert meant in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(SampleError, match="nor a file"):
        samples.load(typed)
    with pytest.raises(SampleError, match="nor a file"):
        samples.load("x" * 5000)


def test_every_entry_is_complete():
    for key, entry in LISTED.items():
        assert set(entry) == {"url", "sha256", "bytes", "credit", "licence", "show"}
        assert entry["url"].startswith("https://") and len(entry["sha256"]) == 64 and key.count("/") == 2
    names = [Path(key).stem for key in LISTED if key.startswith("images/")]
    assert len(names) == len(set(names))


# What is here without a network.


def test_the_dependencies_pictures_load_with_no_network(bare):
    shapes = {
        "china": (427, 640),
        "flower": (427, 640),
        "astronaut": (512, 512),
        "chelsea": (300, 451),
        "coffee": (400, 600),
        "rocket": (427, 640),
        "brick": (512, 512),
    }
    for name, shape in shapes.items():
        assert samples.available(name)
        image = samples.load(name)
        assert image.shape == (1, 3, *shape) and image.dtype == torch.float32
        assert image.min() >= 0 and 0.7 < image.max() <= 1
    import skimage.data

    np.testing.assert_array_equal(images.to_array(samples.load("chelsea")), skimage.data.chelsea())
    assert not bare


def test_sizes_of_samples():
    assert samples.load("chelsea", size=100).shape[-2:] == images.fit_size(300, 451, 100)
    assert samples.load("chelsea", size=1000).shape[-2:] == (300, 451)
    assert samples.load("mosaic").shape[-2:] == (512, 512)
    assert samples.load("mosaic", size=64).shape[-2:] == (64, 64)
    for name in ("chelsea", "mosaic"):
        with pytest.raises(images.ImageError, match="size"):
            samples.load(name, size=0)


def test_what_is_available_with_nothing_but_the_package():
    ready = samples.names(available=True)
    assert {"china", "astronaut", "brick", "stained-glass"} <= set(ready)
    assert "starry-night" not in ready and not samples.available("starry-night")


def test_a_missing_dependency_says_so(monkeypatch):
    monkeypatch.setattr(samples, "_bundled_file", lambda name: None)
    assert not samples.available("china")
    with pytest.raises(SampleError, match="pip install scikit-learn"):
        samples.load("china")


def test_importing_is_light():
    code = (
        "import sys, styletx.samples as s; s.names(available=True); "
        "heavy = 'matplotlib', 'skimage', 'sklearn', 'pooch', 'ipywidgets'; "
        "print([m for m in heavy if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(samples.__file__).parents[1]
    )
    assert run.stdout.strip() == "[]"


# Paths, bytes and tensors.


def test_a_name_goes_before_a_file_and_a_path_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (6, 4), "red").save("mine.png")
    Image.new("RGB", (6, 4), "red").save("mosaic", "PNG")
    assert samples.load("mine.png")[0, :, 0, 0].tolist() == [1, 0, 0]
    assert samples.load(tmp_path / "mine.png", size=3).shape == (1, 3, 2, 3)
    assert samples.load("mosaic", size=20).shape[-2:] == (20, 20)
    assert samples.load("./mosaic").shape[-2:] == (4, 6)
    with pytest.raises(images.ImageError, match="folder"):
        samples.load(tmp_path)


def test_a_picture_however_it_is_given(tmp_path):
    image = torch.rand(1, 3, 8, 10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(samples.picture(image), image)
    assert samples.picture(image, size=5).shape == (1, 3, 4, 5)
    assert torch.equal(samples.picture(images.to_png(image)), torch.round(image * 255) / 255)
    assert torch.equal(samples.picture("mosaic", 32), samples.load("mosaic", 32))
    for bad in (image[0], image * float("nan"), image.expand(2, -1, -1, -1)):
        with pytest.raises(images.ImageError, match="style: a picture is"):
            samples.picture(bad, argument="style")


# Fetching.


def test_the_cache_folder_is_the_users(monkeypatch, tmp_path):
    platformdirs = pytest.importorskip("platformdirs")
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name, **_: str(tmp_path / name))
    assert CACHE_FOLDER() == tmp_path / "styletx"


def test_no_network_says_what_to_do(bare):
    with pytest.raises(SampleError) as error:
        samples.load("starry-night")
    text = str(error.value)
    for part in (KEY, "Connect once", "STYLETX_CACHE", "stained-glass", "china", "Failed to resolve"):
        assert part in text
    assert "\n" not in text and bare == [LISTED[KEY]["url"]]
    with pytest.raises(SampleError, match="could not be fetched") as error:
        samples.fetch("weights/vgg19-small/encoder1.pth")
    assert "stained-glass" not in str(error.value)


def test_a_lecture_falls_back_visibly(capsys, tiny, monkeypatch, tmp_path):
    image = samples.load_or("starry-night", "mosaic", size=48)
    assert torch.equal(image, samples.load("mosaic", 48))
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Note:")]
    assert len(notes) == 1 and "starry-night" in notes[0] and "mosaic" in notes[0]
    put(tmp_path, tiny)
    monkeypatch.setenv("STYLETX_CACHE", str(tmp_path))
    assert samples.load_or("starry-night", "mosaic").shape == (1, 3, 4, 6)
    assert capsys.readouterr().out == ""
    for pair in (("stary-night", "mosaic"), ("starry-night", "mosaik")):
        with pytest.raises(SampleError, match="no picture of that name"):
            samples.load_or(*pair)


def test_the_given_folder_comes_first_then_the_users(tiny, bare, monkeypatch, tmp_path):
    given, user = put(tmp_path / "given", tiny), put(tmp_path / "user", tiny)
    assert samples.fetch(KEY) == user
    monkeypatch.setenv("STYLETX_CACHE", str(tmp_path / "given"))
    assert samples.fetch(KEY) == given and samples.available("starry-night")
    assert samples.load("starry-night")[0, 0, 0, 0].item() == pytest.approx(0.2)
    monkeypatch.setenv("STYLETX_CACHE", str(tmp_path / "absent"))
    assert samples.fetch(KEY) == user and not bare


def test_a_damaged_file_is_never_used(tiny, bare, monkeypatch, tmp_path, capsys):
    damaged = put(tmp_path / "given", tiny[:-1] + b"x")
    monkeypatch.setenv("STYLETX_CACHE", str(tmp_path / "given"))
    assert not samples.available("starry-night")
    with pytest.raises(SampleError, match="damaged") as error:
        samples.fetch(KEY)
    assert str(damaged) in str(error.value) and "damaged" in capsys.readouterr().err and len(bare) == 1
    sound = put(tmp_path / "user", tiny)
    assert samples.fetch(KEY) == sound and len(bare) == 1


def test_a_download_is_asked_for_once_with_its_hash_credit_and_licence(tiny, monkeypatch, tmp_path, capsys):
    import pooch

    calls = []

    def retrieve(url, known_hash, fname, path, downloader):
        calls.append((url, known_hash))
        assert downloader.progressbar
        return str(put(tmp_path / "user", tiny))

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    for _ in range(2):
        assert samples.load("starry-night").shape == (1, 3, 4, 6)
    assert calls == [(LISTED[KEY]["url"], "sha256:" + hashlib.sha256(tiny).hexdigest())]
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 1 and LISTED[KEY]["credit"] in shown[0] and LISTED[KEY]["licence"] in shown[0]


def test_poochs_own_check_refuses_another_file(tiny, monkeypatch, tmp_path):
    """The real pooch, with a downloader that writes something else than what was published."""
    monkeypatch.undo()
    import pooch

    entry = {**LISTED[KEY], "sha256": hashlib.sha256(tiny).hexdigest()}
    served = {"data": b"something else"}
    monkeypatch.delenv("STYLETX_CACHE", raising=False)
    monkeypatch.setattr(samples, "_entries", lambda: {**LISTED, KEY: entry})
    monkeypatch.setattr(samples, "cache_folder", lambda: tmp_path / "user")
    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: lambda url, out, _: Path(out).write_bytes(served["data"]))
    with pytest.raises(SampleError, match="could not be fetched"):
        samples.fetch(KEY)
    assert not (tmp_path / "user" / KEY).exists()
    put(tmp_path / "user", b"a damaged download of yesterday")
    served["data"] = tiny
    assert samples.fetch(KEY).read_bytes() == tiny


def test_unknown_keys():
    with pytest.raises(SampleError, match="encoder5.pth"):
        samples.fetch("weights/vgg19-small/encoder6.pth")


@needs_shared
def test_the_shared_cache_is_what_samples_json_says(monkeypatch, bare):
    """Only where the shared cache lies beside the repository: elsewhere its files are not here."""
    monkeypatch.setenv("STYLETX_CACHE", str(SHARED))
    manifest = json.loads((SHARED / "manifest.json").read_text(encoding="utf-8"))
    assert {k: (v["url"], v["sha256"], v["bytes"]) for k, v in manifest.items()} == {
        k: (v["url"], v["sha256"], v["bytes"]) for k, v in LISTED.items()
    }
    for key, entry in LISTED.items():
        data = samples.fetch(key).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"] and len(data) == entry["bytes"]
    assert samples.names(available=True) == samples.names() and not bare


@needs_shared
def test_a_painting_and_scikit_images_texture(monkeypatch):
    monkeypatch.setenv("STYLETX_CACHE", str(SHARED))
    assert samples.load("starry-night", size=128).shape == (1, 3, *images.fit_size(1014, 1280, 128))
    assert torch.equal(samples.load("brick"), images.read(samples.fetch("images/texture/brick.png")))


def test_sizes_may_be_numpys():
    """What `for size in np.array([...])` gives."""
    run = gatys("china", "mosaic", size=np.int64(64), steps=np.int64(2), style_weight=np.float32(50), device="cpu")
    assert run.finish(progress=False).shape[-1] == 64
    assert len(gatys("china", "mosaic", size=np.int64(128), levels=np.int64(2), steps=4, device="cpu").schedule) == 2
    assert images.resize(torch.zeros(1, 3, 8, 4), np.int64(4)).shape == (1, 3, 4, 2)
    assert samples.load("china", size=np.int64(40)).shape[-1] == 40


def test_what_is_no_picture_at_all_is_said():
    with pytest.raises(images.ImageError, match="content: ndarray is no picture"):
        gatys(np.zeros((8, 8, 3)), "mosaic")


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    images.write(torch.full((1, 3, 4, 4), 0.5), tmp_path / "grey.png")
    assert samples.load("~/grey.png").shape == (1, 3, 4, 4)
    assert fingerprint("~/grey.png") == fingerprint(tmp_path / "grey.png")
