"""Measurements behind decisions of this project: each a program of its own, whose result the documents quote."""
