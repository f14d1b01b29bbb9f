# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # 01 · What a convolutional network sees
#
# Neural style transfer compares pictures not by their pixels but by what a network makes of them: maps of edges and
# colours in the first layers, of textures in the middle, of larger structure further in. This lecture takes such a
# network apart, from nine multiplications done by hand to a layer that sees a third of the picture at once.

# %% [markdown]
# **After this lecture you can**
#
# - compute a convolution by hand, and say how it differs from what `conv2d` computes;
# - read filters and feature maps, and tell `conv4_2` from `relu4_2`;
# - compute how far a layer sees, and confirm it with a gradient;
# - rescale a network so that its layers can be compared, without changing what it computes;
# - sort the inner pictures of a network by their depth.

# %%
import copy

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.patches import Rectangle

from styletx import images, load, load_encoder, show
from styletx.course.figures import heat, number_grids, table
from styletx.course.quizzes import check_word
from styletx.encoders import NORMALISATION_PHOTOS
from styletx.methods.gatys import STYLE_LAYERS

plt.rcParams["figure.dpi"] = 130

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A convolution by hand
#
# A filter $w$ of $3 \times 3$ numbers slides over the picture $x$. At each place the nine numbers under it
# are multiplied with the filter's, one by one, and added up:
#
# $$
# (x \star w)_{i,j} \;=\; \sum_{a=0}^{2} \sum_{b=0}^{2} w_{a,b}\; x_{i+a,\,j+b} .
# $$

# %%
x = [
    [1, 1, 1, 7, 8],
    [1, 0, 2, 8, 8],
    [0, 1, 1, 8, 9],
    [1, 1, 8, 8, 8],
    [2, 8, 8, 9, 8],
]
w = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
x, w = torch.tensor(x).float(), torch.tensor(w).float()


def correlate(x, w):
    height, width = x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1
    y = torch.zeros(height, width)
    for i in range(height):
        for j in range(width):
            y[i, j] = (x[i : i + w.shape[0], j : j + w.shape[1]] * w).sum()
    return y


y = correlate(x, w)

# %% slideshow={"slide_type": "-"}
number_grids(
    x,
    w,
    y,
    titles=["picture $x$", "filter $w$", r"$x \star w$"],
    signs=[r"$\star$", "="],
    marks=[(0, 0, 1, 3, 3, "black"), (2, 0, 1, 1, 1, "black")],
)

# %% [markdown]
# The nine numbers in the frame give the one number in the frame, row by row
# $(-1+1) + (-2+4) + (0+1) = 3$. This filter compares right with left: the
# result is large where the picture becomes brighter from left to right, and 0 where nothing changes. The
# claim: it is what PyTorch computes.

# %%
theirs = F.conv2d(x[None, None], w[None, None])[0, 0]
print(f"largest difference from F.conv2d: {(y - theirs).abs().max():g}")
assert torch.equal(y, theirs)

# %% [markdown]
# :::{admonition} Check the name
# :class: important
#
# In mathematics a *convolution* turns the filter by 180° first: $(x * w)_{i,j} = \sum_{a,b} w_{a,b}\,
# x_{i-a,\,j-b}$. What networks compute, and what `conv2d` and this course call convolution, is a
# *cross-correlation*. Since the filter is learnt, a network does not care. Whoever sets a filter by hand
# should.
# :::

# %%
from scipy.signal import convolve2d

true_convolution = torch.from_numpy(convolve2d(x.numpy(), w.numpy(), mode="valid"))
assert torch.equal(true_convolution, correlate(x, w.flip(0, 1)))
print(
    "convolution = cross-correlation with the filter turned by 180°; for this filter the sign changes:"
)
print(
    "largest |convolution + cross-correlation|:",
    (true_convolution + y).abs().max().item(),
)

# %% [markdown]
# From $5 \times 5$ numbers $3 \times 3$ are left, because the filter has to fit in. With $p$ more pixels on
# each side (*padding*), a filter of $k$ pixels and steps of $s$ pixels (*stride*), $n$ pixels become $\lfloor
# (n + 2p - k)/s \rfloor + 1$.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## An edge filter on a photograph
#
# The same filter and its transpose, divided by 8 so that a ramp of one grey level per pixel gives 1. Red is
# brighter towards the right (or the bottom), blue darker.

# %%
photo = load("china", size=320)
grey = F.pad(images.luminance(photo), (1, 1, 1, 1), mode="reflect")
across, down = F.conv2d(grey, torch.stack([w, w.T])[:, None] / 8)[0]
strength = (across**2 + down**2).sqrt()
edges = heat(torch.stack([across, down]), -0.2, 0.2, colours="RdBu_r")
show(
    photo,
    edges,
    heat(strength[None], 0, 0.2),
    height=1.7,
    columns=4,
    titles=["photograph", "left to right", "top to bottom", "strength of the edge"],
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A layer
#
# A layer has many filters, and each looks at all channels of the layer before. With $N_{l-1}$ channels coming
# in, filter $i$ of layer $l$ gives
#
# $$
# F^l_{i}(u) \;=\; \max\Bigl(0,\; b_i + \sum_{c=1}^{N_{l-1}} \sum_{q} w_{ic}(q)\, F^{l-1}_c(u + q)\Bigr),
# $$
#
# where $u$ is a position, $q$ runs over the $3 \times 3$ places of the filter, and $\max(0, \cdot)$ is the
# *ReLU*. $F^0$ is the picture with three channels, less a mean and divided by a deviation (0.45 and 0.25 for `mini`).
# Our encoder `mini` has the layout of VGG-19 {cite:p}`simonyan2015very` at a fifth to a half of its width: blocks of such layers, with a halving of the
# picture (*pooling*) between the blocks. It began as a small copy of VGG-19 {cite:p}`wang2020collaborative`, which it
# still follows at `relu4_1` and `relu5_1`, and was trained until the gradients of its losses pointed where VGG-19's do at
# `relu1_1`, `relu2_1` and `relu3_1`; it lies in the package.

# %%
encoder = load_encoder(
    "mini", normalised=True, device="cpu"
)  # small pictures: the CPU is enough
rows = [
    [name, tuple(step.weight.shape)]
    for name, step in encoder.steps.items()
    if name.startswith("conv")
]
table(rows, ["layer", "weights: filters, channels in, height, width"])

# %% [markdown]
# ### The first layer's filters are small pictures
#
# A filter of the first layer has three channels: it can be drawn in colour. Grey is zero. Below each filter
# is what it makes of the photograph: bright where the picture resembles the filter.

# %%
filters = encoder.steps["conv1_1"].weight
maps = encoder(photo, "relu1_1")["relu1_1"][0]
chosen = maps.clamp(max=9).sqrt().std((1, 2)).topk(6).indices
colours = 0.5 + 0.5 * filters[chosen] / filters[chosen].abs().amax(
    (1, 2, 3), keepdim=True
)
patches = F.interpolate(colours, size=(120, 120), mode="nearest")
show(patches, heat(maps[chosen], 0, 9, gamma=0.5), columns=6, height=1.1)

# %% [markdown]
# Some filters are edges in one direction, some compare two colours, some pass brightness on. Networks with
# larger first filters, such as AlexNet with its $11 \times 11$ {cite:p}`krizhevsky2012imagenet`, show this
# more clearly; nine pixels cannot say much more than "edge" and "colour".

# %% [markdown] slideshow={"slide_type": "slide"}
# ## One scale for all layers
#
# Filters differ in size by accident. {cite:t}`gatys2016image` therefore rescale the network so that *the mean
# activation of every filter, over pictures and positions, is 1*, and note that this can be done for VGG
# without changing its output, the scores of the classes: the next layer takes the factors out again. Here is
# why. ReLU and maximum have, for every $\lambda > 0$,
#
# $$
# \max(0, \lambda z) = \lambda \max(0, z), \qquad \max(\lambda z_1, \lambda z_2) = \lambda \max(z_1, z_2),
# $$
#
# and so does the mean. Let $m_c$ be the mean activations of the layer before and $m_i$ those of this one,
# both measured in the old network ($m_c = 1$ for the picture). The new channels that come in are $F_c / m_c$. Take
#
# $$
# w_{ic} \leftarrow w_{ic}\, \frac{m_c}{m_i}, \qquad b_i \leftarrow \frac{b_i}{m_i}:
# $$
#
# the sum becomes $1/m_i$ times the old one, the ReLU lets the factor pass, and the channel that goes out is
# $F_i / m_i$, with mean 1. Each channel has got one positive factor, and nothing else has happened.
#
# Both halves of the claim: the means on the six photographs that `normalised=True` uses, the factors on one.

# %%
photos = [load(name, size=256) for name in NORMALISATION_PHOTOS]
views = [encoder(photo, STYLE_LAYERS) for photo in photos]


def live(layer):
    return [
        c
        for c in range(encoder.channels(layer))
        if c not in encoder.dead.get(layer, [])
    ]


for layer in STYLE_LAYERS:
    means = torch.cat([view[layer].flatten(2) for view in views], dim=2).mean((0, 2))[
        live(layer)
    ]
    print(f"{layer}: mean activations from {means.min():.4f} to {means.max():.4f}")
    assert (means - 1).abs().max() < 1e-3

# %%
plain = load_encoder("mini", device="cpu")
for layer in ("relu3_1", "relu5_1"):
    before, after = (e(photo, layer)[layer][0, live(layer)] for e in (plain, encoder))
    factors = after.amax((1, 2)) / before.amax((1, 2)).clamp(min=1e-12)
    error = (before * factors[:, None, None] - after).abs().max() / after.max()
    print(
        f"{layer}: one positive factor for each channel explains all but {error:.1e} of the largest value"
    )
    assert error < 1e-3

# %% [markdown]
# A filter that never answers has no mean to divide by. It keeps its scale, and `encoder.dead` lists it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Feature maps, deeper and deeper
#
# Since every filter now has mean 1, one colour scale serves for all: black is 0, the brightest is nine times
# the mean, and the square root is drawn, so that small values are not lost. From each layer you see four
# channels with much contrast. Each value is a square as large as the layer's step in the photograph.


# %%
def most_contrast(maps, count, every=1):
    """Channels of (C, h, w) that vary most, as drawn; `every`: only every so many-th of that ranking."""
    return (
        maps.clamp(max=9)
        .sqrt()
        .std((1, 2))
        .argsort(descending=True)[: count * every : every]
    )


def glow(maps):
    """Maps (C, h, w) as pictures of the photograph's size, on the one scale."""
    return heat(maps, 0, 9, size=photo.shape[-2:], gamma=0.5)


seen = encoder(photo, STYLE_LAYERS)
columns = []
for layer in STYLE_LAYERS:
    maps = seen[layer][0, most_contrast(seen[layer][0], 4, every=2)]
    columns.append(
        torch.cat([F.pad(one, (0, 0, 0, 5), value=1.0) for one in glow(maps)], dim=1)[
            None
        ]
    )
show(*columns, titles=list(STYLE_LAYERS), height=5.4)

# %% [markdown]
# From left to right the maps lose position and gain meaning: first edges and colours, pixel by pixel; then
# repeated marks, such as tiles and leaves; in the end a few large regions. Two things happen at once. Each
# pooling halves the map, and each convolution lets a position see further.
#
# Look at other channels yourself (in a notebook; the page shows one of them):

# %%
import base64

import ipywidgets as widgets

pick_layer = widgets.Dropdown(
    options=STYLE_LAYERS, value="relu3_1", description="layer"
)
pick_channel = widgets.IntSlider(
    3, 0, encoder.channels("relu3_1") - 1, description="channel"
)
screen = widgets.HTML()


def look(change=None):
    pick_channel.max = encoder.channels(pick_layer.value) - 1
    channel = pick_channel.value
    data = base64.b64encode(
        images.to_png(glow(seen[pick_layer.value][0, [channel]]))
    ).decode()
    text = f"channel {channel} of {pick_layer.value}"
    screen.value = f'<img src="data:image/png;base64,{data}" alt="{text}" width="480">'


for control in (pick_layer, pick_channel):
    control.observe(look, "value")
look()
widgets.VBox([pick_layer, pick_channel, screen])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Before and after the ReLU
#
# In this course `conv4_2` is the value before the ReLU and `relu4_2` the one after it.

# %%
both = encoder(photo, ["conv4_2", "relu4_2"])
before, after = both["conv4_2"].flatten(), both["relu4_2"].flatten()
print(f"{(after == 0).float().mean():.0%} of relu4_2 is exactly zero")
assert torch.equal(after, before.clamp(min=0))

# %%
figure, axis = plt.subplots(figsize=(6.4, 2.3), layout="constrained")
edges = torch.linspace(-6, 6, 97).tolist()
axis.hist(before.tolist(), edges, color="0.75", label="conv4_2, below zero: lost")
axis.hist(after[after > 0].tolist(), edges, color="0.25", label="relu4_2")
axis.set(xlabel="value", yticks=[], xlim=(-6, 6))
axis.spines[["top", "left", "right"]].set_visible(False)
_ = axis.legend(frameon=False)

# %% [markdown]
# :::{admonition} Check the slide: which "conv4_2"?
# :class: important
#
# Wonka's notes take "conv4_2" for the content loss, as the paper does {cite:p}`gatys2016image`. Both mean
# the value *after* the ReLU: the authors worked with Caffe, where the ReLU overwrites its input, so that
# whoever reads conv4_2 finds relu4_2. (Their Eq. 2 gives it away: a gradient that is 0 where the feature is not positive is the one
# with respect to the ReLU's input.) Where this
# course quotes a paper's "conv4_2", the code says `relu4_2`.
# :::

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Pooling: the largest or the mean
#
# Between the blocks, $2 \times 2$ values become one: their maximum in VGG, their mean if you ask for
# `pooling="avg"`. {cite:t}`gatys2016image` found the mean "slightly more appealing" for making pictures. The
# maximum keeps the strongest answer and forgets where in the square it was; its gradient reaches one pixel in
# four. The mean blurs, and its gradient reaches all.

# %%
maps = encoder(photo, "relu2_1")["relu2_1"]
maps = maps[:, most_contrast(maps[0], 1), 20:80, 40:130]
largest, mean = F.max_pool2d(maps, 2), F.avg_pool2d(maps, 2)
assert (largest >= mean).all() and torch.allclose(
    F.max_pool2d(3 * maps, 2), 3 * largest
)
pictures = [heat(m[0], 0, 9, size=(240, 360), gamma=0.5) for m in (maps, largest, mean)]
show(
    *pictures,
    titles=["a part of relu2_1", "maximum of 2 × 2", "mean of 2 × 2"],
    height=1.9,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How far a layer sees
#
# One value of `relu1_1` depends on $3 \times 3$ pixels. Deeper values depend on more: on their *receptive
# field*. Walk from the picture inwards. Let $r_l$ be the field's width in pixels and $j_l$ the distance, in
# pixels, between what two neighbours of layer $l$ look at (the *jump*). A layer with filters of $k_l$ and
# stride $s_l$ looks at $k_l$ neighbours of the layer before, the first and the last of them $k_l - 1$ jumps apart:
#
# $$
# r_l = r_{l-1} + (k_l - 1)\, j_{l-1}, \qquad j_l = s_l\, j_{l-1}, \qquad r_0 = j_0 = 1 .
# $$
#
# (Derived with all its special cases by Araujo, Norris and Sim, [Computing Receptive Fields of Convolutional
# Neural Networks](https://doi.org/10.23915/distill.00021), Distill 2019.)

# %%
GEOMETRY = {
    "conv": (3, 1),
    "relu": (1, 1),
    "pool": (2, 2),
}  # kernel and stride in VGG's layout


def receptive_field(layer):
    size, jump = 1, 1
    for name in encoder.layers[1 : encoder.layers.index(layer) + 1]:
        kernel, stride = GEOMETRY[name[:4]]
        size, jump = size + (kernel - 1) * jump, jump * stride
    return size, jump


shown = [name for name in encoder.layers if name[:4] in ("relu", "pool")]
vgg = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}
rows = [
    [name, *receptive_field(name), encoder.channels(name), vgg[name[4]]]
    for name in shown
]
table(
    rows, ["layer", "field (pixels)", "jump (pixels)", "channels in mini", "in VGG-19"]
)

# %% [markdown]
# The claim: this is exactly how far the gradient reaches. A pixel outside the field cannot change the
# value, so its derivative is 0; every pixel inside can. The field belongs to the layout, not to the weights,
# so we take random ones, and pooling by the mean, since the maximum hides three pixels in four from the
# gradient.

# %%
bare = load_encoder("mini", weights="random", pooling="avg", device="cpu")
noise = torch.rand(
    (1, 3, 256, 256), generator=torch.Generator().manual_seed(0)
).requires_grad_(True)
for layer in STYLE_LAYERS:
    features = bare(noise, layer)[layer]
    middle = features.shape[-1] // 2
    (gradient,) = torch.autograd.grad(features[0, :, middle, middle].sum(), noise)
    rows = gradient[0].abs().sum((0, 2)).nonzero().flatten()
    width = int(rows[-1] - rows[0] + 1)
    print(
        f"{layer}: the gradient reaches {width} pixels, the formula says {receptive_field(layer)[0]}"
    )
    assert (width, receptive_field(layer)) == (
        receptive_field(layer)[0],
        encoder.receptive_field(layer),
    )

# %% [markdown]
# On the photograph, around one point:

# %%
row, column = 118, 128
shades = plt.get_cmap("plasma")(torch.linspace(0.98, 0.15, 5).numpy())
figure, axis = plt.subplots(figsize=(7.6, 4), layout="constrained")
axis.imshow(images.to_array(photo), alpha=0.85)
for layer, shade in zip(STYLE_LAYERS, shades, strict=True):
    size = receptive_field(layer)[0]
    corner = (column - size / 2, row - size / 2)
    label = f"{layer}: {size} pixels"
    axis.add_patch(
        Rectangle(corner, size, size, fill=False, lw=2.5, edgecolor=shade, label=label)
    )
axis.axis("off")
_ = axis.legend(
    loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=11
)

# %% slideshow={"slide_type": "-"}
crops = []
for layer in STYLE_LAYERS:
    size = receptive_field(layer)[0]
    top, left = row - size // 2, column - size // 2
    crop = photo[..., top : top + size, left : left + size]
    crops.append(F.interpolate(crop, size=(200, 200), mode="nearest"))
show(*crops, titles=[f"{layer} sees" for layer in STYLE_LAYERS], height=1.6)

# %% [markdown]
# At 320 pixels, one position of `relu5_1` sees more than a third of the photograph's area; at 1280 pixels it
# would see a forty-fifth. The field is fixed in pixels, which is why large pictures get small strokes, and why a
# run in this course goes coarse to fine.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What a channel answers to
#
# Turn the question round: which pieces of photographs make a channel answer most?
# {cite:t}`zeiler2014visualizing` asked this of 50,000 pictures. We have six, and still see the drift. For
# each channel, look for its largest values over all photographs (at most one in each sixth of a photograph, its
# border left out),
# and cut out what that position sees.

# %%
large = [load(name, size=384) for name in NORMALISATION_PHOTOS]
answers = [encoder(picture, STYLE_LAYERS) for picture in large]


def best_patches(layer, channel, count=9):
    (size, jump), found = receptive_field(layer), []
    margin = -(-size // (2 * jump))  # positions whose field would leave the photograph
    for picture, answer in zip(large, answers, strict=True):
        inner = answer[layer][0, [channel], margin:-margin, margin:-margin]
        values, places = F.adaptive_max_pool2d(inner, (2, 3), return_indices=True)
        # Sixths of an uneven map overlap, and may share their largest value.
        highest = dict(
            zip(places.flatten().tolist(), values.flatten().tolist(), strict=True)
        )
        for place, value in highest.items():
            inside = divmod(place, inner.shape[-1])
            top, left = (
                int((k + margin) * jump + (jump - 1) / 2 - (size - 1) / 2)
                for k in inside
            )
            found.append((value, picture[..., top : top + size, left : left + size]))
    found.sort(key=lambda pair: -pair[0])
    return [patch for _, patch in found[:count]]


# %%
def sheet(patches):
    """Nine patches as one picture, three by three, with white lines between them."""
    patches = [
        F.pad(images.resize(patch, (56, 56)), (1, 1, 1, 1), value=1.0)
        for patch in patches
    ]
    return torch.cat([torch.cat(patches[k : k + 3], dim=-1) for k in (0, 3, 6)], dim=-2)


sheets, titles = [], []
for layer in STYLE_LAYERS[1:]:
    together = torch.cat([answer[layer][0].flatten(1) for answer in answers], dim=1)[
        ..., None
    ]
    for channel in most_contrast(together, 5, every=4).tolist():
        sheets.append(sheet(best_patches(layer, channel)))
        titles.append(f"{layer}, channel {channel}")
show(*sheets, columns=5, titles=titles, height=1.9)

# %% [markdown]
# In `relu2_1` the nine patches of a channel share a colour or an edge; in `relu3_1` a direction, a curve or a
# texture, wherever it is found. Deeper, what they share is harder to name: things, colours and directions
# mix, and one channel answers to many different things.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A look ahead: two channels and their angle
#
# A map with $M_l$ positions is a vector of $M_l$ numbers. Two maps $A$ and $B$ have the inner product
#
# $$
# A \cdot B = |A|\,|B| \cos\theta .
# $$
#
# It is large when both channels answer at the same places, *or* when they are simply large. The numbers below
# are for the two channels with the most contrast in `relu3_1`. All such products of a layer together are the
# Gram matrix, which is what Gatys et al. take for <span class="style">style</span> ([lecture 03](03_gatys.ipynb)).

# %%
a, b = seen["relu3_1"][0, most_contrast(seen["relu3_1"][0], 2)].flatten(1)
cosine = F.cosine_similarity(a, b, dim=0)
print(f"A·B = {a @ b:.0f} = {a.norm():.1f} × {b.norm():.1f} × {cosine:.3f}")
assert torch.isclose(a @ b, a.norm() * b.norm() * cosine, rtol=1e-4)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## In class: sort by depth
#
# Five maps of one photograph, each from another layer, each drawn at the same size. Put them in order, from
# the lowest layer (closest to the picture) to the highest. The letters then spell a word.

# %% tags=["hide-input"]
puzzle = load("chelsea", size=320)
layers = encoder(puzzle, STYLE_LAYERS)
drawn = {}
for letter, layer in zip("STYLE", STYLE_LAYERS, strict=True):
    maps = layers[layer][0]
    one = maps[most_contrast(maps, 1)]
    drawn[letter] = heat(one, 0, float(one.max()), size=puzzle.shape[-2:], gamma=0.5)
show(*[drawn[letter] for letter in "ETLSY"], titles=list("ETLSY"), height=1.5)

# %% tags=["hide-input"]
check_word("STYLE", "From the lowest layer to the highest:")

# %% [markdown]
# :::{admonition} Solution
# :class: dropdown
#
# **S T Y L E**: `relu1_1`, `relu2_1`, `relu3_1`, `relu4_1`, `relu5_1`. The size of the squares gives the
# order away: each pooling doubles it. Without the squares you would still find it: S has every whisker, T and
# Y have marks of growing size, and in L and E only the place of larger parts is left. The photograph is
# scikit-image's cat, Chelsea.
# :::

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How it goes wrong
#
# **A frame of zeros.** Convolutions need something beyond the border. VGG takes zeros: in the
# first layer that is the mean colour, deeper "nothing fires", and either is a sharp edge that no picture has. `mini` mirrors the picture instead. Drawn is how
# much the answer changes, mean over the channels: a frame, which grows with depth and shows up in results as
# a halo.

# %%
zeros = copy.deepcopy(encoder)
for step in zeros.steps.values():
    step.padding_mode = "zeros"
layers = ("relu1_1", "relu3_1", "relu5_1")
a, b = encoder(photo, layers), zeros(photo, layers)
change = [
    heat((a[n] - b[n]).abs().mean(1), 0, 1, size=photo.shape[-2:]) for n in layers
]
show(photo, *change, titles=["photograph", *layers], height=1.7)

# %% [markdown]
# **The wrong range.** Numbers from 0 to 255 go in, where the network expects 0 to 1. Nothing fails, but the
# maps are flooded. A content loss grows with the square of that, a loss between Gram matrices with the fourth
# power.

# %%
flooded = encoder(255 * photo, "relu3_1")["relu3_1"]
print(f"mean activation {flooded.mean():.0f} instead of {seen['relu3_1'].mean():.1f}")
channel = most_contrast(seen["relu3_1"][0], 4)[3:]
show(
    glow(seen["relu3_1"][0, channel]),
    glow(flooded[0, channel]),
    titles=["0 to 1", "0 to 255"],
    height=1.7,
)

# %% [markdown]
# **A shift that is no shift.** Move the picture by the layer's jump, and the map moves by one position,
# exactly. Move it by less, and the map cannot follow: part of the change is the motion itself, part that the pooling
# falls on other pixels. (In films, this flickers.)


# %%
def change_by_shift(encoder, pixels, layer="relu4_1", margin=6):
    still, moved = (
        encoder(p, layer)[layer] for p in (photo, photo.roll(pixels, dims=-1))
    )
    still = still.roll(round(pixels / 8), dims=-1)[..., margin:-margin, margin:-margin]
    return (
        (moved[..., margin:-margin, margin:-margin] - still).norm() / still.norm()
    ).item()


mean_pooling = load_encoder("mini", pooling="avg", device="cpu")
rows = [
    [f"{n} pixels", change_by_shift(plain, n), change_by_shift(mean_pooling, n)]
    for n in (8, 1, 2, 3)
]
assert rows[0][1] < 1e-3 and min(rows[1][1:]) > 1e-2
table(rows, ["shift", "change of relu4_1, maximum", "the same, mean pooling"])

# %% [markdown]
# **A picture that is too small.** Each pooling halves it, and at some depth nothing is left. The encoder says
# so.

# %%
try:
    encoder(load("mosaic", size=12), "relu5_1")
except ValueError as error:
    print(error)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, authors' code, ours
#
# The network of {cite:t}`gatys2016image`; their code is the
# [PyTorch notebook](https://github.com/leongatys/PytorchNeuralStyleTransfer).
#
# | | VGG-19 {cite:p}`simonyan2015very` | Gatys et al. | their code | ours: `mini` |
# |---|---|---|---|---|
# | layers | 16 convolutions, 3 dense | 16 convolutions | 16 convolutions | 13, up to `relu5_1` |
# | "conv4_2" | before the ReLU | after it | `r42`, after it | before; `relu4_2` after it |
# | picture | minus the mean colour | not stated | minus the mean colour | mean 0.45, deviation 0.25 |
# | filters | as trained | mean activation 1 | mean activation 1 | `normalised=True`: the same |
# | pooling | maximum | average | maximum, by default | maximum; `pooling="avg"` |
# | padding | 1 pixel | not stated | 1 pixel of zeros | 1 pixel, mirrored |
# | weights | ImageNet | ImageNet | ImageNet, rescaled | a small copy of VGG-19, trained on here towards VGG-19 itself |
#
# `load_encoder("vgg19")` has the first column's layout with zeros as padding: its weights were trained anew by
# torchvision, with a mean and a deviation of its own.

# %% [markdown]
# ## Exercises
#
# :::{exercise} Two small filters make a larger one
# :label: sees-two-filters
#
# Without a ReLU between them, two convolutions of $3 \times 3$ are one of $5 \times 5$. Which one? Compute
# its filter from the two, and check it on the photograph. How many weights do you save, and what else does
# VGG gain by taking two small ones with a ReLU between them?
# :::

# %% [markdown]
# :::{solution-start} sees-two-filters
# :class: dropdown
# :::
#
# $\bigl((x \star u) \star v\bigr)_i = \sum_m v_m \sum_k u_k\, x_{i+m+k} = \sum_n x_{i+n} \sum_{k+m=n} u_k
# v_m$: the filter is the full (true) *convolution* of the two. Two filters have 18 weights, one of $5 \times
# 5$ has 25; and the ReLU between them makes the pair non-linear, which is the argument of
# {cite:t}`simonyan2015very`.

# %%
u, v = torch.randn(2, 1, 1, 3, 3, generator=torch.Generator().manual_seed(0))
large = F.conv2d(
    F.pad(u, (2, 2, 2, 2)), v.flip(2, 3)
)  # full convolution: conv2d with one filter turned
grey = images.luminance(photo)
error = (F.conv2d(F.conv2d(grey, u), v) - F.conv2d(grey, large)).abs().max().item()
print(f"filter of {tuple(large.shape[2:])}; largest difference {error:.1e}")
assert error < 1e-4

# %% [markdown]
# :::{solution-end}
# :::

# %% [markdown]
# :::{exercise} The effective receptive field
# :label: sees-effective-field
#
# Every pixel of the field *can* change the value, but do all change it equally? Follow
# {cite:t}`luo2016understanding`: average the size of the gradient of a central position of `relu5_1` (the sum of its channels) over
# the photographs, made square for this, draw it, and count the pixels above 4.55 % of the largest ($1 - 0.9545$, the share of a Gaussian beyond
# two deviations). The root of that count is the width of the *effective* field.
# :::

# %% [markdown]
# :::{solution-start} sees-effective-field
# :class: dropdown
# :::
#
# A pixel in the middle reaches the value on many paths, one at the border on a single one: after many layers
# the sum over paths is bell-shaped, and its width grows only with the root of the number of layers. The frame is the
# field of the formula. (The gradient is averaged over small squares before counting, since the maximum makes
# it spotty.)

# %%
total, size = torch.zeros(192, 192), receptive_field("relu5_1")[0]
for name in NORMALISATION_PHOTOS:
    x = images.resize(load(name), (192, 192)).requires_grad_(True)
    features = encoder(x, "relu5_1")["relu5_1"]
    (gradient,) = torch.autograd.grad(features[0, :, 6, 6].sum(), x)
    total += gradient[0].abs().sum(0)
smooth = F.avg_pool2d(total[None], 9, stride=1, padding=4)[0]
width = (smooth > (1 - 0.9545) * smooth.max()).sum().sqrt().item()
print(
    f"formula: {size} pixels; effective: {width:.0f} pixels, {width**2 / size**2:.0%} of the area"
)

# %%
figure, axis = plt.subplots(figsize=(3.2, 3.2), layout="constrained")
axis.imshow(smooth.sqrt(), cmap="inferno")
centre = 6 * 16 + 7.5
for side, line in ((size, "-"), (width, ":")):
    corner = (centre - side / 2, centre - side / 2)
    axis.add_patch(
        Rectangle(
            corner, side, side, fill=False, edgecolor="white", linestyle=line, lw=1.5
        )
    )
axis.set_title("gradient (square root)\nsolid: formula, dotted: effective", fontsize=10)
_ = axis.axis("off")

# %% [markdown]
# :::{solution-end}
# :::

# %% [markdown]
# :::{exercise} Where does the time go?
# :label: sees-cost
#
# Count the multiplications of each convolution for a picture of $256 \times 256$: (positions) × (channels in)
# × (channels out) × 9. In which block is most of the work of `mini`, and of VGG-19? How much less does `mini`
# do?
# :::

# %% [markdown]
# :::{solution-start} sees-cost
# :class: dropdown
# :::
#
# Each pooling divides the positions by 4, each doubling of the width multiplies the work by 4: in blocks 1 to 4
# every convolution of VGG-19 but the block's first costs the same, the first of blocks 2 to 4 half of it. So most of the
# work is in blocks 3 and 4, which have four convolutions, exactly as much in each; conv5_1, the only one of block 5 that
# is counted here, costs a quarter of conv4_2. `mini` has almost half of its work in block 3. A quarter of the width
# everywhere would be a sixteenth of the work; `mini` is relatively wider in blocks 2 and 3, where strokes are seen, and
# does about a ninth.


# %%
def multiplications(widths, convolutions=(2, 2, 4, 4, 1), side=256):
    """Per block, up to conv5_1."""
    blocks, before = [], 3
    for block, (width, count) in enumerate(zip(widths, convolutions, strict=True)):
        positions = (side / 2**block) ** 2
        blocks.append(9 * positions * width * (before + (count - 1) * width))
        before = width
    return torch.tensor(blocks)


mini = multiplications([encoder.channels(layer) for layer in STYLE_LAYERS])
large = multiplications([64, 128, 256, 512, 512])
rows = [
    [f"block {i + 1}", *(torch.stack([mini, large])[:, i] / 1e9).tolist()]
    for i in range(5)
]
print(f"mini does {mini.sum() / large.sum():.1%} of VGG-19's multiplications")
table(rows, ["", "mini (thousand millions)", "VGG-19"])

# %% [markdown]
# :::{solution-end}
# :::

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What to read next
#
# - [Lecture 03](03_gatys.ipynb) turns these maps into a content loss and a style loss.
# - {cite:t}`zeiler2014visualizing` look into a network layer by layer; our sheets of
#   patches follow their figure 2.
# - {cite:t}`mahendran2015understanding` ask what a layer remembers, by making a picture from it.
# - {cite:t}`luo2016understanding` on what a receptive field really sees.
