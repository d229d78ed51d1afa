"""Other ways to run the same weights on the same images, measured beside edgeport's in one interleaved run."""
