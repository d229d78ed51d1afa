"""Fake-quant operators in a frozen graph: where a quantization-aware model rounds as int8 does."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from edgeport.export.graphs.graph import Graph, function_of

_OPERATORS = ("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")


def has_fake_quantization(graph: Graph) -> bool:
    """Return whether a model rounds its activations in training, so that its int8 ranges are known."""
    return any(node.op in _OPERATORS for node in graph.definition.node)


def without_fake_quantization(graph: Graph) -> Graph:
    """Return the same weights without any rounding: what the float artefacts of a quantization-aware model compute."""
    return _with_constants(_without(graph, lambda node: True))


def with_rounded_weights(graph: Graph) -> Graph:
    """Return the graph with weights as constants that are rounded already, and fake-quant for activations alone.

    TFLite's converter cannot move a fake-quant per channel through the transposition of a matrix, but finds the same
    integers again in weights that are rounded.
    """
    return _with_constants(graph)


def with_float_weights(graph: Graph) -> Graph:
    """Return the graph with weights as they were trained, and fake-quant for activations alone."""
    constant = _constants(graph.definition)
    return _with_constants(_without(graph, lambda node: _node_of(node.input[0]) in constant))


def call_of(graph: Graph) -> Callable[[Sequence[Any]], list[Any]]:
    """Return a function from arrays in the order of the inputs to those of the outputs."""
    function = function_of(graph)

    def call(arrays: Sequence[Any]) -> list[Any]:
        tensors = [tf.cast(array, port.dtype) for array, port in zip(arrays, graph.inputs, strict=True)]
        return [tensor.numpy() for tensor in function(*tensors)]

    return call


def _without(graph: Graph, is_chosen: Callable[[Any], bool]) -> Graph:
    """Return the graph without the fake-quant operators that are chosen."""
    definition = _copy(graph)
    for node in definition.node:
        if node.op in _OPERATORS and is_chosen(node):
            source, name = node.input[0], node.name
            node.Clear()
            node.name, node.op = name, "Identity"
            node.input.append(source)
            node.attr["T"].type = tf.float32.as_datatype_enum
    return replace(graph, definition=definition)


def _with_constants(graph: Graph) -> Graph:
    """Return the graph with a constant in place of all that is computed from constants alone.

    Such are kernels, biases and the ends of ranges, which the converters want to read.
    """
    definition = _copy(graph)
    constant = _constants(definition)
    taken = {_node_of(name) for node in definition.node if node.name not in constant for name in node.input}
    chosen = [node for node in definition.node if node.name in constant & taken and node.op != "Const"]
    values = _values(definition, [node.name for node in chosen])
    for node, value in zip(chosen, values, strict=True):
        name = node.name
        node.Clear()
        node.name, node.op = name, "Const"
        node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    kept = [port.name for port in graph.ports]
    return replace(graph, definition=tf.compat.v1.graph_util.extract_sub_graph(definition, kept))


def _constants(definition: Any) -> set[str]:
    """Return the names of the nodes that depend on no input."""
    nodes = {node.name: node for node in definition.node}
    known: dict[str, bool] = {}

    def is_constant(name: str) -> bool:
        if name not in known:
            node = nodes[name]
            known[name] = node.op == "Const" or (
                bool(node.input) and all(is_constant(_node_of(each)) for each in node.input)
            )
        return known[name]

    # A frozen graph stands in the order of computation, so no search goes deep.
    return {node.name for node in definition.node if is_constant(node.name)}


def _values(definition: Any, names: list[str]) -> list[Any]:
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(definition, name="")
    with tf.compat.v1.Session(graph=graph) as session:
        values: list[Any] = session.run([graph.get_tensor_by_name(f"{name}:0") for name in names])
        return values


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0].removeprefix("^")


def _copy(graph: Graph) -> Any:
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    return definition
