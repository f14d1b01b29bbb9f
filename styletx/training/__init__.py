"""Training a network: the loop, and the pictures it learns from."""
