"""Inputs that a model takes as floats and makes integers of at once: Keras' Embedding without an Input of integers.

Floats would be quantized in int8, and tokens are no amounts: 17 and 18 are two words. So the input becomes what the
model makes of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from edgeport.export.graphs.graph import Graph
from edgeport.export.sources.opened import Opened, Shapes
from edgeport.runtime.artefact.contract import Input, layout_of

_PASSED = ("Identity", "StopGradient")


def with_integer_inputs(opened: Opened) -> Opened:
    """Return the model with an integer input in place of each float one that it only casts to one kind of integer.

    It still answers as before: what it is asked is cast to the type that it takes.
    """
    if not _casts(opened.graph):
        return opened
    original, trace = opened.call, opened.trace
    types = [np.dtype(port.dtype) for port in opened.graph.inputs]

    def call(arrays: Sequence[Any]) -> Sequence[Any]:
        return original([np.asarray(array, dtype) for array, dtype in zip(arrays, types, strict=True)])

    def trace_with_integers(shapes: Shapes) -> Graph:
        assert trace is not None
        return _without_casts(trace(shapes))

    return replace(
        opened,
        graph=_without_casts(opened.graph),
        call=call,
        trace=trace_with_integers if trace is not None else None,
    )


def _casts(graph: Graph) -> dict[str, tuple[int, list[str]]]:
    """Return for each such input the type that it is cast to, and the nodes between it and its use."""
    users: dict[str, list[Any]] = {}
    for node in graph.definition.node:
        for name in node.input:
            if not name.startswith("^"):
                users.setdefault(name.partition(":")[0], []).append(node)
    found = {}
    for port in graph.inputs:
        waiting, passed, kinds = [port.name] if port.is_real else [], [], set()
        while waiting:
            for node in users.get(waiting.pop(), []):
                passed.append(node.name)
                if node.op in _PASSED:
                    waiting.append(node.name)
                else:
                    kinds.add(node.attr["DstT"].type if node.op == "Cast" else 0)
        if len(kinds) == 1 and tf.as_dtype(max(kinds) or tf.float32).is_integer:
            found[port.name] = max(kinds), passed
    return found


def _without_casts(graph: Graph) -> Graph:
    casts = _casts(graph)
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    nodes = {node.name: node for node in definition.node}
    for name, (kind, passed) in casts.items():
        nodes[name].attr["dtype"].type = kind
        for each in passed:
            node = nodes[each]
            # A Cast is one no longer; its shape stays.
            node.op = "Identity"
            for attribute in ("SrcT", "DstT", "Truncate"):
                node.attr.pop(attribute, None)
            node.attr["T"].type = kind
    inputs = tuple(
        _retyped(port, tf.as_dtype(casts[port.name][0]).name) if port.name in casts else port for port in graph.inputs
    )
    return replace(graph, definition=definition, inputs=inputs)


def _retyped(port: Input, dtype: str) -> Input:
    return port._replace(dtype=dtype, layout=layout_of(port.shape, dtype))
