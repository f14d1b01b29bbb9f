"""Networks that are not chains of named layers: what a recipe trains, and what is looked through as an encoder."""

from .decoders import Decoder, Pair, load_pairs
from .depth import DepthNetwork, depth_encoder, depth_loss, hub_depth

__all__ = ["Decoder", "DepthNetwork", "Pair", "depth_encoder", "depth_loss", "hub_depth", "load_pairs"]
