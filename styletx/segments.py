"""Regions of pictures: masks from files, or found by clustering deep features (lectures 06, 11 and 12).

Masks of K regions are (1, K, H, W) in [0, 1], and add up to 1 at every pixel.
"""

import math
import os
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from .encoders import Encoder, load_encoder
from .images import ImageError, resize, to_array
from .samples import picture

NEAR = 32  # colours of a mask that are no further apart, in steps of 1/255, are one label
RARE = 0.002  # a colour on less of the flat places is noise
FAR = 0.2  # of the picture may be no label's colour (blurred edges); more than that is a photograph
MOST = 16  # labels of a mask: a picture with more colours is a photograph


def read_masks(*sources: str | os.PathLike | Tensor, argument: str = "mask") -> list[Tensor]:
    """Colour-coded or grey pictures as masks (1, K, H, W) with common labels, in one order of labels for all of them.

    Each colour is a label; the same colour means the same region in every picture. Colours that are nearly the same are
    one; a label has flat places, on 0.2% of the picture or more, and all else (a blurred edge) goes to the nearest one.
    Raises ImageError for a picture with one colour only or more than 16, for a photograph, and where a label is missing
    in one of several (naming the colour).
    """
    pictures = [_pixels(source) for source in sources]
    palettes = [_palette(pixels, argument) for pixels in pictures]
    labels = _merged([colour for palette in palettes for colour in palette])
    if len(labels) < 2:
        raise ImageError(f"{argument}: one colour only; a mask has a colour for each of at least two regions")
    for position, palette in enumerate(palettes):
        for label in labels:
            if not any(_gap(label, colour) <= NEAR for colour in palette):
                named = "#" + "".join(f"{int(value):02x}" for value in label)
                raise ImageError(
                    f"{argument}: the region {named} is missing in picture {position + 1} of {len(sources)}"
                )
    return [_masks(pixels, labels) for pixels in pictures]


def _pixels(source: str | os.PathLike | Tensor) -> np.ndarray:
    return to_array(picture(source, argument="mask")).astype(np.int16)


def _palette(pixels: np.ndarray, argument: str) -> list[np.ndarray]:
    """The colours that cover a part of the picture worth naming, the commonest first."""
    # Only flat places name a label: a blurred edge between two has colours of its own, but no inside.
    spread = ndimage.maximum_filter(pixels, (3, 3, 1)) - ndimage.minimum_filter(pixels, (3, 3, 1))
    flat = pixels[spread.max(-1) <= NEAR]
    codes, counts = np.unique(flat.astype(int) @ [1 << 16, 1 << 8, 1], return_counts=True)
    colours = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1)
    order = counts.argsort()[::-1]
    found: list[np.ndarray] = []
    for colour, count in zip(colours[order], counts[order], strict=True):
        if count >= RARE * len(flat) and all(_gap(colour, other) > NEAR for other in found):
            found.append(colour)
    if len(found) > MOST:
        raise ImageError(f"{argument}: {len(found)} colours; a mask has a colour for each region, at most {MOST}")
    if not found or (_gaps(pixels, found).min(0) > NEAR).mean() > FAR:
        raise ImageError(f"{argument}: too many colours, and most of it has none of its own: that is a photograph")
    return found


def _gap(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).max())


def _merged(colours: list[np.ndarray]) -> list[np.ndarray]:
    """Different colours, from dark to light."""
    found: list[np.ndarray] = []
    for colour in colours:
        if all(_gap(colour, other) > NEAR for other in found):
            found.append(colour)
    # Brightness in steps of 8, so that a JPEG's noise does not swap two regions; then blue before red.
    return sorted(found, key=lambda c: (round(float(np.dot(c, (0.299, 0.587, 0.114))) / 8), *(c // NEAR).tolist()))


def _gaps(pixels: np.ndarray, labels: list[np.ndarray]) -> np.ndarray:
    """(labels, H, W): how far each pixel's colour is from each label's."""
    return np.stack([np.abs(pixels - label).max(-1) for label in labels])


def _masks(pixels: np.ndarray, labels: list[np.ndarray]) -> Tensor:
    index = torch.from_numpy(_gaps(pixels, labels).argmin(0))
    return F.one_hot(index, len(labels)).permute(2, 0, 1)[None].float()


def cluster(
    *pictures: Tensor,
    count: int = 3,
    encoder: str | Encoder = "mini",
    layer: str = "relu4_1",
    size: int = 256,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> list[Tensor]:
    """Regions that belong together in all pictures: k-means on their deep features jointly, masks (1, K, H, W) of each.

    Features are divided by their length, so that brightness does not decide, and each picture's mean is taken away, so
    that photo and painting do not become a region each. Each picture gets its own size of masks;
    borders are as coarse as the layer, smoothed. A region may be missing in one picture: its mask is 0 there. Raises
    ValueError for fewer than two regions or more than there are positions.
    """
    from sklearn.cluster import KMeans

    network = load_encoder(encoder, device=device)
    if isinstance(count, bool) or not math.isfinite(count) or int(count) != count or count < 2:
        raise ValueError(f"count: {count}; it must be a whole number, at least 2")
    seen = []
    with torch.no_grad():
        for image in pictures:
            small = resize(image, size) if max(image.shape[-2:]) > size else image
            features = F.normalize(network(small.to(network.device), layer)[layer].cpu(), dim=1)[0]
            seen.append(features - features.mean((1, 2), keepdim=True))
    clouds = [features.flatten(1).T.double().numpy() for features in seen]
    if count > sum(map(len, clouds)):
        raise ValueError(f"count: {count} regions for {sum(map(len, clouds))} positions of {layer}; take fewer")
    found = KMeans(int(count), n_init=4, random_state=seed).fit_predict(np.concatenate(clouds))
    return _at_sizes(found, [features.shape[-2:] for features in seen], [p.shape[-2:] for p in pictures], int(count))


def _at_sizes(found: np.ndarray, small: Sequence, large: Sequence, count: int) -> list[Tensor]:
    """Labels of all pictures' positions, one after the other, as masks of each picture."""
    masks, begin = [], 0
    for (height, width), size in zip(small, large, strict=True):
        labels = torch.from_numpy(found[begin : begin + height * width].astype(int)).view(height, width)
        begin += height * width
        masks.append(from_labels(labels, tuple(size), count))
    return masks


def from_labels(labels: Tensor, size: tuple[int, int], count: int) -> Tensor:
    """Labels (h, w) as masks (1, count, *size): enlarged softly, then each pixel to its strongest region."""
    masks = F.one_hot(labels, count).permute(2, 0, 1)[None].float()
    if tuple(labels.shape) == size:
        return masks
    soft = F.interpolate(masks, size=size, mode="bicubic", align_corners=False)
    return F.one_hot(soft[0].argmax(0), count).permute(2, 0, 1)[None].float()
