"""Channels of one activation, made alike in size by the weights before and behind it.

An integer activation has one step for all its channels, so one that reaches far leaves few steps for the others. What
a layer divides a channel by the next layer can multiply it with: nothing between them knows, if that is positively
homogeneous (``f(a x) = a f(x)`` for ``a > 0``), channel by channel.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.export.graphs.graph import Graph
from edgeport.export.graphs.integers.channel_scales import channel_scales
from edgeport.export.graphs.integers.weighted_ways import (
    WEIGHTS,
    Batches,
    Floats,
    Way,
    Ways,
    channels_taken,
    with_constants,
)
from edgeport.export.graphs.running import Batch, computed


def with_equal_channels(graph: Graph, batches: Batches) -> tuple[Graph, tuple[str, ...]]:
    """Return the graph with channels of like size, and the layers whose outputs have changed; its answers have not.

    Args:
        graph: A frozen graph.
        batches: Returns the calibration samples anew: for each batch an array an input, in order.
    """
    ways = list(Ways(graph).found())
    if not ways:
        return graph, ()
    operands = {
        tensor.name: tensor.name
        for way in ways
        for tensor in (
            *(each.inputs[WEIGHTS] for each in (way.first, *way.readers)),
            *(node.inputs[place] for node, place, _ in way.added),
        )
    }
    values = next(computed(graph, operands, islice(batches(), 1)))
    reaches = _reaches(graph, ways, batches())
    changed: dict[tuple[str, int], Floats] = {}
    names: dict[str, None] = {}

    def operand(node: Any, place: int) -> Floats:
        return changed.get((node.name, place), values[node.inputs[place].name])

    for way, reach in zip(ways, reaches, strict=True):
        shared = [_matrix(each, values[each.inputs[WEIGHTS].name]) for each in way.readers if _shares_step(each)]
        scales = channel_scales(reach, shared)
        if (scales == 1).all():
            continue
        names[graph.layer_of(way.first.name) or way.first.name] = None
        changed[way.first.name, WEIGHTS] = _given(way.first, operand(way.first, WEIGHTS), np.reciprocal(scales))
        for reader in way.readers:
            changed[reader.name, WEIGHTS] = _taken(reader, operand(reader, WEIGHTS), scales)
        for node, place, length in way.added:
            tiled: Floats = np.tile(scales, length // len(scales))
            changed[node.name, place] = operand(node, place) / tiled
    return with_constants(graph, changed), tuple(names)


def _reaches(graph: Graph, ways: list[Way], batches: Iterable[Batch]) -> list[npt.NDArray[np.float64]]:
    """Return for each way the largest absolute value of each channel."""
    found = [np.zeros(way.channels) for way in ways]
    for values in computed(graph, {name: name for way in ways for name in way.between}, batches):
        for reach, way in zip(found, ways, strict=True):
            for name in way.between:
                np.maximum(reach, np.abs(values[name]).reshape(-1, way.channels).max(axis=0), out=reach)
    return found


def _shares_step(each: Any) -> bool:
    """Return whether the channels that an operator takes share the step of its weights."""
    return bool(each.type != "DepthwiseConv2dNative")


def _matrix(each: Any, weights: Floats) -> Floats:
    """Return the largest weight for each channel that is taken and each that is given, over the places of a kernel."""
    largest: Floats = np.abs(weights).max(axis=tuple(range(weights.ndim - 2)))
    return largest.T if each.type == "Conv2DBackpropInput" else largest


def _given(each: Any, weights: Floats, scales: Floats) -> Floats:
    """Return weights with each channel that they give scaled."""
    if each.type == "DepthwiseConv2dNative":
        return weights * scales.reshape(weights.shape[-2:])
    return weights * (scales[:, np.newaxis] if each.type == "Conv2DBackpropInput" else scales)


def _taken(each: Any, weights: Floats, scales: Floats) -> Floats:
    """Return weights with each channel that they take scaled."""
    tiled = np.tile(scales, channels_taken(each) // len(scales))
    return weights * (tiled if each.type == "Conv2DBackpropInput" else tiled[:, np.newaxis])
