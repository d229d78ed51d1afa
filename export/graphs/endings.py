"""What the values of an output come from: a softmax or a sigmoid, also where their shape was changed afterwards."""

from typing import Any

from edgeport.export.graphs.graph import ACTIVATIONS, PASS_THROUGH, Graph, live_graph

# They move no value to another place on the last axis, if that keeps its length.
_RESHAPING = ("Reshape", "Squeeze", "ExpandDims")


def endings_of(graph: Graph) -> dict[str, str]:
    """Return for each output ``softmax``, ``sigmoid`` or ``none``.

    A softmax counts over the last axis of the output; a sigmoid, which looks at each value alone, in any shape.
    """
    nodes = {node.name: node for node in graph.definition.node}
    shapes: Any = None
    endings = {}
    for port in graph.outputs:
        node, lengths = nodes[port.name], {port.shape[-1:]}
        while node.op in (*PASS_THROUGH, *_RESHAPING):
            node = nodes[node.input[0].partition(":")[0]]
            if node.op in ACTIVATIONS:
                break
        ending = ACTIVATIONS.get(node.op, "none")
        if ending == "softmax":
            shapes = shapes or live_graph(graph.definition)
            shape = shapes.get_tensor_by_name(f"{node.name}:0").shape
            lengths.add(tuple(shape[-1:]) if shape.rank else ())
        endings[port.name] = ending if len(lengths) == 1 else "none"
    return endings
