"""What a model does to the pixels of an input before its first weights, found in the graph, nested models included."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

_NORMALISES = ("FusedBatchNormV3", "FusedBatchNormV2", "FusedBatchNorm")
# Each with the number that changes nothing.
_SCALES = {"Mul": 1.0, "RealDiv": 1.0, "Sub": 0.0, "AddV2": 0.0, "Add": 0.0, "BiasAdd": 0.0}
# What leaves a number what it is: moves, choices of a part, paddings, the smaller and larger sizes of a picture.
_PASSED = (
    "Identity", "StopGradient", "Cast", "Reshape", "Transpose", "Squeeze", "ExpandDims", "StridedSlice", "Slice",
    "ConcatV2", "Pack", "Pad", "PadV2", "MirrorPad", "ReverseV2", "ResizeBilinear", "ResizeNearestNeighbor",
    "ResizeBicubic", "ResizeArea", "MaxPool", "AvgPool", "SpaceToDepth", "Maximum", "Minimum", "ClipByValue",
    "GatherV2", "Split", "SplitV", "Unpack",
)  # fmt: skip
_LARGEST_PIXEL = 255.0
_ROUNDS = "FakeQuantWithMinMaxVars"
# What leaves 0 and 1 what they are, where it is used: the larger one is chosen of a deviation and a tiny number.
_UNCHANGED = ("Identity", "Reshape", "Maximum", "ExpandDims", "Cast", "Sqrt")


def scales_pixels(definition: Any, name: str) -> bool:
    """Return whether everything that is made of an input is scaled or shifted before it meets weights, or the end.

    A quantization-aware model has its scaling in a kernel, and the range of its pixels, up to 255, in front of it.

    Args:
        definition: A frozen GraphDef.
        name: The name of the input.
    """
    users: dict[str, list[Any]] = {}
    nodes = {node.name: node for node in definition.node}
    for node in definition.node:
        for tensor in node.input:
            # A name with ^ orders nodes in time, and passes no numbers.
            if not tensor.startswith("^"):
                users.setdefault(_node_of(tensor), []).append(node)
    fed = _fed(definition, users)
    waiting, seen = [name], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        # A shape is no part of what is in it.
        unscaled = [node for node in users.get(name, []) if node.op != "Shape" and not _scales(node, nodes, fed)]
        if name not in users or any(node.op not in (*_PASSED, *_SCALES, _ROUNDS) for node in unscaled):
            return False
        waiting += [node.name for node in unscaled]
    return True


def keras_scales_pixels(model: keras.Model) -> bool:
    """Return the same of the only input of a Keras model."""
    (tensor,) = model.inputs
    shape = [tensor.shape[0] or 1, *tensor.shape[1:]]
    function = tf.function(lambda pixels: model(pixels, training=False), autograph=False)
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(tf.TensorSpec(shape, tensor.dtype)))
    return scales_pixels(frozen.graph.as_graph_def(), frozen.inputs[0].op.name)


def _fed(definition: Any, users: dict[str, list[Any]]) -> set[str]:
    """Return the names of all nodes whose values depend on what is fed."""
    waiting, fed = [node.name for node in definition.node if node.op == "Placeholder"], set()
    while waiting:
        name = waiting.pop()
        if name not in fed:
            fed.add(name)
            waiting += [node.name for node in users.get(name, [])]
    return fed


def _scales(node: Any, nodes: dict[str, Any], fed: set[str]) -> bool:
    """Return whether a node changes numbers by fixed ones, other than those that change nothing, or knows pixels."""
    if node.op in _NORMALISES:
        return True
    if node.op == _ROUNDS:
        return _value(node.input[2], nodes) == _LARGEST_PIXEL
    others = [tensor for tensor in node.input if not tensor.startswith("^") and _node_of(tensor) not in fed]
    return node.op in _SCALES and bool(others) and _value(others[0], nodes) != _SCALES[node.op]


def _value(tensor: str, nodes: dict[str, Any]) -> float | None:
    """Return the number that a tensor is everywhere; None if it is not known to be one."""
    node = nodes[_node_of(tensor)]
    while node.op in _UNCHANGED:
        node = nodes[_node_of(node.input[0])]
    if node.op != "Const":
        return None
    values = np.unique(tf.make_ndarray(node.attr["value"].tensor))
    return float(values[0]) if values.size == 1 and values.dtype.kind in "fiu" else None


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0]
