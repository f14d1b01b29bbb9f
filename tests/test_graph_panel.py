"""styletx/widgets/graph_panel.py: the weights shown are W's, and a click chooses the pixel under it."""

import pytest
import torch

from styletx import load, resize
from styletx.graph.affinity import gaussian_affinity
from styletx.widgets import GraphPanel
from styletx.widgets.graph_panel import KINDS


@pytest.fixture
def panel():
    return GraphPanel(resize(load("china"), (20, 30)))


def test_the_weights_are_the_row_of_w(panel):
    panel.row.value, panel.column.value = 7, 11
    matrix = gaussian_affinity(panel.image, connectivity=8).toarray()
    expected = {divmod(int(j), 30): matrix[7 * 30 + 11, j] for j in matrix[7 * 30 + 11].nonzero()[0]}
    assert panel.weights == pytest.approx(expected)
    assert set(panel.weights) <= {(y, x) for y in (6, 7, 8) for x in (10, 11, 12)}
    assert f"{sum(expected.values()):.3g}" in panel.graph.value


@pytest.mark.parametrize(("kind", "count"), [(KINDS[0], 4), (KINDS[1], 8), (KINDS[3], 25)])
def test_each_kind_has_its_neighbours(panel, kind, count):
    panel.kind.value = kind
    assert len(panel.weights) == count
    panel.row.value = panel.column.value = 0  # a corner
    assert len(panel.weights) == {4: 2, 8: 3, 25: 9}[count]


def test_a_click_is_one_move(panel):
    seen = []
    panel.view.observe(lambda change: seen.append(change["new"]), "value")
    panel.clicked.value = "0.5,0.25"
    assert (panel.row.value, panel.column.value) == (5, 15) and len(seen) == 1
    for nonsense in ("", "here", "2,2", "0.5"):
        panel.clicked.value = nonsense
    assert (panel.row.value, panel.column.value) == (5, 15)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="kind"):
        GraphPanel("china", kind="16 neighbours")
    with pytest.raises(ValueError, match="image"):
        GraphPanel(torch.rand(3, 4, 4))
