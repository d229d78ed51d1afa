"""What ONNX lacks, or tf2onnx does not know, in operators that it has."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from edgeport.export.graphs.operators.einsum import einsum_as_product
from edgeport.export.graphs.operators.fourier import part_of_transform
from edgeport.export.graphs.operators.resizing import resize_area, resize_bicubic, scale_and_translate
from edgeport.export.graphs.operators.rewriting import Rule, constant_of
from edgeport.export.graphs.operators.rules import arg_extreme, exact_log1p, expm1, integer_product, log1p

_MOST_LETTERS = 5


def rules() -> Mapping[str, Rule]:
    """Return the rule for each operator."""
    return _RULES


def _erfc(operation: Any) -> Any:
    return 1.0 - tf.math.erf(operation.inputs[0])


def _xlogy(operation: Any) -> Any:
    x, y = operation.inputs
    return _zero_where_zero(x, x * tf.math.log(y))


def _xlog1py(operation: Any) -> Any:
    x, y = operation.inputs
    return _zero_where_zero(x, x * exact_log1p(y))


def _xdivy(operation: Any) -> Any:
    x, y = operation.inputs
    return _zero_where_zero(x, x / y)


def _mul_no_nan(operation: Any) -> Any:
    x, y = operation.inputs
    return _zero_where_zero(y, x * y)


def _zero_where_zero(x: Any, product: Any) -> Any:
    zero = tf.zeros([], product.dtype)
    return tf.where(tf.equal(x, zero), zero, product)


def _bucketize(operation: Any) -> Any:
    """The number of the interval that each value is in: how many boundaries are not above it."""
    boundaries = np.array(operation.get_attr("boundaries"), np.float32)
    values = tf.cast(operation.inputs[0], tf.float32)[..., None]
    return tf.reduce_sum(tf.cast(values >= boundaries, tf.int32), -1)


def _einsum(operation: Any) -> Any:
    """An Einsum of many letters: tf2onnx tries all their orders, which took a minute for an attention over two axes."""
    letters = {*operation.get_attr("equation").decode()} - {*" ,->."}
    return einsum_as_product(operation) if len(letters) > _MOST_LETTERS else None


def _resize_bicubic(operation: Any) -> Any:
    """ResizeBicubic where it shrinks; onnxruntime enlarges by its own operator, with less work."""
    old, new = operation.inputs[0].shape[1:3], constant_of(operation.inputs[1])
    if new is None or None in old or all(length >= before for length, before in zip(new, old, strict=True)):
        return None
    return resize_bicubic(operation)


_EXTREMES = arg_extreme(in_integers=False)
_RULES: Mapping[str, Rule] = {
    "ArgMax": _EXTREMES,
    "ArgMin": _EXTREMES,
    "MatMul": integer_product,
    "BatchMatMulV2": integer_product,
    "BatchMatMulV3": integer_product,
    "Einsum": _einsum,
    "Log1p": log1p,
    "Expm1": expm1,
    "Erfc": _erfc,
    "Xlogy": _xlogy,
    "Xlog1py": _xlog1py,
    "Xdivy": _xdivy,
    "MulNoNan": _mul_no_nan,
    "Bucketize": _bucketize,
    "ComplexAbs": part_of_transform,
    "Real": part_of_transform,
    "Imag": part_of_transform,
    "ResizeArea": resize_area,
    "ResizeBicubic": _resize_bicubic,
    "ScaleAndTranslate": scale_and_translate,
}
