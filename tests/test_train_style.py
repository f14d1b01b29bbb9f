"""styletx/methods/train_style.py: a training that is watched, in a loop and in a panel."""

import pytest
import torch

from styletx import load, stylize, train_style
from styletx.widgets import Panel

FAST = dict(steps=12, size=64, side=64, width=2, photos=["china", "coffee"], device="cpu")


def test_every_step_shows_a_picture_and_the_loss_falls():
    run = train_style("china", "stained-glass", **FAST | {"steps": 40, "rate": 2e-2})
    before, steps = run.best, list(run)
    assert run.unit == "step" and [step.number for step in steps] == list(range(1, 41))
    assert all(step.image.shape == before.shape == (1, 3, 43, 64) for step in steps)
    assert not torch.equal(run.best, before) and torch.equal(run.best, steps[-1].image)
    first, last = (sum(step.loss for step in part) for part in (steps[:5], steps[-5:]))
    assert last < 0.7 * first


def test_the_file_is_the_network_that_was_shown(tmp_path):
    out = tmp_path / "mine.safetensors"
    run = train_style("china", "waves", out=out, **FAST)
    made = run.finish(progress=False)
    again = stylize("china", style=str(out), size=64, device="cpu")
    assert float((again - made).abs().mean()) < 2e-3  # the file is in half precision


def test_the_seed_decides_and_nothing_else():
    torch.manual_seed(5)
    runs = [train_style("china", "waves", seed=seed, **FAST).finish(progress=False) for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_stopped_it_keeps_its_picture(tmp_path):
    run = train_style("china", "waves", out=tmp_path / "n.safetensors", **FAST)
    for step in run:
        if step.number == 4:
            run.stop()
    assert run.stopped and run.evaluations == 4 and (tmp_path / "n.safetensors").is_file()


@pytest.mark.parametrize(
    ("given", "word"),
    [({"out": "a.png"}, "safetensors"), ({"photos": []}, "photos"), ({"width": 0}, "width"),
     ({"norm": "layer"}, "norm"), ({"photos": "nowhere"}, "nowhere"),
     ({"out": "nowhere/a.safetensors"}, "no folder")],
)  # fmt: skip
def test_bad_arguments_are_named_at_once(given, word):
    with pytest.raises(ValueError, match=word):
        train_style("china", "waves", **FAST | given)


def test_train_it_now_in_a_panel():
    """Pictures while it trains, steps counted as steps, and the last picture to be saved."""
    panel = Panel(train_style, content="china", style="waves", **{k: v for k, v in FAST.items() if k != "device"}).run()
    assert panel.image.shape == load("china", size=64).shape and panel.step.number == 12
    assert "12 of 12 steps" in panel.status.value and "result, 12 steps" in panel.picture.value
    assert "steps</text>" in panel.curve.value
