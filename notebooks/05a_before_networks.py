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
# # 05a · A museum of losses: before networks
#
# By the end of this room you will be able to
#
# - transfer colours with a mean and a spread, and say why that fails on a photo with two subjects;
# - make a texture from noise with nothing but histograms, as Heeger and Bergen did in 1995;
# - sew a texture from pieces of itself;
# - say of each of them, and of Gatys, *what it matches*.

# %% slideshow={"slide_type": "slide"}
import numpy as np
import torch

from styletx import (
    Energy,
    Match,
    Objective,
    describe_device,
    load_encoder,
    load_or,
    show,
    synthesize,
    value_range,
)
from styletx.course.figures import table
from styletx.course.gallery import figure
from styletx.images import noise_like
from styletx.losses import histogram_loss
from styletx.methods.classics import cheapest_path, quilt, reinhard, rgb_to_lab

torch.manual_seed(0)
print("this lecture runs on", describe_device())

# %% slideshow={"slide_type": "slide"}
figure(
    "before_networks",
    "A texture, and the same made again by its pyramid's histograms, by quilting, and by Gram matrices",
)

# %% [markdown]
# A texture, and what three ideas from three decades make of it: the histograms of a pyramid (1995), sewn patches (2001),
# Gram matrices of a network (2015).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Colours: a mean and a spread (2001)
#
# {cite:t}`reinhard2001color` move to a space in which the three channels of natural pictures hardly
# depend on each other. It is called lαβ (not CIELAB): logarithms of the eye's three cone responses, then one brightness and
# two colour differences. There they give each channel of the <span class="content">photo</span> the mean and the standard
# deviation of the <span class="style">painting</span>'s:
#
# $$x \leftarrow \frac{\sigma_s}{\sigma_c}\,(x - \mu_c) + \mu_s .$$

# %%
photo, painting = (
    load_or("kodak-21", "china", size=256),
    load_or("wheat-field-with-cypresses", "stained-glass", size=256),
)
result = reinhard(photo, painting, size=256)
show(photo, painting, result, titles=["photo", "painting", "Reinhard"])

# %% [markdown]
# The whole method is one line. Its claim as code: where nothing was clipped, the result has the painting's moments.

# %%
soft, calm = 0.4 + 0.2 * photo, 0.35 + 0.3 * painting
for name, picture in (("wanted", calm), ("found", reinhard(soft, calm, size=256))):
    lab = rgb_to_lab(picture)
    print(
        f"{name:>7}: means {lab.mean((2, 3))[0].numpy().round(3)}, spreads {lab.std((2, 3))[0].numpy().round(3)}"
    )
moments = [torch.stack([f(rgb_to_lab(p)) for f in (lambda x: x.mean((2, 3)), lambda x: x.std((2, 3)))]) for p in
           (calm, reinhard(soft, calm, size=256))]  # fmt: skip
assert torch.allclose(*moments, atol=2e-3)

# %% [markdown]
# It *sees* two numbers per channel, six in all. What it does not see: which colours stand where, and anything
# larger than a pixel. A green hill and a blue sky have one mean, which is neither. The remedy is to say what belongs to
# what: here the upper and the lower half of both pictures, each by itself.

# %%
middle, theirs = photo.shape[-2] // 2, painting.shape[-2] // 2
halves = [reinhard(photo[..., rows, :], painting[..., cut, :], size=256) for rows, cut in
          ((slice(None, middle), slice(None, theirs)), (slice(middle, None), slice(theirs, None)))]  # fmt: skip
show(result, torch.cat(halves, -2), titles=["all at once", "by halves"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Textures: histograms of a pyramid (1995)
#
# {cite:t}`heeger1995pyramid` had the idea that this course is built on, twenty years early: start from
# noise, and change it until some statistics are the texture's. Theirs are the histograms of the bands of a pyramid, and of
# the pixels themselves ("input"). In our words it is the histogram loss on the `laplacian` encoder, which has no weights at all:

# %%
texture = load_or("grass", "grass", size=128)
pyramid = load_encoder("laplacian")
bands = [name for name in pyramid.layers if name.startswith("band")][:4] + ["input"]
objective = Objective(Match(histogram_loss, texture, bands), Energy(value_range, 10.0))
noise = (
    noise_like(texture, 0)[:, :1].expand(-1, 3, -1, -1).contiguous()
)  # a grey texture: the same in all channels
made = synthesize(objective, pyramid, start=noise, steps=60, levels=1).finish(
    progress=False
)
wall = load_or("brick", "brick", size=128)
objective = Objective(Match(histogram_loss, wall, bands), Energy(value_range, 10.0))
broken = synthesize(objective, pyramid, start=noise, steps=60, levels=1).finish(
    progress=False
)
titles = ["grass", "from noise", "bricks", "from noise"]
show(texture, made, wall, broken, titles=titles, columns=4)

# %% [markdown]
# Grass nearly comes out: its grain is right, its blades are gone. A wall does not come out at all. A histogram of a band
# knows how strong its marks are, not how they are joined. (The
# original has a pyramid with directions, turns the colours until they are uncorrelated, and matches in turn instead of
# descending; ours has none of it, and fails in the same way.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Patches: quilting (2001)
#
# {cite:t}`efros2001quilting` do not descend either: they sew. Patches of the texture are laid down one after
# the other, each drawn among those that agree with what lies there already, and cut along the path where the two differ
# least. With $e_{i,j}$ the squared difference of the two at row $i$, column $j$ of the overlap, the cheapest way from the
# top to there costs
#
# $$E_{i,j} = e_{i,j} + \min(E_{i-1,j-1}, E_{i-1,j}, E_{i-1,j+1}).$$
#
# The path ends at the smallest $E$ of the last row, and is followed back upwards.

# %%
costs = np.array([[4, 1, 3], [2, 5, 1], [9, 1, 4], [2, 6, 1]])
path = cheapest_path(costs.astype(float))
print(
    "columns of the cheapest path, from above:",
    path,
    "  sum:",
    int(costs[range(4), path].sum()),
)

# %%
sewn = quilt(wall, (128, 256), patch=40, overlap=12)
show(wall, sewn, titles=["bricks", "sewn from it"])

# %% [markdown]
# Every pixel is one of the wall's, and the bonds hold. What it sees is whole patches; what it cannot do is make anything
# new, or put a patch on a photo's content without an account of what belongs where.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What each of them matches

# %%
table(
    [
        [
            "Reinhard",
            "2001",
            "mean and spread of three colour channels",
            "at a pixel",
            "yes",
        ],
        [
            "Heeger–Bergen",
            "1995",
            "histograms of a pyramid's bands",
            "as far as a band's filter",
            "no",
        ],
        [
            "quilting",
            "2001",
            "whole patches, copied",
            "as large as a patch",
            "with a guide",
        ],
        [
            "Gatys et al.",
            "2015",
            "which features go together",
            "as large as the receptive field",
            "yes",
        ],
    ],
    ["method", "year", "what is matched", "how far it sees", "keeps a content"],
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it

# %%
from styletx.widgets import Panel

panel = Panel("reinhard", content="china", style="stained-glass", size=256)
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# ```{exercise} Colours in RGB
# :label: museum-rgb
# Do the same transfer in RGB instead of lαβ. On which photos does it make a difference, and why?
# ```
#
# ```{solution} museum-rgb
# :class: dropdown
# In RGB the channels of a photo are strongly correlated. Stretching one without the others makes colours that were in
# neither picture: greys turn pink or green. It shows most where the photo is nearly grey and the painting is not.
#
#     mean = lambda x: x.mean((2, 3), keepdim=True)
#     std = lambda x: x.std((2, 3), keepdim=True)
#     show(((photo - mean(photo)) * std(painting) / std(photo) + mean(painting)).clamp(0, 1), result)
# ```
#
# ```{exercise} Without the picture itself
# :label: museum-bands
# Leave "input" out of the layers of the histogram loss. What is lost?
# ```
#
# ```{solution} museum-bands
# :class: dropdown
# The bands have mean 0, whatever the picture's colours are: only "input" (or "lowpass") holds them.
#
#     paper = load_or("marbling", "marbling", size=128)
#     for layers in (bands, bands[:-1]):
#         objective = Objective(Match(histogram_loss, paper, layers), Energy(value_range, 10.0))
#         display(show(synthesize(objective, pyramid, start=torch.rand(1, 3, 128, 128), steps=60, levels=1).finish(False)))
# ```
#
# ```{exercise} Seams
# :label: museum-seams
# Sew with `overlap=1`, with 12 and with 24. What do you gain, and what does it cost?
# ```
#
# ```{solution} museum-seams
# :class: dropdown
# With one pixel of overlap there is nothing to cut: seams are straight. A wide overlap hides them better, but each patch
# adds less that is new, and copies become easier to spot.
#
#     show(*(quilt(wall, (128, 200), patch=40, overlap=o) for o in (1, 12, 24)), titles=["1", "12", "24"])
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, ours
#
# | | the papers | here |
# |---|---|---|
# | Reinhard et al. | lαβ from log LMS; swatches for pictures with several subjects | the same space; the whole picture |
# | Heeger & Bergen | decorrelated colours; steerable pyramid; matches each band's histogram in turn | RGB; Laplacian pyramid; descends on a histogram loss |
# | Efros & Freeman | best patches within a tolerance of 0.1, cut on both sides | the same |
#
# ## How it fails
#
# - *Two subjects, one mean*: a sunset's colours on a green hill give a grey in between. Take the colours region by region.
# - *Posterised sky*: a spread that is stretched ten times shows every step of 1/255, and the noise between them.
# - *Salt and pepper*: histograms of bands alone put strong values anywhere; only neighbours in a larger band tie them down.
# - *Déjà vu*: a quilt repeats its most fitting patch; the eye spots two copies of one leaf immediately.

# %% [markdown]
# ## What to read next
#
# Hertzmann's image analogies {cite}`hertzmann2001analogies` guide the copying by a pair of pictures: "as this is to that".
# The next room asks what *distribution* a style is; patches come back in the one after it, as a loss.
