"""Styles made here: pictures of a few lines each, seeded, of any size, with no download and no licence.

Lengths are in units of the longer side: a style made small is the same picture, seen from further away.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from PIL import Image, ImageDraw
from torch import Tensor

from ..images import from_array, resize

Array = np.ndarray


def make(name: str, height: int = 512, width: int = 512, seed: int = 0) -> Tensor:
    """The style `name` (one of STYLES) as an image (1, 3, height, width); KeyError for another name."""
    if min(height, width) < 16:  # too small for a gradient: made larger and averaged
        return resize(make(name, 16 * height, 16 * width, seed), (height, width))
    return from_array(STYLES[name](height, width, np.random.default_rng(seed)).clip(0, 1).astype(np.float32))


def stained_glass(height: int, width: int, rng: np.random.Generator) -> Array:
    """A rose window: cells on a sunflower's spiral, leaded, each a piece of streaky glass."""
    y, x = _grid(height, width)
    y, x = y + 0.012 * _noise(y, x, 9, rng), x + 0.012 * _noise(y, x, 9, rng)
    radius, angle = 0.036 * np.sqrt(np.arange(1400) + 0.5), np.arange(1400) * 2.39996  # the golden angle
    sites = np.stack([0.42 + radius * np.sin(angle), 0.40 + radius * np.cos(angle)], 1)
    sites += rng.normal(0, 0.006, sites.shape)
    near, cell = scipy.spatial.cKDTree(sites).query(np.stack([y, x], -1), k=2)
    apart = np.linalg.norm(sites[cell[..., 0]] - sites[cell[..., 1]], axis=-1)
    lead = (near[..., 1] ** 2 - near[..., 0] ** 2) / (2 * apart)  # distance to the border between the two
    petals = 0.07 * np.sin(6 * np.arctan2(*(sites - (0.42, 0.40)).T)) + rng.normal(0, 0.045, 1400)
    hues = _palette(
        "#fff3b0 #ffc43d #f3722c #c1121f #6a0f49 #22307e #1d6fb8 #2bb3a3 #a7d676 #fff3b0", (radius * 3.4 + petals) % 1
    )
    hues *= rng.uniform(0.72, 1.12, (1400, 1))
    streaks = _noise(y + 0.15 * _noise(y, x, 5, rng), x * 0.25, 60, rng)
    glass = hues[cell[..., 0]] * (1 + 0.16 * streaks + 0.10 * _noise(y, x, 16, rng))[..., None]
    glass *= (0.72 + 0.42 * np.clip(lead / 0.022, 0, 1))[..., None]  # light spreads in the middle of a piece
    shine = np.exp(-(((lead - 0.0016) / 0.0012) ** 2))[..., None] * 0.20
    return _mix(np.array([0.05, 0.045, 0.06]) + shine, glass, _step(lead - 0.0042))


def woodcut(height: int, width: int, rng: np.random.Generator) -> Array:
    """Hills under a sun, cut in lines that follow the land: thick where dark, thin where light."""
    y, x = _grid(height, width)
    distance, angle = np.hypot(y - 0.27, x - 0.66), np.arctan2(y - 0.27, x - 0.66)
    phase = (distance + 0.02 * _noise(y, x, 7, rng)) * 52
    tone = 0.50 - 0.62 * np.exp(-distance * 3.2) + 0.16 * _noise(y, x, 6, rng) + 0.1 * np.sin(angle * 24)
    paint = _palette("#f6d58a #eeb363 #d9825a #7aa0a3 #4f7f95", np.clip(distance * 1.25, 0, 1))
    tone = np.where(distance < 0.115, 0.12, tone)
    paint[distance < 0.115] = _rgb("#d8402b")
    for i, colour in enumerate(("#8fb39a", "#d7a84a", "#6f9a78", "#b5562f", "#3f6d6b", "#c98a3a")):
        hill = 0.055 * _noise(0 * x + i, x, 3 + i % 3, rng) + 0.03 * np.sin(7 * x + 2.1 * i)
        below, fold = y - 0.40 - 0.105 * i - hill, _noise(y, x, 5, rng)
        land = below > 0
        phase = np.where(land, below * (44 - 3 * i) - x * (-1) ** i * (10 + 4 * i) + 1.6 * fold, phase)
        tone = np.where(land, 0.62 - 0.5 * np.exp(-np.abs(below) / 0.035) + 0.22 * fold, tone)
        tone = np.where(np.abs(below - 0.003) < 0.0035, 1.2, tone)  # a ridge, cut black
        paint[land] = _rgb(colour)
    gouge = 0.13 * _noise(y, x, 110, rng)
    cut = np.abs((phase % 1) - 0.5) * 2 - 1 + tone * 0.95 + gouge * 0.6
    paper = paint * (1 + 0.05 * _noise(y, x, 150, rng))[..., None]
    return _mix(paper, _rgb("#1b1a26") * (1 + 0.25 * gouge[..., None]), _step(cut / 36))


def waves(height: int, width: int, rng: np.random.Generator) -> Array:
    """Rows of swells after the Japanese manner: bands that follow the crest, a rim of foam, spray."""
    y, x = _grid(height, width)
    picture = _palette("#f3e3bf #efcf9f #e6b48a", y / 0.3 + 0.06 * _noise(y, x * 0.3, 12, rng))
    rough, soft, lacy = (_noise(y, x, cells, rng) for cells in (14, 8, 40))
    for i in range(11):
        size, along = 0.05 + 0.010 * i, x + rng.uniform(0, 1) + 0.02 * np.sin(9 * x + i)
        count, s = np.divmod(along / (2.9 * size), 1)
        # the crest leans over: a long back and a steep front
        back, front = np.minimum(s / 0.68, 1), np.clip((s - 0.68) / 0.32, 0, 1)
        swell = np.where(s < 0.68, np.sin(np.pi / 2 * back) ** 1.6, np.cos(np.pi / 2 * front).clip(0) ** 1.3)
        depth = y - 0.10 - 0.085 * i + size * (0.95 + 0.18 * np.sin(2.7 * count + i)) * swell
        depth = depth + 0.006 * rough * (-1) ** i
        bands = depth * (1 + 0.8 * swell) / size * 2.4 + 0.35 * soft
        water = _palette("#0b2545 #13417a #2a6f9e #6fb1c4 #d9ead6 #1c5588 #0b2545", (bands * 0.5 + i * 0.1) % 1)
        line = np.where(np.abs((bands * 2.2) % 1 - 0.5) < 0.13, 0.72, 1)
        water *= (line * (1.05 - 0.25 * np.clip(depth / 0.12, 0, 1)))[..., None]
        picture = _mix(picture, water, _step(depth))
        lace = (0.011 + 0.006 * np.sin(along * 150 / (1 + 6 * size)) + 0.008 * lacy) * (0.35 + swell)
        foam = _step(depth + 0.004) * _step(lace - depth)
        picture = _mix(picture, _rgb("#f7f1de"), foam)
        picture = _mix(picture, _rgb("#0a1c3a"), 0.85 * np.exp(-(((depth + 0.005) / 0.0018) ** 2))[..., None])
    spray, side = Image.new("L", (2 * width, 2 * height)), 2 * max(height, width)
    for py, px, r in rng.uniform(0, 1, (420, 3)) * side:
        r = side * 0.0012 + 0.003 * r * (r / side) ** 2
        ImageDraw.Draw(spray).ellipse((px - r, py - r, px + r, py + r), 255)
    picture = _mix(picture, _rgb("#fbf6e6"), _halved(spray))
    return picture * (1 + 0.04 * _noise(y, x, 140, rng))[..., None]


def mosaic(height: int, width: int, rng: np.random.Generator) -> Array:
    """Tesserae laid in fans around a few centres, uneven, bevelled, with gold among the blue."""
    y, x = _grid(height, width)
    centres = np.array(
        [[0.30, 0.28], [0.22, 0.86], [0.72, 0.68], [0.86, 0.14], [1.08, 0.95], [0.58, 0.02], [-0.1, 0.5]]
    )
    centres += rng.normal(0, 0.02, centres.shape)
    reach = (0.27, 0.25, 0.30, 0.24, 0.25, 0.2, 0.22)
    home = np.stack([np.hypot(y - a, x - b) / r for (a, b), r in zip(centres, reach, strict=True)]).argmin(0)
    y, x = y + 0.004 * _noise(y, x, 20, rng), x + 0.004 * _noise(y, x, 20, rng)
    dy, dx = y - centres[home, 0], x - centres[home, 1]
    tile = 0.0215
    ring, across = np.divmod(np.hypot(dy, dx) / tile, 1)
    count = np.maximum(np.round(2 * np.pi * (ring + 0.5)), 3)
    turn = (np.arctan2(dy, dx) / (2 * np.pi) + 0.5 + 0.137 * ring) * count
    slot, along = np.divmod(turn, 1)
    serial = (home * 7919 + ring * 104729 + slot % count * 1299709).astype(np.int64) % 4096
    jitter = rng.uniform(0, 1, (3, 4096))
    edge = np.minimum(np.minimum(across, 1 - across), np.minimum(along, 1 - along))
    edge += 0.09 * (jitter[0][serial] - 0.5) + 0.05 * _noise(y, x, 90, rng)
    schemes = (
        "#f4e3b2 #d9a441 #b3541e #7b1e2b #f4e3b2 #1f3b73 #2d6a9f #0f7173 #e0b94c #14213d",
        "#14213d #1f4e8c #3a86a8 #9fd0c7 #f4e3b2 #d9a441 #a63c20 #14213d #2f7f86 #f0d58c",
    )
    where = (ring * 0.082 + home * 0.31 + 0.05 * (jitter[1][serial] - 0.5)) % 1
    hues = np.where((home % 2 == 0)[..., None], _palette(schemes[0], where), _palette(schemes[1], where))
    bevel = 0.16 * (np.clip(across * 5, 0, 1) - np.clip((1 - across) * 5, 0, 1)) * np.sign(dy)
    light = (0.74 + 0.46 * jitter[2][serial]) * (1 + bevel + 0.10 * _noise(y, x, 130, rng))
    grout = _rgb("#4a4038") * (1 + 0.2 * _noise(y, x, 120, rng))[..., None]
    return _mix(grout, hues * light[..., None], _step(edge * tile - 0.0022))


def marbling(height: int, width: int, rng: np.random.Generator) -> Array:
    """Ink floating on water: rings of colour, stirred and combed (the maps of Lu et al., 2012, in spirit)."""
    y, x = _grid(2 * height, 2 * width)  # averaged at the end: combing makes lines finer than a pixel
    for cy, cx in rng.uniform(0.1, 0.9, (5, 2)):
        angle = rng.choice([-1, 1]) * 2.6 * np.exp(-np.hypot(y - cy, x - cx) / 0.13)
        c, s = np.cos(angle), np.sin(angle)
        y, x = cy + (y - cy) * c - (x - cx) * s, cx + (y - cy) * s + (x - cx) * c
    y = y + 0.075 * np.sin(2 * np.pi * x / 0.24)
    x = x + 0.055 * np.sin(2 * np.pi * y / 0.17 + 1.1) + 0.02 * np.sin(2 * np.pi * y / 0.061)
    field = 2.1 * _noise(y * 0.9, x * 0.9, 4, rng) + 0.7 * _noise(y, x, 9, rng) + 3.2 * y
    hues = _palette(
        "#10243f #1c4f73 #2f8f9d #e9dcc0 #e9dcc0 #e3a857 #c2502e #7d1d3f #f2e6cf #29335c #10243f", (field * 0.62) % 1
    )
    vein = np.clip(2 - np.abs((field * 5.2) % 1 - 0.5) / 0.05, 0, 1)
    hues = _mix(hues, _rgb("#f6eddb"), 0.85 * vein[..., None])
    hues = hues * (1 + 0.05 * _noise(y, x, 60, rng))[..., None]
    return hues.reshape(height, 2, width, 2, 3).mean((1, 3))


def halftone(height: int, width: int, rng: np.random.Generator) -> Array:
    """A print in four inks: each a screen of dots at its own angle, larger where there is more ink."""
    y, x = _grid(height, width)
    sun = np.hypot(y - 0.36, x - 0.60)
    dim = 1 - _step(np.sin(14 * np.arctan2(y - 0.36, x - 0.60)) * sun * 0.07)[..., 0]
    sky = (
        0.12 + 0.55 * (1 - dim) * np.exp(-1.2 * sun),
        0.50 * dim * np.exp(-2.2 * sun),
        np.clip(0.62 * (sun - 0.12) + 0.22 * dim, 0, 0.8),
        0 * sun,
    )
    ball = (0 * y + 0.92, np.clip(0.15 + 2.2 * (y - 0.2), 0, 0.85), 0 * y, 0 * y)
    inks = _mix(np.stack(sky, -1), np.stack(ball, -1), _step(0.21 - sun))
    hills = (
        (0.15, 0.55, 0.12, 0),
        (0.75, 0.2, 0.02, 0),
        (0.15, 0.1, 0.7, 0.02),
        (0.1, 0.75, 0.35, 0.05),
        (0.45, 0, 0.62, 0.2),
    )
    for i, hill in enumerate(hills):
        below = y - 0.50 - 0.105 * i - 0.045 * np.sin((5 + i) * x + 1.9 * i) - 0.012 * _noise(x, x, 9, rng)
        fade = np.clip(below / 0.16, 0, 1)[..., None] * (-0.5, 1.0, 1.0, 1.0) + (1, 0.45, 0.5, 0.6)
        inks = _mix(inks, fade * hill, _step(below))
    picture = _rgb("#f9f1de") * (1 + 0.03 * _noise(y, x, 150, rng))[..., None]
    screens, pitch = (("#ffc62b", 90), ("#f0426c", 75), ("#0f86b6", 15), ("#2a2350", 45)), 0.0155
    for ink, (colour, degrees) in enumerate(screens):
        c, s = np.cos(np.deg2rad(degrees)) / pitch, np.sin(np.deg2rad(degrees)) / pitch
        u, v = x * c + y * s, y * c - x * s
        distance = np.hypot(u - np.round(u), v - np.round(v)) + 0.02 * _noise(y, x, 120, rng)
        dot = 0.74 * np.sqrt(np.clip(inks[..., ink], 0, 1)) - 0.05
        picture *= 1 - 0.94 * _step((dot - distance) * pitch) * (1 - _rgb(colour))
    return picture


def brush_strokes(height: int, width: int, rng: np.random.Generator) -> Array:
    """Thick paint: curved strokes along whirls, large ones first, each with bristles and a lit edge."""
    y, x = _grid(height, width)
    stream = 0.35 * x + 0.0875 * _noise(y, x, 4, rng)
    glow = np.zeros_like(x)
    whirls = (0.26, 0.30, 1.0), (0.36, 0.70, -1.0), (0.12, 0.86, 0.6), (0.70, 0.22, -0.5), (0.8, 0.78, 0.6)
    for cy, cx, strength in whirls:
        r = np.hypot(y - cy, x - cx)
        stream = stream + strength * 0.24 * np.exp(-r / 0.12)
        glow = np.maximum(glow, abs(strength) * (0.62 + 0.38 * np.cos(r * 62)) * np.exp(-((r / 0.15) ** 1.6)))
    slope_y, slope_x = np.gradient(stream)  # paint flows along the stream's level lines
    flow_y, flow_x = np.stack([-slope_x, slope_y]) / (np.hypot(slope_y, slope_x) + 1e-9)
    value = np.clip(0.34 + 0.16 * _noise(y, x, 6, rng) + 0.62 * glow - 0.22 * (y - 0.4), 0, 1)
    hues = _palette("#0d1b3e #16397a #2a6fb0 #5fa8b8 #b9cf8f #f4d35e #f6a821 #fff1c1", value)
    canvas, relief = Image.fromarray(np.uint8(255 * hues)), Image.new("L", (width, height), 128)
    side = max(height, width)
    ink, carve = ImageDraw.Draw(canvas), ImageDraw.Draw(relief)
    for thickness, count, steps in ((0.020, 1300, 9), (0.012, 3000, 8), (0.007, 3600, 7)):
        starts = rng.uniform(0, 1, (count, 2)) * (height - 1, width - 1)
        tints = rng.normal(0, 0.055, (count, 3)) + rng.normal(0, 0.06, (count, 1))
        brush = max(1, round(thickness * side))
        for (py, px), tint in zip(starts, tints, strict=True):
            colour = (255 * (hues[int(py), int(px)] + tint)).clip(0, 255)
            points = []
            for _ in range(steps):
                i, j = min(max(int(py), 0), height - 1), min(max(int(px), 0), width - 1)
                points.append((px, py))
                py, px = py + 0.0095 * side * flow_y[i, j], px + 0.0095 * side * flow_x[i, j]
            ink.line(points, tuple(colour.astype(int).tolist()), brush, joint="curve")
            carve.line(points, int(rng.uniform(60, 230)), brush, joint="curve")
    bristles = _along(rng.uniform(0, 1, (height, width)), flow_y, flow_x, max(2, round(0.016 * side)))
    thick = scipy.ndimage.gaussian_filter(np.asarray(relief, np.float32) / 255, side / 620) * 0.5 + 1.3 * bristles
    slope_y, slope_x = np.gradient(thick)
    light = 1 + np.clip((slope_y + slope_x) * -side / 512 * 1.9, -0.35, 0.45)
    return np.asarray(canvas, np.float32) / 255 * light[..., None]


def pointillism(height: int, width: int, rng: np.random.Generator) -> Array:
    """Poplars and fields at dusk in dots of nearly pure colour, one in nine of them the complement."""
    y, x = _grid(height, width)
    scene = _palette("#37579b #6a97c9 #a9c3d8 #f0c7a6 #f4b183 #fbe3ab", y / 0.5 + 0.05 * _noise(y, x, 6, rng))
    scene = _mix(scene, _rgb("#fff3c0"), np.exp(-((np.hypot(y - 0.36, x - 0.36) / 0.11) ** 2))[..., None])
    ragged = 0.05 * _noise(y, x, 16, rng) + 0.025 * _noise(y, x, 34, rng)
    fields = ("#f1cf5b #b9b04a #4f8f63 #2b5a78", "#e79a4b #cf6a4a #8a4b73 #3a3f7a", "#cfd05a #6fae58 #2c7a64 #24456e")
    leaves = "#1c3f5f #20695c #6aa84f #e6cf58", "#2b2f6b #7a3b69 #cf6a45 #f2b950"
    for row in range(4):
        ground = 0.47 + 0.15 * row + 0.02 * np.sin((4 + row) * x + 2 * row) + 0.12 * ragged
        land = _palette(fields[row % 3], (y - ground) / 0.24 + 1.6 * ragged)
        scene = _mix(scene, land, _step(y - ground))
        for i in range(7 - row):
            tall, up = (0.09 + 0.05 * row) * rng.uniform(0.7, 1.5), ground - y
            sideways = (x - rng.uniform(0, 1)) / (0.012 + 0.16 * tall)
            inside = 1 - np.hypot((up - 0.42 * tall) / (0.58 * tall), sideways) + 2.5 * ragged
            leaf = _palette(leaves[i % 3 == 1], 0.45 - 0.35 * sideways + 0.3 * up / tall)
            scene = _mix(scene, leaf, np.clip(inside * 14, 0, 1)[..., None])
    canvas = Image.fromarray(np.uint8(255 * scene.clip(0, 1) * 0.9)).resize((2 * width, 2 * height))
    draw, side = ImageDraw.Draw(canvas), max(height, width)
    for radius, count in ((0.0078, 7500), (0.0054, 15000)):
        count = int(count * height * width / side**2)
        spots = rng.uniform(0, 1, (count, 2)) * (height, width)
        colours = scene[spots[:, 0].astype(int), spots[:, 1].astype(int)]
        purer = np.where(rng.uniform(0, 1, (count, 1)) < 0.11, -0.75, 1.22)
        colours = _mix(colours.mean(1, keepdims=True), colours, purer) + rng.normal(0, 0.05, (count, 1))
        colours = (255 * (colours + rng.normal(0, 0.06, (count, 3))).clip(0, 1)).astype(np.uint8)
        radii = 2 * side * radius * rng.uniform(0.75, 1.2, count)
        for (py, px), colour, r in zip(2 * spots, colours.tolist(), radii, strict=True):
            draw.ellipse((px - r, py - r, px + r, py + r), tuple(colour))
    return _halved(canvas)


STYLES: dict[str, Callable[[int, int, np.random.Generator], Array]] = {
    "stained-glass": stained_glass,
    "woodcut": woodcut,
    "waves": waves,
    "mosaic": mosaic,
    "marbling": marbling,
    "halftone": halftone,
    "brush-strokes": brush_strokes,
    "pointillism": pointillism,
}


def _grid(height: int, width: int) -> tuple[Array, Array]:
    """Coordinates (y, x) of the pixels' centres, the longer side from 0 to 1."""
    side = max(height, width)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return (y + 0.5) / side, (x + 0.5) / side


def _noise(y: Array, x: Array, cells: float, rng: np.random.Generator) -> Array:
    """Smooth noise of about unit variance with `cells` bumps along the unit square, at the places (y, x)."""
    table = rng.normal(0, 1.6, (64, 64)).astype(np.float32)
    places = np.stack([y * cells, x * cells]).astype(np.float32)
    return scipy.ndimage.map_coordinates(table, places, order=3, mode="grid-wrap", prefilter=False)


def _rgb(code: str) -> Array:
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255


def _palette(codes: str, where: Array) -> Array:
    """Colours (..., 3) of a row of hexadecimal colours at `where` in [0, 1], mixed between neighbours."""
    colours = np.stack([_rgb(code) for code in codes.split()])
    fine = np.linspace(0, len(colours) - 1, 1025)
    table = np.stack([np.interp(fine, np.arange(len(colours)), c) for c in colours.T], -1).astype(np.float32)
    return table[(np.clip(where, 0, 1) * 1024 + 0.5).astype(np.int32)]


def _step(distance: Array) -> Array:
    """(H, W, 1): 0 where `distance` is negative, 1 where it is positive, one pixel of transition."""
    return np.clip(distance * max(distance.shape) + 0.5, 0, 1)[..., None]


def _mix(a: Array, b: Array, share: Array) -> Array:
    return a + (b - a) * share


def _halved(canvas: Image.Image) -> Array:
    """Drawn twice as large and averaged, for Pillow draws without antialiasing: (H, W, channels)."""
    drawn = np.asarray(canvas, np.float32).reshape(canvas.height // 2, 2, canvas.width // 2, 2, -1)
    return drawn.mean((1, 3)) / 255


def _along(noise: Array, flow_y: Array, flow_x: Array, steps: int) -> Array:
    """Noise averaged along a flow (line integral convolution): the marks of bristles."""
    (height, width), total = noise.shape, np.zeros_like(noise)
    i, j = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(steps):
        a, b = np.clip(i, 0, height - 1).astype(int), np.clip(j, 0, width - 1).astype(int)
        total = total + noise[a, b]
        i, j = i + flow_y[a, b], j + flow_x[a, b]
    return total / steps
