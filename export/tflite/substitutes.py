"""Operators written as others, which TFLite's quantizer knows better."""

from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from edgeport.export.graphs.graph import Graph


def without_squared_differences(graph: Graph) -> Graph:
    """Return the graph with ``(a - b) * (a - b)`` for each SquaredDifference, which TFLite lacks in int16."""
    definition = _copy(graph)
    for node in [node for node in definition.node if node.op == "SquaredDifference"]:
        difference = definition.node.add(name=f"{node.name}/difference", op="Sub", input=node.input[:2])
        difference.attr["T"].CopyFrom(node.attr["T"])
        node.op = "Mul"
        node.input[:] = [difference.name] * 2
    return replace(graph, definition=definition)


def without_reversals(graph: Graph) -> Graph:
    """Return the graph with a Gather for each ReverseV2 of one axis of known length.

    TFLite's REVERSE_V2 moves integers as they are, while the quantizer may give its output another scale than its
    input: that of a concatenation behind it, such as that of a bidirectional layer. A GATHER keeps the scale.
    """
    if not any(node.op == "ReverseV2" for node in graph.definition.node):
        return graph
    definition = _copy(graph)
    live = tf.Graph()
    with live.as_default():
        tf.graph_util.import_graph_def(definition, name="")
    for node in [node for node in definition.node if node.op == "ReverseV2"]:
        axes = tf.get_static_value(live.get_tensor_by_name(_full(node.input[1])))
        shape = live.get_tensor_by_name(f"{node.name}:0").shape
        if axes is None or axes.size != 1 or shape.rank is None or shape[int(axes[0])] is None:
            continue
        places = np.arange(shape[int(axes[0])] - 1, -1, -1, dtype=np.int32)
        constants = [
            _constant(definition, f"{node.name}/{part}", value)
            for part, value in (("turned_places", places), ("turned_axis", axes[0]))
        ]
        tensor, dtype = node.input[0], node.attr["T"].type
        name = node.name
        node.Clear()
        node.name, node.op = name, "GatherV2"
        node.input[:] = [tensor, *constants]
        node.attr["Tparams"].type = dtype
        node.attr["Tindices"].type = tf.int32.as_datatype_enum
        node.attr["Taxis"].type = tf.as_dtype(axes.dtype).as_datatype_enum
    return replace(graph, definition=definition)


def _constant(definition: Any, name: str, value: Any) -> str:
    node = definition.node.add(name=name, op="Const")
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return name


def _copy(graph: Graph) -> Any:
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    return definition


def _full(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"
