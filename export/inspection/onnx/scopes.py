"""The graphs of an ONNX file: what runs them, how often, and the shapes in them for one sample."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from edgeport.export.inspection.counting.einsum import einsum
from edgeport.export.inspection.counting.macs import (
    Rule,
    Shape,
    each_input,
    each_output,
    each_position,
    matrix_product,
    product_either_way,
)
from edgeport.export.inspection.counting.rounds import Small, SmallTensors, first_failing
from edgeport.export.inspection.onnx.arithmetic import BOUNDARIES
from edgeport.export.inspection.onnx.constants import constants_of, key_of
from edgeport.export.inspection.onnx.shapes import Tensor, batch_names, dtype_of, infer_tensors, one_sample, tensor_of
from edgeport.export.inspection.onnx.values import computed
from edgeport.export.inspection.ownership import Node
from edgeport.export.inspection.scopes import BRANCH, CALL, LOOP, GraphRun, Place, Scope

# Convolution weights are (out, in, height, width), of a transposed one (in, out, height, width).
_MACS: dict[str, Rule] = {
    "Conv": each_output(slice(1, None)),
    "ConvInteger": each_output(slice(1, None)),
    "QLinearConv": each_output(slice(1, None), at=3),
    "ConvTranspose": each_input(slice(1, None)),
    "Gemm": product_either_way(),
    "QGemm": product_either_way(),
    "MatMul": matrix_product(),
    "MatMulInteger": matrix_product(),
    "QLinearMatMul": matrix_product(0, 3),
    **dict.fromkeys(("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"), each_position(1, 2)),
}
# They multiply, and their tensors do not say how often.
_MACS_UNKNOWN = ("Attention", "DeformConv")
_NO_MACS = "QLinear"
_SMALL = {
    "Add": "add", "Sub": "sub", "Less": "less", "LessOrEqual": "less_equal", "Greater": "greater",
    "GreaterOrEqual": "greater_equal", "And": "and", "Cast": "same", "Identity": "same", "Reshape": "same",
    "Squeeze": "same", "Unsqueeze": "same",
}  # fmt: skip
_MOST_NUMBERS = 64
_MOST_GRAPHS, _DEEPEST = 10_000, 50
_MOST_PASSES = 100


@dataclass(frozen=True)
class _Around:
    """What a graph sees of those around it, by the names of tensors there."""

    keys: Mapping[str, str] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class _Read:
    """A graph that has been read, with what its outputs are and what is known of small tensors in it."""

    scope: Scope
    outputs: tuple[Tensor, ...]
    small: SmallTensors


class OnnxReader:
    """Reads the graphs of a model, each where it is run.

    Attributes:
        tensors: What is known of every tensor, by its key.
        constants: The constants by their keys.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._batch = batch_names(model.graph)
        self._left = _MOST_GRAPHS
        self.tensors: dict[str, Tensor] = {}
        self.constants: dict[str, onnx.TensorProto] = {}
        # What follows from constants and shapes, and is no constant of the file.
        self._computed: dict[str, onnx.TensorProto] = {}

    def read(self, *, of_one_sample: bool) -> Scope:
        """Return the main graph.

        Args:
            of_one_sample: Take the free first axis of every input as 1.
        """
        stated = {info.name: tensor_of(info) for info in self._model.graph.input}
        given = {name: one_sample(tensor) if of_one_sample else tensor for name, tensor in stated.items()}
        return self._read(self._model.graph, "", _Around(), given, {}).scope

    def _read(
        self, graph: onnx.GraphProto, path: str, around: _Around, given: Mapping[str, Tensor], same: Mapping[str, str]
    ) -> _Read:
        """Return a graph; ``same`` has the keys of its inputs that are tensors of the graph around it."""
        self._left -= 1
        if self._left < 0 or path.count("/") > 2 * _DEEPEST:
            raise ValueError(f"it holds more than {_MOST_GRAPHS:,} graphs, or more than {_DEEPEST} in one another")
        constants = constants_of(graph)
        names = [info.name for info in graph.input]
        names += [*constants, *(name for node in graph.node for name in node.output if name)]
        for name in names:
            # A graph may be read again with less known of its shapes.
            self._computed.pop(key_of(path, name), None)
        keys = {**around.keys, **{name: key_of(path, name) for name in names}, **same}
        self.constants.update((keys[name], tensor) for name, tensor in constants.items())
        outside = {name: around.tensors[name] for name in _read_from_outside(graph, names) if name in around.tensors}
        stored = {**self._computed, **self.constants}
        held = {name: stored[keys[name]] for name in outside if keys[name] in stored}
        known = {**outside, **{name: tensor for name, tensor in given.items() if name not in constants}}

        def infer() -> dict[str, Tensor]:
            tensors = infer_tensors(graph, self._model, given=known, around=held, batch=self._batch)
            for _ in range(_MOST_PASSES):
                # What is computed from a shape may decide the next one, and lead to more of such numbers.
                found = computed(graph, self._model, tensors, {**held, **constants})
                if not found:
                    break
                held.update(found)
                self._computed.update((keys[name], tensor) for name, tensor in found.items())
                tensors = infer_tensors(graph, self._model, given=known, around=held, batch=self._batch)
            return tensors

        tensors = infer()
        runs: dict[int, GraphRun] = {}
        for place, node in enumerate(graph.node):
            if _graphs(node):
                here = _Around(keys, {**around.tensors, **tensors})
                small = self._small(graph, keys)
                runs[place], written = self._run(node, f"{path}/{place}".lstrip("/"), here, small)
                # What follows can be inferred from it.
                news = {name: tensor for name, tensor in zip(node.output, written, strict=False) if name}
                if any(tensor.dtype for tensor in news.values()):
                    known.update(news)
                    tensors = infer()
        self.tensors.update((keys[name], tensor) for name, tensor in tensors.items() if name in keys)
        places = [self._place(node, keys, tensors, runs.get(place)) for place, node in enumerate(graph.node)]
        variables = {keys[info.name]: place for place, info in enumerate(graph.input)}
        outputs = tuple(keys.get(info.name, info.name) for info in graph.output)
        return _Read(
            Scope(path, tuple(places), outputs),
            tuple(tensors.get(info.name, Tensor("", None)) for info in graph.output),
            self._small(graph, keys, variables),
        )

    def _place(
        self, node: onnx.NodeProto, keys: Mapping[str, str], tensors: Mapping[str, Tensor], run: GraphRun | None
    ) -> Place:
        kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        read, written = (tuple(keys.get(name, name) for name in side) for side in (node.input, node.output))
        name = node.name or next(iter(node.output), "")
        placed = Node(kind, name, read, written, runs=run is not None)
        return Place(placed, None if run else _macs(placed, node, tensors), run)

    def _run(
        self, node: onnx.NodeProto, path: str, around: _Around, small: SmallTensors
    ) -> tuple[GraphRun, Sequence[Tensor]]:
        """Return what an operator runs, and what it writes."""
        if node.op_type in ("Loop", "Scan") and not node.domain:
            return self._loop(node, path, around, small)
        read = [self._read(graph, f"{path}/{name}", around, {}, {}) for name, graph in _graphs(node)]
        scopes = tuple(each.scope for each in read)
        if node.op_type == "If" and not node.domain:
            return GraphRun(BRANCH, scopes), [
                _agreed(each) for each in zip(*(each.outputs for each in read), strict=False)
            ]
        # An operator that nobody here knows may run its graphs as often as it likes.
        return GraphRun(LOOP if len(scopes) == 1 else CALL, scopes), ()

    def _loop(
        self, node: onnx.NodeProto, path: str, around: _Around, small: SmallTensors
    ) -> tuple[GraphRun, Sequence[Tensor]]:
        ((name, body),) = _graphs(node)
        scans = next((each.i for each in node.attribute if each.name == "num_scan_inputs"), 0)
        # A Loop has two inputs before its state: how often, and whether at all. Its body has as many: the round, and
        # whether it goes on, which is also its first output.
        first, results = (2, 1) if node.op_type == "Loop" else (0, 0)
        states = range(first, len(node.input) - scans)
        operands = [around.tensors.get(each, Tensor("", None)) for each in node.input]
        given = {each.name: tensor_of(each) for each in body.input}
        inputs = [each.name for each in body.input]
        if len(inputs) != len(node.input) if node.op_type == "Scan" else len(inputs) != max(2, len(node.input)):
            raise ValueError(f"{node.op_type} {node.name} gives its body {len(node.input)} inputs of {len(inputs)}")
        axes = [0] * scans if node.op_type == "Loop" else _ints(node, "scan_input_axes", scans)
        for place, axis in zip(range(len(node.input) - scans, len(node.input)), axes, strict=True):
            given[inputs[place]] = _row(operands[place], axis, given[inputs[place]])
        unchanged = _unchanged(body, inputs, states, first - results)
        same = {
            inputs[place]: around.keys[node.input[place]] for place in unchanged if node.input[place] in around.keys
        }
        shapes = {place: _joined(operands[place], given[inputs[place]]) for place in states}
        for _ in range(len(shapes) + 2):
            given.update((inputs[place], tensor) for place, tensor in shapes.items())
            read = self._read(body, f"{path}/{name}", around, given, same)
            ends = dict(zip(states, read.outputs[results:], strict=False))
            after = {at: shapes[at] if at in unchanged else _steady(shapes[at], ends[at]) for at in states}
            if after == shapes:
                break
            # A tensor that has another shape after a round has none that holds for all of them.
            shapes = after
        if node.op_type == "Scan":
            lengths = [_at(operands[len(node.input) - scans + at], axis) for at, axis in enumerate(axes)]
            rounds = lengths[0] if lengths else None
            stacked = _ints(node, "scan_output_axes", len(read.outputs) - len(states))
        else:
            rounds = _rounds(node, read, small, unchanged, states)
            stacked = [0] * (len(read.outputs) - len(states) - results)
        rows = read.outputs[len(states) + results :]
        written = [*shapes.values(), *(_stack(row, rounds, axis) for row, axis in zip(rows, stacked, strict=True))]
        return GraphRun(LOOP, (read.scope,), rounds), written

    def _small(
        self,
        graph: onnx.GraphProto,
        keys: Mapping[str, str],
        variables: Mapping[str, int] | None = None,
    ) -> SmallTensors:
        writers = {
            keys[node.output[0]]: Small(_SMALL[node.op_type], tuple(keys.get(name, name) for name in node.input))
            for node in graph.node
            if node.op_type in _SMALL and not node.domain and node.output and node.input
        }
        return SmallTensors(writers, constant=self._numbers, variables=variables)

    def _numbers(self, key: str) -> tuple[float, ...] | None:
        tensor = self.constants.get(key) or self._computed.get(key)
        if tensor is None or math.prod(tensor.dims) > _MOST_NUMBERS:
            return None
        dtype = dtype_of(tensor.data_type)
        if tensor.data_location == onnx.TensorProto.EXTERNAL or not dtype.startswith(("int", "uint", "bool", "float")):
            return None
        return tuple(onnx.numpy_helper.to_array(tensor).astype(float).reshape(-1).tolist())


def _macs(placed: Node, node: onnx.NodeProto, tensors: Mapping[str, Tensor]) -> int | None:
    shapes = [tensors[name].shape if name in tensors else None if name else () for name in node.input]
    written = tensors[node.output[0]].shape if node.output and node.output[0] in tensors else None
    if placed.kind == "Einsum":
        equation = next((each.s.decode("ascii", "replace") for each in node.attribute if each.name == "equation"), "")
        return einsum(equation)(shapes, written)
    if placed.kind in _MACS:
        return _MACS[placed.kind](shapes, written)
    if placed.kind in BOUNDARIES or placed.kind.startswith(_NO_MACS):
        return 0
    known = onnx.defs.has(node.op_type, "" if node.domain == "ai.onnx" else node.domain)
    return None if placed.kind in _MACS_UNKNOWN or not known else 0


def _rounds(
    node: onnx.NodeProto, read: _Read, small: SmallTensors, unchanged: Sequence[int], states: Sequence[int]
) -> int | None:
    """Return how often a Loop runs its body, if what it counts can be followed."""
    limit: float | None = math.inf
    if node.input[:1] != [] and node.input[0]:
        limit = small.number(node.input[0])
    if len(node.input) < 2 or not node.input[1]:
        return int(limit) if limit is not None and math.isfinite(limit) else None
    start, on = small.comparisons(node.input[1]), read.small.comparisons(read.scope.outputs[0])
    if start is None or limit is None:
        return None
    if first_failing(start, (), ()) == 0:
        return 0
    # The variables of the body: the round, whether it goes on, the state.
    starts: list[float | None] = [0, None, *(small.number(name) if name else None for name in node.input[2:])]
    steps: list[float | None] = [1, None, *(0 if place in unchanged else None for place in states)]
    for place in states:
        after = read.small.numbers(read.scope.outputs[place - 1])
        if place not in unchanged and after is not None and len(after) == 1 and after[0].variable == place:
            steps[place] = after[0].added
    failing = math.inf if _goes_on(read) else None if on is None else first_failing(on, starts, steps)
    rounds = None if failing is None else min(limit, failing + 1)
    return int(max(rounds, 0)) if rounds is not None and math.isfinite(rounds) else None


def _goes_on(read: _Read) -> bool:
    """Whether a loop goes on whenever it did before."""
    numbers = read.small.numbers(read.scope.outputs[0])
    return numbers is not None and len(numbers) == 1 and (numbers[0].variable, numbers[0].added) == (1, 0)


def _unchanged(body: onnx.GraphProto, inputs: Sequence[str], states: Sequence[int], shift: int) -> list[int]:
    """Return the places of the inputs that come out as they went in."""
    before = {node.output[0]: node.input[0] for node in body.node if node.op_type == "Identity" and not node.domain}
    found = []
    for place in states:
        name = body.output[place - shift].name if place - shift < len(body.output) else ""
        if name == inputs[place] or before.get(name) == inputs[place]:
            found.append(place)
    return found


def _graphs(node: onnx.NodeProto) -> list[tuple[str, onnx.GraphProto]]:
    """Return the graphs that an operator runs, by the names that they have there."""
    found = [(each.name, each.g) for each in node.attribute if each.HasField("g")]
    for each in node.attribute:
        found += [(f"{each.name}{place}", graph) for place, graph in enumerate(each.graphs)]
    return found


def _read_from_outside(graph: onnx.GraphProto, own: Sequence[str]) -> set[str]:
    """Return the names that a graph, or one inside it, reads and does not have."""
    return set(_names_read(graph)).difference(own)


def _names_read(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (output.name for output in graph.output)
    for node in graph.node:
        yield from (name for name in node.input if name)
        for _, inner in _graphs(node):
            yield from _names_read(inner)


def _ints(node: onnx.NodeProto, name: str, count: int) -> list[int]:
    found: list[int] = next((list(each.ints) for each in node.attribute if each.name == name), [])
    return found if len(found) == count else [0] * count


def _joined(known: Tensor, stated: Tensor) -> Tensor:
    if known.shape is None:
        return stated if stated.dtype else Tensor(known.dtype, stated.shape)
    return Tensor(known.dtype or stated.dtype, known.shape)


def _steady(before: Tensor, after: Tensor) -> Tensor:
    """Return the axes that a loop leaves as they are."""
    if before.shape is None or after.shape is None or len(before.shape) != len(after.shape):
        return Tensor(before.dtype or after.dtype, None)
    same = zip(before.shape, after.shape, strict=True)
    return Tensor(before.dtype or after.dtype, tuple(one if one == other else None for one, other in same))


def _agreed(outputs: Sequence[Tensor]) -> Tensor:
    return outputs[0] if all(each == outputs[0] for each in outputs) else Tensor(outputs[0].dtype, None)


def _row(tensor: Tensor, axis: int, stated: Tensor) -> Tensor:
    """Return what a body gets of an input that is taken apart along an axis."""
    if tensor.shape is None or not -len(tensor.shape) <= axis < len(tensor.shape):
        return stated
    axes = list(tensor.shape)
    del axes[axis]
    return Tensor(tensor.dtype or stated.dtype, tuple(axes))


def _stack(row: Tensor, rounds: int | None, axis: int) -> Tensor:
    """Return what a loop makes of the rows that its rounds give."""
    if row.shape is None:
        return row
    axes: list[int | None] = list(row.shape)
    axes.insert(axis if axis >= 0 else len(axes) + 1 + axis, rounds)
    return Tensor(row.dtype, tuple(axes))


def _at(tensor: Tensor, axis: int) -> int | None:
    shape: Shape = tensor.shape
    return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None
