"""How good is a result, an encoder, a loss? Metrics, and textures that differ in one thing."""
