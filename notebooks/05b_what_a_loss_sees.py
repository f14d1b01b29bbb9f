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
# # 05b · A museum of losses: what a style loss can see
#
# By the end of this room you will be able to
#
# - name eleven style losses, and write each as a statistic and a distance;
# - say, before you run it, which of two textures a loss can tell apart;
# - build two textures with one Gram matrix;
# - match histograms of any two sizes, with ties.

# %% slideshow={"slide_type": "slide"}
import torch

from styletx import describe_device, gram, gram_loss, show
from styletx.course.figures import table
from styletx.course.gallery import figure, numbers
from styletx.evaluation.litmus import LOSSES, PAIRS, sees
from styletx.losses import bn_loss, histogram_loss, mmd
from styletx.statistics import match_histograms, ranked

torch.manual_seed(0)
print("this lecture runs on", describe_device())

# %% slideshow={"slide_type": "slide"}
figure("museum", "One photograph and one painting under thirteen style losses")

# %% [markdown]
# One photo, one painting, and every loss that `gatys(loss=...)` offers (but its default, which is the first of them and a
# little of the third, lecture 03), with the same weight, each at its usual layers. They agree more than one would think:
# most of them compare *distributions of features*. What they see of a distribution differs, and that is this room.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The collection
#
# Let $\mathbf{f}_k$ be the feature at position $k$, M of them, N channels.
#
# | loss, in the code | statistic | distance | source |
# |---|---|---|---|
# | Gram<br>`gram` | $G = \frac1M\sum_k \mathbf{f}_k\mathbf{f}_k^\top$ | squared | {cite}`gatys2016image` |
# | mean-subtraction Gram<br>`centred-gram` | the same of $\mathbf{f}_k - m$, $m$ the mean of the whole layer | squared | {cite}`li2017diversified` |
# | covariance<br>`covariance` | the same of $\mathbf{f}_k - \boldsymbol\mu$, channel by channel | squared | – |
# | transformed Gram<br>`shifted-gram` | $\frac1M\sum_k \mathbf{f}_k\mathbf{f}_{k+\delta}^\top$, across and down | squared | {cite}`berger2017incorporating` |
# | multi-scale Gram<br>`multiscale-gram` | Gram matrices of the features and of their halves, quarters | squared | {cite}`zhang2018multistyle` |
# | BN<br>`bn` | mean and standard deviation of each channel | squared | {cite}`li2017demystifying` |
# | MMD<br>`mmd-linear`<br>`mmd-polynomial`<br>`mmd-gaussian` | the sample itself | $\mathrm{MMD}^2$ with a kernel | {cite}`li2017demystifying` |
# | histogram<br>`histogram` | each channel's sorted values | squared, rank by rank | {cite}`risser2017stable` |
# | sliced Wasserstein<br>`sliced-wasserstein` | sorted shadows on random directions | squared, rank by rank | {cite}`heitz2021sliced` |
# | MRF<br>`mrf` | 3×3 patches | squared, to the nearest one | {cite}`li2016combining` |
# | reshuffle<br>`reshuffle` | 3×3 patches | squared, each style patch used about once | {cite}`gu2018arbitrary` |
#
# The last two belong to the next room; they are here because the test below is for all. Nine of the rows of the survey's
# table {cite}`jing2020neural` are among these (covariance and sliced Wasserstein are not in it). Its perceptual loss
# {cite}`johnson2016perceptual` is a content loss, that of lecture 03; the other rows hang in the next room.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Two clouds with one Gram matrix
#
# $G = \Sigma + \boldsymbol\mu\boldsymbol\mu^\top$: the Gram matrix adds up the spread and the squared mean, and lets one
# stand in for the other. The slides say so and show two pictures of one Gram matrix; here is a small pair.

# %%
constant = torch.ones(1, 1, 4, 4)
spikes = torch.zeros(1, 1, 4, 4)
spikes[0, 0, ::2, ::2] = 2
losses = {
    "Gram": gram_loss,
    "BN": bn_loss,
    "histogram": histogram_loss,
    "Gaussian MMD": mmd("gaussian", bandwidth=1.0),
}
assert float(gram_loss(constant, spikes)) == 0 < float(histogram_loss(constant, spikes))
table(
    [[name, float(loss(constant, spikes))] for name, loss in losses.items()],
    ["loss", "distance"],
)

# %% [markdown]
# With many channels it is as easy: multiply each feature by a random sign. Every product $\mathbf{f}\mathbf{f}^\top$ stays, so the
# Gram matrix stays; the mean goes. (Behind a ReLU there are no negative features; there spread is traded against mean, as
# in the pair above.)

# %%
cloud = torch.rand(1, 16, 12, 12)
signs = torch.where(torch.rand(1, 1, 12, 12) < 0.5, -1.0, 1.0)
table(
    [[name, float(loss(cloud, cloud * signs))] for name, loss in losses.items()],
    ["loss", "distance"],
)

# %%
assert torch.allclose(gram(cloud), gram(cloud * signs))

# %% [markdown]
# In a picture this is how flat regions turn spotty, and why Gram matrices alone are unstable: nothing in the objective
# minds {cite}`risser2017stable`.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Histograms of any two sizes
#
# To give values $x$ the histogram of $y$: the value of rank $r$ in $x$ becomes the value of rank $r$ in $y$. With *quantiles*
# any two sizes work: of $n$ values the $k$-th stands at rank $(k - \frac12)/n$, and between ranks runs a straight line.
#
# :::{admonition} Check the slide
# :class: warning
# Kitov's slide says of the two pictures: "should be the same size". That is needed only if one sorts both and pairs them.
# :::
#
# Then there are ties. Most values behind a ReLU are 0. Sorting puts equal values in some order, mostly that of the raster,
# and would send the zeros of one picture to many values, along a gradient from top to bottom that nobody asked for. The
# rule here: equal values become *one* value, the mean of the quantiles that they take up together.

# %%
x, y = (
    torch.tensor([[0.0, 0.0, 0.0, 5.0]]),
    torch.tensor([[1.0, 2.0, 4.0, 6.0, 8.0, 10.0]]),
)
even = lambda values: torch.full((values.shape[1],), 1 / values.shape[1])  # noqa: E731
print(
    match_histograms(x, even(x), ranked(y, even(y)))
)  # three zeros take up the lower 3/4 of y: they share its mean

# %% [markdown]
# The price: a flat picture with the right mean counts as matched, though its histogram is different. So the loss is not
# symmetric:

# %%
level = torch.full_like(spikes, float(spikes.mean()))  # flat, with the spikes' mean
flat, spotty = (
    float(histogram_loss(level, spikes)),
    float(histogram_loss(spikes, level)),
)
print(f"flat against spikes: {flat:.3f}; spikes against flat: {spotty:.3f}")
assert flat < 1e-12 < spotty

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The litmus test
#
# For each pair of textures below, one thing differs and nothing else. A loss *sees* it if the distance is more than ten
# times the distance between two crops of one texture.

# %%
rows = [pair.make()[:2] for pair in PAIRS]
grey = [
    [p[:, :1] if p.shape[1] != 2 else p.mean(1, keepdim=True) for p in row]
    for row in rows
]
low, high = (
    [f(torch.stack([f(p) for p in row])) for row in grey]
    for f in (torch.min, torch.max)
)  # a range for each pair
pictures = [
    (row[k] - a) / (b - a).clamp(min=1e-9)
    for k in (0, 1)
    for row, a, b in zip(grey, low, high, strict=True)
]
small = [
    torch.nn.functional.interpolate(
        p[..., :32, :32].float(), size=(96, 96), mode="nearest"
    )
    for p in pictures
]
show(
    *small,
    titles=[str(k + 1) for k in range(len(PAIRS))] + [""] * len(PAIRS),
    columns=len(PAIRS),
    height=1.1,
)

# %%
table(
    [[str(k + 1), pair.name, pair.lives_in] for k, pair in enumerate(PAIRS)],
    ["", "what differs", "lives in"],
)

# %% [markdown]
# One entry, live: does the Gram matrix see the spikes of the first pair? Does the BN loss?

# %%
for loss in (gram_loss, bn_loss):
    print(f"{loss.name} sees it: {sees(loss, PAIRS[0])}")
assert not sees(gram_loss, PAIRS[0]) and sees(bn_loss, PAIRS[0])

# %% [markdown]
# **Predict first.** Which losses can tell positions apart at all? Which look at more than one channel at a time? Write
# down the column of a pair before you look at the table.

# %% tags=["hide-output"]
found = numbers("litmus")[
    "seen"
]  # all of it takes about a minute; `sees` above asked for one entry
names = list(LOSSES)
seen = [
    [name, *("●" if found[pair.name][name] else "·" for pair in PAIRS)]
    for name in names
]
table(seen, ["", *(str(k + 1) for k in range(len(PAIRS)))])

# %% tags=["hide-output"]
for pair in PAIRS:
    assert {name for name in names if found[pair.name][name]} == set(pair.seen_by)
    print(f"{pair.name}\n    {pair.because}\n")

# %% [markdown]
# Each column was derived from the formulas first; a test compares it with what is measured. Read it by rows: Gram matrices
# see second moments and nothing else; the Gaussian kernel, or shadows in all directions, see the whole distribution of
# single features. Shifted and multi-scale Gram matrices notice when positions are shuffled; patches also notice a mirror.
# (`mmd-polynomial` is $(\mathbf{x}^\top\mathbf{y} + 1)^2$: it sees means beside second moments, and so the spikes. With $c = 0$
# its row would be Gram's.)
#
# Why then do Gram matrices make such good pictures? Because features of a deep layer *are* patches: compare
# columns 5, "mirrored, in features" (Gram is blind), and 6, "mirrored, in pixels" (through a network everything sees it).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What it costs

# %%
measured = numbers("museum_cost")
cost = measured["cost"]
print(
    "one evaluation with its gradient, median of three, and how far memory grew;",
    measured["device"],
)
table(
    [[name, *(f"{1000 * v['seconds']:.0f} ms, {v['memory'] / 2**20:.0f} MiB" for v in row.values())] for name, row in
     cost.items()],
    ["loss", *(f"{size} px" for size in next(iter(cost.values())))],
)  # fmt: skip

# %% [markdown]
# Each loss is asked at its usual layers (MRF and reshuffle: two, shifted Gram: four, the others: five). Differences of a
# third are noise.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## "More stable": measured
#
# The histogram loss is said to remove instabilities: parts of a texture that come out flat, others too strong. Ten seeds
# of noise as the start, with Gram alone, with total variation, and with the histogram loss beside it. How much do the mean
# colour and the local contrast (standard deviations in windows of 16 pixels) of ten results of one objective differ, and
# how uneven is the contrast within one result?

# %%
spread = numbers("stability")["spread"]
keys = ["mean colour", "local contrast", "unevenness"]
table(
    [[name, *(row[key] for key in keys)] for name, row in spread.items()],
    ["objective", *keys],
)

# %% [markdown]
# Between seeds there is little to remove at this size: mean colours differ by less than one step of 1/255, and mean contrasts
# by about a hundredth of the range, with all three. What the histogram loss changes is the unevenness within a picture, and
# not by much. Total variation helps with none of them: it asks for smoothness everywhere alike.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it

# %%
from styletx.widgets import Panel

panel = Panel("gatys", content="china", style="stained-glass", loss="sliced-wasserstein", size=192, steps=60,
              main=("loss", "style_weight", "size", "steps"))  # fmt: skip
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# ```{exercise} A loss of your own
# :label: museum-own
# Write a loss that compares the *third* moment of each channel, $\frac1M\sum_k (f_k - \mu)^3$, beside its mean. Which pairs
# of the litmus table does it see?
# ```
#
# ```{solution} museum-own
# :class: dropdown
# A `Loss` is a statistic and a distance. It sees what changes a channel's mean or skewness: the spikes, the shuffled phases
# (dots are skewed, a bell curve is not), and the mirror in pixels, through the network. Two values against three are both
# symmetric: blind. So it is to another correlation or order.
#
#     from styletx import Loss, load_encoder, mean_squared
#     from styletx.evaluation.litmus import sees
#
#     def skewness(features, weights=None):
#         cloud = features.flatten(2)
#         mean = cloud.mean(2, keepdim=True)
#         return torch.cat([mean, ((cloud - mean) ** 3).mean(2, keepdim=True)], 1)
#
#     mine = Loss(skewness, mean_squared, name="skewness")
#     encoder = load_encoder("mini", device="cpu")
#     for pair in PAIRS:
#         print(sees(mine, pair, encoder), pair.name)
# ```
#
# ```{exercise} Blind on purpose
# :label: museum-blind
# You want strokes but not their contrast: a pale copy of a painting should count as the same style. Which loss is nearest
# to that, and how would you change it?
# ```
#
# ```{solution} museum-blind
# :class: dropdown
# None of them is blind to contrast as it stands. Covariance is nearest: a pale copy, $c\,\mathbf{f} + $ const, keeps its
# proportions, $\Sigma \to c^2\Sigma$; divide by the trace, and $c$ is gone. (Exact for linear features; behind a ReLU nearly.)
#
#     from styletx import Loss, mean_squared
#     from styletx.statistics import centred_gram
#
#     def proportions(features, weights=None):
#         matrix = centred_gram(features, weights, centre="channel")
#         return matrix / matrix.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
#
#     pale = Loss(proportions, mean_squared, name="proportions")
#     cloud = torch.rand(1, 4, 8, 8)
#     print(float(pale(cloud, 0.5 * cloud + 0.3)), float(gram_loss(cloud, 0.5 * cloud + 0.3)))
# ```
#
# ```{exercise} How many shadows
# :label: museum-shadows
# The sliced Wasserstein distance draws directions. With how many does its value on photo and painting stop changing by
# more than a tenth from seed to seed?
# ```
#
# ```{solution} museum-shadows
# :class: dropdown
# The spread falls with the root of the number; some tens are enough for the value, and new ones every few steps make the
# optimisation see all of them.
#
#     from styletx import load_encoder, load_or
#     from styletx.losses import sliced_wasserstein
#     encoder = load_encoder("mini", device="cpu")
#     F, S = (encoder(load_or(*n, size=128), "relu3_1")["relu3_1"] for n in (("kodak-21", "china"), ("starry-night", "waves")))
#     for count in (4, 16, 64, 256):
#         values = [float(sliced_wasserstein(directions=count, seed=s)(F, S)) for s in range(8)]
#         print(count, torch.tensor(values).std() / torch.tensor(values).mean())
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Papers, ours
#
# | | the paper | here |
# |---|---|---|
# | normalisation of Gram | $1/(4N^2M^2)$ or none | divided by the positions; each layer over the reference's own size |
# | mean-subtraction Gram | the mean of all features of a layer | the same; "covariance" is the one with a mean for each channel |
# | transformed Gram | shifts of 1, 2, 4, … in both directions | one shift, in both directions |
# | histogram | matched anew at each step, 256 bins | quantiles: no bins, any two sizes, ties become one value |
# | sliced Wasserstein | as many directions as channels, anew at each step | the same, anew every 10 steps (L-BFGS needs them to stand still) |
# | Gaussian MMD | pairs drawn at random | all pairs in blocks, or 1,024 positions drawn anew |
#
# ## How it fails
#
# - *Flat regions turn spotty*: the Gram ambiguity. Add a histogram term, or total variation.
# - *Right colours, no strokes*: BN statistics and histograms look at one channel at a time; a stroke is two channels that
#   fire together.
# - *A gradient from top to bottom that nobody painted*: sorting ties by raster order. Here they are one value.
# - *Slow and grainy*: MMD or Wasserstein with too few draws. More positions, more directions, or `every` smaller.
#
# ## What to read next
#
# The survey whose table this room hangs up is {cite:t}`jing2020neural`. {cite:t}`heitz2021sliced` argue
# that the sliced Wasserstein distance should replace Gram matrices altogether. The next room leaves distributions: patches,
# edges, critics, depth and time.
