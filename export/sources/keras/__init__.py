"""Keras models, of Keras 2 and 3: from files and objects to one traced graph."""
