"""An ONNX graph pass: keep some outputs alone, and what they are computed from."""

from collections.abc import Sequence

import onnx


def keep_outputs(model: onnx.ModelProto, names: Sequence[str]) -> None:
    """Remove the other outputs, and the nodes and constants that only they need.

    Args:
        model: Changed in place.
        names: The outputs to keep, in the order that they shall have.
    """
    graph = model.graph
    outputs = {output.name: output for output in graph.output}
    kept = [onnx.ValueInfoProto.FromString(outputs[name].SerializeToString()) for name in names]
    del graph.output[:]
    graph.output.extend(kept)
    needed = set(names)
    for node in reversed(list(graph.node)):
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed |= _used(node)
    for constant in [constant for constant in graph.initializer if constant.name not in needed]:
        graph.initializer.remove(constant)


def _used(node: onnx.NodeProto) -> set[str]:
    """Return the tensors that a node takes, and those that the inner graphs of a loop take from outside."""
    used = set(node.input)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            used |= {output.name for output in attribute.g.output}
            for inner in attribute.g.node:
                used |= _used(inner)
    return used
