"""Data sets with fixed splits: by name, from arrays, from folders of images."""
