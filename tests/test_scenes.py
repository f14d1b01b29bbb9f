"""styletx/samples/scenes.py: depths that geometry gives by hand, and a flow that carries one picture onto the other."""

import math

import pytest
import torch

from styletx import load
from styletx.losses import warp
from styletx.samples.scenes import FARTHEST, Camera, Scene, Solid, moved, random_scene

PLAIN = torch.full((1, 3, 4, 4), 0.5)
SIZE = (41, 61)


def test_a_wall_ahead_has_one_depth():
    wall = Solid("plane", (0, 0, 5), (0, 0, -1), PLAIN)
    picture, depth = Scene([wall], light=(0, 0, -1)).render(Camera(), SIZE)
    assert torch.allclose(depth, torch.full_like(depth, 5.0))
    assert torch.allclose(picture, torch.full_like(picture, 0.5), atol=1e-6)  # lit head-on: 0.4 + 0.6


def test_the_ground_follows_the_horizon():
    """From 1.5 m above a flat ground, the row r below the horizon shows what is 1.5·f/r ahead."""
    ground = Solid("plane", (0, 0, 0), (0, 1, 0), PLAIN)
    camera = Camera((0, 1.5, 0), focal=0.9)
    _, depth = Scene([ground]).render(camera, SIZE)
    rows = torch.arange(25, 41).float()
    wanted = 1.5 * 0.9 * 61 / (rows + 0.5 - 20.5)
    assert torch.allclose(depth[0, 0, 25:, 30], wanted.clamp(max=FARTHEST), rtol=1e-5)
    assert bool((depth[0, 0, :20] == FARTHEST).all())


def test_a_sphere_and_a_box_by_hand():
    ball = Solid("sphere", (0, 1.5, 4), (1, 0, 0), PLAIN)
    box = Solid("box", (0, 1.5, 4), (2, 2, 2), PLAIN)
    turned = Solid("box", (0, 1.5, 4), (2, 2, 2), PLAIN, yaw=math.pi / 4)
    for solid, nearest in ((ball, 3.0), (box, 3.0), (turned, 4 - math.sqrt(2))):
        _, depth = Scene([solid]).render(Camera(), SIZE)
        assert float(depth[0, 0, 20, 30]) == pytest.approx(nearest, rel=1e-5)
        assert float(depth[0, 0, 0, 0]) == FARTHEST


def test_yaw_and_pitch_turn_the_right_way():
    ball = Solid("sphere", (2, 3.5, 4), (0.5, 0, 0), PLAIN)
    camera = Camera((0, 1.5, 0), yaw=math.atan2(2, 4), pitch=math.atan2(2, math.hypot(2, 4)))
    _, depth = Scene([ball]).render(camera, SIZE)
    assert float(depth[0, 0, 20, 30]) == pytest.approx(math.sqrt(24) - 0.5, rel=1e-5)


def test_sideways_motion_is_disparity():
    """A camera b metres to the right sees everything f·b/Z further left."""
    scene, camera = random_scene([PLAIN], torch.Generator().manual_seed(1))
    other = moved(camera, right=0.1)
    flow, _ = scene.flow(camera, other, SIZE)
    depth, which = scene.depth(camera, SIZE)
    wanted = -camera.focal * SIZE[1] * 0.1 / depth
    assert torch.allclose(flow[0, 0].double()[which >= 0], wanted[which >= 0], atol=1e-4)
    assert float(flow[0, 1].abs().max()) < 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_the_flow_carries_one_picture_onto_the_other(seed):
    """The second picture, fetched along the flow, is the first one wherever the same thing is seen."""
    generator = torch.Generator().manual_seed(seed)
    scene, camera = random_scene([load("coffee", 64), load("marbling", 64)], generator)
    other = moved(camera, right=0.15, up=-0.05, forward=0.2)
    size = (96, 128)
    first, second = scene.render(camera, size)[0], scene.render(other, size)[0]
    flow, seen = scene.flow(camera, other, size)
    fetched, _ = warp(second, flow)
    known = seen.expand_as(first) > 0
    assert float(seen.mean()) > 0.3
    gap, still = (first - fetched).abs()[known].median(), (first - second).abs()[known].median()
    assert float(gap) < 0.02 and float(gap) < float(still) / 1.5


def test_what_is_hidden_is_not_seen():
    """A ball before a wall: it hides of the wall what lies between the second camera's two tangents."""
    wall = Solid("plane", (0, 0, 6), (0, 0, -1), PLAIN)
    ball = Solid("sphere", (0, 1.5, 3), (0.6, 0, 0), PLAIN)
    camera, size = Camera(), (81, 121)
    _, seen = Scene([wall, ball]).flow(camera, moved(camera, right=0.5), size)
    _, which = Scene([wall, ball]).depth(camera, size)
    angle, half = math.atan2(-0.5, 3), math.asin(0.6 / math.hypot(0.5, 3))
    columns = torch.arange(121)
    x = (columns + 0.5 - 60.5) / (0.9 * 121) * 6  # where on the wall each column of the middle row looks
    hidden = (x > 0.5 + 6 * math.tan(angle - half)) & (x < 0.5 + 6 * math.tan(angle + half))
    outside = x - 0.5 < -60 / (0.9 * 121) * 6
    on_wall = which[40] == 0
    assert int((hidden & on_wall).sum()) > 8
    assert torch.equal(seen[0, 0, 40][on_wall] > 0, ~(hidden | outside)[on_wall])


def test_random_scenes_are_reproducible_and_full():
    first, second = (random_scene([PLAIN], torch.Generator().manual_seed(7)) for _ in range(2))
    a, b = (scene.render(camera, (32, 32)) for scene, camera in (first, second))
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
    assert float(a[1].min()) > 0.3 and bool(a[0].isfinite().all())
