"""An ONNX graph pass: fold the pixel scaling into the first convolution.

A model that takes raw pixels begins with ``x * scale``. Left in the graph it is a pass of its own over every
pixel, and in an int8 artefact a quantized operator of its own. A convolution is linear, so its kernel can carry the
scale.
"""

import numpy as np
import onnx
from onnx import numpy_helper

from edgeport.export.onnx.passes.graph_queries import only_consumer, uses

_PASS_THROUGH = ("Reshape", "Transpose")
_LINEAR = ("Conv", "MatMul", "Gemm")


def fold_input_scaling(model: onnx.ModelProto) -> None:
    """Remove a scalar Mul (and an Add of zero) at the input, and scale the first linear operator's weights instead.

    The graph is changed in place, and left alone where the pattern does not hold: an offset other than zero, a
    scale per channel, or anything but a change of shape before a Conv, MatMul or Gemm with constant weights of its own.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    tensor = graph.input[0].name
    scale, removed = 1.0, []
    node = only_consumer(graph, tensor)
    while node is not None and node.op_type in ("Mul", "Add"):
        value = _scalar(node, tensor, constants)
        if value is None or (node.op_type == "Add" and value != 0.0):
            return
        scale *= value if node.op_type == "Mul" else 1.0
        removed.append(node)
        tensor = node.output[0]
        node = only_consumer(graph, tensor)
    first = node
    while node is not None and node.op_type in _PASS_THROUGH:
        tensor = node.output[0]
        node = only_consumer(graph, tensor)
    if not removed or first is None or node is None or not _takes_constant_weights(node, tensor, constants):
        return
    weights = constants[node.input[1]]
    if uses(graph, weights.name) > 1:
        return
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(scale), weights.name))
    last = removed[-1].output[0]
    first.input[list(first.input).index(last)] = graph.input[0].name
    for gone in removed:
        graph.node.remove(gone)
    used = {name for each in graph.node for name in each.input}
    for name in set(constants) - used:
        graph.initializer.remove(constants[name])


def _scalar(node: onnx.NodeProto, tensor: str, constants: dict[str, onnx.TensorProto]) -> float | None:
    """Return the constant that a Mul or Add applies to ``tensor``, if it is a single number."""
    others = [name for name in node.input if name != tensor]
    if len(others) != 1 or others[0] not in constants:
        return None
    value = numpy_helper.to_array(constants[others[0]])
    return float(value.reshape(())) if value.size == 1 else None


def _takes_constant_weights(node: onnx.NodeProto, tensor: str, constants: dict[str, onnx.TensorProto]) -> bool:
    return node.op_type in _LINEAR and node.input[0] == tensor and node.input[1] in constants
