"""A TFLite file taken apart."""
