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
# # 03 · Style as correlation: Gatys et al.
#
# By the end of this lecture you will be able to
#
# - say what *content* and *style* are to Gatys, Ecker and Bethge, in one formula each;
# - write their objective in one cell, and stylise a photo of your own with it;
# - derive both gradients by hand, and check them against autograd;
# - predict what happens when a layer, a weight, the start or the optimiser is changed;
# - convert the α and β of one paper into those of another.

# %% slideshow={"slide_type": "slide"}
import matplotlib.pyplot as plt
import torch

from styletx import (
    Energy,
    Match,
    Objective,
    content_loss,
    describe_device,
    gatys,
    gram,
    gram_loss,
    load_encoder,
    load_or,
    resize,
    show,
    synthesize,
    total_variation,
    value_range,
)
from styletx.course.figures import table
from styletx.course.gallery import figure, numbers
from styletx.losses import CONVENTIONS, convention_factor
from styletx.methods.gatys import STYLE_LAYERS

torch.manual_seed(0)
print("this lecture runs on", describe_device())

# %% slideshow={"slide_type": "slide"}
figure(
    "six_paintings",
    "Six paintings; what each makes of one photograph of a lighthouse; and a part of that, larger",
)

# %% [markdown]
# One photograph in six paintings, each by `gatys(photo, painting, size=384, steps=250)`. Figures that take long
# are kept with the course, and `make gallery` makes them again.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Two questions to a layer
#
# Let $F^l \in \mathbb{R}^{N_l \times M_l}$ be the features of a picture $\mathbf{x}$ at layer $l$: $N_l$ channels in rows,
# $M_l$ positions in columns. $P^l$ are the features of the content picture $\mathbf{p}$.
# {cite:t}`gatys2016image` ask a layer two different questions.
#
# **What is where?** The <span class="content">content</span> loss compares position by position (their Eq. 1):
#
# $$\mathcal{L}_{\text{content}}(\mathbf{p}, \mathbf{x}, l) = \tfrac12 \sum_{i,j} \left(F^l_{ij} - P^l_{ij}\right)^2.$$
#
# **What goes with what, anywhere?** The Gram matrix $G^l$ sums over the positions and keeps which channels fire
# *together* (Eq. 3); the <span class="style">style</span> loss compares it with $A^l$, that of the style picture
# $\mathbf{a}$ (Eq. 4):
#
# $$G^l_{ij} = \sum_k F^l_{ik} F^l_{jk},$$
#
# $$E_l = \frac{1}{4 N_l^2 M_l^2} \sum_{i,j} \left(G^l_{ij} - A^l_{ij}\right)^2, \qquad
# \mathcal{L}_{\text{style}} = \sum_l w_l E_l .$$
#
# $w_l$ is the weight of a layer (the paper: 1/5 for each of five). Eq. 4 takes the two pictures to be of one size; for
# others each Gram matrix is divided by its own $M_l$, as `gram` does here. The picture sought is the minimiser of
# $\alpha\,\mathcal{L}_{\text{content}} + \beta\,\mathcal{L}_{\text{style}}$, over the *pixels* of $\mathbf{x}$: α and β say
# how much content and style count. No network is trained.

# %% [markdown]
# :::{admonition} Check the slide
# :class: warning
# Kitov's slides swap the letters: there $A$ belongs to $\mathbf{x}$, and $G$ is the target, which they take "from
# $\Phi(x_c)$", the content picture. The target has to be the Gram matrix of the style picture ($\mathbf{a}$ here, $x_s$
# there): otherwise nothing of the painting would enter the objective, and the photo itself would be its minimum. The
# cell after the next one settles it.
# :::

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The same thing in one cell
#
# Two more terms keep the picture decent. *Total variation*, with a small weight γ, asks for a smooth picture; *value
# range* pulls back what leaves [0, 1]. With bars for means over the pixels:
#
# $$\mathrm{TV} = \overline{(x_{i+1,j}-x_{i,j})^2} + \overline{(x_{i,j+1}-x_{i,j})^2},$$
#
# $$\mathrm{range} = \overline{\left(x - \min(1, \max(0, x))\right)^2}.$$

# %%
content = load_or("kodak-21", "china", size=256)
style = load_or("starry-night", "stained-glass", size=256)
alpha, beta, gamma = 1.0, 50.0, 0.1

objective = Objective(
    Match(content_loss, content, layers=("relu3_1", "relu4_2"), weight=alpha),
    Match(gram_loss, style, layers=STYLE_LAYERS, weight=beta),
    Energy(total_variation, weight=gamma),
    Energy(value_range, weight=10.0),
)
run = synthesize(objective, start=content, steps=120, keep_detail=True)
steps = list(run)
for step in steps[::20]:
    print(
        f"{step.size[1]:>4}×{step.size[0]:<4} {step.evaluations:>4} evaluations   loss {step.loss:.3f}"
    )
show(content, style, run.best, titles=["content", "style", "ours"])

# %% [markdown]
# `Match` is a loss between the picture and a reference at some layers, `Energy` is asked of the picture alone, and
# `synthesize` gives a *run*: an iterable of steps. (`keep_detail` is explained under *Coarse to fine* below.) A loss in
# turn is a statistic of the features and a distance between two of them: `gram_loss` is
# `Loss(gram, mean_squared, name="gram")`. `gatys(content, style, loss="gram", size=256, steps=120)` is this cell. (Without
# `loss="gram"` it has one term more, and *What the mean hides* says why.)
#
# The losses here are *relative*: each layer is divided by what its loss would be if all features of the picture were 0,
# the mean of $P^2$ for content and of $A^2$ for style. So a weight means the same at every size and with every encoder;
# more about this below. The paper's content layer is relu4_2 alone; relu3_1 beside it keeps faces and windows from
# dissolving.

# %%
first = next(gatys(content, style, loss="gram", size=256, steps=120))
assert abs(first.loss - steps[0].loss) < 1e-4 * first.loss

wrong = Objective(Match(gram_loss, content, STYLE_LAYERS)).at(
    content.shape[-2:]
)  # the slide's target
value = float(wrong(content.to(wrong.device))["gram"])
print(
    f"style loss of the photo itself with the slide's target: {value:.1e}, whatever the painting"
)
assert value < 1e-9

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The Gram matrix forgets where
#
# A sum over positions does not see their order. Shuffle the positions of a layer, and the Gram matrix stays.

# %%
encoder = load_encoder("mini", device="cpu")
F = encoder(style, "relu2_1")["relu2_1"]
order = torch.randperm(F[0, 0].numel())
shuffled = F.flatten(2)[..., order].view_as(F)

change = (gram(shuffled) - gram(F)).norm() / gram(F).norm()
print(f"relative change of the Gram matrix: {change:.1e}")
print(f"relative change of the features:    {(shuffled - F).norm() / F.norm():.2f}")
assert change < 1e-5

# %%
fig, axes = plt.subplots(1, 4, figsize=(11, 2.9), constrained_layout=True)
for axis, values, title in zip(
    axes,
    [F[0].mean(0), shuffled[0].mean(0), gram(F)[0], gram(shuffled)[0]],
    ["features (mean)", "shuffled", "Gram matrix", "of the shuffled"],
    strict=True,
):
    axis.imshow(values, cmap="magma")
    axis.set_title(title)
    axis.axis("off")
plt.show()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What each layer keeps
#
# Ask for the <span class="content">content</span> of one layer, from noise and with nothing else in the objective but
# the range of values. Early layers give the photo back; deep ones keep what is where, and leave the rest free. (The row
# ends where `mini` ends, at relu5_1; the paper's goes to conv5_2.)

# %%
figure(
    "content_reconstruction",
    "The lighthouse, reconstructed from noise at layers relu1_2 to relu5_1",
)

# %% [markdown]
# Ask for the <span class="style">style</span> of one layer, then two, up to five. What is reproduced grows from colours
# to strokes to whole swirls; where things are in the painting is never part of it.

# %%
figure(
    "style_reconstruction",
    "Starry Night's texture, reconstructed from noise with one to five layers",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What the mean hides
#
# Let $\mu$ be the mean of the features at a layer, each channel's over all positions, and $\Sigma$ their covariance, both
# divided by $M$. Write a feature as $f_k = \mu + (f_k - \mu)$; the mixed terms sum to zero, and
#
# $$\frac1M\sum_k f_k f_k^\top = \Sigma + \mu\mu^\top .$$
#
# So a Gram matrix says two things at once: how strongly each channel fires on average, and how they vary *together*. After
# a ReLU nothing is negative, so no mean cancels out. How much of $A$ is $\mu\mu^\top$? With the norms of the two parts and
# their inner product,
#
# $$\lVert A\rVert^2 = \lVert\Sigma\rVert^2 + \lVert\mu\mu^\top\rVert^2 + 2\,\mu^\top\Sigma\,\mu .$$

# %%
rows = []
for layer, F in load_encoder("mini", device="cpu")(style, STYLE_LAYERS).items():
    A = gram(F)[0].double()
    mu = F.double().mean((2, 3))[0]
    sigma = A - torch.outer(mu, mu)
    assert torch.allclose(
        sigma,
        torch.cov(F[0].flatten(1).double(), correction=0),
        atol=1e-6 * float(A.abs().max()),
    )
    parts = sigma.square().sum(), mu.square().sum() ** 2, 2 * mu @ sigma @ mu
    assert torch.allclose(sum(parts), A.square().sum())
    rows.append([layer, *(float(part / A.square().sum()) for part in parts)])
assert all(
    of_the_mean > 0.9 for _, _, of_the_mean, _ in rows[3:]
)  # at relu4_1 and relu5_1
table(rows, ["layer", "‖Σ‖² / ‖A‖²", "‖μμᵀ‖² / ‖A‖²", "2 μᵀΣμ / ‖A‖²"])

# %% [markdown]
# Relative to $\lVert A\rVert^2$, the deep layers' losses are mostly about their means: once these agree, what is left of
# the loss is small, and so is its pull. But which channels fire together is what a stroke is. So `gatys` adds a second
# term, *strokes*: the covariances at relu4_1 and relu5_1, relative to $\lVert\Sigma_A\rVert^2$, with a tenth of the
# weight that the Gram matrices have there. That is enough. With covariances alone at these layers the strokes win over the
# photo:

# %%
figure("gram_and_covariance", "The lighthouse and Starry Night; with Gram matrices alone; with covariances beside them; "
       "with covariances alone at the deep layers")  # fmt: skip

# %% [markdown] slideshow={"slide_type": "slide"}
# ## α against β
#
# With a large α/β the photo stays; with a small one the painting takes over.

# %%
figure("alpha_beta", "The lighthouse stylised with five ratios of alpha to beta")

# %%
losses = numbers("alpha_beta")["losses"]
fig, axis = plt.subplots(figsize=(4.6, 3), constrained_layout=True)
axis.plot(
    [v["content"] for v in losses.values()],
    [v["style"] for v in losses.values()],
    "o-",
    color="#444",
)
for caption, value in losses.items():
    axis.annotate(
        caption,
        (value["content"], value["style"]),
        xytext=(6, 4),
        textcoords="offset points",
        fontsize=8,
    )
axis.set(xscale="log", yscale="log", title="You pay for one with the other")
axis.set_xlabel("content loss", color="#0b6e99")
axis.set_ylabel("style loss", color="#b5461b")
axis.margins(x=0.25, y=0.15)
plt.show()

# %% [markdown]
# The slides of Ayala and Wolters turn the same knob and call it γ (theirs is the style's weight, not our γ), from 0.1
# to 10; here, these are multiples of our 50:

# %%
figure("gamma", "The lighthouse stylised with gamma from 0.1 to 10")

# %% [markdown] slideshow={"slide_type": "slide"}
# ### In class: which picture has which losses?

# %%
figure(
    "four_pictures",
    "Four pictures, A to D",
)

# %% [markdown]
# Match the four pictures to: *large content and large style loss*; *small content, large style*; *small content and small
# style*; *large content, small style*. The content picture is the lighthouse, the style is the Great Wave.
#
# :::{admonition} Answer
# :class: dropdown
# A is noise: both large. B has the painting's statistics and nothing of the photo: large content, small style. C is the
# stylised picture: both small. D is the photo itself: its content loss is 0, its style loss large. The next cell has
# the values.
# :::

# %% tags=["hide-output"]
for letter, value in numbers("four_pictures")["losses"].items():
    print(f"{letter}: content {value['content']:8.4f}   style {value['style']:8.4f}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Gradients by hand
#
# With $G = F F^\top$ and $E = \frac{1}{N^2M^2}\sum_{ij}(G_{ij}-A_{ij})^2$, the loss of Wonka's notes (Gatys' $E_l$ is a
# quarter of it). A change $dF$ changes $G$ by $dG = dF\,F^\top + F\,dF^\top$, and
# $dE = \frac{2}{N^2M^2}\sum_{ij}(G-A)_{ij}\,dG_{ij}$. Collecting what stands before $dF$:
#
# $$\frac{\partial E}{\partial F} = \frac{2}{N^2M^2}\left[(G-A)F + (G-A)^\top F\right] = \frac{4}{N^2M^2}(G-A)F,$$
#
# because $G - A$ is symmetric. The notes (1.4.7) have the factor 2 for this $E$. They and the paper set the gradient
# to zero where $F_{ij} \le 0$: this belongs to the gradient with respect to the value *before* the ReLU, which is what
# flows back through the network; the derivative with respect to $F$ has no such case. The content loss of the paper has
# $\partial\mathcal{L}_{\text{content}}/\partial F = F - P$. The cell checks the factor 4, the zeros, and $F - P$.

# %%
N, M = 4, 30
before = torch.randn(N, M, dtype=torch.float64, requires_grad=True)
A = torch.randn(N, N, dtype=torch.float64)
A = A + A.T

after = before.relu()
E = (after @ after.T - A).square().sum() / (N * M) ** 2
autograd, unmasked = torch.autograd.grad(E, (before, after))
with torch.no_grad():
    slope = 4 / (N * M) ** 2 * (after @ after.T - A) @ after
    by_hand = slope * (before > 0)
print(f"largest difference to autograd: {(autograd - by_hand).abs().max():.1e}")
print(
    f"autograd / (the slide's, with 2): {(autograd / (by_hand / 2))[before > 0].mean():.3f}"
)
assert torch.allclose(autograd, by_hand) and torch.allclose(unmasked, slope)

P, F_free = torch.randn(N, M), torch.randn(N, M, requires_grad=True)
(content_slope,) = torch.autograd.grad(0.5 * (F_free - P).square().sum(), F_free)
assert torch.allclose(content_slope, F_free - P)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A large entry is not a similarity
#
# A slide of Ayala and Wolters reads the Gram matrix as the similarity of filters: a large entry for two that are alike.
# That holds between filters of equal norm only. The same slide has the formula that says so,
# $F_i\cdot F_j = |F_i|\,|F_j|\cos\theta_{ij}$ for two rows of $F$. Two strong channels that hardly agree beat two weaker ones that
# agree much better:

# %%
channels = encoder(style, "relu4_1")["relu4_1"][0].flatten(1)
norms = channels.norm(dim=1)
G = channels @ channels.T
cosine = G / (norms[:, None] * norms).clamp(min=1e-12)
off = ~torch.eye(len(G), dtype=torch.bool) & (norms[:, None] * norms > 0)

i, j = divmod(int(torch.where(off & (cosine < 0.3), G, -1).argmax()), len(G))
m, n = divmod(int(torch.where(off & (G < G[i, j] / 2), cosine, -1).argmax()), len(G))
print(f"channels {i:>3} and {j:>3}: entry {G[i, j]:10.0f}, cosine {cosine[i, j]:.2f}")
print(f"channels {m:>3} and {n:>3}: entry {G[m, n]:10.0f}, cosine {cosine[m, n]:.2f}")
assert G[i, j] > G[m, n] and cosine[i, j] < cosine[m, n]

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Many losses of one name
#
# Every source divides by something else. The numbers α and β are worth nothing without it. Our raw losses first, before
# `gatys` makes them relative:

# %%
N, M = 512, 64 * 64  # conv4_2 at 512×512 pixels
factors = {
    name: [convention_factor(name, term, N, M) for term in ("content", "style")]
    for name in CONVENTIONS
}
c0, s0 = factors["Gatys et al. 2016; Kitov"]
rows = [
    [name, f"{c:.4g}", f"{s:.4g}", f"{1e-3 * (c0 / c) / (s0 / s):.3g}"]
    for name, (c, s) in factors.items()
]
table(
    rows,
    [
        "source",
        "content loss / ours",
        "style loss / ours",
        "α/β that means Gatys' 10⁻³",
    ],
)

# %% [markdown]
# (Ours has G divided by M, and the factors take that into account; N = 512 channels, M = 4096 positions. For style, read them at conv4_1, which has the same N and M;
# in the last three rows the factor differs from layer to layer, so that the $w_l$ would have to change with it. Each
# factor is tested against the formula as its source prints it.) The ratio $10^{-3}$ of the paper would be about
# $4\cdot10^{3}$ in that of Wonka's notes.
#
# This is why weights in this course are relative: each layer is divided by what its loss is without any features, which
# for Gram is the mean of $A_{ij}^2$. The loss is then a relative squared error: 50 means fifty times as important at every
# size, and however large an encoder's features are. With `mini`, and with a `mini` whose features are ten times as large,
# from 96 to 256 pixels:

# %%
sizes, values = (96, 128, 192, 256), {}
louder = load_encoder("mini", device="cpu")
with torch.no_grad():
    for (
        name,
        parameter,
    ) in louder.named_parameters():  # a bias adds to what is ten times as large by then
        parameter.mul_(10 if "conv1_1" in name or "bias" in name else 1)
for name, network in {"mini": encoder, "ten times as large": louder}.items():
    for kind in ("raw", "relative"):
        objective = Objective(
            Match(gram_loss, style, STYLE_LAYERS), relative=kind == "relative"
        )
        views = [resize(content, size) for size in sizes]
        values[name, kind] = [
            float(objective.at(x.shape[-2:], network)(x)["gram"]) for x in views
        ]
table([[*key, *(f"{value:.3g}" for value in row)] for key, row in values.items()],
      ["encoder", "loss", *(f"{size} px" for size in sizes)])  # fmt: skip

# %%
raw, relative = (
    [v for (_, kind), row in values.items() if kind == name for v in row]
    for name in ("raw", "relative")
)
print(
    f"largest over smallest: raw {max(raw) / min(raw):.0f}, relative {max(relative) / min(relative):.1f}"
)
assert max(relative) < 3 * min(relative) and max(raw) > 1000 * min(raw)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## L-BFGS against Adam
#
# The objective is smooth but for the kinks of ReLU and maximum, its gradient comes at the price of one more pass, and one
# picture is all there is to optimise: made for a quasi-Newton method. With $s_k = x_{k+1} - x_k$ and
# $y_k = \nabla\mathcal{L}(x_{k+1}) - \nabla\mathcal{L}(x_k)$, L-BFGS {cite}`liu1989limited` keeps the last dozen pairs and
# builds from them an estimate $H$ of the inverse curvature that is right along the newest step, $H y_k = s_k$. It goes
# along $-H\nabla\mathcal{L}$, to a point where the loss has fallen enough and the slope has flattened enough (the strong
# Wolfe conditions); finding it may take several evaluations.

# %%
curves = numbers("optimisers")["curves"]
fig, axis = plt.subplots(figsize=(5.2, 3), constrained_layout=True)
for (name, points), label, style_ in zip(
    curves.items(), ("L-BFGS", "Adam, rate 0.02"), ("-", "--"), strict=True
):
    axis.plot(*zip(*points, strict=True), style_, color="#444", label=label)
axis.set(
    yscale="log",
    xlabel="evaluations of objective and gradient",
    ylabel="objective",
    title="256 pixels, one level",
)
axis.legend(frameon=False)
plt.show()
newton, adam = curves.values()
as_low = next(evaluation for evaluation, value in newton if value <= adam[-1][1])
print(f"where Adam is after {adam[-1][0]} evaluations, L-BFGS was after {as_low}")

# %%
figure("optimisers", "The lighthouse after 300 evaluations of L-BFGS and of Adam")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Where the optimisation starts
#
# The objective has many minima. All four results keep the photo's layout, since the content term asks for it. Content
# and style together come out lowest from the photo, and 13 to 18 % higher from the others; the strokes lie elsewhere in
# each, and from the painting the moon of *Starry Night* stays where it was.

# %%
figure(
    "starts",
    "Four results: started from the photo, from two noise pictures, and from the painting",
)

# %%
losses = numbers("starts")["losses"]
rows = [
    [name, v["content"], v["style"], v["content"] + 50 * v["style"]]
    for name, v in losses.items()
]
assert all(1.12 < row[-1] / rows[0][-1] < 1.19 for row in rows[1:])
table(rows, ["", "content", "style", "content + 50 · style"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Coarse to fine
#
# A network sees a neighbourhood of fixed size (lecture 01). In a large picture that is a small part of things, so the
# strokes become small too. Starting small makes large strokes, and most evaluations cheap: each level has half the size
# of the next one, and none less than 112 pixels, so a picture of 512 pixels begins at 128.
#
# From one level to the next only what has *changed* is enlarged. With $x_0$ the start at the larger size, and ↑, ↓
# for resizing to the larger and the smaller one,
#
# $$x_{\text{large}} = x_0 + \uparrow\!\left(x_{\text{small}} - \downarrow x_0\right),$$
#
# so that the start keeps the fine detail that the small picture could not hold. Multigrid methods correct a fine solution
# by a coarse one in this way. `gatys` does it unless it starts from noise, whose detail is not worth keeping; in
# `synthesize` it is the argument `keep_detail`.

# %%
figure("coarse_to_fine", "The same budget spent at 512 pixels only, and coarse to fine")

# %% [markdown]
# Max or average pooling? {cite:t}`gatys2016image` found that averages give "slightly more appealing results". Judge for
# yourself, and remember that it is one pair of pictures:

# %%
figure("pooling", "The lighthouse with max pooling and with average pooling")

# %% [markdown]
# And the size of the strokes is a choice, too: scale the painting before its Gram matrices are taken.

# %%
figure("scales", "The lighthouse with the painting at half, equal and twice the size")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Who is pulling?
#
# With `shares=True` each step gives the norm of each term's gradient, as a share of the sum of these norms. In the first
# step the content does not pull at all, since the picture *is* the photo: all is style, and a little total variation.
# The content answers as soon as something has been moved.

# %%
run = gatys(content, style, size=160, steps=50, levels=1, shares=True)
history = [step.shares for step in run]
fig, axis = plt.subplots(figsize=(5.2, 2.6), constrained_layout=True)
names = ["content", "style", "total_variation", "value_range"]
axis.stackplot(range(len(history)), [[h[n] for h in history] for n in names],
               labels=[n.replace("_", " ") for n in names], colors=["#0b6e99", "#b5461b", "#9aa5ab", "#d5dadd"])  # fmt: skip
axis.set(
    xlabel="step",
    ylabel="share of the gradient",
    xlim=(0, len(history) - 1),
    ylim=(0, 1),
)
axis.legend(loc="upper right", fontsize=8)
plt.show()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it
#
# Any photo, any painting, every knob. In JupyterLab and in Colab the panel is live; in the book it shows a finished run
# whose steps you can scrub through.

# %%
from styletx.widgets import Panel

panel = Panel("gatys", content="china", style="stained-glass", size=192, steps=80)
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# ```{exercise} Texture synthesis
# :label: gatys-texture
# Leave the content term out and start from noise. What do you lose without the first of the
# five layers, without the last, and with the first alone?
# ```

# %% [markdown]
# :::{solution-start} gatys-texture
# :class: dropdown
# :::
#
# `reconstruct_style` is that objective. Dropping `relu1_1` is hard to see, dropping `relu5_1` costs the largest
# structures, and with `relu1_1` alone only colours are left.

# %%
from styletx import reconstruct_style

kept = {
    "all five": STYLE_LAYERS,
    "without relu1_1": STYLE_LAYERS[1:],
    "without relu5_1": STYLE_LAYERS[:4],
    "relu1_1 alone": STYLE_LAYERS[:1],
}
textures = [
    reconstruct_style("mosaic", layers, size=160, steps=100).finish(progress=False)
    for layers in kept.values()
]
show(*textures, titles=list(kept), height=2.0)

# %% [markdown]
# :::{solution-end}
# :::

# %% [markdown]
# ```{exercise} A style loss without products
# :label: gatys-mean
# Write a `Loss` whose statistic is the mean of each channel only, and stylise with it. What is lost?
# ```

# %% [markdown]
# :::{solution-start} gatys-mean
# :class: dropdown
# :::
#
# The mean of a channel says how strongly it fires on average, not with whom: colours and densities of strokes come
# across, their directions and shapes much less.

# %%
from styletx import Loss, mean_squared

mean_loss = Loss(
    lambda features, weights=None: features.mean((2, 3)), mean_squared, name="mean"
)
objective = Objective(
    Match(content_loss, content, ("relu3_1", "relu4_2")),
    Match(mean_loss, style, STYLE_LAYERS, weight=50.0),
    Energy(total_variation, weight=gamma),
    Energy(value_range, weight=10.0),
)
means = synthesize(objective, start=content, steps=120, keep_detail=True).finish(
    progress=False
)
show(steps[-1].image, means, titles=["Gram matrices", "means only"], height=2.2)

# %% [markdown]
# :::{solution-end}
# :::

# %% [markdown]
# ```{exercise} A yardstick for each layer
# :label: gatys-relative
# With relative weights a Gram `Match` of weight 3 is 3 at a picture without any features. Why is that not the black
# picture? For which of the encoders `mini` and `laplacian` (a pyramid of differences between blurred pictures, without
# any weights) is it?
# ```

# %% [markdown]
# :::{solution-start} gatys-relative
# :class: dropdown
# :::
#
# A convolution has a bias, and the network was shown pictures that are centred: black is a colour like any other to it.
# `laplacian` is a pyramid of band-passes without any bias, and black has no bands.

# %%
for name, layer in (("mini", "relu3_1"), ("laplacian", "band2")):
    level = Objective(Match(gram_loss, style, layer, weight=3.0)).at(
        content.shape[-2:], name, device="cpu"
    )
    print(f"{name:>9}: {float(level(torch.zeros_like(content))['gram']):.3f}")

# %% [markdown]
# :::{solution-end}
# :::

# %% [markdown]
# ```{exercise} From one paper to another
# :label: gatys-convert
# Luan et al. (lecture 12) write $\alpha = 1$ for the content and $\Gamma = 100$ for the style, on their losses. Which
# $\beta/\alpha$ is that in the normalisation of Wonka's notes, at a layer with 512 channels and 64×64 positions? And what
# happens to it when the picture becomes twice as large?
# ```

# %% [markdown]
# :::{solution-start} gatys-convert
# :class: dropdown
# :::
#
# A loss that is $f$ times ours, with the weight $w$, is ours with the weight $w f$. Their content loss is 1/2 of ours,
# their style loss $M^2/2$: so $\beta/\alpha = 100\,M^2$, which grows with the fourth power of the side.

# %%
for side in (64, 128):
    content_factor, style_factor = (
        convention_factor("Luan et al. 2017; Ranjan", term, 512, side**2)
        for term in ("content", "style")
    )
    print(f"{side}×{side} positions: β/α = {100 * style_factor / content_factor:.3g}")
assert 100 * style_factor / content_factor == 100 * side**4

# %% [markdown]
# :::{solution-end}
# :::

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Paper, authors' code, ours
#
# | | the paper (2016) | the authors' code | `gatys()` |
# |---|---|---|---|
# | network | VGG-19, filters rescaled to mean activation 1 | the same weights | `mini`, VGG-19 at a fifth to a half of its width, trained towards it (lecture 01); any other by name |
# | one scale for all | rescaled filters | rescaled filters | relative weights, layer by layer; rescaled filters of `mini` would let channels rule that hardly ever fire |
# | pooling | average | max | max; `pooling="avg"` |
# | padding | not stated | zeros | mirrored in `mini`, so that no dark frame enters the Gram matrix |
# | content layer | conv4_2, after the ReLU | after the ReLU | `relu3_1` and `relu4_2`, half each: here the name says which |
# | style layers | conv1_1 … conv5_1, weights 1/5 | the same layers, weights 10³/N² | `relu1_1` … `relu5_1`, 1/5 each of a relative loss |
# | content loss | ½ Σ | mean | mean, over that of the photo's features |
# | style loss | Σ / (4N²M²) | mean, G divided by M | mean, G divided by M, over that of the painting's G; beside it a little of the covariances at `relu4_1` and `relu5_1` |
# | α/β | 5·10⁻⁴ to 5·10⁻³; here 10⁻³ | content 1, style 10³/N² for each layer | 1/50, relative |
# | start | noise | content | content; `start="noise"` |
# | sizes | one | 512, then 800 from the enlarged result | coarse to fine; `levels=1` |
# | optimiser | L-BFGS | L-BFGS | L-BFGS; `optimizer="adam"` |
# | also asked | nothing | nothing | a little total variation; values pulled into [0, 1] |
#
# `gatys(..., encoder="vgg19", recipe="paper")` follows the first column as nearly as torchvision's weights allow, wherever
# they can be had; the painting is resized to the picture's area.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How it fails

# %%
figure(
    "failures",
    "As it should be; five failures: only colours, noise left over, content lost, blur, and a drawing that gives no colour",
)

# %% [markdown]
# - *Only colours*: the first layer alone knows 3×3 pixels.
# - *Noise left over*: from noise, the budget ended before the coarse structure came. Use more evaluations, or more levels.
# - *Content lost*: β so large that the content's share of the gradient is nothing.
# - *Blur*: total variation so strong that strokes cost more than they gain.
# - *Grey*: the painting is a drawing. The objective did what it was asked for.
#
# ## What to read next
#
# The texture paper {cite}`gatys2015texture` explains the Gram matrix better than the famous one. Why it works at all,
# and what else would, is the subject of {cite:t}`li2017demystifying`; {cite:t}`novak2016improving` tried
# what improves it. For L-BFGS read chapters 3 and 7 of {cite:t}`nocedal2006numerical`.
