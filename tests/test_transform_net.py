"""styletx/networks/transform_net.py: the paper's tables, sizes, and what each part is for."""

import pytest
import torch
from torch import nn

from styletx import load, resize
from styletx.networks.files import load_network, save_network
from styletx.networks.transform_net import NORMS, UPSAMPLING, Convolution, Residual, SuperResolution, TransformNet


def count(module):
    return sum(p.numel() for p in module.parameters())


def convolution(inside, outside, kernel, norm=True):
    """Parameters of one, by hand: filters, biases, and a scale and a shift for each channel."""
    return inside * outside * kernel**2 + outside + 2 * outside * norm


def test_the_style_networks_table():
    """Johnson et al. 2016, supplement, table 1, added up by hand; 1.68 million at the paper's width."""
    expected = convolution(3, 32, 9) + convolution(32, 64, 3) + convolution(64, 128, 3)
    expected += 10 * convolution(128, 128, 3) + convolution(128, 64, 3) + convolution(64, 32, 3)
    expected += convolution(32, 3, 9, norm=False)
    for upsampling in UPSAMPLING:
        for norm in ("instance", "batch"):
            assert count(TransformNet(norm=norm, upsampling=upsampling)) == expected == 1_679_235
    assert count(TransformNet(width=8)) < expected / 14


def test_the_enlarging_networks_table():
    expected = convolution(3, 64, 9) + 8 * convolution(64, 64, 3) + convolution(64, 3, 9, norm=False)
    for factor, doublings in ((2, 1), (4, 2), (8, 3)):
        assert count(SuperResolution(factor)) == expected + doublings * convolution(64, 64, 3)


@pytest.mark.parametrize("upsampling", UPSAMPLING)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("size", [(64, 64), (37, 50), (21, 35)])
def test_any_size_comes_back_in_range(size, norm, upsampling):
    network = TransformNet(width=4, norm=norm, upsampling=upsampling, blocks=2)
    image = torch.rand(2, 3, *size)
    more = [-side % 4 for side in size]
    bottom = torch.cat([image, *[image[..., -1:, :]] * more[0]], -2)  # the last row and column repeated, by hand
    whole = torch.cat([bottom, *[bottom[..., -1:]] * more[1]], -1)
    with torch.no_grad():
        made, expected = network(image), network(whole)
    assert made.shape == (2, 3, *size) and torch.equal(made, expected[..., : size[0], : size[1]])
    with pytest.raises(ValueError, match="at least 8"):
        network(image[..., :7])


@pytest.mark.parametrize("upsampling", UPSAMPLING)
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_enlarged_by_the_factor(factor, upsampling):
    made = SuperResolution(factor, width=8, upsampling=upsampling)(torch.rand(1, 3, 12, 17))
    assert made.shape == (1, 3, 12 * factor, 17 * factor)


def test_with_a_skip_it_begins_as_bicubic():
    photo = load("china", size=48)
    network = SuperResolution(4, width=8, skip=True)
    with torch.no_grad():
        made = network(photo)
    expected = resize(photo, (photo.shape[-2] * 4, photo.shape[-1] * 4))  # which also holds it in the photo's range
    assert torch.allclose(made.clamp(photo.min(), photo.max()), expected, atol=1e-5)


def test_a_residual_block_that_does_nothing_keeps_the_features():
    """No ReLU behind the sum: with its second filters at zero, what goes in comes out, negative values too."""
    block = Residual(3, "none")
    nn.init.zeros_(block.second.filters.weight)
    nn.init.zeros_(block.second.filters.bias)
    x = torch.randn(1, 3, 9, 9)
    assert torch.equal(block(x), x)


def test_transposed_convolution_leaves_a_checkerboard_and_nearest_none():
    """Filters of ones on a constant: how many of them a pixel gets depends on its place, or does not."""
    x = torch.ones(1, 1, 8, 8)
    for upsampling, values in (("transposed", {1.0, 2.0, 4.0}), ("nearest", {9.0})):
        layer = Convolution(1, 1, 3, upsampling=upsampling, norm="none")
        nn.init.ones_(layer.filters.weight)
        nn.init.zeros_(layer.filters.bias)
        inner = layer(x)[..., 2:-2, 2:-2].detach()
        assert set(inner.flatten().tolist()) == values


def test_instance_norm_does_not_see_the_contrast():
    """The first convolution mirrors its border, so a·x + b gives the same picture (to eps); a batch's norm sees it."""
    photo, other = load("china", size=64), load("stained-glass", size=64)[..., : load("china", size=64).shape[-2], :]
    for norm, same in (("instance", True), ("batch", False)):
        torch.manual_seed(0)
        network = TransformNet(width=4, norm=norm, blocks=1)
        with torch.no_grad():
            plain, pale = (network(torch.cat([x, other]))[0] for x in (photo, 0.5 * photo + 0.2))
        assert (float((plain - pale).abs().max()) < 1e-2) is same


@pytest.mark.parametrize(
    ("make", "word"),
    [(lambda: TransformNet(width=0), "width"), (lambda: TransformNet(norm="layer"), "norm"),
     (lambda: TransformNet(upsampling="bicubic"), "upsampling"), (lambda: SuperResolution(3), "power of two"),
     (lambda: SuperResolution(1), "factor")],
)  # fmt: skip
def test_bad_arguments_are_named(make, word):
    with pytest.raises(ValueError, match=word):
        make()


@pytest.mark.parametrize("make", [lambda: TransformNet(width=4, blocks=1), lambda: SuperResolution(2, width=4)])
def test_a_file_brings_the_network_back(tmp_path, make):
    """Weights in half precision, and settings: the same picture to what half precision leaves."""
    torch.manual_seed(0)
    network, photo = make().eval(), load("china", size=48)
    save_network(network, tmp_path / "n.safetensors", {"style": "waves"})
    again = load_network(tmp_path / "n.safetensors", device="cpu")
    assert type(again) is type(network) and again.settings == network.settings and not again.training
    with torch.no_grad():
        assert torch.allclose(again(photo), network(photo), atol=2e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["n.safetensors"]


def test_files_that_are_no_such_network_are_named(tmp_path):
    """Of another width than they say, of an encoder, and none at all."""
    from safetensors.torch import load_file, save_file

    from styletx.encoders import WEIGHTS, EncoderError

    path = tmp_path / "n.safetensors"
    save_network(TransformNet(width=4, blocks=1), path)
    weights = {name: value.clone() for name, value in load_file(path).items()}
    save_file(weights, path, metadata={"kind": "style", "settings": '{"width": 8, "blocks": 1}'})
    for wrong in (path, WEIGHTS / "mini.safetensors"):
        with pytest.raises(EncoderError, match="no network that paints"):
            load_network(wrong)
    with pytest.raises(EncoderError, match="there is no file"):
        load_network(tmp_path / "nothing.safetensors")
