"""What a model remembers of its training data: the means and variances in its normalisation layers.

A BatchNormalization keeps the moving mean and variance of what came to it, a Normalization those of its input.
Calibration samples that are like the training data give the same there.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgeport.export.graphs.graph import PASS_THROUGH, Graph
from edgeport.export.graphs.running import Batch, computed
from edgeport.export.verification.advice.moments import Moments, Sums

_FUSED = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")


@dataclass(frozen=True, eq=False)
class Witness:
    """A normalisation layer of a model.

    Attributes:
        layer: Its name in Keras, or that of its operator.
        tensor: What it takes, in the graph.
        expected: What that was in training.
        on_input: The input of the model that it takes as it is; empty for what other layers have computed.
    """

    layer: str
    tensor: str
    expected: Moments
    on_input: str = ""


def find_witnesses(graph: Graph) -> tuple[Witness, ...]:
    """Return the normalisation layers that have seen training data, in the order of the graph."""
    finder = _Finder(graph)
    found = [each for node in graph.definition.node for each in finder.at(node)]
    return tuple(each for each in found if not _is_new(each.expected))


def seen_by(witnesses: Sequence[Witness], graph: Graph, batches: Iterable[Batch]) -> list[Moments]:
    """Return what comes to each normalisation layer.

    Args:
        witnesses: The layers.
        graph: Their model.
        batches: For each batch of samples an array for each input, in order.
    """
    sums = [Sums(len(each.expected.mean)) for each in witnesses]
    for values in computed(graph, {str(place): each.tensor for place, each in enumerate(witnesses)}, batches):
        for place, each in enumerate(sums):
            each.add(values[str(place)])
    return [each.moments for each in sums]


def _is_new(moments: Moments) -> bool:
    """Whether a layer has never been trained: it holds what every new one does."""
    return bool(np.all(moments.mean == 0) and np.all(moments.variance == 1))


class _Finder:
    """Finds the normalisation layers of a frozen graph by their arithmetic."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes = {node.name: node for node in graph.definition.node}
        self._inputs = {port.name for port in graph.inputs}
        self._readers: dict[str, list[Any]] = {}
        for node in graph.definition.node:
            for tensor in node.input:
                self._readers.setdefault(_node_of(tensor), []).append(node)

    def at(self, node: Any) -> Iterator[Witness]:
        """Yield what begins at a node."""
        if node.op in _FUSED:
            mean, variance = (self._constant(tensor) for tensor in node.input[3:5])
            if mean is not None and variance is not None and node.attr["data_format"].s in (b"NHWC", b""):
                yield from self._witness(node, node.input[0], mean, variance)
        elif node.op == "Rsqrt":
            yield from self._batch_normalization(node)
        elif node.op == "RealDiv":
            yield from self._normalization(node)

    def _batch_normalization(self, rsqrt: Any) -> Iterator[Witness]:
        """``x * s + (beta - mean * s)`` with ``s = gamma / sqrt(variance + epsilon)``, as Keras writes it."""
        summed = self._nodes[_node_of(rsqrt.input[0])]
        variance = self._constant(summed.input[0]) if summed.op in ("Add", "AddV2") else None
        if variance is None or variance.size < 1:
            return
        scales = [rsqrt.name]
        scales += [
            node.name for node in self._readers.get(rsqrt.name, ()) if node.op == "Mul" and self._is_scaled(node)
        ]
        for scale in scales:
            products = [node for node in self._readers.get(scale, ()) if node.op == "Mul"]
            taken = {node.name: next(t for t in node.input if _node_of(t) != scale) for node in products}
            means = [self._mean(tensor) for tensor in taken.values()]
            known = [mean for mean in means if mean is not None and mean.shape == variance.shape]
            for node in products:
                if not self._is_constant(taken[node.name]) and known:
                    yield from self._witness(node, taken[node.name], known[-1], variance)

    def _normalization(self, divided: Any) -> Iterator[Witness]:
        """``(x - mean) / max(sqrt(variance), epsilon)``, as Keras writes it."""
        numerator, denominator = (self._nodes[self._behind(tensor)] for tensor in divided.input)
        if numerator.op != "Sub" or denominator.op != "Maximum":
            return
        deviation = next((root for t in denominator.input if (root := self._root(t)) is not None), None)
        mean = self._constant(numerator.input[1])
        if mean is not None and deviation is not None and mean.size == deviation.size:
            yield from self._witness(divided, numerator.input[0], mean, np.square(deviation))

    def _root(self, tensor: str) -> npt.NDArray[np.float64] | None:
        node = self._nodes[self._behind(tensor)]
        if node.op == "Sqrt":
            inner = self._constant(node.input[0])
            return None if inner is None else np.sqrt(inner)
        value = self._constant(tensor)
        return value if value is not None and value.size > 1 else None

    def _witness(self, node: Any, taken: str, mean: Any, variance: Any) -> Iterator[Witness]:
        place = self._behind(taken)
        flat = Moments(mean.reshape(-1).astype(np.float64), variance.reshape(-1).astype(np.float64))
        layer = self._graph.layer_of(node.name) or node.name
        yield Witness(layer, taken if ":" in taken else f"{taken}:0", flat, place if place in self._inputs else "")

    def _mean(self, tensor: str) -> npt.NDArray[Any] | None:
        node = self._nodes[self._behind(tensor)]
        return self._constant(node.input[0]) if node.op == "Neg" else self._constant(tensor)

    def _is_scaled(self, node: Any) -> bool:
        return all(self._is_constant(tensor) for tensor in node.input)

    def _behind(self, tensor: str) -> str:
        name = _node_of(tensor)
        while self._nodes[name].op in PASS_THROUGH:
            name = _node_of(self._nodes[name].input[0])
        return name

    def _constant(self, tensor: str) -> npt.NDArray[Any] | None:
        node = self._nodes[self._behind(tensor)]
        return np.asarray(tf.make_ndarray(node.attr["value"].tensor)) if node.op == "Const" else None

    def _is_constant(self, tensor: str) -> bool:
        node = self._nodes[self._behind(tensor)]
        if node.op == "Const":
            return True
        return bool(node.input) and node.op != "Placeholder" and all(self._is_constant(each) for each in node.input)


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0].removeprefix("^")
