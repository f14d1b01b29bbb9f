"""Regions of pictures: masks from files, by clustering deep features, or by a network (lectures 06, 11 and 12).

Masks of K regions are (1, K, H, W) in [0, 1], and add up to 1 at every pixel.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy
import torch
import torch.nn.functional as F
from torch import Tensor

from .devices import pick_device
from .encoders import Affine, Encoder, load_encoder
from .graph.matting import matting_stencil
from .graph.solve import solve
from .images import ImageError, Size, fit_size, resize, size_of, to_array
from .samples import Source, picture

NEAR = 32  # colours of a mask that are no further apart, in steps of 1/255, are one label
RARE = 0.002  # a colour on less of the flat places is noise
FAR = 0.2  # of the picture may be no label's colour (blurred edges); more than that is a photograph
MOST = 16  # labels of a mask: a picture with more colours is a photograph
PRESENT = 0.01  # of a picture a label has to cover, or the picture is said not to have it
SEGMENTER = "nvidia/segformer-b0-finetuned-ade-512-512"  # ADE20K's 150 classes; its licence is for research only
# What looks alike is one region (Luan et al. 2017, section 4, merge "lake, river, ocean, water" and others).
ALIKE = {
    "sky": ("sky",),
    "water": ("water", "sea", "river", "lake", "waterfall", "swimming pool", "fountain"),
    "plants": ("tree", "plant", "palm", "flower", "grass", "field"),
    "mountains": ("mountain", "hill", "rock", "land"),
    "ground": ("earth", "sand", "dirt track", "path", "road", "sidewalk", "runway", "floor", "rug", "stage"),
    "buildings": ("building", "house", "skyscraper", "hovel", "tower", "wall", "windowpane", "door", "column", "awning",
                  "bridge", "pier", "fence", "railing", "stairs", "stairway", "step", "booth", "tent", "grandstand"),
    "people": ("person", "apparel", "flag"),
    "vehicles": ("car", "bus", "truck", "van", "boat", "ship", "airplane", "minibike", "bicycle"),
}  # fmt: skip


class SegmentError(ValueError):
    """A segmentation network that cannot be had, or that finds nothing in common."""


def read_masks(*sources: Source, argument: str = "mask") -> list[Tensor]:
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


def _pixels(source: Source) -> np.ndarray:
    return to_array(picture(source, argument="mask")).astype(np.int16)


def _palette(pixels: np.ndarray, argument: str) -> list[np.ndarray]:
    """The colours that cover a part of the picture worth naming, the commonest first."""
    # Only flat places name a label: a blurred edge between two has colours of its own, but no inside.
    spread = scipy.ndimage.maximum_filter(pixels, (3, 3, 1)) - scipy.ndimage.minimum_filter(pixels, (3, 3, 1))
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
            features = F.normalize(network(small.to(network.device, torch.float32), layer)[layer].cpu(), dim=1)[0]
            seen.append(features - features.mean((1, 2), keepdim=True))
    clouds = [features.flatten(1).T.double().numpy() for features in seen]
    if count > sum(map(len, clouds)):
        raise ValueError(f"count: {count} regions for {sum(map(len, clouds))} positions of {layer}; take fewer")
    found = KMeans(int(count), n_init=4, random_state=seed).fit_predict(np.concatenate(clouds))
    return _at_sizes(found, [size_of(features) for features in seen], [size_of(p) for p in pictures], int(count))


def _at_sizes(found: np.ndarray, small: Sequence[Size], large: Sequence[Size], count: int) -> list[Tensor]:
    """Labels of all pictures' positions, one after the other, as masks of each picture."""
    masks, begin = [], 0
    for (height, width), size in zip(small, large, strict=True):
        labels = torch.from_numpy(found[begin : begin + height * width].astype(int)).view(height, width)
        begin += height * width
        masks.append(from_labels(labels, size, count))
    return masks


def from_labels(labels: Tensor, size: Size, count: int) -> Tensor:
    """Labels (h, w) as masks (1, count, *size): enlarged softly, then each pixel to its strongest region."""
    masks = F.one_hot(labels, count).permute(2, 0, 1)[None].float()
    if tuple(labels.shape) == size:
        return masks
    soft = F.interpolate(masks, size=size, mode="bicubic", align_corners=False)
    return F.one_hot(soft[0].argmax(0), count).permute(2, 0, 1)[None].float()


def semantic(
    *pictures: Tensor,
    model: str | Callable = SEGMENTER,
    alike: Mapping[str, Sequence[str]] = ALIKE,
    size: int = 512,
    device: str | torch.device | None = None,
) -> tuple[list[str], list[Tensor]]:
    """Regions that a segmentation network names: (names, masks (1, K, H, W) of each picture).

    model: a name at huggingface.co (fetched once, with `pip install transformers`), or a loaded model of
    transformers. Classes that look `alike` are one; what is in no group is "other". The first picture's labels are
    chosen among those the others have, so that none is an orphan; what only the others have is in no region. Raises
    SegmentError where the model cannot be had. Source: Luan et al. 2017, section 3.
    """
    network: Any = _segmenter(model) if isinstance(model, str) else model
    device = pick_device(device)
    names = [
        str(network.config.id2label[k]).split(",")[0].split(";")[0].strip() for k in range(len(network.config.id2label))
    ]
    group_of = {name: group for group, members in alike.items() for name in members}
    groups = list(dict.fromkeys([*alike, "other"]))
    member = torch.tensor([[group_of.get(name, "other") == group for name in names] for group in groups]).float()
    seen = [_scores(network.to(device).eval(), p, member.to(device), size).cpu() for p in pictures]
    masks = [F.one_hot(scores[0].argmax(0), len(groups)).permute(2, 0, 1)[None].float() for scores in seen]
    there = torch.stack([m.mean((0, 2, 3)) >= PRESENT for m in masks[1:] or masks]).all(0)
    if not there.any():
        raise SegmentError(f"pictures: no region of {', '.join(groups)} is in all but the first; take other pictures")
    first = F.one_hot(seen[0][0, there].argmax(0), int(there.sum())).permute(2, 0, 1)[None].float()
    found = [group for group, kept in zip(groups, there.tolist(), strict=True) if kept]
    return found, [first, *(m[:, there] for m in masks[1:])]


def _segmenter(name: str) -> Callable:
    try:
        from transformers import AutoModelForSemanticSegmentation
    except ImportError:
        raise SegmentError(
            f"model: {name} needs transformers, which is not here; pip install transformers, or take cluster"
        ) from None
    try:
        return AutoModelForSemanticSegmentation.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise SegmentError(f"model: {name} could not be fetched ({reason}); connect once, or take cluster") from error


@torch.no_grad()
def _scores(model: Callable, image: Tensor, member: Tensor, size: int) -> Tensor:
    """The probability of each group at each pixel, (1, groups, H, W)."""
    height, width = (max(32, round(side / 32) * 32) for side in fit_size(*size_of(image), longer=size))
    small = resize(image, (height, width))
    prepare = Affine((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    logits = model(pixel_values=prepare(small.cpu()).to(member.device)).logits
    scores = torch.einsum("gn,bnhw->bghw", member, logits.softmax(1))
    return F.interpolate(scores, size=image.shape[-2:], mode="bilinear", align_corners=False)


def without_orphans(masks: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Masks of a picture and of its reference, (1, K, H, W) and (1, K, h, w), with the regions that both have.

    A region that covers less than 1% of the reference is an orphan: its pixels get the label of the nearest pixel that
    keeps its own. What only the reference has is left out. Without a common region all is one. Source: Luan et al.
    2017, section 3, choose the picture's labels among the reference's.
    """
    kept = (reference.mean((0, 2, 3)) >= PRESENT) & (masks.mean((0, 2, 3)) > 0)
    stays = kept[masks[0].argmax(0)]
    if not stays.any():
        return torch.ones_like(masks[:, :1]), torch.ones_like(reference[:, :1])
    elsewhere = (~stays).cpu().numpy()
    rows, columns = scipy.ndimage.distance_transform_edt(elsewhere, return_distances=False, return_indices=True)
    nearest = masks[0].argmax(0).cpu()[torch.from_numpy(rows).long(), torch.from_numpy(columns).long()]
    given = F.one_hot(nearest, masks.shape[1]).permute(2, 0, 1)[None].to(masks)
    homeless = masks[:, ~kept].sum(1, keepdim=True)
    return (masks + homeless * given)[:, kept], reference[:, kept]


def merge(masks: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Masks (1, K, H, W) with the regions of each group added up: (1, len(groups), H, W).

    Raises ValueError where a region is in no group or in two.
    """
    named = sorted(k for group in groups for k in group)
    if named != list(range(masks.shape[1])):
        raise ValueError(f"groups: {[list(g) for g in groups]}; each of the {masks.shape[1]} regions belongs to one")
    return torch.cat([masks[:, list(group)].sum(1, keepdim=True) for group in groups], 1)


def refine(
    masks: Tensor,
    image: Tensor,
    fidelity: float = 0.1,
    smoother: Callable[[Tensor], Tensor] | None = None,
    solver: str = "auto",
) -> Tensor:
    """Noisy masks (1, K, H, W) made to follow the picture's edges; they add up to 1 again.

    Minimises Σ_k m_kᵀ L m_k + c·|m_k − m⁰_k|², so (L + c) m = c m⁰, with the matting Laplacian L of the picture and
    c the fidelity: of each label what is locally affine in the colours stays (the slides' conditional random field does
    this with hard labels). `smoother` does it instead, if given: a map of masks (1, K, H, W), such as
    `lambda m: prepared.solve(m[0].flatten(1).T).T.reshape(m.shape)` with a `Smoother`. `solver`: see
    `graph.solve.Solver`. Raises ValueError for masks of another size than the picture's, and for c ≤ 0.
    """
    size = size_of(image)
    if size_of(masks) != size:
        raise ValueError(f"masks: {size_of(masks)} for a picture of {size}; they must have its size")
    if not (math.isfinite(fidelity) and fidelity > 0):
        raise ValueError(f"fidelity: {fidelity}; it must be a positive number")
    if smoother is None:
        laplacian = matting_stencil(image)
        laplacian.centre().add_(fidelity)
        found = solve(laplacian, fidelity * masks[0].flatten(1).T.cpu().double(), solver)
        found = found.T.view(masks.shape).to(masks)
    else:
        found = smoother(masks).to(masks)
    found = found.clamp(min=0)
    return found / found.sum(1, keepdim=True).clamp(min=1e-12)
