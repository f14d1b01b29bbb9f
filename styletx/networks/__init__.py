"""Networks that are not chains of named layers: what a recipe trains, and what is looked through as an encoder."""

from .depth import DepthNetwork, depth_encoder, depth_loss, hub_depth

__all__ = ["DepthNetwork", "depth_encoder", "depth_loss", "hub_depth"]
