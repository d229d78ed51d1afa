"""Between real numbers and integers, and from logits to probabilities; numpy only."""

from collections.abc import Callable, Sequence
from math import exp

import numpy as np

from edgeport.runtime.tensors.arrays import FloatArray, Tensor

_SHORT = 32
# exp() of such numbers neither overflows nor vanishes in float64, so that the largest need not be taken off first.
_SAFE = 600.0
# numpy takes longer to find the dtype of a class than to make a short array.
_FLOAT32 = np.dtype(np.float32)


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


def softmax(logits: FloatArray) -> FloatArray:
    """Return float32 probabilities over the last axis; each row sums to 1 and large logits do not overflow.

    It is computed in float64, so that one row alone and the same row in a batch round to the same float32.
    """
    shape = logits.shape
    # As is_short_row() and shares() have it: at the end of each prediction, two calls of Python are a microsecond.
    if len(shape) == 2 and shape[0] == 1 and shape[1] <= _SHORT:
        (row,) = logits.tolist()
        largest = max(row)
        short = [*map(exp, row)] if -_SAFE < largest < _SAFE else [exp(logit - largest) for logit in row]
        total = sum(short)
        return np.array([[value / total for value in short]], _FLOAT32)
    exponentials = np.exp(logits.astype(np.float64) - np.maximum.reduce(logits, axis=-1, keepdims=True))
    exponentials /= np.add.reduce(exponentials, axis=-1, keepdims=True)
    return exponentials.astype(np.float32)


def is_short_row(values: Tensor) -> bool:
    """Whether this is one row of few values: what numpy needs for its calls is then longer than the sum itself."""
    shape = values.shape
    return len(shape) == 2 and shape[0] == 1 and shape[1] <= _SHORT


def shares(values: Sequence[float]) -> FloatArray:
    """Return the values as shares of their sum, in one row of float32."""
    total = sum(values)
    return np.array([[value / total for value in values]], _FLOAT32)


def sigmoid(logits: FloatArray) -> FloatArray:
    """Return float32 probabilities, each on its own; large logits of either sign do not overflow."""
    # tanh saturates where exp overflows: 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2.
    half = np.float32(0.5)
    probabilities: FloatArray = half * (np.tanh(half * logits) + 1)
    return probabilities


def unchanged(real: FloatArray) -> FloatArray:
    """Return the values as they are."""
    return real


# What embedded metadata can name.
ACTIVATIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "none": unchanged,
    "softmax": softmax,
    "sigmoid": sigmoid,
}


def activate(real: FloatArray, activation: str) -> FloatArray:
    """Return ``real`` after an activation that embedded metadata names: ``softmax``, ``sigmoid`` or ``none``."""
    return ACTIVATIONS[activation](real)
