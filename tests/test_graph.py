"""styletx/graph/stencil.py, affinity.py: the slide's 4×4 example, scikit-learn's grid, sums written out, and scipy."""

import itertools

import numpy as np
import pytest
import torch
from fuzz import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from styletx.graph.affinity import FLOOR, degree, gaussian_affinity, grid_graph, local_scale, normalised
from styletx.graph.stencil import Stencil, overlap, window

SIZES = st.tuples(st.integers(1, 7), st.integers(1, 7))


def picture(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


def neighbours(height, width, connectivity):
    """Every pair of pixels, looked at one by one."""
    found = np.zeros((height * width,) * 2, int)
    for (a, b), (c, d) in itertools.product(itertools.product(range(height), range(width)), repeat=2):
        dy, dx = abs(a - c), abs(b - d)
        near = dy + dx == 1 if connectivity == 4 else max(dy, dx) == 1
        found[a * width + b, c * width + d] = near
    return found


def test_the_slides_example():
    """Of 4×4 pixels, numbered from 1, pixel 6 has the neighbours 1, 2, 3, 5, 7, 9, 10, 11; the diagonal is 0."""
    graph = grid_graph(4, 4, connectivity=8).toarray()
    assert (np.flatnonzero(graph[5]) + 1).tolist() == [1, 2, 3, 5, 7, 9, 10, 11]
    assert (np.flatnonzero(grid_graph(4, 4).toarray()[5]) + 1).tolist() == [2, 5, 7, 10]
    assert not graph.diagonal().any()
    assert graph.sum(1).reshape(4, 4).tolist() == [[3, 5, 5, 3], [5, 8, 8, 5], [5, 8, 8, 5], [3, 5, 5, 3]]


@settings(max_examples=30 * FUZZ, deadline=None)
@given(SIZES, st.sampled_from([4, 8]))
def test_grid_graph_pair_by_pair(size, connectivity):
    graph = grid_graph(*size, connectivity)
    assert np.array_equal(graph.toarray(), neighbours(*size, connectivity))
    assert graph.nnz == graph.sum()  # nothing stored that is 0


@settings(max_examples=30 * FUZZ, deadline=None)
@given(SIZES, st.sampled_from([4, 8]), st.integers(0, 99))
def test_a_mask_keeps_its_pixels_in_order(size, connectivity, seed):
    mask = np.random.default_rng(seed).random(size) < 0.6
    mask[0, 0] = True
    kept = mask.ravel()
    expected = neighbours(*size, connectivity)[kept][:, kept]
    assert np.array_equal(grid_graph(*size, connectivity, mask=mask).toarray(), expected)


def test_grid_graph_is_scikit_learns():
    from sklearn.feature_extraction.image import grid_to_graph

    theirs = grid_to_graph(5, 7).toarray()
    assert (theirs.diagonal() == 1).all()  # there every pixel is its own neighbour
    assert np.array_equal(grid_graph(5, 7).toarray(), theirs - np.eye(35, dtype=int))


@pytest.mark.parametrize(
    "arguments, named",
    [
        (dict(connectivity=6), "connectivity"),
        (dict(height=0), "height"),
        (dict(width=2.5), "width"),
        (dict(mask=np.ones((3, 4), bool)), "mask"),
        (dict(mask=np.zeros((4, 5), bool)), "mask"),
    ],
)
def test_grid_graph_says_what_is_wrong(arguments, named):
    with pytest.raises(ValueError, match=f"^{named}:"):
        grid_graph(**(dict(height=4, width=5) | arguments))


def scale_written_out(image, radius, floor):
    colours = image[0].permute(1, 2, 0).numpy()
    height, width, _ = colours.shape
    found = np.zeros((height, width))
    for y, x in itertools.product(range(height), range(width)):
        near = colours[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1].reshape(-1, 3)
        found[y, x] = max(floor, np.sqrt(near.var(0).sum()))
    return found


@settings(max_examples=20 * FUZZ, deadline=None)
@given(SIZES, st.integers(1, 3))
def test_local_scale_is_the_windows_spread(size, radius):
    image = picture(*size)
    found = local_scale(image, radius, floor=0.3)
    assert np.allclose(found, scale_written_out(image, radius, 0.3), atol=1e-9)


@settings(max_examples=20 * FUZZ, deadline=None)
@given(SIZES, st.sampled_from([4, 8]))
def test_gaussian_affinity_pair_by_pair(size, connectivity):
    image = picture(*size)
    colours = image[0].flatten(1).T.numpy()
    sigma = scale_written_out(image, 1, FLOOR).ravel()
    gaps = ((colours[:, None] - colours[None]) ** 2).sum(-1)
    edges = neighbours(*size, connectivity)
    both = gaussian_affinity(image, connectivity).toarray()
    assert np.allclose(both, edges * np.exp(-gaps / np.outer(sigma, sigma)), atol=1e-9)
    slide = gaussian_affinity(image, connectivity, local="i").toarray()
    assert np.allclose(slide, edges * np.exp(-gaps / sigma[:, None] ** 2), atol=1e-9)


def test_the_slides_scale_makes_it_lopsided():
    image = picture(6, 6)
    both, slide = gaussian_affinity(image), gaussian_affinity(image, local="i")
    assert abs(both - both.T).max() < 1e-15 and abs(slide - slide.T).max() > 0.1


def test_a_constant_picture_is_joined_everywhere():
    flat = torch.full((1, 3, 5, 6), 0.3)
    assert np.array_equal(gaussian_affinity(flat).toarray(), grid_graph(5, 6).toarray())
    assert torch.allclose(local_scale(flat), torch.full((5, 6), FLOOR, dtype=torch.float64))


@pytest.mark.parametrize("arguments", [dict(local="j"), dict(radius=0), dict(connectivity=5)])
def test_gaussian_affinity_says_what_is_wrong(arguments):
    with pytest.raises(ValueError, match=f"^{next(iter(arguments))}:"):
        gaussian_affinity(picture(4, 4), **arguments)
    with pytest.raises(ValueError, match="^image:"):
        gaussian_affinity(torch.rand(3, 4, 4))


def test_normalised_and_its_isolated_pixel():
    """Three pixels in a row of which the last one knows nobody: it is its own neighbour."""
    affinity = sparse.csr_array(np.array([[0, 4.0, 0], [4, 0, 0], [0, 0, 0]]))
    assert degree(affinity).tolist() == [4, 4, 0]
    assert np.array_equal(normalised(affinity).toarray(), [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    uneven = np.array([[0, 1.0, 3], [1, 0, 0], [3, 0, 0]])
    expected = uneven / np.sqrt(np.outer([4, 1, 3], [4, 1, 3]))
    assert np.allclose(normalised(sparse.csr_array(uneven)).toarray(), expected)


@settings(max_examples=40 * FUZZ, deadline=None)
@given(SIZES, st.integers(1, 3), st.integers(0, 99))
def test_stencil_is_its_sparse_matrix(size, reach, seed):
    """To scipy and back, products, and scaled rows and columns, against dense matrices."""
    generator = np.random.default_rng(seed)
    count = size[0] * size[1]
    dense = np.zeros((count, count))
    for i, j in itertools.product(range(count), repeat=2):
        if max(abs(i // size[1] - j // size[1]), abs(i % size[1] - j % size[1])) <= reach:
            dense[i, j] = generator.random()
    stencil = Stencil.from_scipy(sparse.csr_array(dense), size, reach)
    found = stencil.csr()
    assert np.array_equal(found.toarray(), dense) and found.has_sorted_indices and found.nnz == (dense != 0).sum()
    x = torch.from_numpy(generator.random((2, *size)))
    assert np.allclose(stencil.apply(x).flatten(1), x.flatten(1).numpy() @ dense.T)
    rows, columns = (torch.from_numpy(generator.random(size)) for _ in range(2))
    scaled = np.diag(rows.flatten()) @ dense @ np.diag(columns.flatten())
    assert np.allclose(stencil.scaled(rows, columns).csr().toarray(), scaled)
    assert np.allclose(stencil.centre().flatten(), dense.diagonal())


def test_stencil_knows_its_grid():
    with pytest.raises(ValueError, match="reach given is 1"):
        Stencil.from_scipy(sparse.csr_array(np.ones((9, 9))), (3, 3), 1)
    with pytest.raises(ValueError, match=r"^matrix: \(9, 9\)"):
        Stencil.from_scipy(sparse.csr_array(np.ones((9, 9))), (3, 4), 1)
    assert overlap((1, -2), (4, 5)) == ((slice(0, 3), slice(2, 5)), (slice(1, 4), slice(0, 3)))
    assert len(window(2)) == 25
