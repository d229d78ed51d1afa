"""Train a CNN: data sets with fixed splits, models that take raw pixels, recipes, fitting and pictures."""
