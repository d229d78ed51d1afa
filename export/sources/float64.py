"""Models that compute in float64, which are exported in float32: no kernel of a small computer takes float64."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from edgeport.export.graphs.graph import Graph
from edgeport.export.graphs.operators.rewriting import rewritten
from edgeport.export.graphs.operators.rules import arg_extreme
from edgeport.export.sources.opened import Opened, Shapes
from edgeport.runtime.artefact.contract import Input, Output

_DOUBLE, _FLOAT = tf.float64.as_datatype_enum, tf.float32.as_datatype_enum


def in_float32(opened: Opened) -> Opened:
    """Return a model whose graph, inputs and outputs are float32 where they were float64.

    It still answers in float64: artefacts are compared with the model as it was written.
    """
    if not _has_float64(opened.graph):
        return opened
    original, trace = opened.call, opened.trace
    types = [np.dtype(port.dtype) for port in opened.graph.inputs]

    def call(arrays: Sequence[Any]) -> Sequence[Any]:
        return original([array.astype(dtype) for array, dtype in zip(arrays, types, strict=True)])

    def trace_in_float32(shapes: Shapes) -> Graph:
        assert trace is not None
        return _narrowed(trace(shapes))

    return replace(
        opened, graph=_narrowed(opened.graph), call=call, trace=trace_in_float32 if trace is not None else None
    )


def _has_float64(graph: Graph) -> bool:
    return any(
        attribute.type == _DOUBLE for nodes in _all_nodes(graph) for node in nodes for attribute in node.attr.values()
    )


def _all_nodes(graph: Graph) -> list[Any]:
    return [graph.definition.node, *(function.node_def for function in graph.definition.library.function)]


def _narrowed(graph: Graph) -> Graph:
    # Where Keras looks at the bits of a float64, there are none of a float32 to see.
    extremes = arg_extreme(in_integers=False)
    graph = rewritten(graph, {"ArgMax": extremes, "ArgMin": extremes})
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    for nodes in (definition.node, *(function.node_def for function in definition.library.function)):
        for node in nodes:
            node.attr.pop("_output_shapes", None)
            for name, attribute in node.attr.items():
                if attribute.type == _DOUBLE:
                    attribute.type = _FLOAT
                elif attribute.HasField("tensor") and attribute.tensor.dtype == _DOUBLE:
                    attribute.tensor.CopyFrom(tf.make_tensor_proto(_nearest(tf.make_ndarray(attribute.tensor))))
                elif name != "value" and _DOUBLE in attribute.list.type:
                    attribute.list.type[:] = [_FLOAT if each == _DOUBLE else each for each in attribute.list.type]
    for function in definition.library.function:
        for argument in (*function.signature.input_arg, *function.signature.output_arg):
            argument.type = _FLOAT if argument.type == _DOUBLE else argument.type
    return replace(
        graph,
        definition=definition,
        inputs=tuple(port._replace(dtype=_narrow(port)) for port in graph.inputs),
        outputs=tuple(port._replace(dtype=_narrow(port)) for port in graph.outputs),
    )


def _narrow(port: Input | Output) -> str:
    return "float32" if port.dtype == "float64" else port.dtype


def _nearest(values: Any) -> Any:
    """Return float32 values; a mask beyond its range becomes its largest, and what is not 0 does not become 0."""
    limits = np.finfo(np.float32)
    finite = np.where(np.isfinite(values), np.clip(values, limits.min, limits.max), values)
    tiny = (finite != 0) & (np.abs(finite) < limits.tiny)
    return np.where(tiny, np.copysign(limits.tiny, finite), finite).astype(np.float32)
