"""Calibration and held-out samples, artefacts in their engines, and the comparison with the model."""
