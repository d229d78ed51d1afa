"""Which operators of an ONNX model gain from integers: those that stand in a chain of integer operators.

onnxruntime has integer kernels for matrix products and for a handful of other operators. An element-wise operator
between float neighbours gains nothing: it costs a QuantizeLinear and a DequantizeLinear for each of its tensors, and
keeps onnxruntime from fusing a normalisation or an activation that it is a part of.
"""

from collections.abc import Collection, Sequence
from typing import Any

from edgeport.export.graphs.places import layer_of_onnx_node

# Where the weights are, and nearly all of the time: always in integers.
PRODUCTS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
_FLOAT = 1
# The others that onnxruntime's CPU provider computes in integers, or moves as they are.
INTEGER_KERNELS = (
    *PRODUCTS, "Add", "Mul", "Relu", "Clip", "LeakyRelu", "Sigmoid", "Concat", "MaxPool", "AveragePool",
    "GlobalAveragePool", "Resize", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Pad", "Split", "Slice",
    "Gather",
)  # fmt: skip


def chained_nodes(graph: Any, kinds: Sequence[str] = INTEGER_KERNELS, *, in_floats: Collection[str] = ()) -> list[str]:
    """Return the names of the nodes to quantize.

    These are all matrix products, all look-ups in a table of weights (embeddings), and of the other ``kinds`` those
    that take nothing but constants and what such a node has computed: their inputs are integers already.

    Args:
        graph: An onnx.GraphProto whose nodes have names and stand in the order of computation.
        kinds: The operators that have an integer kernel.
        in_floats: The layers whose nodes are none of them.
    """
    constants = {tensor.name: tensor.data_type for tensor in graph.initializer}
    integer: set[str] = set()
    chosen = []
    for node in graph.node:
        taken = [name for name in node.input if name and name not in constants]
        has_weights = node.op_type in PRODUCTS or (node.op_type == "Gather" and constants.get(node.input[0]) == _FLOAT)
        if {node.name, layer_of_onnx_node(node.name)}.intersection(in_floats):
            continue
        if has_weights or (node.op_type in kinds and taken and integer.issuperset(taken)):
            chosen.append(node.name)
            integer.update(node.output)
    return chosen
