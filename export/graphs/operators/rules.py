"""Rules for both formats: what an operator is, in operators that every format has."""

from typing import Any

import numpy as np
import tensorflow as tf

from edgeport.export.graphs.operators.rewriting import Rule, constant_of

_MOVES = ("Identity", "Reshape", "Squeeze", "ExpandDims", "Transpose")
# What ends in a sum, or is positive: it gives no -0.0, but for a sum of nothing else.
_NO_NEGATIVE_ZERO = (
    "BiasAdd", "AddV2", "Add", "MatMul", "BatchMatMulV2", "Conv2D", "DepthwiseConv2dNative", "Conv3D", "Softmax",
    "Sigmoid", "Exp", "Abs", "Square", "FusedBatchNormV3",
)  # fmt: skip


def arg_extreme(*, in_integers: bool) -> Rule:
    """Return the rule for ArgMax and ArgMin: without the bits that Keras looks at.

    Keras 3 takes -0.0 for less than 0.0 there (``np.signbit`` says which is which), and asks for the sign bit with a
    Bitcast, which ONNX lacks, and a BitwiseAnd, which TFLite lacks. ``1 / x < 0`` asks the same. Integers have one
    zero, and a range that no infinity may enter.
    """

    def rule(operation: Any) -> Any:
        marked = operation.inputs[0].op
        if marked.type != "SelectV2" or not _asks_for_sign_bit(marked):
            return None
        values = marked.inputs[2]
        if not in_integers and not _has_no_negative_zero(values):
            below = tf.minimum(values, -np.finfo(values.dtype.as_numpy_dtype).tiny)
            values = tf.where(tf.math.divide(tf.ones([], values.dtype), values) < 0, below, values)
        function = tf.raw_ops.ArgMax if operation.type == "ArgMax" else tf.raw_ops.ArgMin
        return function(input=values, dimension=operation.inputs[1], output_type=operation.get_attr("output_type"))

    return rule


def log1p(operation: Any) -> Any:
    """``log(1 + x)``, as exact near 0 as elsewhere."""
    return exact_log1p(operation.inputs[0])


def expm1(operation: Any) -> Any:
    """``exp(x) - 1 = tanh(x / 2) (exp(x) + 1)``, where nothing cancels near 0."""
    return exact_expm1(operation.inputs[0])


def integer_product(operation: Any) -> Any:
    """A matrix product of int8, as Keras' own ``quantize("int8")`` writes: of the same numbers as floats.

    TFLite has none without scales. Sums of up to 1,040 products are exact in float32, and others off by a rounding.
    """
    first, second = operation.inputs
    if first.dtype != tf.int8 or second.dtype != tf.int8:
        return None
    sides = ("transpose_a", "transpose_b") if operation.type == "MatMul" else ("adj_x", "adj_y")
    turned = [operation.get_attr(side) for side in sides]
    product = tf.linalg.matmul(
        tf.cast(first, tf.float32), tf.cast(second, tf.float32), transpose_a=turned[0], transpose_b=turned[1]
    )
    return tf.cast(product, operation.outputs[0].dtype)


def exact_log1p(x: Any) -> Any:
    """Return ``log(1 + x)``; near 0, where ``1 + x`` would lose x, by the series of ``2 artanh(x / (2 + x))``.

    From Abramowitz and Stegun, Handbook of Mathematical Functions, 4.1.27. Where it is used, the terms left out are
    below 1e-9 of the sum. Kahan's formula, with ``(1 + x) - 1``, would be simplified away by TFLite's converter.
    """
    ratio = x / (2.0 + x)
    square = ratio * ratio
    series = 2.0 * ratio * (1.0 + square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square / 9))))
    return tf.where(tf.abs(x) < 0.25, series, tf.math.log(1.0 + x))


def exact_expm1(x: Any) -> Any:
    """Return ``exp(x) - 1``."""
    return tf.tanh(x * 0.5) * (tf.exp(x) + 1.0)


def _asks_for_sign_bit(marked: Any) -> bool:
    """Return whether a SelectV2 puts the least negative number in place of -0.0, as Keras does."""
    condition, instead, values = (tensor.op for tensor in marked.inputs)
    least = constant_of(instead.outputs[0])
    if condition.type != "LogicalAnd" or least is None or least.ndim or not -1e-37 < least < 0:
        return False
    kinds = {tensor.op.type: tensor.op for tensor in condition.inputs}
    if kinds.keys() != {"Equal", "Less"} or kinds["Equal"].inputs[0].op is not values:
        return False
    bits = kinds["Less"].inputs[0].op
    return bool(bits.type == "BitwiseAnd" and bits.inputs[0].op.type == "Bitcast")


def _has_no_negative_zero(tensor: Any) -> bool:
    while tensor.op.type in _MOVES:
        tensor = tensor.op.inputs[0]
    return bool(tensor.op.type in _NO_NEGATIVE_ZERO)
