"""Files that nobody vouches for: walks within bounds, and the probe."""
