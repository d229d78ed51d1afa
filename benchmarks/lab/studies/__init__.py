"""The runtime beside the bare engines, and the benchmark on what is known."""
