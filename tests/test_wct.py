"""styletx/methods/wct.py and photo_wct.py: covariances after encoding, masks, sizes, bad input."""

import numpy as np
import pytest
import torch

from styletx import load, load_encoder
from styletx.encoders import EncoderError
from styletx.images import ImageError, resize, write
from styletx.methods.photo_wct import photo_wct
from styletx.methods.smoothing import smooth
from styletx.methods.wct import adain, at_area, move, one_shot, padded, wct
from styletx.networks.decoders import load_pairs
from styletx.statistics import gram, moments


@pytest.fixture(scope="module")
def photo():
    return load("china", size=192)


@pytest.fixture(scope="module")
def painting():
    return load("stained-glass", size=192)


def style_distance(image, style, layer="relu3_1"):
    encoder = load_encoder("mini", device="cpu")
    mine, theirs = (gram(encoder(one, layer)[layer]) for one in (image, style))
    return float((mine - theirs).square().sum() / theirs.square().sum())


@pytest.mark.parametrize("layer", ["relu1_1", "relu3_1", "relu5_1"])
def test_what_is_decoded_has_the_styles_mean_and_covariance(layer, photo, painting):
    """`move` with a decoder that hands the features through: NumPy's mean and covariance of them are the style's."""
    pair = load_pairs("mini", layer, device="cpu")[0]
    handed = {}

    class Spy:
        encoder, encode = pair.encoder, staticmethod(pair.encode)

        def decode(self, features, switches):
            handed["features"] = features
            return photo

    spy = Spy()
    spy.layer = layer
    deep = layer == "relu5_1"  # its features need a larger picture to have positions enough for every direction
    small, other = (load("coffee", size=640), load("stained-glass", size=640)) if deep else (photo, painting)
    small = small[..., : small.shape[-2] // 16 * 16, : small.shape[-1] // 16 * 16]
    move(spy, small, [other])
    mine = handed["features"][0].flatten(1).double().numpy()
    theirs = pair.encoder(other, layer)[layer][0].flatten(1).double().numpy()
    np.testing.assert_allclose(mine.mean(1), theirs.mean(1), atol=1e-3 * np.abs(theirs).max())
    assert mine.shape[1] > 4 * mine.shape[0]
    wanted = np.cov(theirs, bias=True)
    assert np.abs(np.cov(mine, bias=True) - wanted).max() <= 2e-2 * np.abs(wanted).max()


def test_the_style_gets_nearer_and_deeper_levels_first_is_better(photo, painting):
    before = style_distance(photo, painting)
    made = wct(photo, painting, size=192, strength=1.0)
    other = wct(photo, painting, size=192, strength=1.0, order="fine to coarse")
    assert style_distance(made, painting) < 0.5 * before
    assert style_distance(made, painting) < style_distance(other, painting)


def test_style_equal_to_content_is_the_reconstruction(photo):
    """The transform is then the identity, so that what comes out is what encoding and decoding give."""
    for layer in ("relu1_1", "relu3_1"):
        pair = load_pairs("mini", layer, device="cpu")[0]
        with torch.no_grad():
            plain = pair(padded(photo))[..., : photo.shape[-2], : photo.shape[-1]].clamp(0, 1)
        made = one_shot(
            photo, padded(photo), [pair], size=192, style_scale=(padded(photo).numel() / photo.numel()) ** 0.5
        )
        assert (made - plain).abs().max() < 0.02


def test_strength_zero_is_the_reconstruction(photo, painting):
    pair = load_pairs("mini", "relu2_1", device="cpu")[0]
    with torch.no_grad():
        plain = pair(padded(photo))[..., : photo.shape[-2], : photo.shape[-1]].clamp(0, 1)
    assert (one_shot(photo, painting, [pair], size=192, strength=0.0) - plain).abs().max() < 1e-4


def test_adain_exchanges_moments(photo, painting):
    """With a decoder that hands the features through, mean and spread of each channel are the style's.

    A channel that is all but the same all over the content (variance below 1e-5 of the largest) has no spread to
    exchange, and gets the style's mean.
    """
    from styletx.whitening import gaussian, transfer

    encoder = load_encoder("mini", device="cpu")
    mine, theirs = (encoder(one, "relu4_1")["relu4_1"] for one in (photo, painting))
    made = transfer(mine, gaussian(theirs), how="diagonal")
    variance = mine[0].flatten(1).var(1)
    flat = variance < 1e-5 * variance.max()
    assert flat.float().mean() < 0.05
    torch.testing.assert_close(moments(made)[..., ~flat], moments(theirs)[..., ~flat], rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(made[0, flat].mean((1, 2)), theirs[0, flat].mean((1, 2)), rtol=2e-3, atol=2e-3)
    assert style_distance(adain(photo, painting, size=192, layer="relu3_1"), painting) < style_distance(photo, painting)


@pytest.mark.parametrize("size", [(97, 131), (64, 64), (50, 33), (160, 47)])
def test_any_size_works(size, painting):
    content = resize(load("china"), size)
    made = wct(content, painting, size=max(size))
    assert made.shape == (1, 3, *size) and made.isfinite().all()
    assert float(made.min()) >= 0 and float(made.max()) <= 1


def test_an_upscaled_result_has_the_size_asked_for(painting):
    assert wct(load("china", size=64), painting, size=128).shape[-1] == 128


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_pictures_are_defined(value, painting):
    flat = torch.full((1, 3, 64, 64), value)
    for content, style in ((flat, painting), (painting, flat), (flat, flat)):
        assert wct(content, style, size=64).isfinite().all()


def test_masks_separate_two_styles(photo, painting):
    other = load("waves", size=192)
    height, width = photo.shape[-2:]
    masks = torch.zeros(1, 2, height, width)
    masks[:, 0, :, : width // 2] = masks[:, 1, :, width // 2 :] = 1
    made = wct(photo, [painting, other], mask=masks, size=192, strength=1.0)
    left, right = made[..., : width // 2 - 24], made[..., width // 2 + 24 :]
    assert style_distance(left, painting) < style_distance(right, painting)
    assert style_distance(right, other) < style_distance(left, other)


def test_a_tiny_region_gets_its_part_of_what_the_whole_style_makes(photo, painting):
    """By the rule for small regions; the other region is as it is without the tiny one."""
    masks = torch.zeros(1, 2, *photo.shape[-2:])
    masks[:, 0, 40, 60] = 1
    masks[:, 1] = 1 - masks[:, 0]
    style_masks = torch.zeros(1, 2, *painting.shape[-2:])
    style_masks[:, 0, : painting.shape[-2] // 2] = 1
    style_masks[:, 1] = 1 - style_masks[:, 0]
    pair, last = load_pairs("mini", "relu3_1", device="cpu"), [1, 0]
    made = one_shot(photo, painting, pair, mask=masks, style_mask=style_masks, size=192)
    swapped = one_shot(photo, painting, pair, mask=masks[:, last], style_mask=style_masks[:, last], size=192)
    assert torch.allclose(made, swapped, atol=1e-4)
    everywhere = torch.ones_like(masks[:, :1])
    other = one_shot(photo, painting, pair, mask=everywhere, style_mask=style_masks[:, 1:], size=192)
    whole = one_shot(photo, painting, pair, size=192)
    far = torch.ones(photo.shape[-2:], dtype=torch.bool)
    far[24:58, 44:78] = False  # what relu3_1 sees around the pixel
    apart = (made - other).abs().amax(1)[0]
    assert float(apart[far].max()) < 1e-3 < 0.02 < float((whole - other).abs().max())
    assert float(apart[~far].max()) > 3 * float(apart[far].max())  # there, the whole style shows by the pixel's share


def test_mixtures_lie_between(photo, painting):
    other = load("waves", size=192)
    pair = [load_pairs("mini", "relu1_1", device="cpu")[0]]
    ends = [one_shot(photo, style, pair, size=192) for style in (painting, other)]
    middle = one_shot(photo, [painting, other], pair, size=192, mix=(1, 1))
    # the transform is linear in the mixture (test_transforms); this decoder nearly is
    apart = float((ends[0] - ends[1]).abs().mean())
    assert float((middle - (ends[0] + ends[1]) / 2).abs().mean()) < 0.25 * apart


def test_it_is_reproducible(photo, painting):
    assert torch.equal(wct(photo, painting, size=96), wct(photo, painting, size=96))


def test_public_pairs_work_through_the_same_interface(shared_cache, photo, painting):
    for name in ("vgg19-small", "vgg19-normalised"):
        made = wct(photo, painting, size=160, strength=1.0, encoder=name)
        assert style_distance(made, painting) < style_distance(photo, painting)


def test_padding_mirrors_and_area_is_kept():
    image = torch.arange(15.0).view(1, 1, 3, 5)
    assert torch.equal(padded(image, 4)[0, 0, 3, :5], image[0, 0, 1])
    assert padded(image, 4).shape == (1, 1, 4, 8) and padded(image, 1) is image
    assert padded(image[..., :1], 4).shape == (1, 1, 4, 4)  # too narrow to mirror: repeated
    moved = at_area(torch.rand(1, 3, 40, 90), 900)
    assert abs(moved.shape[-2] * moved.shape[-1] - 900) < 60


def test_bad_input_is_named(photo, painting, tmp_path):
    for arguments, told in [
        (dict(strength=1.5), "strength"), (dict(strength=float("nan")), "strength"), (dict(layer="relu6_1"), "layer"),
        (dict(order="sideways"), "order"), (dict(how="svd"), "how"), (dict(size=8), "size"),
        (dict(encoder="vgg16"), "encoder"), (dict(mix=(1, 2)), "mix"), (dict(style_scale=0), "style_scale"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=told):
            wct(photo, painting, **{"size": 64, **arguments})
    with pytest.raises(EncoderError, match="content: .* pixels are too few for relu5_1"):
        wct(load("china", size=64)[..., :40, :8], painting, size=32, deepest="relu5_1")
    with pytest.raises(EncoderError, match="style: .* too few"):
        wct(photo, painting[..., :3], size=64)
    with pytest.raises(EncoderError, match="vgg19-normalised has no decoder .nearest. for relu5_1"):
        wct(photo, painting, encoder="vgg19-normalised", layer="relu5_1")
    with pytest.raises(ValueError, match="mask: 3 regions for 2 styles"):
        wct(photo, [painting, painting], mask=torch.ones(1, 3, 8, 8) / 3, size=64)
    with pytest.raises(ValueError, match="mask, style_mask: 2 and 3 regions"):
        wct(photo, painting, mask=torch.ones(1, 2, 8, 8) / 2, style_mask=torch.ones(1, 3, 8, 8) / 3, size=64)
    write(photo, tmp_path / "photograph.png")
    with pytest.raises(ImageError, match="photograph"):
        wct(photo, [painting, painting], mask=str(tmp_path / "photograph.png"), size=64)


def test_photo_wct_unpools_and_smooths(photo, painting):
    made = {way: photo_wct(photo, painting, size=192, upsampling=way, smoothing="none", device="cpu")
            for way in ("unpool", "nearest")}  # fmt: skip
    slopes = {way: picture.mean(1).diff(dim=-1) for way, picture in (made | {"photo": photo}).items()}
    from_photo = {way: float((slopes[way] - slopes["photo"]).abs().mean()) for way in made}
    assert from_photo["unpool"] < 0.9 * from_photo["nearest"]
    assert torch.equal(photo_wct(photo, painting, size=192, device="cpu"), smooth(made["unpool"], photo, device="cpu"))
