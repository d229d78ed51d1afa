"""Where a model comes from: every kind of file, read and traced to one graph."""
