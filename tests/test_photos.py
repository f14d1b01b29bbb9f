"""styletx/training/photos.py and fit: which crops come when, what is passed over, and a network that learns."""

import signal

import pytest
import torch
from torch import nn

from styletx import Match, Objective, content_loss, gram_loss, load
from styletx.images import write
from styletx.losses import sliced_wasserstein
from styletx.training.fit import fit
from styletx.training.photos import Feed, Photos


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five photos in two folders, one of them damaged, and a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "inner").mkdir()
    for name in ("china", "flower", "coffee"):
        write(load(name, size=80), folder / f"{name}.jpg")
    write(load("rocket", size=70), folder / "inner" / "rocket.png")
    (folder / "damaged.jpg").write_bytes((folder / "china.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("not a photo")
    return folder


def test_seed_and_number_decide(folder):
    first, again, other = Photos(folder, 32), Photos(folder, 32), Photos(folder, 32, seed=1)
    assert all(torch.equal(first[n][0], again[n][0]) for n in (7, 0, 3))
    assert not all(torch.equal(first[n][0], other[n][0]) for n in range(4))
    crop = first[11][0]
    assert crop.shape == (3, 32, 32) and 0 <= float(crop.min()) <= float(crop.max()) <= 1


def test_every_photo_once_a_round(folder, monkeypatch):
    from styletx.training import photos as module

    asked = []
    monkeypatch.setattr(module.samples, "load", lambda path: asked.append(path.name) or torch.rand(1, 3, 40, 40))
    photos = Photos(folder, 32)
    for number in range(15):
        photos[number]
    rounds = [asked[0:5], asked[5:10], asked[10:15]]
    assert all(sorted(names) == sorted(p.name for p in photos.paths) for names in rounds)
    assert len({tuple(names) for names in rounds}) > 1


def test_a_damaged_photo_is_passed_over_and_named_once(folder, capsys):
    feed = Feed(Photos(folder, 32), 5)
    for _ in range(3):
        assert next(feed).shape == (5, 3, 32, 32)
    said = capsys.readouterr().out
    assert said.count("damaged.jpg cannot be read") == 1 and "1 so far" in said and len(feed.broken) == 1


def test_folders_without_photos_are_named(tmp_path):
    with pytest.raises(ValueError, match="no pictures in there"):
        Photos(tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        Photos(tmp_path / "typo")
    with pytest.raises(ValueError, match="chinna is neither"):
        Photos(["china", "chinna"])
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="none of 1 pictures"):
        Photos(tmp_path)[0]
    with pytest.raises(ValueError, match="side"):
        Photos(tmp_path, side=3)


def test_a_feed_goes_on_where_it_was(folder):
    whole = Feed(Photos(folder, 32), 3)
    batches = [next(whole) for _ in range(4)]
    part = Feed(Photos(folder, 32), 3)
    next(part), next(part)
    later = Feed(Photos(folder, 32), 3)
    later.load_state_dict(part.state_dict())
    assert torch.equal(next(later), batches[2]) and torch.equal(later.first()[:3], batches[0])
    assert len(later.first()) == 32 and len(Feed(Photos(folder, 512), 3).first()) == 8


@pytest.mark.slow
def test_workers_change_nothing(folder):
    alone, many = Feed(Photos(folder, 32), 2), Feed(Photos(folder, 32), 2, workers=2)
    for _ in range(3):
        assert torch.equal(next(alone), next(many))


def painter(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1), nn.Sigmoid()
    )  # fmt: skip


def objective():
    style = load("stained-glass", size=48)
    return Objective(Match(content_loss, "content", "relu2_1"), Match(gram_loss, style, "relu1_1", weight=3.0))


def test_a_network_learns_what_the_objective_asks(folder):
    network = painter()
    run = fit(network, objective(), Photos(folder, 32), steps=80, batch=2, rate=1e-2, device="cpu")
    steps = list(run)
    assert run.best["network"] is network and len(steps) == run.total == 80
    assert set(steps[0].losses) == {"content", "gram"}
    first, last = (sum(step.loss for step in part) for part in (steps[:5], steps[-5:]))
    assert last < 0.8 * first


def test_killed_and_gone_on_with_it_ends_with_the_same_weights(folder, tmp_path):
    """Denominators are those of the first batch, and the next photos are those that would have come."""
    whole = painter()
    fit(whole, objective(), Photos(folder, 32), steps=8, batch=2, device="cpu").finish(progress=False)
    options = dict(steps=8, batch=2, checkpoint=tmp_path / "run.pt", checkpoint_every=3, device="cpu")
    for step in fit(painter(), objective(), Photos(folder, 32), **options):
        if step.number == 5:
            break  # the last checkpoint is of step 3
    later = painter(seed=1)
    numbers = [step.number for step in fit(later, objective(), Photos(folder, 32), **options)]
    assert numbers == [4, 5, 6, 7, 8]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), later.parameters(), strict=True))


def test_stopped_it_keeps_what_it_has_learnt(folder, tmp_path):
    options = dict(steps=50, batch=1, checkpoint=tmp_path / "run.pt", device="cpu")
    run = fit(painter(), objective(), Photos(folder, 32), **options)
    next(run), next(run)
    run.stop()
    assert list(run) == [] and run.stopped and run.evaluations == 2
    assert next(fit(painter(), objective(), Photos(folder, 32), **options)).number == 3


def test_a_network_may_see_another_picture_than_it_is_compared_with(folder):
    """What it gets is `degrade` of the photo: here darkened, and a network that does nothing is then that far off."""
    seen = []

    class Identity(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(()))

        def forward(self, x):
            seen.append(x.detach())
            return x + self.shift

    pixels = Objective(Match(content_loss, "content", "input"), relative=False)
    photos = Photos(folder, 32)
    step = next(fit(Identity(), pixels, photos, steps=1, batch=2, degrade=lambda x: x / 2, device="cpu"))
    crops = torch.stack([photos[0][0], photos[1][0]])
    assert torch.equal(seen[-1], crops / 2)
    assert step.losses["content"] == pytest.approx(float((crops / 2).square().mean()), rel=1e-5)


def test_the_recipe_trains_saves_and_goes_on(folder, tmp_path, capsys):
    from styletx.networks.files import load_network
    from styletx.recipes.transform import main

    out = tmp_path / "waves.safetensors"
    given = ["--photos", str(folder), "--style", "waves", "--width", "2", "--side", "48", "--batch", "1"]
    given += ["--out", str(out), "--log", str(tmp_path / "log"), "--device", "cpu"]
    main([*given, "--steps", "2", "--preview", "china"])
    assert "step 0 of 2" in capsys.readouterr().out and (tmp_path / "waves.preview.jpg").is_file()
    table = (tmp_path / "log" / "log.csv").read_text().split()
    assert table[0].startswith("step,seconds,loss,content,style") and table[1].startswith("2,")
    assert load_network(out, device="cpu").settings["width"] == 2
    before = load_network(out, device="cpu").state_dict()
    out.unlink()
    main([*given, "--steps", "2"])  # it has ended: nothing is trained again, but what was lost is written
    assert "step 2 of 2" in capsys.readouterr().out and (tmp_path / "log" / "log.csv").read_text().split() == table
    again = load_network(out, device="cpu").state_dict()
    assert all(torch.equal(before[name], again[name]) for name in before)
    with pytest.raises(ValueError, match="of another training .style was waves"):
        main(["mosaic" if word == "waves" else word for word in given] + ["--steps", "3"])


def test_the_enlarging_recipe_trains(folder, tmp_path):
    """From a quarter of the side back to the whole: with a skip and no steps to speak of, it is bicubic."""
    from styletx.networks.files import load_network
    from styletx.networks.transform_net import SuperResolution
    from styletx.recipes.enlarge import main

    for loss in ("pixel", "perceptual"):
        given = [
            "--photos",
            str(folder),
            "--loss",
            loss,
            "--width",
            "4",
            "--side",
            "32",
            "--batch",
            "2",
            "--steps",
            "1",
        ]
        main([*given, "--rate", "1e-9", "--out", str(tmp_path / f"{loss}.safetensors"), "--device", "cpu"])
        network = load_network(tmp_path / f"{loss}.safetensors", "cpu")
        assert isinstance(network, SuperResolution) and network.factor == 4
        small = load("coffee", size=24)
        with torch.no_grad():
            bicubic = torch.nn.functional.interpolate(small, scale_factor=4, mode="bicubic")
            assert torch.allclose(network(small), bicubic.clamp(0, 1), atol=1e-3)
    begun = ["--begin", str(tmp_path / "pixel.safetensors"), "--out", str(tmp_path / "on.safetensors"), "--steps", "1"]
    main(["--photos", str(folder), "--side", "32", "--batch", "1", "--rate", "1e-9", *begun])
    one, other = (load_network(tmp_path / f"{name}.safetensors", "cpu") for name in ("pixel", "on"))
    assert one.settings == other.settings
    for name, value in one.state_dict().items():
        assert torch.allclose(value, other.state_dict()[name], atol=1e-4)
    with pytest.raises(ValueError, match="enlarges by 4, not by 2"):
        main(["--photos", str(folder), "--factor", "2", *begun])
    with pytest.raises(SystemExit):
        main(["--photos", str(folder), "--side", "30", "--out", str(tmp_path / "x.safetensors")])


def test_a_preview_is_what_the_network_makes(folder):
    """Every so many steps, and at the last, in evaluation mode; training goes on as without it."""
    photo, networks = load("coffee", size=40), [painter(), painter()]
    for network, preview in zip(networks, (photo, None), strict=True):
        run = fit(network, objective(), Photos(folder, 32), steps=5, batch=1, preview=preview, preview_every=2,
                  device="cpu")  # fmt: skip
        steps = list(run)
        assert network.training and [step.raw is not None for step in steps] == [
            preview is not None and number in (2, 4, 5) for number in range(1, 6)
        ]
    with torch.no_grad():
        assert torch.equal(networks[0].eval()(photo), networks[1].eval()(photo))
    shown = list(fit(networks[0], objective(), Photos(folder, 32), steps=1, batch=1, preview=photo, device="cpu"))[0]
    with torch.no_grad():
        assert torch.equal(shown.image, networks[0].eval()(photo).clamp(0, 1)) and shown.size == tuple(photo.shape[-2:])


def test_a_style_is_chosen_for_each_photo(folder):
    """The network is told which; what each is compared with is its own style: seen by one that paints a flat grey."""
    told = []

    class Grey(nn.Module):
        def __init__(self):
            super().__init__()
            self.level = nn.Parameter(torch.tensor(0.5))

        def forward(self, x, style):
            told.append(style)
            return self.level.expand(x.shape)

    styles = [torch.full((1, 3, 32, 32), 0.25), torch.full((1, 3, 32, 32), 1.0)]
    wanted = Objective(Match(gram_loss, styles, "input", choose="style"))
    steps = list(fit(Grey(), wanted, Photos(folder, 32), steps=3, batch=4, rate=1e-9, seed=3, device="cpu"))
    assert {0, 1} == set(torch.cat(told).tolist()) and all(chosen.shape == (4,) for chosen in told)
    errors = [(0.5**2 - a**2) ** 2 / a**4 for a in (0.25, 1.0)]  # a Gram matrix of a flat grey a is a² everywhere
    for step, chosen in zip(steps, told, strict=True):
        by_hand = sum(errors[k] for k in chosen.tolist()) / 4
        assert step.losses["gram"] == pytest.approx(by_hand, rel=1e-4)


def test_losses_that_are_drawn_anew_are_refused(folder):
    """A network cannot follow an objective that changes: nobody would tell it."""
    moving = Objective(Match(sliced_wasserstein(), load("waves", size=48), "relu2_1"))
    with pytest.raises(ValueError, match="drawn anew"):
        fit(painter(), moving, Photos(folder, 32), steps=1, device="cpu")


def test_ctrl_c_ends_after_the_step_and_saves(folder, tmp_path):
    options = dict(steps=50, batch=1, checkpoint=tmp_path / "run.pt", device="cpu")
    run = fit(painter(), objective(), Photos(folder, 32), **options)
    run.finish(progress=False, each=lambda step: step.number == 3 and signal.raise_signal(signal.SIGINT))
    assert run.stopped and run.evaluations == 3
    assert next(fit(painter(), objective(), Photos(folder, 32), **options)).number == 4
    with pytest.raises(KeyboardInterrupt):  # it is as it was before: nobody swallows another one
        signal.raise_signal(signal.SIGINT)


def test_a_checkpoint_of_other_photos_or_a_damaged_one_is_refused(folder, tmp_path):
    options = dict(steps=1, checkpoint=str(tmp_path / "run.pt"), device="cpu")
    fit(painter(), objective(), Photos(folder, 32), batch=1, **options).finish(progress=False)
    for photos, batch, word in ((Photos(folder, 48), 1, "side"), (Photos(folder, 32), 2, "batch")):
        network = painter(seed=5)
        before = [p.detach().clone() for p in network.parameters()]
        with pytest.raises(ValueError, match=f"another training .{word} was"):
            fit(network, objective(), photos, batch=batch, **options)
        assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    (tmp_path / "run.pt").write_bytes((tmp_path / "run.pt").read_bytes()[:500])
    with pytest.raises(ValueError, match="damaged"):
        fit(painter(), objective(), Photos(folder, 32), batch=1, **options)
