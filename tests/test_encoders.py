"""styletx/encoders: names, arithmetic and rescaling, against torchvision, autograd and hand-made numbers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models

from styletx import load, load_encoder, normalise
from styletx.encoders import ENCODERS, Affine, Encoder, EncoderError, Laplacian
from styletx.encoders.pretrained import NORMALISATION_PHOTOS, WEIGHTS

CHAINS = ("mini", "vgg16", "vgg19", "alexnet", "squeezenet1_1")


@pytest.fixture(scope="module")
def photo():
    return load("china", size=128)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHAINS[1:])
def test_torchvision_layouts_are_torchvisions(name, photo, tmp_path, monkeypatch):
    """Through the real loading code, from a file where torchvision keeps its downloads: same features as theirs."""
    torch.manual_seed(0)
    theirs = getattr(models, name)(weights=None).features.eval()
    state = {f"features.{key}": value for key, value in theirs.state_dict().items()}
    url = models.get_model_weights(name).IMAGENET1K_V1.url
    (tmp_path / "checkpoints").mkdir()
    torch.save(state, tmp_path / "checkpoints" / url.rsplit("/", 1)[-1])
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    ours = load_encoder(name, device="cpu")
    last = ours.layers[-1]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = theirs((photo - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1))
        assert torch.allclose(ours(photo, last)[last], expected, rtol=1e-4, atol=1e-5)


def test_no_network_says_what_to_do(monkeypatch, tmp_path):
    from urllib.error import URLError

    def unreachable(*args, **kwargs):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(EncoderError, match="alexnet could not be fetched.*checkpoints.*mini"):
        load_encoder("alexnet")


@pytest.mark.parametrize("name", CHAINS)
def test_one_run_stops_at_the_deepest_layer(name, photo):
    encoder = load_encoder(name, weights="random", device="cpu")
    middle, late = encoder.layers[4], encoder.layers[7]
    ran = []
    for step, module in encoder.steps.items():
        module.register_forward_hook(lambda *_, step=step: ran.append(step))
    features = encoder(photo, [late, "input", middle])
    assert set(features) == {late, "input", middle}
    assert features["input"] is photo
    assert len(ran) == len(set(ran)) and set(ran) <= set(encoder.layers[1:8])
    assert all(features[n].shape[1] == encoder.channels(n) for n in features)


def test_the_value_before_the_relu_survives(photo):
    encoder = load_encoder("mini", device="cpu")
    both = encoder(photo, ["conv2_1", "relu2_1"])
    assert float(both["conv2_1"].min()) < 0
    assert torch.equal(both["conv2_1"].relu(), both["relu2_1"])
    assert torch.equal(encoder(photo, "relu2_1")["relu2_1"], both["relu2_1"])


@pytest.mark.parametrize("name", CHAINS)
def test_receptive_field_is_the_gradients_support(name):
    encoder = load_encoder(name, weights="random", pooling="avg", device="cpu").double()
    for layer in (encoder.layers[3], encoder.layers[6]):
        size, stride = encoder.receptive_field(layer)
        side = 2 * size + 4 * stride + 16
        generator = torch.Generator().manual_seed(0)
        image = torch.rand(1, 3, side, side, generator=generator, dtype=torch.float64, requires_grad=True)
        features = encoder(image, layer)[layer]
        row, column = features.shape[-2] // 2, features.shape[-1] // 2
        # Several channels: a single one may be switched off at this place.
        (slope,) = torch.autograd.grad(features[0, :, row, column].sum(), image)
        rows = slope[0].abs().sum((0, 2)).nonzero().flatten()
        assert int(rows[-1] - rows[0]) + 1 <= size
        if not layer.startswith("fire"):
            assert int(rows[-1] - rows[0]) + 1 == size
        (neighbour,) = torch.autograd.grad(encoder(image, layer)[layer][0, :, row + 1, column].sum(), image)
        assert int(neighbour[0].abs().sum((0, 2)).nonzero()[0] - rows[0]) == stride


def test_receptive_fields_of_vgg19_by_the_literature():
    encoder = load_encoder("vgg19", weights="random", device="cpu")
    known = {"relu1_1": (3, 1), "relu2_1": (10, 2), "relu3_1": (24, 4), "relu4_1": (68, 8), "relu5_1": (156, 16)}
    assert {layer: encoder.receptive_field(layer) for layer in known} == known


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("name", ["mini", "alexnet"])
def test_normalised_means_are_one_and_the_network_is_the_same(name, pooling):
    photos = [load(n, size=96).double() for n in NORMALISATION_PHOTOS]
    weights = None if name == "mini" else "random"
    plain = load_encoder(name, weights=weights, pooling=pooling, device="cpu").double()
    scaled = normalise(load_encoder(name, weights=weights, pooling=pooling, device="cpu").double(), photos)
    relus = [n for n in plain.layers if n.startswith("relu")]
    for layer in relus:
        alive = [c for c in range(plain.channels(layer)) if c not in scaled.dead.get(layer, [])]
        cloud = torch.cat([scaled(p, layer)[layer][0].flatten(1) for p in photos], 1)[alive]
        assert torch.allclose(cloud.mean(1), torch.ones(len(alive)).double(), atol=1e-4)
    last = relus[-1]
    before = torch.cat([plain(p, last)[last][0].flatten(1) for p in photos], 1)
    after = torch.cat([scaled(p, last)[last][0].flatten(1) for p in photos], 1)
    factors = (after * before).sum(1) / before.square().sum(1).clamp(min=1e-20)  # least squares, channel by channel
    alive = before.sum(1) > 0
    assert bool((factors[alive] > 0).all())
    assert torch.allclose(after[alive], factors[alive, None] * before[alive], rtol=1e-6, atol=1e-9)


def test_a_dead_filter_keeps_its_scale_and_is_listed():
    encoder = load_encoder("mini", weights="random", device="cpu")
    encoder.steps["conv2_1"].weight[3] = -1.0  # after a ReLU all inputs are ≥ 0: it never fires
    encoder.steps["conv2_1"].bias[3] = -0.5
    normalise(encoder, [load("coffee", size=64)])
    assert 3 in encoder.dead["relu2_1"]
    assert float(encoder.steps["conv2_1"].bias[3]) == -0.5


def test_normalised_by_name_uses_the_photos_that_are_always_there(monkeypatch):
    asked = []
    monkeypatch.setattr("styletx.samples.load", lambda n, size=None: asked.append(n) or torch.rand(1, 3, 64, 64))
    load_encoder("mini", normalised=True, device="cpu")
    assert tuple(asked) == NORMALISATION_PHOTOS
    with pytest.raises(EncoderError, match="branches"):
        load_encoder("squeezenet1_1", weights="random", normalised=True, device="cpu")


def test_switches_undo_the_pooling(photo):
    encoder = load_encoder("mini", device="cpu")
    features = encoder(photo, ["relu1_2", "relu3_1"], switches=True)
    indices, size = features["switches"]["pool1"]
    pooled, expected = F.max_pool2d(features["relu1_2"], 2, return_indices=True)
    assert torch.equal(indices, expected) and tuple(size) == tuple(photo.shape[-2:])
    assert F.max_unpool2d(pooled, indices, 2, output_size=size).count_nonzero() == pooled.count_nonzero()
    assert set(features["switches"]) == {"pool1", "pool2"}


def test_average_pooling_by_hand():
    step = nn.Conv2d(3, 1, 1, bias=False)
    encoder = Encoder("tiny", {"conv1": step, "pool1": nn.AvgPool2d(2)}, Affine([0, 0, 0], [1, 1, 1]), "avg")
    step.weight.copy_(torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1))
    image = torch.arange(12.0).view(1, 3, 2, 2)
    assert float(encoder(image, "pool1")["pool1"]) == pytest.approx(1 * 1.5 + 2 * 5.5 + 3 * 9.5)
    kinds = {p: type(load_encoder("mini", weights="random", pooling=p).steps["pool2"]) for p in ("max", "avg")}
    assert kinds == {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


def test_laplacian_bands_add_up_to_the_picture(photo):
    pyramid = load_encoder("laplacian", device="cpu")
    features = pyramid(photo, pyramid.layers)
    picture = features["lowpass"]
    for level in reversed(range(1, Laplacian.LEVELS + 1)):
        band = features[f"band{level}"]
        picture = band + Laplacian.expand(picture, band.shape[-2:])
    assert torch.allclose(picture, photo, atol=1e-5)
    assert [features[f"band{k}"].shape[-1] for k in (1, 2, 3)] == [128, 64, 32]


def test_laplacian_of_a_constant_is_nothing_but_its_lowpass():
    features = load_encoder("laplacian", device="cpu")(torch.full((1, 3, 64, 64), 0.3), ["band1", "band4", "lowpass"])
    assert float(features["band1"].abs().max()) < 1e-6 and float(features["band4"].abs().max()) < 1e-6
    assert torch.allclose(features["lowpass"], torch.tensor(0.3), atol=1e-6)


@pytest.mark.parametrize("name", ["mini", "vgg16", "alexnet", "laplacian"])
def test_smallest_picture_works_and_one_less_is_refused(name):
    encoder = load_encoder(name, **({} if name in ("mini", "laplacian") else {"weights": "random"}), device="cpu")
    for layer in (encoder.layers[1], encoder.layers[-1]):
        least = encoder.smallest(layer)
        assert encoder(torch.rand(1, 3, least, least), layer)[layer].isfinite().all()
        if least > 1:
            with pytest.raises(EncoderError, match=f"at least {least}"):
                encoder(torch.rand(1, 3, least - 1, least), layer)


def test_an_encoder_that_is_given_stays_where_it_is():
    encoder = load_encoder("mini", device="cpu").to("meta")
    assert load_encoder(encoder) is encoder and encoder.device.type == "meta"


def test_nothing_learns(photo):
    encoder = load_encoder("mini", device="cpu")
    x = photo.clone().requires_grad_(True)
    encoder(x, "relu5_1")["relu5_1"].sum().backward()
    assert all(not p.requires_grad and p.grad is None for p in encoder.parameters())
    assert not encoder.training and float(x.grad.abs().sum()) > 0


def test_public_weights_load_and_agree_with_their_own_layout(shared_cache, photo):
    """The first 1×1 convolution makes BGR 0–255 minus mean; then VGG-19, checked by hand at the first layer."""
    state = torch.load(shared_cache / "weights/vgg19-normalised/encoder1.pth", map_location="cpu", weights_only=True)
    values = list(state.values())
    bgr = 255 * photo.flip(1) + values[1].view(1, 3, 1, 1)
    expected = F.conv2d(F.pad(bgr, (1, 1, 1, 1), mode="reflect"), values[2], values[3]).relu()
    ours = load_encoder("vgg19-normalised", device="cpu")(photo, "relu1_1")["relu1_1"]
    assert torch.allclose(ours, expected, rtol=1e-2, atol=1e-3)
    small = load_encoder("vgg19-small", device="cpu")
    assert small.layers[-1] == "relu5_1" and load_encoder("vgg19-normalised").layers[-1] == "relu3_1"
    assert small(photo, "relu5_1")["relu5_1"].shape == (1, 128, 5, 8)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("vgg91",), 'no encoder "vgg91".*vgg19'),
        (("mini", {"pooling": "median"}), "median"),
        (("laplacian", {"normalised": True}), "laplacian"),
        (("mini", {"device": "warp"}), "warp"),
    ],
)
def test_bad_arguments(arguments, message):
    name, options = arguments[0], arguments[1] if len(arguments) > 1 else {}
    with pytest.raises(ValueError, match=message):
        load_encoder(name, **options)


def test_unknown_layers_name_the_nearest(photo):
    encoder = load_encoder("mini", device="cpu")
    with pytest.raises(EncoderError, match='no layer "relu4_7" in mini; it has relu4_'):
        encoder(photo, "relu4_7")
    with pytest.raises(EncoderError, match="none given"):
        encoder(photo, [])


def test_damaged_weights_are_refused(tmp_path):
    whole = (WEIGHTS / "mini.safetensors").read_bytes()
    for name, data in {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"no weights at all"}.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(data)
        with pytest.raises(EncoderError, match="damaged"):
            load_encoder("mini", weights=path)
    (tmp_path / "bad.pth").write_bytes(b"nonsense")
    with pytest.raises(EncoderError, match="damaged"):
        load_encoder("vgg16", weights=tmp_path / "bad.pth")
    with pytest.raises(EncoderError, match="there is no file"):
        load_encoder("mini", weights=tmp_path / "nowhere.safetensors")


def test_weights_that_do_not_fit_or_are_not_finite(tmp_path):
    from safetensors.torch import load_file, save_file

    state = load_file(WEIGHTS / "mini.safetensors")
    save_file({k: v[:1].clone() for k, v in state.items()}, tmp_path / "narrow.safetensors")
    with pytest.raises(EncoderError, match="do not fit mini"):
        load_encoder("mini", weights=tmp_path / "narrow.safetensors")
    save_file({k: v * float("nan") for k, v in state.items()}, tmp_path / "nan.safetensors")
    with pytest.raises(EncoderError, match="not finite"):
        load_encoder("mini", weights=tmp_path / "nan.safetensors")


def test_names_and_size_of_the_package_weights():
    assert (WEIGHTS / "mini.safetensors").stat().st_size <= 2_000_000
    assert next(iter(ENCODERS)) == "mini"


def test_an_encoder_given_is_normalised_or_it_is_said():
    """The paper's weights are for normalised filters: one that is not must not pass silently."""
    plain = load_encoder("mini", device="cpu")
    with pytest.raises(EncoderError, match="normalised: the encoder given is not"):
        load_encoder(plain, normalised=True)
    rescaled = load_encoder("mini", normalised=True, device="cpu")
    assert load_encoder(rescaled, normalised=True) is rescaled
