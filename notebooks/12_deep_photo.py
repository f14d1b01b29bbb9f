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
# # 12 · Deep photo style transfer
#
# By the end of this lecture you will be able to
#
# - say what an affine map keeps, in the plane and in the space of colours, and why a photograph survives one;
# - show that the matting Laplacian lets affine maps go for free, window by window, and that total variation does not;
# - write the style loss by segments, with a rule for a segment that only one of the two photos has;
# - choose λ from a curve of what it buys and what it costs.

# %% slideshow={"slide_type": "slide"}
import math

import matplotlib.pyplot as plt
import torch

from styletx import (
    deep_photo,
    describe_device,
    gram,
    load_encoder,
    load_or,
    resize,
    show,
    total_variation,
)
from styletx.course.figures import CONTENT, STYLE, heat, table
from styletx.course.gallery import figure, numbers
from styletx.course.quizzes import check_word
from styletx.graph.matting import MattingQuadratic
from styletx.images import noise_like, resize_mask
from styletx.methods.control import match_colours
from styletx.methods.deep_photo import deep_photo_objective, photorealism
from styletx.samples.scenes import random_scene
from styletx.segments import cluster, refine, without_orphans

torch.manual_seed(0)
print("this lecture runs on", describe_device())

# %% slideshow={"slide_type": "slide"}
figure("deep_photo_parts", "A lighthouse by day; a beach at sunset; the style of the one on the other, by Gatys et al., "
       "with segments, with matting, and with both")  # fmt: skip

# %% [markdown]
# Both pictures are photographs, and the result should be one, too. Gatys et al. bring the sunset, and paint it.
# {cite:t}`luan2017deep` add two things: *segments*, so that the sky's colours go to the sky; and a term that allows only such
# changes as a photographer could have made.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What an affine map keeps
#
# $\mathbf{v} \mapsto A\mathbf{v} + \mathbf{b}$: a linear map and a shift. Points go to points, lines to lines, parallels to
# parallels, middles to middles, ellipses to ellipses. Lengths and angles change; areas change by the factor $|\det A|$.

# %%
A, b = torch.tensor([[1.1, 0.6], [-0.35, 0.8]]), torch.tensor([[1.4], [0.5]])
turn = torch.linspace(0, 2 * math.pi, 100)
shapes = {
    "parallelogram": torch.tensor(
        [[-1.0, 0.2, 0.8, -0.4, -1.0], [-0.8, -0.8, 0.6, 0.6, -0.8]]
    ),
    "ellipse": torch.stack([0.9 * turn.cos(), 0.45 * turn.sin() + 1.3]),
}
fig, axes = plt.subplots(
    1, 2, figsize=(7.2, 3), constrained_layout=True, sharex=True, sharey=True
)
for axis, change in zip(axes, (lambda v: v, lambda v: A @ v + b), strict=True):
    for t in torch.linspace(-1.5, 2, 8):
        line = torch.stack([torch.tensor([-1.5, 2.0]), t.expand(2)])
        axis.plot(*change(line), color="#ccd4d8", lw=0.8)
        axis.plot(*change(line.flip(0)), color="#ccd4d8", lw=0.8)
    for (name, points), colour in zip(shapes.items(), (CONTENT, STYLE), strict=True):
        axis.plot(*change(points), color=colour, label=name)
    axis.plot(
        *change(shapes["parallelogram"][:, :2].mean(1, keepdim=True)),
        "o",
        color=CONTENT,
        ms=4,
    )
    axis.set_aspect("equal")
axes[0].set_title("before", fontsize=10)
axes[1].set_title("after: still a middle, parallels, an ellipse", fontsize=10)
axes[0].legend(frameon=False, fontsize=8, loc="lower right")
plt.show()


def area(p):  # of a polygon, by the shoelace formula
    return 0.5 * abs(float((p[0, :-1] * p[1, 1:] - p[0, 1:] * p[1, :-1]).sum()))


p = shapes["parallelogram"]
q = A @ p + b
assert torch.allclose(
    A @ p[:, :2].mean(1, keepdim=True) + b, q[:, :2].mean(1, keepdim=True), atol=1e-6
)
assert torch.allclose(
    q[:, 1] - q[:, 0], q[:, 2] - q[:, 3], atol=1e-6
)  # opposite sides: still parallel, still equal
print(
    f"area {area(p):.3f} → {area(q):.3f}, factor {area(q) / area(p):.3f}; det A = {torch.linalg.det(A):.3f}"
)

# %% [markdown]
# :::{admonition} Check the slide
# :class: warning
# The slides explain the maps of the plane, and stop there. But nothing in Luan et al. moves a pixel. Their maps act on
# *colours*: $\mathbf{v}$ has three entries, red, green and blue. The plane is the picture to think in.
# :::

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The same in the space of colours
#
# Exposure, contrast, white balance, mixing the channels, fading to grey: all of these are affine maps of a colour. An edge
# between two colours stays an edge at the same place; a straight ramp stays a straight ramp. Bend the map, and ramps get
# bands and grain comes out.

# %%
photo, sunset = (
    load_or("kodak-21", "china", size=192),
    load_or("beach-city", "rocket", size=192),
)
matched = match_colours(
    photo, sunset
)  # lecture 06: the affine map to the sunset's mean and covariance
bent = 0.5 + 0.5 * (3 * math.pi * photo).sin()
show(
    photo, matched, bent, titles=["photo", "an affine map of its colours", "a bent one"]
)

# %%
some = torch.randperm(photo[0, 0].numel(), generator=torch.Generator().manual_seed(0))[
    :1500
]
fig = plt.figure(figsize=(8.6, 2.9), constrained_layout=True)
for k, (name, picture) in enumerate(
    {"photo": photo, "affine": matched, "bent": bent}.items(), start=1
):
    axis = fig.add_subplot(1, 3, k, projection="3d")
    axis.scatter(
        *picture[0].flatten(1)[:, some], c=photo[0].flatten(1)[:, some].T.numpy(), s=3
    )
    axis.set(
        title=name,
        xlim=(0, 1),
        ylim=(0, 1),
        zlim=(0, 1),
        xlabel="R",
        ylabel="G",
        zlabel="B",
    )
plt.show()

# %% [markdown]
# Each dot is a pixel at its colour, painted as it was in the photo. The affine map moves, turns and stretches the cloud;
# dots on a line stay on a line. One such map for the whole picture is little: sky and rock want different ones. So Luan et
# al. ask for it *locally*: in every small window some affine map, anywhere another one.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What a window costs
#
# In a window $w$ of $3 \times 3$ pixels fit the output channel $V$ by an affine function of the photo's colours $I$, and see
# what is left:
#
# $$ \min_{\mathbf{a}, b}\; \sum_{i \in w} \big(V_i - \mathbf{a}^\top I_i - b\big)^2 + \epsilon\,\lVert\mathbf{a}\rVert^2 . $$
#
# The minimum is a quadratic form in the nine values of $V$. Added up over all windows and the three channels it is
# $\mathcal{L}_m = \sum_c V_c^\top M_I\, V_c$, and $M_I$ is the *matting Laplacian* of {cite:t}`levin2008closed`: lecture 11
# smooths with it. It only depends on the photo. Here is one window, by least squares and by the matrix:

# %%
window, V = photo[..., 60:63, 80:83], torch.rand(1, 1, 3, 3)
eps = 1e-7
colours = torch.cat(
    [window[0].flatten(1).T, torch.ones(9, 1)], 1
).double()  # nine rows (r, g, b, 1)
ridge = torch.diag(
    torch.tensor([eps, eps, eps, 0.0]).double()
).sqrt()  # ε|a|² as three more equations, a = 0
system, wanted = (
    torch.cat([colours, ridge]),
    torch.cat([V.flatten(), torch.zeros(4)]).double(),
)
left = (system @ torch.linalg.lstsq(system, wanted).solution - wanted).square().sum()
form = MattingQuadratic(window, eps).quadratic(V)
print(f"least squares {left:.6f}, quadratic form {form:.6f}")
assert math.isclose(float(left), float(form), rel_tol=1e-3)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Free, and not free
#
# A yardstick: divide $\mathcal{L}_m$ by what noise with the photo's mean and standard deviation costs. So noise costs about 1,
# at every size, and λ means the same at every size. (The whole course measures λ like this.)

# %%
size, cpu = tuple(photo.shape[-2:]), torch.device("cpu")
cost = photorealism(photo)(size, cpu)
left_half = torch.arange(size[1]) < size[1] // 2
edits = {
    "the photo": photo,
    "contrast halved and inverted": 0.8 - 0.5 * photo,
    "the sunset's colours, cut to [0, 1]": matched,
    "one affine map left, another right": torch.where(
        left_half, photo, 0.8 - 0.5 * photo
    ),
    "blurred": torch.nn.functional.avg_pool2d(photo, 5, 1, 2, count_include_pad=False),
    "bent": bent,
    "mirrored": photo.flip(-1),
    "noise": noise_like(photo, seed=1),
}
tv = float(total_variation(photo))
rows = [
    [name, f"{float(cost(x)):.1e}", f"{float(total_variation(x)) / tv:.2f}"]
    for name, x in edits.items()
]
table(rows, ["edit", "matting (noise: 1)", "total variation (photo: 1)"])

# %%
assert cost(edits["contrast halved and inverted"]) < 1e-4 < cost(bent) / 100
halves = cost(edits["one affine map left, another right"])
assert halves < cost(bent) / 2  # only the windows that see both halves cost anything

# %% [markdown]
# :::{admonition} Check the slide
# :class: warning
# One slide sets $V_c[O]^\top M_I V_c[O]$ equal to a sum of squared differences of neighbours: total variation. They are
# different things, as the table shows. Total variation does not know the photo: it charges for contrast, and rewards blur.
# The matting term charges neither for contrast nor for turning the photo into its negative; for blur it does charge.
# :::

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Style by segments
#
# One Gram matrix for the whole picture lets the buildings' colours flow into the sky. So compare segment with segment,
#
# $$ \mathcal{L}_{s+}^l = \sum_{c} m_c \,\frac{1}{N_l^2} \sum_{ij} \big(G_{l,c}[O] - G_{l,c}[S]\big)_{ij}^2, \qquad
# G_{l,c}[O] = \frac{\sum_k w_k\, \mathbf{f}_k \mathbf{f}_k^\top}{\sum_k w_k}, $$
#
# with $O$ the result, $S$ the style photo, $\mathbf{f}_k$ the features at position $k$ of layer $l$, $N_l$ their number of channels,
# $w$ the mask of segment $c$ (from here on $c$ counts segments, not colours), shrunk to layer $l$, and $m_c$ its share of the
# content. This is lecture 06 with two masks. Where do they come from? Without a download: deep features of both photos, clustered *together*.

# %%
encoder = load_encoder("mini", device="cpu")
found = cluster(photo, sunset, count=3, encoder=encoder, device="cpu")
here, there = without_orphans(*found)
names = [f"{100 * float(m):.0f}%" for m in here.mean((0, 2, 3))]
print("shares of the content:", ", ".join(names))
colouring = [heat(m[0].argmax(0)[None], 0, 2, colours="viridis") for m in (here, there)]
show(
    photo,
    colouring[0],
    sunset,
    colouring[1],
    titles=["content", "its segments", "style", "its segments"],
)

# %%
layer = "relu2_1"
objective = deep_photo_objective(
    photo, sunset, (here, there), style_layers=layer, style_weight=1.0, matting_weight=0
)
reference = resize(sunset, tuple(round(s * math.sqrt(size[0] * size[1] / (sunset.shape[-2] * sunset.shape[-1])))
                                 for s in sunset.shape[-2:]))  # as large as the photo  # fmt: skip
F, S = encoder(photo, layer)[layer], encoder(reference, layer)[layer]
total = largest = 0
for c in range(here.shape[1]):
    G = gram(F, resize_mask(here[:, c : c + 1], F.shape[-2:]))
    A_c = gram(S, resize_mask(there[:, c : c + 1], S.shape[-2:]))
    m = here[:, c].mean()
    total, largest = (
        total + m * (G - A_c).square().mean(),
        largest + m * A_c.square().mean(),
    )
value = objective.at(size, encoder)(photo)["style"]
print(f"by hand {total / largest:.5f}, the objective {value:.5f}")
assert math.isclose(float(total / largest), float(value), rel_tol=1e-3)

# %% [markdown]
# :::{admonition} Check the slide
# :class: warning
# (3a) divides by $N_{l,c}$, which is not defined there, and (6) divides by nothing. It matters: without $\sum_k w_k$ a small
# sky and a large one have different "styles", since a sum grows with what it sums over. And two questions stay open, to
# which every implementation needs an answer:
#
# - **Only one photo has the segment.** The paper chooses the content's labels among the style's. Here, a segment that covers
#   less than 1% of the style photo is an orphan: each of its pixels takes the label of the nearest pixel that has one both
#   photos know. What only the style has is left out.
# - **The mask vanishes at a deep layer.** With less weight than one position it asks for nothing there.
# :::

# %%
labels = torch.tensor([[0, 0, 2, 2, 2, 1, 1]]).expand(
    4, -1
)  # segment 2 is nowhere in the style
masks = torch.nn.functional.one_hot(labels, 3).permute(2, 0, 1)[None].float()
adopted, _ = without_orphans(
    masks, torch.tensor([0.5, 0.5, 0.0]).view(1, 3, 1, 1).expand(-1, -1, 4, 4)
)
print("before", labels[0].tolist(), " after", adopted[0].argmax(0)[0].tolist())

# %% [markdown] slideshow={"slide_type": "slide"}
# ## All of it
#
# $$ \mathcal{L} = \alpha\,\mathcal{L}_c + \Gamma \sum_l \beta_l\, \mathcal{L}_{s+}^l + \lambda\,\mathcal{L}_m . $$
#
# $\alpha$, $\Gamma$ and $\lambda$ are `content_weight`, `style_weight` and `matting_weight`; $\beta_l = 1/5$ shares the style among
# five layers, and $\mathcal{L}_c$ is the content loss of lecture 03.

# %%
options = dict(size=160, steps=50)
pictures = [
    deep_photo(photo, sunset, segments="none", matting_weight=0, **options).finish(
        progress=False
    ),
    deep_photo(photo, sunset, **options).finish(progress=False),
]
small = resize(photo, 160)
charge = photorealism(small)(tuple(small.shape[-2:]), cpu)
print("matting term:", ", ".join(f"{float(charge(p.cpu())):.1e}" for p in pictures))
assert charge(pictures[1].cpu()) < charge(pictures[0].cpu()) / 10
show(small, *pictures, titles=["content", "neither segments nor matting", "both"])

# %% [markdown]
# The optimisation starts from the affine map that gives the photo the sunset's mean and covariance of colours. It costs the
# matting term next to nothing. The paper starts from the result of a run without λ instead: otherwise, its authors found, a strong
# λ keeps the colours from moving. Coarse to fine helps with that, too.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How much λ?

# %%
figure(
    "deep_photo_lambda",
    "The lighthouse at sunset with λ = 0, 100, 1,000, 10,000, 100,000: from paint to photograph",
)

# %%
losses = dict(numbers("deep_photo_lambda")["losses"])
before = losses.pop("content")["style"]
kept = [
    (before - v["style"]) / (before - losses["0"]["style"]) for v in losses.values()
]
terms = [v["matting"] for v in losses.values()]
fig, axis = plt.subplots(figsize=(5.2, 3), constrained_layout=True)
axis.plot(terms, kept, "o-", color="#444")
for name, x, y in zip(losses, terms, kept, strict=True):
    axis.annotate(
        f"λ = {float(name):g}",
        (x, y),
        textcoords="offset points",
        xytext=(6, -11),
        fontsize=8,
    )
axis.set(
    xscale="log",
    xlabel="matting term (noise: 1)",
    ylabel="part of the style's gain kept",
    ylim=(0, 1.1),
    xlim=(0.5 * min(terms), 3 * max(terms)),
)
plt.show()
chosen = list(losses).index("10000")
assert kept[1] > 0.98 and kept[chosen] > 0.88 and terms[0] > 80 * terms[chosen]
print(
    f"λ = 10⁴: the matting term falls to 1/{terms[0] / terms[chosen]:.0f}, {100 * kept[chosen]:.0f}% of the gain stays"
)

# %% [markdown]
# The curve is flat on the right: a factor of 15 in the matting term costs 1% of the style's gain, a factor of nearly 90
# about a tenth. There is much room among the pictures that are locally affine in the photo. The paper's value is $10^4$, too, in quite another normalisation.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Noisy labels
#
# A classifier that looks at each pixel alone is noisy; the slides show it beside a conditional random field that cleans it up.
# You already have what it takes: keep of each label what is locally affine in the photo's colours,
#
# $$ \min_m\; m^\top M_I\, m + \eta\, \lVert m - m^0 \rVert^2 \quad\Longrightarrow\quad
# (M_I + \eta\mathbb{1})\, m = \eta\, m^0 . $$
#
# $\eta = 0.1$ says how firmly the given labels $m^0$ are kept (`fidelity` of `refine`). On a rendered scene the truth is known.

# %%
generator = torch.Generator().manual_seed(10)
textures = [
    load_or(name, name, size=128) for name in ("brick", "grass", "gravel", "coffee")
]
scene, camera = random_scene(textures, generator)
shape = (120, 160)
rendered = scene.render(camera, shape)[0]
truth = torch.unique(scene.depth(camera, shape)[1], return_inverse=True)[1]
K = int(truth.max()) + 1
wrong = torch.rand(shape, generator=generator) < 0.3
unary = torch.where(wrong, torch.randint(K, shape, generator=generator), truth)
refined = refine(
    torch.nn.functional.one_hot(unary, K).permute(2, 0, 1)[None].float(), rendered
)[0].argmax(0)
errors = [float((x != truth).float().mean()) for x in (unary, refined)]
print(f"wrong labels: {100 * errors[0]:.1f}% before, {100 * errors[1]:.1f}% after")
assert errors[1] < errors[0] / 10
show(rendered, *(heat(x[None] / (K - 1), 0, 1, colours="viridis") for x in (unary, refined)),
     titles=["scene", "noisy labels", "refined"])  # fmt: skip

# %% [markdown]
# With a network at hand, `segments="semantic"` takes SegFormer's labels {cite}`xie2021segformer`
# (`pip install transformers`, fetched once; its weights are licensed for research only). It knows 150 classes; lake and sea, house and skyscraper are merged, as in the
# paper: finer distinctions are noise here.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Time of day, weather, season

# %%
figure(
    "deep_photo_times",
    "Three rows, each a content, a style and the result: a sunset, fog, and snow",
)

# %% [markdown]
# The snow is made: `styletx.samples.relight` puts one photograph at another time, with light that adds up and a guess at where the sky is.
# Use it when you need a style and have no photo of it that you may show.

# %%
figure(
    "deep_photo_relit",
    "A mountain stream at dusk, at night, in fog, under clouds, in autumn, in winter",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it

# %%
from styletx.widgets import Panel

panel = Panel("deep-photo", content=photo, style=sunset, size=160, steps=50,
              main=("matting_weight", "style_weight", "segments", "steps"))  # fmt: skip
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Which is which?
#
# These are the losses of the four pictures at the top, in another order. Which is the one with neither, with segments only,
# with matting only, with both? Write the four letters in that order.

# %%
parts = numbers("deep_photo_parts")["losses"]
order = {"A": "matting", "B": "neither (Gatys et al.)", "C": "both", "D": "segments"}
table([[letter, parts[n]["style"], f"{parts[n]['matting']:.1e}"] for letter, n in order.items()],
      ["", "style, by segments", "matting"])  # fmt: skip

# %%
check_word("BDAC", "Neither, segments, matting, both:")

# %% [markdown]
# :::{admonition} Solution
# :class: dropdown
# **B D A C.** Only B and D have a large matting term: they are not held. Of the two, D was optimised for the style by segments, and
# has less of it. The same tells A from C.
# :::

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# ```{exercise} Affine by hand
# :label: photo-affine
# Which of these are affine maps of colour: white balance; gamma 2.2; sepia; inverting; posterising; swapping red and blue? Predict, then
# let the matting term say.
# ```
#
# ```{solution} photo-affine
# :class: dropdown
# White balance, sepia, inverting and swapping are. Gamma is bent, but only a little within a window of nine similar colours, so it
# costs little; posterising breaks edges into what was smooth, and costs much.
#
#     sepia = torch.einsum("ij,bjhw->bihw", torch.tensor([[0.39, 0.77, 0.19], [0.35, 0.69, 0.17], [0.27, 0.53, 0.13]]), photo)
#     tries = {"white balance": photo * torch.tensor([1.1, 1.0, 0.8]).view(1, 3, 1, 1), "gamma": photo**2.2, "sepia": sepia,
#              "inverted": 1 - photo, "posterised": (4 * photo).round() / 4, "swapped": photo.flip(1)}
#     for name, x in tries.items():
#         print(f"{name:>14}: {float(cost(x)):.1e}")
# ```
#
# ```{exercise} Segments that do not correspond
# :label: photo-swap
# Give each segment of the content another segment of the style. Does the matting term notice?
# ```
#
# ```{solution} photo-swap
# :class: dropdown
# Hardly: what it grows by is nothing beside the picture without matting. A wrong segment is no distortion, each window still
# is an affine map of the photo. The picture stays sharp, and is wrong.
#
#     wrong = deep_photo(photo, sunset, mask=here, style_mask=there.roll(1, 1), **options).finish(progress=False)
#     print(float(charge(wrong.cpu())))
#     show(pictures[1], wrong)
# ```
#
# ```{exercise} Where is it not affine?
# :label: photo-where
# Draw where the result of the weak λ = 100 breaks the windows: $\lVert (M_I V)_i \rVert$, how far pixel $i$ is from the affine
# fits of its windows.
# ```
#
# ```{solution} photo-where
# :class: dropdown
# At the house, the tower and the rocks: where the style asks for textures that the photo does not have.
#
#     weak = deep_photo(photo, sunset, matting_weight=100, **options).finish(progress=False).cpu()
#     each = MattingQuadratic(small, 1e-5).apply(weak).square().sum(1).sqrt()
#     show(weak, heat(each, 0, float(each.quantile(0.99))))
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, authors' code, ours
#
# | | the paper | the authors' code | here |
# |---|---|---|---|
# | content, style layers | relu4_2; relu1_1 … relu5_1, VGG-19 | the same | relu3_1 and relu4_2; the same five; `mini` or any encoder |
# | segment in the loss | each counts alike, over $N_{l,c}$, not defined | times its share of the content | times its share of the content |
# | mask in the statistic | multiplies the features | the same: it counts twice | a weight, $\sum w \mathbf{f}\mathbf{f}^\top / \sum w$ |
# | mask at a layer | shrunk, not said how | a 3×3 mean after every convolution, halved at every pooling | mean over areas |
# | orphans | labels chosen among the style's | masks drawn by hand | the nearest pixel's label |
# | weights | α = 1, β = 1/5, Γ = 10², λ = 10⁴ | 5, 1, 10², 10⁴, total variation 10⁻³ | relative: 1, 1/5, 50, 10⁴ |
# | matting Laplacian | 3×3, ε not given | 3×3, ε = 10⁻⁷ | 3×3, ε = 10⁻⁵; matrix-free |
# | optimiser | L-BFGS | L-BFGS, fixed step; λ's term in the gradient, not in the value | L-BFGS with line search |
# | start | a run without λ, itself from noise | the same | the photo with the style's mean and covariance of colours |
# | in the end | – | best local affine map, smoothed with edges kept | – |
#
# `recipe="paper"` has the authors' weights and normalisations, without their total variation, with torchvision's VGG-19.
#
# ## How it fails

# %%
figure(
    "deep_photo_failures",
    "Segments swapped; λ too large; λ too small; speckles in the sky",
)

# %% [markdown]
# - *Right light, wrong place*: the segments do not correspond. No loss will tell you; look at the masks.
# - *Only a tint*: λ or the content's weight too large against Γ.
# - *Paint, halos*: λ too small.
# - *Speckles in a clear sky*: there the photo has nothing but grain, and an affine map may blow it up. ε makes steep maps expensive;
#   the authors smooth the maps afterwards.
# - *White or black holes*: what was clipped in the photo has no colour that a map could bring back.
#
# ## What to read next
#
# Lecture 11 does without an optimisation: whitening and colouring, then smoothing with the same Laplacian {cite}`li2018closed`.
# {cite:t}`levin2008closed` have the derivation, for cutting out hair. And how good is it? That is lecture 13.
