"""Encoders: pictures in, named layers out (lecture 01).

`encoder(image, layers)` gives `{"relu1_1": (B, C, H, W), ...}`. Layers have the literature's names: `conv4_2` is
the value before the ReLU, `relu4_2` after it (papers that say "conv4_2" mean the latter: Caffe worked in place).
The encoder runs once for all layers asked for, and stops at the deepest of them.
"""

from .laplacian import Laplacian
from .network import Affine, Encoder, EncoderError, normalise, vgg_steps
from .pretrained import (
    DEEP,
    ENCODERS,
    NORMALISATION_PHOTOS,
    VGG_BLOCKS,
    WEIGHTS,
    half_state,
    load_encoder,
    mini_encoder,
    public_encoder,
    read_weights,
)

__all__ = [
    "DEEP",
    "ENCODERS",
    "NORMALISATION_PHOTOS",
    "VGG_BLOCKS",
    "WEIGHTS",
    "Affine",
    "Encoder",
    "EncoderError",
    "Laplacian",
    "half_state",
    "load_encoder",
    "mini_encoder",
    "normalise",
    "public_encoder",
    "read_weights",
    "vgg_steps",
]
