"""A picture as a graph of pixels: affinities and Laplacians, sparse, and how their systems are solved (lecture 11)."""
