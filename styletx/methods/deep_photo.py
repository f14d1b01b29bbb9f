"""Deep photo style transfer: Gatys et al. for photographs, by segments, and locally affine in colour (lecture 12).

The picture O minimises α·L_content + Γ·Σ_l β_l·L_s+^l + λ·Σ_c V_c[O]ᵀ M V_c[O]: its features are those of the content
photo I; in each segment its Gram matrices are those of the same segment in the style photo S; and in every small window
its colours are an affine function of I's colours, since only there the matting Laplacian M of I lets it go for free.
Source: Luan, Paris, Shechtman & Bala, Deep Photo Style Transfer, CVPR 2017.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated

import torch
from torch import Tensor

from ..encoders import Encoder, load_encoder
from ..graph.matting import MattingQuadratic
from ..images import Size, fit_size, noise_like, resize, size_of
from ..losses import content_loss, gram_loss, value_range
from ..objective import Energy, Layers, Match, Objective, View
from ..run import Run
from ..samples import Source, picture
from ..segments import cluster, semantic, without_orphans
from ..synthesis import synthesize
from .arguments import ContentWeight, LongerSide, Network, Photo, Steps, StylePhoto
from .control import match_colours, paired_masks
from .gatys import CONTENT_LAYERS, PAPER_CONTENT_LAYER, RANGE_WEIGHT, STYLE_LAYERS, check_side, paper_encoder
from .options import Choice, Number, Picture, checked

STYLE_WEIGHT = 50.0
MATTING_WEIGHT = 1e4
EPS = 1e-5  # of the matting Laplacian; with the paper's 1e-7 the grain of a clear sky is blown up into speckles
# What the authors' code sets; Γ and λ are the paper's too. With β = 1/5, the paper's α = 1 is their 5.
PAPER_WEIGHTS = {"content": 5.0, "style": 100.0, "matting": 1e4}
PAPER_EPS = 1e-7
FLOOR = 1e-8  # a content without any contrast has nothing to be measured by
PAPER_SCALE = 255 * 0.226  # Caffe's VGG-19 sees 0 … 255, torchvision's the same divided by this: so do its features


@checked
def deep_photo(
    content: Photo,
    style: StylePhoto,
    *,
    size: LongerSide = 384,
    steps: Steps = 200,
    style_weight: Annotated[
        float, Number(0, 1e6, log=True, help="Γ, the weight of the style (relative)")
    ] = STYLE_WEIGHT,
    matting_weight: Annotated[
        float, Number(0, 1e8, log=True, help="λ, the weight of the matting Laplacian (relative)")
    ] = MATTING_WEIGHT,
    content_weight: ContentWeight = 1.0,
    segments: Annotated[
        str, Choice(("cluster", "semantic", "none"), help="where the segments come from, if no mask is given")
    ] = "cluster",
    count: Annotated[int, Number(2, 16, help="how many segments are clustered")] = 3,
    mask: Annotated[Source | None, Picture("segments of the content, one colour for each")] = None,
    style_mask: Annotated[Source | None, Picture("the same segments of the style, in the same colours")] = None,
    start: Annotated[
        str | Tensor, Choice(("matched", "content", "noise"), help="what the optimisation starts from")
    ] = "matched",
    encoder: Network = "mini",
    recipe: Annotated[str | None, Choice((None, "paper"), help="the authors' own weights (VGG-19 only)")] = None,
    seed: Annotated[int, Number(0, 2**31 - 1, help="seed of the clustering and of a noise start")] = 0,
    content_layers: Layers | None = None,
    style_layers: Layers = STYLE_LAYERS,
    levels: int | Iterable[int] | None = None,
    shares: bool = False,
    keep_detail: bool | None = None,
    device: str | torch.device | None = None,
) -> Run[Tensor]:
    """Give `content` the light and the colours of another photo; a Run whose `finish()` is a picture (1, 3, H, W).

    Segments are `mask` and `style_mask` (colour-coded files, or masks (1, K, H, W)), or are found: by clustering deep
    features of both photos jointly, or by a segmentation network ("semantic"). Each is compared with itself, in the
    proportion of the content that it covers, as in the authors' code (the paper's sum has no such factor). Masks
    are averaged over areas down to each layer and weigh its positions, G = Σ w f fᵀ / Σ w (the authors blur masks with
    every convolution and multiply the features with them, so theirs weigh w²; the paper leaves both open). A segment
    that only the content has goes to its neighbours (`segments.without_orphans`), one that only the style has
    is left out, and one with less weight than one position of a layer asks for nothing there.

    Weights are relative: λ is measured by `photorealism`. "matched" starts from the content with the style's mean
    and covariance of colours, which costs the matting term nothing. `recipe="paper"` instead takes the authors' raw
    losses and weights, on VGG-19 and from noise; their two stages, first without λ, are two levels. `keep_detail` (see
    `synthesize`): by default for every start but "noise".
    Raises ValueError (or a subclass) for a bad argument and MemoryError for a size the device cannot hold, at once.
    """
    if not content_weight and not style_weight:
        raise ValueError("content_weight, style_weight: both are 0; nothing would be left to optimise")
    content, style = picture(content, argument="content"), picture(style, argument="style")
    paper = recipe == "paper"
    network = load_encoder(paper_encoder(encoder) if paper else encoder, device=device)
    if content_layers is None:
        content_layers = PAPER_CONTENT_LAYER if paper else CONTENT_LAYERS
    check_side(network, "content", content, content_layers, 1)
    check_side(network, "style", style, style_layers, 1)
    final = fit_size(*size_of(content), longer=size)
    masks = find_segments(content, style, segments, count, mask, style_mask, seed, network)
    if paper:
        objective = paper_objective(content, style, masks, final, content_layers, style_layers)
        start, levels = "noise" if start == "matched" else start, 2 if levels is None else levels
    else:
        objective = deep_photo_objective(
            content, style, masks, content_layers=content_layers, style_layers=style_layers,
            content_weight=content_weight, style_weight=style_weight, matting_weight=matting_weight,
        )  # fmt: skip
    if keep_detail is None:
        keep_detail = start != "noise"
    if start == "matched":
        start = match_colours(content, style)
    elif isinstance(start, str):
        start = content if start == "content" else noise_like(content, seed, size=final)
    start = resize(picture(start, argument="start"), final)
    return synthesize(
        objective, network, start=start, steps=steps, levels=levels, shares=shares, keep_detail=keep_detail,
        device=device,
    )  # fmt: skip


FoundMasks = tuple[Tensor, Tensor] | None


def find_segments(
    content: Tensor,
    style: Tensor,
    segments: str = "cluster",
    count: int = 3,
    mask: Source | None = None,
    style_mask: Source | None = None,
    seed: int = 0,
    encoder: str | Encoder = "mini",
) -> FoundMasks:
    """The masks (content's, style's) of the segments that both photos have, (1, K, H, W) each; None for none.

    Given masks come before `segments`. Raises ValueError where one of the two is missing, or they do not fit.
    """
    if (mask is None) != (style_mask is None):
        missing = "style_mask" if style_mask is None else "mask"
        raise ValueError(f"{missing}: none given; segments are compared with themselves, so both photos need a mask")
    if mask is not None and style_mask is not None:
        return paired_masks(mask, style_mask)
    if segments == "none":
        return None
    if segments == "semantic":
        found = semantic(content, style, device=getattr(encoder, "device", None))[1]
    else:
        found = cluster(
            content, style, count=count, seed=seed, encoder=encoder, device=getattr(encoder, "device", None)
        )
    return without_orphans(*found)


def deep_photo_objective(
    content: Tensor,
    style: Tensor,
    masks: FoundMasks = None,
    *,
    content_layers: Layers = CONTENT_LAYERS,
    style_layers: Layers = STYLE_LAYERS,
    content_weight: float = 1.0,
    style_weight: float = STYLE_WEIGHT,
    matting_weight: float = MATTING_WEIGHT,
) -> Objective:
    """The objective of `deep_photo`: content + augmented style + matting + range, with relative weights."""
    return Objective(
        Match(content_loss, content, content_layers, weight=content_weight, name="content"),
        Match(gram_loss, style, style_layers, weight=style_weight, masks=masks, mix=_areas(masks), name="style"),
        Energy(factory=photorealism(content), weight=matting_weight, name="matting"),
        Energy(value_range, weight=RANGE_WEIGHT),
    )


def paper_objective(
    content: Tensor, style: Tensor, masks: FoundMasks, final: Size, content_layers: Layers, style_layers: Layers
) -> Objective:
    """The authors' objective: α·mean (F − P)² + Γ·Σ_l Σ_c m_c·mean (G/N − A/N)² + λ·Σ_c V_cᵀ M V_c, no weight relative.

    m_c is the share of the content that segment c covers, G is per position, N the number of channels, F in Caffe's
    scale. Departs from the paper where its text does: it has ½ and no 1/M in G, which would make Γ = 100 huge. Their
    total variation of weight 10⁻³ is left out. λ counts at the `final` size only: the paper's first stage has none.
    """
    if not isinstance(style_layers, Mapping):
        style_layers = dict.fromkeys([style_layers] if isinstance(style_layers, str) else style_layers, 1.0)
    return Objective(
        Match(content_loss.scaled(_paper(0)), content, content_layers, weight=PAPER_WEIGHTS["content"], name="content"),
        Match(gram_loss.scaled(_paper(1)), style, style_layers, weight=PAPER_WEIGHTS["style"], masks=masks,
              mix=_areas(masks), name="style"),
        Energy(factory=photorealism(content, PAPER_EPS, False, only=final), weight=PAPER_WEIGHTS["matting"],
               name="matting"),
        Energy(value_range, weight=RANGE_WEIGHT),
        relative=False,
    )  # fmt: skip


def photorealism(
    content: Tensor, eps: float = EPS, relative: bool = True, only: Size | None = None
) -> Callable[[Size, torch.device], View]:
    """Σ_c V_cᵀ M V_c with the matting Laplacian M of the content at the size asked for: an energy's `at`.

    0 where in every window of 3×3 pixels the colours are an affine function of the content's. `relative` divides it by
    its value for seeded noise with the content's mean and deviation, which is about 6 σ² for each value of the picture:
    the number of pixels and the contrast drop out, and a picture torn as badly as noise costs the weight, at any size.
    eps: what steep functions cost. only: a size; at all others it is 0. Source: Luan et al. 2017, Eq. 2; Levin et al.
    2008, Eq. 12.
    """

    def at(size: Size, device: torch.device) -> View:
        if only is not None and tuple(size) != tuple(only):
            return lambda image: 0 * image.sum()
        reference = resize(content.to(device), size)
        quadratic = MattingQuadratic(reference, eps)
        scale = float(quadratic.quadratic(noise_like(reference, seed=0))) if relative else 1.0
        return lambda image: quadratic.quadratic(image) / max(scale, FLOOR)

    return at


def _areas(masks: FoundMasks) -> list[float] | None:
    """The share of the content that each segment covers."""
    return None if masks is None else masks[0].mean((0, 2, 3)).tolist()


def _paper(power: int) -> Callable[[int, int], float]:
    """The factor of a loss of features in Caffe's scale; a Gram matrix is also divided by the number of channels."""
    return lambda channels, positions: PAPER_SCALE ** (2 + 2 * power) / channels ** (2 * power)
