"""Cuts a .tflite file into graphs of one operator each, and finds which of them XNNPACK runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgeport.benchmarks.profile.parts import DEQUANTIZE, QUANTIZE, Cut, OperatorPart
from edgeport.benchmarks.profile.profile_facts import AT_LOAD, PLAIN, UNTIMED, XNNPACK
from edgeport.export.inspection.facts import Inspection
from edgeport.runtime.tensors.arrays import Tensor

_BOUNDARIES = {"QUANTIZE": QUANTIZE, "DEQUANTIZE": DEQUANTIZE}
_DELEGATE = "DELEGATE"
_DTYPES: dict[int, str] = {
    number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)
}
_NARROW = (schema.TensorType.INT8, schema.TensorType.INT4, schema.TensorType.INT2)


def cut(content: bytes, inspection: Inspection, inputs: Sequence[Tensor], *, threads: int) -> Cut:
    """Return each operator of a TFLite file as a graph of its own, which gets what it would get in the whole.

    Args:
        content: The whole file.
        inspection: What an inspection says of it.
        inputs: One sample for each input, in the engine's own types.
        threads: Threads that the engine may use.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    values = _values(content, inputs)
    by_xnnpack, shares = _delegated(content, threads)
    constant = _constants(model)
    # Which operator writes a tensor that holds constants: it is taken along by whoever reads it.
    writer = {out: operator for operator in graph.operators for out in operator.outputs if out in constant}
    parts = []
    for operator, facts in zip(graph.operators, inspection.graph.operators, strict=True):
        if all(index in constant for index in operator.outputs):
            parts.append(OperatorPart(facts.name, facts.type, AT_LOAD, "", facts.macs, 0, "", None))
            continue
        read = [index for index in operator.inputs if index >= 0 and index not in constant]
        call = None
        if not _bound_to_its_graph(model, operator) and all(index in values for index in read):
            small = _small_model(model, [*_chain(operator, writer), operator], {index: values[index] for index in read})
            call = opened(small, [values[index] for index in read], threads)
        where = XNNPACK if any(index in by_xnnpack for index in operator.outputs) else PLAIN
        parts.append(
            OperatorPart(
                name=facts.name,
                type=facts.type,
                where=where if call else UNTIMED,
                dtype=_dtype(graph, operator, constant) if call else "",
                macs=facts.macs,
                outputs=sum(values[index].size for index in operator.outputs if index in values),
                boundary=_BOUNDARIES.get(facts.type, ""),
                call=call,
            )
        )
    return Cut(tuple(parts), _empty(threads), _notes(parts, shares))


def _dtype(graph: Any, operator: Any, constant: set[int]) -> str:
    """Return what an operator computes in or moves.

    Given floats and integer weights, a kernel quantizes the floats and multiplies integers.
    """
    types = [(index in constant, graph.tensors[index].type) for index in operator.inputs[:2] if index >= 0]
    given = [kind for is_constant, kind in types if not is_constant]
    if len(types) > 1 and types[1][0] and types[1][1] in _NARROW and given == [schema.TensorType.FLOAT32]:
        return _DTYPES[types[1][1]]
    return _DTYPES[given[0]] if given else ""


def _notes(parts: Sequence[OperatorPart], shares: int) -> tuple[str, ...]:
    at_load = sum(part.where == AT_LOAD for part in parts)
    notes = []
    if at_load:
        notes.append(f"{at_load} of its {len(parts)} operators work on constants alone: they run once, at load.")
    if shares > 1:
        notes.append(f"XNNPACK gets the graph in {shares} pieces, with operators between them that it does not run.")
    return tuple(notes)


def _values(content: bytes, inputs: Sequence[Tensor]) -> dict[int, Tensor]:
    """Return every tensor of one call; the plain kernels leave all of them in place."""
    interpreter = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    for details, value in zip(interpreter.get_input_details(), inputs, strict=True):
        if tuple(details["shape"]) != value.shape:
            interpreter.resize_tensor_input(details["index"], value.shape)
    interpreter.allocate_tensors()
    for details, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(details["index"], value)
    interpreter.invoke()
    found = {}
    for details in interpreter.get_tensor_details():
        try:
            found[details["index"]] = interpreter.get_tensor(details["index"])
        except ValueError:  # a tensor without data: a resource, or one that no operator wrote
            continue
    return found


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


def _constants(model: Any) -> set[int]:
    """Return the tensors that hold constants, or what operators make of constants alone."""
    graph = model.subgraphs[0]
    constant = {
        index
        for index, tensor in enumerate(graph.tensors)
        if model.buffers[tensor.buffer].data is not None and len(model.buffers[tensor.buffer].data)
    }
    for operator in graph.operators:
        read = [index for index in operator.inputs if index >= 0]
        if read and all(index in constant for index in read):
            constant |= set(map(int, operator.outputs))
    return constant


def _chain(operator: Any, writer: Mapping[int, Any]) -> list[Any]:
    """Return the operators that make an operator's constants, in an order in which they can run."""
    chain: dict[int, Any] = {}
    for maker in (writer[index] for index in operator.inputs if index in writer):
        chain |= {id(each): each for each in (*_chain(maker, writer), maker)}
    return list(chain.values())


def _bound_to_its_graph(model: Any, operator: Any) -> bool:
    """Whether an operator needs more than its inputs: another graph, or a state that lasts between calls."""
    tensors = model.subgraphs[0].tensors
    kept = any(tensors[index].isVariable for index in operator.inputs if index >= 0)
    options = [name for each in (operator.builtinOptions, operator.builtinOptions2) if each for name in vars(each)]
    return kept or any("subgraph" in name.lower() for name in options)


def _small_model(model: Any, operators: Sequence[Any], given: Mapping[int, Tensor]) -> bytes:
    """Return a file with these operators alone, the last of which writes the outputs."""
    old = model.subgraphs[0]
    used = sorted({int(index) for each in operators for index in (*each.inputs, *each.outputs) if index >= 0})
    place = {-1: -1, **{index: number for number, index in enumerate(used)}}
    small = schema.ModelT()
    small.version, small.operatorCodes, small.buffers = model.version, model.operatorCodes, [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor_of(old.tensors[index], given.get(index)) for index in used]
    for index, tensor in zip(used, graph.tensors, strict=True):
        buffer = model.buffers[old.tensors[index].buffer]
        if buffer.data is not None and len(buffer.data):
            tensor.buffer = len(small.buffers)
            small.buffers.append(buffer)
    graph.operators = []
    for each in operators:
        operator = schema.OperatorT()
        vars(operator).update(vars(each))
        operator.inputs = [place[int(index)] for index in each.inputs]
        operator.outputs = [place[int(index)] for index in each.outputs]
        graph.operators.append(operator)
    graph.inputs = [place[index] for index in given]
    graph.outputs = [place[int(index)] for index in operators[-1].outputs]
    small.subgraphs = [graph]
    return packed(small)


def _tensor_of(old: Any, value: Tensor | None) -> Any:
    tensor = schema.TensorT()
    vars(tensor).update(vars(old))
    tensor.buffer = 0
    if value is not None:
        tensor.shape, tensor.shapeSignature = list(value.shape), None
    return tensor


def packed(model: Any) -> bytes:
    """Return the file of a model that is built of the schema's objects."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


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
