"""Pictures in and out: read, write, show, resize, and the few colour maps that style transfer needs.

An *image* is a float32 tensor (B, 3, H, W), RGB in [0, 1], everywhere in the package (lecture 00).
"""

from __future__ import annotations

import io
import json
import math
import os
import warnings
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import ExifTags, Image, PngImagePlugin
from torch import Tensor

Size = tuple[int, int]  # (height, width)
MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
REC601 = (0.299, 0.587, 0.114)
YIQ = (REC601, (0.59590059, -0.27455667, -0.32134392), (0.21153661, -0.52273617, 0.31119955))

# EXIF's orientations 2 to 8, as what sets them right.
_TURNS = dict(
    enumerate(
        (
            Image.Transpose.FLIP_LEFT_RIGHT,
            Image.Transpose.ROTATE_180,
            Image.Transpose.FLIP_TOP_BOTTOM,
            Image.Transpose.TRANSPOSE,
            Image.Transpose.ROTATE_270,
            Image.Transpose.TRANSVERSE,
            Image.Transpose.ROTATE_90,
        ),
        start=2,
    )
)


class ImageError(ValueError):
    """A picture that cannot be read, converted or written; one line that says what would be right."""


def read(path: str | os.PathLike | bytes, size: int | None = None, enlarge: bool = False) -> Tensor:
    """Read a picture file, or the bytes of one, as an image (1, 3, H, W) in [0, 1].

    Honours EXIF orientation, alpha (over white), grey, 16 bit, CMYK, palettes; animations: the first frame.
    `size` is the longer side in pixels; a smaller picture is enlarged to it only with `enlarge=True`.
    Raises FileNotFoundError for a missing file and ImageError for whatever is no sound picture.
    """
    check_size(size)
    image = _image_from_pillow(*_open(path))
    if size is None or (size >= max(image.shape[-2:]) and not enlarge):
        return image
    return resize(image, size)


def write(image: Tensor, path: str | os.PathLike, record: dict | None = None) -> Path:
    """Write one image (1, 3, H, W) as PNG, JPEG or WebP, by suffix, clamped to [0, 1] and rounded to 8 bit.

    `record` (what JSON can say) travels in it: a PNG's text chunk "styletx", elsewhere EXIF's description.
    Raises ImageError for an unknown suffix, a missing folder or one that cannot be written to.
    """
    path = check_writable(path)
    data = _encode(image, FORMATS[path.suffix.lower()], record)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ImageError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    return path


def check_writable(path: str | os.PathLike) -> Path:
    """The path, if `write` can write there, asked before the work that makes the picture; else ImageError."""
    path = Path(path).expanduser()
    if path.suffix.lower() not in FORMATS:
        raise ImageError(f"{path}: unknown suffix {path.suffix!r}; right would be {', '.join(FORMATS)}")
    check_place(path)
    return path


def check_place(path: Path) -> None:
    """ImageError where no file can be written at that path."""
    if not path.parent.is_dir():
        raise ImageError(f"{path}: cannot be written, there is no folder {path.parent}; make it first")
    target = path if path.exists() else path.parent
    if path.is_dir() or not os.access(target, os.W_OK):
        raise ImageError(f"{path}: cannot be written (no permission, or a folder); choose another place")


def read_record(path: str | os.PathLike | bytes) -> dict:
    """The record that `write` put into a picture file; raises ImageError where there is none."""
    picture, what = _open(path)
    described = str(_exif(picture).get(ExifTags.Base.ImageDescription, "")).partition("styletx ")[2]
    try:
        record = json.loads(picture.info.get("styletx", described))
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ImageError(f"{what}: carries no styletx record; only pictures saved by styletx do")
    return record


def check_size(size: int | None) -> None:
    """Raise ImageError where `size` is neither None nor a whole number of pixels, 1 or more."""
    if size is not None and (isinstance(size, bool) or not isinstance(size, Integral) or size < 1):
        raise ImageError(f"size: {size!r} is no size; give the longer side in pixels, 1 or more")


def size_of(image: Tensor) -> Size:
    """(height, width) of a picture, of masks or of features: (..., H, W)."""
    return image.shape[-2], image.shape[-1]


def fit_size(height: int, width: int, longer: int) -> Size:
    """(height, width) scaled so that the longer side is `longer`, each side at least 1."""
    scale = longer / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize(image: Tensor, size: int | Size) -> Tensor:
    """Resize (B, C, H, W) to `size`: (height, width), or the longer side, aspect kept; differentiable.

    Sides that shrink are averaged (antialiased bilinear), sides that grow are bicubic, held within the
    picture's own range because bicubic overshoots at edges. Raises ImageError for a size below 1.
    """
    image = image if image.dtype == torch.float64 else image.float()
    height, width = size_of(image)
    target = fit_size(height, width, size) if isinstance(size, int | Integral) and size > 0 else size
    if isinstance(target, int | Integral) or len(target) != 2 or min(target) < 1:
        raise ImageError(f"size: {size!r} is no size; give the longer side or (height, width), at least 1")
    low, high = (limit((1, 2, 3), keepdim=True) for limit in (image.detach().amin, image.detach().amax))
    smaller = (min(height, target[0]), min(width, target[1]))
    if smaller != (height, width):
        image = interpolate(image, smaller, mode="bilinear", antialias=True).clamp(low, high)
    if (target[0], target[1]) != smaller:
        image = interpolate(image, (target[0], target[1]), mode="bicubic").clamp(low, high)
    return image


def resize_mask(mask: Tensor, size: Size) -> Tensor:
    """Masks (B, K, H, W) averaged over areas to (B, K, h, w), values in [0, 1].

    Exact also for odd ratios: each new pixel is the mean over the rectangle it covers, so a region keeps its
    share of the picture and masks that add up to one still do.
    """
    rows, columns = (_overlaps(*sides).to(mask.device) for sides in zip(size_of(mask), size, strict=True))
    return (rows @ mask.float() @ columns.T).clamp(0, 1)


def to_array(image: Tensor) -> np.ndarray:
    """One image (1, 3, H, W), or grey (1, 1, H, W), as uint8 (H, W, 3), clamped and rounded.

    Raises ImageError for a batch of several, another shape or values that are not finite.
    """
    image = image[0] if image.ndim == 4 and image.shape[0] == 1 else image
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise ImageError(f"image: shape {tuple(image.shape)}; one picture is (1, 3, H, W)")
    if not torch.isfinite(image).all():
        raise ImageError("image: holds values that are not finite; pictures are in [0, 1]")
    values = image.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return values.expand(3, -1, -1).permute(1, 2, 0).contiguous().cpu().numpy()


def from_array(array: np.ndarray) -> Tensor:
    """An image (1, 3, H, W) from (H, W), (H, W, 1), (H, W, 3) or (H, W, 4: alpha over white).

    uint8 and uint16 are divided by their largest value, bool and float are taken as they are, in [0, 1].
    Raises ImageError for other shapes or types, for floats out of range or not finite.
    """
    array = np.asarray(array)
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ImageError(f"array: shape {array.shape}; right would be (H, W), (H, W, 3) or (H, W, 4)")
    if array.dtype in (np.uint8, np.uint16):
        values = array.astype(np.float32) / np.iinfo(array.dtype).max
    elif array.dtype == bool or np.issubdtype(array.dtype, np.floating):
        values = array.astype(np.float32)
    else:
        raise ImageError(f"array: type {array.dtype}; right would be uint8, uint16, or float in [0, 1]")
    low, high = float(values.min()), float(values.max())
    # A thousandth is what rounding and resampling leave behind; more is another scale, such as 0 to 255.
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise ImageError(f"array: floats from {low:g} to {high:g}; right would be finite and in [0, 1]")
    values = values.clip(0, 1)
    if values.shape[2] == 4:
        values = values[..., :3] * values[..., 3:] + (1 - values[..., 3:])
    return torch.from_numpy(values).permute(2, 0, 1).expand(3, -1, -1).contiguous()[None]


def to_jpeg(image: Tensor, quality: int = 85) -> bytes:
    """One image as the bytes of a JPEG: what a panel sends to the browser while a picture forms."""
    return _encode(image, "JPEG", None, quality)


def to_png(image: Tensor, record: dict | None = None) -> bytes:
    """One image as the bytes of a PNG, with `record` in it when given."""
    return _encode(image, "PNG", record)


def show(
    *images: Tensor,
    titles: list[str] | None = None,
    columns: int | None = None,
    height: float = 2.6,
    title: str | None = None,
):
    """The Figure of pictures (B, 3 or 1, H, W) in a row, or a grid of `columns`, each `height` inches high.

    It is closed before it is returned, so that a notebook shows it once. Raises ImageError without pictures,
    or where the titles are not as many as the pictures.
    """
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    arrays = [to_array(one) for image in images for one in (image if image.ndim == 4 else image[None])]
    if not arrays or (titles is not None and len(titles) != len(arrays)):
        raise ImageError(f"images: {len(arrays)} given, titles {titles}; give one or more, with a title each")
    columns = min(columns or len(arrays), len(arrays))
    rows = math.ceil(len(arrays) / columns)
    aspects = [a.shape[1] / a.shape[0] for a in arrays]
    widths = [max(aspects[column::columns]) for column in range(columns)]
    above = 0.25 * rows * (titles is not None) + 0.35 * (title is not None)
    figure, axes = plt.subplots(
        rows,
        columns,
        squeeze=False,
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01),
        width_ratios=widths,
        figsize=(height * sum(widths), height * rows + above),
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, array, text in zip(axes.flat, arrays, titles or [""] * len(arrays), strict=False):
        axis.imshow(array)
        axis.set_title(text, fontsize=10)
    if title is not None:
        figure.suptitle(title)
    plt.close(figure)
    return figure


def luminance(image: Tensor) -> Tensor:
    """Rec. 601 luminance (B, 1, H, W) of (B, 3, H, W): 0.299 R + 0.587 G + 0.114 B."""
    return (image * image.new_tensor(REC601).view(1, 3, 1, 1)).sum(1, keepdim=True)


def rgb_to_yiq(image: Tensor) -> Tensor:
    """(B, 3, H, W) as luminance Y in [0, 1] and the two colour channels I, Q (about -0.6 to 0.6)."""
    return torch.einsum("ij,bjhw->bihw", image.new_tensor(YIQ), image)


def yiq_to_rgb(image: Tensor) -> Tensor:
    """The inverse of `rgb_to_yiq`, not clamped: colours that RGB does not have leave [0, 1]."""
    inverse = torch.linalg.inv(torch.tensor(YIQ, dtype=torch.float64)).to(image)
    return torch.einsum("ij,bjhw->bihw", inverse, image)


def noise_like(image: Tensor, seed: int, size: Size | None = None) -> Tensor:
    """Gaussian noise with each channel's mean and standard deviation, of the image's own or another `size`.

    It is not clamped, and drawn on the CPU, whatever the device: every machine then gets the same noise.
    """
    shape = image.shape if size is None else (*image.shape[:2], *size)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    mean, deviation = image.mean((2, 3), keepdim=True), image.std((2, 3), correction=0, keepdim=True)
    return mean + deviation * noise.to(image)


def _open(path: str | os.PathLike | bytes) -> tuple[Image.Image, str]:
    """The decoded first frame and a name for messages."""
    if isinstance(path, (bytes, bytearray)):
        what, data = "the uploaded picture", path
    else:
        what = str(path)
        if Path(path).is_dir():
            raise ImageError(f"{what}: is a folder; give a picture file in it")
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError:
            raise FileNotFoundError(f"{what}: there is no such file; check the name and the folder") from None
        except OSError as error:
            raise ImageError(f"{what}: cannot be opened ({error.strerror}); give a readable file") from error
    if not data:
        raise ImageError(f"{what}: is empty (0 bytes); give a picture such as a PNG or JPEG")
    bomb = f"{what}: has too many pixels; at most {MAX_PIXELS:,} are read, make it smaller first"
    try:
        with warnings.catch_warnings():
            # Pillow only warns up to twice its limit; a warning that nobody sees would fill the memory.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data))
            if picture.width * picture.height > MAX_PIXELS:  # also where someone has lifted Pillow's limit
                raise Image.DecompressionBombError
            picture.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(bomb) from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{what}: is no picture, whatever its name; give a PNG, JPEG or WebP") from error
    except Exception as error:  # decoders raise many kinds (SyntaxError, struct.error, ...) on damaged files
        reason = " ".join(str(error).split())
        raise ImageError(f"{what}: is damaged or cut short ({reason}); get a fresh copy") from error
    return picture, what


def _exif(picture: Image.Image) -> Any:
    try:
        return picture.getexif()
    except Exception:  # broken EXIF is common in the wild, and no reason to refuse the pixels
        return {}


def _image_from_pillow(picture: Image.Image, what: str) -> Tensor:
    turn = _TURNS.get(_exif(picture).get(ExifTags.Base.Orientation, 1))
    picture = picture.transpose(turn) if turn is not None else picture
    if picture.mode == "F":
        array = np.asarray(picture)
    elif picture.mode.startswith("I"):
        # Pillow keeps 16-bit grey in 16 or in 32 bits, by version and file; both hold 0 to 65535.
        array = np.asarray(picture).clip(0, 65535).astype(np.uint16)
    elif "transparency" in picture.info or picture.mode in ("LA", "PA", "RGBA", "RGBa", "La"):
        array = np.asarray((picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA"))
    else:
        array = np.asarray(picture.convert("RGB"))
    try:
        return from_array(array)
    except ImageError as error:
        raise ImageError(f"{what}: {error}") from None


def _encode(image: Tensor, format: str, record: dict | None, quality: int = 92) -> bytes:
    options: dict[str, Any] = {} if format == "PNG" else {"quality": quality}
    if record is not None:
        try:
            text = json.dumps(record)
        except TypeError as error:
            raise ImageError(f"record: {error}; only what JSON can say can be kept in a picture") from error
        if format == "PNG":
            options["pnginfo"] = PngImagePlugin.PngInfo()
            options["pnginfo"].add_text("styletx", text)
        else:
            options["exif"] = Image.Exif()
            options["exif"][ExifTags.Base.ImageDescription] = "styletx " + text
    buffer = io.BytesIO()
    Image.fromarray(to_array(image)).save(buffer, format, **options)
    return buffer.getvalue()


def interpolate(image: Tensor, size: Size, **how: Any) -> Tensor:
    """`F.interpolate` to (height, width), on the CPU where the device lacks the kernel; values may overshoot."""
    try:
        return F.interpolate(image, size=size, align_corners=False, **how)
    except NotImplementedError:  # some devices (MPS, by version) lack an antialiased or bicubic kernel
        return F.interpolate(image.cpu(), size=size, align_corners=False, **how).to(image.device)


def _overlaps(old: int, new: int) -> Tensor:
    """(new, old): the share of each old pixel in each new one; the rows add up to one."""
    edges, step = torch.arange(new, dtype=torch.float64)[:, None] * old / new, old / new
    cells = torch.arange(old, dtype=torch.float64)
    shared = torch.minimum(edges + step, cells + 1) - torch.maximum(edges, cells)
    return (shared.clamp(min=0) / step).float()
