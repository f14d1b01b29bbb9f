"""styletx/methods/inversion.py: formulas by hand, the views, and pictures that come back."""

import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio

from styletx import Objective, load, load_encoder, synthesize
from styletx.losses import alpha_norm, beta_variation, total_variation
from styletx.methods.inversion import CODES, Jitter, central_patch, invert, reconstruction_error


def test_reconstruction_error_by_hand():
    code = torch.tensor([3.0, 4.0])
    assert float(reconstruction_error(torch.tensor([3.0, 4.0]), code)) == 0
    assert float(reconstruction_error(torch.zeros(2), code)) == 1
    assert float(reconstruction_error(torch.tensor([0.0, 4.0]), code)) == pytest.approx(9 / 25)


def test_regularisers_by_hand():
    picture = torch.tensor([[[[0.0, 1.0], [0.5, 0.5]]]])
    assert float(alpha_norm(picture)) == pytest.approx(0.5)  # |−1|⁶, 1⁶, 0, 0
    assert float(alpha_norm(torch.full((1, 3, 2, 2), 1.5))) == pytest.approx(64)
    # one position with both neighbours: 1² across, 0.5² down
    assert float(beta_variation(picture)) == pytest.approx(1.25)
    assert float(beta_variation(picture, beta=1)) == pytest.approx(1.25**0.5)
    assert float(beta_variation(picture, beta=4)) == pytest.approx(1.25**2)
    column = torch.rand(1, 3, 5, 1)
    assert float(beta_variation(column)) == pytest.approx(float(total_variation(column)))
    flat = torch.full((1, 3, 4, 4), 0.3, requires_grad=True)
    (slope,) = torch.autograd.grad(beta_variation(flat, beta=0.5), flat)
    assert bool(slope.isfinite().all())
    for energy in (alpha_norm, beta_variation):
        x = torch.rand(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(energy, (x,))
    with pytest.raises(ValueError, match="alpha"):
        alpha_norm(picture, 0.5)
    with pytest.raises(ValueError, match="beta"):
        beta_variation(picture, 0)


def test_central_patch():
    value = torch.arange(7 * 9.0).view(1, 1, 7, 9)
    assert central_patch(value).shape == (1, 1, 5, 5)
    assert float(central_patch(value)[0, 0, 2, 2]) == float(value[0, 0, 3, 4])
    assert central_patch(value[..., :3, :]).shape == (1, 1, 3, 5)


def test_jitter_moves_the_picture():
    picture = torch.arange(36.0).view(1, 1, 6, 6).expand(1, 3, 6, 6)
    view, seen = Jitter(2), set()
    for _ in range(40):
        moved = view(picture)
        assert moved.shape == picture.shape
        offset = (moved[0, 0, 2, 2] - picture[0, 0, 2, 2]).item()
        seen.add(offset)
        assert abs(offset) <= 2 * 6 + 2
        assert torch.equal(view(picture), moved)  # the same until it is updated
        view = view.update()
    assert len(seen) > 10


def test_shallow_layers_remember_the_picture():
    photo = load("chelsea", 96)
    picture = invert(photo, layer="relu1_1", size=96, steps=150, device="cpu").finish(progress=False)
    assert float(peak_signal_noise_ratio(picture, photo, data_range=1.0)) > 25


@pytest.mark.slow
def test_the_regularisers_take_the_noise_away():
    """At a deep layer the picture without regularisers is full of noise that the network does not see."""
    photo = load("chelsea", 96)
    rough, calm = (
        invert(photo, layer="relu4_1", size=96, steps=60, alpha_weight=a, beta_weight=b, device="cpu").finish(False)
        for a, b in ((0.0, 0.0), (1e-3, 30.0))
    )
    assert float(total_variation(calm)) < 0.3 * float(total_variation(rough))


@pytest.mark.slow
@pytest.mark.parametrize("code", CODES)
def test_every_code_is_approached(code):
    photo = load("chelsea", 96)
    run = invert(photo, layer="relu2_1", size=96, steps=80, code=code, jitter=2, device="cpu")
    steps = list(run)
    assert steps[-1].losses["code"] < 0.5 * steps[0].losses["code"]


def test_the_start_knows_nothing():
    """Two photos, one seed: the same start; another seed, another start."""
    starts = [next(invert(n, size=64, seed=s, device="cpu")).raw for n, s in (("chelsea", 0), ("rocket", 0))]
    assert torch.equal(*(s[..., :40, :40] for s in starts)) or starts[0].shape != starts[1].shape
    same, other = (next(invert("chelsea", size=64, seed=s, device="cpu")).raw for s in (0, 1))
    assert torch.equal(starts[0], same) and not torch.equal(same, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(layer="relu9_9"), "relu9_9"),
        (dict(layer=3), "layer"),
        (dict(code="half"), "code"),
        (dict(beta_weight=float("nan")), "beta_weight"),
        (dict(alpha_weight=-1.0), "alpha_weight"),
        (dict(steps=0), "steps"),
        (dict(size=8), "size"),
        (dict(jitter=99), "jitter"),
    ],
)
def test_bad_values_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        invert("chelsea", device="cpu", **arguments)


def test_moving_views_belong_to_the_level():
    """A run moves its own copy: the objective given stays as it was, so a second run is the same one."""
    from styletx import Energy, Match

    photo = load("chelsea", 64)
    terms = [
        Match(CODES["all"], photo, "relu1_1", view=(Jitter(2, update_every=1), None)),
        Energy(total_variation, 0.01),
    ]
    objective = Objective(*terms, relative=False)
    encoder = load_encoder("mini", device="cpu")
    runs = [synthesize(objective, encoder, start=photo * 0.5, steps=9, levels=1).finish(False) for _ in range(2)]
    assert torch.equal(*runs)
