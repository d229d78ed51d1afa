"""What a model does to the pixels of an input before its first weights, found in the graph, nested models included."""

from typing import Any

import tensorflow as tf

from edgeport.export.graphs.graph import Graph
from edgeport.runtime.artefact.contract import Input

_SCALES = ("Mul", "RealDiv", "Sub", "AddV2", "Add", "BiasAdd", "FusedBatchNormV3", "FusedBatchNormV2", "FusedBatchNorm")
# What leaves a number what it is: moves, choices of a part, paddings, the smaller and larger sizes of a picture.
_PASSED = (
    "Identity", "StopGradient", "Cast", "Reshape", "Transpose", "Squeeze", "ExpandDims", "StridedSlice", "Slice",
    "ConcatV2", "Pack", "Pad", "PadV2", "MirrorPad", "ReverseV2", "ResizeBilinear", "ResizeNearestNeighbor",
    "ResizeBicubic", "ResizeArea", "MaxPool", "AvgPool", "SpaceToDepth", "Maximum", "Minimum", "ClipByValue",
    "GatherV2", "Split", "SplitV", "Unpack",
)  # fmt: skip
_ROUNDS = ("FakeQuantWithMinMaxVars",)


def scales_pixels(graph: Graph, port: Input) -> bool:
    """Return whether everything that is made of an input is scaled or shifted before it meets weights.

    A quantization-aware model has its scaling in a kernel, and the range of its pixels, up to 255, in front of it.
    """
    users: dict[str, list[Any]] = {}
    nodes = {node.name: node for node in graph.definition.node}
    for node in graph.definition.node:
        for name in node.input:
            # A name with ^ orders nodes in time, and passes no numbers.
            if not name.startswith("^"):
                users.setdefault(_node_of(name), []).append(node)
    waiting, seen = [port.name], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in users.get(name, []):
            if node.op in _SCALES or (node.op in _ROUNDS and _largest(node, nodes) == 255.0):
                continue
            if node.op not in (*_PASSED, *_ROUNDS, "Shape"):
                return False
            if node.op != "Shape":
                waiting.append(node.name)
    return True


def _largest(node: Any, nodes: dict[str, Any]) -> float | None:
    """Return the upper end of a fake-quant operator's range, behind what keeps it above the lower end."""
    end = nodes[_node_of(node.input[2])]
    while end.op in ("Identity", "Reshape", "Maximum"):
        end = nodes[_node_of(end.input[0])]
    return float(tf.make_ndarray(end.attr["value"].tensor).item()) if end.op == "Const" else None


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0]
