"""The first and the last layers with weights: those nearest to each input and to each output."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgeport.export.graphs.graph import Graph

# What multiplies by weights, or looks them up; a loop has them inside.
_WEIGHTED = (
    "Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3DBackpropInputV2", "MatMul",
    "BatchMatMulV2", "BatchMatMulV3", "Einsum", "GatherV2", "ResourceGather", "While", "StatelessWhile",
)  # fmt: skip


def weighted_ends(graph: Graph) -> tuple[str, ...]:
    """Return the layers with weights that are nearest to each input, then those nearest to each output.

    Nearest is what no other layer with weights lies before (or behind): several where a model branches there.
    """
    nodes = {node.name: node for node in graph.definition.node}
    takes = {
        name: [_node_of(each) for each in node.input if not each.startswith("^") and _node_of(each) in nodes]
        for name, node in nodes.items()
    }
    gives: dict[str, list[str]] = {name: [] for name in nodes}
    for name, taken in takes.items():
        for each in taken:
            gives[each].append(name)
    fixed = _constants(graph, takes)
    found: dict[str, None] = {}
    for ports, ways in ((graph.inputs, gives), (graph.outputs, takes)):
        for port in ports:
            for name in _nearest(port.name, ways, nodes, takes, fixed):
                if layer := graph.layer_of(name):
                    found[layer] = None
    return tuple(found)


def _constants(graph: Graph, takes: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the nodes that depend on no input: constants, and what is made of them."""
    inputs = {port.name for port in graph.inputs}
    fixed: set[str] = set()
    for node in graph.definition.node:
        if node.name not in inputs and node.op != "Placeholder" and all(each in fixed for each in takes[node.name]):
            fixed.add(node.name)
    return frozenset(fixed)


def _nearest(
    start: str,
    ways: Mapping[str, Sequence[str]],
    nodes: Mapping[str, Any],
    takes: Mapping[str, Sequence[str]],
    fixed: frozenset[str],
) -> list[str]:
    found, waiting, seen = [], [start], {start}
    while waiting:
        name = waiting.pop(0)
        if nodes[name].op in _WEIGHTED and (fixed.intersection(takes[name]) or "While" in nodes[name].op):
            found.append(name)
            continue
        fresh = [each for each in ways[name] if each not in seen and each not in fixed]
        seen.update(fresh)
        waiting += fresh
    return found


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0]
