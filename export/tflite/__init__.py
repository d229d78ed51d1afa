"""From a graph to the bytes of a .tflite file."""
