"""An ONNX graph pass: let a flattened feature map keep ONNX's own order of axes.

Keras flattens (height, width, channels), ONNX keeps (channels, height, width). So a Transpose stands before the
Reshape: a copy of the feature map in every run, and a float island in an int8 artefact. The matrix that follows can
have its rows in the other order instead.
"""

from math import prod

import numpy as np
import onnx
from onnx import numpy_helper

from edgeport.export.onnx.passes.graph_queries import axis_lengths, only_consumer, permutation_of, uses

_MATRIX_PRODUCTS = ("MatMul", "Gemm")


def fold_flatten(model: onnx.ModelProto) -> None:
    """Remove each Transpose that stands before a flattening Reshape, and sort the rows of the next matrix instead.

    The graph is changed in place, and left alone where the pattern does not hold: the batch axis moves, an axis is of
    unknown length, or the matrix is no constant of its own.
    """
    shapes = axis_lengths(model)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for transpose in [node for node in graph.node if node.op_type == "Transpose"]:
        lengths = shapes.get(transpose.input[0], [])[1:]
        permutation = permutation_of(transpose, rank=len(lengths) + 1)
        reshape = only_consumer(graph, transpose.output[0])
        if reshape is None or reshape.op_type != "Reshape" or permutation[0] != 0 or not lengths or not all(lengths):
            continue
        target = constants.get(reshape.input[1])
        product = only_consumer(graph, reshape.output[0])
        if target is None or product is None or product.input[0] != reshape.output[0]:
            continue
        if product.op_type not in _MATRIX_PRODUCTS:
            continue
        matrix = constants.get(product.input[1])
        flattens = numpy_helper.to_array(target).tolist()[1:] == [prod(lengths)]
        if not flattens or matrix is None or uses(graph, matrix.name) > 1 or _is_transposed(product):
            continue
        _sort_rows(matrix, permutation, lengths)
        reshape.input[0] = transpose.input[0]
        graph.node.remove(transpose)


def _sort_rows(matrix: onnx.TensorProto, permutation: list[int], lengths: list[int]) -> None:
    """Put the rows, which follow the permuted axes, in the order of the axes before the permutation."""
    rows = numpy_helper.to_array(matrix)
    permuted = [lengths[axis - 1] for axis in permutation[1:]]
    inverse = np.argsort([axis - 1 for axis in permutation[1:]]).tolist()
    axes = rows.reshape(*permuted, rows.shape[1]).transpose(*inverse, len(inverse))
    matrix.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(axes.reshape(rows.shape)), matrix.name))


def _is_transposed(product: onnx.NodeProto) -> bool:
    return any(attribute.name in ("transA", "transB") and attribute.i for attribute in product.attribute)
