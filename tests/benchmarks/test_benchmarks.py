"""What is benchmarked is right: ours and pystiche's agree, clocks do what they say, the page renders.

No test here asserts a speed.
"""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from styletx import gram_loss, load_encoder
from styletx.whitening import gaussian, transfer

from . import coarse_to_fine, losses, measure, one_shot, peer, smoothing
from .render import render

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def pystiche():
    try:
        return peer.import_pystiche()
    except ImportError as error:
        reason = f"pystiche is not importable: {error}"
        print(reason)
        pytest.skip(reason)


@pytest.mark.parametrize("name", losses.DENSE)
def test_blocks_and_dense_versions_agree(name):
    """The dense version as an oracle: value's gradient at every feature."""
    ours, theirs = (losses.evaluation(which, name, 9, CPU) for which in ("styletx", "dense"))
    first, second = ours(), theirs()
    assert torch.allclose(first, second, rtol=1e-3, atol=1e-5 * float(second.abs().max()))


def test_losses_run_and_are_rendered():
    row = losses.in_subprocess("styletx", "MRF", 8, 1, CPU)
    assert row["seconds"]["median"] > 0 and row["bytes"] >= 0
    rows = [{"loss": "MRF", "positions": 64, "repetitions": 1, "styletx": row, "dense": None}]
    conditions = measure.conditions(CPU, quick=False)
    page = render({"losses/cpu": conditions | {"result": {"channels": 64, "rows": rows, "whole": []}}})
    assert "| MRF, 64 positions |" in page and "MiB | – | – |" in page


def test_the_transform_is_the_one_by_svd():
    """Singular values of the covariances as an oracle of the whole transform, on clouds of full rank."""
    content, style = one_shot.clouds(24, 12, CPU)
    ours, theirs = transfer(content, gaussian(style)), one_shot.by_svd(content, style)
    assert torch.allclose(ours, theirs, atol=1e-3 * float(theirs.abs().max()))


def test_smoothing_and_scipys_factorised_solve_agree_and_are_rendered():
    rows = [{"solver": name, "affinity": "matting", "size": [24, 32]} for name in ("direct", "factorized")]
    found = [smoothing.smoothed(row["solver"], "matting", (24, 32), CPU, 2) for row in rows]
    assert float((found[0][1] - found[1][1]).abs().max()) < 1e-6
    for row, (seconds, _) in zip(rows, found, strict=True):
        row |= {"first": seconds[0], "second": seconds[1], "bytes": 2**20, "difference": 1e-9}
    times = {"median": 0.1, "q1": 0.1, "q3": 0.1, "repetitions": 3}
    matrix = {"size": [24, 32], "seconds": {"styletx": times, "pymatting": times},
              "ratio": {"ratio": 1.0, "low": 1.0, "high": 1.0}}  # fmt: skip
    conditions = measure.conditions(CPU, quick=False)
    page = render({"smoothing/cpu": conditions | {"result": {"laplacian": matrix, "rows": rows}}})
    assert "| matting, 24×32 px | factorized |" in page and "100 ms" in page


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("network", ["mini", "vgg19"])
def test_loss_and_gradient_agree_with_pystiche(pystiche, network, in_place):
    """pystiche as an independent oracle of the whole objective: encoder, losses and gradient."""
    encoder = load_encoder(network, weights="random", device=CPU)
    given = peer.pictures(64, CPU)
    theirs = peer.their_encoder(encoder, in_place)
    found = peer.agreement(peer.our_evaluation(encoder, *given), peer.their_evaluation(theirs, *given))
    peer.check_agreement(found)


def test_each_layer_agrees_with_pystiche(pystiche):
    """Term by term: a wrong weight of one layer could hide in the sum."""
    encoder = load_encoder("mini", weights="random", device=CPU)
    content, style, start = peer.pictures(64, CPU, seed=1)
    level = peer.our_objective(content, style).at((64, 64), encoder, CPU)
    ours = {name: float(term) for name, term in level(start).items()}
    theirs = peer.their_criterion(peer.their_encoder(encoder), content, style)(start)
    assert ours["content"] == pytest.approx(float(theirs["content_loss"]), rel=1e-4)
    their_style = {layer: float(theirs[f"style_loss.{layer}"]) for layer in peer.STYLE_LAYERS}
    assert ours["style"] == pytest.approx(sum(their_style.values()), rel=1e-4)
    features = encoder(start, peer.STYLE_LAYERS)
    targets = encoder(style, peer.STYLE_LAYERS)
    for layer in peer.STYLE_LAYERS:
        expected = their_style[layer] * len(peer.STYLE_LAYERS) / peer.STYLE_WEIGHT
        found = float(gram_loss(features[layer], targets[layer]))
        assert found == pytest.approx(expected, rel=1e-4), layer


def test_a_wrong_objective_is_noticed(pystiche):
    """The agreement is no formality: another style picture fails it."""
    encoder = load_encoder("mini", weights="random", device=CPU)
    content, style, start = peer.pictures(64, CPU)
    theirs = peer.their_evaluation(peer.their_encoder(encoder), content, style.flip(1), start)
    with pytest.raises(AssertionError, match="differ"):
        peer.check_agreement(peer.agreement(peer.our_evaluation(encoder, content, style, start), theirs))


def test_summary_and_ratio_by_hand():
    found = measure.summary([4.0, 1.0, 2.0, 3.0, 5.0])
    assert found == {"median": 3.0, "q1": 2.0, "q3": 4.0, "repetitions": 5}
    assert measure.summary([2.0])["median"] == 2.0
    same = measure.ratio([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert same["ratio"] == 2 and same["low"] <= 2 <= same["high"]
    assert measure.ratio([3.0] * 5, [2.0] * 5) == {"ratio": 1.5, "low": 1.5, "high": 1.5}


def test_rounds_are_interleaved():
    seen = []
    cases = {"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}
    seconds = measure.interleave(cases, rounds=3, warm_up=1, device=CPU)
    assert "".join(seen) == "ab" + "ab" + "ba" + "ab"
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_coarse_to_fine_reaches_or_says_so():
    """The goal is judged as the plain run is: a run that is told to reach its own end reaches it."""
    encoder = load_encoder("mini", weights="random", device=CPU)
    found = coarse_to_fine.row("china", "flower", encoder, 64, plain=8, budgets=(1, 60), repeats=1)
    assert found["plain"]["evaluations"] == 8
    assert found["plain"]["objective"] < found["objective at the start"]
    goal, (short, long) = found["plain"]["objective"], found["coarse to fine"]["tried"]
    assert short["reached"] is None and short["objective"] > goal
    assert 0 < long["reached"] <= long["seconds"] and long["objective"] <= goal
    assert found["ratio"] == pytest.approx(long["reached"] / found["plain"]["seconds"]["median"])


def test_memory_sees_a_tensor():
    """The peak of a fresh interpreter's run is measured: a buffer of known size is seen in it."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("no /proc here: the peak is only an upper bound")
    program = """
import torch
from styletx.memory import resident
before = resident(reset=True)
torch.ones(64 * 2**20 // 4)
print(resident(highest=True) - before)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) == pytest.approx(64 * 2**20, rel=0.1)


CONDITIONS = {
    "date": "2026-01-02T03:04+00:00", "quick": False, "device": "cpu", "processor": "a processor", "cores": 2,
    "threads": 2, "load before": 0.1, "system": "Linux x86_64",
    "versions": {"python": "3.11", "torch": "2.4", "pystiche": None},
}  # fmt: skip
SPREAD = {"median": 0.25, "q1": 0.2, "q3": 0.3, "repetitions": 5}
RATIO = {"ratio": 1.25, "low": 1.125, "high": 1.5}
PAIR = {
    "content": "photo", "style": "painting", "pixels": [341, 512], "objective at the start": 12.0,
    "plain": {"objective": 3.5, "evaluations": 300, "asked": 300, "seconds": SPREAD | {"median": 40.0}},
    "coarse to fine": {"budget": 150, "tried": [], "seconds": SPREAD | {"median": 10.0}},
    "default": {"budget": 200, "objective": 3.25, "seconds": 12.5}, "ratio": 0.25,
}  # fmt: skip
ROW = {
    "network": "mini", "size": 256, "steps": 30, "agreement": {"loss ratio": 1.0, "gradient cosine": 1.0},
    "seconds": {"styletx": SPREAD, "pystiche": SPREAD}, "ratios": {"pystiche": RATIO},
}  # fmt: skip
EVALUATION = ROW | {
    "seconds": ROW["seconds"] | {"pystiche, in place": SPREAD},
    "ratios": ROW["ratios"] | {"pystiche, in place": RATIO},
}
BYTES = {
    "network": "mini", "size": 256, "steps": 24,
    "predicted": 3 * 2**20, "styletx": 2 * 2**20, "pystiche": None,
}  # fmt: skip
FOUND = {
    "step/cpu": CONDITIONS | {"result": {"evaluations": [EVALUATION], "runs": [ROW]}},
    "coarse_to_fine/cpu": CONDITIONS | {"result": {"encoder": "mini", "size": 512, "pairs": [PAIR]}},
    "memory/cpu": CONDITIONS | {"result": {"rows": [BYTES]}},
    "import_time/cpu": CONDITIONS
    | {"result": {"seconds": {"import torch": SPREAD, "import styletx": SPREAD}, "ratio": RATIO}},
}


def test_the_page_shows_what_the_file_holds():
    page = render(json.loads(json.dumps(FOUND)))
    for expected in (
        "250 ms [200, 300] ×5", "1.250 [1.125, 1.500]", "| 0.25 |", "300 of 300", "3 MiB", "1.50",
        "2 above it (lost)", "On 1 of 1 pairs", "a processor, 2 cores", "2026-01-02",
    ):  # fmt: skip
        assert expected in page, expected
    assert "quick" not in page and "None" not in page
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):  # rows have as many cells as their head
        assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_the_page_says_what_was_lost_skipped_or_quick():
    found = copy.deepcopy(FOUND)
    found["coarse_to_fine/cpu"]["result"]["pairs"][0] |= {"ratio": None}
    found["coarse_to_fine/cpu"]["result"]["pairs"][0]["coarse to fine"]["seconds"] = None
    found["step/cpu"] |= {"quick": True, "result": {"skipped": "no pystiche"}}
    page = render(found)
    assert "not reached" in page and "On 0 of 1 pairs" in page
    assert "Skipped: no pystiche." in page and "**quick**" in page and "mean nothing" in page
    assert "at most a third" not in render({"coarse_to_fine/cpu": found["coarse_to_fine/cpu"] | {"quick": True}})
