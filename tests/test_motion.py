"""styletx/losses/motion.py and learned.py: camera moves whose flow is known exactly, a critic that has to learn."""

import pytest
import torch

from styletx import Energy, Match, Objective, load, load_encoder, synthesize, total_variation
from styletx.losses import adversarial_loss, consistency_mask, disparity_loss, stereo_disparity, temporal_loss, warp
from styletx.losses.motion import Warped, resize_flow


def steady(right: float, down: float, size=(20, 30)) -> torch.Tensor:
    return torch.tensor([right, down], dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, *size)


def test_warp_by_whole_pixels_is_a_shift():
    image = torch.rand(1, 3, 20, 30, dtype=torch.float64)
    warped, inside = warp(image, steady(4, -2))
    assert torch.allclose(warped[..., 2:, :-4], image[..., :-2, 4:])
    assert torch.equal(inside[0, 0, 2:, :-4], torch.ones(18, 26, dtype=torch.float64))
    assert float(inside.sum()) == 18 * 26
    half, _ = warp(image, steady(0.5, 0))
    assert torch.allclose(half[..., :-1], (image[..., :-1] + image[..., 1:]) / 2)
    with pytest.raises(ValueError, match="flow"):
        warp(image, steady(1, 1, (20, 31)))


def test_a_flow_grows_with_the_picture():
    flow = resize_flow(steady(3, 1), (40, 90))
    assert torch.allclose(flow[0, :, 5, 5], torch.tensor([9.0, 2.0], dtype=torch.float64))


def test_consistency_finds_what_is_hidden():
    """A square moves 6 pixels to the right over a still ground: in the second frame it hides 6 columns of it."""
    flow, back = steady(0, 0, (20, 40)).clone(), steady(0, 0, (20, 40)).clone()
    flow[:, 0, 5:15, 10:18] = 6
    back[:, 0, 5:15, 16:24] = -6
    trusted = consistency_mask(flow, back)[0, 0]
    hidden = torch.zeros(20, 40, dtype=torch.bool)
    hidden[5:15, 18:24] = True  # ground that the square covers in the second frame
    assert bool((trusted[hidden] == 0).all()) and bool((trusted[~hidden] == 1).all())


def test_temporal_loss_is_zero_for_the_moved_frame_only():
    last = torch.rand(1, 3, 24, 32)
    flow = steady(3, 2, (24, 32)).float()
    moved, inside = warp(last, flow)
    view = Warped(flow)
    assert float(temporal_loss(moved, view(last), inside, inside)) == 0
    still = float(temporal_loss(last, view(last), inside, inside))
    assert still > 0.05
    # by hand: where the flow leads outside nothing is asked
    wrong = moved.clone()
    wrong[inside.expand_as(wrong) == 0] = 7.0
    assert float(temporal_loss(wrong, view(last), inside, inside)) == 0


def test_temporal_match_in_an_objective_at_two_sizes():
    """In the grammar: the last frame seen through its flow, masks on both sides, coarse to fine."""
    photo = load("chelsea", 128)
    flow = steady(8, 0, tuple(photo.shape[-2:])).float()
    moved, inside = warp(photo, flow)
    match = Match(temporal_loss, photo, "input", masks=(inside, inside), view=(None, Warped(flow)))
    objective = Objective(match, Energy(total_variation, 0.0), relative=False)
    encoder = load_encoder("mini", device="cpu")
    result = synthesize(objective, encoder, start=photo, steps=40, device="cpu").finish(False)
    shown = inside.expand_as(photo) > 0
    assert float((result - moved)[shown].abs().mean()) < 0.01 < float((photo - moved)[shown].abs().mean())


def test_disparity_both_ways():
    """Two views of a slanted wall with exact disparity: consistent textures cost nothing, independent ones do."""
    height, width = 16, 48
    columns = torch.arange(width, dtype=torch.float64)
    wave = lambda x: torch.sin(x / 3).view(1, 1, 1, -1).expand(1, 3, height, width)  # noqa: E731
    left, right = wave(columns), wave(columns + 4)  # what is at x on the left is at x − 4 on the right
    flows = steady(-4, 0, (height, width)), steady(4, 0, (height, width))
    masks = tuple(warp(left, flow)[1] for flow in flows)
    assert float(stereo_disparity(left, right, flows, masks)) < 1e-12
    other = torch.rand(1, 3, height, width, dtype=torch.float64)
    alone = float(disparity_loss(left, Warped(flows[0])(other), masks[0], masks[0]))
    assert float(stereo_disparity(left, other, flows, masks)) > alone > 0.05


def test_the_critic_learns_and_the_picture_follows():
    """Features of one kind against another: after lessons the critic's verdict parts them, and its slope is finite."""
    generator = torch.Generator().manual_seed(0)
    style, other = torch.randn(1, 4, 12, 12, generator=generator).abs(), torch.randn(1, 4, 12, 12, generator=generator)
    loss = adversarial_loss(lessons=40, rate=5e-3)
    critic = loss.prepare(style)
    before = float(loss.compare(other, critic).detach()) - float(loss.compare(style, critic).detach())
    critic = loss.update(other, critic)
    after = float(loss.compare(other, critic).detach()) - float(loss.compare(style, critic).detach())
    assert after > before + 0.5
    x = other.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(loss.compare(x, critic), x)
    nearer = other - 3 * slope / slope.norm()
    assert float(loss.compare(nearer, critic)) < float(loss.compare(other, critic))
    with pytest.raises(ValueError, match="5×5"):
        loss.compare(other[..., :4], critic)
    with pytest.raises(ValueError, match="lessons: 0"):
        adversarial_loss(lessons=0)


def test_a_learning_loss_wants_adam():
    photo, style = load("chelsea", 96), load("mosaic", 96)
    objective = Objective(Match(adversarial_loss(), style, "relu2_1", name="critic"))
    encoder = load_encoder("mini", device="cpu")
    with pytest.raises(ValueError, match="critic learns"):
        synthesize(objective, encoder, start=photo)
    run = synthesize(objective, encoder, start=photo, steps=8, optimizer="adam", levels=1)
    last = list(run)[-1]
    assert float((last.image - photo).abs().mean()) > 0.01


def test_a_critic_with_a_mask_is_taught_the_region_only():
    """Features far outside the style's mask may be anything: the critic, and so the loss, stays the same."""
    generator = torch.Generator().manual_seed(0)
    style, other, x = (torch.rand(1, 4, 24, 24, generator=generator) for _ in range(3))
    mask, far = torch.zeros(1, 1, 24, 24), torch.zeros(1, 1, 24, 24)
    mask[..., 4:12, 4:12] = 1
    far[..., 16:, 16:] = 1  # no patch of 5×5 reaches from here into the mask
    loss, found = adversarial_loss(lessons=5), []
    for reference in (style, torch.where(far > 0, other, style)):
        critic = loss.prepare(reference, mask)
        critic.scale = torch.tensor(1.0)  # the scale is that of the whole layer
        loss.update(x, critic, mask)
        found.append(float(loss.compare(x, critic, mask)))
    assert found[0] == pytest.approx(found[1], abs=1e-6)
