"""Statistics that say how far a figure can be trusted; numpy alone, so that a device can compute them too."""
