"""styletx/images.py: files of every mode made by hand, bad files, shapes, colour maps (lecture 00)."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzz import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from styletx import images
from styletx.images import ImageError

RED, WHITE = [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]


def picture(*sizes: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*sizes, generator=torch.Generator().manual_seed(seed))


def file(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png16(values: np.ndarray) -> bytes:
    """A 16-bit PNG (H, W, 1 or 3) written byte by byte: Pillow does not write 16-bit RGB."""
    height, width, channels = values.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 3: 2}[channels], 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def pixel(image: torch.Tensor, row: int, column: int) -> list[float]:
    return image[0, :, row, column].tolist()


# Reading: each mode with pixels that are known.


def test_rgb_is_read_exactly(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png")
    image = images.read(tmp_path / "a.png")
    assert image.shape == (1, 3, 7, 5) and image.dtype == torch.float32
    np.testing.assert_allclose(image[0].permute(1, 2, 0).numpy(), array / 255, atol=1e-7)
    assert torch.equal(images.read((tmp_path / "a.png").read_bytes()), image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_puts_the_marked_corner_up_left(orientation):
    # EXIF says which edges of the stored picture are the top and the left of the scene; for a scene with one
    # red corner at the top left, that is where the red lies in the stored one (standard, 4.6.5).
    stored = np.full((16, 32, 3), 255, np.uint8)
    corners = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}
    rows, columns = corners[orientation]
    stored[8 * rows : 8 * rows + 8, 16 * columns : 16 * columns + 16] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = images.read(file(Image.fromarray(stored), exif=exif))
    assert image.shape[-2:] == ((16, 32) if orientation < 5 else (32, 16))
    assert pixel(image, 2, 2) == RED
    assert pixel(image, -2, -2) == pixel(image, 2, -2) == pixel(image, -2, 2) == WHITE


def test_alpha_is_laid_over_white():
    image = images.read(file(Image.fromarray(np.array([[[255, 0, 0, 0], [255, 0, 0, 51]]], np.uint8))))
    assert pixel(image, 0, 0) == WHITE
    assert pixel(image, 0, 1) == pytest.approx([1.0, 0.8, 0.8], abs=1e-6)


def test_grey_with_and_without_alpha():
    assert pixel(images.read(file(Image.new("L", (1, 1), 51))), 0, 0) == pytest.approx([0.2] * 3)
    assert pixel(images.read(file(Image.new("LA", (1, 1), (0, 102)))), 0, 0) == pytest.approx([0.6] * 3)
    assert pixel(images.read(file(Image.new("1", (1, 1), 1))), 0, 0) == WHITE


def test_sixteen_bit_grey_in_each_of_pillows_modes():
    values = np.array([[0, 13107, 65535]], np.uint16)  # 13107 = 65535 / 5, which 8 bit would also say: 51
    little = Image.fromarray(values)
    assert little.mode == "I;16"
    wide = Image.fromarray(values.astype(np.int32))
    assert wide.mode == "I"
    for data in (file(little), file(little, "TIFF"), file(wide, "TIFF"), png16(values[..., None])):
        assert images.read(data)[0, 0, 0].tolist() == pytest.approx([0, 0.2, 1])
    fine = images.read(file(Image.fromarray(np.array([[32768, 32769]], np.uint16))))
    assert fine[0, 0, 0, 1] > fine[0, 0, 0, 0]


def test_sixteen_bit_rgb_is_scaled_whatever_pillow_keeps_of_it():
    image = images.read(png16(np.array([[[0, 32896, 65535]]], np.uint16)))
    assert pixel(image, 0, 0) == pytest.approx([0, 32896 / 65535, 1], abs=1 / 255)


def test_float_tiff_is_taken_in_zero_one_and_refused_beyond():
    assert images.read(file(Image.fromarray(np.float32([[0.25]])), "TIFF"))[0, 0, 0, 0] == 0.25
    with pytest.raises(ImageError, match="0 to 200"):
        images.read(file(Image.fromarray(np.float32([[0, 200]])), "TIFF"))


def test_cmyk():
    # no ink is white, full cyan has no red, full black is black
    for inks, colour in (((0, 0, 0, 0), WHITE), ((255, 0, 0, 0), [0, 1, 1]), ((0, 0, 0, 255), [0, 0, 0])):
        image = images.read(file(Image.new("CMYK", (16, 16), inks), "JPEG", quality=100))
        assert pixel(image, 8, 8) == pytest.approx(colour, abs=0.02)


def test_palette_with_and_without_transparency():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    assert pixel(images.read(file(palette)), 0, 0) == RED
    assert pixel(images.read(file(palette)), 0, 1) == [0, 0, 1]
    clear = images.read(file(palette, transparency=1))
    assert pixel(clear, 0, 0) == RED and pixel(clear, 0, 1) == WHITE


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = file(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert pixel(images.read(data), 4, 4) == pytest.approx(RED, abs=0.01)


def test_size_is_the_longer_side_and_only_shrinks():
    data = file(Image.new("RGB", (40, 20)))
    assert images.read(data, size=10).shape[-2:] == (5, 10)
    assert images.read(data, size=80).shape[-2:] == (20, 40)
    assert images.read(data, size=80, enlarge=True).shape[-2:] == (40, 80)
    for size in (0, -3, 2.5):
        with pytest.raises(ImageError, match="size"):
            images.read(data, size=size)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5)])
def test_tiny_pictures_are_pictures(tmp_path, shape):
    array = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / "tiny.png")
    image = images.read(tmp_path / "tiny.png", size=4)
    assert image.shape == (1, 3, *images.fit_size(*shape, min(4, max(shape))))
    np.testing.assert_array_equal(images.to_array(images.read(tmp_path / "tiny.png")), array)


# Bad input: one clear line, with the file's name and what would be right.


def one_line(error: pytest.ExceptionInfo, *parts: str) -> None:
    text = str(error.value)
    assert "\n" not in text and all(part in text for part in parts), text


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        images.read(tmp_path / "none.png")
    one_line(error, "none.png", "no such file")


def test_empty_text_and_folder(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    for name, word in (("empty.png", "empty"), ("text.jpg", "no picture"), ("", "folder")):
        with pytest.raises(ImageError) as error:
            images.read(tmp_path / name)
        one_line(error, name, word, "give")
    with pytest.raises(ImageError, match="uploaded"):
        images.read(b"not a picture")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files(tmp_path, format, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = file(Image.fromarray(noise), format)
    path = tmp_path / f"cut.{format.lower()}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError) as error:
        images.read(path)
    one_line(error, "cut.")


@pytest.mark.parametrize("limit", [3000, 1000])
def test_decompression_bomb_error_and_warning(tmp_path, monkeypatch, limit):
    # 64×64 = 4096 pixels: above Pillow's limit it warns, above twice the limit it raises; here both raise.
    path = tmp_path / "bomb.png"
    path.write_bytes(file(Image.new("L", (64, 64))))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings(record=True) as seen, pytest.raises(ImageError) as error:
        images.read(path)
    one_line(error, "bomb.png", "too many pixels", f"{images.MAX_PIXELS:,}")
    assert not seen


def test_the_stated_limit_holds_where_pillows_is_lifted(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(images, "MAX_PIXELS", 4095)
    with pytest.raises(ImageError, match="4,095"):
        images.read(file(Image.new("L", (64, 64))))


def test_pillows_limit_is_the_stated_one():
    assert images.MAX_PIXELS == Image.MAX_IMAGE_PIXELS


# Writing.


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".jpg", ".webp"])
def test_written_pictures_are_read_again_with_their_record(tmp_path, suffix):
    image = picture(1, 3, 8, 8) * 0 + torch.tensor([0.2, 0.4, 0.8]).view(1, 3, 1, 1)
    record = {"method": "gatys", "seed": 3, "content": {"name": "Tübingen", "sha256": "ab"}}
    path = images.write(image, tmp_path / f"out{suffix}", record)
    assert images.read_record(path) == record
    torch.testing.assert_close(images.read(path), image, atol=0.02, rtol=0)
    if suffix == ".png":
        assert "styletx" in Image.open(path).text
        assert torch.equal(images.read(path), image)


def test_eight_bits_are_rounded_and_clamped():
    values = torch.tensor([-1.0, 0.0, 0.1 / 255, 0.6 / 255, 254.4 / 255, 1.0, 7.0])
    array = images.to_array(values.view(1, 1, 1, -1).expand(1, 3, 1, -1))
    assert array[0, :, 0].tolist() == [0, 0, 0, 1, 254, 255, 255] and array.dtype == np.uint8


def test_no_record_and_broken_record(tmp_path):
    images.write(picture(1, 3, 2, 2), tmp_path / "plain.png")
    with pytest.raises(ImageError, match="plain.png: carries no styletx record"):
        images.read_record(tmp_path / "plain.png")
    with pytest.raises(ImageError, match="JSON"):
        images.write(picture(1, 3, 2, 2), tmp_path / "a.png", {"x": object()})
    assert not (tmp_path / "a.png").exists()


def test_unwritable_output(tmp_path):
    image = picture(1, 3, 2, 2)
    with pytest.raises(ImageError, match=r"no folder .*absent"):
        images.write(image, tmp_path / "absent" / "a.png")
    assert not (tmp_path / "absent").exists()
    for name in ("a.xyz", "a"):
        with pytest.raises(ImageError, match=r"unknown suffix .*\.png"):
            images.write(image, tmp_path / name)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageError, match="cannot be written"):
        images.write(image, tmp_path / "folder.png")
    with pytest.raises(ImageError, match="finite"):
        images.write(image * float("nan"), tmp_path / "nan.png")
    with pytest.raises(ImageError, match=r"\(2, 3, 2, 2\)"):
        images.write(picture(2, 3, 2, 2), tmp_path / "two.png")


def test_a_folder_that_refuses(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(ImageError, match="a.png: cannot be written .*Permission denied"):
        images.write(picture(1, 3, 2, 2), tmp_path / "a.png")


def test_jpeg_and_png_bytes():
    image = images.resize(picture(1, 3, 4, 4), 64)
    assert torch.equal(images.read(images.to_png(image)), torch.round(image * 255) / 255)
    small, large = images.to_jpeg(image, quality=30), images.to_jpeg(image)
    assert small[:2] == b"\xff\xd8" and len(small) < len(large)
    assert (images.read(large) - image).abs().mean() < 0.02


# Arrays.


def test_arrays_of_each_type_and_shape():
    assert pixel(images.from_array(np.full((2, 2), 51, np.uint8)), 0, 0) == pytest.approx([0.2] * 3)
    assert pixel(images.from_array(np.full((2, 2), 13107, np.uint16)), 0, 0) == pytest.approx([0.2] * 3)
    assert pixel(images.from_array(np.full((2, 2, 3), 0.2)), 0, 0) == pytest.approx([0.2] * 3)
    assert pixel(images.from_array(np.ones((2, 2), bool)), 0, 0) == WHITE
    assert pixel(images.from_array(np.array([[[0, 0, 0, 0.25]]])), 0, 0) == pytest.approx([0.75] * 3)
    for bad in (
        np.zeros((2, 2), int),
        np.zeros((2, 2, 2)),
        np.zeros(3),
        np.zeros((0, 2, 3)),
        np.full((2, 2), 200.0),
        np.full((2, 2), np.nan),
        np.full((2, 2), -0.5),
    ):
        with pytest.raises(ImageError, match="right would be"):
            images.from_array(bad)


# Sizes.

sides = st.integers(1, 24)


@settings(max_examples=60 * FUZZ, deadline=None)
@given(height=sides, width=sides, new_height=sides, new_width=sides, value=st.floats(0, 1))
def test_resize_has_the_size_keeps_constants_and_the_range(height, width, new_height, new_width, value):
    constant = torch.full((1, 3, height, width), value)
    torch.testing.assert_close(
        images.resize(constant, (new_height, new_width)),
        torch.full((1, 3, new_height, new_width), value),
        atol=1e-5,
        rtol=0,
    )
    image = (picture(2, 3, height, width) > 0.5).float()
    resized = images.resize(image, (new_height, new_width))
    assert resized.shape == (2, 3, new_height, new_width)
    assert resized.min() >= 0 and resized.max() <= 1


@settings(max_examples=60 * FUZZ, deadline=None)
@given(height=st.integers(1, 5000), width=st.integers(1, 5000), longer=st.integers(1, 2000))
def test_fit_size_keeps_the_aspect_to_half_a_pixel(height, width, longer):
    h, w = images.fit_size(height, width, longer)
    assert max(h, w) == longer and min(h, w) >= 1
    if min(h, w) > 1:
        assert abs(min(h, w) - longer * min(height, width) / max(height, width)) <= 0.5 + 1e-9


@pytest.mark.parametrize("shape", [(1, 1), (7, 5)])
@pytest.mark.parametrize("size", [1, 3, 7, 64])
def test_tiny_pictures_are_resized(shape, size):
    image = picture(1, 3, *shape)
    assert images.resize(image, size).shape[-2:] == images.fit_size(*shape, size)


def test_shrinking_by_a_whole_factor_is_pillows_antialiased_filter():
    array = np.random.default_rng(3).integers(0, 256, (24, 36), dtype=np.uint8)
    pillow = Image.fromarray(array.astype(np.float32)).resize((12, 8), Image.Resampling.BILINEAR)
    resized = images.resize(torch.tensor(array)[None, None].float(), (8, 12))
    np.testing.assert_allclose(resized[0, 0].numpy(), np.asarray(pillow), atol=1e-3)


def test_enlarging_is_torchs_bicubic_held_in_the_range():
    image = picture(1, 3, 6, 9)
    bicubic = torch.nn.functional.interpolate(image, size=(12, 27), mode="bicubic")
    torch.testing.assert_close(images.resize(image, (12, 27)), bicubic.clamp(image.min(), image.max()))


def test_resize_is_differentiable_and_tells_bad_sizes():
    image = picture(1, 3, 6, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: images.resize(x, (4, 3)), image)
    assert torch.autograd.gradcheck(lambda x: images.resize(x, 4), image)
    grown = images.resize(image, (12, 10))
    assert torch.isfinite(torch.autograd.grad(grown.square().sum(), image)[0]).all()
    for size in (0, -1, (0, 3), (3,), (3, -3)):
        with pytest.raises(ImageError, match="size"):
            images.resize(image, size)


def test_masks_are_averaged_over_areas_as_computed_by_hand():
    mask = torch.tensor([[1.0, 0.0, 0.0]]).view(1, 1, 1, 3)
    # halves of three pixels: the first takes all of pixel 0 and half of pixel 1, 1.5 pixels wide
    torch.testing.assert_close(images.resize_mask(mask, (1, 2)), torch.tensor([[[[2 / 3, 0.0]]]]))
    blocks = picture(1, 2, 8, 12)
    pooled = torch.nn.functional.avg_pool2d(blocks, (2, 4))
    torch.testing.assert_close(images.resize_mask(blocks, (4, 3)), pooled)


@settings(max_examples=60 * FUZZ, deadline=None)
@given(height=sides, width=sides, new_height=sides, new_width=sides)
def test_masks_keep_their_share_and_still_add_up_to_one(height, width, new_height, new_width):
    masks = picture(1, 3, height, width).softmax(1)
    resized = images.resize_mask(masks, (new_height, new_width))
    assert resized.shape == (1, 3, new_height, new_width)
    torch.testing.assert_close(resized.sum(1), torch.ones(1, new_height, new_width), atol=1e-5, rtol=0)
    torch.testing.assert_close(resized.mean((2, 3)), masks.mean((2, 3)), atol=1e-5, rtol=0)


# Colours and noise.


def test_yiq_is_scikit_images_and_inverts():
    color = pytest.importorskip("skimage.color")
    image = picture(2, 3, 4, 5)
    yiq = images.rgb_to_yiq(image)
    oracle = color.rgb2yiq(image.permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(yiq.permute(0, 2, 3, 1).numpy(), oracle, atol=1e-6)
    torch.testing.assert_close(images.yiq_to_rgb(yiq), image, atol=1e-5, rtol=0)
    torch.testing.assert_close(images.luminance(image), yiq[:, :1])


def test_luminance_is_pillows():
    array = np.random.default_rng(5).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    grey = np.asarray(Image.fromarray(array).convert("L"), np.float32) / 255
    ours = images.luminance(images.from_array(array))[0, 0].numpy()
    np.testing.assert_allclose(ours, grey, atol=1.01 / 255)


def test_noise_has_the_channels_moments_and_the_seeds_values():
    image = picture(1, 3, 128, 128) * torch.tensor([1.0, 0.5, 0.1]).view(1, 3, 1, 1)
    noise = images.noise_like(image, seed=4)
    for c in range(3):
        assert noise[0, c].mean().item() == pytest.approx(image[0, c].mean().item(), abs=0.01)
        assert noise[0, c].std().item() == pytest.approx(image[0, c].std().item(), rel=0.03)
    assert torch.equal(noise, images.noise_like(image, seed=4))
    assert not torch.equal(noise, images.noise_like(image, seed=5))
    flat = images.noise_like(torch.full((1, 3, 4, 4), 0.5), seed=1)
    torch.testing.assert_close(flat, torch.full((1, 3, 4, 4), 0.5))


def test_noise_of_another_size_keeps_the_moments():
    noise = images.noise_like(picture(1, 3, 16, 16), seed=0, size=(100, 90))
    assert noise.shape == (1, 3, 100, 90)
    assert noise.mean().item() == pytest.approx(0.5, abs=0.03)


# Showing.


def test_show_draws_each_picture_once_and_closes_the_figure():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.close("all")
    image = picture(2, 3, 8, 12)
    figure = images.show(image, image[:1, :1], titles=["a", "b", "c"], columns=2, title="three")
    drawn = [axis for axis in figure.axes if axis.get_images()]
    assert [axis.get_title() for axis in drawn] == ["a", "b", "c"] and not plt.get_fignums()
    np.testing.assert_array_equal(drawn[1].get_images()[0].get_array(), images.to_array(image[1:]))
    assert not any(axis.axison for axis in figure.axes)
    for bad in (lambda: images.show(), lambda: images.show(image, titles=["one"])):
        with pytest.raises(ImageError):
            bad()
