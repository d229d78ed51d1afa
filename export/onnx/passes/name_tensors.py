"""An ONNX graph pass: short names that are the same in every run.

tf2onnx numbers its names in an order that changes from process to process, so the same model would give files of
different bytes.
"""

from collections.abc import Iterable, Mapping, Sequence

import onnx


def name_tensors(model: onnx.ModelProto, layers: Sequence[str]) -> None:
    """Rename nodes, constants and inner tensors by operator and position, and sort constants by their first use.

    ``conv_3`` is the output of the fourth node, a Conv, and ``conv_3_input_1`` a constant that it takes. The names
    of the graph's own inputs and outputs stay, and no other tensor gets one of them. The node is ``stem.conv_3`` if it
    is of the layer stem; the tensors do without, since the names of a small quantized model outweigh its weights.

    Args:
        model: Changed in place.
        layers: The layer that each node belongs to; empty for one that belongs to none.
    """
    graph = model.graph
    names = {tensor.name: tensor.name for tensor in (*graph.input, *graph.output)}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    taken = {*names, *_inner_names(graph.node)}
    ordered = []
    for number, (node, layer) in enumerate(zip(graph.node, layers, strict=True)):
        short = f"{node.op_type.lower()}_{number}"
        node.name = f"{layer}.{short}" if layer else short
        for place, name in enumerate(node.input):
            if name in constants and name not in names:
                names[name] = free(f"{short}_input_{place}", taken)
                ordered.append(constants[name])
        for place, name in enumerate(node.output):
            if name and name not in names:
                names[name] = free(short if place == 0 else f"{short}_output_{place}", taken)
    # A constant that only an inner graph (of a Loop, If or Scan) uses keeps its name and comes last.
    ordered += [constant for name, constant in sorted(constants.items()) if name not in names]
    for constant in ordered:
        constant.name = names.get(constant.name, constant.name)
    copies = [onnx.TensorProto.FromString(constant.SerializeToString()) for constant in ordered]
    del graph.initializer[:]
    graph.initializer.extend(copies)
    del graph.value_info[:]
    rename(graph.node, names)


def _inner_names(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    """Return every name in the inner graphs of loops and branches, which see the outer ones."""
    graphs = [each.g for node in nodes for each in node.attribute if each.type == onnx.AttributeProto.GRAPH]
    return {
        name
        for graph in graphs
        for name in (
            *(value.name for value in (*graph.input, *graph.initializer)),
            *(name for node in graph.node for name in (*node.input, *node.output)),
            *_inner_names(graph.node),
        )
    }


def free(name: str, taken: set[str]) -> str:
    """Return a name that no other tensor has, and take it."""
    while name in taken:
        name = f"{name}_"
    taken.add(name)
    return name


def rename(nodes: Iterable[onnx.NodeProto], names: Mapping[str, str]) -> None:
    """Rename the tensors that nodes take and give, also in the inner graphs of loops and branches."""
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                rename(attribute.g.node, names)
