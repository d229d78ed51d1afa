"""Pictures: opened from files, and brought to the size that a model takes."""
