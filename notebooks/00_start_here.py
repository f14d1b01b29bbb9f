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
# # 00 · Start here
#
# One photograph, one style, one command: by the middle of this page you will have made a first picture. The
# other half is about what goes in and comes out, because most of what looks like a fault of the method is a
# fault of the pictures: the wrong size, the wrong order of colours, the wrong range.

# %% [markdown]
# **After this lecture you can**
#
# - read, show, resize and save a picture, and say what its shape and its numbers mean;
# - see on which device the work is done, and change it with one argument;
# - stylise a photograph, watch the picture form, stop when you like, and make it again from the saved file;
# - recognise four ways in which pictures go wrong before any network has seen them.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from styletx import (
    describe_device,
    gatys,
    images,
    load,
    load_encoder,
    read,
    resize,
    samples,
    show,
    write,
)
from styletx.course.figures import CONTENT, STYLE, table

plt.rcParams["figure.dpi"] = 130
describe_device()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A picture is a tensor
#
# In this course an *image* is a tensor of 32-bit floats with the shape $(B, 3, H, W)$: how many pictures, the
# three channels red, green and blue, the rows, the columns. Every number lies in $[0, 1]$: 0 is dark, 1 is as
# bright as the screen can be. The package takes and gives images in this form; encoders and `show` take several at
# once, a method one picture, $B = 1$.

# %%
china = load("china", size=384)
print(tuple(china.shape), china.dtype, f"from {china.min():.2f} to {china.max():.2f}")
print("the pixel in row 40, column 300:", china[0, :, 40, 300].tolist())

# %% [markdown]
# `size` is the longer side in pixels. (`load` makes a photograph smaller if it has to, and never larger; a method's `size`
# is that of its result.) Each channel on its own is a grey picture; together they are the
# photograph.

# %% slideshow={"slide_type": "-"}
red, green, blue = china.split(1, dim=1)
show(china, red, green, blue, titles=["china", "red", "green", "blue"], height=1.55)

# %% [markdown]
# Files hold 8 bits per channel: 256 steps. Writing a picture rounds to the nearest of them, so what comes
# back is off by at most half a step, $1/510$. That is the claim; the next cell checks it. (PNG keeps the
# rounded values exactly; JPEG would lose more.)

# %%
folder = Path(tempfile.mkdtemp())
path = write(china, folder / "china.png")
error = (read(path) - china).abs().max().item()
print(
    f"largest difference after writing and reading: {error:.5f}; half a step is {1 / 510:.5f}"
)
assert error <= 1 / 510 + 1e-6

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Pictures by name
#
# `load` knows pictures by name. Some come with the packages that are installed anyway (scikit-learn,
# scikit-image), some are drawn by this package in a few lines each, and paintings are fetched once, with
# their hash checked and credit and licence shown. The following need no network:


# %%
def thumbnail(name):
    image = load(name, size=240)
    side = min(image.shape[-2:])
    top, left = ((length - side) // 2 for length in image.shape[-2:])
    return resize(image[..., top : top + side, left : left + side], 150)


showable = [
    name
    for name in samples.names(showable=True)
    if samples.info(name).kind != "texture"
]
here = [name for name in showable if samples.info(name).source != "fetched"]
show(*map(thumbnail, here), titles=here, columns=7, height=1.3)

# %% [markdown]
# Where a painting is neither here nor within reach, a lecture says so and goes on with what it has:

# %%
painting = samples.load_or("starry-night", "brush-strokes", size=384)
show(painting, height=2.2)

# %% [markdown]
# Your own file works wherever a name does: `load("holiday.jpg", size=512)`. Rotation marks of cameras,
# transparency, grey, 16-bit and CMYK files are understood. Who made a picture, and on which terms you may
# show it:

# %%
rows = [
    [name, samples.info(name).credit, samples.info(name).licence] for name in here[:6]
]
table(rows, ["name", "credit", "licence"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Making a picture smaller
#
# To make a picture smaller by the factor $k$, one could keep every $k$-th pixel. Take stripes with $f$
# periods per pixel, $x[n] = \cos(2\pi f n)$, and keep $n = km$:
#
# $$
# y[m] = x[km] = \cos(2\pi\, kf\, m) = \cos\bigl(2\pi\,(kf - r)\,m\bigr)
# $$
#
# for every whole number $r$: the samples cannot tell the frequency $kf$ from $kf - r$: what you see is the one with $|kf - r| \le
# \tfrac12$. Fine stripes come back as broad ones that were never there. This is *aliasing* (Shannon's
# sampling theorem, read backwards). The remedy is to remove everything above $1/(2k)$ periods per pixel
# *before* the samples are taken {cite:p}`burt1983laplacian`; averaging over the pixels that are merged does
# so approximately, and is called *antialiasing*.
#
# The claim as code: with $f = 0.26$ and $k = 4$, so that $kf = 1.04$, every fourth pixel shows stripes of
# frequency $0.04$, one period in 25 pixels.

# %%
f, k = 0.26, 4
n = torch.arange(400, dtype=torch.float64)
kept = torch.cos(2 * torch.pi * f * n)[::k]
ghost = torch.cos(2 * torch.pi * (k * f - 1) * n[: len(kept)])
error = (kept - ghost).abs().max()
print(
    f"every {k}th pixel against stripes of frequency {k * f - 1:.2f}: they differ by {error:.1e}"
)
assert torch.allclose(kept, ghost, atol=1e-9)

# %% [markdown]
# In two dimensions: rings that become finer outwards. `resize` averages before it samples.

# %%
y, x = torch.meshgrid(
    torch.linspace(-1, 1, 600), torch.linspace(-1, 1, 600), indexing="ij"
)
rings = (0.5 + 0.5 * torch.cos(430 * (x**2 + y**2)))[None, None].expand(1, 3, -1, -1)
every_fourth, averaged = rings[..., ::4, ::4], resize(rings, 150)
show(
    rings,
    every_fourth,
    averaged,
    titles=["600 × 600", "every 4th pixel", "resize: averaged"],
    height=2.7,
)

# %% [markdown]
# The middle picture has a whole grid of false centres. On photographs it is roofs, fences and fabric that
# break into such patterns, and a network looks at them as if they were there.

# %%
roof = load("china")[..., 150:390, 150:510]
nearest = F.interpolate(roof, size=(60, 90), mode="nearest")
averaged = resize(roof, (60, 90))
show(
    roof,
    nearest,
    averaged,
    titles=["240 × 360", "every 4th pixel", "resize: averaged"],
    height=1.9,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The device
#
# An *encoder* is the network that looks at pictures; `mini` is the small one that comes with the course. The
# package takes a CUDA GPU where there is one, else Apple's, else the CPU, and shows which. One argument
# changes it, in every method: `device="cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`. Nothing else in
# your code changes.

# %%
encoder = load_encoder("mini", device="cpu")
print("found:", describe_device())
print("asked for:", describe_device("cpu"), "| the encoder is on", encoder.device)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The panel
#
# Choose a <span class="content">content</span> picture and a <span class="style">style</span> picture, and
# press Run. The controls are made from the method's own signature, so that what you see here is what you can
# write in code. In the book's page there is no kernel behind the panel: it shows a finished run, and a strip
# to scrub through.

# %%
from styletx.widgets import Panel

panel = Panel("gatys", content="china", style="stained-glass", size=192, steps=60)
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Your first picture, in three lines
#
# A *loss* is a number that says how far a picture is from what is wanted; a small step against its *gradient* changes
# every pixel so that the loss falls; an *optimiser* takes such steps again and again (lectures 02 and 03 have the details).
# `steps` is the budget: how often the loss and its gradient are evaluated (one `Step` of the optimiser may take
# several evaluations). With more of them and a larger
# `size` the picture becomes better; these numbers are for a few seconds on two CPU cores.

# %%
run = gatys("chelsea", "mosaic", size=256, steps=80)
picture = run.finish(progress=False)
show(
    load("chelsea"),
    load("mosaic"),
    picture,
    titles=["content", "style", "result"],
    height=2.0,
)

# %% [markdown]
# In a notebook of your own leave `progress=False` out: a bar then shows the time that is left.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Watching it form
#
# A `Run` is a stream of steps. A `for` loop reads it: each `Step` has the picture as it is now, the loss of
# each term, and the number of evaluations spent. The progress bar, the panel and the command line read this
# same stream.

# %%
steps = list(gatys("coffee", "stained-glass", size=224, steps=60, levels=[112, 224]))
sizes = sorted({step.size for step in steps})
print(f"{len(steps)} steps, {steps[-1].evaluations} evaluations, sizes {sizes}")
chosen = [steps[0], steps[3], steps[12], steps[-1]]
show(
    *[step.image for step in chosen],
    titles=[f"evaluation {s.evaluations}" for s in chosen],
    height=1.65,
)

# %% [markdown]
# The first pictures are small: a run goes *coarse to fine*, so that most evaluations are cheap and strokes
# become large. The loss jumps where the picture is enlarged, because new detail has not been painted yet. The style
# has two terms: *style*, from five layers, and *strokes*, from the two deepest of them once more (lecture 03 says why).

# %%
figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
for name, colour, line, side in (
    ("content", CONTENT, "-", "center"),
    ("style", STYLE, "-", "bottom"),
    ("strokes", STYLE, "--", "top"),
):
    axis.semilogy(
        [s.evaluations for s in steps],
        [s.losses[name] for s in steps],
        line,
        color=colour,
        lw=2,
    )
    axis.text(
        steps[-1].evaluations + 0.7, steps[-1].losses[name], name, color=colour, va=side
    )
change = next(s.evaluations for s in steps if s.level == 1)
axis.axvline(change, color="0.6", lw=1, ls=":")
axis.annotate(
    "larger from here",
    (change, 0.97),
    xycoords=("data", "axes fraction"),
    xytext=(5, 0),
    textcoords="offset points",
    va="top",
    fontsize=9,
    color="0.35",
)
axis.set(xlabel="evaluations", ylabel="weighted loss")
axis.spines[["top", "right"]].set_visible(False)
_ = axis.set_xlim(right=steps[-1].evaluations * 1.1)

# %% [markdown]
# Leaving the loop stops the work. The best picture so far is kept, at the size that was asked for:

# %%
run = gatys("coffee", "woodcut", size=224, steps=200)
for step in run:
    if step.evaluations >= 20:
        break
print(f"stopped at {step.evaluations} of {step.total} evaluations, at {step.size}")
print(f"the best picture so far: {tuple(run.best.shape)}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Saving, and making it again
#
# The panel and the command line save a picture with its *record*: method, arguments, seed, and the hashes of what went
# in. In your own code you give `write` the record:

# %%
from styletx.methods import METHODS
from styletx.methods.record import again, record

inputs = {"content": "chelsea", "style": "mosaic"}
saved = write(
    picture, folder / "first.png", record("gatys", inputs, {"size": 256, "steps": 80})
)
images.read_record(saved)["inputs"]

# %% [markdown]
# On the command line, `styletx again first.png` makes the picture again; an input that has changed meanwhile
# is an error that names it. The same in Python, and the claim that it is the same picture (on a GPU, which adds up in
# another order each time, it is nearly the same):

# %%
name, pictures, arguments = again(saved)
repeated = METHODS[name](**pictures, **arguments).finish(progress=False)
difference = (repeated - picture).abs().max().item()
print(f"made again by {name}: the largest difference is {difference:.1e}")
assert difference <= 1 / 255 or picture.device.type != "cpu"

# %% [markdown] slideshow={"slide_type": "slide"}
# ## When something is wrong
#
# Errors name the argument, the value they got, and what would be right.

# %%
try:
    encoder(china, "relu4_7")
except ValueError as error:
    print(error)

# %% [markdown]
# `conv4_2` is the value before the ReLU and `relu4_2` the one after it: [lecture
# 01](01_what_a_network_sees.ipynb) shows why the difference matters.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How pictures go wrong
#
# Four faults that no network can repair. Left as it should be, right as it goes wrong.
#
# **Aliasing** you have seen above. **Red and blue exchanged**: some libraries (OpenCV, Caffe) keep BGR. The
# content is intact, the colours are not, and the network's first layer sees another picture.

# %%
coffee = load("coffee", size=300)
show(coffee, coffee.flip(1), titles=["RGB", "BGR read as RGB"], height=2.0)

# %% [markdown]
# **Overflow of 8-bit numbers**: in `uint8`, $200 + 80 = 24$, because only the remainder modulo 256 is kept.
# Bright areas turn dark. Compute with floats, and round once, when you write.

# %%
array = images.to_array(coffee)
wrapped = images.from_array(array + 80)  # uint8 + int stays uint8
assert (torch.tensor([200], dtype=torch.uint8) + 80).item() == 24
brighter = (coffee + 80 / 255).clamp(0, 1)
show(
    brighter, wrapped, titles=["brighter, in floats", "brighter, in uint8"], height=2.0
)

# %% [markdown]
# **Clamping too early**: where a value is clamped, its gradient is 0, and no optimiser can bring it back.
# Both runs below start from noise that leaves $[0, 1]$ and are to become the photograph. One clamps inside
# the loss. The other lets values leave the range, and an energy pulls them back, which is what the optimisations
# of this course do, unless a paper's own recipe is asked for.

# %%
target = resize(coffee, 160)


def paint(clamped, steps=120):
    x = images.noise_like(target, seed=0).mul(1.6).requires_grad_(True)
    adam = torch.optim.Adam([x], lr=0.03)
    for _ in range(steps):
        adam.zero_grad()
        loss = (((x.clamp(0, 1) if clamped else x) - target) ** 2).sum()
        if not clamped:
            loss = loss + 0.1 * ((x - x.clamp(0, 1)) ** 2).sum()  # the range energy
        loss.backward()
        adam.step()
    return x.detach().clamp(0, 1)


free, stuck = paint(clamped=False), paint(clamped=True)
show(free, stuck, titles=["range energy", "clamped inside the loss"], height=2.0)

# %% [markdown]
# The speckles are pixels that began outside the range, or were pushed out of it: there they have no gradient.

# %%
error = (stuck - free).abs().amax(1)
print(f"{(error > 0.05).float().mean():.0%} of the pixels are stuck")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, authors' code, ours
#
# How a picture enters the network, for {cite:t}`gatys2016image`. The authors' code is their
# [PyTorch notebook](https://github.com/leongatys/PytorchNeuralStyleTransfer). All layers are read after the
# ReLU. The words in the table are those of lectures 01 and 03: come back to it after them.
#
# | | paper | authors' code | ours |
# |---|---|---|---|
# | range, order | not stated | 0 to 255, BGR | 0 to 1, RGB |
# | normalisation | of filters; of pictures not stated | minus ImageNet's mean | in the encoder |
# | resizing | style to the content's size | shorter side 512, averaging | longer side `size`, the style to the same area, averaging |
# | content layer | conv4_2 | `r42` | `relu3_1` and `relu4_2`, half each |
# | style layers | conv1_1 to conv5_1 | `r11` to `r51` | `relu1_1` to `relu5_1` |
# | pooling | average | maximum, by default | maximum; `pooling="avg"` |
# | padding | not stated | zeros | mirrored in `mini`, zeros in `vgg19` |
# | start | white noise | the content | the content; `start="noise"` |
# | clamping | not stated | once, at the end | once, at the end; before it, a range energy |

# %% [markdown]
# ## Exercises
#
# :::{exercise} Predict the ghost
# :label: start-ghost
#
# Stripes have a period of 3 pixels, $f = 1/3$, and you keep every second pixel. Which period, in pixels of
# the small picture, will you see? Predict it with the formula above, then check it.
# :::

# %% [markdown]
# :::{solution-start} start-ghost
# :class: dropdown
# :::
#
# $kf = 2/3$, and $|2/3 - 1| = 1/3 \le 1/2$: the period is 3 pixels again. It looks as if nothing had
# happened, but a true reduction by two would have left stripes of 1.5 pixels, which no picture can hold.

# %%
n = torch.arange(300, dtype=torch.float64)
small = torch.cos(2 * torch.pi * n / 3)[::2]
assert torch.allclose(
    small,
    torch.cos(2 * torch.pi * torch.arange(150, dtype=torch.float64) / 3),
    atol=1e-9,
)
strength = torch.fft.rfft(small).abs()
print(f"the strongest period is {len(small) / strength.argmax().item():.1f} pixels")

# %% [markdown]
# :::{solution-end}
# :::

# %% [markdown]
# :::{exercise} Stop when it is good enough
# :label: start-stop
#
# Write a loop that ends a run at `levels=1` as soon as the last ten steps have lowered the loss by less than
# a fifth, and print how much of the budget you saved.
# :::

# %% [markdown]
# :::{solution-start} start-stop
# :class: dropdown
# :::
#
# Keep the losses in a list and compare the newest with the one ten steps before.

# %%
run, losses = gatys("coffee", "waves", size=128, steps=120, levels=1), []
for step in run:
    losses.append(step.loss)
    if len(losses) > 10 and losses[-1] > 0.8 * losses[-11]:
        break
left = 1 - step.evaluations / step.total
print(
    f"{left:.0%} of {step.total} evaluations saved; loss from {losses[0]:.3g} to {losses[-1]:.3g}"
)
show(run.best, height=1.8)

# %% [markdown]
# :::{solution-end}
# :::

# %% [markdown]
# :::{exercise} The same again, but
# :label: start-again
#
# Take the record of `first.png`, keep its content, and make the picture in another style; make it smaller if
# you like.
# :::

# %% [markdown]
# :::{solution-start} start-again
# :class: dropdown
# :::
#
# `again` gives the pictures and the arguments as two dictionaries: replace one entry of the first.

# %%
name, pictures, arguments = again(saved)
other = METHODS[name](
    **{**pictures, "style": "marbling"}, **{**arguments, "steps": 30, "size": 160}
)
show(other.finish(progress=False), height=1.8)

# %% [markdown]
# :::{solution-end}
# :::

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How the course is organised
#
# Each lecture derives one idea in the symbols of its paper, shows the same thing in a short cell, checks a
# claim by running it, and says where paper, authors' code and this package differ. The words are few:
#
# | word | meaning |
# |---|---|
# | image | $(B, 3, H, W)$, RGB, in $[0, 1]$ |
# | features | what an encoder gives at a named layer, $(B, C, H, W)$ |
# | statistic, distance, loss | a function of the features; how far two are apart; both together |
# | match, energy, objective | a term with a reference, a term without, their weighted sum |
# | run, step | an optimisation in progress, and what it reports |
# | method | the verb you call: `gatys(content, style, ...)` |
#
# The [glossary](../book/glossary.md) has them all, beside the symbols of the papers.

# %% [markdown]
# ## What to read next
#
# - [Lecture 01](01_what_a_network_sees.ipynb): what the encoder sees, layer by layer.
# - [Lecture 03](03_gatys.ipynb): what `gatys` minimises, and why.
# - {cite:t}`burt1983laplacian`, on how to take a picture apart by size without aliasing.
