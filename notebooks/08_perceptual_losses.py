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
# # 08 · Perceptual losses: a network that paints at once
#
# By the end of this lecture you will be able to
#
# - turn an optimisation over pictures into the training of a network, and write what it minimises;
# - paint a photograph in a tenth of a second, and say how many evaluations of an optimisation that is worth;
# - say what each part of the network is for, and show why its way up may leave a checkerboard;
# - watch a network learn a style, and train one for yourself;
# - enlarge a photograph with the same losses, and say why the better number is not the better picture.

# %% slideshow={"slide_type": "slide"}
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from styletx import (
    describe_device,
    enlarge,
    gatys,
    gatys_objective,
    load_encoder,
    load_or,
    resize,
    show,
    stylize,
    train_style,
)
from styletx.course.figures import CONTENT, STYLE, heat, pipeline, table
from styletx.course.gallery import figure, numbers
from styletx.images import luminance
from styletx.methods.stylize import STYLES, painter
from styletx.networks.transform_net import Convolution, TransformNet

torch.manual_seed(0)
print("this lecture runs on", describe_device())

# %% slideshow={"slide_type": "slide"}
figure(
    "networks",
    "Three photographs, each beside itself as Starry Night, The Great Wave and The Scream",
)

# %% [markdown]
# Each of these nine pictures took one pass through a network of 109 thousand numbers. Nothing was optimised for them: the
# networks had learnt their painting before they saw any of these photographs.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea: learn to do what the optimisation does
#
# Gatys et al. seek a picture for each photo anew, in hundreds of evaluations, and forget everything when they are done.
# {cite:t}`johnson2016perceptual` seek the weights $W$ of a network $f_W$ instead, once for each painting, over many
# photographs $x$:
#
# $$W^* = \arg\min_W \; \mathbf{E}_x \Big[\, \lambda_c\, {\color{#0b6e99}{\ell_{\text{feat}}^{\phi}\big(f_W(x),\, x\big)}}
# + \lambda_s\, {\color{#b5461b}{\ell_{\text{style}}^{\phi}\big(f_W(x),\, y_s\big)}}
# + \lambda_{TV}\, \ell_{TV}\big(f_W(x)\big) \Big] .$$
#
# The losses are those of lecture 03. What has changed is what is varied: not a picture, but the weights that make it.

# %%
photo = load_or("kodak-21", "china", size=384)
painting = load_or("starry-night", "waves", size=512)
painted = stylize(photo, style="starry-night", size=384)
pipeline(photo, painted, painting)

# %% [markdown]
# For style transfer, the content target $y_c$ is the input $x$ itself, and one network is trained for each painting $y_s$.
# The loss network $\phi$ is a trained one, VGG-16 in the paper, `mini` here, and stays as it is. The gradient goes through
# it into $f_W$.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The losses
#
# With $\phi_j(x)$ the features at layer $j$, of shape $C_j \times H_j \times W_j$:
#
# $$\ell_{\text{feat}}^{\phi, j}(\hat y, y) = \frac{1}{C_j H_j W_j} \big\|\phi_j(\hat y) - \phi_j(y)\big\|_2^2,
# \qquad
# \ell_{\text{style}}^{\phi, j}(\hat y, y) = \big\|G_j(\hat y) - G_j(y)\big\|_F^2,
# \qquad
# G_j(x)_{c,c'} = \frac{1}{C_j H_j W_j} \sum_{h,w} \phi_j(x)_{h,w,c}\, \phi_j(x)_{h,w,c'} .$$
#
# :::{admonition} Check the slide
# :class: warning
# "Perceptual loss" names two things. In one document of this course it is the whole objective,
# $L_P = \lambda_c L_c + \lambda_s L_s$; in the survey's table, and in the paper's own comparison with pixels, it is the
# feature loss $\ell_{\text{feat}}$ alone. Here: a perceptual loss is any loss that compares features instead of pixels.
# :::
#
# In the code it is the same objective as in lecture 03. Only the content is not a picture any more, but a name: that
# of what each batch brings.

# %%
encoder = load_encoder("mini")
small = resize(photo, 192).to(encoder.device)
size = tuple(small.shape[-2:])
for_a_picture = gatys_objective(small, painting, style_weight=20).at(size, encoder)
for_training = gatys_objective("content", painting, style_weight=20).at(size, encoder)

with torch.no_grad():
    made = painter("starry-night")(small)
    one = for_a_picture(made)
    other = for_training(made, {"content": small})
print({name: round(float(value), 4) for name, value in one.items()})
assert all(torch.allclose(one[name], other[name], rtol=1e-4) for name in one)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The network
#
# Down by four, five residual blocks, up again: most of the work is done at a sixteenth of the positions, and a 3×3 filter
# sees four times as far there. First and last filters are 9×9; all others 3×3. Every convolution but the last is
# followed by a normalisation and a ReLU; the last by a tanh, scaled to the range of a picture.

# %%
network, rows, x = TransformNet(width=32), [], torch.zeros(1, 3, 256, 256)
names = [
    "9×9",
    "3×3, stride 2",
    "3×3, stride 2",
    *["residual block"] * 5,
    "3×3, up",
    "3×3, up",
    "9×9, tanh",
]
with torch.no_grad():
    for name, part in zip(names, network.steps, strict=True):
        x = part(x)
        weights = sum(p.numel() for p in part.parameters())
        rows.append([name, "×".join(map(str, x.shape[1:])), weights])
total = sum(row[2] for row in rows)
rows.append(["together", "", total])
table(rows, ["layer", "its output, for 3×256×256", "parameters"])

# %% [markdown]
# 1.7 million at the paper's width of 32. The networks that come with this course are a quarter as wide, so they have about
# a sixteenth of that, and are 0.2 MB each.

# %%
slim = sum(p.numel() for p in painter("starry-night").parameters())
print(f"width 32: {total:,}, width 8: {slim:,}, {total / slim:.1f} times fewer")
assert total == 1_679_235 and slim == 108_771

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What the normalisation does
#
# The paper normalises over the batch. {cite:t}`ulyanov2016instance` found that it is better to normalise each picture
# alone: *instance normalisation*,
#
# $$\hat f_{c} = \gamma_c \frac{f_c - \mu_c(f)}{\sigma_c(f)} + \beta_c ,$$
#
# with mean and spread of channel $c$ over the positions of *this* picture. A painting's contrast has nothing to do with the
# photo's, so the network should not have to look at it. Take half of a photo's contrast away, and it paints the same:

# %%
net = painter("starry-night")
pale = 0.5 * photo + 0.3
with torch.no_grad():
    from_photo, from_pale = (net(one.to(encoder.device)).cpu() for one in (photo, pale))
difference = (from_photo - from_pale).abs().mean()
print(
    f"the photos differ by {(photo - pale).abs().mean():.3f}, the paintings by {difference:.4f}"
)
assert difference < 0.01
show(photo, pale, from_photo, from_pale,
     titles=["a photo", "half of its contrast", "painted", "painted"], columns=2)  # fmt: skip

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The way up, and a checkerboard
#
# The paper goes up with *transposed convolutions*: each input position stamps its 3×3 filter onto every second output
# position. The stamps overlap unevenly, so some pixels get four times as many as others {cite}`odena2016deconvolution`.
# Repeating each pixel and convolving afterwards treats all alike. Take filters of ones and a picture of ones, and count:

# %%
counts = {}
with torch.no_grad():
    for way in ("transposed", "nearest"):
        layer = Convolution(1, 1, 3, upsampling=way, norm="none")
        torch.nn.init.ones_(layer.filters.weight)
        torch.nn.init.zeros_(layer.filters.bias)
        counts[way] = layer(torch.ones(1, 1, 8, 8))[0, :, 3:-3, 3:-3]
print({way: sorted(set(count.flatten().tolist())) for way, count in counts.items()})
assert counts["transposed"].unique().tolist() == [1, 2, 4]
assert counts["nearest"].unique().tolist() == [9]
show(
    *(heat(count, 0, 9, size=(200, 200)) for count in counts.values()),
    titles=["transposed: 1, 2 or 4 stamps", "nearest: 9 everywhere"],
)

# %% [markdown]
# A network can learn weights that even this out, and long training does. Early on the pattern is plain to see:
# the same network, the same crops and the same 60 steps, twice.

# %%
crude = {}
for way in ("transposed", "nearest"):
    run = train_style(photo, painting, steps=60, size=256, upsampling=way, rate=8e-3)
    crude[way] = run.finish(progress=False)
detail = [
    F.interpolate(made[..., 40:104, 60:156], scale_factor=4) for made in crude.values()
]
show(*detail, titles=["transposed, 60 steps", "nearest, 60 steps"], columns=2)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What is one pass worth?
#
# The network and an optimisation minimise the same thing, so they can be compared by it. From noise, as in the paper,
# an optimisation at 256 pixels:

# %%
figure(
    "network_worth",
    "A lighthouse from noise after 20, 50 and 100 evaluations, and by the network",
)

# %%
judged = numbers("network_worth")
fig, axis = plt.subplots(figsize=(7, 3.2), constrained_layout=True)
for style, shade in zip(STYLES, (1.0, 0.7, 0.4), strict=True):
    curve, value = judged[style]["curve"], judged[style]["means"]["network"]
    evaluations = range(1, len(curve) + 1)
    axis.plot(
        evaluations, curve, color=CONTENT, alpha=shade, label=f"{style}, from noise"
    )
    axis.axhline(
        value, color=STYLE, alpha=shade, ls="--", label=f"{style}, the network"
    )
axis.set(yscale="log", xlim=(5, 100), ylim=(None, 10))
axis.set(xlabel="evaluations", ylabel="objective")
axis.legend(fontsize=8, ncols=3)
plt.close(fig)
fig

# %%
rows = []
for style in STYLES:
    means = judged[style]["means"]
    own, after = means["own photo"], means["optimised"]
    of = len(judged[style]["rows"])
    rows.append([style, means["network"], after["50"], after["100"], round(means["worth"]), f"{own} of {of}"])  # fmt: skip
header = ["network", "its objective", "50 evaluations", "100 evaluations", "it is worth", "nearest to its own photo"]  # fmt: skip
table(rows, header)

# %% [markdown]
# How the time compares, on this machine, at 384 pixels. The optimisation is stopped where the network already is:

# %%
start = time.perf_counter()
at_once = stylize(photo, style="starry-night", size=384)
once = time.perf_counter() - start

run = gatys(
    photo, painting, size=384, style_weight=20, start="noise", levels=1, steps=60
)
goal = sum(
    float(v)
    for v in gatys_objective(photo, painting, style_weight=20)
    .at(tuple(photo.shape[-2:]), encoder)(at_once.to(encoder.device))
    .values()
)
start = time.perf_counter()
for step in run:
    if step.loss <= goal:
        break
seconds = time.perf_counter() - start
print(
    f"one pass {once:.2f} s; {step.evaluations} evaluations {seconds:.1f} s: {seconds / once:.0f} times as long"
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A start for an optimisation
#
# The network is fast and rough, and an optimisation can go on where it stopped. (For a painting that a network has learnt,
# `start="stylize"` does both.)

# %%
first = resize(painted, 256)
refined, plain = (
    gatys(photo, painting, size=256, steps=25, start=start, levels=1, style_weight=20)
    for start in (first, "content")
)
pictures = [first, refined.finish(progress=False), plain.finish(progress=False)]
show(*pictures, titles=["the network", "25 evaluations from it", "25 from the photo"])

# %%
goals = {style: judged[style]["means"]["start"] for style in STYLES}
print(
    {
        style: f"{round(spent)} evaluations instead of 60"
        for style, spent in goals.items()
    }
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Watch it learn
#
# The whole training is a loop over crops of photographs: make $\hat y = f_W(x)$, compare, step. `train_style` shows after
# every few steps what the network makes of one photo. It begins with a grey blur, finds the colours within a hundred
# steps, and strokes within a thousand. With the photographs that lie here it learns a style in minutes, but has seen few
# photos; `out=` keeps the network in a file, for `stylize(photo, style="mine.safetensors")`.

# %%
from styletx.widgets import Panel

main = ("steps", "style_weight", "rate", "width")
panel = Panel(train_style, content="china", style="stained-glass", steps=120, size=224, rate=8e-3, main=main)  # fmt: skip
panel.run()
panel

# %% [markdown]
# The networks of this lecture took 6,000 steps of two crops each, 20 minutes on two cores; the paper's 40,000 steps of four
# crops of 256 pixels, four hours on a GPU. This is one of ours, and the paper's size for whoever has the machine:
#
# ```bash
# styletx train --style starry-night --photos FOLDER -o starry.safetensors --log runs/starry
# accelerate launch -m styletx.recipes.transform --style starry-night --photos FOLDER -o starry.safetensors \
#     --width 32 --side 256 --batch 4 --rate 1e-3 --steps 40000 --encoder vgg16 --workers 4
# ```
#
# Stopped or killed, it goes on from its last checkpoint, to the same weights.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The same losses, to enlarge
#
# Take a crop of a photo, make it smaller, and ask a network for the crop: $x$ is the small picture, $y_c$ the original, and
# there is no style. One network for each factor. What changes everything is the loss. With pixels,
# $\frac{1}{CHW}\|\hat y - y\|^2$, the best answer to "it could be this edge or that" is the mean of both, which is a blur.
# With features, an edge in the wrong place is better than none.

# %%
figure(
    "enlarged",
    "A face at a quarter of its side; bicubic; with the pixel loss; with the perceptual loss; the original",
)

# %%
measured = numbers("enlarged")
table(
    [[way, one["psnr"], one["features"]] for way, one in measured.items()],
    ["", "PSNR of the luminance, dB", "distance at VGG-19's relu2_1"],
)

# %% [markdown]
# The network with the pixel loss wins by PSNR, which is the pixel loss's own measure. The one with the perceptual loss is
# nearer to the original as another network sees it, one that it was not trained with, and it loses in PSNR. Both numbers are
# true.

# %%
original = load_or("kodak-23", "coffee", size=384)
height, width = (side // 4 for side in original.shape[-2:])
original = original[..., : 4 * height, : 4 * width]
quarter = resize(original, (height, width))
ways = {
    "bicubic": resize(quarter, (4 * height, 4 * width)),
    "pixel": enlarge(quarter, loss="pixel"),
    "perceptual": enlarge(quarter, loss="perceptual"),
}
for way, made in ways.items():
    error = (luminance(made) - luminance(original)).square().mean()
    print(f"{way:<11}{-10 * error.log10():.2f} dB")
part = (..., slice(40, 200), slice(80, 320))
show(*(made[part] for made in ways.values()), original[part],
     titles=[*ways, "the original"], columns=2)  # fmt: skip

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it

# %%
panel = Panel("stylize", content="china", style="great-wave", size=512)
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# ```{exercise} How large are its strokes?
# :label: net-size
# Paint one photo at 192, 384 and 768 pixels with the same network, and show the results at one size. What stays, what
# changes, and why? What does `gatys` do?
# ```
#
# ```{solution} net-size
# :class: dropdown
# The filters have a size in pixels, so the strokes do, too: on a larger picture they are finer. `gatys` resizes the painting
# with the photo, so that its strokes grow with the picture.
#
#     sizes = [resize(stylize(photo, size=side), 384) for side in (192, 384, 768)]
#     show(*sizes, titles=["192", "384", "768"])
# ```
#
# ```{exercise} Paint it twice
# :label: net-twice
# Give the network its own result. Does it paint more? Does it ever come to rest?
# ```
#
# ```{solution} net-twice
# :class: dropdown
# The style loss is low already, so nothing in the training asked for a fixed point: content goes on dissolving.
#
#     made, rows = photo, []
#     for _ in range(4):
#         made = stylize(made, style="great-wave", size=384)
#         rows.append(made)
#     show(*rows, columns=2)
# ```
#
# ```{exercise} How much is enough?
# :label: net-weight
# Train with `style_weight` 2, 20 and 200, with 150 steps each, and print the terms at the end. Which of them goes up, and
# which down? Why can they not all go down?
# ```
#
# ```{solution} net-weight
# :class: dropdown
#     for weight in (2, 20, 200):
#         for step in train_style(photo, painting, steps=150, style_weight=weight):
#             pass
#         losses = step.losses
#         print(weight, {"content": losses["content"], "style per weight": losses["style"] / weight})
#
# With more weight on the style its term falls and the content's rises: a network of this size cannot serve both, and the
# objective says what it is to give up.
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, authors' code, ours
#
# | | Johnson et al. 2016 | their code | here |
# |---|---|---|---|
# | loss network | VGG-16 | the same, with Caffe's weights | `mini`; `vgg16` and others by name |
# | content | relu2_2 | relu3_3 | relu3_1 and relu4_2, as in `gatys` |
# | style | Gram at relu1_2, 2_2, 3_3, 4_3 | the same | Gram at relu1_1 … relu5_1; covariances at relu4_1, relu5_1 |
# | weights | raw | raw, set by hand for each painting | relative; 20 for the style |
# | normalisation | batch | instance; batch by an option | instance; both by name |
# | way up | transposed convolution | the same, or nearest (`U`) | nearest; both by name |
# | against grain | total variation | and a 3×3 median filter over the result | total variation |
# | padding | 40 pixels mirrored once, none in the blocks | the same; four others by an option | each convolution mirrors its border |
# | optimiser | Adam, 10⁻³, 40,000 steps of 4 | the same | SOAP, 4·10⁻³ up and down, 6,000 steps of 2 |
# | photographs | MS COCO, 80,000 at 256 | the same | Caltech-101, 4,000, crops of 176 |
# | enlarging | 9×9, 4 residual blocks, width 64, batch norm, loss at relu2_2 | – | width 24, no norm, added to bicubic; relu2_1 |
#
# ## How it fails
#
# - *A grid, or a crosshatch in dark and even parts*: too few steps, or transposed convolutions.
# - *The same blotches in every sky*: where a photo has nothing, the network paints what it has learnt by heart.
# - *Brown fog*: too little style weight, and a network that has learnt colours and no strokes.
# - *The photo is gone*: too much of it. There is no slider afterwards; it was decided in the training.
# - *Another painting needs another network*, and another training. Lecture 10 needs none, and one network can learn
#   many paintings.
#
# ## What to read next
#
# The paper {cite}`johnson2016perceptual`; {cite:t}`ulyanov2016texture`, who had the same idea in the same spring; and
# {cite:t}`odena2016deconvolution`, an article whose figures move.
