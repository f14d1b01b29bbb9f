"""styletx/training/fit.py: seeded, resumed to the same weights, honest about what goes wrong."""

import pytest
import torch
from torch import nn

from styletx.training.fit import one_cycle, train


class Drawn:
    """A batch source with a state of its own, as a recipe has."""

    def __init__(self):
        self.count = 0

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def setup():
    torch.manual_seed(0)
    model, drawn = nn.Linear(4, 2), Drawn()
    truth = torch.arange(8.0).view(2, 4)

    def losses(generator):
        drawn.count += 1
        x = torch.randn(16, 4, generator=generator)
        return {"error": (model(x) - x @ truth.T).square().mean() + 0.0 * drawn.count}

    return model, drawn, losses, truth


def test_learns_a_linear_map():
    model, _, losses, truth = setup()
    for progress in train(losses, {"model": model}, steps=600, rate=0.3):
        pass
    assert progress.number == progress.total == 600
    assert torch.allclose(model.weight, truth, atol=0.05)


def test_resumed_equals_uninterrupted(tmp_path):
    model, drawn, losses, _ = setup()
    list(train(losses, {"model": model}, steps=60, keep={"drawn": drawn}))
    again, drawn_again, losses_again, _ = setup()
    checkpoint = tmp_path / "cache" / "run.pt"
    parts = {"modules": {"model": again}, "keep": {"drawn": drawn_again}}
    for progress in train(
        losses_again, parts["modules"], steps=60, keep=parts["keep"], checkpoint=checkpoint, checkpoint_every=20
    ):
        if progress.number == 33:  # stopped in between: the last checkpoint is of step 20
            break
    fresh, drawn_fresh, losses_fresh, _ = setup()
    numbers = [p.number for p in train(losses_fresh, {"model": fresh}, steps=60, keep={"drawn": drawn_fresh},
                                     checkpoint=checkpoint, checkpoint_every=20)]  # fmt: skip
    assert numbers == list(range(21, 61))
    assert torch.equal(fresh.weight, model.weight) and drawn_fresh.count == drawn.count == 60


def test_the_rate_rises_and_falls():
    assert one_cycle(0, 100) == pytest.approx(0.2)
    assert one_cycle(4, 100) == one_cycle(5, 100) == 1.0
    assert one_cycle(99, 100) == pytest.approx(0, abs=1e-3)


def test_a_checkpoint_of_other_parts_is_named(tmp_path):
    model, _, losses, _ = setup()
    list(train(losses, {"model": model}, steps=1, checkpoint=tmp_path / "run.pt"))
    with pytest.raises(ValueError, match="run.pt.*other"):
        list(train(losses, {"other": model}, steps=2, checkpoint=tmp_path / "run.pt"))


def test_trouble_is_named():
    model, _, _, _ = setup()
    with pytest.raises(ValueError, match="steps: 0"):
        next(train(lambda g: {}, {"model": model}, steps=0))
    broken = {"fine": lambda: model.weight.sum(), "sick": lambda: model.weight.sum() * float("nan")}
    with pytest.raises(FloatingPointError, match="sick"):
        next(train(lambda g: {name: f() for name, f in broken.items()}, {"model": model}, steps=1))


def test_another_optimiser_can_be_given():
    """One step of plain gradient descent on ½w², by hand: w − rate·w."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 0.2)
    steps = train(
        lambda generator: {"square": module.weight.square().sum() / 2},
        {"module": module}, steps=1, rate=0.1, optimizer=torch.optim.SGD,
    )  # fmt: skip
    assert next(steps).number == 1
    assert float(module.weight.detach()) == pytest.approx(0.2 - 0.1 * 0.2)
