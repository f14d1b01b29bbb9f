"""styletx/graph/matting.py: against pymatting, windows decomposed one by one, finite differences, and scipy."""

import itertools

import numpy as np
import pytest
import torch
from fuzz import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import spsolve

from styletx import load
from styletx.graph.affinity import degree, normalised
from styletx.graph.matting import (
    MattingQuadratic,
    cut_out,
    inverse3,
    matte,
    matting_affinity,
    matting_laplacian,
    matting_stencil,
    window_counts,
)

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def picture(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


def array(image):
    return np.ascontiguousarray(image[0].permute(1, 2, 0).double().numpy())


@pytest.fixture(scope="module")
def pymatting():
    """Where numba has not compiled it yet, importing it takes minutes."""
    return pytest.importorskip("pymatting")


@pytest.fixture(scope="module")
def photo():
    return load("china", 96).double()


def windows(size, radius):
    """The pixels' numbers in each window."""
    side = 2 * radius + 1
    for y, x in itertools.product(range(size[0] - side + 1), range(size[1] - side + 1)):
        yield [(y + dy) * size[1] + x + dx for dy, dx in itertools.product(range(side), repeat=2)]


def written_out(image, eps, radius):
    """Σ_k of 1 − 11ᵀ/m − U diag(s²/(s² + ε)) Uᵀ, with UsVᵀ the centred colours of a window: no inverse anywhere."""
    colours, size = image[0].flatten(1).T.double().numpy(), image.shape[-2:]
    found = np.zeros((size[0] * size[1],) * 2)
    for pixels in windows(size, radius):
        centred = colours[pixels] - colours[pixels].mean(0)
        left, s, _ = np.linalg.svd(centred, full_matrices=False)
        part = np.eye(len(pixels)) - 1 / len(pixels) - (left * (s**2 / (s**2 + eps))) @ left.T
        found[np.ix_(pixels, pixels)] += part
    return found


@pytest.mark.parametrize("eps, radius", [(1e-7, 1), (1e-3, 1), (1e-7, 2)])
def test_laplacian_is_pymattings(pymatting, photo, eps, radius):
    theirs = pymatting.cf_laplacian(array(photo), epsilon=eps, radius=radius)
    assert abs(matting_laplacian(photo, eps, radius) - theirs).max() < 1e-8 * max(1, 1e-7 / eps)


@settings(max_examples=40 * FUZZ, deadline=None)
@given(SIZES, st.sampled_from([1e-7, 1e-2]), st.integers(1, 2), st.sampled_from(["noise", "grey", "constant"]))
def test_laplacian_window_by_window(size, eps, radius, kind):
    """Also where there is no room for a window, and where three colours are one or none: there pymatting is off."""
    image = picture(*size)
    image = {"noise": image, "grey": image[:, :1].expand(-1, 3, -1, -1), "constant": torch.full_like(image, 0.7)}[kind]
    found = matting_laplacian(image, eps, radius)
    assert np.allclose(found.toarray(), written_out(image, eps, radius), atol=1e-8)
    x = torch.rand(2, 2, *size, dtype=torch.float64)
    product = MattingQuadratic(image, eps, radius).apply(x)
    assert torch.allclose(product.flatten(2), torch.from_numpy(x.flatten(2).numpy() @ found.toarray()), atol=1e-8)


def test_strips_change_nothing(photo, monkeypatch):
    expected = matting_stencil(photo).values
    monkeypatch.setattr("styletx.graph.matting.STRIP", 7 * photo.shape[-1])
    assert torch.allclose(matting_stencil(photo).values, expected, atol=1e-13)


def test_laplacian_is_one(photo):
    """Symmetric, rows add up to 0, and never negative."""
    found = matting_laplacian(photo[..., :20, :20])
    assert abs(found - found.T).max() == 0
    assert np.abs(degree(found)).max() < 1e-10
    assert np.linalg.eigvalsh(found.toarray()).min() > -1e-10


def test_what_is_affine_in_the_colours_costs_nothing(photo):
    """Any affine map of the content's colours, and one for each half if a line of one colour parts them."""
    quadratic = MattingQuadratic(photo).quadratic
    mixed = torch.einsum("ij,bjhw->bihw", torch.tensor([[0.2, -1, 0.4], [2, 0, 0], [0.1, 0.2, 0.3]]).double(), photo)
    noise = torch.rand(1, 3, *photo.shape[-2:], dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(quadratic(mixed + 0.3)) < 1e-4 * float(quadratic(noise))
    total_variation = (mixed[..., 1:] - mixed[..., :-1]).square().sum()
    assert float(total_variation) > 10  # what one of the slides takes for the same thing (ERRATA 14)


@pytest.mark.parametrize("radius", [1, 2])
def test_matrix_free_is_the_matrix(photo, radius):
    matrix = matting_laplacian(photo, radius=radius)
    x = torch.rand(1, 3, *photo.shape[-2:], dtype=torch.float64)
    free = MattingQuadratic(photo, radius=radius)
    flat = x[0].flatten(1).numpy().T
    assert np.abs(free.apply(x)[0].flatten(1).numpy().T - matrix @ flat).max() < 1e-8
    assert float(free.quadratic(x)) == pytest.approx((flat * (matrix @ flat)).sum(), rel=1e-9)
    single = free.quadratic(x.float())
    assert single.dtype == torch.float32 and float(single) == pytest.approx(float(free.quadratic(x)), rel=1e-6)


def test_quadratics_gradient():
    quadratic = MattingQuadratic(picture(5, 6), eps=1e-3).quadratic
    x = torch.rand(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(quadratic, (x,))
    single = x.detach().float().requires_grad_()
    (3 * quadratic(single)).backward()
    (expected,) = torch.autograd.grad(3 * quadratic(x), x)
    assert single.grad.dtype == torch.float32 and torch.allclose(single.grad.double(), expected, atol=1e-4)
    with pytest.raises(ValueError, match="^x:"):
        quadratic(torch.rand(1, 3, 6, 5))


def test_affinity_and_its_diagonal():
    image = picture(6, 7)
    laplacian = matting_laplacian(image).toarray()
    counts = np.zeros(42)
    for pixels in windows((6, 7), 1):
        counts[pixels] += 1
    kept, dropped = matting_affinity(image), matting_affinity(image, diagonal=False)
    assert np.allclose(degree(kept), counts) and np.array_equal(window_counts((6, 7)).flatten(), counts)
    for affinity in (kept, dropped):
        assert np.allclose(np.diag(degree(affinity)) - affinity.toarray(), laplacian, atol=1e-9)
    assert not dropped.diagonal().any() and (kept.toarray() < -1e-3).any()
    values = np.linalg.eigvalsh(normalised(kept).toarray())
    assert values.min() > -1e-9 and values.max() < 1 + 1e-9
    assert np.linalg.eigvalsh(normalised(dropped).toarray()).min() < -1e-3


@pytest.mark.parametrize("arguments", [dict(eps=0), dict(eps=float("nan")), dict(radius=0), dict(radius=1.5)])
def test_what_is_no_window(arguments):
    for function in (matting_laplacian, matting_affinity, MattingQuadratic):
        with pytest.raises(ValueError, match=f"^{next(iter(arguments))}:"):
            function(picture(5, 5), **arguments)


def test_inverses_of_small_matrices():
    made = torch.rand(20, 3, 4, dtype=torch.float64)
    matrices = made @ made.mT
    found = inverse3(matrices.permute(1, 2, 0)).permute(2, 0, 1)
    assert torch.allclose(found, torch.linalg.inv(matrices), rtol=1e-6)


@pytest.fixture(scope="module")
def scribbled():
    """A disc on a ground of another colour, both uneven, with a band between them that is not marked."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 40), torch.linspace(-1, 1, 50), indexing="ij")
    inside = (16 * (0.6 - (y**2 + x**2).sqrt())).sigmoid()[None, None]
    noise = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0)) * 0.05
    image = torch.lerp(
        torch.tensor([0.2, 0.5, 0.3]).view(1, 3, 1, 1), torch.tensor([0.9, 0.4, 0.2]).view(1, 3, 1, 1), inside
    )
    marks = torch.full((1, 1, 40, 50), 0.5)
    marks[inside > 0.99], marks[inside < 0.01] = 1, 0
    return (image + noise).double(), marks, inside


def test_matte_solves_its_system(scribbled):
    image, marks, inside = scribbled
    found = matte(image, marks)
    known = (marks != 0.5).flatten().double().numpy()
    system = matting_laplacian(image) + sparse.diags_array(100 * known)
    expected = spsolve(system.tocsc(), 100 * known * marks.flatten().numpy()).clip(0, 1)
    assert np.abs(found.flatten().numpy() - expected).max() < 1e-5
    assert float((found - inside).abs().mean()) < 0.03  # and finds the disc
    unknown = torch.where(marks == 0.5, torch.nan, marks)[0, 0]
    assert torch.equal(matte(image, unknown), found)


def test_matte_is_pymattings(pymatting, scribbled):
    """Theirs holds the marked pixels fast: as ours does at high confidence."""
    image, marks, _ = scribbled
    theirs = pymatting.estimate_alpha_cf(array(image), marks[0, 0].double().numpy(), cg_kwargs={"rtol": 1e-9})
    found = matte(image, marks, confidence=1e6)[0, 0].numpy()
    assert np.abs(found - theirs).max() < 1e-3


def test_matte_says_what_is_missing(scribbled):
    image, marks, _ = scribbled
    for wrong in (torch.full_like(marks, 0.5), marks.where(marks != 1, 0.5 * torch.ones(1)), torch.zeros_like(marks)):
        with pytest.raises(ValueError, match="^scribbles: .* both need some"):
            matte(image, wrong)
    with pytest.raises(ValueError, match="^scribbles:"):
        matte(image, marks[..., :-1])
    with pytest.raises(ValueError, match="^confidence:"):
        matte(image, marks, confidence=0)
    with pytest.raises(ValueError, match="^image:"):
        matte(image[..., :2], marks[..., :2])


def test_cut_out(scribbled):
    image, _, inside = scribbled
    background = torch.rand(1, 3, 40, 50)
    found = cut_out(image, inside, background)
    expected = inside * image + (1 - inside) * background
    assert torch.allclose(found, expected.clamp(0, 1))
    with pytest.raises(ValueError, match="^image, alpha, background:"):
        cut_out(image, inside, background[..., :-1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees(photo):
    assert torch.allclose(matting_stencil(photo.cuda()).values.cpu(), matting_stencil(photo).values, atol=1e-8)
    x = torch.rand(1, 3, *photo.shape[-2:], device="cuda", requires_grad=True)
    MattingQuadratic(photo.cuda()).quadratic(x).backward()
    expected = 2 * MattingQuadratic(photo).apply(x.detach().cpu())
    assert torch.allclose(x.grad.cpu(), expected, atol=1e-5)
