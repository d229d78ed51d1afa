"""The ways from one operator with weights to the next, through what passes each channel on in its size."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgeport.export.graphs.graph import Graph, live_graph
from edgeport.export.graphs.operators.rewriting import constant_of
from edgeport.export.graphs.running import Batch

# Where a weighted operator takes the activation; its weights are always the second operand.
_TAKES = {"Conv2D": 0, "DepthwiseConv2dNative": 0, "MatMul": 0, "Conv2DBackpropInput": 2}
WEIGHTS = 1
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
# Between a product and what is added to it.
_BEFORE_ADDING = ("Identity", "Squeeze", "Reshape")
Batches = Callable[[], Iterable[Batch]]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Addition:
    """Where a constant is added to what an operator with weights gives.

    Attributes:
        weighted: The operator.
        node: The operator that adds, or takes off.
        place: Which of its operands is the constant.
        sign: 1 if that is added, -1 if it is taken off.
        factors: The operands that the channels are multiplied with before.
    """

    weighted: Any
    node: Any
    place: int
    sign: float
    factors: tuple[Any, ...]


@dataclass
class Way:
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


class Ways:
    """The ways from one weighted operator to the next in a graph."""

    def __init__(self, graph: Graph) -> None:
        self._live = live_graph(graph.definition)
        self._outputs = {port.name for port in graph.outputs}
        self._fixed = {node.name for node in graph.definition.node if node.op == "Const"}
        for each in self._live.get_operations():
            if each.inputs and all(tensor.op.name in self._fixed for tensor in each.inputs):
                self._fixed.add(each.name)
        self._uses: dict[str, int] = {}
        for each in filter(self.has_weights, self._live.get_operations()):
            for name in self._roots(each.inputs[WEIGHTS].op):
                self._uses[name] = self._uses.get(name, 0) + 1

    def found(self) -> Iterator[Way]:
        """Yield each way that ends in weights alone."""
        for each in self._live.get_operations():
            if self._is_weighted(each):
                way = Way(each, channels_given(each))
                if way.channels > 1 and self._follows(each.outputs[0], way) and way.readers:
                    yield way

    def additions(self) -> Iterator[Addition]:
        """Yield for each operator with weights of constants where a constant is added to it, if one is."""
        for each in self._live.get_operations():
            if self.has_weights(each) and (each.type == "MatMul" or _is_channels_last(each)):
                found = self._addition(each)
                if found is not None:
                    yield found

    def _addition(self, weighted: Any) -> Addition | None:
        tensor = weighted.outputs[0]
        factors: list[Any] = []
        while True:
            readers = [each for each in tensor.consumers() if each.type != "Shape"]
            if tensor.op.name in self._outputs or len(readers) != 1 or _length(tensor) != channels_given(weighted):
                return None
            reader = readers[0]
            places = [place for place, each in enumerate(reader.inputs) if each.name == tensor.name]
            others = [each.op.name for place, each in enumerate(reader.inputs) if place not in places]
            is_fixed = reader.type not in _COMPUTING or self._fixed.issuperset(others)
            if len(places) != 1 or not is_fixed or not _keeps_channels(reader, places[0]):
                return None
            if added := _added(reader, places[0]):
                sign = -1.0 if reader.type in ("Sub", "FusedBatchNormV3") else 1.0
                return Addition(weighted, reader, added[-1], sign, tuple(factors))
            if reader.type == "Mul":
                factors.append(reader.inputs[1 - places[0]])
            elif reader.type not in _BEFORE_ADDING:
                return None
            tensor = reader.outputs[0]

    def has_weights(self, each: Any) -> bool:
        """Return whether an operator multiplies something by constants."""
        place = _TAKES.get(each.type)
        return (
            place is not None
            and each.outputs[0].dtype == tf.float32
            and each.inputs[WEIGHTS].op.name in self._fixed
            and each.inputs[place].op.name not in self._fixed
        )

    def _is_weighted(self, each: Any) -> bool:
        """Return whether an operator has weights of its own, which no other one shares, and channels last."""
        if not self.has_weights(each) or any(self._uses[name] > 1 for name in self._roots(each.inputs[WEIGHTS].op)):
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

    def _follows(self, tensor: Any, way: Way) -> bool:
        """Return whether all that reads a tensor leads to weights, and note what is met."""
        length = _length(tensor)
        if tensor.op.name in self._outputs or length is None or length % way.channels:
            return False
        readers = [each for each in tensor.consumers() if each.type != "Shape"]
        if any(each.type not in _FOLDED for each in readers):
            way.between.append(tensor.name)
        return all(self._passes(each, tensor, length, way) for each in readers)

    def _passes(self, reader: Any, tensor: Any, length: int, way: Way) -> bool:
        places = [place for place, each in enumerate(reader.inputs) if each.name == tensor.name]
        if len(places) != 1:
            return False
        if reader.type in _TAKES:
            fits = self._is_weighted(reader) and places == [_TAKES[reader.type]] and channels_taken(reader) == length
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
        length = products[0].inputs[WEIGHTS].shape[0] if products else None
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


def _is_channels_last(each: Any) -> bool:
    return bool(each.get_attr("data_format") == b"NHWC")


def channels_given(each: Any) -> int:
    """Return how many channels an operator gives."""
    shape = each.inputs[WEIGHTS].shape
    if each.type == "DepthwiseConv2dNative":
        return int(shape[-2] * shape[-1])
    return int(shape[-2 if each.type == "Conv2DBackpropInput" else -1])


def channels_taken(each: Any) -> int:
    """Return how many channels the weights of an operator are for."""
    return int(each.inputs[WEIGHTS].shape[-1 if each.type == "Conv2DBackpropInput" else -2])


def with_constants(graph: Graph, changed: Mapping[tuple[str, int], Floats]) -> Graph:
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
