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
# # 04 · Gram against MMD: a style is a distribution
#
# By the end of this lecture you will be able to
#
# - tell whether two samples have one distribution, with a kernel and without knowing either distribution;
# - show that Gatys' style loss is an MMD² with one particular kernel;
# - change the kernel, and say what the new loss sees that the old one does not;
# - explain why the biased estimate is the loss, and the unbiased one is not.

# %% slideshow={"slide_type": "slide"}
import matplotlib.pyplot as plt
import torch

from styletx import (
    Energy,
    Match,
    Objective,
    content_loss,
    describe_device,
    gram,
    gram_loss,
    load_encoder,
    load_or,
    show,
    synthesize,
    total_variation,
)
from styletx.course.figures import table
from styletx.course.gallery import figure, numbers
from styletx.losses import (
    bn_loss,
    gaussian_kernel,
    linear_kernel,
    median_bandwidth,
    mmd,
    mmd_squared,
    mmd_unbiased,
    polynomial_kernel,
    two_sample_test,
    witness,
)
from styletx.methods.gatys import CONTENT_LAYERS, STYLE_LAYERS

torch.manual_seed(0)
print("this lecture runs on", describe_device())

# %% slideshow={"slide_type": "slide"}
figure(
    "kernels",
    "One photograph of a lighthouse in Starry Night's style, under four kernels",
)

# %% [markdown]
# One photo, one painting, the same weights; only the kernel differs. *Second order* is Gatys et al.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Do two samples have one distribution?
#
# Forget pictures for a moment. Here are two samples of numbers, $X$ and $Y$. Both have mean 0; $Y$ is spread wider.

# %%
X = torch.randn(1, 200)
X = X - X.mean()
Y = 1.8 * torch.randn(1, 150)
Y = Y - Y.mean()

fig, axis = plt.subplots(figsize=(5.6, 2.4), constrained_layout=True)
axis.hist(
    [X[0].numpy(), Y[0].numpy()],
    bins=24,
    density=True,
    label=["X", "Y"],
    color=["#0b6e99", "#b5461b"],
)
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Map every point by some function $\varphi$ and compare the *means* of what comes out. If even a rich $\varphi$ cannot tell
# them apart, the distributions are the same. This is the maximum mean discrepancy {cite}`gretton2012kernel`:
#
# $$
# \begin{aligned}
# \mathrm{MMD}^2[X, Y] &= \Big\lVert \tfrac1n \sum_i \varphi(\mathbf{x}_i) - \tfrac1m \sum_j \varphi(\mathbf{y}_j) \Big\rVert^2 \\
# &= \tfrac1{n^2}\sum_{i,i'} k(\mathbf{x}_i, \mathbf{x}_{i'}) + \tfrac1{m^2}\sum_{j,j'} k(\mathbf{y}_j, \mathbf{y}_{j'})
# - \tfrac{2}{nm} \sum_{i,j} k(\mathbf{x}_i, \mathbf{y}_j).
# \end{aligned}
# $$
#
# The right-hand side has only the kernel $k(\mathbf{x}, \mathbf{y}) = \langle\varphi(\mathbf{x}), \varphi(\mathbf{y})\rangle$
# in it: $\varphi$ may be as large as it likes, also infinite.
#
# With means over *samples* this is an estimate of the MMD² of the two distributions, the biased one. The test below takes
# the unbiased estimate, which leaves out the pairs of a point with itself and divides by $n(n-1)$ and $m(m-1)$. It is no
# squared length any more and may be negative; why that matters is said further down.

# %%
sigma = median_bandwidth(torch.cat([X, Y], 1))
kernels = {
    "linear, xᵀy": linear_kernel(),
    "second order, (xᵀy)²": polynomial_kernel(2),
    f"Gaussian, σ = {sigma:.2f}": gaussian_kernel(sigma),
}
rows = [
    [name, *two_sample_test(kernel, X, Y, permutations=300)]
    for name, kernel in kernels.items()
]
table(rows, ["kernel", "MMD² (unbiased)", "p-value"])

# %% [markdown]
# The p-value comes from shuffling the labels: in what share of random splits of all points, into as many as before, is the
# value at least as large? If it is small, chance is a poor explanation. The linear kernel compares means, and the means are equal: it sees nothing. The other two do.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Where do they differ? The witness
#
# $f(\mathbf{t}) = \tfrac1n\sum_i k(\mathbf{x}_i, \mathbf{t}) - \tfrac1m\sum_j k(\mathbf{y}_j, \mathbf{t})$ compares the two samples as
# seen from $\mathbf{t}$. A Gaussian kernel sees near points only, so there $f$ is positive where $X$ has more than $Y$ and
# negative where it has less. The other two draw no such map: the linear $f$ is a straight line, $t(\bar x - \bar y)$, here 0;
# the second-order one is the parabola $t^2(\overline{x^2} - \overline{y^2})$, negative everywhere, also in the middle, where
# $X$ has more: all it knows is that $Y$ is spread wider.
#
# MMD² is the mean of $f$ over $X$, less that over $Y$. Of all functions in the kernel's space with norm 1,
# $f/\lVert f\rVert$ has the largest difference between these means, and that difference is the MMD: hence *maximum* mean
# discrepancy.

# %%
t = torch.linspace(-5, 5, 200)[None]
fig, axes = plt.subplots(1, 3, figsize=(10, 2.4), constrained_layout=True)
for axis, (name, kernel) in zip(axes, kernels.items(), strict=True):
    f = witness(kernel, X, Y, t)
    axis.plot(t[0], f, color="#444")
    axis.fill_between(t[0], f, 0, where=f > 0, color="#0b6e99", alpha=0.25)
    axis.fill_between(t[0], f, 0, where=f < 0, color="#b5461b", alpha=0.25)
    axis.set_title(name, fontsize=10)
axes[0].set_ylim(-1, 1)
plt.show()

kernel = gaussian_kernel(sigma)
uniform = [
    (points, torch.full((points.shape[1],), 1 / points.shape[1])) for points in (X, Y)
]
value = mmd_squared(kernel, *uniform)
from_witness = witness(kernel, X, Y, X).mean() - witness(kernel, X, Y, Y).mean()
print(f"MMD² = {value:.6f}, from the witness {from_witness:.6f}")
assert torch.isclose(value, from_witness, rtol=1e-4)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Gatys' style loss is an MMD
#
# Symbols as in lecture 03: $F$ are the features of our picture at layer $l$, $S$ those of the painting, $N$ channels in rows
# and $M$ positions in columns (for now as many in both); $G = FF^\top$, $A = SS^\top$. The points are the columns
# $\mathbf{x}_k$ of $F$ and $\mathbf{y}_k$ of $S$. Take the kernel $k(\mathbf{x}, \mathbf{y}) = (\mathbf{x}^\top\mathbf{y})^2$. Multiplied
# out,
#
# $$(\mathbf{x}^\top\mathbf{y})^2 = \sum_{ij} x_i y_i\, x_j y_j = \sum_{ij} (\mathbf{x}\mathbf{x}^\top)_{ij}
# (\mathbf{y}\mathbf{y}^\top)_{ij} = \langle \mathbf{x}\mathbf{x}^\top, \mathbf{y}\mathbf{y}^\top \rangle ,$$
#
# so $\varphi(\mathbf{x}) = \mathbf{x}\mathbf{x}^\top$, a matrix, and its mean over the positions is
# $\tfrac1M\sum_k \mathbf{x}_k\mathbf{x}_k^\top = \tfrac1M FF^\top$, the Gram matrix over $M$. Put in:
#
# $$
# \begin{aligned}
# \frac{1}{4N^2}\,\mathrm{MMD}^2[X, Y]
# &= \frac{1}{4N^2}\Big\lVert \tfrac{1}{M} F F^\top - \tfrac{1}{M} S S^\top \Big\rVert_F^2 \\
# &= \frac{1}{4N^2M^2}\sum_{ij}(G_{ij} - A_{ij})^2 = E_l .
# \end{aligned}
# $$
#
# That is all of it {cite}`li2017demystifying`. Style transfer matches the distribution of features, as far as the kernel
# can see it. The cell computes both sides, the left one pair by pair.

# %%
encoder = load_encoder("mini", device="cpu")
photo, painting = (
    load_or("kodak-21", "china", size=96),
    load_or("starry-night", "stained-glass", size=96),
)


def k(a, b):
    return (a.T @ b) ** 2


def both_sides(first, second):
    F, S = (
        encoder(p, "relu3_1")["relu3_1"][0].flatten(1).double() for p in (first, second)
    )
    N, M, M_s = F.shape[0], F.shape[1], S.shape[1]
    gatys_loss = (F @ F.T / M - S @ S.T / M_s).square().sum() / (4 * N**2)
    pairwise = (k(F, F).mean() + k(S, S).mean() - 2 * k(F, S).mean()) / (4 * N**2)
    return pairwise, gatys_loss, M, M_s


left, right, M, M_s = both_sides(
    photo, painting[..., : photo.shape[-2], : photo.shape[-1]]
)
print(f"{M} and {M_s} positions: MMD²/4N² = {left:.9f}, E = {right:.9f}")
assert torch.isclose(left, right, rtol=1e-9)
left, right, M, M_s = both_sides(photo, painting[..., :64, :80])
print(f"{M} and {M_s} positions: MMD²/4N² = {left:.9f}, E = {right:.9f}")
assert torch.isclose(left, right, rtol=1e-9)

# %% [markdown]
# :::{admonition} Check the slide
# :class: warning
# The slide has one $M$ for both pictures. With unequal numbers of positions each Gram matrix has to be divided by its
# *own* number; the second line above has 384 and 320. Photo and painting rarely have one size, so this is the usual case.
# `gram` divides, always.
# :::

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Why not the unbiased one?
#
# The double sums pair every point also with itself, which makes the estimate a little too large on average. Leave these
# pairs out, and it is unbiased. As a test that is better. As a *loss* it is a trap: let $X$ keep its mean and grow.

# %%
still = torch.full((1, 8), 1e-3)
rows = []
for spread in (1, 3, 10, 30):
    grown = spread * torch.tensor([[1.0, -1, 1, -1, 1, -1, 1, -1]])
    pair = [(points, torch.full((8,), 1 / 8)) for points in (grown, still)]
    rows.append(
        [
            spread,
            float(mmd_unbiased(linear_kernel(), grown, still)),
            float(mmd_squared(linear_kernel(), *pair)),
        ]
    )
table(rows, ["spread of X", "unbiased", "biased"])

# %% [markdown]
# The unbiased one falls without end: an optimisation would follow it to infinity. The biased one is the squared length of
# something, and cannot go below zero. So that is the loss.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Mixing styles: Gram matrices or losses?
#
# To mix two paintings, average their Gram matrices, or average their losses? For weights that sum to 1 the gradients are
# *equal*: $\sum_i w_i \lVert G - A_i\rVert^2$ and $\lVert G - \sum_i w_i A_i\rVert^2$ differ by something without $G$ in it.

# %%
features = encoder(photo, "relu2_1")["relu2_1"].double().requires_grad_(True)
styles = [
    encoder(load_or(n, "mosaic", size=96), "relu2_1")["relu2_1"].double()
    for n in ("starry-night", "great-wave")
]
losses = 0.3 * gram_loss(features, styles[0]) + 0.7 * gram_loss(features, styles[1])
mixture = (
    (gram(features) - (0.3 * gram(styles[0]) + 0.7 * gram(styles[1]))).square().mean()
)
first, second = (torch.autograd.grad(value, features)[0] for value in (losses, mixture))
print(
    f"values {losses:.4f} and {mixture:.4f}; largest difference of the gradients {(first - second).abs().max():.1e}"
)
assert torch.allclose(first, second, rtol=1e-8, atol=1e-8 * float(first.abs().max()))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Other kernels
#
# | kernel | $k(\mathbf{x}, \mathbf{y})$ | what it compares | cost for M positions, N channels |
# |---|---|---|---|
# | linear | $\mathbf{x}^\top\mathbf{y}$ | means | M·N |
# | polynomial | $(\mathbf{x}^\top\mathbf{y} + c)^d$ | c = 0: moments of order d (d = 2: Gram); c > 0: all up to d | M·N² for d = 2, else M²·N |
# | Gaussian | $\exp(-\lVert\mathbf{x}-\mathbf{y}\rVert^2 / 2\sigma^2)$ | everything, best at the scale σ | M²·N |
# | BN statistics | none: $\tfrac1N\sum_i (\mu_i-\mu'_i)^2 + (\sigma_i-\sigma'_i)^2$ | mean and standard deviation, channel by channel | M·N |
#
# Each is a `Loss` in the same objective:

# %%
content, style = (
    load_or("kodak-21", "china", size=160),
    load_or("starry-night", "stained-glass", size=160),
)
pictures = []
for loss in (mmd("linear"), mmd("gaussian", positions=512), bn_loss):
    objective = Objective(
        Match(content_loss, content, layers=CONTENT_LAYERS),
        Match(loss, style, layers=STYLE_LAYERS, weight=50),
        Energy(total_variation, weight=0.1),
    )
    pictures.append(
        synthesize(objective, start=content, steps=50).finish(progress=False)
    )
show(*pictures, titles=["linear", "Gaussian", "BN statistics"])

# %% [markdown]
# The bandwidth σ is found by the *median rule*, the median distance between features of the painting: much smaller, and
# every point is alone; much larger, and the kernel behaves like the linear one.

# %%
cloud = encoder(style, "relu3_1")["relu3_1"][0].flatten(1)
median_sigma = median_bandwidth(cloud)
fig, axis = plt.subplots(figsize=(5.2, 2.6), constrained_layout=True)
factors = (0.03, 0.1, 0.3, 1, 3, 10)
F = encoder(content, "relu3_1")["relu3_1"]
S = encoder(style, "relu3_1")["relu3_1"]
values = [float(mmd("gaussian", bandwidth=f * median_sigma)(F, S)) for f in factors]
axis.plot(factors, values, "o-", color="#444")
axis.set(
    xscale="log",
    xlabel="σ in units of the median distance",
    ylabel="MMD² of photo and painting",
)
axis.axvline(1, color="#b5461b", lw=1)
plt.show()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What it costs

# %%
seconds = numbers("mmd_cost")["seconds"]
fig, axis = plt.subplots(figsize=(5.8, 3), constrained_layout=True)
for (name, points), dashes in zip(seconds.items(), ("-", "--", ":", "-."), strict=True):
    axis.plot(
        [int(n) for n in points],
        list(points.values()),
        dashes,
        marker="o",
        ms=4,
        label=name,
    )
axis.set(
    xscale="log",
    yscale="log",
    xlabel="positions",
    ylabel="seconds with gradient",
    title=numbers("mmd_cost")["device"],
)
axis.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# Larson's table says that the linear kernel "is capable of comparable quality with Gram Loss, but with lower computational
# complexity". Cheaper it is, since it only needs means (in the plot, of 96 channels). But a run spends its time in the
# network: whole runs of the two take about as long. Whether they are comparable, judge by the first pictures of this
# lecture. "Linear time" is the mean of $k(x_1,x_2)+k(y_1,y_2)-k(x_1,y_2)-k(x_2,y_1)$ over disjoint pairs: unbiased, hence for
# tests; Li et al. minimise it all the same. At `relu1_1` of a 256-pixel picture there are 65,536 positions: all pairs would be a matrix of 17 GB. `mmd("gaussian")`
# sums it in blocks, forward and backward, and never holds more than one; `positions=1024` looks at so many positions,
# drawn anew every few steps.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A mixture of losses
#
# Losses can be mixed just as styles can. Half BN statistics, half Gram:

# %%
figure(
    "kernel_mixture",
    "The lighthouse with BN statistics, with half BN and half Gram, and with Gram",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it

# %%
from styletx.widgets import Panel

panel = Panel("gatys", content="china", style="stained-glass", loss="mmd-polynomial", size=192, steps=60,
              main=("loss", "style_weight", "size", "steps"))  # fmt: skip
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# ```{exercise} The constant in the polynomial
# :label: mmd-offset
# Show that MMD² with $(\mathbf{x}^\top\mathbf{y} + c)^2$ is Gram's plus $2c$ times the linear one. What is $c$ good for?
# ```
#
# ```{solution} mmd-offset
# :class: dropdown
# $(\mathbf{x}^\top\mathbf{y} + c)^2 = (\mathbf{x}^\top\mathbf{y})^2 + 2c\,\mathbf{x}^\top\mathbf{y} + c^2$; each part gives its own
# MMD², and that of a constant is 0. With $c > 0$ the means count by themselves, not only as a part of the Gram matrix.
#
#     c = 0.7
#     both = float(mmd("polynomial", offset=c)(F, S))
#     print(both, float(mmd("polynomial")(F, S)) + 2 * c * float(mmd("linear")(F, S)))
# ```
#
# ```{exercise} Two clouds that Gram cannot tell apart
# :label: mmd-blind
# Find two samples of numbers with equal second moments, one constant and one not. Which kernels see the difference?
# ```
#
# ```{solution} mmd-blind
# :class: dropdown
# Ones, and √8 once with seven zeros: both have mean square 1. The second-order kernel is blind, the linear one is not
# (the means are 1 and 0.35), nor is the Gaussian. $G = \Sigma + \mu\mu^\top$ mixes spread and mean, and lets one stand in
# for the other.
#
#     ones, spike = torch.ones(1, 1, 2, 4), torch.zeros(1, 1, 2, 4)
#     spike[0, 0, 0, 0] = 8**0.5
#     for loss in (mmd("polynomial"), mmd("linear"), mmd("gaussian", bandwidth=1.0)):
#         print(loss.name, float(loss(ones, spike)))
# ```
#
# ```{exercise} A test of styles
# :label: mmd-test
# Do the left and the right half of *Starry Night* have one style? Test features of each at `relu2_1`, not all of them. Then
# test the painting against the photo. Why would *all* positions give p-values that are too small?
# ```
#
# ```{solution} mmd-test
# :class: dropdown
# Neighbouring features see overlapping patches: they are not the independent draws that the test assumes, so all of them
# count as more evidence than they are. `relu2_1` sees 10 pixels, 2 apart, so every fifth position is free of overlap.
#
#     def far(features):
#         return features[..., ::5, ::5].flatten(1)
#
#     cloud, other = (encoder(p, "relu2_1")["relu2_1"][0] for p in (style, content))
#     half = cloud.shape[-1] // 2
#     kernel = gaussian_kernel(median_bandwidth(cloud.flatten(1)))
#     pairs = {"left, right": (cloud[..., :half], cloud[..., half:]), "painting, photo": (cloud, other)}
#     for name, pair in pairs.items():
#         print(name, two_sample_test(kernel, *map(far, pair)))
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, authors' code, ours
#
# | | the paper (2017) | the authors' code | here |
# |---|---|---|---|
# | network, layers | VGG-19, relu1_1 … relu5_1; content relu4_2 | the same | the same layers of `mini`, content relu3_1 too; any encoder by name |
# | pooling, padding | not stated | average; one pixel | max; mirrored in `mini` |
# | normalisation | one Z per kernel and layer, set by hand | one factor per kernel, then the layer's size | each layer over the reference's own size |
# | Gaussian | σ² from the mean squared distance, pairs drawn at random | pairs shuffled anew at each evaluation | σ by the median rule; all pairs in blocks, or `positions=` drawn |
# | polynomial | d = 2, c = 0 | the same | any d and c |
# | estimate | unbiased for the linear-time Gaussian, biased else | the same | biased: it is bounded below |
# | BN statistics | mean and standard deviation, Σ/N | the same | the same |
#
# ## How it fails
#
# - *Washed-out strokes*: the linear kernel and BN statistics know nothing of which features go together.
# - *Black or saturated spots*: a polynomial of high degree is ruled by its few largest features.
# - *Nothing happens*: a bandwidth so small that no feature has a neighbour: the gradient vanishes. So does a start that
#   is far from the style in every direction; take the median rule, or a polynomial to begin with.
# - *Flicker between steps*: too few `positions`. The estimate's noise is larger than what is left to gain.
#
# ## What to read next
#
# {cite:t}`gretton2012kernel` is the paper on the test, and {cite:t}`risser2017stable` go on where
# moments end: whole histograms. Their loss is among those of lecture 05.
