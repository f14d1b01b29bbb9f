"""Before networks: what style was when colours and patches were all that could be matched (lecture 05, room a)."""

from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from ..images import Size, check_size, fit_size, resize, size_of
from ..samples import Source, picture
from .arguments import LongerSide
from .options import Picture, checked

# Reinhard et al. 2001, Eq. 4 and 6: RGB to LMS cones, and log LMS to lαβ.
RGB_TO_LMS = torch.tensor([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]]).double()
LOG_TO_LAB = (
    torch.diag(torch.tensor([1 / 3**0.5, 1 / 6**0.5, 1 / 2**0.5]).double())
    @ torch.tensor([[1.0, 1, 1], [1, 1, -2], [1, -1, 0]]).double()
)
DARKEST = 1 / 255  # a logarithm needs light


def rgb_to_lab(image: Tensor) -> Tensor:
    """RGB to Ruderman's lαβ, whose channels hardly depend on each other: (B, 3, H, W), in float64 on the CPU."""
    cones = _mix(RGB_TO_LMS, image.cpu().double().clamp(min=DARKEST))
    return _mix(LOG_TO_LAB, cones.log10())


def lab_to_rgb(lab: Tensor) -> Tensor:
    """The way back from `rgb_to_lab`; may leave [0, 1]."""
    cones = 10 ** _mix(torch.linalg.inv(LOG_TO_LAB), lab.cpu().double())
    return _mix(torch.linalg.inv(RGB_TO_LMS), cones)


def _mix(matrix: Tensor, image: Tensor) -> Tensor:
    return torch.einsum("ij,bjhw->bihw", matrix.to(image), image)


@checked
def reinhard(
    content: Annotated[Source, Picture("the photograph to be coloured anew")],
    style: Annotated[Source, Picture("the picture to take the colours from")],
    *,
    size: LongerSide = 512,
    device: str | torch.device | None = None,
) -> Tensor:
    """Give `content` the colours of `style`: mean and spread of each lαβ channel; a picture (1, 3, H, W) in [0, 1].

    x ← (x − μ_c)·σ_s/σ_c + μ_s, channel by channel, in float64 on the CPU (`device` is for the other methods'
    sake). A channel without spread only moves. Raises ValueError for bad pictures. Source: Reinhard et al. 2001.
    """
    content, style = picture(content, argument="content"), picture(style, argument="style")
    content = resize(content, fit_size(*size_of(content), longer=size))
    mine, theirs = rgb_to_lab(content.cpu()), rgb_to_lab(style.cpu())
    (mine_mean, mine_std), (mean, std) = (
        (x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True, correction=0)) for x in (mine, theirs)
    )
    scale = torch.where(mine_std > 1e-6, std / mine_std.clamp(min=1e-6), torch.ones_like(std))
    return lab_to_rgb((mine - mine_mean) * scale + mean).clamp(0, 1).float()


def quilt(
    texture: Source,
    size: Size = (256, 256),
    *,
    patch: int = 48,
    overlap: int = 12,
    tolerance: float = 0.1,
    seed: int = 0,
) -> Tensor:
    """A larger piece of a texture, sewn from its patches along the seams that show least: (1, 3, *size) in [0, 1].

    Row by row, a patch is drawn among those whose overlap error is at most (1 + tolerance) times the smallest, and cut
    along the path of least error. Raises ValueError where patch or overlap do not fit. Source: Efros & Freeman 2001.
    """
    source = picture(texture, argument="texture")[0].cpu().permute(1, 2, 0).double().numpy()
    for side in size:
        check_size(side)
    if not 1 <= overlap < patch or patch > min(source.shape[:2]):
        height, width = source.shape[:2]
        raise ValueError(
            f"patch, overlap: {patch} and {overlap} in a texture of {width}×{height}; "
            f"the overlap must be smaller than the patch, and the patch no larger than the texture"
        )
    generator, step = np.random.default_rng(seed), patch - overlap
    rows, columns = (1 + max(0, -(-(side - patch) // step)) for side in size)
    made = np.zeros((rows * step + overlap, columns * step + overlap, 3))
    filled = np.zeros(made.shape[:2], bool)
    for row in range(rows):
        for column in range(columns):
            window = np.s_[row * step : row * step + patch, column * step : column * step + patch]
            known = filled[window]
            top, left = _choose(source, made[window], known, patch, tolerance, generator)
            new = source[top : top + patch, left : left + patch]
            keep_old = _seams(((new - made[window]) ** 2).sum(-1), overlap, left=column > 0, above=row > 0)
            made[window] = np.where(keep_old[..., None], made[window], new)
            filled[window] = True
    return torch.from_numpy(made[: size[0], : size[1]]).permute(2, 0, 1)[None].float()


def _choose(
    source: np.ndarray,
    old: np.ndarray,
    known: np.ndarray,
    patch: int,
    tolerance: float,
    generator: np.random.Generator,
) -> tuple[int, int]:
    """A place in the source whose patch agrees with what is there; any place where nothing is there yet."""
    from scipy.signal import fftconvolve

    height, width = (side - patch + 1 for side in source.shape[:2])
    if not known.any():
        return int(generator.integers(height)), int(generator.integers(width))
    mask = known.astype(float)[::-1, ::-1]
    error = np.zeros((height, width))
    for channel in range(3):  # Σ known·(source − old)², as correlations
        plane = source[..., channel]
        error += fftconvolve(plane**2, mask, mode="valid")
        error -= 2 * fftconvolve(plane, (old[..., channel] * known)[::-1, ::-1], mode="valid")
        error += ((old[..., channel] * known) ** 2).sum()
    error = error.clip(min=0)
    good = np.flatnonzero(error <= (1 + tolerance) * error.min() + 1e-9)
    return divmod(int(generator.choice(good)), width)


def _seams(error: np.ndarray, overlap: int, left: bool, above: bool) -> np.ndarray:
    """Where the old pixels stay: before the cheapest cut through the left and through the upper overlap."""
    keep = np.zeros(error.shape, bool)
    if left:
        cut = cheapest_path(error[:, :overlap])
        keep |= np.arange(error.shape[1])[None] < cut[:, None]
    if above:
        cut = cheapest_path(error[:overlap].T)
        keep |= np.arange(error.shape[0])[:, None] < cut[None]
    return keep


def cheapest_path(cost: np.ndarray) -> np.ndarray:
    """The column, row by row, of the path from top to bottom with the least sum, moving by at most one column a row."""
    total = cost.copy()
    for row in range(1, len(cost)):
        padded = np.pad(total[row - 1], 1, constant_values=np.inf)
        total[row] += np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    path = np.empty(len(cost), int)
    path[-1] = total[-1].argmin()
    for row in range(len(cost) - 2, -1, -1):
        low = max(0, path[row + 1] - 1)
        path[row] = low + total[row, low : path[row + 1] + 2].argmin()
    return path
