"""Cuts a .tflite file into graphs of one operator each, and finds which of them XNNPACK runs."""

from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgeport.benchmarks.profile.parts import DEQUANTIZE, QUANTIZE, Cut, OperatorPart
from edgeport.benchmarks.profile.profile_facts import AT_LOAD, PLAIN, UNTIMED, XNNPACK
from edgeport.export.inspection.facts import Inspection
from edgeport.export.parts.graph import PartOperator
from edgeport.export.parts.tflite import TfliteParts, packed
from edgeport.runtime.tensors.arrays import Tensor

_BOUNDARIES = {"QUANTIZE": QUANTIZE, "DEQUANTIZE": DEQUANTIZE}
_DELEGATE = "DELEGATE"
_NARROW = ("int8", "int4", "int2")


def cut(content: bytes, inspection: Inspection, inputs: Sequence[Tensor], *, threads: int) -> Cut:
    """Return each operator of a TFLite file as a graph of its own, which gets what it would get in the whole.

    Args:
        content: The whole file.
        inspection: What an inspection says of it.
        inputs: One sample for each input, in the engine's own types.
        threads: Threads that the engine may use.
    """
    graph = TfliteParts(content)
    values = graph.values(inputs)
    taken, shares = _delegated(content, threads)
    by_xnnpack = {graph.names[index] for index in taken if index < len(graph.names)}
    parts = []
    for number, (operator, facts) in enumerate(zip(graph.operators, inspection.graph.operators, strict=True)):
        if all(name in graph.constants for name in operator.outputs):
            parts.append(OperatorPart(facts.name, facts.type, AT_LOAD, "", facts.macs, 0, "", None))
            continue
        read = dict.fromkeys(name for name in operator.inputs if name and name not in graph.constants)
        call = None
        if operator.stands_alone and all(name in values for name in read):
            given = {name: values[name] for name in read}
            call = opened(graph.file_of([number], given, operator.outputs), list(given.values()), threads)
        where = XNNPACK if by_xnnpack.intersection(operator.outputs) else PLAIN
        parts.append(
            OperatorPart(
                name=facts.name,
                type=facts.type,
                where=where if call else UNTIMED,
                dtype=_dtype(graph, operator) if call else "",
                macs=facts.macs,
                outputs=sum(values[name].size for name in operator.outputs if name in values),
                boundary=_BOUNDARIES.get(facts.type, ""),
                call=call,
            )
        )
    return Cut(tuple(parts), _empty(threads), _notes(parts, shares))


def _dtype(graph: TfliteParts, operator: PartOperator) -> str:
    """Return what an operator computes in or moves.

    Given floats and integer weights, a kernel quantizes the floats and multiplies integers.
    """
    types = [(name in graph.constants, graph.dtype(name)) for name in operator.inputs[:2] if name]
    given = [kind for is_constant, kind in types if not is_constant]
    if len(types) > 1 and types[1][0] and types[1][1] in _NARROW and given == ["float32"]:
        return types[1][1]
    return given[0] if given else ""


def _notes(parts: Sequence[OperatorPart], shares: int) -> tuple[str, ...]:
    at_load = sum(part.where == AT_LOAD for part in parts)
    notes = []
    if at_load:
        notes.append(f"{at_load} of its {len(parts)} operators work on constants alone: they run once, at load.")
    if shares > 1:
        notes.append(f"XNNPACK gets the graph in {shares} pieces, with operators between them that it does not run.")
    return tuple(notes)


def _delegated(content: bytes, threads: int) -> tuple[set[int], int]:
    """Return the tensors that XNNPACK writes, inside its shares of the graph as well, and the number of these shares.

    The engine lists the operators of the file, and behind them one node for each share that a delegate took. What it
    computes is what lies between its outputs and its inputs.
    """
    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    nodes = interpreter._get_ops_details()
    writer = {int(out): node for node in nodes if node["op_name"] != _DELEGATE for out in node["outputs"]}
    taken: set[int] = set()
    shares = [node for node in nodes if node["op_name"] == _DELEGATE]
    for share in shares:
        given = {int(index) for index in share["inputs"]}
        waiting = [int(index) for index in share["outputs"]]
        while waiting:
            index = waiting.pop()
            if index in writer and index not in given and index not in taken:
                taken.add(index)
                waiting += [int(each) for each in writer[index]["inputs"]]
    return taken, len(shares)


def opened(content: bytes, given: Sequence[Tensor], threads: int) -> Callable[[], object]:
    """Return the call of a file whose inputs are in place."""
    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    for details, value in zip(interpreter.get_input_details(), given, strict=True):
        interpreter.set_tensor(details["index"], value)
    call: Callable[[], object] = interpreter.invoke
    call()
    return call


def _empty(threads: int) -> Callable[[], object]:
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.buffer, tensor.name = [1], schema.TensorType.FLOAT32, 0, "nothing"
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [tensor], [0], [0], []
    model = schema.ModelT()
    model.version, model.buffers, model.operatorCodes, model.subgraphs = 3, [schema.BufferT()], [], [graph]
    return opened(packed(model), [np.zeros(1, np.float32)], threads)
