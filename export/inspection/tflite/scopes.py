"""The graphs of a TFLite file: what runs them, how often, and the shapes in them for one sample."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from edgeport.export.inspection.counting.macs import (
    Rule,
    Shape,
    each_input,
    each_output,
    each_position,
    product_either_way,
)
from edgeport.export.inspection.counting.rounds import Small, SmallTensors, first_failing
from edgeport.export.inspection.facts import Constant
from edgeport.export.inspection.ownership import Node
from edgeport.export.inspection.scopes import BRANCH, CALL, LOOP, START, GraphRun, Place, Scope
from edgeport.export.inspection.tflite.shapes import LinkedOperator, shapes_for_one_sample
from edgeport.export.inspection.tflite.tensors import TfliteTensor, is_weight

# Weights of a convolution are (out, height, width, in), of a depthwise one (1, height, width, out); in three dimensions
# (depth, height, width, in, out), transposed with the last two the other way round.
_MACS: dict[str, Rule] = {
    "CONV_2D": each_output(slice(1, None), rank=4),
    "CONV_3D": each_output(slice(0, 4), rank=5),
    "CONV_3D_TRANSPOSE": each_input(slice(0, 4), data=2, rank=5),
    "DEPTHWISE_CONV_2D": each_output(slice(1, 3), rank=4),
    "TRANSPOSE_CONV": each_input(slice(0, 3), data=2, rank=4),
    "FULLY_CONNECTED": each_output(slice(1, 2), rank=2),
    "BATCH_MATMUL": product_either_way(),
    "RNN": each_position(1, 2),
    "UNIDIRECTIONAL_SEQUENCE_RNN": each_position(1, 2),
    "BIDIRECTIONAL_SEQUENCE_RNN": each_position(1, 2, 5, 6, 10, 11),
    "LSTM": each_position(*range(1, 9), 16),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": each_position(*range(1, 9), 16),
    "BIDIRECTIONAL_SEQUENCE_LSTM": each_position(*range(1, 9), 16, *range(18, 26), 33, *range(40, 48)),
    "SVDF": each_position(1, 2),
}
# The LSTM without a state of its own has all weights in one: data, activations, weights, biases, state.
_SMALL_LSTM, _SMALL_LSTM_INPUTS = each_position(2), 5
# They multiply, or call what may, and their tensors do not say how often.
_MACS_UNKNOWN = ("STABLEHLO_", "CUSTOM", "DELEGATE", "BUILTIN_", "CALL", "IF", "WHILE")
# The graphs that an operator names in its options, in the order of ``Run.scopes``.
RUNS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "WHILE": (LOOP, (("bodySubgraphIndex", "body"), ("condSubgraphIndex", "condition"))),
    "STABLEHLO_WHILE": (LOOP, (("bodySubgraphIndex", "body"), ("condSubgraphIndex", "condition"))),
    "IF": (BRANCH, (("thenSubgraphIndex", "then"), ("elseSubgraphIndex", "else"))),
    "CALL": (CALL, (("subgraph", "callee"),)),
    "STABLEHLO_COMPOSITE": (CALL, (("decompositionSubgraphIndex", "decomposition"),)),
    "CALL_ONCE": (START, (("initSubgraphIndex", "start"),)),
}
_SMALL = {
    "ADD": "add", "SUB": "sub", "LESS": "less", "LESS_EQUAL": "less_equal", "GREATER": "greater",
    "GREATER_EQUAL": "greater_equal", "LOGICAL_AND": "and", "CAST": "same", "RESHAPE": "same", "SQUEEZE": "same",
    "EXPAND_DIMS": "same",
}  # fmt: skip
# A file whose graphs call one another may unfold to any number of operators.
_MOST_PLACES = 200_000


class GraphTable(NamedTuple):
    """One graph as the file has it, its tensors by number."""

    name: str
    tensors: Sequence[TfliteTensor]
    steps: Sequence[LinkedOperator]
    runs: Mapping[int, tuple[int, ...]]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class _Given:
    """What a graph gets from the one that runs it, for each of its inputs; None where it gets nothing.

    Attributes:
        keys: The keys of tensors that are the same as outside, round after round.
        shapes: The shapes for one sample.
        constants: The numbers of the inputs that are constants outside.
    """

    keys: tuple[str | None, ...]
    shapes: tuple[Shape, ...]
    constants: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Read:
    """A graph that has been read, with the shapes of its outputs and what is known of small tensors in it."""

    scope: Scope
    shapes: tuple[Shape, ...]
    small: SmallTensors
    inputs: tuple[str, ...]


class TfliteReader:
    """Reads the graphs of a file, each where it is run.

    Attributes:
        tensors: Every tensor by its key.
        constants: Every constant by its key.
        reached: The numbers of the graphs that have been read.
    """

    def __init__(self, tables: Sequence[GraphTable]) -> None:
        self._tables = tables
        self._left = _MOST_PLACES
        self.tensors: dict[str, TfliteTensor] = {}
        self.constants: dict[str, Constant] = {}
        self.reached: set[int] = set()
        # The constants behind each tensor that is one itself, or is computed from constants alone.
        self._sources: dict[str, tuple[str, ...]] = {}
        for table in tables:
            for tensor in table.tensors:
                if tensor.constant is not None:
                    self.tensors.setdefault(tensor.key, tensor)
                    self.constants.setdefault(tensor.key, tensor.constant)
                    self._sources[tensor.key] = (tensor.key,)

    def read(self, number: int, path: str = "") -> Scope:
        """Return a graph that nothing runs, for one sample.

        Args:
            number: Which of the file's graphs.
            path: What to call it; empty for the main one.
        """
        table = self._tables[number]
        shapes = [_one_sample(table.tensors[index].signature) for index in table.inputs]
        return self._read(number, path, _Given((None,) * len(shapes), tuple(shapes)), ()).scope

    def _read(self, number: int, path: str, given: _Given, within: tuple[int, ...]) -> _Read:
        if number in within:
            raise ValueError(f"graph {number} runs itself")
        table = self._tables[number]
        self._left -= len(table.steps)
        if self._left < 0:
            raise ValueError(f"its graphs unfold to more than {_MOST_PLACES:,} operators")
        self.reached.add(number)
        keys = self._keys(table, path, given)
        runs: dict[int, GraphRun] = {}
        constants = _constants(table, given)
        folded = self._note_folded(table, keys, constants)

        def run(place: int, step: LinkedOperator, shapes: Sequence[Shape]) -> Sequence[Shape]:
            small = _small(table, keys, constants)
            called = self._run(table.runs[place], step, path, place, keys, shapes, small, (*within, number), constants)
            runs[place] = called[0]
            return called[1]

        shapes = shapes_for_one_sample(
            [tensor.signature for tensor in table.tensors],
            table.steps,
            given=dict(zip(table.inputs, given.shapes, strict=False)),
            constants=constants,
            run=dict.fromkeys(table.runs, run),
        )
        places = [_place(table, step, keys, shapes, runs.get(at)) for at, step in enumerate(table.steps)]
        for at, step in enumerate(table.steps):
            if at not in folded and step.type not in RUNS:
                self._note_weights(table, step, keys)
        outputs = tuple(keys[index] for index in table.outputs)
        return _Read(
            Scope(path, tuple(places), outputs),
            tuple(shapes[index] for index in table.outputs),
            _small(table, keys, constants, variables=table.inputs),
            tuple(keys[index] for index in table.inputs),
        )

    def _keys(self, table: GraphTable, path: str, given: _Given) -> list[str]:
        keys = [tensor.key or f"{path}#{index}" for index, tensor in enumerate(table.tensors)]
        for index, key in zip(table.inputs, given.keys, strict=False):
            keys[index] = key or keys[index]
        for key, tensor in zip(keys, table.tensors, strict=True):
            self.tensors.setdefault(key, tensor)
        return keys

    def _note_folded(
        self, table: GraphTable, keys: Sequence[str], constants: Mapping[int, tuple[int, ...]]
    ) -> set[int]:
        """Note the constants behind what is computed from constants alone, and return the places of such operators."""
        folded = set()
        for place, step in enumerate(table.steps):
            read = [index for index in step.inputs if index >= 0]
            if read and step.type not in RUNS and all(index in constants for index in read):
                folded.add(place)
                behind = tuple(source for _, sources in self._weights_read(table, step, keys) for source in sources)
                self._sources.update((keys[index], behind) for index in step.outputs if index >= 0)
        return folded

    def _note_weights(self, table: GraphTable, step: LinkedOperator, keys: Sequence[str]) -> None:
        """Note which constants an operator has for weights."""
        for tensor, sources in self._weights_read(table, step, keys):
            for source in sources:
                # Others may share the bytes, with another shape.
                here = tensor.constant if tensor.key == source and tensor.constant else self.constants[source]
                if not self.constants[source].weight:
                    self.constants[source] = replace(here, weight=True)

    def _weights_read(
        self, table: GraphTable, step: LinkedOperator, keys: Sequence[str]
    ) -> Iterator[tuple[TfliteTensor, tuple[str, ...]]]:
        for position, index in enumerate(step.inputs):
            sources = self._sources.get(keys[index], ()) if index >= 0 else ()
            if sources and is_weight(table.tensors[index], step.type, position):
                yield table.tensors[index], sources

    def _run(
        self,
        called: Sequence[int],
        step: LinkedOperator,
        path: str,
        place: int,
        keys: Sequence[str],
        shapes: Sequence[Shape],
        small: SmallTensors,
        within: tuple[int, ...],
        constants: Mapping[int, tuple[int, ...]],
    ) -> tuple[GraphRun, Sequence[Shape]]:
        """Return what an operator runs, and the shapes of what it writes."""
        how, names = RUNS[step.type]
        operands = step.inputs[1:] if how == BRANCH else step.inputs
        outside = [keys[at] if at >= 0 else None for at in operands]
        given = _Given(
            tuple(outside),
            tuple(shapes[at] if at >= 0 else None for at in operands),
            tuple(place for place, at in enumerate(operands) if at in constants),
        )
        paths = [f"{path}/{place}/{name}".lstrip("/") for _, name in names]
        if how != LOOP:
            read = [self._read(at, where, given, within) for at, where in zip(called, paths, strict=True)]
            written = [each.shapes for each in read]
            return GraphRun(how, tuple(each.scope for each in read)), _agreed(written)
        return self._loop(called, paths, given, [small.number(key) if key else None for key in outside], within)

    def _loop(
        self,
        called: Sequence[int],
        paths: Sequence[str],
        given: _Given,
        starts: Sequence[float | None],
        within: tuple[int, ...],
    ) -> tuple[GraphRun, Sequence[Shape]]:
        table = self._tables[called[0]]
        if len(table.outputs) != len(table.inputs) or len(table.inputs) != len(given.keys):
            raise ValueError(f"a loop over {len(given.keys)} tensors with {len(table.outputs)} results")
        same = [one == other for one, other in zip(table.inputs, table.outputs, strict=True)]
        keys = tuple(key if unchanged else None for key, unchanged in zip(given.keys, same, strict=True))
        fixed = tuple(place for place in given.constants if same[place])
        shapes = given.shapes
        for _ in range(len(shapes) + 1):
            body = self._read(called[0], paths[0], _Given(keys, shapes, fixed), within)
            kept = tuple(map(_steady, shapes, body.shapes))
            if kept == shapes:
                break
            # A tensor that has another shape after a round has none that holds for all of them.
            shapes = kept
        condition = self._read(called[1], paths[1], _Given(keys, shapes, fixed), within)
        return GraphRun(LOOP, (body.scope, condition.scope), _rounds(body, condition, starts, same)), shapes


def _rounds(body: _Read, condition: _Read, starts: Sequence[float | None], same: Sequence[bool]) -> int | None:
    """Return how often a loop goes on, if what it counts can be followed."""
    tests = condition.small.comparisons(condition.scope.outputs[0]) if condition.scope.outputs else None
    if tests is None:
        return None
    steps: list[float | None] = []
    for place, (key, unchanged) in enumerate(zip(body.scope.outputs, same, strict=True)):
        after = body.small.numbers(key)
        grows = after is not None and len(after) == 1 and after[0].variable == place
        steps.append(0 if unchanged else after[0].added if after is not None and grows else None)
    failing = first_failing(tests, starts, steps)
    return int(failing) if failing is not None and math.isfinite(failing) else None


def _place(
    table: GraphTable, step: LinkedOperator, keys: Sequence[str], shapes: Sequence[Shape], run: GraphRun | None
) -> Place:
    named = table.tensors[step.outputs[0]].name if step.outputs and step.outputs[0] >= 0 else ""
    read, written = (tuple(keys[at] if at >= 0 else "" for at in side) for side in (step.inputs, step.outputs))
    # The converter joins the names of all the operators that it fused.
    node = Node(step.type, named.partition(";")[0], read, written, runs=run is not None)
    return Place(node, None if run else _macs(step, shapes), run)


def _small(
    table: GraphTable,
    keys: Sequence[str],
    constants: Mapping[int, tuple[int, ...]],
    *,
    variables: Iterable[int] = (),
) -> SmallTensors:
    numbers = {keys[index]: values for index, values in constants.items() if values}
    writers = {
        keys[step.outputs[0]]: Small(_SMALL[step.type], tuple(keys[at] if at >= 0 else "" for at in step.inputs))
        for step in table.steps
        if step.type in _SMALL and step.outputs and step.outputs[0] >= 0 and step.inputs
    }
    return SmallTensors(
        writers,
        constant=numbers.get,
        variables={keys[index]: place for place, index in enumerate(variables)},
    )


def _constants(table: GraphTable, given: _Given) -> dict[int, tuple[int, ...]]:
    """Return the tensors that are the same for every sample, with the numbers in those that hold a few."""
    found = {index: tensor.values for index, tensor in enumerate(table.tensors) if tensor.constant is not None}
    found.update((table.inputs[place], ()) for place in given.constants if place < len(table.inputs))
    for step in table.steps:
        read = [index for index in step.inputs if index >= 0]
        if read and step.type not in RUNS and all(index in found for index in read):
            found.update((index, ()) for index in step.outputs if index >= 0 and index not in found)
    return found


def _macs(step: LinkedOperator, shapes: Sequence[Shape]) -> int | None:
    read = [shapes[index] if index >= 0 else () for index in step.inputs]
    written = shapes[step.outputs[0]] if step.outputs and step.outputs[0] >= 0 else None
    if step.type == "LSTM" and len(read) == _SMALL_LSTM_INPUTS:
        return _SMALL_LSTM(read, written)
    if step.type in _MACS:
        return _MACS[step.type](read, written)
    return None if step.type.startswith(_MACS_UNKNOWN) else 0


def _one_sample(signature: tuple[int | None, ...]) -> Shape:
    return (1, *signature[1:]) if signature and signature[0] is None else signature


def _steady(before: Shape, after: Shape) -> Shape:
    """Return the axes that a loop leaves as they are."""
    if before is None or after is None or len(before) != len(after):
        return None
    return tuple(one if one == other else None for one, other in zip(before, after, strict=True))


def _agreed(written: Sequence[Sequence[Shape]]) -> Sequence[Shape]:
    """Return the shapes of what an operator writes whichever of its graphs it runs."""
    return [each[0] if all(shape == each[0] for shape in each) else None for each in zip(*written, strict=False)]
