"""Style as correlation: Gatys et al. (lecture 03).

The picture x minimises α·L_content(x, p) + β·L_style(x, a): its features at a deep layer are those of the content
picture p, position by position; its Gram matrices at five layers are those of the style picture a.
Source: Gatys, Ecker & Bethge, Image Style Transfer Using Convolutional Neural Networks, CVPR 2016.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated

import torch
from torch import Tensor

from ..encoders import Encoder, load_encoder
from ..images import Size, fit_size, noise_like, resize, size_of
from ..losses import (
    CONVENTIONS,
    STYLE_LOSSES,
    Loss,
    content_loss,
    covariance_loss,
    gram_loss,
    total_variation,
    value_range,
)
from ..objective import Energy, Layers, Masks, Match, Objective, View, layer_weights
from ..run import Run
from ..samples import Source, picture, pictures
from ..synthesis import check_room, synthesize
from .arguments import Content, ContentWeight, LongerSide, Mask, Mix, Network, Scale, Steps, Style, StyleMask
from .control import colour_control, regions
from .options import Choice, Number, checked
from .painters import STYLES
from .stylize import stylize
from .wct import wct

CONTENT_LAYERS = ("relu3_1", "relu4_2")  # relu4_2 alone, as in the paper, lets faces and windows dissolve
PAPER_CONTENT_LAYER = "relu4_2"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
# What `gatys` takes unless told otherwise: Gram matrices, and beside them covariances at the deep layers, where strokes
# are. There the mean carries nearly all of a Gram matrix G = Σ + μμᵀ, and with it the loss (lecture 03).
STYLE_LOSS = "gram-covariance"
STYLE_WEIGHT = 50.0
STROKES = 0.1  # of a deep layer's weight: what its covariance counts beside its Gram matrix
TV_WEIGHT = 0.1
RANGE_WEIGHT = 10.0
STARTS = ("content", "noise", "style", "wct", "stylize")


@checked
def gatys(
    content: Content,
    style: Style,
    *,
    size: LongerSide = 512,
    steps: Steps = 200,
    style_weight: Annotated[
        float, Number(0, 1e6, log=True, help="β, the weight of the style (relative)")
    ] = STYLE_WEIGHT,
    content_weight: ContentWeight = 1.0,
    tv_weight: Annotated[float, Number(0, 1e4, log=True, help="weight of total variation, against noise")] = TV_WEIGHT,
    style_scale: Scale = 1.0,
    mix: Mix = None,
    mask: Mask = None,
    style_mask: StyleMask = None,
    keep_colours: Annotated[
        str | None, Choice((None, "luminance", "matched"), help="whether and how the content's colours are kept")
    ] = None,
    loss: Annotated[
        str, Choice((STYLE_LOSS, *STYLE_LOSSES), help="what style is: the loss that compares it")
    ] = STYLE_LOSS,
    start: Annotated[str | Tensor, Choice(STARTS, help="what the optimisation starts from")] = "content",
    encoder: Network = "mini",
    pooling: Annotated[str, Choice(("max", "avg"), help="pooling of the encoder")] = "max",
    optimizer: Annotated[str, Choice(("lbfgs", "adam"), help="the optimiser")] = "lbfgs",
    recipe: Annotated[str | None, Choice((None, "paper"), help="the paper's own weights (VGG-19 only)")] = None,
    seed: Annotated[int, Number(0, 2**31 - 1, help="seed of a noise start")] = 0,
    content_layers: Layers | None = None,
    style_layers: Layers | None = None,
    levels: int | Iterable[int] | None = None,
    shares: bool = False,
    keep_detail: bool | None = None,
    device: str | torch.device | None = None,
) -> Run[Tensor]:
    """Paint `content` in the style of `style`; gives a Run whose `finish()` is the picture (1, 3, H, W) in [0, 1].

    Weights are relative (see `styletx.objective`): they mean the same at every size and with every encoder.
    `recipe="paper"` instead takes the paper's raw losses, with α/β = 10⁻³, no total variation, a noise start and
    one level, on VGG-19 with normalised filters and average pooling. By default the style is its Gram matrices
    and, in blocks 4 and 5, its covariances, which are strokes; `loss="gram"` is the paper's, Gram matrices alone, and
    other names are other statistics, each at its own layers unless `style_layers` says which (lectures 04 and 05).
    Pictures are samples' names, paths or tensors.

    Several styles are mixed (`mix`), or each has its region of the content: a colour of `mask` for each, from dark to
    light. With one style, `style_mask` says where in it each region finds its style. A mask of another size is
    stretched over its picture; a region too small for a deep layer asks for nothing there. `keep_colours="luminance"`
    keeps the content's colours and paints its brightness only, `"matched"` gives the painting the content's colours
    first (lecture 06). `start="wct"` goes on from what whitening and colouring make in a second (lecture 10),
    `start="stylize"` from what a network makes in one pass (lectures 08, 09).
    `keep_detail` (see `synthesize`): by default for every start but "noise".
    Raises ValueError (or a subclass) for a bad argument and MemoryError for a size the device cannot hold, at once.
    """
    if not content_weight and not style_weight:
        raise ValueError("content_weight, style_weight: both are 0; nothing would be left to optimise")
    paper = recipe == "paper"
    if paper:
        loss = "gram" if loss == STYLE_LOSS else loss
    if content_layers is None:
        content_layers = PAPER_CONTENT_LAYER if paper else CONTENT_LAYERS
    photo, styles = picture(content, argument="content"), pictures(style, argument="style")
    if isinstance(start, str) and start == "stylize" and len(styles) > 1:
        raise ValueError("start: stylize paints in one style; for a mixture, start=stylize(...)")
    masks = regions(mask, style_mask, styles, mix)
    if paper and (loss != "gram" or len(styles) > 1 or masks or keep_colours):
        raise ValueError("recipe: the paper's numbers are for Gram matrices of one style everywhere, with its colours")
    if masks and loss == "reshuffle":
        raise ValueError("loss, mask: the reshuffle loss knows no regions; take mrf")
    styles, view, output = colour_control(keep_colours, photo, styles)
    if paper:
        network = load_encoder(paper_encoder(encoder), pooling="avg", normalised=True, device=device)
        objective = paper_objective(photo, styles[0], content_layers, style_layers, style_scale)
        start = "noise" if isinstance(start, str) and start == "content" else start
        levels = 1 if levels is None else levels
    else:
        network = load_encoder(encoder, pooling=pooling, device=device)
        objective = gatys_objective(
            photo, styles, content_layers=content_layers, style_layers=style_layers, content_weight=content_weight,
            style_weight=style_weight, tv_weight=tv_weight, style_scale=style_scale, loss=loss, mix=mix, masks=masks,
            view=view,
        )  # fmt: skip
    check_side(network, "content", photo, content_layers, 1)
    for one in styles:
        for part, layers in style_parts(loss, style_layers).values():
            check_side(network, "style", one, layers, part.min_positions)
    final = fit_size(*size_of(photo), longer=size)
    check_room(objective, network, final)  # before a start that is work, too
    if keep_detail is None:
        keep_detail = not (isinstance(start, str) and start == "noise")
    if isinstance(start, str):
        if start == "stylize":
            name = style[0] if isinstance(style, list | tuple) else style
            named = isinstance(name, str) and name in STYLES and not keep_colours  # else `styles` are other pictures
            first = stylize(photo, style=str(name) if named else styles[0], size=max(final), device=device)
        else:
            first = _start(start, photo, styles, final, seed, mix, masks, device)
    else:
        first = picture(start, argument="start")
    return synthesize(
        objective, network, start=resize(first, final), steps=steps, levels=levels, optimizer=optimizer,
        shares=shares, keep_detail=keep_detail, output=output, device=device,
    )  # fmt: skip


def _start(
    name: str,
    photo: Tensor,
    styles: list[Tensor],
    size: Size,
    seed: int,
    mix: Sequence[float] | None,
    masks: Masks | None,
    device: str | torch.device | None,
) -> Tensor:
    """The picture that an optimisation of that start begins with."""
    if name == "wct":
        mask, style_mask = masks or (None, None)
        return wct(photo, styles, size=max(size), mix=mix, mask=mask, style_mask=style_mask, device=device)
    if name == "noise":
        return noise_like(photo, seed, size=size)
    return photo if name == "content" else resize(styles[0], size)


def paper_encoder(encoder: str | Encoder) -> str | Encoder:
    """VGG-19, which papers' own numbers are for, by name or as given; ValueError where another one was asked for."""
    if encoder not in ("mini", "vgg19") and getattr(encoder, "name", "") != "vgg19":
        raise ValueError(f"recipe: the paper's numbers are for vgg19, not for {encoder}")
    return encoder if isinstance(encoder, Encoder) else "vgg19"


def check_side(encoder: Encoder, name: str, image: Tensor, layers: Layers, positions: int) -> None:
    """ValueError for a picture with too few pixels to have the features it is asked for."""
    height, width = image.shape[-2:]
    least = max(encoder.smallest(layer, positions) for layer in encoder.check_layers(layers))
    if min(height, width) < least:
        raise ValueError(f"{name}: {width}×{height} pixels are too few; each side needs at least {least}")


def style_parts(
    loss: str | Loss = STYLE_LOSS, layers: Layers | None = None
) -> dict[str, tuple[Loss, dict[str, float]]]:
    """{term: (loss, {layer: weight})}: one term for most losses, "style" and "strokes" for the default.

    Without `layers`, a loss is asked at its own. The default takes Gram matrices at all layers, and covariances at
    those of blocks 4 and 5, with a tenth of the weight. Raises ValueError for a loss that is not known.
    """
    if loss == STYLE_LOSS:
        weights = layer_weights(STYLE_LAYERS if layers is None else layers)
        deep = {n: STROKES * weight for n, weight in weights.items() if n.partition("_")[0][-1:] in "45"}
        parts = {"style": (gram_loss, weights), "strokes": (covariance_loss, deep)}
        return {term: part for term, part in parts.items() if part[1]}
    if isinstance(loss, str):
        if loss not in STYLE_LOSSES:
            raise ValueError(f'loss: no style loss "{loss}"; there is {", ".join((STYLE_LOSS, *STYLE_LOSSES))}')
        loss, own = STYLE_LOSSES[loss]
        layers = own if layers is None else layers
    return {"style": (loss, layer_weights(STYLE_LAYERS if layers is None else layers))}


def gatys_objective(
    content: Tensor | str,
    style: Tensor | Sequence[Tensor] | str,
    *,
    content_layers: Layers = CONTENT_LAYERS,
    style_layers: Layers | None = None,
    content_weight: float = 1.0,
    style_weight: float = STYLE_WEIGHT,
    tv_weight: float = TV_WEIGHT,
    style_scale: float = 1.0,
    loss: str | Loss = STYLE_LOSS,
    mix: Sequence[float] | None = None,
    masks: Masks | None = None,
    view: tuple[View, View] | None = None,
    choose: str = "",
) -> Objective:
    """The objective of `gatys`: content + style + total variation + range, with relative weights.

    content: a picture (1, 3, H, W), or the name of a batch entry, for a network that learns to paint (`training.fit`).
    style: pictures, or the name of a batch entry, too. choose: of the one that says in which of several styles each
    picture of a batch is to be.
    """
    styles = [
        Match(
            part, style, at, style_weight, masks=masks, view=view, scale=style_scale, name=term, mix=mix, choose=choose
        )
        for term, (part, at) in style_parts(loss, style_layers).items()
    ]
    return Objective(
        Match(content_loss, content, content_layers, weight=content_weight, view=view, name="content"),
        *styles,
        Energy(total_variation, weight=tv_weight),
        Energy(value_range, weight=RANGE_WEIGHT),
    )


def paper_objective(
    content: Tensor, style: Tensor, content_layers: Layers, style_layers: Layers | None = None, style_scale: float = 1.0
) -> Objective:
    """Gatys et al.'s own objective: ½ Σ (F − P)² + 10³ Σ_l w_l Σ (G − A)² / (4N²M²), nothing relative."""
    content_factor, style_factor = CONVENTIONS["Gatys et al. 2016; Kitov"]
    layers = layer_weights(STYLE_LAYERS if style_layers is None else style_layers)
    return Objective(
        Match(content_loss.scaled(content_factor), content, content_layers, weight=1.0, name="content"),
        Match(gram_loss.scaled(style_factor), style, layers, weight=1e3, scale=style_scale, name="style"),
        relative=False,
    )


def reconstruct_content(
    content: Source,
    layers: Layers,
    *,
    size: int = 256,
    steps: int = 200,
    encoder: str | Encoder = "mini",
    pooling: str = "max",
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Run[Tensor]:
    """A picture, from noise, with the content's features at `layers` and nothing else asked (Gatys et al., Fig. 1)."""
    photo = picture(content, size)
    objective = Objective(Match(content_loss, photo, layers), Energy(value_range, RANGE_WEIGHT))
    return _from_noise(objective, photo, size, steps, encoder, pooling, seed, device)


def reconstruct_style(
    style: Source,
    layers: Layers = STYLE_LAYERS,
    *,
    size: int = 256,
    steps: int = 200,
    encoder: str | Encoder = "mini",
    pooling: str = "max",
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Run[Tensor]:
    """A texture, from noise, with the style's Gram matrices at `layers` (Gatys et al., Fig. 1; 2015)."""
    painting = picture(style, size)
    objective = Objective(Match(gram_loss, painting, layers), Energy(value_range, RANGE_WEIGHT))
    return _from_noise(objective, painting, size, steps, encoder, pooling, seed, device)


def _from_noise(
    objective: Objective,
    picture: Tensor,
    size: int,
    steps: int,
    encoder: str | Encoder,
    pooling: str,
    seed: int,
    device: str | torch.device | None,
) -> Run[Tensor]:
    network = load_encoder(encoder, pooling=pooling, device=device)
    start = noise_like(picture, seed, size=fit_size(*size_of(picture), longer=size))
    return synthesize(objective, network, start=start, steps=steps, device=device)
