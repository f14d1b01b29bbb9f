"""styletx/evaluation/litmus.py: what is measured is what was derived; the pairs are what they claim to be."""

import numpy as np
import pytest
import torch

from styletx import load_encoder
from styletx.evaluation.litmus import LOSSES, PAIRS, sees


@pytest.fixture(scope="module")
def mini():
    return load_encoder("mini", device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_the_table_is_the_one_that_was_derived(pair, name, mini):
    assert sees(LOSSES[name], pair, mini) == (name in pair.seen_by), pair.because


def made(name):
    return next(pair for pair in PAIRS if pair.name.startswith(name)).make()


def test_pairs_are_minimal():
    """By NumPy: what is said to be equal is, what is said to differ does."""
    first, second, _ = (p.numpy().ravel() for p in made("one Gram"))
    assert np.mean(first**2) == np.mean(second**2) and np.mean(first) != np.mean(second)
    first, second, _ = (p.numpy().ravel() for p in made("one mean"))
    assert first.mean() == pytest.approx(second.mean()) and first.std() == pytest.approx(second.std())
    assert len(np.unique(first.round(6))) == 2 and len(np.unique(second.round(6))) == 3
    first, second, _ = (p.numpy()[0].reshape(2, -1) for p in made("one set"))
    assert abs(np.corrcoef(first)[0, 1] - 1) < 1e-9 and abs(np.corrcoef(second)[0, 1]) < 0.05
    first, second, _ = (p.flatten() for p in made("positions"))
    assert torch.equal(first.sort().values, second.sort().values) and not torch.equal(first, second)
    for name in ("mirrored, in features", "mirrored, in pixels"):
        first, second, _ = made(name)
        assert torch.equal(first.flip(-1), second)
    first, second, _ = (p[0, 0].numpy() for p in made("phases"))
    assert np.allclose(np.abs(np.fft.fft2(first)), np.abs(np.fft.fft2(second)), atol=1e-8)
