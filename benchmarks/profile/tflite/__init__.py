"""Profiles of TFLite artefacts."""
