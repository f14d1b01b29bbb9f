"""Energies of the picture itself: no reference, no network."""

from torch import Tensor


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighbours, (1/n_v) Σ (x_{i+1,j} − x_{ij})² + (1/n_h) Σ (x_{i,j+1} − x_{ij})².

    Pictures one pixel high (wide) have no vertical (horizontal) neighbours and no such part. Source: Mahendran &
    Vedaldi 2015, section 2.2, with β = 2 (theirs is the sum over the picture).
    """
    parts = (image.diff(dim=-2), image.diff(dim=-1))
    return sum((part.square().mean() for part in parts if part.numel()), image.new_zeros(()))


def value_range(image: Tensor) -> Tensor:
    """Mean squared excess over [0, 1]: pulls the values of a picture back while it is optimised, never clamps them."""
    return (image - image.clamp(0, 1)).square().mean()
