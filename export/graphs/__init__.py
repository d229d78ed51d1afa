"""The frozen graph of a model, and what is rewritten in it for every format."""
