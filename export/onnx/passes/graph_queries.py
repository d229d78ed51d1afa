"""What the passes ask of an ONNX graph."""

import onnx


def axis_lengths(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Return the length of each axis of each tensor whose rank is known; 0 for an axis of unknown length."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    return {value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in values}


def only_consumer(graph: onnx.GraphProto, tensor: str) -> onnx.NodeProto | None:
    """Return the node that takes a tensor, or None if there are more or fewer, or if it is an output as well."""
    consumers = [node for node in graph.node if tensor in node.input]
    is_output = any(output.name == tensor for output in graph.output)
    return consumers[0] if len(consumers) == 1 and not is_output else None


def uses(graph: onnx.GraphProto, name: str) -> int:
    """Return how many nodes take a tensor."""
    return sum(name in node.input for node in graph.node)
