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
# # 02 · Layer inversion: what a layer remembers
#
# By the end of this lecture you will be able to
#
# - invert any layer of a network: find a picture that it cannot tell from a given one;
# - say what each of the three terms of the objective is for, and what the pictures look like without it;
# - read off, layer by layer, what is kept and what is forgotten: first pixels, then places;
# - tell the exponent of total variation in the paper from the one on the slide.

# %% slideshow={"slide_type": "slide"}
import matplotlib.pyplot as plt
import torch

from styletx import (
    Energy,
    Loss,
    Match,
    Objective,
    describe_device,
    invert,
    load_encoder,
    load_or,
    show,
    synthesize,
)
from styletx.course.figures import table
from styletx.course.gallery import figure, numbers
from styletx.losses import alpha_norm, beta_variation
from styletx.methods.inversion import reconstruction_error
from styletx.statistics import identity

torch.manual_seed(0)
print("this lecture runs on", describe_device())

# %% slideshow={"slide_type": "slide"}
figure(
    "inversion_layers",
    "A lighthouse, and what comes back of it from eight layers, relu1_1 to relu5_1",
)

# %% [markdown]
# One photograph, and what comes back when only its features at one layer are known. Every picture began as noise, and
# all have the same weights.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The question
#
# A network turns a picture $\mathbf{x}_0$ into a code $\Phi_0 = \Phi(\mathbf{x}_0)$ at some layer. Many pictures share that
# code, for a layer that forgets something maps them all to one. Show one of them, and you see what the layer has kept.
#
# {cite:t}`mahendran2015understanding` look for the picture by optimisation (but for a scale σ, of
# which more below):
#
# $$\mathbf{x}^* = \operatorname*{arg\,min}_{\mathbf{x}}\;
# \frac{\lVert \Phi(\mathbf{x}) - \Phi_0 \rVert_2^2}{\lVert \Phi_0 \rVert_2^2}
# + \lambda_\alpha \mathcal{R}_\alpha(\mathbf{x}) + \lambda_\beta \mathcal{R}_{V^\beta}(\mathbf{x}).$$
#
# - The first term is 0 where the codes agree, and 1 for a picture without any features. The denominator brings all layers to
#   one scale, so that $\lambda_\alpha$ and $\lambda_\beta$, the weights of the other two, need not be sought anew for each (the paper
#   still takes a larger $\lambda_\beta$ for deeper layers; here one does for all).
# - $\mathcal{R}_\alpha(\mathbf{x}) = \lVert \mathbf{x} \rVert_\alpha^\alpha$ of the mean-subtracted picture, with
#   $\alpha = 6$: next to nothing for usual values, huge for a pixel that runs away.
# - $\mathcal{R}_{V^\beta}(\mathbf{x}) = \sum_{i,j} \left((x_{i,j+1}-x_{ij})^2 + (x_{i+1,j}-x_{ij})^2\right)^{\beta/2}$, total
#   variation: neighbours are alike in pictures, and not in noise.
#
# The regularisers stand for what we know of pictures before we have seen the code: a prior.

# %% [markdown]
# :::{admonition} Check the slide
# :class: warning
# The slide raises the sum of squares to $\beta$, the paper to $\beta/2$. At $\beta = 2$ the paper's is the usual squared
# total variation; the slide's squares each pixel's term once more, so that a hard edge costs far more than a ramp of the
# same height. The next cell has both. (The slide also drops the paper's σ, the mean norm of natural pictures, by which
# $\mathbf{x}$ is scaled before the network sees it. So do we; the table at the end says why.)
# :::

# %%
ramp = torch.linspace(0, 1, 9).view(1, 1, 1, 9).expand(1, 1, 9, 9)
edge = (ramp > 0.5).float()
rows = [
    [f"β = {beta}", *(float(beta_variation(x, beta=beta)) for x in (ramp, edge))]
    for beta in (1, 2, 4)
]
table(
    [[*row, row[2] / row[1]] for row in rows],
    ["β (the exponent is β/2)", "ramp", "edge", "edge / ramp"],
)

# %% [markdown]
# With β = 1 an edge costs no more than a ramp: edges may stand. With β = 2 it costs eight times as much, and with 4,
# which is what the slide has for its "β = 2", 512 times: all edges are smeared.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The same thing in one cell

# %%
photo = load_or("kodak-21", "china", size=160)
code = Loss(identity, reconstruction_error, name="code", aligned=True)

objective = Objective(
    Match(code, photo, layers="relu3_1"),
    Energy(alpha_norm, weight=1e-3),
    Energy(beta_variation, weight=5.0),
    relative=False,
)
noise = 0.5 + 0.1 * torch.randn(photo.shape)
run = synthesize(objective, start=noise, steps=120)
start, *_, last = run
print(
    f"reconstruction error {start.losses['code']:.2f} → {last.losses['code']:.3f} in {last.evaluations} evaluations"
)
show(photo, noise.clamp(0, 1), run.best, titles=["photo", "start", "from relu3_1"])

# %% [markdown]
# `Loss` is a statistic of the features and a distance between two of them; the statistic here is the features as they are
# (`identity`), compared place by place (`aligned`). `Match` asks for it between the picture and a reference at a layer,
# `Energy` asks something of the picture alone, and `Objective` adds them up; `relative=False` leaves each term as its
# formula has it (lecture 03 says what else there is). `synthesize` then moves the pixels downhill, by L-BFGS.
# `invert(photo, layer="relu3_1", size=160, steps=120)` is this cell, but for the noise that it draws.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Why regularise?
#
# At `relu4_1` the error is as low without the regularisers, and yet the picture means little: a deep layer cannot see fine
# noise, so nothing takes it away. This is the point of the prior. Two measures compare with the photo itself: PSNR,
# $10\log_{10}(1/\text{mean squared error})$ in dB, and SSIM, which compares means, contrasts and structure window by
# window and is 1 for equal pictures.

# %%
figure(
    "inversion_beta",
    "The lighthouse from relu4_1, without regularisers and with four weights of total variation",
)

# %%
rows = [
    ["none" if name == "0" else name, value["error"], value["psnr"], value["ssim"]]
    for name, value in numbers("inversion_beta").items()
    if isinstance(value, dict)
]
assert rows[0][1] < 0.05 and rows[0][3] < max(row[3] for row in rows)
table(rows, ["λ_β", "reconstruction error", "PSNR (dB)", "SSIM"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What each layer keeps, in numbers

# %%
found = numbers("inversion_layers")
rows = [
    [layer, v["psnr"], v["ssim"], found["free"][layer]["ssim"], v["error"]]
    for layer, v in found["regularised"].items()
]
table(
    rows,
    ["layer", "PSNR (dB)", "SSIM", "SSIM without regularisers", "reconstruction error"],
)

# %% [markdown]
# In the first layers the code alone fixes the picture, and the regularisers only blur it a little; deeper ones need them.
# The last column does not compare between layers: each error is relative to its own layer's code.
#
# And $\mathcal{R}_\alpha$? It sees no neighbours; it holds single values. By itself, at three weights:

# %%
rows = []
for weight in (0.0, 1e-3, 1.0):
    *_, last = invert(
        photo, layer="relu4_1", size=160, steps=60, alpha_weight=weight, beta_weight=0.0
    )
    outside = ((last.raw < 0) | (last.raw > 1)).float().mean()
    rows.append([f"{weight:g}", float(outside), float((last.raw - 0.5).abs().max())])
assert rows[0][2] > rows[2][2]
table(rows, ["λ_α", "share of values outside [0, 1]", "farthest from mid-grey"])

# %%
fig, axis = plt.subplots(figsize=(5.6, 2.8), constrained_layout=True)
layers = list(found["regularised"])
axis.plot(
    layers, [found["regularised"][n]["psnr"] for n in layers], "o-", color="#0b6e99"
)
axis.set(
    ylabel="PSNR against the photo (dB)",
    title="Deeper layers give less of the photo back",
)
axis.tick_params(axis="x", rotation=30)
plt.show()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Four starts, one code
#
# Begin at four different noise pictures. Where the code fixes the pixels, all four end alike; the deeper the layer, the
# further they come apart, for the more pictures share one code.

# %%
figure(
    "inversion_starts",
    "Three rows of four pictures: from relu2_1 all alike, from relu3_1 nearly so, from relu5_1 all different",
)

# %%
spread = numbers("inversion_starts")["spread"]
fig, axis = plt.subplots(figsize=(5.6, 2.8), constrained_layout=True)
for name in spread["relu2_1"]:
    axis.plot(
        list(spread), [spread[layer][name] for layer in spread], "o-", label=name, lw=1
    )
axis.set(
    ylabel="spread of four results",
    yscale="log",
    title="Five photos: pixelwise standard deviation over four starts",
)
axis.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How far a few positions see
#
# Keep only the 5×5 positions in the middle of the code. What they bring back is as large as their receptive field
# together (lecture 01): first a patch, at last nearly the whole photo.

# %%
figure(
    "inversion_patch",
    "Above, the receptive field of 5×5 positions at four layers on the photo; below, what they give back",
)

# %%
encoder = load_encoder("mini")
rows = []
for layer in ("relu2_1", "relu3_1", "relu4_1", "relu5_1"):
    size, stride = encoder.receptive_field(layer)
    rows.append([layer, size, stride, size + 4 * stride])
table(rows, ["layer", "one position sees", "stride", "5×5 positions see"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Forgetting where
#
# Throw the positions away as well, and keep each channel's mean only. A picture with this code has the right things in
# it, in places of its own choosing, some of them several times. (Kitov's slides show the like with AlexNet's *full* code at
# layer 8: several flamingos come back where there was one, for so deep a code hardly holds places.)

# %%
figure(
    "inversion_pooled",
    "The lighthouse, and four pictures with the same mean features at relu2_1 to relu5_1: its materials, in no order",
)

# %% [markdown]
# A claim as code: the pooled code is the same for every order of the positions, so by itself it says nothing of places.

# %%
features = encoder(photo.to(encoder.device), "relu4_1")["relu4_1"]
shuffled = features.flatten(2)[
    ..., torch.randperm(features[0, 0].numel(), device=features.device)
].view_as(features)
pooled = Loss(
    lambda f, weights=None: f.mean((2, 3)), reconstruction_error, name="pooled"
)
print(
    f"error of the pooled code: {pooled(shuffled, features):.1e}, of the code itself: {code(shuffled, features):.2f}"
)
assert float(pooled(shuffled, features)) < 1e-9 < float(code(shuffled, features))

# %% [markdown]
# That is where this course is going. The content of a picture is a code *with* its places, the style of another one is
# something that has forgotten them: not only the means, as here, but also which features go together. That is lecture 03.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it

# %%
from styletx.widgets import Panel

panel = Panel("invert", image="china", layer="relu3_1", size=160, steps=80)
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# ```{exercise} An edge between two colours
# :label: inversion-beta
# Which exponent β keeps edges best? Invert `relu4_1` with β = 1, 2 and 4, each with a weight λ_β that makes the term
# equally large at the photo itself.
# ```
#
# ```{solution} inversion-beta
# :class: dropdown
# β = 1 gives flat patches with hard edges, as a cartoon; β = 4 smears edges and leaves fine noise alone.
#
#     for beta in (1.0, 2.0, 4.0):
#         weight = 0.05 / float(beta_variation(photo, beta=beta))
#         display(show(invert(photo, layer="relu4_1", size=128, steps=150, beta=beta, beta_weight=weight).finish(False)))
# ```
#
# ```{exercise} Start from another photo
# :label: inversion-start
# What comes back from `relu5_1` when the start is not noise but another photo? And from `relu2_1`?
# ```
#
# ```{solution} inversion-start
# :class: dropdown
# At `relu2_1` nothing is left of the start. At `relu5_1` its fine structure survives wherever the code does not object:
# the optimisation moves only what it has to.
#
#     from styletx import load, resize
#     other = resize(load("coffee"), tuple(photo.shape[-2:]))
#     for layer in ("relu2_1", "relu5_1"):
#         terms = Match(code, photo, layer), Energy(beta_variation, 5.0)
#         display(show(synthesize(Objective(*terms, relative=False), start=other, steps=150).finish(False)))
# ```
#
# ```{exercise} Jitter
# :label: inversion-jitter
# Neighbouring positions of a deep layer look at places many pixels apart, and an inversion can show that grid. Move the picture a little
# every few steps (`jitter=4`), as the authors do in their second paper. What happens to the grid, and to the error?
# ```
#
# ```{solution} inversion-jitter
# :class: dropdown
# The grid fades, since no pixel keeps one place relative to it; the error rises a little, because a picture that is moved
# has another code.
#
#     pictures = [invert(photo, layer="relu4_1", size=160, steps=200, jitter=j).finish(False) for j in (0, 4)]
#     show(*pictures, titles=["no jitter", "jitter of 4 pixels"])
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, authors' code, ours
#
# | | the paper (2015) | the authors' code (deep-goggle) | `invert()` |
# |---|---|---|---|
# | network | AlexNet, all layers | Caffe's reference network, layers 1 to 20 | `mini`; `encoder="alexnet", layer="relu3"` where its weights can be had |
# | pooling, padding | AlexNet's | the same | max, mirrored in `mini` |
# | error | ‖Φ(σx) − Φ₀‖² / ‖Φ₀‖², σ the mean norm of natural pictures | the same | the same without σ: pictures are in [0, 1] here, and encoders scale themselves |
# | R_α | sum of the 6th powers, mean subtracted, λ_α = 2.16·10⁸ for its scale | the same sum, over σ² | mean of (2x − 1)⁶, λ_α = 10⁻³ |
# | R_β | sum, β = 2 | β = 2; λ_β = 0.5, 5 or 50, growing with depth | mean, β = 2, one λ_β = 5 for all layers |
# | optimiser | gradient descent with momentum, rate lowered in stages | momentum 0.9, 400 steps, rate cut tenfold after 100 and 300 | L-BFGS, coarse to fine |
# | jitter | – (in later work) | none | `jitter=` |

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How it fails
#
# - *Uninterpretable noise*: no regulariser, or a weight too small for the layer (see the strip above).
# - *A flat, pale picture*: λ_β so large that being grey is cheaper than being right; the error says so, it stays high.
# - *A grid of dots*: the stride of the layer shows through. Jitter, or a little more total variation.
# - *A photo that has come back too well*: the optimisation did not start from noise. Then the start, not the code,
#   remembers.

# %%
flat = invert(photo, layer="relu4_1", size=160, steps=60, beta_weight=1e4).finish(
    progress=False
)
noisy = invert(
    photo, layer="relu5_1", size=160, steps=60, alpha_weight=0.0, beta_weight=0.0
).finish(progress=False)
show(flat, noisy, titles=["λ_β too large", "no regulariser"])

# %% [markdown]
# ## What to read next
#
# {cite:t}`zeiler2014visualizing` look into a network by running it backwards, without optimisation. What a
# layer remembers is also what the content loss of lecture 03 keeps {cite}`gatys2016image`, and what the perceptual loss of
# lecture 08 asks for {cite}`johnson2016perceptual`.
