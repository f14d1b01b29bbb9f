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
# # 08 · Perceptual losses: a network that paints in one pass
#
# By the end of this lecture you will be able to
#
# - turn an optimisation over pictures into the training of a network, and write what it minimises;
# - paint a photograph in a tenth of a second, and say how many evaluations of an optimisation that is worth;
# - say what each part of the network is for, and show why its upsampling may leave a checkerboard;
# - watch a network learn a style, and train one for yourself;
# - enlarge a photograph with a pixel loss and with a perceptual one, and say which of them wins by which measure.

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
    synthesize,
    train_style,
)
from styletx.course.figures import CONTENT, STYLE, heat, pipeline, table
from styletx.course.gallery import figure, numbers
from styletx.images import luminance, noise_like
from styletx.methods.painters import ALONE, painter
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
# {cite:t}`johnson2016perceptual` seek the weights $W$ of a network $f_W$ instead, once for each painting $y_s$, over many
# photographs $x$. With $\hat y = f_W(x)$:
#
# $$W^* = \arg\min_W \; \mathbf{E}_x \Big[\, \lambda_c\, {\color{#0b6e99}{\ell_{\text{feat}}(\hat y,\, x)}}
# + \lambda_s\, {\color{#b5461b}{\ell_{\text{style}}(\hat y,\, y_s)}}
# + \lambda_{TV}\, \ell_{TV}(\hat y) \Big] .$$
#
# $\mathbf{E}_x$ is the mean over photographs. The terms are those of lecture 03, content, style and total variation, and the
# $\lambda$ are its $\alpha$, $\beta$ and $\gamma$: 1, 8 and 0.1 here (with 50, `gatys`' own, too little of the photo is
# left). What has changed is what is varied: not a picture, but the weights that make it.
#
# | | an optimisation | a network |
# |---|---|---|
# | before the first picture | nothing | a training, for one painting or a few |
# | each picture | seconds to minutes | a tenth of a second |
# | the picture | as good as the loss | usually not as good |

# %%
photo = load_or("kodak-21", "china", size=384)
painting = load_or("starry-night", "waves", size=512)
painted = stylize(photo, style="starry-night", size=384)
pipeline(photo, painted, painting)

# %% [markdown]
# For style transfer, the content target $y_c$ is the input $x$ itself, and one network is trained for each painting $y_s$.
# The loss network $\phi$ is a pretrained one, VGG-16 in the paper, `mini` here, and stays fixed. The gradient goes through
# it into $f_W$.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The losses
#
# With $\phi_j(x)$ the features at layer $j$, of shape $C_j \times H_j \times W_j$, and summed over the chosen layers:
#
# $$\ell_{\text{feat}}^{j}(\hat y, y) = \frac{1}{C_j H_j W_j} \big\|\phi_j(\hat y) - \phi_j(y)\big\|_2^2,
# \qquad
# \ell_{\text{style}}^{j}(\hat y, y) = \big\|G_j(\hat y) - G_j(y)\big\|_F^2,$$
#
# $$G_j(x)_{c,c'} = \frac{1}{C_j H_j W_j} \sum_{h,w} \phi_j(x)_{c,h,w}\, \phi_j(x)_{c',h,w} .$$
#
# :::{admonition} Check the slide
# :class: warning
# "Perceptual loss" names several things. Ayala and Wolters call the whole objective $L_P = \lambda_c L_c + \lambda_s L_s$
# so; the table of losses on Larson's slides means the content loss. Johnson et al. define two perceptual losses,
# $\ell_{\text{feat}}$ and $\ell_{\text{style}}$, and use the first alone to enlarge. Here, as there: a perceptual loss is
# any loss that compares features instead of pixels.
# :::
#
# In the code it is lecture 03's objective, relative weights included. The content is no longer a picture but the *name* of
# the batch entry that brings it. (A training takes the denominators of its first 32 crops, an optimisation those of its own
# photo; with one photo, they are the same.)

# %%
encoder = load_encoder("mini")
small = resize(photo, 192).to(encoder.device)
size = tuple(small.shape[-2:])
for_a_picture = gatys_objective(small, painting, style_weight=8).at(size, encoder)
for_training = gatys_objective("content", painting, style_weight=8).at(size, encoder)

with torch.no_grad():
    made = painter("starry-night")(small)
    one = for_a_picture(made)
    other = for_training(made, {"content": small})
print({name: round(float(value), 4) for name, value in one.items()})
assert all(torch.allclose(one[name], other[name], rtol=1e-4) for name in one)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The network
#
# Two convolutions of stride 2 shrink the sides by four, five residual blocks follow, and two upsampling layers enlarge them
# again: most of the work is done at a sixteenth of the positions, where a 3×3 filter sees four times as far. A *residual
# block* gives $\mathbf{f} + g(\mathbf{f})$, with $g$ two convolutions: it has to learn only what shall change, and the photo
# passes through. The first and the last filters are 9×9, all others 3×3. Every convolution outside the blocks is followed
# by a normalisation and a ReLU, except the last, whose tanh is scaled to the range of a picture; in a block each is followed
# by a normalisation, and only the first also by a ReLU.

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
# The paper normalises each channel by its mean and standard deviation over all pictures of a batch (*batch normalisation*).
# {cite:t}`ulyanov2016instance` found that it is better to normalise each picture alone: *instance normalisation*,
#
# $$\hat f_{c} = a_c\, \frac{f_c - \mu_c(f)}{\sigma_c(f)} + b_c ,$$
#
# with mean $\mu_c$ and standard deviation $\sigma_c$ of channel $c$ over the positions of *this* picture, and $a_c$, $b_c$
# learnt. The result's contrast should be the painting's, whatever the photo's was. Scale and shift a photo,
# $x \mapsto 0.5x + 0.3$: every channel of the first convolution is scaled and shifted, too, and subtracting the mean and
# dividing by the spread undo it, but for the small $\varepsilon$ in the division. So this holds for any weights, before any
# training; batch normalisation, which uses stored means when it is not trained, does not do it.

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
# ## Upsampling, and a checkerboard
#
# The paper enlarges with *transposed convolutions*: each input position stamps its 3×3 filter, times its value, onto the
# output, and neighbouring stamps are two pixels apart. They overlap unevenly, because 3 is no multiple of 2: some pixels get
# four times as many stamps as others {cite}`odena2016deconvolution`. Repeating each pixel and convolving afterwards treats
# all alike. Take filters of ones and a picture of ones, and count:

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
# A network could learn weights that even this out, but seldom does so completely. Filters of 4×4 with stride 2 would overlap
# evenly. Early in a training the pattern is plainest: the same crops and the same 60 steps, twice, and a detail of both.

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
# The training minimises, on average over crops, what an optimisation minimises for one photo, so the two can be compared by
# it. From noise, as in the paper, an optimisation at 256 pixels, with the objective of each picture:

# %%
figure(
    "network_worth",
    "A lighthouse from noise after 20, 50 and 100 evaluations, and by the network",
)

# %%
judged = numbers("network_worth")
fig, axis = plt.subplots(figsize=(7, 3.2), constrained_layout=True)
for style, shade in zip(ALONE, (1.0, 0.7, 0.4), strict=True):
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
for style in ALONE:
    means = judged[style]["means"]
    own, after = means["own photo"], means["optimised"]
    of = len(judged[style]["rows"])
    rows.append([style, means["network"], after["50"], after["100"], round(means["worth"]), f"{own} of {of}"])  # fmt: skip
header = ["network", "its objective", "50 evaluations", "100 evaluations", "one pass is worth", "own photo"]  # fmt: skip
table(rows, header)

# %% [markdown]
# Means over six photographs. *Worth*: after how many evaluations the optimisation is as low as one pass. *Own photo*: for how
# many results the nearest of twelve photographs, by its edges, is the one that was painted. One pass is worth about forty
# evaluations; Johnson et al. say 50 to 100 iterations for theirs, which is wider, and has learnt longer.
#
# But look at the pictures. After 100 evaluations from noise the number is lower, and the picture is worse: a few wide strokes,
# and noise that the losses hardly see. A network cannot paint noise that fits each photo; it has to paint what fits all. An
# objective compares pictures of one kind, and is no judge across kinds.
#
#
# How the time compares, on this machine. The optimisation is stopped where the network already is:

# %%
x = resize(photo, 256).to(encoder.device)
objective = gatys_objective(x, painting, style_weight=8)
with torch.no_grad():
    net(x)  # once for nothing: the first pass of all is slower
    start = time.perf_counter()
    at_once = net(x)
    once = time.perf_counter() - start
    terms = objective.at(tuple(x.shape[-2:]), encoder)(at_once)
goal = sum(float(value) for value in terms.values())

start = time.perf_counter()
for step in synthesize(objective, encoder, start=noise_like(x, 0), steps=200, levels=1):
    if step.loss <= goal:
        break
seconds = time.perf_counter() - start
print(f"one pass {once:.3f} s; {step.evaluations} evaluations {seconds:.1f} s, "
      f"{seconds / once:.0f} times as long")  # fmt: skip

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A start for an optimisation
#
# The network is fast and rough, and an optimisation can go on where it stopped (`start="stylize"` does both).

# %%
first = resize(painted, 256)
refined, plain = (
    gatys(photo, painting, size=256, steps=25, start=start, levels=1, style_weight=8)
    for start in (first, "content")
)
pictures = [first, refined.finish(progress=False), plain.finish(progress=False)]
show(*pictures, titles=["the network", "25 evaluations from it", "25 from the photo"])

# %% [markdown]
# How many evaluations does an optimisation from the network's picture need to be as low as 60 from the photo? (Means over six
# photographs at 256 pixels; 60 where it never is.)

# %%
needed = {style: judged[style]["means"]["start"] for style in ALONE}
print({style: round(spent) for style, spent in needed.items()})

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Watch it learn
#
# The whole training is a loop over crops of photographs: make $\hat y = f_W(x)$, compare, step. `train_style` shows every few
# steps what the network makes of one photo. In the 160 steps of this page it finds colours and large patterns; strokes come
# within a thousand, a few minutes on two cores: set *steps*, and run it. With the photographs that come with the package it
# learns a style, but has seen few photos; `out=` keeps the network in a file, for `stylize(photo, style="mine.safetensors")`.

# %%
from styletx.widgets import Panel

main = ("steps", "style_weight", "rate", "width")
panel = Panel(
    train_style, content="china", style="waves", steps=160, size=224, main=main
)
panel.run()
panel

# %% [markdown]
# The networks that come with this course took 6,000 steps of two crops each, 20 minutes on two cores; the paper's 40,000 steps
# of four photos, each resized to 256×256, four hours on a GPU. The first command makes one as ours are made (FOLDER holds a
# few thousand photographs, and `pip install "styletx-course[train]"` brings the optimiser); the second has the paper's size
# and loss network, for whoever has the machine:
#
# ```bash
# styletx train --style starry-night --photos FOLDER -o starry.safetensors --optimizer soap
# accelerate launch -m styletx.recipes.transform --style starry-night --photos FOLDER -o starry.safetensors \
#     --width 32 --norm batch --upsampling transposed --side 256 --batch 4 --rate 1e-3 --steps 40000 --encoder vgg16
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
    [
        [way, measured[way]["psnr"], measured[way]["features"]]
        for way in ("bicubic", "pixel", "perceptual")
    ],
    ["", "PSNR of the luminance, dB", "distance at VGG-19's relu2_1"],
)

# %% [markdown]
# Each wins by the measure that is nearest to its own loss. PSNR *is* the pixel loss, in decibels. VGG-19 has trained neither
# of them, but it was the teacher of `mini`, which was the loss network: a related judge, not an independent one. What the
# perceptual loss sharpens it also covers with a fine grid, as the paper says of its own: the features do not mind.

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
# Paint one large photo at 192, 384 and 768 pixels with the same network, and show the results at one size. What stays, what
# changes, and why? What does `gatys` do?
# ```
#
# ```{solution} net-size
# :class: dropdown
# The filters have a size in pixels, so the strokes do, too: colours and the strokes' width in pixels stay, and in a larger
# picture strokes are finer. `gatys` resizes the painting with the photo, so that its strokes grow with the picture.
#
#     large = load_or("kodak-21", "china")
#     sizes = [resize(stylize(large, style="starry-night", size=side), 384) for side in (192, 384, 768)]
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
# The style was reached with the first pass, but nothing in the training asked that $f_W(f_W(x)) = f_W(x)$, and the network
# has never seen a painted picture. Each pass takes the last result for its content, so the photo goes on dissolving.
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
# Train with `style_weight` 1, 8 and 80, with 150 steps each, and compare what the three networks make of one photo: content,
# and style divided by its weight. As the weight grows, which of them falls, and which rises? Why do not both fall?
# ```
#
# ```{solution} net-weight
# :class: dropdown
#     for weight in (1, 8, 80):
#         made = train_style(x, painting, steps=150, size=256, style_weight=weight).finish()
#         terms = objective.at(tuple(x.shape[-2:]), encoder)(made.to(encoder.device))
#         print(weight, {name: round(float(terms[name]), 3) for name in ("content", "style")})
#
# The style's term falls and the content's rises. No picture has both the photo's features and the painting's Gram matrices;
# the weight chooses a point between them, for a network as for an optimisation (lecture 03).
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, authors' code, ours
#
# | | Johnson et al. 2016 | their code | here |
# |---|---|---|---|
# | loss network | VGG-16 | the same, with Caffe's weights | `mini`; `vgg16` and others by name |
# | content | relu2_2 in the text, relu3_3 in its figure 2 | relu3_3 | relu3_1 and relu4_2, as in `gatys` |
# | style | Gram at relu1_2, 2_2, 3_3, 4_3 | the same | Gram at relu1_1 … relu5_1; covariances at relu4_1, relu5_1 |
# | Gram distance | squared Frobenius norm | its mean over entries | relative to the painting's own |
# | width | 32 | 32 | 8 |
# | weights | raw | raw, set by hand for each painting | relative; 8 for the style |
# | normalisation | batch | instance; batch by an option | instance; both by name |
# | way up | transposed convolution | the same, or nearest (`U`) | nearest; both by name |
# | against grain | total variation | and a 3×3 median filter over the result | total variation |
# | padding | 40 pixels mirrored once, none in the blocks | the same; four others by an option | each convolution mirrors its border |
# | optimiser | Adam, 10⁻³, 40,000 steps of 4 | the same | SOAP, 4·10⁻³ up and down, 6,000 steps of 2 |
# | photographs | MS COCO, 80,000 resized to 256×256 | the same | Caltech-101, 4,000, crops of 176 |
# | enlarging | 9×9, 4 residual blocks, width 64, batch norm, loss at relu2_2 | an option of the training | width 24, no norm, added to bicubic; relu1_2 and relu2_1, begun with the pixel loss's weights |
#
# ## How it fails
#
# - *A grid, or a crosshatch in dark and even parts*: too few steps, or transposed convolutions.
# - *The same blotches in every sky*: where a photo has nothing, the network paints what it has learnt by heart.
# - *Brown fog*: too little style weight, and a network that has learnt colours and no strokes.
# - *The photo is gone*: too much style weight. It was fixed in the training, and there is no slider afterwards.
# - *Another painting needs another network*, and another training. Lecture 10 needs none, and one network can learn
#   many paintings.
#
# ## What to read next
#
# The paper {cite}`johnson2016perceptual`; {cite:t}`ulyanov2016texture`, who had the same idea in the same spring, with a
# network that works at several scales and also takes noise; and {cite:t}`odena2016deconvolution`, an article whose
# figures move.
