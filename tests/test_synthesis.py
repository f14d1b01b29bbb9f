"""styletx/synthesis.py: the loop, its traps, and what it promises about stopping, budgets and best pictures."""

import math
import threading

import pytest
import torch

from styletx import Energy, Match, Objective, content_loss, gram_loss, load, load_encoder, memory, resize, synthesize
from styletx import synthesis as module
from styletx.memory import predict_memory
from styletx.synthesis import PICTURES, level_sizes, share_budget

LAYERS = ("relu1_1", "relu2_1")


@pytest.fixture(scope="module")
def mini():
    return load_encoder("mini", device="cpu")


@pytest.fixture(scope="module")
def photo():
    return load("china", size=64)


@pytest.fixture
def objective(photo):
    return Objective(Match(content_loss, photo, "relu2_1"), Match(gram_loss, load("mosaic", size=64), LAYERS, 10.0))


def quadratic(scale=1.0, target=0.3):
    """scale · mean (x − target)²: the answer is known in closed form."""
    return Objective(Energy(lambda x: scale * (x - target).square().mean(), name="bowl"))


@pytest.mark.parametrize("optimizer, tolerance", [("lbfgs", 1e-6), ("adam", 1e-2)])
def test_finds_the_minimum_of_a_bowl(photo, mini, optimizer, tolerance):
    run = synthesize(quadratic(), mini, start=photo, steps=120, levels=1, optimizer=optimizer)
    assert (run.finish(progress=False) - 0.3).abs().max() < tolerance


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_scalar_may_have_any_scale(photo, mini, factor):
    """PyTorch's L-BFGS has absolute tolerances: without the rescaling inside, 1e-6 would stall at the start."""
    stretch = torch.linspace(1, 30, photo.numel()).view_as(photo)

    def bowl(scale):
        return Objective(Energy(lambda x: scale * (stretch * (x - 0.4).square()).mean(), name="bowl"))

    plain, scaled = (
        synthesize(bowl(s), mini, start=photo, steps=12, levels=1).finish(progress=False) for s in (1.0, factor)
    )
    assert (plain - photo).abs().mean() > 0.05
    assert torch.allclose(plain, scaled, atol=1e-4)


def test_losses_fall_and_the_budget_is_kept(objective, mini, photo):
    steps = list(synthesize(objective, mini, start=photo, steps=40, levels=1))
    assert steps[-1].evaluations == 40 == steps[-1].total
    assert steps[-1].loss < steps[0].loss / 2
    assert [s.number for s in steps] == list(range(1, len(steps) + 1))
    assert all(float(s.image.min()) >= 0 and float(s.image.max()) <= 1 for s in steps)


def test_evaluations_are_counted_not_steps(photo, mini, monkeypatch):
    calls = []
    objective = Objective(Energy(lambda x: calls.append(1) or (x.sin() * x).square().mean(), name="counted"))
    run = synthesize(objective, mini, start=photo, steps=17, levels=1)
    monkeypatch.setattr(module._Problem, "settle", lambda self: None)  # judging the finalists is not counted
    steps = list(run)
    assert len(calls) == steps[-1].evaluations <= 17


def test_coarse_to_fine_visits_every_size(objective, mini):
    run = synthesize(objective, mini, start=load("china", size=256), steps=12)
    sizes = {step.level: step.size for step in run}
    assert sizes == {0: (86, 128), 1: (171, 256)}
    assert run.best.shape[-2:] == (171, 256)


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("longer", [256, 448])  # two levels and three
def test_kept_detail_is_the_starts_own(mini, stopped, longer):
    """An objective of the mean alone shifts every pixel by the same amount: all detail comes back."""
    start = 0.3 + 0.4 * load("china", size=longer)
    objective = Objective(Energy(lambda x: (x.mean() - 0.6).square(), name="mean"))
    found = {}
    for keep_detail in (False, True):
        run = synthesize(objective, mini, start=start, steps=12, keep_detail=keep_detail)
        for step in run:
            if stopped and step.level == 0:
                run.stop()
        shift = run.best.mean() - start.mean()
        found[keep_detail] = float((run.best - start - shift).abs().max())
    assert found[True] < 1e-4 < 0.02 < found[False]


@pytest.mark.parametrize("size", [256, 448])
def test_kept_detail_adds_nothing_by_itself(mini, size):
    """Where no level finds anything to change, the result is the start at that size, white edges and all."""
    start = load("china", size=448)
    objective = Objective(Energy(lambda x: (x * 0).sum(), name="nothing"))
    run = synthesize(objective, mini, start=start, size=size, steps=9, keep_detail=True)
    assert torch.equal(run.finish(progress=False), resize(start, size))
    blurred = synthesize(objective, mini, start=start, size=size, steps=9).finish(progress=False)
    assert (blurred - resize(start, size)).abs().max() > 0.1


def test_a_line_search_that_finds_nothing_ends_the_level(mini, photo):
    class Uphill(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x - 0.5).square().mean()

        @staticmethod
        def backward(ctx, slope):
            return -slope * (ctx.saved_tensors[0] - 0.5)  # away from the minimum

    run = synthesize(Objective(Energy(Uphill.apply, name="uphill")), mini, start=photo, steps=500, levels=1)
    run.finish(progress=False)
    assert run.evaluations <= 2 * module.LINE_SEARCH and torch.allclose(run.best, photo)


def test_stopped_before_the_first_evaluation_there_is_no_step(objective, mini, photo):
    run = synthesize(objective, mini, start=photo, steps=20)
    run.stop()
    assert list(run) == [] and run.stopped and torch.allclose(run.best, photo, atol=1e-6)


def test_level_sizes_and_budgets():
    assert level_sizes((341, 512)) == [(85, 128), (170, 256), (341, 512)]
    assert level_sizes((100, 100)) == [(100, 100)]
    assert level_sizes((341, 512), levels=[200, 512])[0] == (133, 200)
    for total in (1, 2, 3, 10, 200):
        for levels in (1, 2, 3, 4):
            parts = share_budget(total, levels)
            assert sum(parts) == total and len(parts) == levels and min(parts) >= 0 and parts[-1] >= 1
    for levels in (0, [512, 256], [600], []):
        with pytest.raises(ValueError, match="levels"):
            level_sizes((341, 512), levels=levels)


def test_same_seed_same_picture(objective, mini, photo):
    first, second = (synthesize(objective, mini, start=photo, steps=12).finish(progress=False) for _ in range(2))
    assert torch.equal(first, second)


def test_leaving_the_loop_keeps_the_best_picture(objective, mini, photo):
    run = synthesize(objective, mini, start=photo, steps=200, levels=1)
    for step in run:
        if step.evaluations >= 12:
            break
    level = objective.at(tuple(photo.shape[-2:]), mini)
    with torch.no_grad():
        assert sum(map(float, level(run.best).values())) < 0.8 * sum(map(float, level(photo).values()))


@pytest.mark.parametrize("evaluation", [1, 2, 3, 4, 5, 6, 7, 8, 11])
def test_stop_at_any_evaluation_leaves_the_best(photo, mini, evaluation):
    """Also inside a line search: the objective itself calls stop; nothing it has met may be better than the best."""
    seen = []

    def value(x):
        return (10 * (x - 0.5)).sin().square().mean() + (x - 0.2).square().mean()

    def bumpy(x):
        seen.append((float(value(x.detach())), x.detach().clone()))
        if len(seen) == evaluation:
            run.stop()
        return value(x)

    run = synthesize(Objective(Energy(bumpy)), mini, start=photo, steps=100, levels=1)
    steps = list(run)
    _, lowest = min(seen[:evaluation], key=lambda pair: pair[0])
    assert steps[-1].evaluations == evaluation
    assert float(value(run.best)) <= float(value(lowest.clamp(0, 1))) + 1e-7


def test_stop_from_another_thread(objective, mini, photo):
    run = synthesize(objective, mini, start=photo, steps=5000, levels=1)
    thread = threading.Thread(target=lambda: run.finish(progress=False))
    next(run)
    thread.start()
    run.stop()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert run.best.isfinite().all()


def test_a_non_finite_value_is_survived_once(photo, mini):
    calls = []

    def fragile(x):
        calls.append(1)
        value = (x - 0.3).square().mean()
        return value * math.nan if len(calls) == 5 else value

    run = synthesize(Objective(Energy(fragile)), mini, start=photo, steps=40, levels=1)
    assert (run.finish(progress=False) - 0.3).abs().max() < 1e-3


def test_a_term_that_stays_non_finite_is_named(photo, mini):
    def broken(x):
        return (x.sum() * 0).log() * 0

    run = synthesize(Objective(Energy(broken), Energy(torch.mean, name="fine")), mini, start=photo, steps=10, levels=1)
    with pytest.raises(FloatingPointError, match="broken"):
        run.finish(progress=False)


def test_grad_mode_does_not_leak(objective, mini, photo):
    with torch.no_grad():
        for step in synthesize(objective, mini, start=photo, steps=5, levels=1):
            assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled() and step.evaluations == 5


def test_shares_tell_who_is_pulling(photo, mini):
    """Two bowls with gradients 3 : 1."""
    objective = Objective(Energy(lambda x: 3 * x.mean(), name="strong"), Energy(lambda x: x.mean(), name="weak"))
    step = next(synthesize(objective, mini, start=photo, steps=3, levels=1, shares=True))
    assert step.shares["strong"] == pytest.approx(0.75)
    assert sum(step.shares.values()) == pytest.approx(1)


def test_shares_do_not_change_the_picture(objective, mini, photo):
    """A few evaluations: later the rounding of two orders of summation grows, as in any quasi-Newton method."""
    plain, asked = (
        synthesize(objective, mini, start=photo, steps=4, shares=s).finish(progress=False) for s in (False, True)
    )
    assert torch.allclose(plain, asked, atol=1e-3) and (plain - photo).abs().mean() > 5e-3


def test_the_cached_evaluation_equals_a_long_run(photo, mini):
    """max_iter=1 per step, with the last evaluation cached, walks the same way as PyTorch's own long run."""
    stretch = torch.linspace(1, 30, photo.numel()).view_as(photo)

    def value(x):
        return (stretch * (x - 0.4).square()).sum() / 100

    ours = synthesize(Objective(Energy(lambda x: value(x))), mini, start=photo, steps=14, levels=1)
    for last in ours:
        pass
    x = photo.clone().requires_grad_(True)
    scale = 1 / float(torch.autograd.grad(value(x), x)[0].abs().mean())
    optimiser = torch.optim.LBFGS([x], lr=module.FIRST_MOVE * x.numel(), max_iter=1, max_eval=20,
                                  history_size=module.HISTORY, line_search_fn="strong_wolfe",
                                  tolerance_grad=0, tolerance_change=0)  # fmt: skip

    def closure():
        optimiser.zero_grad()
        loss = value(x) * scale
        loss.backward()
        return loss

    for _ in range(last.number - 1):  # the first Step is the start itself
        optimiser.step(closure)
        optimiser.param_groups[0]["lr"] = 1.0
    assert torch.allclose(last.raw, x.detach(), atol=1e-4)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_terms_belong_to_the_picture_of_their_step(objective, mini, photo, optimizer):
    """A line search may end at a trial that was not its last: the terms are those of where it ended."""
    level = objective.at(tuple(photo.shape[-2:]), mini)
    steps = list(synthesize(objective, mini, start=photo, steps=25, levels=1, optimizer=optimizer))
    assert torch.equal(steps[0].raw, photo)
    for step in steps:
        with torch.no_grad():
            expected = {name: float(value) for name, value in level(step.raw).items()}
        assert step.losses == pytest.approx(expected, rel=1e-4)


def test_a_notebook_shows_what_is_there_without_computing(objective, mini, photo):
    run = synthesize(objective, mini, start=photo, steps=10)
    assert run._repr_png_()[:4] == b"\x89PNG"
    assert run.evaluations == 0


def test_memory_is_predicted_before_the_run(objective, mini, monkeypatch):
    small, large = (predict_memory(mini, ["relu5_1"], (s, s), PICTURES) for s in (128, 256))
    assert large == pytest.approx(4 * small, rel=0.02)
    monkeypatch.setattr(memory, "free_memory", lambda device: 200 * 2**20)
    with pytest.raises(MemoryError, match=r"a longer side of (\d+) would") as caught:
        synthesize(objective, mini, start=torch.rand(1, 3, 64, 64), size=2048, steps=5)
    fits = int(str(caught.value).split("longer side of ")[1].split()[0])
    assert predict_memory(mini, objective.layers(), (fits, fits), PICTURES) < 200 * 2**20
    synthesize(objective, mini, start=torch.rand(1, 3, 64, 64), size=fits, steps=5)


def test_out_of_memory_says_which_size_fits(objective, mini, photo, monkeypatch):
    def full(self, *args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    run = synthesize(objective, mini, start=photo, steps=5)
    monkeypatch.setattr(module._Problem, "evaluate", full)
    with pytest.raises(MemoryError, match="out of memory.*a longer side of"):
        run.finish(progress=False)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"steps": 0}, "steps: 0"),
        ({"steps": 2.5}, "steps: 2.5"),
        ({"steps": True}, "steps: True"),
        ({"optimizer": "sgd"}, "sgd"),
        ({"rate": -1.0}, "rate"),
        ({"size": 4}, "too few"),
        ({"start": torch.rand(3, 64, 64)}, "a picture is"),
        ({"start": torch.full((1, 3, 64, 64), math.nan)}, "not finite"),
        ({"device": "tpu9"}, "device"),
        ({"levels": [4, 64]}, "too few"),
    ],
)
def test_bad_arguments_are_refused_at_once(objective, photo, wrong, message):
    arguments = {"start": photo, "steps": 5, **wrong}
    with pytest.raises(ValueError, match=message):
        synthesize(objective, arguments.pop("encoder", "mini"), **arguments)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_gradients_in_any_memory_format(optimizer):
    """Convolutions with zeros as padding hand back channels_last gradients: the optimiser must take them."""
    photo = load("china", 96)

    def last(image):
        return (image.contiguous(memory_format=torch.channels_last) - 0.5).square().mean()

    run = synthesize(Objective(Energy(last)), start=photo, steps=12, levels=1, optimizer=optimizer, device="cpu")
    steps = list(run)
    assert steps[-1].loss < steps[0].loss
    network = load_encoder("vgg19", weights="random", device="cpu")
    run = synthesize(Objective(Match(gram_loss, photo, "relu2_1")), network, start=photo.flip(-1), steps=3, levels=1,
                     optimizer=optimizer)  # fmt: skip
    assert list(run)[-1].evaluations == 3
