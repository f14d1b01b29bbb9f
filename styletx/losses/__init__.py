"""Losses: a statistic of a cloud of features, and a distance between two statistics."""

from .base import Loss, mean_squared
from .gram import CONVENTIONS, content_loss, convention_factor, gram_loss
from .pixels import total_variation, value_range

__all__ = [
    "CONVENTIONS",
    "Loss",
    "content_loss",
    "convention_factor",
    "gram_loss",
    "mean_squared",
    "total_variation",
    "value_range",
]
