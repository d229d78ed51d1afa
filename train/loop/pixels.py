"""From the pixels of a data set to what the model takes, in the graph that feeds it."""

import tensorflow as tf

from edgeport.runtime.artefact.contract import RAW, Input


def real_values(samples: tf.Tensor, port: Input) -> tf.Tensor:
    """Return samples as the float32 values that the model takes: uint8 pixels in its range, floats as they are."""
    return as_taken(as_floats(samples), port) if samples.dtype == tf.uint8 else as_floats(samples)


def as_floats(images: tf.Tensor) -> tf.Tensor:
    """Return numbers as float32 of the same values."""
    return tf.cast(images, tf.float32)


def as_taken(pixels: tf.Tensor, port: Input) -> tf.Tensor:
    """Return float32 pixels, 0 to 255 and RGB where there are three channels, in the model's range and order."""
    ordered = pixels[..., ::-1] if port.channels == "bgr" else pixels
    if port.range in (None, RAW):
        return ordered
    low, high = port.range
    return ordered * ((high - low) / RAW[1]) + low
