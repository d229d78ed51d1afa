"""What rounding does to a model's own answers: its graph in float32, and beside it one that rounds otherwise."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgeport.export.graphs.float64_graph import in_float64
from edgeport.export.graphs.graph import Graph, live_graph, weights_of, with_outputs
from edgeport.export.sources.source import Source
from edgeport.runtime.tensors.quantization import activate

_Arrays = Mapping[str, npt.NDArray[Any]]
# The activations of a large model in float64 take room.
_BATCH = 4
# Where many products are summed.
_SUMS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum", "Conv2D", "Conv3D", "DepthwiseConv2dNative")
_OFFSETS = ("Add", "AddV2", "BiasAdd", "Sub")
_UNIT = float(np.finfo(np.float32).eps)
# Weights with so many low bits of zeros are numbers that somebody wrote, such as 1 or 255, and exact.
_LOW_BITS = 0xFFF


def answers_of_two_roundings(source: Source, samples: _Arrays) -> tuple[_Arrays, _Arrays]:
    """Return what a model's graph answers in float32, and what it answers in float64 with its offsets moved a little.

    TensorFlow adds the bias to a sum of products. Engines also begin with it, and then each product is rounded to the
    size of the bias; so do weights that a normalisation was folded into. The offsets are moved by as much as that does.

    Where TensorFlow lacks an operator in float64, the second is float32 with each weight one rounding away from what
    it is: where that matters, rounding does.

    Args:
        source: The model.
        samples: Real inputs of shape (n, ...), by name.
    """
    graph = with_outputs(source.graph, [port.name for port in source.outputs])
    plain = _answers(graph, samples)
    wide = in_float64(graph)
    try:
        other = _answers(with_moved_offsets(wide) if wide else nudged(graph), samples)
    except tf.errors.OpError:  # kernels that are registered for float64, and still do not take it
        other = _answers(nudged(graph), samples)
    first = source.outputs[0].name
    plain, other = ({**each, first: activate(each[first], source.applied)} for each in (plain, other))
    return plain, other


def with_moved_offsets(graph: Graph) -> Graph:
    """Return a graph in float64 in which all that is added to sums of products is off as float32 sums are.

    The error of a sum of n terms grows with the root of n where roundings are independent (N. J. Higham, Accuracy and
    Stability of Numerical Algorithms, chapter 4); a quarter of that, in units of the last place, is a usual one.
    """
    operations = live_graph(graph.definition).get_operations()
    fixed = {node.name for node in graph.definition.node if node.op == "Const"}
    summed: set[str] = set()
    terms = [1]
    for operation in operations:
        sources = {tensor.op.name for tensor in operation.inputs}
        if sources and sources <= fixed:
            fixed.add(operation.name)
        if operation.type in _SUMS or sources & summed:
            summed.add(operation.name)
        weights = operation.inputs[1].shape if operation.type in _SUMS and len(operation.inputs) > 1 else None
        if weights is not None and weights.is_fully_defined():
            terms.append(int(np.prod(weights[:-1].as_list())))
    move = max(1.0, 0.25 * max(terms) ** 0.5) * _UNIT
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    for node in list(definition.node):
        if node.op not in _OFFSETS or node.attr["T"].type != tf.float64.as_datatype_enum:
            continue
        for place, name in enumerate(node.input[:2]):
            if _node_of(name) in fixed and _node_of(node.input[1 - place]) in summed - fixed:
                node.input[place] = _moved(definition, f"{node.name}/moved_{place}", name, move)
                move = -move
    return replace(graph, definition=definition)


def _moved(definition: Any, name: str, tensor: str, move: float) -> str:
    factor = definition.node.add(name=f"{name}/factor", op="Const")
    factor.attr["dtype"].type = tf.float64.as_datatype_enum
    factor.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(1.0 + move, tf.float64))
    product = definition.node.add(name=name, op="Mul", input=[tensor, factor.name])
    product.attr["T"].type = tf.float64.as_datatype_enum
    return name


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0].removeprefix("^")


def nudged(graph: Graph) -> Graph:
    """Return the graph with each of its float32 weights moved to the next number, up or down by a fixed seed."""
    random = np.random.default_rng(0)
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    for nodes in (definition.node, *(function.node_def for function in definition.library.function)):
        for node in nodes:
            if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum:
                weights = tf.make_ndarray(node.attr["value"].tensor)
                exact = weights.view(np.uint32) & _LOW_BITS == 0
                towards = np.where(random.integers(0, 2, weights.shape), np.inf, -np.inf).astype(np.float32)
                moved = np.where(exact, weights, np.nextafter(weights, towards))
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(moved))
    return replace(graph, definition=definition)


def _answers(graph: Graph, samples: _Arrays) -> dict[str, npt.NDArray[Any]]:
    """Return the outputs of a graph, a few samples at a time; a fixed batch is filled up with the first sample."""
    count = len(next(iter(samples.values())))
    batch = graph.inputs[0].shape[0] or _BATCH
    places = np.arange(count + -count % batch)
    places[places >= count] = 0
    live, weights = live_graph(graph.definition), weights_of(graph.definition)
    # In a session of its own: functions of the same name in both graphs would clash in the eager context.
    with tf.compat.v1.Session(graph=live) as session:
        parts = [
            session.run(
                [f"{port.name}:0" for port in graph.outputs],
                {
                    f"{port.name}:0": samples[port.name][places[start : start + batch]].astype(port.dtype)
                    for port in graph.inputs
                }
                | weights,
            )
            for start in range(0, len(places), batch)
        ]
    return {
        port.name: np.concatenate([part[place] for part in parts])[:count] for place, port in enumerate(graph.outputs)
    }
