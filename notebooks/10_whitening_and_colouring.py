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
# # 10 · One shot: whitening and colouring
#
# By the end of this lecture you will be able to
#
# - stylise a photograph in a second, with any painting, without optimising and without training for that painting;
# - whiten a cloud of features and colour it again, in six lines, and say what happens to its covariance;
# - settle four slips and variants of the formula by running them;
# - say in what sense AdaIN is a part of this, and optimal transport a better-founded relative of it.

# %% slideshow={"slide_type": "slide"}
import time

import torch

from styletx import describe_device, gatys, load_or, show
from styletx.course.figures import heat, table
from styletx.course.gallery import figure
from styletx.images import noise_like, resize
from styletx.methods.wct import adain, at_area, one_shot, padded, wct
from styletx.networks.decoders import LEVELS, load_pairs
from styletx.segments import cluster
from styletx.whitening import gaussian, transfer, whiten

torch.manual_seed(0)
print("this lecture runs on", describe_device())

# %% slideshow={"slide_type": "slide"}
figure(
    "one_shot", "Four rows: a photograph, a painting, and the photograph in its style"
)

# %% [markdown]
# Four pictures, a second or so each. Nothing was optimised, and no network was trained for any of these paintings.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea: encode, move the cloud, decode
#
# Until here a picture was *sought* whose features have the style's statistics. But features can be moved onto
# these statistics directly. If there is a *decoder* that turns features back into a picture, nothing else is needed
# {cite}`li2017universal`:
#
# $$\mathbf{x} = D\big(T(\Phi(\mathbf{p}))\big).$$
#
# $\Phi$ is our encoder up to one layer. $D$ was trained once, to give photographs back: it mirrors the encoder, with
# nearest-neighbour upsampling for each pooling, and has never seen a style. What does it give back, layer by layer?

# %%
photo = load_or("kodak-23", "china", size=256)
pairs = {pair.layer: pair for pair in load_pairs("mini", LEVELS)}
device = pairs["relu1_1"].encoder.device
photo_16 = padded(photo).to(device)
with torch.no_grad():
    decoded = {layer: pair(photo_16).clamp(0, 1).cpu() for layer, pair in pairs.items()}
psnr = {
    layer: -10 * torch.log10((made - photo_16.cpu()).square().mean())
    for layer, made in decoded.items()
}
show(
    photo,
    *decoded.values(),
    titles=["photo", *(f"{layer}, {value:.0f} dB" for layer, value in psnr.items())],
    columns=3,
)

# %% [markdown]
# Near the pixels everything comes back. At relu5_1, one position stands for 16×16 pixels, and the decoder paints from
# memory.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Whitening: take the style away
#
# Write the features of one layer as columns $\mathbf{f}_k$, $k = 1 \dots M$, with mean $\mu_c$ and covariance
#
# $$\Sigma_c = \frac1M \sum_k (\mathbf{f}_k - \mu_c)(\mathbf{f}_k - \mu_c)^\top = V \Lambda V^\top .$$
#
# $V$ holds the directions in which the cloud is spread, $\Lambda$ how far. Divide each by its spread, and the cloud is
# round: its covariance is the identity.
#
# $$\hat{\mathbf{f}}_k = V \Lambda^{-1/2} V^\top (\mathbf{f}_k - \mu_c),$$
#
# $$\frac1M\sum_k \hat{\mathbf{f}}_k \hat{\mathbf{f}}_k^\top = V\Lambda^{-1/2}V^\top\, V\Lambda V^\top\, V\Lambda^{-1/2}V^\top = I .$$

# %%
layer = "relu3_1"
with torch.no_grad():
    F = (
        pairs[layer].encode(photo_16)[0][0].flatten(1).cpu().double()
    )  # one column for each position
mu = F.mean(1, keepdim=True)
covariance = (F - mu) @ (F - mu).T / F.shape[1]
Lambda, V = torch.linalg.eigh(covariance)
kept = Lambda > 1e-5 * Lambda.max()  # what is smaller is rounding
V, Lambda = V[:, kept], Lambda[kept]
white = V @ torch.diag(Lambda**-0.5) @ V.T @ (F - mu)

after = white @ white.T / white.shape[1]
projector = V @ V.T
print(f"{len(kept)} channels, rank {int(kept.sum())}")
print(
    f"covariance of the whitened features minus the projector: {(after - projector).abs().max():.1e}"
)
assert torch.allclose(after, projector, atol=1e-4)
correlation = covariance / covariance.diagonal().sqrt().outer(
    covariance.diagonal().sqrt()
).clamp(min=1e-9)
show(heat(correlation[None], -1, 1, size=(192, 192), colours="RdBu_r"), heat(after[None], -1, 1, size=(192, 192), colours="RdBu_r"),
     titles=["correlations of the channels", "covariance after whitening"])  # fmt: skip

# %% [markdown]
# :::{admonition} Check the slide
# :class: warning
# "The covariance becomes the identity" holds where every direction is there. With fewer positions than channels, or with
# channels that never fire, $\Sigma_c$ has no inverse, and what comes out is the *projector* on the directions that
# exist. Hence the cut-off, relative to the largest eigenvalue. A bare `svd` and $1/\sqrt{\Sigma}$ gives NaN on a
# picture of one colour.
# :::
#
# What does a photo look like without correlations? Decode the white features and see.

# %%
with torch.no_grad():
    rows = []
    for layer in LEVELS[:3]:
        features, _ = pairs[layer].encode(photo_16)
        rounded = whiten(features, gaussian(features))
        rows.append(pairs[layer].decode(rounded.to(features)).clamp(0, 1).cpu())
show(*rows, titles=[f"whitened at {layer}" for layer in LEVELS[:3]])

# %% [markdown]
# Lines and feathers stay, light and saturation go: "removing the style".

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Colouring: put another style in
#
# Colouring is whitening backwards, with the *style's* covariance, and its mean:
#
# $$\mathbf{f}_k \;\mapsto\; {\color{#b5461b}{\Sigma_s^{1/2}}}\; {\color{#0b6e99}{\Sigma_c^{-1/2}}}\,
# (\mathbf{f}_k - {\color{#0b6e99}{\mu_c}}) + {\color{#b5461b}{\mu_s}} .$$

# %%
layer = "relu3_1"
painting = load_or("starry-night", "stained-glass", size=512)
style = at_area(painting, photo_16.shape[-2] * photo_16.shape[-1]).to(device)
with torch.no_grad():
    f_c, _ = pairs[layer].encode(photo_16)
    f_s, _ = pairs[layer].encode(style)
S = f_s[0].flatten(1).cpu().double()
mu_s = S.mean(1, keepdim=True)
Lambda_s, V_s = torch.linalg.eigh((S - mu_s) @ (S - mu_s).T / S.shape[1])
coloured = V_s @ torch.diag(Lambda_s.clamp(min=0) ** 0.5) @ V_s.T @ white + mu_s
ours = transfer(f_c, gaussian(f_s))[0].flatten(1).cpu()
print(
    f"by hand and by `transfer`: relative difference {(coloured - ours).norm() / ours.norm():.1e}"
)
assert (coloured - ours).norm() < 1e-2 * ours.norm()
with torch.no_grad():
    single = {
        lay: one_shot(photo, painting, [pair], size=256) for lay, pair in pairs.items()
    }
show(*single.values(), titles=[f"at {name}" for name in single], columns=3)

# %% [markdown]
# One level each. At relu1_1 only colours change; at relu5_1 the large shapes of the painting come, and the photo drowns.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## All levels, one after the other
#
# Begin deep, decode, encode the result up to the next layer, transfer, decode, and so on: large shapes first, then
# strokes, then colours. Each level mends what the one before has decoded badly. The other way round, every deep decoder
# smears the fine strokes that were just made. Without relu5_1 (`deepest="relu4_1"`) more of the photo's shapes stand,
# and less of the painting's.

# %%
start = time.perf_counter()
down = wct(photo, painting, size=256, strength=0.8)
seconds = time.perf_counter() - start
up = wct(photo, painting, size=256, strength=0.8, order="fine to coarse")
four = wct(photo, painting, size=256, strength=0.8, deepest="relu4_1")
print(f"five levels in {seconds:.1f} s")
show(
    painting,
    down,
    up,
    four,
    titles=["style", "relu5_1 → relu1_1", "relu1_1 → relu5_1", "relu4_1 → relu1_1"],
    columns=2,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How much: α
#
# $\alpha$ blends the features before and after, $(1 - \alpha)\,\mathbf{f} + \alpha\,T(\mathbf{f})$, at every level.

# %%
strip = [
    wct(photo, painting, size=224, strength=a) for a in (0.0, 0.25, 0.5, 0.75, 1.0)
]
show(*strip, titles=["α = 0", "0.25", "0.5", "0.75", "1"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Four versions of one formula
#
# The slide decomposes $A A^\top$: it does not centre. The paper centres, and writes $\mathbf{f}\mathbf{f}^\top$ without dividing
# by the number of positions. Their code divides by it, less one; the code of PhotoWCT (next lecture) also adds the
# identity to the *content's* covariance. Do these differ? Photo and painting at relu4_1, the painting at twice the width
# and height, so with four times the positions:

# %%
pair = pairs["relu4_1"]
with torch.no_grad():
    f_c, _ = pair.encode(photo_16)
    f_s, _ = pair.encode(
        resize(painting, (2 * style.shape[-2], 2 * style.shape[-1])).to(device)
    )
    versions = {
        "centred and divided (ours)": transfer(f_c, gaussian(f_s)),
        "not centred (slide)": transfer(
            f_c, gaussian(f_s, centred=False), source=gaussian(f_c, centred=False)
        ),
        "not divided (paper)": transfer(
            f_c, gaussian(f_s, divided=False), source=gaussian(f_c, divided=False)
        ),
        "+ identity (PhotoWCT's code)": transfer(
            f_c, gaussian(f_s), source=gaussian(f_c, ridge=1.0)
        ),
    }
    pictures = [
        pair.decode(features).clamp(0, 1).cpu() for features in versions.values()
    ]
spread = {
    name: float(features.var((2, 3)).sum()) for name, features in versions.items()
}
wanted = float(f_s.var((2, 3)).sum())
print(
    {name: f"{value / wanted:.2f}" for name, value in spread.items()},
    "of the style's variance",
)
show(*pictures, titles=list(versions), columns=2)

# %% [markdown]
# Undivided, the variance is too large by $n_s/n_c$, the ratio of the numbers of positions, and the features by its root:
# on pictures of equal size nobody notices. Without centring the mean is one direction among others, and is not the style's afterwards. The
# identity damps every direction in which the photo varies little: a softer style, which may look better. It is a matter
# of taste, and of the scale of the features: with this encoder, whose mean activation is 1, it is a strong damping.
#
# :::{admonition} Check the slide
# :class: warning
# "The result has the style's covariance." With a content of full rank, yes. Otherwise it is
# $\Sigma_s^{1/2} P_c\, \Sigma_s^{1/2}$, with $P_c$ the projector on what the content has: a cloud that is flat in some
# direction stays flat. The cell takes 40 positions for 112 channels.
# :::

# %%
few, many = f_c[..., :5, :8].cpu(), f_s.cpu()
source, target = gaussian(few), gaussian(many)
result = gaussian(transfer(few, target)).power(1.0)
P = source.power(0.0)
expected = target.power(0.5) @ P @ target.power(0.5)
print(f"rank {source.rank} of {few.shape[1]}: to the formula {(result - expected).norm() / expected.norm():.1e}, "
      f"to Σ_s {(result - target.power(1.0)).norm() / expected.norm():.2f}")  # fmt: skip
assert (result - expected).norm() < 1e-2 * expected.norm()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Which of all the roots?
#
# $T\Sigma_cT^\top = \Sigma_s$ has many solutions: between whitening and colouring any rotation may stand. The symmetric
# one above is called ZCA. PCA sends the strongest direction of one to the strongest of the other; Cholesky goes through
# the channels in their order. All of them give the *same* mean and covariance, so Gram cannot tell them apart. The
# picture can.
#
# One of them moves the cloud *least*: the Gaussian optimal-transport map
# $T = \Sigma_c^{-1/2}(\Sigma_c^{1/2}\Sigma_s\Sigma_c^{1/2})^{1/2}\Sigma_c^{-1/2}$. What has moved least keeps most of the photo.

# %%
with torch.no_grad():
    f_s, _ = pair.encode(style)
    source, target = gaussian(f_c), gaussian(f_s)
    rows, pictures = [], []
    for how in ("transport", "zca", "pca", "cholesky", "diagonal"):
        moved = transfer(f_c, target, how=how)
        got = gaussian(moved).power(1.0)
        error = float((got - target.power(1.0)).norm() / target.power(1.0).norm())
        rows.append(
            [how, error, float((moved - f_c).square().sum() / f_c.square().sum())]
        )
        pictures.append(pair.decode(moved).clamp(0, 1).cpu())
assert rows[0][2] == min(row[2] for row in rows[:4])
show(*pictures, titles=["transport", "ZCA", "PCA", "Cholesky", "AdaIN"], columns=3)

# %%
table(rows, ["map", "error of the covariance", "squared way / size"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## AdaIN is its diagonal
#
# Adaptive instance normalisation {cite}`huang2017arbitrary` gives each channel the style's mean and spread,
# $\mathbf{f} \mapsto \frac{\sigma_s}{\sigma_c}(\mathbf{f} - \mu_c) + \mu_s$, and leaves the correlations alone. On features whose
# channels are uncorrelated, that is whitening and colouring, to rounding:

# %%
draw = torch.Generator().manual_seed(0)


def uncorrelated(channels, positions):
    points = torch.randn(positions, channels, generator=draw, dtype=torch.float64)
    rounded = torch.linalg.qr(points - points.mean(0))[
        0
    ].T  # rows of unit length, at right angles
    return (torch.rand(channels, 1, generator=draw).double() * rounded + 1).view(
        1, channels, 1, positions
    )


one, two = uncorrelated(8, 50), uncorrelated(8, 70)
gap = (
    (
        transfer(one, gaussian(two), how="zca")
        - transfer(one, gaussian(two), how="diagonal")
    )
    .abs()
    .max()
)
print(f"AdaIN against WCT without correlations: {gap:.1e}")
assert gap < 1e-9
show(
    adain(photo, painting, size=256),
    wct(photo, painting, size=256, layer="relu4_1", strength=1.0),
    titles=["AdaIN at relu4_1", "WCT at relu4_1"],
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Several styles, several regions
#
# Mixing is linear in the transformed features: $\sum_s m_s T_s(\mathbf{f})$. A region gets its own mean and
# covariance when positions are weighed by its mask, as in lecture 06.

# %%
other = load_or("great-wave", "waves", size=512)
blend = [
    wct(photo, [painting, other], mix=(1 - t, t), size=224) for t in (0.0, 0.5, 1.0)
]
masks = cluster(photo, count=2, layer="relu3_1")[0]
regions = wct(photo, [painting, other], mask=masks, size=224)
show(
    *blend,
    regions,
    titles=["first style", "half and half", "second style", "one for each region"],
)

# %% [markdown]
# A region that has almost no position at a deep layer has no covariance there. The rule: with less weight than ten
# positions, on either side, it gets what the whole picture would get. (Elsewhere this is where the SVD of one cell gives
# NaN, and then the whole picture is NaN.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## From noise: texture
#
# Let the content be noise: a texture appears, after a few rounds.

# %%
pattern = load_or("sunflowers", "marbling", size=256)
made, rounds = noise_like(pattern, seed=0, size=(192, 192)).clamp(0, 1), []
for k in range(3):
    made = wct(made, pattern, size=192, strength=1.0)
    rounds.append(made)
show(pattern, *rounds, titles=["style", "one round", "two", "three"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A start for Gatys et al.
#
# One shot is fast and rough. An optimisation is slow and fine. `start="wct"` lets the second go on where the first
# stopped:

# %%
preview = wct(photo, painting, size=192)
refined = gatys(photo, painting, size=192, steps=40, start="wct", levels=1).finish(
    progress=False
)
plain = gatys(photo, painting, size=192, steps=40, start="content", levels=1).finish(
    progress=False
)
show(
    preview,
    refined,
    plain,
    titles=["the preview", "40 evaluations from it", "40 evaluations from the photo"],
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it

# %%
from styletx.widgets import Panel

main = ("strength", "style_scale", "size", "layer")
panel = Panel("wct", content="china", style="waves", size=384, main=main)
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# ```{exercise} White twice
# :label: wct-twice
# Whiten white features again. What changes?
# ```
#
# ```{solution} wct-twice
# :class: dropdown
# Nothing: the covariance is already a projector, its inverse root is the same projector, and the mean is 0.
#
#     features, _ = pairs["relu3_1"].encode(photo_16)
#     once = whiten(features)
#     print((whiten(once) - once).abs().max())
# ```
#
# ```{exercise} The way back
# :label: wct-back
# Stylise, then take the *photo* as the style of the result. Do you get the photo back? At the level of features, when?
# ```
#
# ```{solution} wct-back
# :class: dropdown
# Features: $T_{s \to c}\,T_{c \to s} = \Sigma_c^{1/2}\Sigma_s^{-1/2}\,\Sigma_s^{1/2}\Sigma_c^{-1/2} = I$ if both have full
# rank and nothing was decoded in between. Every decoding loses something, at relu5_1 most.
#
#     from styletx.whitening import exact
#     f = exact(f_c)  # float64, on the CPU where the device has none
#     back = transfer(transfer(f, target), source, source=target)
#     print((back - f).norm() / f.norm())
#     show(photo, wct(wct(photo, painting, size=256, layer="relu2_1", strength=1.0), photo, size=256, layer="relu2_1", strength=1.0))
# ```
#
# ```{exercise} A transform of your own
# :label: wct-own
# Halve the correlations of the style: use $\Sigma_s' = \frac12(\Sigma_s + \mathrm{diag}\,\Sigma_s)$. Between which two
# methods does the result lie?
# ```
#
# ```{solution} wct-own
# :class: dropdown
# Between WCT (all correlations of the style) and a style without any. That is not AdaIN: AdaIN keeps the *content's*
# correlations.
#
#     from styletx.whitening import Gaussian
#     sigma = target.power(1.0)
#     values, vectors = torch.linalg.eigh((sigma + torch.diag(sigma.diagonal())) / 2)
#     half = Gaussian(target.mean, values, vectors)
#     show(pair.decode(transfer(f_c, half)).clamp(0, 1).cpu())
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, authors' code, ours
#
# | | Li et al. 2017 | their code | here |
# |---|---|---|---|
# | network | VGG-19 to relu5_1, five decoders | the same | `mini` and five decoders; public pairs by name |
# | covariance | $\mathbf{f}\mathbf{f}^\top$, centred | centred, over n − 1 | centred, over n |
# | decomposition | SVD | SVD; eigenvalues below 1e-5 dropped | `eigh` in float64; below 1e-5 of the largest dropped |
# | decoder | nearest upsampling, pixel and feature loss | the same | the same |
# | levels | relu5_1 … relu1_1 | the same | the same; fewer by name |
# | α | 0.6 for stylisation | 0.6 at every level | 0.6 at every level |
# | sizes | both resized | both resized to one side | the style to the content's area; any size, padded and cropped |
# | small regions | – | no rule: one cell gives 0/0 | the whole picture's transform below ten positions |
#
# ## How it fails
#
# - *The photo drowns*: α = 1 at relu5_1, with a decoder that paints from memory. Lower α, or leave relu5_1 out.
# - *Foggy*: one deep level alone. Colours and strokes live in the shallow ones.
# - *NaN*: a region of one cell, a picture of one colour, and an SVD without a cut-off.
# - *Speckles*: features that are far outside what the decoder has learnt; the identity in PhotoWCT's code hides them.
# - *Edges wander*: nearest upsampling has forgotten where in the cell the edge was. The next lecture mends that.
#
# ## What to read next
#
# The paper {cite}`li2017universal`, and {cite:t}`huang2017arbitrary` for the diagonal with a decoder of its
# own. Photographs stylised so that they stay photographs are lecture 11.
