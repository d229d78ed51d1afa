"""The front of a graph that integers would spoil: elementwise arithmetic on inputs whose columns differ in size.

An int8 input has one step for all its columns. Beside a column of 0 to 35,000 that step is 137, and a column of 30 to
42 is lost before the model's own normalisation can bring both to one size. So where that is measured to happen, the
arithmetic at the front stays in floats, the input too, and integers begin behind it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgeport.export.graphs.graph import Graph, live_graph
from edgeport.export.graphs.running import Batch, answers, computed
from edgeport.runtime.artefact.contract import Input, Output

_ARITHMETIC = (
    "Add", "AddV2", "BiasAdd", "Sub", "Mul", "RealDiv", "DivNoNan", "Maximum", "Minimum", "Neg", "Abs", "Square",
    "Sqrt", "Rsqrt", "Log", "Log1p", "Exp", "Pow", "FusedBatchNormV3",
)  # fmt: skip
_MOVES = (
    "Identity", "StopGradient", "Reshape", "ExpandDims", "Squeeze", "Transpose", "ConcatV2", "Pack", "Unpack", "Split",
    "SplitV", "Slice", "StridedSlice", "GatherV2", "Cast",
)  # fmt: skip
# TFLite has them in int16 for one operand and not for the other.
_COMPARISONS = (
    "Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "LogicalNot", "LogicalAnd", "LogicalOr", "All",
    "Any",
)  # fmt: skip
# A column is spoilt below the first figure, if its normalised values, rounded, would keep so much more.
_LEAST_DB, _WORTH_DB = 30.0, 6.0
_MOST_VALUES = 4_000_000

Samples = Callable[[int], Mapping[str, npt.NDArray[Any]]]


@dataclass(frozen=True, eq=False)
class Front:
    """A graph in two: what stays in floats, and the rest.

    Attributes:
        head: The front; its outputs are inputs of the rest.
        rest: What is quantized. Its inputs are those of the whole that the front leaves, and the front's outputs.
        fed: For each input of the rest that the front gives, the tensor of the head: an output, or an input as it is.
        worst_db: What the worst column would have kept of itself in integers, in dB.
    """

    head: Graph
    rest: Graph
    fed: Mapping[str, str]
    worst_db: float

    def samples(self, inputs: Sequence[Input], samples: Callable[[], Iterable[Batch]]) -> Iterator[list[Any]]:
        """Yield samples for the rest from those of the whole, whose ``inputs`` are given."""
        names = [port.name for port in inputs]
        # The same samples twice: one of each pair goes through the front.
        whole, again = ((dict(zip(names, sample, strict=True)) for sample in samples()) for _ in range(2))
        taken = ([sample[port.name] for port in self.head.inputs] for sample in again)
        for sample, ends in zip(whole, answers(self.head, taken), strict=True):
            known = {**sample, **ends}
            yield [known[self.fed.get(port.name, port.name)] for port in self.rest.inputs]


def find_front(graph: Graph, samples: Samples, *, steps: int, comparisons: bool = False) -> Front | None:
    """Return the graph in two, or None if integers spoil no column of its inputs.

    Args:
        graph: A frozen graph.
        samples: Returns up to so many real samples, an array for each input.
        comparisons: Whether comparisons of inputs with constants shall stay in floats too, and what is made of them.
        steps: How many steps an integer activation has: 255 for int8, 65,535 for int16.
    """
    nodes = {node.name: node for node in graph.definition.node}
    takes = _inputs_of_front_nodes(graph, nodes, (*_ARITHMETIC, *(_COMPARISONS if comparisons else ())))
    spoilt, worst = set(), np.inf
    for group in _groups(takes):
        region = {name for name, inputs in takes.items() if inputs & group}
        front = _cut(graph, nodes, region, group)
        figure = _worst_column(front, samples, steps)
        compares = any(nodes[name].op in _COMPARISONS for name in region)
        if compares or figure is not None:
            spoilt |= region
            worst = min(worst, np.inf if figure is None else figure)
    if not spoilt:
        return None
    return replace(_cut(graph, nodes, spoilt, {port for name in spoilt for port in takes[name]}), worst_db=worst)


def _inputs_of_front_nodes(graph: Graph, nodes: Mapping[str, Any], kinds: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return the nodes at the front that arithmetic needs, with the real inputs that each depends on."""
    takes: dict[str, frozenset[str]] = {port.name: frozenset([port.name]) for port in graph.inputs if port.is_real}
    constant: set[str] = set()
    kept = {port.name for port in graph.outputs}
    for name, node in nodes.items():
        before = [_node_of(tensor) for tensor in node.input]
        if node.op == "Const" or (before and constant.issuperset(before)):
            constant.add(name)
        elif node.op in (*kinds, *_MOVES) and name not in kept:
            others = [each for each in before if each not in constant]
            if all(each in takes for each in others):
                takes[name] = frozenset().union(*(takes[each] for each in others))
    needed: set[str] = set()
    for name in reversed(takes):
        if nodes[name].op in kinds:
            needed.add(name)
        if name in needed:
            needed.update(_node_of(tensor) for tensor in nodes[name].input)
    return {name: inputs for name, inputs in takes.items() if name in needed and nodes[name].op != "Placeholder"}


def _groups(takes: Mapping[str, frozenset[str]]) -> list[set[str]]:
    """Return the inputs in groups that no node at the front brings together."""
    groups: list[set[str]] = []
    for inputs in takes.values():
        touched = [group for group in groups if group & inputs]
        groups = [group for group in groups if not group & inputs] + [set(inputs).union(*touched)]
    return groups


def _cut(graph: Graph, nodes: Mapping[str, Any], region: set[str], inputs: set[str]) -> Front:
    """Return the graph cut behind the nodes of a region, which takes some of the inputs."""
    head, rest = (tf.compat.v1.GraphDef() for _ in range(2))
    head.CopyFrom(graph.definition)
    rest.CopyFrom(graph.definition)
    live = live_graph(graph.definition)
    placeholders: dict[str, Input] = {}
    fed, ends = {}, []
    for node in rest.node:
        if node.name in region:
            continue
        for place, tensor in enumerate(node.input):
            source = _node_of(tensor)
            if source not in region and source not in inputs:
                continue
            if tensor not in placeholders:
                known = live.get_tensor_by_name(_full(tensor))
                port = Input(f"{tensor.replace(':', '_')}/normalised", tuple(known.shape), known.dtype.name)
                placeholders[tensor] = port
                fed[port.name] = source if source in inputs else f"{port.name}_end"
                if source in region:
                    ends.append(Output(f"{port.name}_end", port.shape, port.dtype))
                    added = head.node.add(name=ends[-1].name, op="Identity", input=[tensor])
                    added.attr["T"].type = known.dtype.as_datatype_enum
            node.input[place] = placeholders[tensor].name
    for port in placeholders.values():
        added = rest.node.add(name=port.name, op="Placeholder")
        added.attr["dtype"].type = tf.as_dtype(port.dtype).as_datatype_enum
        added.attr["shape"].shape.CopyFrom(tf.TensorShape(port.shape).as_proto())
    starts = tuple(port for port in graph.inputs if port.name in inputs)
    others = tuple(port for port in graph.inputs if port.name not in inputs)
    return Front(
        Graph(_part(head, [*starts, *ends]), starts, tuple(ends)),
        Graph(
            _part(rest, [*others, *placeholders.values(), *graph.outputs]),
            (*others, *placeholders.values()),
            graph.outputs,
        ),
        fed,
        np.inf,
    )


def _part(definition: Any, ports: Iterable[Input | Output]) -> Any:
    return tf.compat.v1.graph_util.extract_sub_graph(definition, [port.name for port in ports])


def _worst_column(front: Front, samples: Samples, steps: int) -> float | None:
    """Return what the worst column keeps of itself when inputs are rounded, in dB; None if that does for all."""
    batch = front.head.inputs[0].shape[0]
    size = sum(math.prod(axis or 1 for axis in port.shape[1:]) for port in front.head.inputs)
    real = samples(max(batch or 1, _MOST_VALUES // size))
    arrays = [real[port.name] for port in front.head.inputs]
    exact = _answers(front.head, arrays, batch)
    spoilt = _answers(front.head, [_rounded(array, steps) for array in arrays], batch)
    first = [array[: batch or 1] for array in arrays]
    coarse = _answers(_with_rounded_factors(front.head, first, steps), arrays, batch)
    worst = None
    for one, *others in zip(exact, spoilt, coarse, strict=True):
        if one.dtype == bool:
            continue
        as_is, behind = min(_column_db(one, other) for other in others), _column_db(one, _rounded(one, steps))
        if as_is < min(_LEAST_DB, behind - _WORTH_DB):
            worst = min(as_is, np.inf if worst is None else worst)
    return worst


def _answers(graph: Graph, arrays: Sequence[Any], batch: int | None) -> list[npt.NDArray[Any]]:
    count = len(arrays[0])
    step = batch or count
    # What is left over of a fixed batch is not needed for a range.
    parts = [[array[start : start + step] for array in arrays] for start in range(0, count - step + 1, step)]
    given = list(answers(graph, parts))
    return [np.concatenate([each[port.name] for each in given]) for port in graph.outputs]


def _with_rounded_factors(graph: Graph, batch: Batch, steps: int) -> Graph:
    """Return the graph with constants in integers, and factors in place of divisors, as the converter has them.

    A column that never varied has a divisor near 0, and beside its factor all others are lost.
    """
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    nodes = {node.name: node for node in definition.node}

    def is_constant(tensor: str) -> bool:
        node = nodes[_node_of(tensor)]
        return node.op != "Placeholder" and (node.op == "Const" or all(is_constant(each) for each in node.input))

    divided = [node for node in definition.node if node.op == "RealDiv" and is_constant(node.input[1])]
    divisors = next(computed(graph, {node.name: _full(node.input[1]) for node in divided}, [batch])) if divided else {}
    for node in [each for each in definition.node if each.op == "Const"]:
        if tf.as_dtype(node.attr["dtype"].type).is_floating:
            _hold(node, _rounded(tf.make_ndarray(node.attr["value"].tensor), steps))
    for node in divided:
        node.op = "Mul"
        factor = definition.node.add(name=f"{node.name}/factor", op="Const")
        factor.attr["dtype"].type = node.attr["T"].type
        _hold(factor, _rounded(1 / divisors[node.name], steps))
        node.input[1] = factor.name
    return replace(graph, definition=definition)


def _hold(constant: Any, values: npt.NDArray[Any]) -> None:
    kind = tf.as_dtype(constant.attr["dtype"].type).as_numpy_dtype
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values.astype(kind)))


def _rounded(values: npt.NDArray[Any], steps: int) -> npt.NDArray[Any]:
    """Return values on the grid of an integer tensor, whose range has 0 in it."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    step = (high - low) / steps or 1.0
    return np.asarray(np.round(values / step) * step)


def _column_db(exact: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Return the least SQNR of a column, its mean aside, in dB; columns that do not vary are left out."""
    columns = exact.astype(np.float64).reshape(-1, exact.shape[-1] if exact.ndim > 1 else 1)
    signal = columns.var(axis=0)
    noise = np.square(other.reshape(columns.shape) - columns).mean(axis=0)
    varies = signal > 0
    if not varies.any():
        return float(np.inf)
    return float(10 * np.log10((signal[varies] / np.maximum(noise[varies], 1e-30 * signal[varies])).min()))


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0].removeprefix("^")


def _full(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"
