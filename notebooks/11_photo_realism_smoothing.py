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
# # 11 · Photo-realism I: unpooling, the pixel graph, closed-form smoothing
#
# By the end of this lecture you will be able to
#
# - say why a stylised photograph does not look like one, and mend it in two steps;
# - turn a picture into a graph, and write down its affinity, degree and Laplacian for 4×4 pixels by hand;
# - solve for the smoothest picture that stays near a given one, and say what "closed form" means when the matrix has
#   10¹¹ entries;
# - cut a person out of a photograph with the same matrix.

# %% slideshow={"slide_type": "slide"}
import time

import matplotlib.pyplot as plt
import numpy as np
import torch

from styletx import describe_device, load_or, resize, show
from styletx.course.figures import heat, table
from styletx.course.gallery import figure, numbers
from styletx.graph.affinity import (
    degree,
    gaussian_affinity,
    grid_graph,
    local_scale,
    normalised,
)
from styletx.graph.matting import cut_out, matte, matting_laplacian
from styletx.methods.photo_wct import photo_wct
from styletx.methods.smoothing import smooth

torch.manual_seed(0)
print("this lecture runs on", describe_device())

# %% slideshow={"slide_type": "slide"}
figure("photo_realism", "Style, content, WCT, PhotoWCT, and both of them smoothed")

# %% [markdown]
# A photo by day, a photo at sunset, and the first in the light of the second. The last picture is the one to get: not a
# brush stroke in it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Step 1: put the maxima back where they were
#
# The decoder of lecture 10 goes up by repeating each value: where in a 2×2 cell the maximum was, it has forgotten, and
# edges wander. PhotoWCT {cite}`li2018closed` remembers the places (*switches*) when the encoder pools, and puts each value
# back there: max-unpooling. A third way, the transposed convolution, learns how to go up, and likes to leave a
# checkerboard.
#
# :::{admonition} Check the slide
# :class: warning
# "Max un-pooling *instead of transpose convolutions*": WCT's decoder has no transposed convolutions, it upsamples by
# nearest neighbour. All three, on the same features:
# :::

# %%
from styletx.networks.decoders import load_pairs

photo = load_or("kodak-21", "china", size=256)
photo = photo[..., : photo.shape[-2] // 16 * 16, : photo.shape[-1] // 16 * 16]
decoded = {}
with torch.no_grad():
    for way in ("nearest", "unpool", "transposed"):
        pair = load_pairs("mini", "relu3_1", upsampling=way)[0]
        decoded[way] = pair(photo.to(pair.encoder.device)).clamp(0, 1).cpu()
psnr = {
    way: float(-10 * torch.log10((made - photo).square().mean()))
    for way, made in decoded.items()
}
height, width = photo.shape[-2:]
window = (
    ...,
    slice(height // 3, height // 3 + 64),
    slice(width // 2 - 48, width // 2 + 48),
)
show(photo[window], *(made[window] for made in decoded.values()),
     titles=["photo", *(f"{way}, {value:.1f} dB" for way, value in psnr.items())], columns=2)  # fmt: skip

# %% [markdown]
# Unpooling needs the switches of the picture that was encoded. So edges tend to stay where that picture had them,
# whatever has happened to the features. How much each step helps, by the correlation of the edges with the photo's, for
# the strip at the top:

# %%
edges = numbers("photo_realism")["edges"]
table(
    [[name, value] for name, value in edges.items() if name != "content"],
    ["", "edges as in the photo (1: all)"],
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Step 2: smooth it, but know the photo
#
# What remains: stains in a sky that was even. Neighbours that were alike in the *photo* should be alike in the *result*.
# So give each pair of neighbouring pixels a weight $W_{ij}$, large where the photo's colours are alike, and look for $R$:
#
# $$\min_R\; \tfrac12 \sum_{i,j} W_{ij} \Big\lVert \frac{R_i}{\sqrt{D_{ii}}} - \frac{R_j}{\sqrt{D_{jj}}} \Big\rVert^2
# + \Big(\frac1\alpha - 1\Big) \sum_i \lVert R_i - Y_i \rVert^2 .$$
#
# $Y$ is the stylised picture, $R$ the result, $D_{ii} = \sum_j W_{ij}$ the degree of pixel $i$. $\alpha$ near 1 trusts the photo. The idea is from ranking on data manifolds
# {cite}`zhou2004ranking`, where $Y$ marks a few points and spreads along the graph.
#
# ## The graph of 4×4 pixels
#
# Pixels are numbered row by row. scikit-learn joins them:

# %%
pixels = resize(photo[window], (4, 4))
four, eight = grid_graph(4, 4), grid_graph(4, 4, connectivity=8)
W = gaussian_affinity(pixels, connectivity=8)
fig, axes = plt.subplots(1, 3, figsize=(10, 3.4), constrained_layout=True)
axes[0].imshow(pixels[0].permute(1, 2, 0))
for i, j in zip(*eight.nonzero(), strict=True):
    if i < j:
        axes[0].plot(
            [i % 4, j % 4], [i // 4, j // 4], color="white", lw=0.5 + 4 * W[i, j]
        )
for i in range(16):
    axes[0].text(i % 4, i // 4, str(i + 1), ha="center", va="center", fontsize=10,
                 bbox=dict(boxstyle="circle,pad=0.15", fc="white", ec="none", alpha=0.85))  # fmt: skip
axes[0].add_patch(plt.Rectangle((-0.5, -0.5), 3, 3, fill=False, ec="#b5461b", lw=2.5))
axes[0].set_title("the graph; σ of pixel 6: its window")
axes[1].imshow(W.toarray(), cmap="Greys", vmin=0, vmax=1)
axes[1].plot(*(np.array(eight.nonzero())[::-1]), "^", ms=3, color="#b5461b")
axes[1].set_title("W, and where it is not zero (△)")
axes[2].imshow(np.diag(degree(W)), cmap="Greys")
axes[2].set_title("D")
for axis in axes[1:]:
    axis.set_xticks(range(0, 16, 3), range(1, 17, 3))
    axis.set_yticks(range(0, 16, 3), range(1, 17, 3))
axes[0].axis("off")
plt.show()

row_six = (eight[[5]].nonzero()[1] + 1).tolist()
print("neighbours of pixel 6:", row_six)
assert row_six == [1, 2, 3, 5, 7, 9, 10, 11]

# %% [markdown]
# :::{admonition} Check the slide
# :class: warning
# The slide's table has 8 neighbours for each pixel; `grid_to_graph(4, 4)`, which it names as the way to make it, joins
# 4, and joins each pixel with itself besides. `grid_graph` takes the diagonal out, and offers both. With $N$
# pixels $W$ is $N\times N$; the slide's "$N^2\times N^2$" takes $N$ for the pixels of one side. For a picture of $H$ rows
# and $W$ columns the call is `grid_to_graph(H, W)`.
# :::
#
# The weight of the slide is a Gaussian with a *local* scale,
#
# $$W_{ij} = \exp\Big(-\frac{\lVert I_i - I_j\rVert^2}{\sigma_i\sigma_j}\Big),$$
#
# with $\sigma_i$ the spread of the colours in the window around $i$. On the slide it is the window of $i$ alone. Then
# $W_{ij} \ne W_{ji}$, and the formula below is not the minimiser any more. And a flat window has no spread at all: it
# needs a floor.

# %%
sigma = local_scale(pixels)
i, j = 5, 6  # pixels 6 and 7
by_hand = torch.exp(
    -(pixels[0, :, 1, 1] - pixels[0, :, 1, 2]).double().square().sum()
    / (sigma[1, 1] * sigma[1, 2])
)
print(f"W between 6 and 7: {W[i, j]:.6f}, by hand {by_hand:.6f}")
assert abs(W[i, j] - by_hand) < 1e-9
slide = gaussian_affinity(pixels, connectivity=8, local="i")
print(
    f"asymmetry: ours {abs(W - W.T).max():.1e}, the slide's {abs(slide - slide.T).max():.2f}"
)

# %% [markdown]
# The *Laplacian* of the graph is $D - W$. Its rows add up to 0, and
# $\mathbf{v}^\top (D - W)\,\mathbf{v} = \frac12\sum_{i,j} W_{ij}(v_i - v_j)^2$: it is small where neighbours agree. Divided by the
# degrees it is $D^{-1/2}(D - W)D^{-1/2} = \mathbb{1} - S$, the *normalised* Laplacian, with $S = D^{-1/2} W D^{-1/2}$ and
# $\mathbb{1}$ the identity.
#
# :::{admonition} Check the slide
# :class: warning
# Its "Laplacian of graph" points at $\mathbb{1} - \alpha S$. That is the matrix of the system to be solved; the Laplacian is
# $\mathbb{1} - S$.
# :::

# %%
laplacian = np.diag(degree(W)) - W.toarray()
v = np.random.default_rng(0).random(16)
assert np.allclose(laplacian.sum(1), 0)
assert np.isclose(v @ laplacian @ v, 0.5 * (W.toarray() * (v[:, None] - v) ** 2).sum())

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The closed form, derived
#
# For symmetric $W$ the first sum is $R^\top (\mathbb{1} - S) R$ for each colour. Its derivative, with
# that of the second:
#
# $$2 (\mathbb{1} - S) R + 2 \Big(\frac1\alpha - 1\Big)(R - Y) = 0
# \quad\Longrightarrow\quad (\mathbb{1} - \alpha S)\, R = (1 - \alpha)\, Y .$$
#
# "Closed form" means: one linear system. $(\mathbb{1} - \alpha S)^{-1}$ would be full, with $N^2$ entries, about $10^{11}$ at
# 640×480 pixels; the matrix itself has at most nine in a row (25 with the matting affinity below). So it is *solved*, never inverted. Is $R$ the minimiser? At 16 pixels everything can be checked:

# %%
alpha = 0.95
S = normalised(W).toarray()
Y = torch.rand(16, 3, dtype=torch.float64).numpy()
R = (1 - alpha) * np.linalg.solve(np.eye(16) - alpha * S, Y)


def cost(R):
    scaled = R / np.sqrt(degree(W))[:, None]
    gaps = ((scaled[:, None] - scaled[None]) ** 2).sum(-1)
    return 0.5 * (W.toarray() * gaps).sum() + (1 / alpha - 1) * ((R - Y) ** 2).sum()


worse = [
    cost(R + 0.01 * np.random.default_rng(k).normal(size=R.shape)) - cost(R)
    for k in range(100)
]
print(f"cost {cost(R):.6f}; the best of 100 neighbours costs {min(worse):.1e} more")
assert min(worse) > 0

# %% [markdown]
# :::{admonition} Check the slide
# :class: warning
# "$Y$ is the stylised picture on a diagonal matrix; the result is read off the diagonal." The diagonal of
# $(1-\alpha)(\mathbb{1} - \alpha S)^{-1}\,\mathrm{diag}(\mathbf{y})$ is each pixel times a number: *nothing* is smoothed. The row sums
# are right, and they are just the solve with the vector $\mathbf{y}$. The ½ belongs to the first sum alone, as on the
# slide; around both, another formula would be the minimiser.
# :::

# %%
y = Y[:, 0]
inverse = (1 - alpha) * np.linalg.inv(np.eye(16) - alpha * S)
on_diagonal = inverse @ np.diag(y)
assert np.allclose(on_diagonal.sum(1), R[:, 0])  # row sums: the solve
rows = [["y", float(y.std())], ["the diagonal, scaled to y's mean", float((np.diag(on_diagonal) * y.mean() / np.diag(on_diagonal).mean()).std())],
        ["row sums = the solve", float(R[:, 0].std())]]  # fmt: skip
table(rows, ["", "standard deviation"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A flaw of the formula, and its mend
#
# Smooth a picture that is constant already. It should stay. As $\alpha \to 1$ the solution of the formula tends to
# $\sqrt{D}$ times a constant: pixels with many alike neighbours get bright, the border and every edge get dark.
# With $\tilde{R} = (1-\alpha)\, D^{-1/2}(\mathbb{1} - \alpha S)^{-1} D^{1/2}\, Y$ instead, each pixel becomes a *mean* of pixels, by a
# random walk along the graph: a constant stays a constant. The same matrix, the same work. (With the matting affinity
# below some weights are negative; they still add up to 1.)

# %%
small = load_or("kodak-15", "astronaut", size=192)
flat = torch.full_like(small, 0.5)
made = {}
for affinity in ("gaussian", "matting"):
    for form in ("symmetric", "random-walk"):
        made[f"{affinity}, {form}"] = smooth(
            flat, small, normalise=form, affinity=affinity
        )
for name, picture in made.items():
    print(f"{name:<24}{float(picture.min()):.3f} … {float(picture.max()):.3f}")
assert all(
    (made[f"{a}, random-walk"] - 0.5).abs().max() < 1e-6
    for a in ("gaussian", "matting")
)
show(small, *made.values(), titles=["the photo", *made], columns=3)

# %% [markdown]
# "Symmetric" is the paper's; its authors hide most of the effect by adding a border and cutting it off. Here
# "random-walk" is the default. It minimises
# $\frac12\sum_{i,j} W_{ij}\lVert R_i - R_j\rVert^2 + \big(\frac1\alpha - 1\big)\sum_i D_{ii}\lVert R_i - Y_i\rVert^2$: colours are compared
# as they are, and a pixel with strong ties is held more firmly to $Y$.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Which affinity?
#
# The Gaussian looks at two pixels. The *matting Laplacian* {cite}`levin2008closed` looks at windows of 3×3. It asks: in
# this window, can the result be written as an affine function of the photo's colours, $R_i \approx \mathbf{a}^\top I_i + b$? Fitting
# $\mathbf{a}$ and $b$ in each window and adding up what is left gives a quadratic form, $R^\top L R$, with
#
# $$L_{ij} = \sum_{k \,:\, i,j \in w_k} \Big( \delta_{ij} - \frac{1}{|w|}\Big(1 + (I_i - \mu_k)^\top
# \big(\Sigma_k + \tfrac{\varepsilon}{|w|} \mathbb{1}\big)^{-1} (I_j - \mu_k)\Big)\Big) .$$
#
# Here $w_k$ is the window around pixel $k$ and $|w| = 9$ its pixels, $\mu_k$ and $\Sigma_k$ are the mean and covariance of the
# photo's colours in it, $\mathbb{1}$ is the 3×3 identity, $\delta_{ij} = 1$ for $i = j$ and 0 otherwise. $\varepsilon$ is the price of a
# large $\mathbf{a}$; it keeps the fit defined in a flat window. From it comes an affinity, $W = D - L$. The claim: a picture that is a locally affine map of the photo's colours costs
# nothing.

# %%
L = matting_laplacian(small, eps=1e-7)


def price(image):
    values = image[0].flatten(1).T.double().numpy()
    return float((values * (L @ values)).sum())


affine = (
    0.5 * small.flip(1) + 0.2
)  # channels swapped, contrast halved: an affine map of the colours
bent = small**3
noisy = small + 0.02 * torch.randn(small.shape)
rows = [[name, price(image)] for name, image in
        [("the photo", small), ("an affine map of its colours", affine), ("its cube", bent), ("with noise", noisy)]]  # fmt: skip
assert rows[1][1] < 1e-3 * rows[3][1]
table(rows, ["", "Σ Vᵀ L V"])

# %% [markdown]
# :::{admonition} Check the slide
# :class: warning
# "Known as matting affinity" stands at what is the *Gaussian* affinity. The paper's matting affinity is $D - L$ with this
# $L$; it tries both.
# :::
#
# Which weights does it give? Some are *negative*: across an edge, two pixels may have to differ. And its diagonal is not
# zero: the authors keep it, then $D_{ii}$ is the number of windows around pixel $i$.

# %%
from styletx.widgets import GraphPanel

GraphPanel("china", kind="matting affinity")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What this matrix knows: cutting out
#
# Before it smoothed styles the matting Laplacian was made to cut things out {cite}`levin2008closed`. A pixel is
# $I = \alpha F + (1-\alpha)B$, foreground and background; where both vary little, $\alpha$ is an affine function of the colour.
# So mark a few pixels, and let the matrix do the rest:
#
# $$(L + c\,D_s)\,\boldsymbol\alpha = c\,D_s\,\mathbf{s} .$$
#
# $\mathbf{s}$ is 1 on marked foreground and 0 on marked background; $D_s$ is diagonal, 1 where a pixel is marked; $c$ (here 100)
# says how firmly marks are kept. This $\alpha$, a number for each pixel, is not the $\alpha$ of the smoothing.

# %%
cat = load_or("chelsea", "chelsea", size=192)
scribbles = torch.full(cat.shape[-2:], 0.5)
height, width = scribbles.shape
scribbles[:6, : width // 3] = 0
scribbles[: height // 2, -8:] = 0
scribbles[height // 3 : height // 2, width // 3 : 2 * width // 3] = 1
scribbles[3 * height // 4 :, width // 3 : 2 * width // 3] = 1
alpha_map = matte(cat, scribbles)
behind = resize(load_or("starry-night", "waves", size=256), tuple(cat.shape[-2:]))
marked = cat.clone()
marked[:, 0][scribbles[None] == 1] = 1
marked[:, 2][scribbles[None] == 0] = 1
show(marked, heat(alpha_map[0], 0, 1, colours="gray"), cut_out(cat, alpha_map, behind),
     titles=["marked: cat (red), not cat (blue)", "α", "on another background"])  # fmt: skip

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Solving it
#
# | | how | memory | when |
# |---|---|---|---|
# | inverse | never | $N^2$ | – |
# | Jacobi + CG | thousands of iterations | $N$ | – |
# | direct | the picture cut in halves, again and again | $N \log N$ | a few megapixels |
# | tiles + CG | tiles solved directly | $N$ | larger |
# | guided filter | one pass of windows | $N$ | an approximation will do |
#
# CG are conjugate gradients; with the picture's weights, which jump by 10⁶ at edges, they need a good preconditioner:
# overlapping tiles, each solved directly. The direct solver is nested dissection {cite}`george1973nested`: a line of pixels
# cuts the picture in halves, these are cut again, and what is left are small dense blocks; a second $Y$ is nearly free.
# The guided filter {cite}`he2013guided` fits each window's affine map once, and averages.

# %%
from styletx.methods.smoothing import Smoother

content = load_or("kodak-21", "china", size=384)
style = load_or("beach-city", "coffee", size=384)
rough = photo_wct(content, style, size=384, smoothing="none")
rows, results = [], {}
for solver in ("direct", "cg"):
    start = time.perf_counter()
    prepared = Smoother(content, solver=solver)
    results[solver] = prepared(rough)
    first = time.perf_counter() - start
    start = time.perf_counter()
    prepared(rough.flip(1))
    rows.append([solver, first, time.perf_counter() - start])
start = time.perf_counter()
results["guided"] = smooth(rough, content, solver="guided")
first = time.perf_counter() - start
start = time.perf_counter()
smooth(rough.flip(1), content, solver="guided")
rows.append(["guided filter", first, time.perf_counter() - start])
gap = {
    name: float((made - results["direct"]).abs().max())
    for name, made in results.items()
}
assert gap["cg"] < 1e-5
table(
    [[*row, error] for row, error in zip(rows, gap.values(), strict=True)],
    ["", "seconds", "a second Y", "largest difference"],
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Both steps

# %%
show(
    content,
    style,
    rough,
    results["direct"],
    results["guided"],
    smooth(rough, content, affinity="gaussian"),
    titles=[
        "content",
        "style",
        "PhotoWCT",
        "smoothed",
        "guided filter",
        "smoothed, Gaussian affinity",
    ],
    columns=3,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Sky to sky: masks
#
# One covariance for the whole picture mixes sky and ground. With regions that correspond, each gets its own (lecture 10).

# %%
from styletx.segments import cluster

here, there = cluster(content, style, count=2)
regions = photo_wct(content, style, size=384, mask=here, style_mask=there)
show(
    heat(here[0, :1], 0, 1, colours="viridis"),
    heat(there[0, :1], 0, 1, colours="viridis"),
    regions,
    titles=["region in the content", "in the style", "region by region"],
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it

# %%
from styletx.widgets import Panel

main = ("strength", "alpha", "smoothing", "upsampling")
panel = Panel("photo", content="china", style="coffee", size=256, main=main)
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# ```{exercise} α = 0
# :label: smooth-zero
# What is $R$ for $\alpha = 0$, and what for $\alpha \to 1$, with the random-walk form?
# ```
#
# ```{solution} smooth-zero
# :class: dropdown
# $\alpha = 0$: $R = Y$. For $\alpha \to 1$: on each connected part of the graph the mean of $Y$, weighed by the degree. With the
# Gaussian affinity that is a walk of about $1/(1-\alpha)$ steps, which rarely crosses an edge. With the matting affinity
# $\alpha$ would have to be far nearer to 1 than `smooth` allows: until then the result is nearly an affine map of the
# photo's colours, since those are all but free.
#
#     for affinity in ("gaussian", "matting"):
#         display(show(*(smooth(rough, content, alpha=a, affinity=affinity) for a in (0.0, 0.9, 0.999, 0.9999))))
# ```
#
# ```{exercise} The gain of a negative weight
# :label: smooth-negative
# Find the most negative weight of the matting affinity of `small`. What is there in the photo?
# ```
#
# ```{solution} smooth-negative
# :class: dropdown
# Pixels on both sides of a line: in a window with two colours, what is far apart in colour has to differ.
#
#     from styletx.graph.matting import matting_affinity
#     A = matting_affinity(small).tocoo()
#     k = A.data.argmin()
#     height, width = small.shape[-2:]
#     print(A.data[k], divmod(int(A.row[k]), width), divmod(int(A.col[k]), width))
# ```
#
# ```{exercise} Smooth something else
# :label: smooth-other
# Smooth a *noisy copy of the photo itself*, with the clean photo as the guide. And with the noisy one as its own guide?
# ```
#
# ```{solution} smooth-other
# :class: dropdown
# With the clean guide nearly all noise goes. With its own, the noise is what the graph knows, and stays.
#
#     noisy = (small + 0.1 * torch.randn(small.shape)).clamp(0, 1)
#     show(noisy, smooth(noisy, small), smooth(noisy, noisy))
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, authors' code, ours
#
# | | Li et al. 2018 | their code | here |
# |---|---|---|---|
# | decoder | max-unpooling with the encoder's switches, relu4_1 … relu1_1 | the same | the same, with `mini` |
# | affinity | Gaussian, or matting (better) | matting, windows of 3×3, ε = 1e-7 | matting by default; Gaussian with σ_iσ_j and a floor |
# | form | symmetric | symmetric, on a padded picture | random-walk by default; symmetric by name |
# | α | 0.9999 | 0.9999 | 0.9999 |
# | covariance | as in WCT | over n − 1, + identity for the content | over n, no identity |
# | small regions | – | left as they are: 10 pixels or fewer in one mask, or one 100 times the other | the whole picture's transform below ten positions of a layer |
# | solver | – | SciPy's factorisation, colour by colour | nested dissection, all colours; conjugate gradients for large pictures |
# | fast mode | – | guided filter | guided filter |
#
# ## How it fails
#
# - *Dark borders and outlines*: the symmetric form.
# - *Stains stay*: α too small, or the stain follows an edge of the photo, so that the graph keeps it.
# - *Colours even out or leak*: α too near to 1: what the style did differently in two places is averaged across weak edges.
# - *It takes minutes, or the memory*: an inverse, or a factorisation with a bad order of the pixels.
#
# ## What to read next
#
# The paper {cite}`li2018closed`, {cite:t}`levin2008closed` for the Laplacian, and
# {cite:t}`zhou2004ranking` for the graph. The next lecture puts the same Laplacian *into* the optimisation.
