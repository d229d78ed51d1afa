"""Two TFLite models as one: the second goes on where the first ends."""

from collections.abc import Mapping, Sequence
from typing import Any

from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils


def joined(head: bytes, rest: bytes, fed: Mapping[str, str], inputs: Sequence[str]) -> bytes:
    """Return one model.

    Args:
        head: A float32 model of one subgraph.
        rest: The model that takes what the head gives, of one subgraph. Where it takes integers, a QUANTIZE is put
            between them.
        fed: For each input of the rest that the head gives, the head's tensor: an output, or an input as it is.
        inputs: The inputs of the whole, in order.
    """
    first, model = (flatbuffer_utils.read_model_from_bytearray(bytearray(content)) for content in (head, rest))
    (front,), (graph,) = first.subgraphs, model.subgraphs
    starts = {_name(graph, place): place for place in graph.inputs}
    given = {_name(front, place): place + len(graph.tensors) for place in (*front.outputs, *front.inputs)}
    operators = _appended(model, graph, first, front)
    replaced = {}
    for name, source in fed.items():
        if graph.tensors[starts[name]].type == graph.tensors[given[source]].type:
            replaced[starts[name]] = given[source]
        else:
            operators.append(_quantize(model, given[source], starts[name]))
    for operator in graph.operators:
        operator.inputs = [replaced.get(place, place) for place in operator.inputs]
    graph.outputs = [replaced.get(place, place) for place in graph.outputs]
    graph.operators = [*operators, *graph.operators]
    graph.inputs = [{**starts, **given}[name] for name in inputs]
    # They name the inputs of the rest, and nothing needs them: inputs and outputs are known by their tensors' names.
    model.signatureDefs = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _appended(model: Any, graph: Any, first: Any, front: Any) -> list[Any]:
    """Append the tensors of another model to a graph, and return its operators as the model's own."""
    codes, buffers, tensors = len(model.operatorCodes), len(model.buffers), len(graph.tensors)
    model.operatorCodes.extend(first.operatorCodes)
    model.buffers.extend(first.buffers)
    for tensor in front.tensors:
        tensor.buffer += buffers
    graph.tensors.extend(front.tensors)
    for operator in front.operators:
        operator.opcodeIndex += codes
        # -1 stands for an operand that is left out.
        operator.inputs = [place if place < 0 else place + tensors for place in operator.inputs]
        operator.outputs = [place + tensors for place in operator.outputs]
    return list(front.operators)


def _quantize(model: Any, source: int, target: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    code.version = 1
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = [source], [target]
    operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
    operator.builtinOptions = schema.QuantizeOptionsT()
    return operator


def _name(graph: Any, place: int) -> str:
    name: bytes = graph.tensors[place].name
    return name.decode()
