"""Explain an artefact's latency: time by operator, what runs outside the fast kernels, and the CPU's own limits."""
