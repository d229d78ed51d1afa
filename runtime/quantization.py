"""Between real numbers and integers, and from logits to probabilities; numpy only."""

import math
from collections.abc import Sequence

import numpy as np

from edgeport.runtime.arrays import FloatArray, Tensor

_SHORT = 32


def quantize(real: Tensor, *, scale: float, zero_point: int, dtype: str) -> Tensor:
    """Return ``round(real / scale) + zero_point``, saturated to ``dtype``.

    The TFLite 8-bit quantization specification and ONNX QuantizeLinear share this formula; ties round to even.

    Args:
        real: Values of any shape.
        scale: The step between two neighbouring integers, above 0.
        zero_point: The integer that stands for 0.
        dtype: The integer type to return, for example ``"int8"``.
    """
    limits = np.iinfo(dtype)
    steps = np.rint(np.asarray(real, np.float64) / scale) + zero_point
    integers: Tensor = np.clip(steps, limits.min, limits.max).astype(dtype)
    return integers


def dequantize(integers: Tensor, *, scale: float, zero_point: int) -> FloatArray:
    """Return ``(integers - zero_point) * scale`` as float32: the real values that the integers stand for."""
    return (integers.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def activate(real: FloatArray, activation: str) -> FloatArray:
    """Return ``real`` after an activation of a card: ``softmax``, ``sigmoid`` or ``none``."""
    if activation == "softmax":
        return softmax(real)
    return sigmoid(real) if activation == "sigmoid" else real


def softmax(logits: FloatArray) -> FloatArray:
    """Return float32 probabilities over the last axis; each row sums to 1 and large logits do not overflow.

    It is computed in float64, so that one row alone and the same row in a batch round to the same float32.
    """
    if is_short_row(logits):
        (row,) = logits.tolist()
        largest = max(row)
        return shares([math.exp(logit - largest) for logit in row])
    exponentials = np.exp(logits.astype(np.float64) - np.maximum.reduce(logits, axis=-1, keepdims=True))
    exponentials /= np.add.reduce(exponentials, axis=-1, keepdims=True)
    return exponentials.astype(np.float32)


def is_short_row(values: Tensor) -> bool:
    """Whether this is one row of few values: what numpy needs for its calls is then longer than the sum itself."""
    return values.size <= _SHORT and values.ndim == 2 and len(values) == 1


def shares(values: Sequence[float]) -> FloatArray:
    """Return the values as shares of their sum, in one row of float32."""
    total = sum(values)
    return np.array([[value / total for value in values]], np.float32)


def sigmoid(logits: FloatArray) -> FloatArray:
    """Return float32 probabilities, each on its own; large logits of either sign do not overflow."""
    # tanh saturates where exp overflows: 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2.
    half = np.float32(0.5)
    probabilities: FloatArray = half * (np.tanh(half * logits) + 1)
    return probabilities
