"""An ONNX graph pass: keep some outputs alone, and what they are computed from."""

from collections.abc import Mapping

import onnx

from edgeport.export.onnx.passes.name_tensors import free, rename


def keep_outputs(model: onnx.ModelProto, ends: Mapping[str, str]) -> None:
    """Remove the other outputs, and the nodes and constants that only they need.

    Args:
        model: Changed in place.
        ends: For each output, in the order that they shall have, what it is called from then on, and which one it is.
    """
    graph = model.graph
    outputs = {output.name: output for output in graph.output}
    kept = [onnx.ValueInfoProto.FromString(outputs[old].SerializeToString()) for old in ends.values()]
    del graph.output[:]
    graph.output.extend(kept)
    needed = set(ends.values())
    for node in reversed(list(graph.node)):
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed |= _used(node)
    for constant in [constant for constant in graph.initializer if constant.name not in needed]:
        graph.initializer.remove(constant)
    names = {old: new for new, old in ends.items()}
    # What the logits of an output give up for its name may be needed still, by another output.
    taken = {*needed, *(name for node in graph.node for name in node.output), *ends}
    names |= {new: free(f"{new}_before", taken) for new in ends if new in needed and new not in names}
    for value, new in zip(graph.output, ends, strict=True):
        value.name = new
    rename(graph.node, names)


def _used(node: onnx.NodeProto) -> set[str]:
    """Return the tensors that a node takes, and those that the inner graphs of a loop take from outside."""
    used = set(node.input)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            used |= {output.name for output in attribute.g.output}
            for inner in attribute.g.node:
                used |= _used(inner)
    return used
