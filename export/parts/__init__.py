"""Artefacts cut into parts that run alone."""
