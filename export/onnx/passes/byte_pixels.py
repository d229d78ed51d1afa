"""An ONNX graph pass: pixels from 0 to 255 are integers already, so a quantized model can take them as bytes."""

from collections.abc import Collection

import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeport.export.onnx.passes.graph_queries import only_consumer
from edgeport.export.onnx.passes.take_ranges import MOVES, Steps

# Each integer stands for itself.
_EXACT = Steps(1.0, 0)


def steps_of_pixels(graph: onnx.GraphProto, inputs: Collection[str]) -> dict[str, Steps]:
    """Return the steps that keep every pixel exact, for inputs of pixels and what only moves them.

    Args:
        graph: The float graph.
        inputs: The inputs that take pixels from 0 to 255.
    """
    return {name: _EXACT for start in inputs for name in moved(graph, start)}


def take_bytes(model: onnx.ModelProto, inputs: Collection[str]) -> None:
    """Make inputs of pixels uint8: without the first QuantizeLinear, or with a Cast where floats come first.

    Args:
        model: A quantized model, changed in place; ``steps_of_pixels`` gave the steps of its inputs.
        inputs: The inputs that take pixels from 0 to 255.
    """
    graph = model.graph
    for value in graph.input:
        if value.name in inputs:
            _take_bytes(graph, value.name)
            value.type.tensor_type.elem_type = TensorProto.UINT8
    del graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)


def _take_bytes(graph: onnx.GraphProto, name: str) -> None:
    names = moved(graph, name)
    quantize = only_consumer(graph, names[-1])
    if quantize is None or quantize.op_type != "QuantizeLinear" or not _is_exact(graph, quantize):
        as_floats = f"{name}_as_floats"
        _rename(graph, name, as_floats)
        graph.node.insert(0, helper.make_node("Cast", [name], [as_floats], name=as_floats, to=TensorProto.FLOAT))
        return
    graph.node.remove(quantize)
    _rename(graph, quantize.output[0], names[-1])


def moved(graph: onnx.GraphProto, name: str) -> list[str]:
    """Return a tensor and what it becomes by moves alone, one behind the other."""
    names = [name]
    while (node := only_consumer(graph, names[-1])) is not None and node.op_type in MOVES:
        names.append(node.output[0])
    return names


def _is_exact(graph: onnx.GraphProto, quantize: onnx.NodeProto) -> bool:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    scale, zero_point = (numpy_helper.to_array(constants[name]) for name in quantize.input[1:3])
    return bool(scale == _EXACT.scale and zero_point == _EXACT.zero_point and zero_point.dtype == "uint8")


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
