"""styletx/weights/mini.safetensors and styletx/recipes: is `mini` a real encoder? Judged on pictures it never saw."""

import copy
import math

import numpy as np
import pytest
import torch

from styletx import load, load_encoder
from styletx.encoders import WEIGHTS
from styletx.evaluation import metrics
from styletx.images import resize
from styletx.recipes import judge, mini
from styletx.training import photos as training_photos
from styletx.training.photos import Pictures

pytestmark = pytest.mark.slow

# At least these cosines, for the Gram loss and for the loss of covariances.
SLOPES = (("relu1_1", 0.95, 0.9), ("relu2_1", 0.78, 0.75), ("relu3_1", 0.42, 0.36), ("relu4_1", 0.6, 0.6),
          ("relu5_1", 0.6, 0.6))  # fmt: skip


@pytest.fixture(scope="module")
def vgg(shared_cache):
    return load_encoder("vgg19-normalised", device="cpu")


@pytest.fixture(scope="module")
def ranks(vgg):
    """Spearman correlations with VGG-19's distances: over all pairs of 21 pictures, and over the 12 photos alone."""
    encoder = load_encoder("mini", device="cpu")
    everything = judge.ranks(encoder, vgg, judge.PHOTOS + judge.PAINTINGS + judge.TEXTURES)
    return everything, judge.ranks(encoder, vgg, judge.PHOTOS)


@pytest.mark.parametrize("layer", judge.LAYERS)
def test_ranks_styles_as_vgg19_does(ranks, layer):
    everything, _ = ranks
    assert everything["gram"][layer] >= (0.92 if layer == "relu3_1" else 0.95)


@pytest.mark.parametrize("layer", judge.LAYERS)
def test_ranks_photos_styles_as_vgg19_does(ranks, layer):
    _, photos = ranks
    assert photos["gram"][layer] >= 0.9


@pytest.mark.parametrize("layer", judge.LAYERS)
def test_ranks_contents_as_vgg19_does(ranks, layer):
    everything, _ = ranks
    assert everything["content"][layer] >= 0.93


@pytest.fixture(scope="module")
def cosines(shared_cache):
    """Of its slopes and its teachers': what an optimisation with `mini` follows, beside what one with VGG-19 would."""
    return judge.slope_cosines({"mini": load_encoder("mini", device="cpu")})["mini"]


@pytest.mark.parametrize(("layer", "gram", "covariance"), SLOPES)
def test_slopes_are_the_teachers(cosines, layer, gram, covariance):
    assert cosines["gram"][layer] >= gram and cosines["covariance"][layer] >= covariance


def test_slopes_of_a_teacher_are_its_own(shared_cache):
    small = load_encoder("vgg19-small", device="cpu")
    found = judge.slope_cosines({"itself": small}, judge.GRADIENT_PAIRS[:1])["itself"]
    for kind in metrics.STATISTICS:
        assert all(found[kind][layer] == pytest.approx(1, abs=1e-4) for layer in ("relu4_1", "relu5_1"))
        assert all(found[kind][layer] < 0.95 for layer in judge.LAYERS)


@pytest.fixture(scope="module")
def rows(shared_cache):
    """`gatys` with its defaults on eight pairs, judged four ways."""
    return judge.stylisations("mini")


def test_stylises_as_well_as_the_public_small_network_judged_by_vgg19(rows):
    theirs = judge.means(judge.stylisations("vgg19-small"))
    mine = judge.means(rows)
    assert mine["gram"] <= 1.05 * theirs["gram"]


def test_stylises_deep_down(rows):
    """Strokes: the distance left at the deep layers of the small network, which `mini` began from."""
    mine = judge.means(rows)
    assert mine["relu4_1"] <= 0.04 and mine["relu5_1"] <= 0.15


def test_stylises_judged_by_patches_without_any_network(rows):
    assert judge.means(rows)["patches"] <= 0.5


def test_the_content_is_kept(rows):
    """Among all photos the nearest in edges is the result's own, but for one where strokes moved the edges."""
    assert sum(row["nearest"] == row["content"] for row in rows) >= len(rows) - 1


@pytest.fixture(scope="module")
def clouds(shared_cache):
    """{layer: (channels, positions)} of all ReLU layers over the photos."""
    encoder = load_encoder("mini", device="cpu")
    relus = [name for name in encoder.layers if name.startswith("relu")]
    features = [encoder(load(name, size=256), relus) for name in judge.PHOTOS]
    return {layer: torch.cat([f[layer][0].flatten(1) for f in features], 1) for layer in relus}


def test_mean_activations_are_about_one(clouds):
    means = {layer: float(cloud.mean()) for layer, cloud in clouds.items()}
    assert all(0.6 < mean < 1.6 for mean in means.values()), means


def test_no_dead_channels(clouds):
    dead = {layer: int((~(cloud > 0).any(1)).sum()) for layer, cloud in clouds.items()}
    assert not any(dead.values()), dead


def test_weights_are_small_enough():
    assert (WEIGHTS / "mini.safetensors").stat().st_size <= 2_500_000


def test_judges_on_known_cases():
    """The judges themselves: a style is at distance 0 from itself, a photo at ratio 1 from its own start."""
    photo, style = load("china", size=96), load("mosaic", size=96)
    style = resize(style, tuple(photo.shape[-2:]))
    encoder = load_encoder("mini", device="cpu")
    assert all(
        value == pytest.approx(1, rel=1e-4)
        for value in metrics.gram_ratio(encoder, photo, photo, style, judge.LAYERS).values()
    )
    assert all(
        value == pytest.approx(0, abs=1e-6)
        for value in metrics.gram_ratio(encoder, style, photo, style, judge.LAYERS).values()
    )
    assert metrics.patch_ratio(photo, photo, style) == pytest.approx(1)
    assert metrics.patch_ratio(style, photo, style) == pytest.approx(0, abs=1e-6)


def test_the_held_out_are_held_out(tmp_path):
    from styletx.images import write

    for name in ("starry-night", "my-own"):
        write(torch.rand(1, 3, 140, 150), tmp_path / f"{name}.png")
    assert set(judge.PAINTINGS) == set(training_photos.HELD_OUT)
    assert len(training_photos.folder_pictures(tmp_path, 192, "test")) == 1
    with pytest.raises(ValueError, match="no such folder"):
        training_photos.folder_pictures(tmp_path / "nothing", 192, "test")


def test_pair_distances_by_hand():
    grams = torch.tensor([[[1.0]], [[3.0]], [[0.0]]])
    assert mini._pair_distances(grams).tolist() == [4.0, 1.0, 9.0]


def test_size_terms_by_hand():
    """A common factor is free; of two 1×1 matrices (1, 2) and (1, 2e²) the logarithms differ by 0 and 2, variance 1.

    Those of their squares are off by ±2, more than 1: that counts 2·2 − 1.
    """
    grams = torch.rand(5, 4, 4)
    assert all(float(term) < 1e-6 for term in mini.size_terms(7 * grams, grams).values())
    ours, true = torch.tensor([[[1.0]], [[2 * math.e**2]]]), torch.tensor([[[1.0]], [[2.0]]])
    found = mini.size_terms(ours, true)
    assert float(found["gram"]) == 0  # of one pair only
    assert float(found["energy"]) == pytest.approx(5 * 1 + 1.25 * 3)


def test_collages_hold_four_small_pictures():
    flat = [torch.full((3, 140, 150), value, dtype=torch.uint8) for value in (40, 80, 120, 160, 200)]
    made = Pictures(flat, []).collage_batch(20, torch.Generator().manual_seed(0))
    half = training_photos.CROP // 2
    assert made.shape == (20, 3, training_photos.CROP, training_photos.CROP)
    quarters = [made[:, :, y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    assert all(float(q.amax((1, 2, 3)).sub(q.amin((1, 2, 3))).max()) < 1e-6 for q in quarters)
    different = sum(len({round(float(q[k].mean()), 3) for q in quarters}) > 1 for k in range(20))
    assert 5 <= different <= 15


def test_varied_pictures_keep_their_middle():
    """Contrast and sharpness leave a flat picture as it is; grey ones have three equal channels."""
    flat = torch.full((4, 3, 16, 16), 0.5)
    assert torch.allclose(mini.varied(flat, torch.Generator().manual_seed(0)), flat, atol=1e-6)
    made = mini.varied(torch.rand(64, 3, 16, 16), torch.Generator().manual_seed(0))
    grey = (made - made.mean(1, keepdim=True)).abs().amax((1, 2, 3)) < 1e-6
    assert made.shape == (64, 3, 16, 16) and 4 <= int(grey.sum()) <= 24
    assert float(made.min()) >= 0 and float(made.max()) <= 1


def test_content_term_by_hand():
    """Pictures at 0, 4, 9 and at 0, 5, 9: logarithms of squared distances off by ±2 ln 5/4; a common factor is free.

    At 0, 1, 3 and 0, 2, 3 they are off by ±ln 4, more than 1: that counts by its size, 2 ln 4 − 1, not by its square.
    """
    line = {n: torch.tensor(v).view(3, 1, 1, 1) for n, v in {"a": [0.0, 4, 9], "b": [0.0, 5, 9]}.items()}
    assert float(mini.content_term(5 * line["a"], line["a"])["content"]) == pytest.approx(0, abs=1e-6)
    found = float(mini.content_term(line["b"], line["a"])["content"])
    assert found == pytest.approx(2 / 3 * (2 * math.log(5 / 4)) ** 2, rel=1e-5)
    far = {n: torch.tensor(v).view(3, 1, 1, 1) for n, v in {"a": [0.0, 1, 3], "b": [0.0, 2, 3]}.items()}
    found = float(mini.content_term(far["b"], far["a"])["content"])
    assert found == pytest.approx(2 / 3 * (2 * math.log(4) - 1), rel=1e-5)


def test_slopes_by_hand():
    """On the picture itself: (4/M) (G − A) F / ‖A‖², and for covariances the same of centred features."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 5, 6, generator=generator, requires_grad=True)
    root = torch.randn(2, 3, 3, generator=generator)
    wanted = root @ root.mT
    for statistic, centred in zip(metrics.STATISTICS.values(), (False, True), strict=True):
        found = metrics.slopes(image * 1, wanted, image, statistic).flatten(2)
        cloud = image.detach().flatten(2)
        cloud = cloud - cloud.mean(2, keepdim=True) if centred else cloud
        off = cloud @ cloud.mT / 30 - wanted
        assert torch.allclose(found, 4 / 30 * off @ cloud / wanted.square().sum((1, 2))[:, None, None], atol=1e-6)


def test_apart_by_hand():
    """Slopes of lengths 1 and 3, mean 2: the first counts half."""
    first, second = torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([[1.0, 1.0], [0.0, 5.0]])
    assert float(mini.apart(first, second)) == pytest.approx((0.5 * (1 - 0.5**0.5) + 1) / 2)


def test_silent_channels_begin_anew(pictures):
    """A channel that never fires does so faintly afterwards, and no layer behind can tell."""
    draw = torch.Generator().manual_seed(0)
    encoder, seen = load_encoder("mini", device="cpu"), pictures.photo_batch(4, draw)
    with torch.no_grad():
        encoder.steps["conv4_1"].weight[5], encoder.steps["conv4_1"].bias[5] = 0, -1.0
        before = encoder(seen, ["relu4_1", "relu4_2"])
        after = mini.revive(encoder, seen, draw)(seen, ["relu4_1", "relu4_2"])
    for layer, wanted in before.items():
        means = wanted.mean((0, 2, 3))
        silent = means < mini.SILENT * means.mean()
        kept, new = after[layer][:, ~silent], after[layer][:, silent]
        assert float((kept - wanted[:, ~silent]).norm() / kept.norm()) < 0.01
        assert bool((new.amax((0, 2, 3)) > 0).all())
        if layer == "relu4_1":
            assert bool(silent[5])
            assert float(new.mean()) == pytest.approx(mini.FAINT[layer] * float(kept.mean()), rel=1e-3)


def test_factors_fold_into_the_convolutions():
    """The layers with factors become their features times these, and all that lies behind stays."""
    generator = torch.Generator().manual_seed(0)
    encoder, image = load_encoder("mini", device="cpu"), torch.rand(1, 3, 64, 64, generator=generator)
    gauge, layers = mini.Gauge(encoder), [*mini.LAYERS, "relu3_2"]
    with torch.no_grad():
        for logs in gauge.logs.values():
            logs.copy_(0.1 * torch.randn(logs.shape, generator=generator))
        before = encoder(image, layers)
        wanted = {name: gauge(name, value) for name, value in before.items()}
        gauge.fold(encoder)
        after = encoder(image, layers)
    assert all(torch.allclose(after[name], wanted[name], rtol=1e-3, atol=1e-4) for name in layers)
    assert not torch.allclose(after["relu2_1"], before["relu2_1"], rtol=0.1)


@pytest.fixture(scope="module")
def pictures(shared_cache):
    photos = [training_photos._bytes(load(name), 192) for name in ("china", "flower", "astronaut", "coffee")]
    return Pictures(photos, [training_photos._bytes(load(name), 192) for name in ("stained-glass", "waves")])


def test_begins_as_the_small_network(pictures):
    """Each of its channels that fires is there from the start; it takes no part in what new channels say."""
    draw = torch.Generator().manual_seed(0)
    seen = pictures.photo_batch(12, draw)
    student, small = mini.begin(seen, draw), load_encoder("vgg19-small", device="cpu")
    with torch.no_grad():
        mine, theirs = student(seen, mini.LAYERS), small(seen, mini.LAYERS)
    for name in mini.LAYERS[1:]:
        given, wanted = (value[name].transpose(0, 1).flatten(1).double() for value in (mine, theirs))
        strong = wanted[wanted.mean(1) > 0.5 * wanted.mean()]
        likeness = torch.corrcoef(torch.cat([strong, given]))[: len(strong), len(strong) :].nan_to_num()
        # relu4_4 has had to leave five of its faintest channels behind, which relu5_1 misses a little
        assert float(likeness.max(1).values.min()) > (0.95 if name == "relu5_1" else 0.99), name


def test_channels_told_apart_are_least_squares(pictures):
    """NumPy's lstsq with the ridge as rows of its own, on all positions; the best told come first."""
    generator = torch.Generator().manual_seed(0)
    below, noise = (torch.randn(2, n, 8, 9, generator=generator) for n in (3, 2))
    exact = torch.nn.functional.conv2d(
        torch.nn.functional.pad(below, (1,) * 4, mode="reflect"), torch.randn(1, 3, 3, 3, generator=generator)
    )
    weight, bias = mini.told_apart(below, torch.cat([noise, exact], 1), 2, generator)
    padded = np.pad(below.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect").astype(np.float64)
    places = [(b, i, j) for b in range(2) for i in range(8) for j in range(9)]
    rows = np.array([[*padded[b, :, i : i + 3, j : j + 3].ravel(), 1] for b, i, j in places])
    wanted = np.array([float(exact[b, 0, i, j]) for b, i, j in places])
    ridge = np.sqrt(1e-4 * np.diag(rows.T @ rows).mean())
    solution, *_ = np.linalg.lstsq(
        np.vstack([rows, ridge * np.eye(28)]), np.concatenate([wanted, np.zeros(28)]), rcond=None
    )
    assert np.allclose([*weight[0].flatten(), bias[0]], solution, atol=1e-4)


def test_walks_go_down_their_slopes(pictures):
    walks, draw = mini.Walks(pictures, count=6), torch.Generator().manual_seed(0)
    chosen, image, style = walks.visit(4, draw)
    assert (
        image.shape == style.shape == (4, 3, training_photos.CROP, training_photos.CROP)
        and len(set(chosen.tolist())) == 4
    )
    slopes = torch.zeros_like(image)
    slopes[0, :, ::2] = 7.0
    walks.state["image"][chosen] = 0.5
    walks.step(chosen, slopes)
    moved = walks.state["image"][chosen] - 0.5
    assert float(moved[0].square().mean().sqrt()) == pytest.approx(walks.STEP, rel=1e-4)
    assert bool((moved[0, :, ::2] < 0).all()) and not moved[1:].any() and not moved[0, :, 1::2].any()


def test_the_recipe_runs_and_resumes(tmp_path, shared_cache):
    """Two steps, then one more from the checkpoint: a loadable encoder that has moved, with mean activations of 1."""
    from styletx.images import write

    for folder, name in (("photos", "china"), ("paintings", "stained-glass")):
        (tmp_path / folder).mkdir()
        write(load(name, size=200), tmp_path / folder / "one.png")
    call = ["--photos", tmp_path / "photos", "--paintings", tmp_path / "paintings"]
    call += ["--out", tmp_path / "mini.safetensors", "--checkpoint", tmp_path / "run.pt"]
    weights = []
    for steps in ("2", "3"):
        mini.main([*map(str, call), "--steps", steps])
        encoder = load_encoder("mini", weights=tmp_path / "mini.safetensors", device="cpu")
        weights.append(copy.deepcopy(encoder.steps["conv3_1"].weight))
    assert torch.load(tmp_path / "run.pt", weights_only=True)["number"] == 3
    assert not torch.equal(*weights)
    photo = load("china", size=200)
    assert all(0.5 < float(value.mean()) < 2 for value in encoder(photo, mini.LAYERS).values())


def test_the_decoder_check_tells_what_can_be_decoded(shared_cache):
    """An encoder that keeps nothing decodes worse than one that keeps something; the mirror has the right shape."""
    from styletx.recipes import decoder_check

    whole, blind = load_encoder("mini", device="cpu"), load_encoder("mini", device="cpu")
    blind.steps["conv2_1"].weight.zero_()
    decoder = decoder_check.mirrored(whole, "relu3_1")
    assert decoder(whole(torch.rand(1, 3, 64, 96), "relu3_1")["relu3_1"]).shape == (1, 3, 64, 96)
    photos = [training_photos._bytes(load(name), 192) for name in ("china", "coffee", "astronaut")]
    pictures = Pictures(photos, [])
    scores = [decoder_check.decoder_psnr(e, "relu2_1", pictures, steps=60) for e in (whole, blind)]
    assert scores[0] > scores[1] + 1, scores
