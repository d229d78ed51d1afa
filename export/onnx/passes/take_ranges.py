"""An ONNX graph pass: from pairs of QuantizeLinear and DequantizeLinear to a float model and a table of ranges.

tf2onnx writes such a pair for each fake-quant operator of a quantization-aware model. onnxruntime's quantizer takes a
float model, places the pairs where they pay, and can be given the scales to use.
"""

from dataclasses import dataclass

import onnx
from onnx import numpy_helper

# What gives the values that it takes, in another shape.
MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten")


@dataclass(frozen=True)
class Steps:
    """How a tensor is mapped to uint8.

    Attributes:
        scale: The step between two neighbouring integers.
        zero_point: The integer that stands for 0, 0 to 255.
    """

    scale: float
    zero_point: int


def take_ranges(model: onnx.ModelProto) -> dict[str, Steps]:
    """Remove all pairs, and return what each tensor that had one is mapped by.

    Args:
        model: Changed in place.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    outputs = {output.name for output in graph.output}
    steps: dict[str, Steps] = {}
    renamed: dict[str, str] = {}
    sources: dict[str, str] = {}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        if node.op_type == "QuantizeLinear":
            scale, zero_point = (numpy_helper.to_array(constants[name]) for name in node.input[1:3])
            steps[node.input[0]] = Steps(float(scale), int(zero_point))
            sources[node.output[0]] = node.input[0]
        elif node.op_type in MOVES and node.input[0] in sources:
            # tf2onnx may move integers, between the two of a pair: they become floats as well.
            node.input[0] = sources[node.input[0]]
            sources[node.output[0]] = node.output[0]
            steps[node.output[0]] = steps[node.input[0]]
        elif node.op_type == "DequantizeLinear":
            renamed[node.output[0]] = sources[node.input[0]]
    kept = [node for node in graph.node if node.op_type not in ("QuantizeLinear", "DequantizeLinear")]
    for output in outputs & renamed.keys():
        _rename(kept, renamed[output], output)
        steps[output] = steps.pop(renamed[output])
    for node in reversed(kept):
        if node.op_type in MOVES and node.output[0] in steps:
            # onnxruntime gives both ends the steps of the first.
            steps.setdefault(node.input[0], steps[node.output[0]])
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    for name in constants.keys() - used:
        graph.initializer.remove(constants[name])
    del graph.value_info[:]
    return steps


def activation_steps(model: onnx.ModelProto) -> dict[str, Steps]:
    """Return what each tensor of a quantized model that is rounded while it runs is mapped by."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] not in constants:
            scale, zero_point = (numpy_helper.to_array(constants[name]) for name in node.input[1:3])
            found[node.input[0]] = Steps(float(scale), int(zero_point))
    return found


def _rename(nodes: list[onnx.NodeProto], old: str, new: str) -> None:
    for node in nodes:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
