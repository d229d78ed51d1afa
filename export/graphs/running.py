"""Tensors of a frozen graph, computed on samples."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from edgeport.export.graphs.graph import Graph, live_graph, weights_of

Batch = Sequence[npt.NDArray[Any]]


def computed(
    graph: Graph, tensors: Mapping[str, str], batches: Iterable[Batch]
) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Yield the values of some tensors for each batch.

    Args:
        graph: The graph.
        tensors: What to call each, and its name in the graph, such as ``dense/MatMul:0``.
        batches: An array for each input of the graph, in order.
    """
    live, weights = live_graph(graph.definition), weights_of(graph.definition)
    # Several of these may run in turns, which sessions that are entered cannot.
    session = tf.compat.v1.Session(graph=live)
    try:
        for batch in batches:
            feed = {f"{port.name}:0": array for port, array in zip(graph.inputs, batch, strict=True)}
            yield session.run(dict(tensors), feed | weights)
    finally:
        session.close()


def answers(graph: Graph, batches: Iterable[Batch]) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Yield the outputs of a graph for each batch, by name."""
    return computed(graph, {port.name: f"{port.name}:0" for port in graph.outputs}, batches)
