"""Channels of one activation, made alike in size by the weights before and behind it.

An integer activation has one step for all its channels, so one that reaches far leaves few steps for the others. What
a layer divides a channel by the next layer can multiply it with: nothing between them knows, if that is positively
homogeneous (``f(a x) = a f(x)`` for ``a > 0``), channel by channel.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgeport.export.graphs.graph import Graph, live_graph
from edgeport.export.graphs.integers.channel_scales import channel_scales
from edgeport.export.graphs.operators.rewriting import constant_of
from edgeport.export.graphs.running import Batch, computed

# Where a weighted operator takes the activation; its weights are always the second operand.
_TAKES = {"Conv2D": 0, "DepthwiseConv2dNative": 0, "MatMul": 0, "Conv2DBackpropInput": 2}
_WEIGHTS = 1
_ADDING = ("BiasAdd", "Add", "AddV2", "Sub")
_MULTIPLYING = ("Mul", "RealDiv")
_COMPUTING = (*_ADDING, *_MULTIPLYING, "FusedBatchNormV3")
# What gives each channel the same, whatever else it is given.
_PASSING = (
    "Relu", "LeakyRelu", "Identity", "StopGradient", "Reshape", "ExpandDims", "Squeeze", "ResizeBilinear",
    "ResizeNearestNeighbor", "SpaceToBatchND", "BatchToSpaceND", "Tile",
)  # fmt: skip
_POOLING, _REDUCING, _PADDING = ("MaxPool", "AvgPool"), ("Mean", "Max", "Sum"), ("Pad", "MirrorPad", "PadV2")
# What the converters fold into the operator before it, so that its operand is no tensor of its own.
_FOLDED = (*_COMPUTING, "Relu")
# A note names so many layers.
_NAMED = 6
Batches = Callable[[], Iterable[Batch]]
_Floats = npt.NDArray[np.float32]


@dataclass
class _Way:
    """What lies between a weighted operator and those that read it.

    Attributes:
        first: The operator whose weights are divided.
        channels: How many it gives.
        readers: The operators whose weights are multiplied.
        added: The constants that are divided: the operator, which of its operands, and how long its last axis is.
        between: The activations that integers hold.
    """

    first: Any
    channels: int
    readers: list[Any] = field(default_factory=list)
    added: list[tuple[Any, int, int]] = field(default_factory=list)
    between: list[str] = field(default_factory=list)


def noted_equal_channels(graph: Graph, batches: Batches, on_note: Callable[[str], None]) -> Graph:
    """Return ``with_equal_channels`` of a graph, and say which layers have changed."""
    changed, layers = with_equal_channels(graph, batches)
    more = f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else ""
    on_note(f"channels equalized behind {', '.join(layers[:_NAMED]) or 'no layer'}{more}")
    return changed


def with_equal_channels(graph: Graph, batches: Batches) -> tuple[Graph, tuple[str, ...]]:
    """Return the graph with channels of like size, and the layers whose outputs have changed; its answers have not.

    Args:
        graph: A frozen graph.
        batches: Returns the calibration samples anew: for each batch an array an input, in order.
    """
    ways = list(_Ways(graph).found())
    if not ways:
        return graph, ()
    operands = {
        tensor.name: tensor.name
        for way in ways
        for tensor in (
            *(each.inputs[_WEIGHTS] for each in (way.first, *way.readers)),
            *(node.inputs[place] for node, place, _ in way.added),
        )
    }
    values = next(computed(graph, operands, islice(batches(), 1)))
    reaches = _reaches(graph, ways, batches())
    changed: dict[tuple[str, int], _Floats] = {}
    names: dict[str, None] = {}

    def operand(node: Any, place: int) -> _Floats:
        return changed.get((node.name, place), values[node.inputs[place].name])

    for way, reach in zip(ways, reaches, strict=True):
        shared = [_matrix(each, values[each.inputs[_WEIGHTS].name]) for each in way.readers if _shares_step(each)]
        scales = channel_scales(reach, shared)
        if (scales == 1).all():
            continue
        names[graph.layer_of(way.first.name) or way.first.name] = None
        changed[way.first.name, _WEIGHTS] = _given(way.first, operand(way.first, _WEIGHTS), np.reciprocal(scales))
        for reader in way.readers:
            changed[reader.name, _WEIGHTS] = _taken(reader, operand(reader, _WEIGHTS), scales)
        for node, place, length in way.added:
            tiled: _Floats = np.tile(scales, length // len(scales))
            changed[node.name, place] = operand(node, place) / tiled
    return _with_constants(graph, changed), tuple(names)


class _Ways:
    """The ways from one weighted operator to the next in a graph."""

    def __init__(self, graph: Graph) -> None:
        self._live = live_graph(graph.definition)
        self._outputs = {port.name for port in graph.outputs}
        self._fixed = {node.name for node in graph.definition.node if node.op == "Const"}
        for each in self._live.get_operations():
            if each.inputs and all(tensor.op.name in self._fixed for tensor in each.inputs):
                self._fixed.add(each.name)
        self._uses: dict[str, int] = {}
        for each in filter(self._has_weights, self._live.get_operations()):
            for name in self._roots(each.inputs[_WEIGHTS].op):
                self._uses[name] = self._uses.get(name, 0) + 1

    def found(self) -> Iterator[_Way]:
        """Yield each way that ends in weights alone."""
        for each in self._live.get_operations():
            if self._is_weighted(each):
                way = _Way(each, _channels(each))
                if way.channels > 1 and self._follows(each.outputs[0], way) and way.readers:
                    yield way

    def _has_weights(self, each: Any) -> bool:
        """Return whether an operator multiplies something by constants."""
        place = _TAKES.get(each.type)
        return (
            place is not None
            and each.outputs[0].dtype == tf.float32
            and each.inputs[_WEIGHTS].op.name in self._fixed
            and each.inputs[place].op.name not in self._fixed
        )

    def _is_weighted(self, each: Any) -> bool:
        """Return whether an operator has weights of its own, which no other one shares, and channels last."""
        if not self._has_weights(each) or any(self._uses[name] > 1 for name in self._roots(each.inputs[_WEIGHTS].op)):
            return False
        if each.type == "MatMul":
            return not each.get_attr("transpose_a") and not each.get_attr("transpose_b")
        return _is_channels_last(each)

    def _roots(self, each: Any) -> set[str]:
        """Return the constants with several elements that an operator is computed from."""
        found, ahead = set(), [each]
        while ahead:
            now = ahead.pop()
            ahead += [tensor.op for tensor in now.inputs]
            if not now.inputs and (now.outputs[0].shape.num_elements() or 2) > 1:
                found.add(now.name)
        return found

    def _follows(self, tensor: Any, way: _Way) -> bool:
        """Return whether all that reads a tensor leads to weights, and note what is met."""
        length = _length(tensor)
        if tensor.op.name in self._outputs or length is None or length % way.channels:
            return False
        readers = [each for each in tensor.consumers() if each.type != "Shape"]
        if any(each.type not in _FOLDED for each in readers):
            way.between.append(tensor.name)
        return all(self._passes(each, tensor, length, way) for each in readers)

    def _passes(self, reader: Any, tensor: Any, length: int, way: _Way) -> bool:
        places = [place for place, each in enumerate(reader.inputs) if each.name == tensor.name]
        if len(places) != 1:
            return False
        if reader.type in _TAKES:
            fits = self._is_weighted(reader) and places == [_TAKES[reader.type]] and _takes(reader) == length
            way.readers += [reader] if fits else []
            return fits
        others = [each.op.name for place, each in enumerate(reader.inputs) if place not in places]
        if reader.type in _COMPUTING and not self._fixed.issuperset(others):
            return False
        way.added += [(reader, place, length) for place in _added(reader, places[0])]
        return _keeps_channels(reader, places[0]) and self._follows(reader.outputs[0], way)


def _length(tensor: Any) -> int | None:
    """Return the length of the last axis, if it is known."""
    length = tensor.shape[-1] if tensor.shape.rank else None
    if length is None:
        # Where axes are joined for a product TensorFlow gives up the last one too, but the weights have it.
        products = [each for each in tensor.consumers() if each.type == "MatMul" and not each.get_attr("transpose_b")]
        length = products[0].inputs[_WEIGHTS].shape[0] if products else None
    return None if length is None else int(length)


def _added(reader: Any, place: int) -> tuple[int, ...]:
    """Return which operands of an operator are added to the activation, or taken off."""
    if reader.type == "FusedBatchNormV3":
        # The offset, and the mean; what the channels are multiplied with stays.
        return (2, 3)
    return (1 - place,) if reader.type in _ADDING else ()


def _keeps_channels(reader: Any, place: int) -> bool:
    """Return whether an operator gives for channels of other sizes the same, in these sizes."""
    rank = reader.inputs[place].shape.rank
    if reader.type in (*_ADDING, *_MULTIPLYING):
        # What is divided or taken off must be the activation; the constant may make no axis longer.
        ordered = reader.type not in ("Sub", "RealDiv") or place == 0
        return (
            ordered
            and (reader.type != "BiasAdd" or _is_channels_last(reader))
            and reader.outputs[0].shape[-1] == reader.inputs[place].shape[-1]
        )
    if reader.type == "FusedBatchNormV3":
        return place == 0 and not reader.get_attr("is_training") and _is_channels_last(reader)
    if place:
        return False
    if reader.type in _POOLING:
        return _is_channels_last(reader) and reader.get_attr("ksize")[-1] == 1
    if reader.type in _REDUCING:
        axes = constant_of(reader.inputs[1])
        return axes is not None and (rank - 1) not in np.ravel(axes) % rank
    if reader.type in _PADDING:
        widths = constant_of(reader.inputs[1])
        nothing = len(reader.inputs) < 3 or constant_of(reader.inputs[2]) == 0
        return widths is not None and nothing and not np.any(widths[-1])
    if reader.type == "Transpose":
        order = constant_of(reader.inputs[1])
        return order is not None and order[-1] == rank - 1
    return reader.type in _PASSING


def _reaches(graph: Graph, ways: list[_Way], batches: Iterable[Batch]) -> list[npt.NDArray[np.float64]]:
    """Return for each way the largest absolute value of each channel."""
    found = [np.zeros(way.channels) for way in ways]
    for values in computed(graph, {name: name for way in ways for name in way.between}, batches):
        for reach, way in zip(found, ways, strict=True):
            for name in way.between:
                np.maximum(reach, np.abs(values[name]).reshape(-1, way.channels).max(axis=0), out=reach)
    return found


def _is_channels_last(each: Any) -> bool:
    return bool(each.get_attr("data_format") == b"NHWC")


def _channels(each: Any) -> int:
    """Return how many channels an operator gives."""
    shape = each.inputs[_WEIGHTS].shape
    if each.type == "DepthwiseConv2dNative":
        return int(shape[-2] * shape[-1])
    return int(shape[-2 if each.type == "Conv2DBackpropInput" else -1])


def _takes(each: Any) -> int:
    """Return how many channels the weights of an operator are for."""
    return int(each.inputs[_WEIGHTS].shape[-1 if each.type == "Conv2DBackpropInput" else -2])


def _shares_step(each: Any) -> bool:
    """Return whether the channels that an operator takes share the step of its weights."""
    return bool(each.type != "DepthwiseConv2dNative")


def _matrix(each: Any, weights: _Floats) -> _Floats:
    """Return the largest weight for each channel that is taken and each that is given, over the places of a kernel."""
    largest: _Floats = np.abs(weights).max(axis=tuple(range(weights.ndim - 2)))
    return largest.T if each.type == "Conv2DBackpropInput" else largest


def _given(each: Any, weights: _Floats, scales: _Floats) -> _Floats:
    """Return weights with each channel that they give scaled."""
    if each.type == "DepthwiseConv2dNative":
        return weights * scales.reshape(weights.shape[-2:])
    return weights * (scales[:, np.newaxis] if each.type == "Conv2DBackpropInput" else scales)


def _taken(each: Any, weights: _Floats, scales: _Floats) -> _Floats:
    """Return weights with each channel that they take scaled."""
    tiled = np.tile(scales, _takes(each) // len(scales))
    return weights * (tiled if each.type == "Conv2DBackpropInput" else tiled[:, np.newaxis])


def _with_constants(graph: Graph, changed: Mapping[tuple[str, int], _Floats]) -> Graph:
    """Return the graph with other constants for some operands."""
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    nodes = {node.name: node for node in definition.node}
    for (name, place), value in changed.items():
        constant = definition.node.add(name=f"{name}/equalized_{place}", op="Const")
        constant.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        nodes[name].input[place] = constant.name
    kept = [port.name for port in graph.ports]
    return replace(graph, definition=tf.compat.v1.graph_util.extract_sub_graph(definition, kept))
