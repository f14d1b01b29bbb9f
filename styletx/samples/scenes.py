"""Rendered scenes: pictures whose depth, and whose flow from one camera to another, is known exactly (lecture 05).

The world has x to the right, y up and z forward, in metres. A picture is cast ray by ray: per pixel the nearest of
a few textured planes, boxes and spheres. Depth is the distance along the viewing axis, as in computer vision.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

NEAREST, FARTHEST = 0.3, 40.0  # metres: nothing is nearer than the one, and the sky is at the other
FULL = 1e-9


@dataclass(frozen=True)
class Camera:
    """Where it stands and where it looks: yaw to the right, pitch up (radians); focal length in picture widths."""

    position: tuple[float, float, float] = (0.0, 1.5, 0.0)
    yaw: float = 0.0
    pitch: float = 0.0
    focal: float = 0.9

    def axes(self) -> Tensor:
        """Rows: the camera's right, up and forward in the world, (3, 3)."""
        sy, cy, sp, cp = math.sin(self.yaw), math.cos(self.yaw), math.sin(self.pitch), math.cos(self.pitch)
        return torch.tensor([[cy, 0.0, -sy], [-sy * sp, cp, -cy * sp], [sy * cp, sp, cy * cp]], dtype=torch.float64)

    def rays(self, size: tuple[int, int]) -> Tensor:
        """Directions through the pixels' centres, one unit along the viewing axis: (H, W, 3)."""
        height, width = size
        focal = self.focal * width
        x = (torch.arange(width, dtype=torch.float64) + 0.5 - width / 2) / focal
        y = (height / 2 - torch.arange(height, dtype=torch.float64) - 0.5) / focal
        across, up = x.expand(height, width), y[:, None].expand(height, width)
        return torch.stack([across, up, torch.ones_like(across)], -1) @ self.axes()

    def project(self, points: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """(pixel (…, 2) as (column, row), depth (…)) of points of the world (…, 3)."""
        height, width = size
        right, up, forward = ((points - torch.tensor(self.position, dtype=torch.float64)) @ self.axes().T).unbind(-1)
        scale = self.focal * width / forward.clamp(min=FULL)
        return torch.stack([width / 2 + right * scale - 0.5, height / 2 - up * scale - 0.5], -1), forward


@dataclass(frozen=True)
class Solid:
    """A plane, a box or a sphere with a picture on it.

    kind: "plane" (through `centre`, facing along `size` as its normal), "box" (edges `size`, turned by `yaw`) or
    "sphere" (radius size[0]). texture: (1, 3, h, w), tiled each `tile` metres.
    """

    kind: str
    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    texture: Tensor
    tile: float = 1.0
    yaw: float = 0.0

    def __post_init__(self):
        if self.kind not in ("plane", "box", "sphere"):
            raise ValueError(f'kind: "{self.kind}" is none of plane, box, sphere')
        if self.kind != "plane" and not min(self.size[: 1 if self.kind == "sphere" else 3]) > 0:
            raise ValueError(f"size: {self.size} of a {self.kind}; it must be positive")

    def hit(self, origin: Tensor, rays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(depth (H, W), inf where missed; normal (H, W, 3); place on the texture in metres (H, W, 2))."""
        return {"plane": self._plane, "box": self._box, "sphere": self._sphere}[self.kind](origin, rays)

    def _plane(self, origin: Tensor, rays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        normal = F.normalize(torch.tensor(self.size, dtype=torch.float64), dim=0)
        centre = torch.tensor(self.centre, dtype=torch.float64)
        across = rays @ normal
        depth = ((centre - origin) @ normal) / torch.where(across.abs() < FULL, torch.full_like(across, FULL), across)
        depth = torch.where(depth > NEAREST, depth, math.inf)
        helper = torch.tensor([0.0, 0.0, 1.0] if normal[1].abs() > 0.5 else [0.0, 1.0, 0.0], dtype=torch.float64)
        first = F.normalize(torch.linalg.cross(helper, normal), dim=0)
        second = torch.linalg.cross(normal, first)
        points = _points(origin, rays, depth) - centre
        return depth, normal.expand_as(rays), torch.stack([points @ first, points @ second], -1)

    def _sphere(self, origin: Tensor, rays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        centre, radius = torch.tensor(self.centre, dtype=torch.float64), self.size[0]
        away = origin - centre
        a, b, c = (rays * rays).sum(-1), rays @ away, away @ away - radius**2
        inside = b * b - a * c
        depth = (-b - inside.clamp(min=0).sqrt()) / a
        depth = torch.where((inside > 0) & (depth > NEAREST), depth, math.inf)
        normal = (_points(origin, rays, depth) - centre) / radius
        place = torch.stack([torch.atan2(normal[..., 0], -normal[..., 2]), normal[..., 1].clamp(-1, 1).asin()], -1)
        return depth, normal, radius * place

    def _box(self, origin: Tensor, rays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        turn = torch.tensor([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]], dtype=torch.float64)
        start = turn @ (origin - torch.tensor(self.centre, dtype=torch.float64))
        way = rays @ turn.T
        half = torch.tensor(self.size, dtype=torch.float64) / 2
        way = torch.where(way.abs() < FULL, torch.full_like(way, FULL), way)
        near, far = (-way.sign() * half - start) / way, (way.sign() * half - start) / way
        depth, face = near.max(-1)
        depth = torch.where((depth < far.amin(-1)) & (depth > NEAREST), depth, math.inf)
        local = start + way * torch.where(depth.isfinite(), depth, torch.zeros_like(depth))[..., None]
        normal = F.one_hot(face, 3) * -way.sign()
        place = torch.stack([torch.where(face == 0, local[..., 2], local[..., 0]),
                             torch.where(face == 1, local[..., 2], local[..., 1])], -1)  # fmt: skip
        return depth, normal @ turn, place


def _points(origin: Tensor, rays: Tensor, depth: Tensor) -> Tensor:
    return origin + rays * torch.where(depth.isfinite(), depth, torch.zeros_like(depth))[..., None]


@dataclass(frozen=True)
class Scene:
    """Solids under a light: `light` points to the lamp; a matt surface shines 0.4 + 0.6·cos of its angle to it."""

    solids: Sequence[Solid]
    light: tuple[float, float, float] = (-0.4, 0.8, -0.5)
    sky: tuple[float, float, float] = (0.75, 0.85, 0.95)

    def __post_init__(self):
        if not self.solids:
            raise ValueError("solids: none; a scene has at least one")

    def render(self, camera: Camera, size: tuple[int, int], supersample: int = 2) -> tuple[Tensor, Tensor]:
        """(picture (1, 3, H, W) in [0, 1], depth (1, 1, H, W) in metres, at most 40).

        The picture averages `supersample`² rays for each pixel; the depth is that of the pixel's centre.
        """
        fine = (size[0] * supersample, size[1] * supersample)
        colours = F.avg_pool2d(self._colours(camera, fine), supersample)
        return colours.float().clamp(0, 1), self.depth(camera, size)[0].float()[None, None]

    def depth(self, camera: Camera, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """(depth (H, W), number of the solid (H, W), −1 for the sky), in float64."""
        origin, rays = torch.tensor(camera.position, dtype=torch.float64), camera.rays(size)
        depths = torch.stack([solid.hit(origin, rays)[0] for solid in self.solids])
        depth, which = depths.min(0)
        far = depth >= FARTHEST
        return torch.where(far, FARTHEST, depth), torch.where(far, -1, which)

    def _colours(self, camera: Camera, size: tuple[int, int]) -> Tensor:
        origin, rays = torch.tensor(camera.position, dtype=torch.float64), camera.rays(size)
        lamp = F.normalize(torch.tensor(self.light, dtype=torch.float64), dim=0)
        colours = torch.tensor(self.sky, dtype=torch.float64).view(3, 1, 1).expand(3, *size).clone()
        nearest = torch.full(size, FARTHEST, dtype=torch.float64)
        for solid in self.solids:
            depth, normal, place = solid.hit(origin, rays)
            seen = depth < nearest
            if not bool(seen.any()):
                continue
            nearest = torch.where(seen, depth, nearest)
            shade = 0.4 + 0.6 * (normal[seen] @ lamp).clamp(min=0)
            colours[:, seen] = _paint(solid.texture, place[seen] / solid.tile) * shade
        return colours[None]

    def flow(self, first: Camera, second: Camera, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """(flow (1, 2, H, W), seen (1, 1, H, W)): where what `first` sees at a pixel lies in `second`'s picture.

        In pixels to the right and down; seen is 1 where it is inside that picture and not hidden there. The sky has no
        flow that could be trusted.
        """
        depth, which = self.depth(first, size)
        points = torch.tensor(first.position, dtype=torch.float64) + first.rays(size) * depth[..., None]
        place, theirs = second.project(points, size)
        height, width = size
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        flow = (place - torch.stack([columns, rows], -1)).permute(2, 0, 1)[None]
        inside = (
            (theirs > NEAREST) & (place >= 0).all(-1) & (place[..., 0] <= width - 1) & (place[..., 1] <= height - 1)
        )
        origin = torch.tensor(second.position, dtype=torch.float64)
        # The ray from the second camera to the point meets nothing before it.
        rays = (points - origin) / theirs.clamp(min=FULL)[..., None]
        first_met = torch.stack([solid.hit(origin, rays)[0] for solid in self.solids]).amin(0)
        seen = inside & (which >= 0) & (first_met > theirs * (1 - 1e-6) - 1e-6)
        return flow.float(), seen[None, None].float()


def _paint(texture: Tensor, place: Tensor) -> Tensor:
    """Colours (3, N) of a tiled texture at places (N, 2), bilinear; every other tile is mirrored, so no seam shows."""
    folded = 1 - (place.remainder(2) - 1).abs()
    grid = (2 * folded - 1).view(1, 1, -1, 2).to(texture)
    return F.grid_sample(texture, grid, padding_mode="border", align_corners=False)[0, :, 0].cpu().double()


def random_scene(textures: Sequence[Tensor], generator: torch.Generator) -> tuple[Scene, Camera]:
    """A room, a street or a wall with things standing and floating about, and a camera that looks at them.

    textures: pictures (1, 3, h, w). So built that "lower in the picture is nearer" is a poor guess: ceilings, side
    walls, floating things, and cameras that look up and down.
    """

    def pick(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    def texture() -> Tensor:
        chosen = textures[int(torch.randint(len(textures), (), generator=generator))]
        tint = 0.6 + 0.6 * torch.rand(1, 3, 1, 1, generator=generator)
        return (chosen * tint).clamp(0, 1)

    def plane(centre: tuple, normal: tuple) -> Solid:
        return Solid("plane", centre, normal, texture(), tile=pick(0.7, 3.0))

    back, side, top = pick(5, 14), pick(1.5, 4), pick(2.5, 5)
    kind = ("room", "street", "wall")[int(torch.randint(3, (), generator=generator))]
    solids = [plane((0, 0, 0), (0, 1, 0))]
    if kind == "room":
        solids += [plane((0, top, 0), (0, -1, 0)), plane((-side, 0, 0), (1, 0, 0)), plane((side, 0, 0), (-1, 0, 0)),
                   plane((0, 0, back), (pick(-0.3, 0.3), 0, -1))]  # fmt: skip
    elif kind == "wall":
        solids += [plane((0, 0, pick(2.5, 8)), (pick(-1.2, 1.2), pick(-0.4, 0.4), -1))]
    for _ in range(int(torch.randint(2, 8, (), generator=generator))):
        far = pick(1.8, min(back, 9))
        across, lift = pick(-0.6, 0.6) * far, pick(0, 2.2) if pick(0, 1) < 0.5 else 0.0
        if pick(0, 1) < 0.4:
            radius = pick(0.25, 0.9)
            solid = Solid("sphere", (across, lift + radius, far), (radius, 0, 0), texture(), tile=pick(0.5, 1.5))
        else:
            edges = (pick(0.3, 1.6), pick(0.3, 2.2), pick(0.3, 1.6))
            solid = Solid("box", (across, lift + edges[1] / 2, far), edges, texture(), pick(0.5, 1.5), pick(0, math.pi))
        solids.append(solid)
    light = (pick(-1, 1), pick(0.2, 1), pick(-1, 0.2))
    camera = Camera((pick(-0.5, 0.5), pick(0.6, 2.2), 0.0), pick(-0.25, 0.25), pick(-0.35, 0.35), pick(0.7, 1.1))
    return Scene(solids, light, (pick(0.5, 1.0), pick(0.5, 1.0), pick(0.5, 1.0))), camera


def moved(camera: Camera, right: float = 0.0, up: float = 0.0, forward: float = 0.0) -> Camera:
    """The camera, some metres to its right, up and forward."""
    shift = torch.tensor([right, up, forward], dtype=torch.float64) @ camera.axes()
    x, y, z = (float(p + s) for p, s in zip(camera.position, shift, strict=True))
    return replace(camera, position=(x, y, z))
