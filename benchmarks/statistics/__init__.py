"""Statistics that say how far a figure can be trusted, by SciPy where it has them."""
