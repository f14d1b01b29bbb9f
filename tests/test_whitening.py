"""styletx/whitening.py: covariances, other libraries and invariants as oracles."""

import numpy as np
import ot
import pytest
import torch
from fuzz import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st

from styletx.whitening import (
    CUTOFF,
    FEWEST,
    MAPS,
    Gaussian,
    colour,
    gaussian,
    map_between,
    region_gaussians,
    transfer,
    transfer_regions,
    whiten,
)


def cloud(channels=6, height=9, width=11, seed=0, spread=1.0):
    """Correlated features, strictly positive as after a ReLU, with a mean."""
    draw = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=draw, dtype=torch.float64)
    points = torch.randn(channels, height * width, generator=draw, dtype=torch.float64)
    return (2 + spread * mixing @ points).view(1, channels, height, width)


def covariance(features):
    """NumPy's, divided by the number of positions."""
    return np.cov(features[0].flatten(1).double().numpy(), bias=True)


def close(first, second, tolerance=1e-4):
    first, second = (np.asarray(one, dtype=float) for one in (first, second))
    assert np.abs(first - second).max() <= tolerance * max(np.abs(second).max(), 1e-12)


def test_gaussian_is_numpys_mean_and_covariance():
    features = cloud()
    found = gaussian(features)
    close(found.mean[:, 0], features.mean((2, 3))[0], 1e-12)
    close(found.power(1.0), covariance(features), 1e-9)
    assert found.rank == 6


def test_a_weight_of_two_counts_a_position_twice():
    features = cloud(height=1, width=7)
    weights = torch.tensor([2.0, 1, 1, 0, 1, 1, 1]).view(1, 1, 1, 7)
    repeated = features[..., [0, 0, 1, 2, 4, 5, 6]]
    found, wanted = gaussian(features, weights), gaussian(repeated)
    close(found.mean, wanted.mean, 1e-12)
    close(found.power(1.0), wanted.power(1.0), 1e-9)


@pytest.mark.parametrize("how", ["zca", "pca", "cholesky"])
def test_white_features_have_the_identity_as_covariance(how):
    features = cloud()
    white = whiten(features, how=how)
    close(covariance(white), np.eye(6))
    assert white.mean((2, 3)).abs().max() < 1e-9


@pytest.mark.parametrize("how", ["zca", "pca", "cholesky"])
def test_colouring_undoes_whitening(how):
    features = cloud()
    close(colour(whiten(features, how=how), gaussian(features), how), features, 1e-6)


def test_fewer_positions_than_channels_give_the_projector_on_what_there_is():
    features = cloud(channels=12, height=2, width=3)
    own = gaussian(features)
    assert own.rank == 5  # six points, less their mean
    white = covariance(whiten(features))
    points = features[0].flatten(1).numpy()
    basis = np.linalg.svd(points - points.mean(1, keepdims=True), full_matrices=False)[0][:, :5]
    close(white, basis @ basis.T)


def test_zca_is_the_whitening_nearest_to_the_features():
    # among all whitenings R Σ^-½ the symmetric one moves centred features least (Kessy et al. 2018)
    features = cloud()
    centred = features - features.mean((2, 3), keepdim=True)
    moved = {how: float((whiten(features, how=how) - centred).square().sum()) for how in ("zca", "pca", "cholesky")}
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    turned = torch.einsum("ij,bjhw->bihw", rotation, whiten(features))
    assert min(moved, key=moved.get) == "zca"
    assert moved["zca"] < float((turned - centred).square().sum())


@pytest.mark.parametrize("how", [name for name in MAPS if name != "diagonal"])
def test_every_map_gives_the_styles_mean_and_covariance(how):
    content, style = cloud(seed=1), cloud(seed=2, height=5, width=8)
    made = transfer(content, gaussian(style), how=how)
    close(covariance(made), covariance(style))
    close(made.mean((2, 3)), style.mean((2, 3)), 1e-6)


def test_covariance_of_a_rank_deficient_content():
    # Σ_s^½ P_c Σ_s^½, not Σ_s
    content, style = cloud(channels=12, height=2, width=3, seed=3), cloud(channels=12, seed=4)
    made = covariance(transfer(content, gaussian(style)))
    values, vectors = np.linalg.eigh(covariance(style))
    root = (vectors * np.sqrt(values)) @ vectors.T
    points = content[0].flatten(1).numpy()
    basis = np.linalg.svd(points - points.mean(1, keepdims=True), full_matrices=False)[0][:, :5]
    close(made, root @ basis @ basis.T @ root)
    assert np.abs(made - covariance(style)).max() > 0.05 * np.abs(made).max()


def test_cholesky_is_numpys():
    content, style = cloud(seed=31), cloud(seed=32)
    lower = [np.linalg.cholesky(covariance(one)) for one in (style, content)]
    close(map_between(gaussian(content), gaussian(style), "cholesky"), lower[0] @ np.linalg.inv(lower[1]), 1e-6)


@pytest.mark.parametrize("how", MAPS)
def test_a_cloud_moved_onto_itself_stays(how):
    """Whatever is left open by a decomposition (signs of eigenvectors, of a triangle's diagonal) must not turn it."""
    one = gaussian(cloud(seed=33))
    close(map_between(one, one, how), np.eye(6), 1e-6)


def test_transport_is_pots_gaussian_map():
    content, style = cloud(channels=4, seed=5), cloud(channels=4, seed=6)
    made = transfer(content, gaussian(style), how="transport")
    points = content[0].flatten(1).T.numpy()
    matrix, shift = ot.gaussian.bures_wasserstein_mapping(
        content.mean((2, 3))[0].numpy(), style.mean((2, 3))[0].numpy(), covariance(content), covariance(style)
    )
    close(made[0].flatten(1).T, points @ matrix + shift, 1e-6)


def test_transport_moves_the_cloud_least():
    content, style = cloud(seed=7), cloud(seed=8)
    moved = {how: float((transfer(content, gaussian(style), how=how) - content).square().sum()) for how in MAPS[:4]}
    assert min(moved, key=moved.get) == "transport"


def test_adain_is_wct_on_features_without_correlations():
    draw = torch.Generator().manual_seed(9)

    def uncorrelated(scales):
        points = torch.randn(5, 60, generator=draw, dtype=torch.float64)
        points = points - points.mean(1, keepdim=True)
        white = torch.linalg.svd(points, full_matrices=False)[2]  # orthonormal rows: no correlation at all
        white = white - white.mean(1, keepdim=True)
        return (torch.tensor(scales, dtype=torch.float64)[:, None] * white + 1).view(1, 5, 6, 10)

    content, style = uncorrelated([1.0, 2, 3, 4, 5]), uncorrelated([5.0, 1, 4, 2, 3])
    target = gaussian(style)
    close(transfer(content, target, how="diagonal"), transfer(content, target, how="zca"), 1e-9)


def test_adain_against_its_formula():
    content, style = cloud(seed=10), cloud(seed=11)
    mean, std = content.mean((2, 3), keepdim=True), content.std((2, 3), keepdim=True, correction=0)
    wanted = (content - mean) / std * style.std((2, 3), keepdim=True, correction=0) + style.mean((2, 3), keepdim=True)
    close(transfer(content, gaussian(style), how="diagonal"), wanted, 1e-9)


def test_undivided_covariances_scale_the_result_by_the_sizes():
    # without division by the number of positions the result is √(n_s/n_c) times as spread
    content, style = cloud(seed=12), cloud(seed=13, height=18)
    divided = transfer(content, gaussian(style))
    undivided = transfer(content, gaussian(style, divided=False), source=gaussian(content, divided=False))
    centre = style.mean((2, 3), keepdim=True)
    close(undivided - centre, (divided - centre) * np.sqrt(18 / 9), 1e-6)


def test_the_identity_added_to_the_contents_covariance_weakens_the_result():
    content, style = cloud(seed=14, spread=0.5), cloud(seed=15)
    plain = transfer(content, gaussian(style))
    ridged = transfer(content, gaussian(style), source=gaussian(content, ridge=1.0))
    assert np.trace(covariance(ridged)) < 0.9 * np.trace(covariance(plain))


def test_without_centring_the_mean_is_not_the_styles():
    content, style = cloud(seed=16), cloud(seed=17)
    slide = transfer(content, gaussian(style, centred=False), source=gaussian(content, centred=False))
    second = (slide[0].flatten(1) @ slide[0].flatten(1).T) / slide[0, 0].numel()
    wanted = (style[0].flatten(1) @ style[0].flatten(1).T) / style[0, 0].numel()
    close(second, wanted)  # second moments agree,
    assert (slide.mean((2, 3)) - style.mean((2, 3))).abs().max() > 0.05  # means do not


def test_strength_blends_and_mix_interpolates():
    content, first, second = cloud(seed=18), cloud(seed=19), cloud(seed=20)
    full = transfer(content, gaussian(first))
    close(transfer(content, gaussian(first), strength=0.25), 0.75 * content + 0.25 * full, 1e-9)
    close(transfer(content, gaussian(first), strength=0.0), content, 1e-12)
    mixed = transfer(content, [gaussian(first), gaussian(second)], mix=[3, 1])
    close(mixed, 0.75 * full + 0.25 * transfer(content, gaussian(second)), 1e-9)


@pytest.mark.parametrize("mix", [[1.0], [0, 0], [1, -1], [1, float("nan")]])
def test_mixtures_that_make_no_sense(mix):
    with pytest.raises(ValueError, match="mix"):
        transfer(cloud(), [gaussian(cloud(seed=1)), gaussian(cloud(seed=2))], mix=mix)


def test_style_equal_to_content_changes_nothing():
    features = cloud()
    for how in MAPS:
        close(transfer(features, gaussian(features), how=how), features, 1e-6)


def test_a_constant_content_becomes_the_styles_mean():
    style = cloud(seed=21)
    made = transfer(torch.full((1, 6, 4, 4), 3.0, dtype=torch.float64), gaussian(style))
    close(made, style.mean((2, 3), keepdim=True).expand_as(made), 1e-9)


def test_a_constant_style_gives_a_constant():
    made = transfer(cloud(), gaussian(torch.full((1, 6, 4, 4), 3.0, dtype=torch.float64)))
    close(made, torch.full_like(made, 3.0), 1e-6)


@settings(max_examples=60 * FUZZ, deadline=None)
@given(
    channels=st.integers(1, 9),
    sides=st.tuples(*[st.integers(1, 6)] * 4),
    how=st.sampled_from(MAPS),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
    dead=st.booleans(),
    seed=st.integers(0, 99),
)
def test_no_shape_gives_nan(channels, sides, how, scale, dead, seed):
    draw = torch.Generator().manual_seed(seed)
    content = scale * torch.randn(1, channels, *sides[:2], generator=draw).relu()
    style = torch.randn(1, channels, *sides[2:], generator=draw).relu()
    if dead:
        content[:, 0] = 0
        style[:, -1] = 0
    target = gaussian(style)
    made = transfer(content, target, how=how)
    assert made.shape == content.shape and made.isfinite().all()
    # the mean is always the style's, and the spread never more than its own
    close(made.mean((2, 3)), style.mean((2, 3)), 1e-3)
    assert float(made.var((2, 3), correction=0).sum()) <= 1.02 * float(style.var((2, 3), correction=0).sum()) + 1e-6
    white = whiten(content)
    assert white.isfinite().all() and covariance(white).max() <= 1 + 1e-4 if content[0, 0].numel() > 1 else True


def test_cutoff_is_relative():
    features = cloud()
    assert gaussian(features * 1e-5).rank == gaussian(features).rank == 6
    thin = features.clone()
    thin[:, 0] = 2 + (thin[:, 0] - 2) * 1e-4
    assert gaussian(thin).rank < 6 or CUTOFF < 1e-6


def by_regions(content, style, masks, style_masks):
    wholes = [gaussian(style)] * masks.shape[1]
    return transfer_regions(content, region_gaussians(style, style_masks), wholes, masks)


def test_regions_are_moved_each_by_itself():
    content, style = cloud(height=8, width=10, seed=22), cloud(height=6, width=10, seed=23)
    masks = torch.zeros(1, 2, 8, 10)
    masks[:, 0, :, :5] = masks[:, 1, :, 5:] = 1
    style_masks = torch.zeros(1, 2, 6, 10)
    style_masks[:, 0, :3] = style_masks[:, 1, 3:] = 1
    made = by_regions(content, style, masks, style_masks)
    close(made[..., :5], transfer(content[..., :5].contiguous(), gaussian(style[:, :, :3].contiguous())), 1e-6)
    close(made[..., 5:], transfer(content[..., 5:].contiguous(), gaussian(style[:, :, 3:].contiguous())), 1e-6)


def test_one_region_everywhere_is_the_plain_transfer():
    content, style = cloud(seed=24), cloud(seed=25)
    ones = torch.ones(1, 1, 9, 11)
    close(by_regions(content, style, ones, ones), transfer(content, gaussian(style)), 1e-9)


@pytest.mark.parametrize("side", ["content", "style"])
@pytest.mark.parametrize("cells", [0, 1, FEWEST - 1])
def test_a_region_with_few_cells_gets_the_whole_pictures_transfer(side, cells):
    content, style = cloud(seed=26), cloud(seed=27)
    masks = {name: torch.zeros(1, 2, 9, 11) for name in ("content", "style")}
    for name, mask in masks.items():
        mask[0, 0].view(-1)[: cells if name == side else 40] = 1
        mask[:, 1] = 1 - mask[:, 0]
    made = by_regions(content, style, masks["content"], masks["style"])
    inside = masks["content"][0, 0] > 0
    whole = transfer(content, gaussian(style))
    assert made.isfinite().all()
    if inside.any():
        close(made[0][:, inside], whole[0][:, inside], 1e-9)


def test_positions_without_a_region_stay():
    content, style = cloud(seed=28), cloud(seed=29)
    masks = torch.zeros(1, 1, 9, 11)
    masks[..., :6] = 1
    made = by_regions(content, style, masks, torch.ones(1, 1, 9, 11))
    assert torch.equal(made[..., 6:], content[..., 6:])


def test_a_position_that_is_claimed_in_part_is_moved_in_part():
    content, style = cloud(seed=28), cloud(seed=29)
    masks = torch.ones(1, 1, 9, 11)
    masks[..., 4:] = 0.25
    target = gaussian(style)
    whole = transfer(content, target, source=region_gaussians(content, masks)[0])
    made = transfer_regions(content, [target], [target], masks)
    close(made[..., 4:], (0.25 * whole + 0.75 * content)[..., 4:], 1e-6)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="features"):
        gaussian(torch.rand(2, 3, 4, 4))
    with pytest.raises(ValueError, match="not finite"):
        gaussian(torch.full((1, 3, 4, 4), float("nan")))
    with pytest.raises(ValueError, match="how"):
        map_between(gaussian(cloud()), gaussian(cloud()), "svd")
    with pytest.raises(ValueError, match="regions"):
        by_regions(cloud(), cloud(), torch.ones(1, 2, 9, 11), torch.ones(1, 3, 9, 11))


def test_gaussian_can_be_made_by_hand():
    made = Gaussian(torch.zeros(2, 1), torch.tensor([1.0, 4.0]), torch.eye(2))
    assert torch.allclose(made.power(0.5), torch.diag(torch.tensor([1.0, 2.0])))
