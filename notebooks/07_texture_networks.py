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
# # 07 · Texture networks, and instance normalisation
#
# By the end of this lecture you will be able to
#
# - train a network that turns noise into a texture, of any size, in one pass;
# - say what each of its scales is for, and show it by drawing the noise of one scale anew;
# - give the same network a photograph, and say what becomes of the noise;
# - prove that instance normalisation does not see a photograph's brightness and contrast, and batch normalisation does;
# - measure whether a generator's samples differ, and make them differ.

# %% slideshow={"slide_type": "slide"}
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from styletx import (
    Match,
    Objective,
    describe_device,
    gram_loss,
    load_encoder,
    load_or,
    reconstruct_style,
    resize,
    show,
    texture,
    train_texture,
)
from styletx.course.figures import CONTENT, generator, heat, table
from styletx.course.gallery import figure, numbers
from styletx.methods.gatys import STYLE_LAYERS
from styletx.methods.textures import sample, texture_network
from styletx.networks.texture_net import TextureNet, closeness
from styletx.networks.transform_net import Convolution
from styletx.training.fit import falling

torch.manual_seed(0)
print("this lecture runs on", describe_device())

# %% slideshow={"slide_type": "slide"}
figure(
    "texture_samples",
    "Starry Night, Composition VII and gravel, each beside two samples of a network that has learnt its texture",
)

# %% [markdown]
# The left column was learnt from; everything else is noise that went through a network once. Each sample was made from
# new noise.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## From a picture to a generator
#
# Lecture 03 made a texture by *optimising a picture* until its Gram matrices were those of a prototype $x_0$.
# {cite:t}`ulyanov2016texture` optimise the weights $\theta$ of a *generator network* $g$ instead, so that for any noise
# $z$ the picture $g(z;\theta)$ has nearly these Gram matrices. The encoder that looks at it, a pretrained network that stays
# fixed, is called the *descriptor network* there:
#
# $$\mathcal{L}_T(x; x_0) = \sum_{l \in L_T} \big\| G^l(x) - G^l(x_0) \big\|_F^2,$$
#
# $$\theta_{x_0} = \arg\min_\theta \; \mathbf{E}_{z \sim \mathcal{Z}} \big[\, {\color{#b5461b}{\mathcal{L}_T(g(z;\theta),\, x_0)}} \,\big] .$$
#
# Here $L_T$ are the chosen layers, $\mathcal{Z}$ is the distribution of the noise and $\mathbf{E}$ the mean over it. In the
# code each $G^l$ is divided by its number of positions, as in lecture 03, and the prototype is resized to the sample's area.
# (Kitov's slides write $g_\theta(z, c)$, with noise $z_1, z_2, z_3$ "of different abstract levels" and a photo
# $c_1, c_2, c_3$; here these are $z_0, z_1, z_2$ and $y$.)
#
# One texture, one training; then as many samples as you like, of any size.

# %%
wide = texture(texture="starry-night", size=768, ratio=3, seed=4)
show(wide, titles=["768 × 256 pixels, one pass"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The network
#
# Noise comes in at $K$ scales: $z_i \in \mathbb{R}^{3 \times M/2^i \times M/2^i}$ for $i = 0, \dots, K-1$;
# $M = 256$ and $K = 5$ in the paper. From the coarsest up,
#
# - a *block* (3×3, 3×3 and 1×1 convolutions, each with a normalisation and a leaky ReLU) makes 8 channels of each $z_i$;
# - a *join* enlarges what came from below by a factor of two (nearest neighbour), normalises it and the 8 new channels, and
#   puts them beside each other: 16, 24, 32, 40 channels;
# - another block works on these, and at the end a 1×1 convolution makes three colours of 40 channels.
#
# All paddings are *circular*: a filter that looks out at the left edge looks in at the right one. A texture has no edges,
# and what comes out can be tiled.

#
# :::{admonition} Check the slide
# :class: warning
# Kitov's slides have *Gaussian* noise; the paper and its authors' code draw it uniformly from $[0, 1]$. Wonka's notes
# give $z_i$ a height and a width only: it has three channels.
# :::

# %%
net = texture_network("starry-night")
noise = net.noise(1, (192, 192), torch.Generator().manual_seed(1))
with torch.no_grad():
    made = net(noise)
generator(noise, made)

# %%
network = TextureNet()
noise = network.noise(1, (256, 256))
rows = []
x = network.inputs[-1](noise[-1])
rows.append(
    ["z₄", "×".join(map(str, noise[-1].shape[1:])), "×".join(map(str, x.shape[1:]))]
)
for join, block, scale in zip(
    network.joins, network.blocks, range(3, -1, -1), strict=True
):
    x = block(join(x, network.inputs[scale](noise[scale])))
    names = ["×".join(map(str, part.shape[1:])) for part in (noise[scale], x)]
    rows.append([f"z{'₀₁₂₃₄'[scale]}", *names])
table(rows, ["noise", "its size", "after its block"])

# %%
weights = sum(p.numel() for p in network.parameters())
print(f"{weights:,} parameters")
assert weights < 100_000 and x.shape == (1, 40, 256, 256)

# %% [markdown]
# No layer fixes the size of the picture; the noise decides it. The network is *fully convolutional*. Two claims to check: any
# size comes out, and the opposite edges fit. If the noise moves around in a circle, by a multiple of 16 pixels (one position of
# the coarsest scale; 32 here), the texture moves with it, and is otherwise the same.

# %%
noise = net.noise(1, (160, 224), torch.Generator().manual_seed(1))
moved = [torch.roll(z, 32 >> k, dims=-1) for k, z in enumerate(noise)]
with torch.no_grad():
    still, shifted = net(noise), net(moved)
difference = (torch.roll(still, 32, dims=-1) - shifted).abs().max()
print(f"largest difference {difference:.1e}")
assert difference < 1e-3 and still.shape[-2:] == (160, 224)
show(
    still,
    torch.roll(still, 112, dims=-1),
    titles=["a sample", "its halves exchanged: where is the seam?"],
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What each scale is for
#
# Draw the noise anew at one scale, keep all the others, and see what changes.

# %%
first = net.noise(1, (192, 192), torch.Generator().manual_seed(2))
other = net.noise(1, (192, 192), torch.Generator().manual_seed(3))
pictures, changes = [], {}
with torch.no_grad():
    base = net(first)
    for scale in range(net.scales):
        made = net(
            [
                new if k == scale else old
                for k, (old, new) in enumerate(zip(first, other, strict=True))
            ]
        )
        pictures.append(made)
        changes[scale] = float(F.avg_pool2d(made - base, 16).abs().mean())
titles = [f"z{'₀₁₂₃₄'[k]} drawn anew: {change:.3f}" for k, change in changes.items()]
assert min(changes[3], changes[4]) > max(changes[0], changes[1])
show(base, *pictures, titles=["before", *titles], columns=3)

# %%
maps = [(made - base).abs().mean(1).cpu() for made in pictures]
highest = float(max(one.max() for one in maps))
show(
    *(heat(one, 0, highest, size=(192, 192)) for one in maps), titles=titles, columns=3
)

# %% [markdown]
# (The numbers: the change of the mean colour of squares of 16×16 pixels.) The coarse scales decide where things are; the fine
# ones only how their grain lies. By way of its filters, a number of $z_0$ reaches 9 pixels across, one of $z_1$ to $z_4$ 22, 48,
# 100 and 140. With $z_0$ alone, nothing larger than 9 pixels could be agreed upon.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Watch it learn
#
# The training is a loop: draw noises $z_1, \dots, z_B$; make $x_k = g(z_k; \theta)$; compute their Gram matrices with the
# descriptor network, and the loss; send the gradient back *through* the descriptor network, which stays fixed, to $\theta$;
# step. All of it in one cell:

# %%
encoder = load_encoder("mini")
prototype = load_or("starry-night", "waves", size=512)
bound = Objective(Match(gram_loss, prototype, STYLE_LAYERS)).at((96, 96), encoder)
learner = TextureNet().to(encoder.device)
adam = torch.optim.Adam(learner.parameters(), lr=0.03)
for step in range(12):
    x = learner(learner.noise(2, (96, 96)))
    loss = sum(bound(x).values())
    adam.zero_grad()
    loss.backward()
    adam.step()
    if step % 4 == 0:
        print(f"step {step + 1}: loss {loss.item():.3f}")

# %%
from styletx.widgets import Panel

main = ("steps", "rate", "diversity", "style_scale")
panel = Panel(
    train_texture,
    style="waves",
    steps=120,
    batch=2,
    size=96,
    rate=0.03,
    schedule="one-cycle",
    main=main,
)
panel.run()
panel

# %% [markdown]
# The paper's own schedule (Wonka 1.5.9) is the default of `train_texture`: weights begun by Xavier's method, Adam with a rate of
# 0.1, multiplied by 0.7 at iteration 1000 and then again every 200, for 2,000 iterations of 16 samples, two hours on an NVIDIA
# Tesla K40. The networks that come with this
# course took 800 steps of two samples of 192 pixels, at a rate that rises to 0.02 and falls to zero.

# %%
fig, axis = plt.subplots(figsize=(6, 2.4), constrained_layout=True)
axis.plot([0.1 * falling(step, 2000) for step in range(2000)], color=CONTENT)
axis.set(xlabel="iteration", ylabel="learning rate", ylim=(0, None))
plt.close(fig)
assert falling(999, 2000) == 1 and abs(falling(1000, 2000) - 0.7) < 1e-12
fig

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Beside the optimisation
#
# The notes say: orders of magnitude faster, and inferior to the eye. Look, and measure what can be measured, with one loss for
# both:

# %%
figure(
    "texture_worth",
    "A texture after 20, 50 and 200 evaluations, and by the network",
)

# %%
judged = numbers("texture_worth")
spent = judged["seconds"]
rows = [["the network, one pass", judged["network"], spent["network"]]]
rows += [
    [f"{count} evaluations", loss, int(count) * spent["evaluation"]]
    for count, loss in judged["evaluations"].items()
]
table(rows, ["", "loss (relative)", "seconds"])

# %%
print(f"One pass is worth {judged['worth']} evaluations, which take "
      f"{judged['worth'] * spent['evaluation'] / spent['network']:.0f} times as long.")  # fmt: skip

# %% [markdown]
# The optimisation goes on: after 200 evaluations its loss is less than a tenth of the network's, and the strokes follow each other
# through whole swirls, which a network of this size, with this training, does not manage. (A loss compares pictures of one kind;
# lecture 08 shows two with one loss of which one is a painting and one is noise.)
#
# And on this machine, with a short optimisation:

# %%
square = resize(prototype, (192, 192))
bound = Objective(Match(gram_loss, square, STYLE_LAYERS)).at((192, 192), encoder)
sample(net, (192, 192))  # once for nothing
start = time.perf_counter()
drawn = sample(net, (192, 192), seed=5)
once = time.perf_counter() - start
start = time.perf_counter()
optimised = reconstruct_style(square, size=192, steps=25).finish(progress=False)
seconds = time.perf_counter() - start
with torch.no_grad():
    losses = [
        float(sum(bound(one.to(encoder.device)).values())) for one in (drawn, optimised)
    ]
print(f"one pass: {once:.3f} s, loss {losses[0]:.4f}")
print(
    f"25 evaluations: {seconds:.1f} s, {seconds / once:.0f} times as long, loss {losses[1]:.4f}"
)
show(drawn, optimised, titles=["the network, one pass", "25 evaluations"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## With a photograph
#
# For style transfer the photo $y$ goes in, too, made smaller for each scale and put beside the noise; $K$ becomes 6, and the
# content loss joins:
#
# $$\theta_{x_0} = \arg\min_\theta \; \mathbf{E}_{z \sim \mathcal{Z};\, y \sim \mathcal{Y}}
# \big[\, {\color{#b5461b}{\mathcal{L}_T(g(y, z;\theta),\, x_0)}} + \alpha\, {\color{#0b6e99}{\mathcal{L}_C(g(y, z;\theta),\, y)}} \,\big] .$$
#
# $\mathcal{Y}$ are photographs, $\mathcal{L}_C = \sum_{l \in L_C} \sum_i \| F_i^l(x) - F_i^l(y) \|^2$ is lecture 03's content
# loss, $\alpha$ its weight. In code: `TextureNet(scales=6, content=True, norm="instance", padding="reflect")`.

# %%
figure(
    "texture_painted",
    "A lighthouse, and three times painted by one network with other noise",
)

# %%
apart = numbers("texture_painted")
print(
    f"another noise changes {apart['apart']:.4f}, painting changed {apart['from photo']:.4f} (mean difference)"
)

# %% [markdown]
# The photo decides where the lighthouse stands, the noise where stars, paths and hills go: another noise changes three
# quarters as much as the painting itself does. How much of the photo is left is the trade of $\alpha$, as in lecture 03; the more
# the photo says, the less the noise decides. Johnson et al. left the noise out altogether (lecture 08).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Instance normalisation
#
# A few months later the same group found what held their networks back {cite}`ulyanov2016instance`. Stylise a photograph of low
# contrast, with two of lecture 08's networks (they take no noise) which differ in their normalisation alone:

# %%
figure(
    "batch_or_instance",
    "A photo and the same with a third of its contrast, painted with batch norm and with instance norm",
)

# %%
changed = numbers("batch_or_instance")
for norm in ("batch", "instance"):
    print(f"{norm} norm: the two paintings differ by {changed[norm]:.3f} on average")

# %% [markdown]
# The contrast of a stylised picture should be the style's, not the photo's. So the network has to divide by the photo's
# contrast, and with convolutions and ReLUs alone that is hard to learn. *Instance normalisation* does it by construction: each
# channel $c$ of each picture $n$ of a batch is normalised over its own positions $j$,
#
# $$y_{ncj} = \frac{x_{ncj} - \mu_{nc}}{\sqrt{\sigma_{nc}^2 + \varepsilon}},$$
#
# $$\mu_{nc} = \frac{1}{HW}\sum_j x_{ncj}, \qquad \sigma_{nc}^2 = \frac{1}{HW}\sum_j (x_{ncj} - \mu_{nc})^2 ,$$
#
# in training and in use alike. *Batch* normalisation takes $\mu_c$ and $\sigma_c^2$ over all pictures of a batch, and in use
# those that it has stored: a pale photo is then as pale to the next layer.
#
# ($H \times W$ positions; $\varepsilon$ keeps the root away from 0; a learnt scale and shift for each channel follow.)
#
# **Claim.** A network whose first convolution mirrors its border and is followed by instance normalisation gives the same
# picture for $x$ and $a x + b$, for every $a > 0$ and $b$, up to $\varepsilon$. *Proof.* Let $f_c$ be what filter $c$ makes of
# $x$, with mean $\mu_c$ and spread $\sigma_c$. A convolution is linear, and with a mirrored border a constant picture stays
# constant: from $ax + b$ the filter makes $a f_c + b s_c$, where $s_c$ is the sum of its weights (its bias is subtracted with the
# mean). Normalised, this is $(f_c - \mu_c) / \sqrt{\sigma_c^2 + \varepsilon / a^2}$: the same as for $x$, but for $\varepsilon/a^2$
# in place of $\varepsilon$; and all later layers see only this. With zeros around the picture the convolution differs at the
# border, and by way of $\mu_c$ and $\sigma_c$ the result differs everywhere. (Nothing may be clipped: $ax + b$ must stay in
# $[0, 1]$ if the picture comes from a file.)

# %%
torch.manual_seed(1)
photo = load_or("kodak-21", "china", size=256)
pale = 0.3 * photo + 0.5
rows = []
for norm in ("instance", "batch"):
    layer = Convolution(3, 16, 9, norm=norm).eval()
    with torch.no_grad():
        kept, faded = layer(photo), layer(pale)
    rows.append(
        [
            f"{norm} norm, mirrored border",
            float((kept - faded).abs().mean() / kept.abs().mean()),
        ]
    )
filters = layer.filters.weight
with torch.no_grad():
    kept, faded = (
        F.instance_norm(F.conv2d(one, filters, padding=4)) for one in (photo, pale)
    )
rows.append(
    [
        "instance norm, zeros around",
        float((kept - faded).abs().mean() / kept.abs().mean()),
    ]
)
mirrored, batch, zeros = (row[1] for row in rows)
assert mirrored < 0.05 < min(batch, zeros)
table(rows, ["after the first layer", "relative change from x to 0.3 x + 0.5"])

# %% [markdown]
# Any weights will do: nothing was trained here. With noise beside the photo the claim no longer holds exactly: a filter adds
# photo and noise *before* the normalisation, and the noise does not fade with the photo.
#
# :::{admonition} What is new in it
# :class: note
# The formula is batch normalisation with a batch of one, in training *and* in use, with nothing stored. Lecture 04 met it as a style loss: the means
# and standard deviations of channels *are* a style. Normalising takes the photo's style away; the learnt scale
# $\gamma_c$ and shift $\beta_c$ behind it put another in. Lecture 10's AdaIN, and a network with many styles, are this step with the right $\gamma$ and $\beta$.
# :::

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Are the samples different?
#
# A generator could satisfy $\mathcal{L}_T$ with one picture for every $z$. {cite:t}`ulyanov2017improved` add a term that asks
# for variety: an estimate of the *entropy* of what the network makes, from a batch of $N$ samples. Each should be far from its
# nearest neighbour,
#
# $$\mathcal{L}_{\text{div}} = -\frac{\lambda}{N} \sum_{i=1}^{N} \ln \min_{j \ne i} \big\| g(z^{(i)}) - g(z^{(j)}) \big\| .$$
#
# In the code it is an `Energy`, a function of the pictures alone: `Energy(closeness, weight=λ)`.

# %%
batch = torch.cat([sample(net, (128, 128), seed) for seed in range(6)])
alike = batch[:1].expand(6, -1, -1, -1) + 0.01 * torch.randn_like(batch)
nearest = {
    name: float((-closeness(one)).exp())
    for name, one in (
        ("samples", batch),
        ("one, six times, with a little noise", alike),
    )
}
print({name: round(value, 4) for name, value in nearest.items()})
by_hand = torch.cdist(batch.flatten(1), batch.flatten(1)) / batch[0].numel() ** 0.5
by_hand = by_hand.fill_diagonal_(float("inf")).amin(1).log().mean().exp()
assert abs(float(by_hand) - nearest["samples"]) < 1e-3
assert nearest["samples"] > 5 * min(nearest.values())

# %% [markdown]
# (The geometric mean of the distance to the nearest other sample, with $\|\cdot\|$ divided by $\sqrt{3HW}$, which shifts
# $\mathcal{L}_{\text{div}}$ by a constant.) With the term in the training,
# and without:

# %%
figure(
    "diversity_loss",
    "Four samples each of two networks for The Scream, without and with the diversity term",
)

# %%
apart = numbers("diversity_loss")
print({f"λ = {weight}": round(apart[weight], 3) for weight in ("0.0", "0.03")})
assert apart["0.03"] > 1.2 * apart["0.0"]

# %% [markdown]
# The nearest of eight samples is further away, by half. Look at how: besides placing things differently, the second network paints
# in stronger contrasts and larger patches. That, too, takes samples apart.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it

# %%
panel = Panel("texture", texture="composition-vii", size=384)
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# ```{exercise} Between two samples
# :label: texture-between
# Mix the noise of two seeds, $(1-t)\,z + t\,z'$, for five $t$ from 0 to 1, and show what comes out. Is the middle as sharp as the
# ends? What is the variance of the mixed noise, and how would you keep it?
# ```
#
# ```{solution} texture-between
# :class: dropdown
# The mixture's variance is $(1-t)^2 + t^2$ times that of either: half in the middle, where the picture is smoother. Subtract the
# mean of ½, divide by $\sqrt{(1-t)^2 + t^2}$, add it again.
#
#     mixtures = []
#     for t in (0, 0.25, 0.5, 0.75, 1):
#         spread = ((1 - t) ** 2 + t**2) ** 0.5
#         mixed = [0.5 + ((1 - t) * (a - 0.5) + t * (b - 0.5)) / spread for a, b in zip(first, other)]
#         with torch.no_grad():
#             mixtures.append(net(mixed))
#     show(*mixtures, columns=5)
# ```
#
# ```{exercise} Noise of another kind
# :label: texture-noise
# The network was trained with uniform noise. Give it constant noise (all ½), and noise that is twice as strong. What does it show
# about how it makes its patterns?
# ```
#
# ```{solution} texture-noise
# :class: dropdown
# Circular padding, nearest upsampling and the norms keep a constant constant: the picture is one flat colour. Every form comes
# from the noise. Stronger noise makes other contrasts and colours than the texture has: batch
# normalisation uses stored spreads.
#
#     flat, strong = [z * 0 + 0.5 for z in first], [0.5 + 2 * (z - 0.5) for z in first]
#     with torch.no_grad():
#         show(net(flat), net(strong), titles=["constant", "twice as strong"])
# ```
#
# ```{exercise} How few scales?
# :label: texture-scales
# Train with `scales=2` and `scales=5` for 150 steps each (size 96). Which structures does the first miss?
# ```
#
# ```{solution} texture-scales
# :class: dropdown
# A number of $z_0$ reaches 9 pixels across, and one of two scales' $z_1$ 14: the network has the colours and the grain, and
# cannot place anything larger.
#
#     made = [train_texture("waves", steps=150, batch=2, size=96, rate=0.03, schedule="one-cycle", scales=k).finish()
#             for k in (2, 5)]
#     show(*made, titles=["2 scales", "5 scales"])
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, authors' code, ours
#
# | | Ulyanov et al. 2016 | their code, branch `texture_nets_v1` | here |
# |---|---|---|---|
# | descriptor network | VGG-19 | the same, with Caffe's weights | `mini` |
# | texture layers | relu1_1, 2_1, 3_1, 4_1, 5_1 | the same | the same |
# | loss | $\lVert G - G_0\rVert_F^2$ | mean squared difference of $G/(CHW)$ | relative to the texture's own |
# | scales, channels | 5 (6 with a photo), 8 each | 6, 8 each | as the paper |
# | noise | uniform in [0, 1], 3 channels | the same | the same |
# | photo at a coarse scale | made smaller | the mean of each square | the mean of each square |
# | padding | circular | circular; can be switched off | circular; reflect with a photo |
# | normalisation | batch | batch; instance in later versions | batch; instance with a photo |
# | last layer | 1×1 | the same | and a sigmoid |
# | optimiser | Adam, 0.1 falling, 2,000 of 16 | Adam, 0.1 × 0.8 every 300, 1,500 of 16 | Adam, 0.02 up and down, 800 of 2 |
# | samples | 256 pixels | the same | 192 pixels |
#
# ## How it fails
#
# - *Every sample is nearly the same*: collapse; the diversity term is against it.
# - *The same motif repeats at regular distances*: samples of the training that were small beside the texture's patterns.
# - *Seams*: zero padding, or a size that is no multiple of 16 and was cropped.
# - *A pale photo gives a pale painting*: batch normalisation.
#
# ## What to read next
#
# The paper {cite}`ulyanov2016texture`; {cite:t}`ulyanov2016instance`, short, and in nearly every style network since; and
# {cite:t}`ulyanov2017improved`, with the diversity term.
