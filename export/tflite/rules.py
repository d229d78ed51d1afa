"""What TFLite lacks, or what its converter gets wrong, in operators that it has."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from edgeport.export.graphs.operators.einsum import einsum_as_product
from edgeport.export.graphs.operators.fourier import part_of_transform, transformed
from edgeport.export.graphs.operators.resizing import resize_area, resize_bicubic, scale_and_translate
from edgeport.export.graphs.operators.rewriting import Rule, constant_of
from edgeport.export.graphs.operators.rules import arg_extreme, exact_expm1, exact_log1p, expm1, integer_product, log1p


def rules(*, in_integers: bool) -> Mapping[str, Rule]:
    """Return the rule for each operator.

    Args:
        in_integers: Whether activations become integers. What is exact near 0 in floats has no range in integers, and
            what the converter writes by itself is as good there.
    """
    exact = {} if in_integers else {"Log1p": log1p, "Expm1": expm1}
    extremes = arg_extreme(in_integers=in_integers)
    return {**_RULES, **exact, "ArgMax": extremes, "ArgMin": extremes}


def _pool_3d(operation: Any) -> Any:
    """A pooling of volumes: of each plane, then along the depth. The mean leaves padding out, so it splits too."""
    volumes = operation.inputs[0]
    if None in volumes.shape[1:] or operation.get_attr("data_format") != b"NDHWC":
        return None
    pool = tf.nn.max_pool2d if operation.type == "MaxPool3D" else tf.nn.avg_pool2d
    padding = operation.get_attr("padding").decode()
    window, strides = operation.get_attr("ksize")[1:4], operation.get_attr("strides")[1:4]
    depth, height, width, channels = volumes.shape[1:]
    planes = pool(tf.reshape(volumes, (-1, height, width, channels)), window[1:], strides[1:], padding)
    height, width = planes.shape[1:3]
    lines = tf.reshape(planes, (-1, depth, height * width, channels))
    lines = pool(lines, (window[0], 1), (strides[0], 1), padding)
    return tf.reshape(lines, (-1, lines.shape[1], height, width, channels))


def _einsum(operation: Any) -> Any:
    """Row by row products (``bij,bij->b``): the converter makes a matrix product of wrong shape of them."""
    left, _, right = operation.get_attr("equation").decode().replace(" ", "").partition("->")[0].partition(",")
    return einsum_as_product(operation) if {*left} == {*right} else None


def _concatenated(operation: Any) -> Any:
    """All parts of an Unpack, concatenated: the converter takes that for a Reshape, and loses a permutation."""
    *parts, axis = operation.inputs
    unpack = parts[0].op
    if unpack.type != "Unpack" or [part.name for part in parts] != [output.name for output in unpack.outputs]:
        return None
    whole, rank = unpack.inputs[0], unpack.inputs[0].shape.rank
    to = constant_of(axis)
    if rank is None or to is None or sum(length is None for length in operation.outputs[0].shape) > 1:
        return None
    unpacked, to = unpack.get_attr("axis") % rank, int(to) % (rank - 1)
    order = [place for place in range(rank) if place != unpacked]
    order.insert(to, unpacked)
    lengths = [-1 if length is None else length for length in operation.outputs[0].shape]
    return tf.reshape(tf.transpose(whole, order), lengths)


def _transposed_convolution(operation: Any) -> Any:
    """A transposed convolution with dilation: with zeros in the kernel instead."""
    kernel = constant_of(operation.inputs[1])
    dilations = operation.get_attr("dilations")
    if kernel is None or set(dilations) == {1} or operation.get_attr("data_format") != b"NHWC":
        return None
    return tf.raw_ops.Conv2DBackpropInput(
        input_sizes=operation.inputs[0],
        filter=_with_gaps(kernel, dilations[1:3]),
        out_backprop=operation.inputs[2],
        strides=operation.get_attr("strides"),
        padding=operation.get_attr("padding").decode(),
        explicit_paddings=operation.get_attr("explicit_paddings"),
    )


def _convolution_3d(operation: Any) -> Any:
    """SpaceToBatchND, Conv3D, BatchToSpaceND, a convolution with dilation: with zeros in the kernel instead."""
    convolution = operation.inputs[0].op
    to_batch = convolution.inputs[0].op if convolution.type == "Conv3D" else operation
    if to_batch.type != "SpaceToBatchND":
        return None
    blocks, crops = (constant_of(tensor) for tensor in operation.inputs[1:])
    paddings, kernel = constant_of(to_batch.inputs[2]), constant_of(convolution.inputs[1])
    if any(value is None for value in (blocks, crops, paddings, kernel)) or (paddings < crops).any():
        return None
    if convolution.get_attr("padding") != b"VALID" or set(convolution.get_attr("strides")) != {1}:
        return None
    around = [[0, 0], *(paddings - crops).tolist(), [0, 0]]
    return tf.nn.conv3d(tf.pad(to_batch.inputs[0], around), _with_gaps(kernel, blocks), [1] * 5, "VALID")


def _with_gaps(kernel: Any, dilations: Any) -> Any:
    lengths = [(length - 1) * step + 1 for length, step in zip(kernel.shape, dilations, strict=False)]
    wide = np.zeros((*lengths, *kernel.shape[-2:]), kernel.dtype)
    wide[tuple(slice(None, None, step) for step in dilations)] = kernel
    return wide


def _bincount(operation: Any) -> Any:
    """How often each integer is there, or whether: a sum, or maximum, of one-hot rows."""
    values, size, weights = operation.inputs
    length = _bounded(size)
    if length is None or values.shape.rank is None:
        return None
    rows = tf.one_hot(values, int(length), dtype=operation.outputs[0].dtype)
    if operation.get_attr("binary_output"):
        return tf.reduce_max(rows, -2)
    if 0 not in weights.shape:
        rows = rows * weights[..., None]
    return tf.reduce_sum(rows, -2)


def _bounded(size: Any) -> Any:
    """Return a size if it is known: Keras writes it as ``minimum(maximum(largest + 1, size), size)``."""
    if size.op.type == "Minimum":
        bounds = [constant_of(tensor) for tensor in size.op.inputs]
        inner = next((tensor.op for tensor in size.op.inputs if tensor.op.type == "Maximum"), None)
        least = [constant_of(tensor) for tensor in inner.inputs] if inner is not None else []
        known = {int(bound) for bound in (*bounds, *least) if bound is not None}
        if len(known) == 1 and any(bound is not None for bound in least):
            return known.pop()
    return constant_of(size)


def _drawn(operation: Any) -> Any:
    """Random numbers from a seed that is a constant: the same each time."""
    numbers = constant_of(operation.outputs[0])
    return None if numbers is None else tf.constant(numbers)


def _cumprod(operation: Any) -> Any:
    """Products of ever more neighbours: 2, 4, 8 ..."""
    values, axis = operation.inputs[0], constant_of(operation.inputs[1])
    if axis is None or values.shape.rank is None or values.shape[int(axis)] is None:
        return None
    axis = int(axis) % values.shape.rank
    length = values.shape[axis]
    if operation.get_attr("reverse"):
        values = tf.reverse(values, [axis])
    reach = 1
    if operation.get_attr("exclusive"):
        values = _shifted(values, axis, 1, length)
    while reach < length:
        values = values * _shifted(values, axis, reach, length)
        reach *= 2
    return tf.reverse(values, [axis]) if operation.get_attr("reverse") else values


def _shifted(values: Any, axis: int, by: int, length: int) -> Any:
    """Return the values some places later, with ones before them."""
    around = [[by, 0] if place == axis else [0, 0] for place in range(values.shape.rank)]
    start = [0] * values.shape.rank
    size = [length if place == axis else -1 for place in range(values.shape.rank)]
    return tf.slice(tf.pad(values, around, constant_values=1), start, size)


def _diagonal(operation: Any) -> Any:
    """The main diagonal of matrices."""
    matrices, offset = operation.inputs[0], constant_of(operation.inputs[1])
    if offset is None or offset.ndim or offset != 0 or None in matrices.shape[-2:]:
        return None
    length = min(matrices.shape[-2:])
    square = matrices[..., :length, :length]
    return tf.reduce_sum(tf.where(tf.eye(length) > 0, square, tf.zeros([], matrices.dtype)), -1)


def _part_of_transform(operation: Any) -> Any:
    """A part of a Fourier transform; TFLite has those of 2, 4, 8 ... numbers itself."""
    length, _ = transformed(operation)
    return None if length is None or length & (length - 1) == 0 else part_of_transform(operation)


def _erf(operation: Any) -> Any:
    """Formula 7.1.26 of Abramowitz and Stegun, Handbook of Mathematical Functions: off by 1.5e-7 at the most."""
    x = operation.inputs[0]
    size = tf.abs(x)
    t = 1.0 / (1.0 + 0.3275911 * size)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return tf.sign(x) * (1.0 - series * tf.exp(-size * size))


def _asinh(operation: Any) -> Any:
    x = operation.inputs[0]
    size = tf.abs(x)
    return tf.sign(x) * exact_log1p(size + size * size / (1.0 + tf.sqrt(size * size + 1.0)))


def _acosh(operation: Any) -> Any:
    beyond = operation.inputs[0] - 1.0
    return exact_log1p(beyond + tf.sqrt(beyond * (2.0 + beyond)))


def _atanh(operation: Any) -> Any:
    x = operation.inputs[0]
    return 0.5 * exact_log1p(2.0 * x / (1.0 - x))


def _sinh(operation: Any) -> Any:
    grown = exact_expm1(operation.inputs[0])
    return 0.5 * (grown + grown / (grown + 1.0))


def _cosh(operation: Any) -> Any:
    x = operation.inputs[0]
    return 0.5 * (tf.exp(x) + tf.exp(-x))


def _tan(operation: Any) -> Any:
    x = operation.inputs[0]
    return tf.sin(x) / tf.cos(x)


def _asin(operation: Any) -> Any:
    x = operation.inputs[0]
    return tf.atan2(x, tf.sqrt((1.0 - x) * (1.0 + x)))


def _acos(operation: Any) -> Any:
    x = operation.inputs[0]
    return tf.atan2(tf.sqrt((1.0 - x) * (1.0 + x)), x)


def _atan(operation: Any) -> Any:
    x = operation.inputs[0]
    return tf.atan2(x, tf.ones_like(x))


_RULES: Mapping[str, Rule] = {
    "MaxPool3D": _pool_3d,
    "AvgPool3D": _pool_3d,
    "MatMul": integer_product,
    "BatchMatMulV2": integer_product,
    "BatchMatMulV3": integer_product,
    "Einsum": _einsum,
    "ConcatV2": _concatenated,
    "Conv2DBackpropInput": _transposed_convolution,
    "BatchToSpaceND": _convolution_3d,
    "DenseBincount": _bincount,
    **{f"StatelessRandom{kind}V2": _drawn for kind in ("Normal", "Uniform", "UniformInt")},
    "StatelessTruncatedNormalV2": _drawn,
    "Cumprod": _cumprod,
    "MatrixDiagPartV3": _diagonal,
    "ResizeArea": resize_area,
    "ResizeBicubic": resize_bicubic,
    "ScaleAndTranslate": scale_and_translate,
    "ComplexAbs": _part_of_transform,
    "Real": _part_of_transform,
    "Imag": _part_of_transform,
    "Erf": _erf,
    "Asinh": _asinh,
    "Acosh": _acosh,
    "Atanh": _atanh,
    "Sinh": _sinh,
    "Cosh": _cosh,
    "Tan": _tan,
    "Asin": _asin,
    "Acos": _acos,
    "Atan": _atan,
}
