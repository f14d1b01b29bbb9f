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
# # 05c · A museum of losses: patches, edges, critics, depth and time
#
# By the end of this room you will be able to
#
# - say what a patch loss sees that no distribution of single features can;
# - keep edges, or the depth of a scene, while everything else is repainted;
# - let a critic learn what a style looks like, and say why L-BFGS must not be used with it;
# - stylise two frames of a film, or two views of a scene, so that they stay one world.

# %% slideshow={"slide_type": "slide"}
import torch

from styletx import (
    Energy,
    Match,
    Objective,
    content_loss,
    describe_device,
    gram_loss,
    load_encoder,
    load_or,
    show,
    synthesize,
    total_variation,
    value_range,
)
from styletx.course.figures import heat, table
from styletx.course.gallery import figure, numbers
from styletx.images import noise_like
from styletx.losses import (
    adversarial_loss,
    consistency_mask,
    laplacian_loss,
    mrf_loss,
    reshuffle_loss,
    semantic_loss,
    stereo_disparity,
    temporal_loss,
)
from styletx.losses.motion import Warped
from styletx.losses.patches import nearest_patches, patches
from styletx.methods.strokes import hierarchical_loss, stroke_loss, stroke_weights
from styletx.networks import depth_encoder, depth_loss
from styletx.samples.scenes import moved, random_scene
from styletx.segments import cluster

torch.manual_seed(0)
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
print("this lecture runs on", describe_device())

# %% slideshow={"slide_type": "slide"}
figure(
    "structure",
    "A photograph, and the same stylised with Gram matrices, with its edges kept as well, with its depth kept as well; below, the depth that a network sees in each",
)

# %% [markdown]
# One photo and one painting; below each picture the depth that a network sees in it. Gram matrices take no account of what stands before what. Asking for the photo's edges,
# or for its depth, keeps the scene together; the paint stays the same.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Patches: a Markov random field
#
# Most losses of the last room look at one position at a time; the transformed and the multi-scale Gram matrix look a little
# further. {cite:t}`li2016combining` compare 3×3 *patches* of features: each of the $n$ patches $\Psi_i$ of the
# picture, $P$ numbers each, is pulled to the one of the style that it is most like already,
#
# $$\mathcal{L}_{\text{MRF}} = \frac{1}{nP}\sum_i \lVert \Psi_i(x) - \Psi_{NN(i)}({\color{#b5461b}{s}}) \rVert^2,$$
#
# $$NN(i) = \arg\max_j \frac{\langle \Psi_i(x), \Psi_j(s)\rangle}{\lvert\Psi_i(x)\rvert\,\lvert\Psi_j(s)\rvert}.$$
#
# The choice has no gradient; between choices the loss is a plain squared distance. What patches see that single features do
# not is in the litmus table of the last room: the pair "mirrored, in features" is seen by patches alone, "positions permuted"
# also by the shifted and the multi-scale Gram matrix.

# %%
encoder = load_encoder("mini", device="cpu")
photo, painting = (
    load_or("kodak-21", "china", size=96),
    load_or("starry-night", "stained-glass", size=96),
)
F, S = (encoder(p, "relu3_1")["relu3_1"] for p in (photo, painting))
found, candidates = patches(F), patches(S)
nearest = nearest_patches(found, candidates)
brute = torch.tensor([max(range(candidates.shape[1]), key=lambda j: float(
    torch.nn.functional.cosine_similarity(found[:, i], candidates[:, j], dim=0))) for i in range(0, 60, 20)])  # fmt: skip
print(
    "nearest patches in blocks:",
    nearest[0:60:20].tolist(),
    "one by one:",
    brute.tolist(),
)
assert torch.equal(nearest[0:60:20], brute)

# %% [markdown]
# **Predict first.** How many *different* patches of the painting are used?

# %% tags=["hide-output"]
times = torch.bincount(nearest, minlength=candidates.shape[1])
print(
    f"{found.shape[1]} patches of the photo use {int((times > 0).sum())} of {candidates.shape[1]}; the most wanted one {int(times.max())} times"
)

# %% [markdown]
# Most of the painting's patches are nobody's nearest, and some are the nearest of many places: where a photo is flat, one
# brush mark comes everywhere. {cite:t}`gu2018arbitrary` therefore let every patch of the style be used *about once*: an assignment instead of a choice.

# %%
loss = reshuffle_loss()
dealt = loss.update(F, loss.prepare(S))
times = torch.bincount(dealt.given, minlength=candidates.shape[1])
print(
    f"reshuffled: {int((times > 0).sum())} of {candidates.shape[1]} are used, each at most {int(times.max())} time(s)"
)
assert int(times.max()) == 1

# %% [markdown]
# The price: a photo with much sky and a painting with little must put *something* into its sky.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Patches that know what they are
#
# Sky should find sky. {cite:t}`champandard2016semantic` puts the masks of regions beside the features, as further
# channels of each patch: among patches that look alike the one with the same label wins.

# %%
photo, painting = (
    load_or("kodak-21", "china", size=160),
    load_or("wheat-field-with-cypresses", "coffee", size=160),
)
here, there = cluster(photo, painting, count=2, encoder=encoder, layer="relu3_1")
pictures = []
for patch_loss, where in ((mrf_loss(), None), (semantic_loss(), (here, there))):
    objective = Objective(
        Match(content_loss, photo, "relu4_2"),
        Match(patch_loss, painting, ("relu2_1", "relu3_1"), weight=20, masks=where),
        Energy(total_variation, 0.1),
    )
    pictures.append(synthesize(objective, start=photo, steps=20).finish(progress=False))
labels = [heat(m[:, 0], 0, 1, colours="viridis") for m in (here, there)]
show(
    labels[0],
    labels[1],
    *pictures,
    titles=["regions of the photo", "of the painting", "MRF", "semantic"],
    columns=4,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Edges
#
# Deep content features forget exactly where an edge ran. {cite:t}`li2017laplacian` ask for it in pixels: after
# pooling $p$ (means of 4×4 pixels), the Laplacian Δ of the result is to be that of the photo,
#
# $$\mathcal{L}_{\text{lap}} = \frac1n \sum_{ij} \big(\Delta p(x) - \Delta p({\color{#0b6e99}{x_c}})\big)_{ij}^2 , \qquad
# \Delta = \begin{pmatrix} & -1 & \\ -1 & 4 & -1 \\ & -1 & \end{pmatrix} * .$$
#
# It is a `Match` on the layer "input". Its claim, with a convolution as the oracle:

# %%
a, b = torch.rand(1, 3, 32, 40), torch.rand(1, 3, 32, 40)
kernel = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]).expand(3, 1, 3, 3)
pooled = [torch.nn.functional.avg_pool2d(p, 4) for p in (a, b)]
D = [
    torch.nn.functional.conv2d(
        torch.nn.functional.pad(p, (1, 1, 1, 1), mode="replicate"), kernel, groups=3
    )
    for p in pooled
]
assert torch.isclose(laplacian_loss(a, b), (D[0] - D[1]).square().mean())
print(f"{laplacian_loss(a, b):.6f} = {(D[0] - D[1]).square().mean():.6f}")

# %%
photo, painting = (
    load_or("kodak-21", "china", size=192),
    load_or("starry-night", "stained-glass", size=512),
)
pictures = []
for weight in (0.0, 4.0):
    objective = Objective(
        Match(content_loss, photo, "relu4_2"),
        Match(gram_loss, painting, STYLE_LAYERS, weight=12),
        Match(laplacian_loss, photo, "input", weight=weight),
        Energy(total_variation, 0.1),
    )
    pictures.append(synthesize(objective, start=photo, steps=40).finish(progress=False))
show(photo, *pictures, titles=["photo", "without", "with the photo's edges"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A critic
#
# Instead of writing down what a style is, *learn* it: a small network sees 5×5 patches of features, and is taught to tell
# the style's from the picture's while the picture tries to please it {cite}`li2016precomputed`:
#
# $$\text{critic: } \max(0, 1 - \mathcal{D}(s)) + \max(0, 1 + \mathcal{D}(x)),$$
#
# $$\text{picture: } \max(0, 1 - \mathcal{D}(x)).$$
#
# Each step moves the objective itself. L-BFGS compares gradients of one function at two places, so it must not be used;
# `synthesize` says so. (A critic has no size to be measured by: its weight is raw.)

# %%
critic = Objective(
    Match(content_loss, photo, "relu4_2"),
    Match(adversarial_loss(), painting, ("relu2_1", "relu3_1"), weight=1.5),
)
try:
    synthesize(critic, start=photo)
except ValueError as error:
    print(error)
result = synthesize(
    critic, start=photo, steps=50, optimizer="adam", rate=0.02, levels=1
).finish(progress=False)
show(photo, painting, result, titles=["photo", "painting", "to please a critic"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Strokes of any size, and several sizes at once
#
# Two more losses are sums over sizes. {cite:t}`jing2018stroke` show the network the *style* in a few sizes, and
# reach the ones in between by weights. {cite:t}`wang2017multimodal` look at the *result* in several sizes: make it
# four times smaller, and a layer that sees 24 pixels sees what was 96 pixels wide.
#
# $$\mathcal{L}_{\text{stroke}} = \sum_t w_t \sum_l \lVert G_l(x) - G_l(s_t)\rVert^2,$$
#
# $$\mathcal{L}_{\text{hier}} = \sum_k \lambda_k \sum_l \lVert G_l(x_{\downarrow k}) - G_l(s_{\downarrow k})\rVert^2,$$
#
# with $s_t$ the style at $t$ times the picture's size, and $\downarrow k$ for made smaller by $k$.

# %%
print("1.4 is made of", {k: round(v, 2) for k, v in stroke_weights(1.4).items()})
glass = load_or("stained-glass", "stained-glass", size=512)
pictures, noise = [], noise_like(glass, 0, size=(128, 160))
for terms in (stroke_loss(glass, STYLE_LAYERS, 0.5), stroke_loss(glass, STYLE_LAYERS, 2.0),
              hierarchical_loss(glass, STYLE_LAYERS)):  # fmt: skip
    run = synthesize(
        Objective(*terms, Energy(value_range, 10.0)), start=noise, steps=50
    )
    pictures.append(run.finish(progress=False))
show(*pictures, titles=["strokes 0.5, from noise", "strokes 2", "hierarchical"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Depth
#
# Strokes flatten a scene: near and far get the same marks. {cite:t}`liu2017depth` ask a network for the depth of the
# result and of the photo, and keep the two alike:
#
# $$\mathcal{L}_{\text{depth}} = \frac1M \sum_k \big(d_k(x) - d_k({\color{#0b6e99}{x_c}})\big)^2 .$$
#
# Any differentiable function $d$ from pictures to depth will do. The one here is a small network for the logarithm of the
# depth, which has learnt from rendered scenes, whose depth is known exactly:

# %%
textures = [
    load_or("rocket", "rocket", size=128),
    load_or("waves", "waves", size=128),
]  # not among those it learnt from
scene, camera = random_scene(textures, torch.Generator().manual_seed(1_000_004))
image, depth = scene.render(camera, (120, 160))
look = depth_encoder()
guess = look(image.to(look.device), "depth")["depth"][0].cpu()
show(
    image,
    heat(depth[0].log()),
    heat(guess),
    titles=["a rendered scene", "its depth (log)", "what the network says"],
)

# %%
judged = numbers("depth_judged")["judged"]
table([[name, row["rank"], row["log error"]] for name, row in judged.items()],
      ["on scenes it has never seen", "rank correlation", "error of log depth"])  # fmt: skip

# %% [markdown]
# Rank correlation: 1 where near and far are in the right order. Error: root mean square of the logarithm of depth, after the
# best shift and scale. "The mean scene" gives every picture the average depth of all of them.
#
# "Lower in the picture is nearer" is a good rule for landscapes, and a poor one where there are a ceiling and walls. Where
# there is a network connection, `hub_depth()` of the same module looks through a large public model (which gives *inverse*
# depth).
#
# In the objective it is one more Match, with an encoder of its own:

# %%
street = load_or("kodak-08", "china", size=160)
pictures, maps = [], []
for weight in (0.0, 10.0):
    objective = Objective(
        Match(content_loss, street, "relu4_2"),
        Match(gram_loss, painting, STYLE_LAYERS, weight=8),
        Match(depth_loss, street, "depth", weight=weight, encoder=look),
        Energy(total_variation, 0.1),
    )
    pictures.append(
        synthesize(objective, start=street, steps=40, levels=1).finish(progress=False)
    )
with torch.no_grad():
    maps = [
        look(p.to(look.device), "depth")["depth"][0].cpu() for p in (street, *pictures)
    ]
gaps = [float((m - maps[0]).square().mean()) for m in maps[1:]]
print(f"change of depth: {gaps[0]:.2g} without the depth loss, {gaps[1]:.2g} with it")
assert gaps[1] < gaps[0]
low, high = float(maps[0].min()), float(maps[0].max())
show(street, *pictures, *(heat(m, low, high) for m in maps), columns=3,
     titles=["photo", "without", "with the depth loss", "depth of the photo", "without", "with it"])  # fmt: skip

# %% [markdown]
# A caution: the judge here is the network that was minimised. As with the critic, a picture may please it without being
# right. Look at the pictures as well.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Time
#
# Two frames of a film, stylised one by one, flicker: strokes fall where they like. {cite:t}`ruder2016artistic` keep
# them where the last frame had them. Let $\tilde x$ be the last frame's result, moved by the optical flow ω; wherever the flow
# can be trusted (a mask $m_k = 1$, else 0), the new one is to be the same:
#
# $$\mathcal{L}_{\text{temp}} = \frac1D \sum_k m_k\,(x_k - \tilde x_k)^2,$$
#
# with $D$ the number of all values, trusted or not. Here the flow is not estimated: the camera's motion through the rendered scene is known, and so is where every point goes,
# and what hides it. (Where it is estimated, the paper follows the flow there and back: where one does not return, something
# is hidden.)

# %%
size = (96, 128)
scene, camera = random_scene([load_or("coffee", "coffee", size=128), load_or("astronaut", "astronaut", size=128)],
                             torch.Generator().manual_seed(11))  # fmt: skip
after = moved(camera, right=0.25)
frames = [scene.render(c, size)[0] for c in (camera, after)]
back, seen = scene.flow(
    after, camera, size
)  # for each pixel of the second frame: where it was in the first
there, seen_there = scene.flow(camera, after, size)
check = consistency_mask(back, there)
print(f"{1 - seen.mean():.1%} of the second frame cannot be trusted; the forward-backward check of the paper agrees with "
      f"that at {(check == seen).float().mean():.1%} of the pixels")  # fmt: skip


def paint(frame, start, *more):
    objective = Objective(
        Match(content_loss, frame, "relu4_2"), Match(gram_loss, painting, STYLE_LAYERS, weight=4),
        Energy(total_variation, 0.1), *more,
    )  # fmt: skip
    return (
        synthesize(objective, start=start, steps=40, levels=1)
        .finish(progress=False)
        .cpu()
    )


first = paint(frames[0], frames[0])
carried = Warped(back)(first)
temporal = Match(
    temporal_loss,
    first,
    "input",
    weight=200,
    view=(None, Warped(back)),
    masks=(seen, seen),
)
second = {
    "alone": paint(frames[1], frames[1]),
    "from the moved first": paint(frames[1], carried),
    "with the temporal loss": paint(frames[1], carried, temporal),
}
error = {
    name: float(temporal_loss(p, carried, seen, seen)) for name, p in second.items()
}
table(
    [[name, value] for name, value in error.items()], ["second frame", "temporal loss"]
)

# %%
assert error["with the temporal loss"] < error["from the moved first"] < error["alone"]
jumps = [heat(((p - carried).abs() * seen).mean(1), 0, 0.3) for p in second.values()]
show(first, *second.values(), frames[1], *jumps, columns=4, height=1.6,
     titles=["frame 1", *second, "frame 2 itself", *["what jumps"] * 3])  # fmt: skip

# %% [markdown]
# Starting from the moved first frame already helps; the loss keeps it there. In the last lecture of this course the flow has
# to be estimated.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Two eyes
#
# A stereo pair is the same problem with two cameras instead of two moments, and no order between them: both views have to
# follow from each other {cite}`chen2018stereoscopic`,
#
# $$\mathcal{L}_{\text{disp}} = \frac1D \sum_k m^L_k (x^L_k - \tilde x^R_k)^2 + \frac1D \sum_k m^R_k (x^R_k - \tilde x^L_k)^2,$$
#
# each view beside the other one, moved into its place. With baseline $b$ and focal length $f$, in pixels, a point at depth
# $Z$ lies $fb/Z$ pixels further left in the right view:

# %%
depth, which = scene.depth(camera, size)
disparity = camera.focal * size[1] * 0.25 / depth
assert torch.allclose(
    -there[0, 0].double()[which >= 0], disparity[which >= 0], atol=1e-3
)
pairs = {
    "each alone": second["alone"],
    "the second from the first": second["with the temporal loss"],
}
flows, masks = (there, back), (seen_there, seen)
table([[name, float(stereo_disparity(first, other, flows, masks))] for name, other in pairs.items()],
      ["views", "disparity loss, both directions"])  # fmt: skip

# %% [markdown]
# Here the loss only judges. As an objective for both views at once it would change both.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What it costs
#
# Seconds and memory of MRF and reshuffle are in the table of the last room. MRF is the dear one in large pictures: each of the
# picture's patches is compared with each of the style's, so four times the pixels are sixteen times the work; it runs in
# blocks, so that no more than 64 MiB of that matrix exists at a time. Reshuffle compares within blocks of 1,024 patches;
# its assignments, every 10 steps, are not in the table.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it

# %%
from styletx.widgets import Panel

panel = Panel("gatys", content="china", style="waves", loss="mrf", size=160, steps=60,
              main=("loss", "style_weight", "size", "steps"))  # fmt: skip
panel.run()
panel

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# ```{exercise} Larger patches
# :label: museum-patches
# How do 1×1, 3×3 and 5×5 patches differ at `relu3_1`? What is the MRF loss with 1×1 patches?
# ```
#
# ```{solution} museum-patches
# :class: dropdown
# With 1×1 patches each feature finds its nearest one: a distribution loss without any account of how often each is used.
# 5×5 copy whole motifs of the painting.
#
#     made = []
#     for side in (1, 3, 5):
#         objective = Objective(Match(content_loss, photo, "relu4_2"), Match(mrf_loss(side), painting, "relu3_1", weight=10))
#         made.append(synthesize(objective, start=photo, steps=40).finish(progress=False))
#     show(*made, titles=["1×1", "3×3", "5×5"])
# ```
#
# ```{exercise} A film of three frames
# :label: museum-film
# Move the camera once more, and stylise a third frame with the second one as its past. Does the error grow?
# ```
#
# ```{solution} museum-film
# :class: dropdown
# It stays about the same from frame to frame, while the first frame's strokes drift out of the picture; Ruder et al. add
# long-term terms to frames further back for what was hidden in between.
#
#     third = moved(after, right=0.25)
#     frame = scene.render(third, size)[0]
#     flow, known = scene.flow(third, after, size)
#     last = second["with the temporal loss"]
#     link = Match(temporal_loss, last, "input", weight=200, view=(None, Warped(flow)), masks=(known, known))
#     next_one = paint(frame, Warped(flow)(last), link)
#     print(float(temporal_loss(next_one, Warped(flow)(last), known, known)))
# ```
#
# ```{exercise} Depth from darkness
# :label: museum-dark
# Any function will do: say that dark is far, and see what the depth loss keeps then.
# ```
#
# ```{solution} museum-dark
# :class: dropdown
# It keeps the photo's brightness, pixel by pixel: the loss is only as wise as its function.
#
#     dark = depth_encoder(lambda image: 1 - image.mean(1, keepdim=True))
#     objective = Objective(
#         Match(gram_loss, painting, STYLE_LAYERS, weight=10), Match(depth_loss, street, "depth", weight=20, encoder=dark)
#     )
#     show(synthesize(objective, start=street, steps=50).finish(progress=False))
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Papers, ours
#
# | | the paper | here |
# |---|---|---|
# | MRF | patches at relu3_1 and relu4_1, rotated and scaled copies of the style | the same layers; no copies |
# | reshuffle | a penalty on using a patch again | an optimal assignment in blocks, made anew every 10 steps |
# | semantic | masks drawn by hand, weighted by hand | masks from files, painted or clustered; weight in units of the features |
# | critic | learns while one picture is made (MDAN); then a network learns to please it (MGAN) | the first of the two |
# | Laplacian | pools of 4 and 16, weights by hand | a pool of 4, relative weight |
# | depth | a network trained on photos in the wild | a small one trained on rendered scenes; any other by name |
# | temporal | flow estimated (DeepFlow) | exact flow of a known scene; lecture 14 estimates it |
#
# ## How it fails
#
# - *One mark everywhere*: MRF in flat regions. Reshuffle, or a Gram term beside it.
# - *Ghosts of the painting's motif*: patches too large or too deep: a cypress in the middle of the sea.
# - *Noise that pleases*: a critic too strong, or too many lessons. It has found something that is no style.
# - *A wire model*: the Laplacian weight too large: edges stay, and the paint cannot cross them.
# - *Smear behind a moving thing*: the temporal loss without its mask: what was hidden is filled with what hid it.
#
# ## What to read next
#
# {cite:t}`ruder2016artistic` for films; {cite:t}`li2016combining` for patches. The next lecture takes
# control: which style where, how much, and whose colours.
