"""Regions of pictures: masks from files, or found by clustering deep features (lectures 06, 11 and 12).

Masks of K regions are (1, K, H, W) in [0, 1], and add up to 1 at every pixel.
"""

import os
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from .encoders import Encoder, load_encoder
from .images import ImageError, read, resize, to_array

NEAR = 32  # colours of a mask that are no further apart, in steps of 1/255, are one label
RARE = 0.002  # a colour on less of the flat places is noise
MOST = 16  # labels of a mask: a picture with more colours is a photograph


def read_masks(*sources: str | os.PathLike | Tensor, argument: str = "mask") -> list[Tensor]:
    """Colour-coded or grey pictures as masks (1, K, H, W) with common labels, in one order of labels for all of them.

    Each colour is a label; the same colour means the same region in every picture. Colours that are nearly the same are
    one; a label has a place of 3×3 pixels somewhere, and what lies between two (a blurred edge) goes to the nearer.
    Raises ImageError where a picture has one colour only or more than 16, and where a label is missing in one of them
    (naming the colour).
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
    return to_array(source if isinstance(source, Tensor) else read(source)).astype(int)


def _palette(pixels: np.ndarray, argument: str) -> list[np.ndarray]:
    """The colours that cover a part of the picture worth naming, the commonest first."""
    # Only flat places name a label: a blurred edge between two has colours of its own, but no inside.
    spread = ndimage.maximum_filter(pixels, (3, 3, 1)) - ndimage.minimum_filter(pixels, (3, 3, 1))
    flat = pixels[spread.max(-1) <= NEAR]
    colours, counts = np.unique(flat, axis=0, return_counts=True)
    order = counts.argsort()[::-1]
    found: list[np.ndarray] = []
    for colour, count in zip(colours[order], counts[order], strict=True):
        if count >= RARE * len(flat) and all(_gap(colour, other) > NEAR for other in found):
            found.append(colour)
    if not found or len(found) > MOST:
        raise ImageError(
            f"{argument}: {len(found) or 'too many'} colours; a mask has a colour for each region, at most {MOST}"
        )
    return found


def _gap(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).max())


def _merged(colours: list[np.ndarray]) -> list[np.ndarray]:
    """Different colours, from dark to light."""
    found: list[np.ndarray] = []
    for colour in colours:
        if all(_gap(colour, other) > NEAR for other in found):
            found.append(colour)
    return sorted(found, key=lambda colour: tuple(colour))


def _masks(pixels: np.ndarray, labels: list[np.ndarray]) -> Tensor:
    gaps = np.stack([np.abs(pixels - label).max(-1) for label in labels])
    index = torch.from_numpy(gaps.argmin(0))
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

    Features are divided by their length, so that brightness does not decide. Each picture gets its own size of masks;
    borders are as coarse as the layer, smoothed. A region may be missing in one picture: its mask is 0 there. Raises
    ValueError for fewer than two regions or more than there are positions.
    """
    from sklearn.cluster import KMeans

    network = load_encoder(encoder, device=device)
    seen = []
    with torch.no_grad():
        for picture in pictures:
            small = resize(picture, size) if max(picture.shape[-2:]) > size else picture
            features = network(small.to(network.device), layer)[layer].cpu()
            seen.append(F.normalize(features, dim=1)[0])
    clouds = [features.flatten(1).T.double().numpy() for features in seen]
    if isinstance(count, bool) or int(count) != count or not 2 <= count <= sum(map(len, clouds)):
        raise ValueError(f"count: {count}; there must be at least two regions, and at most {sum(map(len, clouds))}")
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
