# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # 06 · Taking control: where, how much, which colours
#
# By the end of this lecture you will be able to
#
# - give each region of a photo a style of its own, and say what a mask does *inside* a statistic;
# - mix styles, and show that mixing Gram matrices is mixing losses;
# - keep a photo's colours in two ways, and say which of them clips;
# - choose the size of the strokes.

# %% slideshow={"slide_type": "slide"}
import torch

from styletx import (
    Energy,
    Match,
    Objective,
    content_loss,
    describe_device,
    gatys,
    gram,
    gram_loss,
    load_encoder,
    load_or,
    show,
    synthesize,
    total_variation,
)
from styletx.course.figures import heat
from styletx.course.gallery import figure
from styletx.images import resize_mask, rgb_to_yiq, yiq_to_rgb
from styletx.methods.control import keep_chroma, match_colours
from styletx.segments import cluster

torch.manual_seed(0)
print("this lecture runs on", describe_device())

# %% slideshow={"slide_type": "slide"}
figure(
    "control",
    "A photograph and two paintings; below, its two regions, and a painting in each of them, both ways round",
)

# %% [markdown]
# A photograph, its regions, and a painting for each of them.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Where: a mask inside the statistic
#
# "Use the painting for the sky only" asks for a Gram matrix of the sky {cite}`gatys2017controlling`. The features of a region
# are a *weighted* sample of the cloud: with weights $w_k \in [0, 1]$ at the positions $k$ of the layer,
#
# $$G_r = \frac{\sum_k w_k\, \mathbf{f}_k \mathbf{f}_k^\top}{\sum_k w_k}, \qquad
# \mathcal{L}_{\text{style}} = \sum_r \lVert G_r - A_r \rVert^2 .$$
#
# $A_r$ is the matrix of painting $r$ as a whole, or of region $r$ in one painting. The slide divides by $M_l$, "the number of
# points in the mask": that is $\sum_k w_k$. Multiplying the *features* by the mask instead gives the same numerator where the
# mask is 0 or 1, and $w^2$ in between; and for a mean or a histogram it gives nonsense: every position outside becomes a zero
# that counts.

# %%
photo = load_or("kodak-21", "china", size=160)
encoder = load_encoder("mini")
masks = cluster(photo, count=2, encoder=encoder)[0]
features = encoder(photo.to(encoder.device), "relu3_1")["relu3_1"].cpu()
weights = resize_mask(masks, features.shape[-2:])[:, :1]
inside = gram(features, weights)
cut = weights.flatten() > 0.5
by_hand = features.flatten(2)[0][:, cut] @ features.flatten(2)[0][:, cut].T / cut.sum()
print(
    f"soft mask against hard cut: relative difference {(inside[0] - by_hand).norm() / by_hand.norm():.3f}"
)
show(photo, heat(masks[0], 0, 1), titles=["photo", "region 1", "region 2"])

# %% [markdown]
# The regions come from a clustering of deep features, and could as well be painted. Masks are shrunk to each layer by
# averaging areas, so a region keeps its share of the picture. A region with less weight than one position of a deep layer
# has no feature of its own there: what it would compare is its surroundings. It asks for nothing at that layer. With one
# painting, `style_mask=` says where in it each region finds its style, and `cluster(photo, painting)` gives regions that
# correspond in both.

# %%
styles = [
    load_or("starry-night", "waves", size=512),
    load_or("the-scream", "mosaic", size=512),
]
result = gatys(photo, styles, mask=masks, size=160, steps=60).finish(progress=False)
swapped = gatys(photo, styles[::-1], mask=masks, size=160, steps=60).finish(
    progress=False
)
show(
    *styles,
    result,
    swapped,
    titles=["style 1", "style 2", "each in its region", "the other way round"],
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How much of which
#
# Several styles without regions are *mixed*: average the Gram matrices, or the losses? As in lecture 04,
# $\sum_i w_i \lVert G - A_i\rVert^2$ and $\lVert G - \sum_i w_i A_i\rVert^2$ differ by something without $G$ in it, if the $w_i$ add
# up to 1. Other values, the same gradient:

# %%
x, a, b = (torch.rand(1, 8, 12, 12, dtype=torch.float64) for _ in range(3))
x.requires_grad_(True)
losses = 0.3 * gram_loss(x, a) + 0.7 * gram_loss(x, b)
matrices = (gram(x) - (0.3 * gram(a) + 0.7 * gram(b))).square().mean()
slopes = [torch.autograd.grad(value, x)[0] for value in (losses, matrices)]
print(
    f"values {losses:.5f} and {matrices:.5f}; gradients differ by {(slopes[0] - slopes[1]).abs().max():.1e}"
)
assert torch.allclose(*slopes)

# %% [markdown]
# A mixture of (1, 0) is the single style, to the last bit:

# %%
options = dict(
    size=128, steps=40, device="cpu"
)  # on a GPU sums may come in another order: equal up to rounding
mixed = [
    gatys(photo, styles, mix=(1 - t, t), **options).finish(progress=False)
    for t in (0.0, 0.5, 1.0)
]
alone = gatys(photo, styles[0], **options).finish(progress=False)
assert torch.equal(mixed[0], alone)
show(*mixed, titles=["only the first", "half and half", "only the second"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Which colours
#
# **Luminance only.** In YIQ, Y is the brightness; I and Q are the colour (the slide's YUV has the same Y; its U and V span the
# same plane as I and Q, rotated by 33°). Give the painting's brightness the photo's mean and spread, show the network grey
# pictures only (Y in all three channels), and put the photo's I and Q back at the end. One thing is easily overlooked: not every brightness goes with every colour. A saturated red cannot be nearly white, so some
# pixels leave [0, 1], and clipping RGB changes their colour. Clamp Y to what I and Q leave room for, and nothing is clipped.
# (The price: a pure colour leaves room for one Y only, and there no stroke can show.)

# %%
bright = (0.6 + 0.4 * torch.rand(1, 3, *photo.shape[-2:])).clamp(0, 1)
offset = rgb_to_yiq(photo)
offset[:, :1] = rgb_to_yiq(bright)[:, :1]
clipped, kept = yiq_to_rgb(offset).clamp(0, 1), keep_chroma(bright, photo)
for name, picture in (("RGB clipped", clipped), ("Y clamped", kept)):
    gap = (rgb_to_yiq(picture) - rgb_to_yiq(photo))[:, 1:].abs().max()
    print(f"{name}: largest change of I and Q {255 * gap:.2f} / 255")
assert 255 * (rgb_to_yiq(kept) - rgb_to_yiq(photo))[:, 1:].abs().max() <= 1

# %% [markdown]
# **Matched first.** Or give the painting the photo's colours before its style is taken. The map
# $x \mapsto \Sigma_c^{1/2}\,\Sigma_s^{-1/2}(x - \mu_s) + \mu_c$ makes mean and covariance of its colours those of the photo: Reinhard's
# transfer with all of Σ instead of three spreads. Here $\mu$ and the 3×3 matrix $\Sigma$ are mean and covariance of the pixels'
# colours, $c$ of the photo and $s$ of the painting; $\Sigma^{1/2}$ is the symmetric matrix whose square is $\Sigma$, and
# $\Sigma^{-1/2}$ its inverse (lecture 10 does this to features). The strokes then bring the right colours with them. (This one clips: what
# leaves [0, 1] is cut.)

# %%
painting = load_or("starry-night", "stained-glass", size=512)
calm = 0.4 + 0.2 * photo  # far from the edges of [0, 1], so that nothing is cut
recoloured = match_colours(painting, calm)
moments = [
    (torch.cov(p[0].flatten(1), correction=0), p.mean((2, 3)))
    for p in (calm, recoloured)
]
assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(*moments, strict=True))
pictures = [gatys(photo, painting, size=160, steps=60, keep_colours=c).finish(progress=False) for c in
            (None, "luminance", "matched")]  # fmt: skip
show(match_colours(painting, photo), *pictures, titles=["painting, recoloured", "style's colours", "luminance only",
                                                        "matched first"])  # fmt: skip

# %% [markdown]
# Luminance keeps every colour in its place, and looks like a tinted drawing; matching lets colours move with the strokes.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Which scale
#
# `style_scale` is the painting's size relative to the picture's: at 2 its strokes are twice as large. Different scales may
# also be *mixed*: early layers see fine strokes, deep layers coarse ones, and each may have a painting of its own.

# %%
glass = load_or("stained-glass", "stained-glass", size=512)
scaled = [
    gatys(photo, glass, size=160, steps=50, style_scale=s).finish(progress=False)
    for s in (0.5, 2.0)
]
two = Objective(
    Match(content_loss, photo, ("relu3_1", "relu4_2")),
    Match(gram_loss, styles[1], ("relu1_1", "relu2_1"), weight=10, name="fine"),
    Match(gram_loss, styles[0], ("relu3_1", "relu4_1"), weight=10, name="coarse"),
    Energy(total_variation, 0.1),
)
scaled.append(synthesize(two, start=photo, steps=50).finish(progress=False))
show(*scaled, titles=["0.5", "2", "fine of one on coarse of the other"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How much at all
#
# The oldest control is the weight β. Lecture 03 plots what it costs.

# %%
weighed = [
    gatys(photo, painting, size=160, steps=40, style_weight=w).finish(progress=False)
    for w in (1.0, 10.0, 200.0)
]
show(*weighed, titles=["β = 1", "β = 10", "β = 200"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paint the mask
#
# Numbered regions from a list, cells of a grid, or a brush on the picture itself: three ways to say which part is which.
# They all change the same mask.

# %%
from styletx.widgets import MaskPainter

painter = MaskPainter(photo, ("the first style's", "the second style's"))
painter

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it
#
# The panel takes what is painted above.

# %%
from styletx.widgets import Panel

panel = Panel("gatys", content=photo, style=styles, mask=painter, size=160, steps=40,
              main=("style_weight", "style_scale", "keep_colours", "steps"))  # fmt: skip
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# ```{exercise} A soft border
# :label: control-soft
# Blur the masks, so that the two styles flow into each other. What changes in the formula?
# ```
#
# ```{solution} control-soft
# :class: dropdown
# Nothing: weights may be anything from 0 to 1. A position in the border counts in both statistics.
#
#     soft = torch.nn.functional.avg_pool2d(masks, 31, stride=1, padding=15, count_include_pad=False)
#     show(gatys(photo, styles, mask=soft, size=160, steps=60).finish(progress=False), result, titles=["soft", "hard"])
# ```
#
# ```{exercise} The same region in both
# :label: control-both
# Give the sky of the photo the sky of *one* painting, and its ground the painting's ground.
# ```
#
# ```{solution} control-both
# :class: dropdown
# Cluster photo and painting *together*: their regions then correspond. One style, two masks.
#
#     here, there = cluster(photo, painting, count=2)
#     show(gatys(photo, painting, mask=here, style_mask=there, size=192, steps=80).finish(progress=False))
# ```
#
# ```{exercise} Why not clip?
# :label: control-clip
# Show a pixel whose colour changes when luminance transfer is clipped in RGB, with its numbers.
# ```
#
# ```{solution} control-clip
# :class: dropdown
# A saturated red has I = 0.60 and Q = 0.21. With Y = 0.9 its red would be 1.60, its green and blue 0.60. Clipped to 1, red
# has another I and Q.
#
#     red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
#     code = rgb_to_yiq(red)
#     code[:, 0] = 0.9
#     wanted = yiq_to_rgb(code)
#     print(wanted.flatten(), rgb_to_yiq(wanted.clamp(0, 1)).flatten(), keep_chroma(0.9 * torch.ones_like(red), red).flatten())
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, ours
#
# | | Gatys et al. 2017 | here |
# |---|---|---|
# | masks | shrunk to each layer; features near a border left out, or not | shrunk by averaging areas; weights inside the statistic |
# | normalisation | guided Gram over the sum of squared weights | over the sum of weights |
# | luminance | YIQ; the style's luminance matched in mean and spread | the same; Y clamped, RGB never clipped |
# | colour matching | Cholesky or the symmetric root (the one that keeps closer) | the symmetric root |
# | scales | the coarse painting is first repainted in the fine strokes of the other; that is the style | `style_scale`; early and deep layers with different paintings |
# | sizes | coarse to fine by hand | coarse to fine by default |
#
# ## How it fails
#
# - *A halo along the border*: deep features see across it. Blur the mask, or leave the border out of both regions.
# - *A small region is only tinted*: it has less weight than one position of the deep layers, and asks for nothing there.
# - *No strokes on a red coat*: luminance only; a pure colour leaves no room for another brightness.
# - *Mud*: mixing styles whose colours are opposite. Mix in luminance, or give each a region.
#
# ## What to read next
#
# All of this is from {cite:t}`gatys2017controlling`. Until here each picture was an optimisation of its own. The
# next lecture trains a network to do it in one pass.
