"""Sweeps: models x recipes x seeds, each trained, exported and scored in a process of its own, resumable."""
