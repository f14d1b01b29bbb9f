"""styletx/networks/texture_net.py, methods/textures.py: any size, circles, what is alike, a training that learns."""

import pytest
import torch

from styletx import cli, images, load, texture, train_texture
from styletx.encoders import EncoderError
from styletx.losses import gram_loss
from styletx.methods import record as records
from styletx.methods.textures import TEXTURES, sample, texture_network
from styletx.networks.files import load_network, save_network
from styletx.networks.texture_net import TextureNet, closeness
from styletx.networks.transform_net import TransformNet
from styletx.training.fit import falling, fit
from styletx.training.photos import Photos


def block(into, channels):
    """Parameters of one, by hand: 3×3, 3×3 and 1×1 filters, and a scale and a shift for each of three norms."""
    return 9 * into * channels + 9 * channels**2 + channels**2 + 3 * 2 * channels


def test_the_papers_network():
    """Figure 2 of the paper, added up by hand: five noises, joins of 8 + 8 … 32 + 8, and 40 channels to three."""
    expected = 5 * block(3, 8) + sum(block(8 * k, 8 * k) for k in (2, 3, 4, 5))
    expected += sum(2 * 8 * (k - 1) + 2 * 8 for k in (2, 3, 4, 5)) + 40 * 3 + 3
    assert sum(p.numel() for p in TextureNet().parameters()) == expected
    six = TextureNet(6, content=True)
    assert len(six.inputs) == 6 and six.inputs[0][0].weight.shape == (8, 6, 3, 3)


@pytest.mark.parametrize("size", [(64, 64), (50, 70), (16, 33)])
def test_any_size_from_noise_of_that_size(size):
    network = TextureNet(4, 2).eval()
    noise = network.noise(2, size, torch.Generator().manual_seed(0))
    rounded = [-(-side // 8) * 8 for side in size]
    assert [tuple(z.shape) for z in noise] == [(2, 3, rounded[0] >> k, rounded[1] >> k) for k in range(4)]
    assert all(float(z.min()) >= 0 and float(z.max()) <= 1 for z in noise)
    with torch.no_grad():
        made = network(noise)
        assert made.shape == (2, 3, *rounded) and sample(network, size).shape == (1, 3, *size)
    assert float(made.min()) >= 0 and float(made.max()) <= 1
    photo = torch.rand(2, 3, *size)
    with torch.no_grad():
        assert TextureNet(4, 2, content=True, padding="reflect")(noise, photo).shape == photo.shape


def test_noise_that_moves_in_a_circle_moves_the_texture():
    network = TextureNet(3, 2).eval()
    noise = network.noise(1, (32, 48), torch.Generator().manual_seed(1))
    moved = [torch.roll(z, (8 >> k, 12 >> k), dims=(-2, -1)) for k, z in enumerate(noise)]
    with torch.no_grad():
        assert torch.allclose(torch.roll(network(noise), (8, 12), dims=(-2, -1)), network(moved), atol=1e-5)


def test_the_same_seed_is_the_same_sample():
    network = TextureNet(3, 2).eval()
    with torch.no_grad():
        assert torch.equal(sample(network, (32, 32), 4), sample(network, (32, 32), 4))
        assert not torch.equal(sample(network, (32, 32), 4), sample(network, (32, 32), 5))


def test_what_goes_in_must_fit():
    plain, painting = TextureNet(2, 2), TextureNet(2, 2, content=True)
    noise = plain.noise(1, (16, 16))
    for call, words in (
        (lambda: plain(noise[:1]), "right would be sizes"),
        (lambda: plain([noise[0], noise[0]]), "right would be sizes"),
        (lambda: plain([]), "right would be sizes"),
        (lambda: plain([torch.rand(1, 3, 15, 16), torch.rand(1, 3, 7, 8)]), "right would be sizes"),
        (lambda: painting(noise, torch.rand(1, 3, 18, 16)), "right would be sizes"),
        (lambda: plain(noise, torch.rand(1, 3, 16, 16)), "takes no photo"),
        (lambda: painting(noise), "takes a photo"),
        (lambda: TextureNet(0), "scales"),
        (lambda: TextureNet(padding="mirror"), "padding"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_closeness_by_hand():
    """Minus the mean logarithm of the distance to the nearest, per value; its gradient is finite where all agree."""
    images = torch.tensor([0.0, 0.3, 1.0]).reshape(3, 1, 1, 1).expand(3, 3, 4, 5)
    expected = -torch.tensor([0.3, 0.3, 0.7]).log().mean()
    assert torch.allclose(closeness(images), expected, atol=1e-5)
    same = torch.full((3, 3, 4, 5), 0.5, requires_grad=True)
    closeness(same).backward()
    assert same.grad.isfinite().all() and closeness(same[:1]).item() == 0


def test_the_papers_schedule():
    """ERRATA 16: × 0.7 at iteration 1000 of 2000, and again every 200."""
    expected = {0: 1, 999: 1, 1000: 0.7, 1199: 0.7, 1200: 0.49, 1400: 0.343, 1999: 0.7**5}
    for step, factor in expected.items():
        assert falling(step, 2000) == pytest.approx(factor), step


@pytest.mark.slow
def test_a_network_learns_a_texture(tmp_path):
    """Its loss falls by half in 25 steps; the file that it writes makes what was shown; stopped, it goes on alike."""
    out, options = tmp_path / "waves.safetensors", {"batch": 2, "size": 48, "rate": 0.03, "schedule": "one-cycle"}
    options |= {"scales": 3, "width": 4, "device": "cpu"}
    run = train_texture("waves", steps=25, out=out, **options)
    losses = [step.loss for step in run]
    assert sum(losses[-3:]) / 3 < losses[0] / 2
    network = texture_network(out, "cpu")
    with torch.no_grad():  # half precision in the file
        assert float((sample(network, (48, 48)) - run.best).abs().max()) < 0.05
    kept = tmp_path / "on.pt"
    begun = train_texture("waves", steps=25, checkpoint=kept, **options)
    for step in begun:
        if step.number == 10:
            begun.stop()
    again = train_texture("waves", steps=25, checkpoint=kept, **options).finish(progress=False)
    assert torch.equal(again, run.best)
    with pytest.raises(ValueError, match="checkpoint|damaged"):
        train_texture("mosaic", steps=25, checkpoint=kept, **options)


@pytest.mark.slow
def test_diversity_pushes_samples_apart(tmp_path):
    """With the term, samples' nearest neighbours are further away; nothing else differs between the trainings."""
    apart = []
    for weight in (0.0, 1.0):
        out = tmp_path / f"{weight}.safetensors"
        train_texture("waves", steps=25, batch=3, size=32, rate=0.03, schedule="one-cycle", scales=3, width=4,
                      diversity=weight, out=out, device="cpu").finish(progress=False)  # fmt: skip
        network = texture_network(out, "cpu")
        with torch.no_grad():
            drawn = torch.cat([sample(network, (32, 32), seed) for seed in range(6)]).flatten(1)
        apart.append(float(torch.cdist(drawn, drawn).fill_diagonal_(torch.inf).amin(1).mean()))
    assert apart[1] > 1.2 * apart[0]


def test_one_that_takes_a_photo_is_trained_by_fit(tmp_path):
    """fit gives it noise of its own generator: the same training twice is the same network."""
    from styletx.methods.gatys import gatys_objective

    found = []
    for _ in range(2):
        torch.manual_seed(0)
        network = TextureNet(2, 2, content=True, norm="instance", padding="reflect")
        photos = Photos(["china", "coffee"], 32)
        run = fit(network, gatys_objective("content", load("waves", size=64)), photos, steps=3, batch=2, device="cpu",
                  preview=load("china", size=32), preview_every=1)  # fmt: skip
        steps = list(run)
        assert steps[-1].raw.shape[1] == 3
        found.append([p.detach().clone() for p in network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("name", TEXTURES)
def test_those_that_ship_have_learnt(name):
    """Three samples of each are 20 times nearer to the texture, by Gram matrices, than noise of its colours is."""
    from styletx import Match, Objective, load_encoder
    from styletx.methods.gatys import STYLE_LAYERS
    from styletx.samples import available

    if not available(name):
        pytest.skip("the picture is not here")
    target, network = load(name), texture_network(name, "cpu")
    bound = Objective(Match(gram_loss, target, STYLE_LAYERS)).at((192, 192), load_encoder("mini", device="cpu"))
    mean, spread = target.mean((2, 3), keepdim=True), target.std((2, 3), keepdim=True)
    noise = (mean + spread * torch.randn(1, 3, 192, 192, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    with torch.no_grad():
        made = [sample(network, (192, 192), seed) for seed in range(3)]
        values = [float(sum(bound(one).values())) for one in (*made, noise)]
    assert max(values[:3]) < values[3] / 20
    assert min(float((a - b).abs().mean()) for a, b in ((made[0], made[1]), (made[1], made[2]))) > 0.05


@pytest.mark.slow
def test_from_the_shell_and_again(tmp_path, capsys):
    path, out = tmp_path / "own.safetensors", tmp_path / "t.png"
    save_network(TextureNet(3, 2), path)
    given = ["texture", "--texture", str(path), "--size", "40", "--ratio", "2", "--seed", "3"]
    assert cli.main([*given, "-o", str(out), "--device", "cpu", "--quiet"]) == 0
    made = images.read(out)
    assert made.shape == (1, 3, 20, 40)
    name, pictures, arguments = records.again(out)
    assert name == "texture"
    assert float((texture(**pictures, **arguments, device="cpu") - made).abs().max()) <= 0.5 / 255 + 1e-6
    assert texture(texture=path, size=40, ratio=0.5).shape == (1, 3, 40, 20)
    assert isinstance(load_network(path, "cpu"), TextureNet)
    save_network(TransformNet(2, blocks=0), tmp_path / "style.safetensors")
    save_network(TextureNet(2, 2, content=True), tmp_path / "photo.safetensors")
    for wrong, words in (
        ("pebbles", "no texture of that name; there is starry-night"),
        (str(tmp_path / "style.safetensors"), "not a network that makes textures"),
        (str(tmp_path / "photo.safetensors"), "not a network that makes textures"),
        (str(tmp_path / "none.safetensors"), "there is no file"),
    ):
        with pytest.raises(EncoderError, match=words):
            texture(texture=wrong)
    for wrong, words in (
        ({"schedule": "up"}, "schedule"),
        ({"loss": "reshuffle"}, "cannot follow it"),
        ({"size": 64, "scales": 7}, "a single position"),
        ({"steps": 0}, "steps"),
        ({"out": "x.pt"}, "out"),
    ):
        with pytest.raises(ValueError, match=words):
            train_texture("waves", **wrong)
