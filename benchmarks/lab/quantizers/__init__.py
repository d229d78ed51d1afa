"""Ways to quantize the same models, side by side."""
