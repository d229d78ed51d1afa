"""The rule for Fourier transforms of real numbers: two matrix products, where a format has no complex numbers."""

from typing import Any

import numpy as np
import tensorflow as tf

from edgeport.export.graphs.operators.rewriting import constant_of


def part_of_transform(operation: Any) -> Any:
    """ComplexAbs, Real or Imag of an RFFT, whose ``length // 2 + 1`` frequencies are sums over the frame."""
    length, frames = transformed(operation)
    if length is None or frames.shape[-1] is None:
        return None
    # TensorFlow cuts a longer frame, and fills a shorter one with zeros, which need no rows.
    frames = frames[..., : min(length, frames.shape[-1])]
    turns = np.outer(np.arange(frames.shape[-1]), np.arange(length // 2 + 1)) % length / length
    real = _product(frames, np.cos(2 * np.pi * turns))
    imaginary = _product(frames, -np.sin(2 * np.pi * turns))
    if operation.type == "ComplexAbs":
        return tf.sqrt(tf.square(real) + tf.square(imaginary))
    return real if operation.type == "Real" else imaginary


def transformed(operation: Any) -> tuple[int | None, Any]:
    """Return the length of the transform that an operator takes a part of, if known, and the frames."""
    transform = operation.inputs[0].op
    if transform.type != "RFFT":
        return None, None
    length = constant_of(transform.inputs[1])
    return None if length is None else int(np.squeeze(length)), transform.inputs[0]


def _product(frames: Any, matrix: Any) -> Any:
    lengths = [-1 if length is None else length for length in frames.shape[:-1]]
    if lengths.count(-1) > 1:
        return tf.linalg.matmul(frames, tf.constant(matrix, frames.dtype))
    rows = tf.reshape(frames, (-1, frames.shape[-1])) @ tf.constant(matrix, frames.dtype)
    return tf.reshape(rows, (*lengths, matrix.shape[1]))
