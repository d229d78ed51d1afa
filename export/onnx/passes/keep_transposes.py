"""An ONNX graph pass: a Transpose where tf2onnx wrote a Reshape, since the axis that moves has but one place.

onnxruntime computes convolutions in integers with channels last, and puts a Transpose before and behind them. Those
cancel the Transposes of a model that has channels last itself; before a Reshape they stay, a copy in every run.
"""

import onnx
from onnx import helper

from edgeport.export.onnx.passes.graph_queries import axis_lengths, uses

_FEWEST_AXES = 3


def keep_transposes(model: onnx.ModelProto) -> None:
    """Make each Reshape that only moves a single channel between the last and the second axis a Transpose.

    The graph is changed in place.
    """
    graph, lengths = model.graph, axis_lengths(model)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        permutation = _permutation(lengths.get(node.input[0], []), lengths.get(node.output[0], []))
        if permutation is None:
            continue
        target = node.input.pop(1)
        if not uses(graph, target):
            graph.initializer.remove(constants[target])
        del node.attribute[:]
        node.op_type = "Transpose"
        node.attribute.append(helper.make_attribute("perm", permutation))


def _permutation(before: list[int], after: list[int]) -> list[int] | None:
    """Return how the axes move, if a single channel goes to the second place, or from there to the last."""
    rank = len(before)
    if rank < _FEWEST_AXES or before == after or not all(before[1:]):
        return None
    batch, *others = range(rank)
    moves = (others[-1], [batch, others[-1], *others[:-1]]), (others[0], [batch, *others[1:], others[0]])
    fitting = (axes for channel, axes in moves if before[channel] == 1 and [before[axis] for axis in axes] == after)
    return next(fitting, None)
