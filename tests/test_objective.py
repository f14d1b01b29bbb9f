"""styletx/objective.py: the grammar, by hand and by what must not change."""

import pytest
import torch

from styletx import Energy, Match, Objective, content_loss, gram_loss, load, load_encoder, synthesize, total_variation
from styletx.images import resize, resize_mask
from styletx.losses import semantic_loss, sliced_wasserstein
from styletx.statistics import gram

LAYERS = ("relu1_1", "relu2_1")


@pytest.fixture(scope="module")
def pictures():
    return load("china", size=96), load("mosaic", size=96)


@pytest.fixture(scope="module")
def mini():
    return load_encoder("mini", device="cpu")


def test_relative_weights_by_hand(pictures, mini):
    photo, style = pictures
    size = tuple(photo.shape[-2:])
    values = Objective(Match(content_loss, photo, "relu3_1", weight=3.0)).at(size, mini)(resize(style, size))
    with torch.no_grad():
        target, seen = mini(photo, "relu3_1")["relu3_1"], mini(resize(style, size), "relu3_1")["relu3_1"]
    by_hand = 3 * (seen - target).square().mean() / target.square().mean()
    assert float(values["content"]) == pytest.approx(float(by_hand), rel=1e-5)


def test_a_picture_without_features_costs_its_weight(pictures, mini):
    """What relative means: with no features every term is its weight, at any size, with and without regions."""
    photo, style = pictures
    for size in ((64, 96), (48, 72)):
        left = torch.zeros(1, 1, *size)
        left[..., : size[1] // 3] = 1
        where = (torch.cat([left, 1 - left], 1), None)
        objective = Objective(
            Match(content_loss, photo, "input", 2.0),
            Match(gram_loss, style, "input", 5.0),
            Match(sliced_wasserstein(), style, "input", 4.0),
            Match(gram_loss, [style, photo], "input", 3.0, masks=where, name="regions"),
            Match(gram_loss, [style, photo], "input", 6.0, mix=[1, 3], name="mixture"),
        )
        black = objective.at(size, mini)(torch.zeros(1, 3, *size))
        assert [float(value) for value in black.values()] == pytest.approx([2, 5, 4, 3, 6], rel=1e-5)


def test_relative_weights_do_not_feel_how_large_an_encoders_features_are(pictures, mini):
    photo, style = pictures
    size = tuple(photo.shape[-2:])
    louder = load_encoder("mini", device="cpu")
    with torch.no_grad():
        louder.steps["conv2_1"].weight.mul_(7)
        louder.steps["conv2_1"].bias.mul_(7)
    objective = Objective(Match(content_loss, photo, "relu2_1"), Match(gram_loss, style, LAYERS))
    first, second = (objective.at(size, encoder)(resize(style, size)) for encoder in (mini, louder))
    assert {n: float(v) for n, v in first.items()} == pytest.approx({n: float(v) for n, v in second.items()}, rel=1e-4)


def test_raw_objective_is_the_formula(pictures, mini):
    photo, style = pictures
    size = tuple(photo.shape[-2:])
    level = Objective(Match(gram_loss, style, {"relu2_1": 2.0}), relative=False).at(size, mini)
    area = (size[0] * size[1]) ** 0.5  # the style is square: same area as the photo
    reference = resize(style, (round(area), round(area)))
    with torch.no_grad():
        expected = (
            2 * (gram(mini(photo, "relu2_1")["relu2_1"]) - gram(mini(reference, "relu2_1")["relu2_1"])).square().mean()
        )
        assert float(level(photo)["gram"]) == pytest.approx(float(expected), rel=1e-4)


def test_one_pass_for_all_terms(pictures, mini, monkeypatch):
    photo, style = pictures
    level = Objective(
        Match(content_loss, photo, "relu3_1"), Match(gram_loss, style, LAYERS), Energy(total_variation)
    ).at(tuple(photo.shape[-2:]), mini)
    calls, forward = [], type(mini).forward
    monkeypatch.setattr(type(mini), "forward", lambda self, *a, **k: calls.append(a) or forward(self, *a, **k))
    assert set(level(photo)) == {"content", "gram", "total_variation"}
    assert len(calls) == 1


def test_no_gradient_for_the_network_nor_the_targets(pictures, mini):
    photo, style = pictures
    level = Objective(Match(gram_loss, style.clone().requires_grad_(True), LAYERS)).at(tuple(photo.shape[-2:]), mini)
    x = photo.clone().requires_grad_(True)
    level(x)["gram"].backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in mini.parameters())


def left_and_right(size, columns):
    """Masks of two regions: so many columns, and the rest."""
    left = torch.zeros(1, 1, *size)
    left[..., :columns] = 1
    return torch.cat([left, 1 - left], 1)


def test_regions_share_features_and_match_their_own_reference(pictures, mini):
    """Two regions, each compared with itself only: the loss is zero exactly where each matches its own style."""
    photo, style = pictures
    size = tuple(photo.shape[-2:])
    masks = left_and_right(size, size[1] // 2)
    same = Objective(Match(gram_loss, [photo, photo], LAYERS, masks=(masks, masks))).at(size, mini)
    assert float(same(photo)["gram"]) == pytest.approx(0, abs=1e-6)
    swapped = Objective(Match(gram_loss, [photo, photo], LAYERS, masks=(masks, masks.flip(1)))).at(size, mini)
    assert float(swapped(photo)["gram"]) > 1e-3


@pytest.mark.parametrize("side", [0, 1])
def test_one_mask_serves_both_sides_of_a_content_loss(pictures, mini, side):
    photo, _ = pictures
    size = tuple(photo.shape[-2:])
    soft = torch.linspace(0, 1, size[1]).expand(1, 1, *size)
    where = (soft, None) if side == 0 else (None, soft)
    level = Objective(Match(content_loss, photo, "relu3_1", masks=where)).at(size, mini)
    assert float(level(photo)["content"]) == 0 < float(level(photo.flip(1))["content"])


def test_a_batch_entry_serves_as_reference(pictures, mini):
    """The mean over a batch of what each picture gives by itself, in the units of the first batch."""
    photo, style = pictures
    size = (48, 64)
    photos = torch.cat([resize(p, size) for p in (photo, photo.flip(-1), style)])
    results = (photos + 0.1 * torch.randn(photos.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    named = Objective(Match(content_loss, "photo", "relu3_1", weight=2.0), Match(gram_loss, style, "relu2_1"))
    assert named.batch_entries() == ["photo"]
    raw, grams = [], []
    for one, made in zip(photos.split(1), results.split(1), strict=True):
        alone = Objective(Match(content_loss, one, "relu3_1"), relative=False).at(size, mini)
        raw.append(float(alone(made)["content"]))
        grams.append(float(Objective(Match(gram_loss, style, "relu2_1")).at(size, mini)(made)["gram"]))
    size_of_photos = float(mini(photos, "relu3_1")["relu3_1"].square().mean())
    bound = named.at(size, mini)
    found = bound(results, {"photo": photos})
    assert float(found["content"]) == pytest.approx(2 * sum(raw) / 3 / size_of_photos, rel=1e-4)
    assert float(found["gram"]) == pytest.approx(sum(grams) / 3, rel=1e-4)
    later = bound(results[:1], {"photo": photos[:1]})["content"]  # the units stay those of the first batch
    assert float(later) == pytest.approx(2 * raw[0] / size_of_photos, rel=1e-4)
    for batch in (None, {"other": photos}):
        with pytest.raises(ValueError, match='no entry "photo"'):
            bound(results, batch)
    with pytest.raises(ValueError, match="photo are entries of a batch"):
        synthesize(named, mini, start=photo, steps=1)


def test_mixture_of_one_style_with_itself_is_that_style(pictures, mini):
    photo, style = pictures
    size = tuple(photo.shape[-2:])
    one = Objective(Match(gram_loss, style, LAYERS)).at(size, mini)(photo)["gram"]
    two = Objective(Match(gram_loss, [style, style], LAYERS)).at(size, mini)(photo)["gram"]
    assert float(one) == pytest.approx(float(two), rel=1e-5)


def test_regions_count_as_much_as_they_are_told(pictures, mini):
    """mix of regions: proportions of what each costs alone."""
    photo, style = pictures
    size = tuple(photo.shape[-2:])
    masks = left_and_right(size, size[1] // 3)

    def cost(mix):
        match = Match(gram_loss, style, "relu2_1", masks=(masks, None), mix=mix)
        return float(Objective(match, relative=False).at(size, mini)(photo)["gram"])

    first, second = cost((1, 0)), cost((0, 1))
    assert cost((3, 1)) == pytest.approx((3 * first + second) / 4, rel=1e-5)
    assert cost(None) == pytest.approx(first + second, rel=1e-5)
    with pytest.raises(ValueError, match="mix: .* for 2 regions"):
        cost((1, 1, 1))
    with pytest.raises(ValueError, match="mix: semantic"):
        Objective(Match(semantic_loss(), style, "relu2_1", masks=(masks, masks), mix=(1, 1)))


def test_an_energy_may_depend_on_the_size(mini):
    """at: called once per level, with its size; by hand, the sum over the picture instead of the mean."""
    calls = []

    def total(size, device):
        calls.append((size, str(device)))
        return lambda image: image.mean() * 3 * size[0] * size[1]

    objective = Objective(Energy(factory=total, weight=0.5), Energy(total_variation))
    for size in ((20, 30), (40, 61)):
        level = objective.at(size, mini)
        values = [float(level(torch.full((1, 3, *size), fill))["total"]) for fill in (0.25, 1.0)]
        assert values == pytest.approx([0.5 * 3 * size[0] * size[1] * fill for fill in (0.25, 1.0)])
    assert calls == [((20, 30), "cpu"), ((40, 61), "cpu")]
    for wrong in (dict(), dict(function=total_variation, factory=total)):
        with pytest.raises(ValueError, match="function, factory"):
            Energy(**wrong)


def test_views_come_before_the_encoder(pictures, mini):
    photo, _ = pictures
    flip = torch.Tensor.flip
    level = Objective(
        Match(content_loss, photo, "relu2_1", view=(lambda x: flip(x, (-1,)), lambda x: flip(x, (-1,))))
    ).at(tuple(photo.shape[-2:]), mini)
    assert float(level(photo)["content"]) == pytest.approx(0, abs=1e-9)


def test_names_stay_apart(pictures):
    photo, style = pictures
    objective = Objective(Match(gram_loss, style, LAYERS), Match(gram_loss, photo, LAYERS), Energy(total_variation))
    assert [term.name for term in objective.terms] == ["gram", "gram 2", "total_variation"]


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_bad_weights_are_named(pictures, weight):
    with pytest.raises(ValueError, match="weight: .* of content"):
        Objective(Match(content_loss, pictures[0], "relu1_1", weight=weight))
    with pytest.raises(ValueError, match="weight: .* of content"):
        Objective(Match(content_loss, pictures[0], {"relu1_1": weight}))


def test_other_bad_objectives(pictures, mini):
    photo, _ = pictures
    with pytest.raises(ValueError, match="at least one"):
        Objective()
    with pytest.raises(ValueError, match="relu4_7.*relu4_"):
        Objective(Match(content_loss, photo, "relu4_7")).at((64, 96), mini)
    with pytest.raises(ValueError, match="2 regions for 3 references"):
        Objective(Match(gram_loss, [photo] * 3, LAYERS, masks=(torch.ones(1, 2, 64, 96), None))).at((64, 96), mini)


def test_a_constant_reference_has_a_defined_answer(mini):
    grey = torch.full((1, 3, 64, 64), 0.5)
    objective = Objective(Match(content_loss, grey, "relu3_1"), Match(gram_loss, grey, LAYERS))
    values = objective.at((64, 64), mini)(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert all(bool(value.isfinite()) for value in values.values())


def test_a_loss_with_joint_regions_gets_all_masks_at_once(mini):
    """The semantic loss in an objective is the loss itself on the same features and masks."""
    photo, style = load("chelsea", 96), load("mosaic", 96)
    masks = [torch.zeros(1, 2, *picture.shape[-2:]) for picture in (photo, style)]
    for mask in masks:
        mask[:, 0, :, :48] = 1
        mask[:, 1] = 1 - mask[:, 0]
    loss = semantic_loss()
    level = Objective(Match(loss, style, "relu3_1", masks=tuple(masks)), relative=False).at(photo.shape[-2:], mini)
    reference = level.matches[0]._look(style)["relu3_1"]
    features = mini(photo, "relu3_1")["relu3_1"]
    small = [resize_mask(m, f.shape[-2:]) for m, f in zip(masks, (features, reference), strict=True)]
    assert float(level(photo)["semantic"]) == pytest.approx(float(loss(features, reference, *small)), rel=1e-5)


def test_targets_are_renewed_at_steps_only(mini):
    photo, style = load("chelsea", 96), load("mosaic", 96)
    level = Objective(Match(sliced_wasserstein(update_every=3), style, "relu2_1")).at(photo.shape[-2:], mini)
    name = "sliced wasserstein"
    before = float(level(photo)[name])
    assert float(level(photo)[name]) == before
    assert not level.update(photo, 1) and float(level(photo)[name]) == before
    assert level.update(photo, 3) and float(level(photo)[name]) != before


def test_terms_of_one_name_are_numbered(pictures):
    """The name itself stays whole, also where it ends with a digit."""
    photo, _ = pictures
    terms = [Match(content_loss, photo, "relu2_1", name="relu4_2") for _ in range(3)]
    assert [term.name for term in Objective(*terms).terms] == ["relu4_2", "relu4_2 2", "relu4_2 3"]


def test_an_encoder_that_terms_name_is_loaded_once_and_asked_once(pictures, mini, monkeypatch):
    """Two terms, two sizes: one network, and one pass through it for each picture."""
    photo, style = pictures
    from styletx import objective as module

    made, passes = [], []
    load_it = module.load_encoder

    def counted(name, **given):
        made.append(name)
        return load_it(name, **given)

    monkeypatch.setattr(module, "load_encoder", counted)
    terms = [Match(loss, style, "band2", encoder="laplacian") for loss in (content_loss, gram_loss)]
    objective = Objective(*terms)
    for size in ((48, 64), (60, 80)):
        bound = objective.at(size, mini)
        forward = bound.matches[0].encoder.forward
        monkeypatch.setattr(bound.matches[0].encoder, "forward", lambda *a, f=forward: passes.append(1) or f(*a))
        bound(resize(photo, size))
        assert len(passes) == 1
        passes.clear()
        monkeypatch.setattr(bound.matches[0].encoder, "forward", forward)
    assert made.count("laplacian") == 1


def test_each_picture_of_a_batch_has_the_style_that_it_chose(pictures, mini):
    """As if each were alone with its style: the mean over the batch, each with its own denominators."""
    photo, style = pictures
    other = load("waves", size=96)
    batch = torch.cat([photo, photo.flip(-1), photo.flip(-2)])
    size = tuple(photo.shape[-2:])
    bound = Objective(Match(gram_loss, [style, other], LAYERS, weight=2.0, choose="style")).at(size, mini)
    alone = [Objective(Match(gram_loss, one, LAYERS, weight=2.0)).at(size, mini) for one in (style, other)]
    with torch.no_grad():
        value = float(bound(batch, {"style": torch.tensor([1, 0, 1])})["gram"])
        by_hand = sum(float(alone[k](batch[row : row + 1])["gram"]) for row, k in enumerate((1, 0, 1))) / 3
    assert value == pytest.approx(by_hand, rel=1e-5)
    with pytest.raises(ValueError, match='no entry "style"'):
        bound(batch)
    for chosen in (torch.tensor([0, 2, 0]), torch.tensor(1), torch.tensor([0.0, 1.0, 0.0])):
        with pytest.raises(ValueError, match="references 0 … 1"):
            bound(batch, {"style": chosen})
    with pytest.raises(ValueError, match="chooses for 2 pictures of 3"):
        bound(batch, {"style": torch.tensor([0, 1])})


def test_choosing_goes_with_several_pictures_only(pictures):
    photo, style = pictures
    for reference in ("content", []):
        with pytest.raises(ValueError, match="choose"):
            Match(gram_loss, reference, LAYERS, choose="style")
    with pytest.raises(ValueError, match="choose"):
        Match(gram_loss, [photo, style], LAYERS, choose="style", mix=(1, 2))
    two = Match(gram_loss, [photo, style], LAYERS, choose="style")
    three = Match(content_loss, [photo, style, photo], LAYERS, choose="style")
    assert Objective(two).choices() == {"style": 2}
    with pytest.raises(ValueError, match="among 2 and among 3"):
        Objective(two, three).choices()


def test_each_picture_of_a_batch_has_the_style_that_comes_with_it(pictures, mini):
    """As if each were alone with its style: the mean over the batch, each with its own denominators."""
    photo, style = pictures
    batch = torch.cat([photo, photo.flip(-1)])
    styles = torch.cat([style, 0.2 * style])
    size, layers = tuple(photo.shape[-2:]), ["relu1_1", "relu3_1"]
    bound = Objective(Match(gram_loss, "style", layers)).at(size, mini)
    for given in (styles, styles.flip(0)):  # the first batch decides nothing
        value = float(bound(batch, {"style": given})["gram"])
        by_hand = [
            float(
                Objective(Match(gram_loss, one[None], ["relu1_1", "relu3_1"])).at(photo.shape[-2:], mini)(row[None])[
                    "gram"
                ]
            )
            for row, one in zip(batch, given, strict=True)
        ]
        assert value == pytest.approx(sum(by_hand) / 2, rel=1e-4)
    with pytest.raises(ValueError, match="one each"):
        bound(batch, {"style": style})
    with pytest.raises(ValueError, match="no entry"):
        bound(batch)
