"""styletx/weights/mini.safetensors and styletx/recipes: is `mini` a real encoder? Judged on pictures it never saw."""

import math

import numpy as np
import pytest
import torch

from styletx import gram_loss, load, load_encoder
from styletx.encoders import WEIGHTS
from styletx.images import resize
from styletx.recipes import judge, mini


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
    assert everything["gram"][layer] >= 0.95


@pytest.mark.parametrize("layer", judge.LAYERS)
def test_ranks_photos_styles_as_vgg19_does(ranks, layer):
    _, photos = ranks
    assert photos["gram"][layer] >= 0.9


@pytest.mark.parametrize("layer", judge.LAYERS)
def test_ranks_contents_as_vgg19_does(ranks, layer):
    everything, _ = ranks
    assert everything["content"][layer] >= 0.93


@pytest.fixture(scope="module")
def rows(vgg):
    """`gatys` with its defaults on five pairs, judged three ways."""
    return judge.stylisations("mini", vgg)


def test_stylises_judged_by_vgg19(rows):
    assert float(np.mean([row["gram"] for row in rows])) <= 0.11


def test_stylises_nearly_as_well_as_the_public_small_network(rows, vgg):
    theirs = judge.stylisations("vgg19-small", vgg)
    assert np.mean([row["gram"] for row in rows]) <= 1.2 * np.mean([row["gram"] for row in theirs])


def test_stylises_judged_by_patches_without_any_network(rows):
    assert float(np.mean([row["patches"] for row in rows])) <= 0.5


def test_the_content_is_kept(rows):
    """Among all photos the nearest in edges is the result's own."""
    assert [row["nearest"] for row in rows] == [row["content"] for row in rows]


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
    assert (WEIGHTS / "mini.safetensors").stat().st_size <= 2_000_000


def test_judges_on_known_cases():
    """The judges themselves: a style is at distance 0 from itself, a photo at ratio 1 from its own start."""
    photo, style = load("china", size=96), load("mosaic", size=96)
    style = resize(style, tuple(photo.shape[-2:]))
    encoder = load_encoder("mini", device="cpu")
    assert all(value == pytest.approx(1, rel=1e-4) for value in judge.gram_ratio(encoder, photo, photo, style).values())
    assert all(value == pytest.approx(0, abs=1e-6) for value in judge.gram_ratio(encoder, style, photo, style).values())
    assert judge.patch_ratio(photo, photo, style) == pytest.approx(1)
    assert judge.patch_ratio(style, photo, style) == pytest.approx(0, abs=1e-6)


def test_the_held_out_are_held_out(tmp_path):
    from styletx.images import write

    for name in ("starry-night", "my-own"):
        write(torch.rand(1, 3, 140, 150), tmp_path / f"{name}.png")
    assert set(judge.PAINTINGS) == set(mini.HELD_OUT)
    assert len(mini.folder_pictures(tmp_path, 192, "test")) == 1
    with pytest.raises(SystemExit, match="no .jpg"):
        mini.folder_pictures(tmp_path / "nothing", 192, "test")


def test_pair_distances_by_hand():
    grams = torch.tensor([[[1.0]], [[3.0]], [[0.0]]])
    assert mini._pair_distances(grams).tolist() == [4.0, 1.0, 9.0]


def test_size_terms_by_hand():
    """A common factor is free; of two 1×1 matrices (1, 2) and (1, 2e²) the logarithms differ by 0 and 2, variance 1."""
    grams = torch.rand(5, 4, 4)
    assert all(float(term) < 1e-6 for term in mini.size_terms(7 * grams, grams).values())
    ours, true = torch.tensor([[[1.0]], [[2 * math.e**2]]]), torch.tensor([[[1.0]], [[2.0]]])
    found = mini.size_terms(ours, true)
    assert float(found["gram"]) == 0  # of one pair only
    assert float(found["energy"]) == pytest.approx(5 * 1 + 1.25 * 4)


def test_collages_hold_four_small_pictures():
    flat = [torch.full((3, 140, 150), value, dtype=torch.uint8) for value in (40, 80, 120, 160, 200)]
    made = mini.Pictures(flat, []).collage_batch(20, torch.Generator().manual_seed(0))
    half = mini.CROP // 2
    assert made.shape == (20, 3, mini.CROP, mini.CROP)
    quarters = [made[:, :, y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    assert all(float(q.amax((1, 2, 3)).sub(q.amin((1, 2, 3))).max()) < 1e-6 for q in quarters)
    different = sum(len({round(float(q[k].mean()), 3) for q in quarters}) > 1 for k in range(20))
    assert 5 <= different <= 15


def test_quiet_channels_by_hand():
    """Highest values √2, ¼ and −√(31/16) at a root mean square of 1: shortfalls 0, ¼ and ½ + √(31/16)."""
    value = torch.tensor([[2**0.5, 0.0], [0.25, -0.25], [-((31 / 16) ** 0.5), -((31 / 16) ** 0.5)]])
    assert float(value.square().mean()) == pytest.approx(1)
    found = float(mini.quiet_channels({"conv": value.view(1, 3, 1, 2)}))
    assert found == pytest.approx((0 + 0.25 + 0.5 + (31 / 16) ** 0.5) / 3)


def test_varied_pictures_keep_their_middle():
    """Contrast and sharpness leave a flat picture as it is; grey ones have three equal channels."""
    flat = torch.full((4, 3, 16, 16), 0.5)
    assert torch.allclose(mini.varied(flat, torch.Generator().manual_seed(0)), flat, atol=1e-6)
    made = mini.varied(torch.rand(64, 3, 16, 16), torch.Generator().manual_seed(0))
    grey = (made - made.mean(1, keepdim=True)).abs().amax((1, 2, 3)) < 1e-6
    assert made.shape == (64, 3, 16, 16) and 4 <= int(grey.sum()) <= 24
    assert float(made.min()) >= 0 and float(made.max()) <= 1


def test_a_perfect_student_has_no_loss():
    """Kernel and Gram terms vanish where the student's features are the teacher's, turned: they see inner products."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(4, 3, mini.CROP, mini.CROP, generator=generator)
    encoder = load_encoder("mini", weights="random", device="cpu")
    heads = mini.Heads(encoder)
    mine = encoder(image, mini.LAYERS)
    turned = {}
    for name, value in mine.items():
        turn, _ = torch.linalg.qr(torch.randn(value.shape[1], value.shape[1], generator=generator))
        turned[name] = torch.einsum("ij,bjhw->bihw", turn, value)
    heads.maps = torch.nn.ModuleDict({n: torch.nn.Linear(v.shape[1], v.shape[1]) for n, v in mine.items()})
    terms = mini.distillation_terms(mine, turned, image, heads, generator)
    assert float(terms["kernel"].detach()) < 1e-6 and float(terms["gram"].detach()) < 1e-4
    assert float(terms["features"].detach()) > 0.1


def test_a_reader_is_the_least_squares_solution():
    """The picture from 3×3 positions: NumPy's lstsq on hand-made rows, with the ridge as rows of its own."""
    generator = torch.Generator().manual_seed(0)
    features, image = torch.randn(2, 3, 8, 9, generator=generator), torch.rand(2, 3, 16, 18, generator=generator)
    reader = mini.Reader(3, 2)
    read = reader(features, image).numpy()
    padded = np.pad(features.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge").astype(np.float64)
    places = [(b, i, j) for b in range(2) for i in range(8) for j in range(9)]
    rows = np.array([[*padded[b, :, i : i + 3, j : j + 3].ravel(), 1] for b, i, j in places])
    wanted = np.array([image[b, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].numpy().ravel() for b, i, j in places])
    ridge = np.sqrt(1e-4 * np.diag(rows.T @ rows).mean())
    solution, *_ = np.linalg.lstsq(
        np.vstack([rows, ridge * np.eye(28)]), np.vstack([wanted, np.zeros((28, 12))]), rcond=None
    )
    cells = np.array([read[b, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].ravel() for b, i, j in places])
    assert np.allclose(cells, rows @ solution, atol=1e-4)


def test_the_recipe_runs_and_resumes(tmp_path, monkeypatch, shared_cache):
    """Two steps of each part, then one more from the checkpoints: a loadable encoder with a scale of its own."""
    from styletx.images import write

    for folder in ("photos", "paintings"):
        (tmp_path / folder).mkdir()
        write(torch.rand(1, 3, 140, 150), tmp_path / folder / "one.png")
    monkeypatch.setattr(mini, "POSITIONS", 64)
    call = ["--photos", tmp_path / "photos", "--paintings", tmp_path / "paintings"]
    call += ["--out", tmp_path / "mini.safetensors", "--checkpoint", tmp_path / "run.pt"]
    for steps in ("2", "3"):
        mini.main([*map(str, call), "--steps", steps, "--deep-steps", steps])
    encoder = load_encoder("mini", weights=tmp_path / "mini.safetensors", device="cpu")
    photo = load("china", size=128)
    assert 0.01 < float(gram_loss(encoder(photo, "relu1_1")["relu1_1"], 0 * encoder(photo, "relu1_1")["relu1_1"])) < 1e4
    for part in ("trunk", "deep"):
        assert torch.load(tmp_path / f"run-{part}.pt", weights_only=True)["number"] == 3


def test_the_decoder_check_tells_what_can_be_decoded(shared_cache):
    """An encoder that keeps nothing decodes worse than one that keeps something; the mirror has the right shape."""
    from styletx.recipes import decoder_check

    whole, blind = load_encoder("mini", device="cpu"), load_encoder("mini", device="cpu")
    blind.steps["conv2_1"].weight.zero_()
    decoder = decoder_check.mirrored(whole, "relu3_1")
    assert decoder(whole(torch.rand(1, 3, 64, 96), "relu3_1")["relu3_1"]).shape == (1, 3, 64, 96)
    photos = [mini._bytes(load(name), 192) for name in ("china", "coffee", "astronaut")]
    pictures = mini.Pictures(photos, [])
    scores = [decoder_check.decoder_psnr(e, "relu2_1", pictures, steps=25) for e in (whole, blind)]
    assert scores[0] > scores[1] + 1
