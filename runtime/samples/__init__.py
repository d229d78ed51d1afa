"""Samples as people have them in files, read into what a model takes: numpy alone, so on a device too."""
