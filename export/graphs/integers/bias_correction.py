"""What rounding weights adds to the mean of each channel, taken off by the constants behind them.

Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (2019), section 4.2, in its
empirical form. The error of a layer with rounded weights ``W'`` has the mean ``E[W' x] - E[W x] = E[(W' - W) x]``: what
the layer gives, on calibration samples, with the error of its weights in their place.
"""

from itertools import islice
from typing import Any

import numpy as np
import tensorflow as tf

from edgeport.export.graphs.graph import Graph
from edgeport.export.graphs.integers.weighted_ways import (
    WEIGHTS,
    Addition,
    Batches,
    Floats,
    Ways,
    channels_given,
    with_constants,
)
from edgeport.export.graphs.running import computed


def with_corrected_biases(graph: Graph, batches: Batches, *, steps: int) -> tuple[Graph, tuple[str, ...]]:
    """Return the graph with constants that take off what rounding weights adds, and the layers whose have changed.

    In floats it answers otherwise, by just that.

    Args:
        graph: A frozen graph.
        batches: Returns the calibration samples anew: for each batch an array an input, in order.
        steps: How many steps the integers of weights have on each side of 0; each output has a step of its own.
    """
    additions = list(Ways(graph).additions())
    if not additions:
        return graph, ()
    operands = {
        tensor.name: tensor.name
        for each in additions
        for tensor in (each.weighted.inputs[WEIGHTS], each.node.inputs[each.place], *each.factors)
    }
    values = next(computed(graph, operands, islice(batches(), 1)))
    errors = _mean_errors(graph, additions, values, batches, steps)
    changed: dict[tuple[str, int], Floats] = {}
    names: dict[str, None] = {}
    for each in additions:
        error, channels = errors[each.weighted.name], channels_given(each.weighted)
        factors = [values[tensor.name] for tensor in each.factors]
        if any(factor.size not in (1, channels) for factor in factors):
            continue
        for factor in factors:
            error = error * factor.reshape(-1)
        constant: Floats = values[each.node.inputs[each.place].name]
        changed[each.node.name, each.place] = (constant - np.float32(each.sign) * error).astype(np.float32)
        names[graph.layer_of(each.weighted.name) or each.weighted.name] = None
    return with_constants(graph, changed), tuple(names)


def _mean_errors(
    graph: Graph, additions: list[Addition], values: dict[str, Any], batches: Batches, steps: int
) -> dict[str, Floats]:
    """Return for each operator the mean of each channel that it gives with the error of its weights alone."""
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    nodes = {node.name: node for node in graph.definition.node}
    fetched = {}
    for each in additions:
        name = f"{each.weighted.name}/rounding"
        error = _rounding(each.weighted, values[each.weighted.inputs[WEIGHTS].name], steps)
        constant = definition.node.add(name=f"{name}/weights", op="Const")
        constant.attr["dtype"].type = tf.float32.as_datatype_enum
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(error))
        copied = definition.node.add()
        copied.CopyFrom(nodes[each.weighted.name])
        copied.name = name
        copied.input[WEIGHTS] = constant.name
        fetched[each.weighted.name] = f"{name}:0"
    with_errors = Graph(definition, graph.inputs, graph.outputs, graph.layers)
    sums: dict[str, Any] = dict.fromkeys(fetched, 0.0)
    count = 0
    for arrays in computed(with_errors, fetched, batches()):
        count += 1
        for name, array in arrays.items():
            sums[name] = sums[name] + array.reshape(-1, array.shape[-1]).mean(axis=0, dtype=np.float64)
    return {name: (total / count).astype(np.float32) for name, total in sums.items()}


def _rounding(each: Any, weights: Floats, steps: int) -> Floats:
    """Return what rounding changes of weights, with a step for each channel that they give."""
    axes = tuple(range(weights.ndim - 1))
    if each.type == "DepthwiseConv2dNative":
        axes = axes[:-1]
    elif each.type == "Conv2DBackpropInput":
        axes = (*axes[:-1], weights.ndim - 1)
    largest = np.abs(weights).max(axis=axes, keepdims=True)
    step = np.where(largest > 0, largest, 1.0) / steps
    error: Floats = (np.round(weights / step) * step - weights).astype(np.float32)
    return error
