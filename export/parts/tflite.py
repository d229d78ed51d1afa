"""A .tflite file cut into parts that ai-edge-litert runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgeport.export.parts.graph import Disturbed, Part, PartOperator, Quantization, with_makers
from edgeport.runtime.tensors.arrays import Tensor

_TYPES: dict[int, Any] = {
    schema.TensorType.INT8: np.int8, schema.TensorType.UINT8: np.uint8, schema.TensorType.INT16: np.int16,
    schema.TensorType.INT32: np.int32, schema.TensorType.INT64: np.int64, schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16, schema.TensorType.BOOL: np.bool_,
}  # fmt: skip
_DTYPES: dict[int, str] = {
    number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)
}
_PLAIN = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
_NAMES = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}


class TfliteParts:
    """See PartedGraph."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
        self._graph = self._model.subgraphs[0]
        # By the number of the tensor.
        self.names = _unique(self._graph.tensors)
        self._index = {name: index for index, name in enumerate(self.names)}
        self.operators = tuple(map(self._operator, self._graph.operators))
        self.inputs = tuple(self.names[index] for index in self._graph.inputs)
        self.outputs = tuple(self.names[index] for index in self._graph.outputs)
        held = {name for name, index in self._index.items() if self._buffer(index) is not None}
        for each in self.operators:
            read = [name for name in each.inputs if name]
            if read and all(name in held for name in read):
                held.update(each.outputs)
        self.constants = frozenset(held)
        self._everything: Interpreter | None = None

    def values(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """See PartedGraph."""
        if self._everything is None:
            self._everything = _opened(self._content, inputs, keeps_all=True)
        interpreter = self._everything
        for details, value in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(details["index"], value)
        interpreter.invoke()
        found = {}
        for details in interpreter.get_tensor_details():
            if details["index"] < len(self.names):
                try:
                    found[self.names[details["index"]]] = interpreter.get_tensor(details["index"])
                except ValueError:  # a tensor without data: a resource, or one that no operator wrote
                    continue
        return found

    def constant(self, name: str) -> Tensor | None:
        """See PartedGraph."""
        tensor, buffer = self._graph.tensors[self._index[name]], self._buffer(self._index[name])
        if buffer is None or tensor.type not in _TYPES:
            return None
        return np.frombuffer(np.asarray(buffer, np.uint8).tobytes(), _TYPES[tensor.type]).reshape(tensor.shape)

    def dtype(self, name: str) -> str:
        """Return the type of what a tensor holds, such as ``int4``."""
        return _DTYPES[self._graph.tensors[self._index[name]].type]

    def quantization(self, name: str) -> Quantization | None:
        """See PartedGraph."""
        tensor = self._graph.tensors[self._index[name]]
        stored = tensor.quantization
        if stored is None or stored.scale is None or not len(stored.scale) or tensor.type not in _TYPES:
            return None
        scale = np.asarray(stored.scale, np.float32)
        zero = np.asarray([0] if stored.zeroPoint is None else stored.zeroPoint, np.int64)
        axis = int(stored.quantizedDimension) if scale.size > 1 else None
        return Quantization(scale, np.broadcast_to(zero, scale.shape), axis, np.dtype(_TYPES[tensor.type]))

    def part(self, operators: Sequence[int], given: Mapping[str, Tensor], written: Sequence[str]) -> Part:
        """See PartedGraph."""
        interpreter = _opened(self.file_of(operators, given, written), list(given.values()))
        order = list(given)

        def run(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
            for details, name in zip(interpreter.get_input_details(), order, strict=True):
                interpreter.set_tensor(details["index"], values[name])
            interpreter.invoke()
            details = interpreter.get_output_details()
            return {name: interpreter.get_tensor(each["index"]) for name, each in zip(written, details, strict=True)}

        return run

    def disturbed(self, names: Sequence[str], first: Mapping[str, Tensor], written: Sequence[str]) -> Disturbed:
        """See PartedGraph."""
        content = self._with_additions(names, first, written)
        nothing = {name: np.zeros_like(first[name]) for name in names}
        interpreter = _opened(content, [*(first[name] for name in self.inputs), *nothing.values()], delegated=True)
        places = [details["index"] for details in interpreter.get_input_details()]
        of_inputs, of_additions = places[: len(self.inputs)], dict(zip(names, places[len(self.inputs) :], strict=True))
        ends = [details["index"] for details in interpreter.get_output_details()]

        def run(inputs: Sequence[Tensor], added: Mapping[str, Tensor]) -> dict[str, Tensor]:
            interpreter.reset_all_variables()
            for place, value in zip(of_inputs, inputs, strict=True):
                interpreter.set_tensor(place, value)
            for name, value in added.items():
                interpreter.set_tensor(of_additions[name], value)
            interpreter.invoke()
            for name in added:
                interpreter.set_tensor(of_additions[name], nothing[name])
            return {name: interpreter.get_tensor(place) for name, place in zip(written, ends, strict=True)}

        return run

    def _with_additions(self, names: Sequence[str], first: Mapping[str, Tensor], written: Sequence[str]) -> bytes:
        """Return the model with an input for each of some tensors, which is added to it, and with other outputs."""
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(self._content))
        graph = model.subgraphs[0]
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
        code.version = 1
        model.operatorCodes.append(code)
        changed: dict[int, int] = {}
        additions = {}
        for name in names:
            index = self._index[name]
            for suffix in ("added", "disturbed"):
                tensor = schema.TensorT()
                vars(tensor).update(vars(graph.tensors[index]))
                tensor.name, tensor.buffer = f"{name} {suffix}".encode(), 0
                tensor.shape, tensor.shapeSignature = list(first[name].shape), None
                graph.tensors.append(tensor)
            changed[index] = len(graph.tensors) - 1
            add = schema.OperatorT()
            add.opcodeIndex = len(model.operatorCodes) - 1
            add.inputs, add.outputs = [index, changed[index] - 1], [changed[index]]
            add.builtinOptionsType, add.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
            additions[index] = add
        operators = [additions[index] for index in graph.inputs if index in additions]
        for each in graph.operators:
            each.inputs = [changed.get(int(index), int(index)) for index in each.inputs]
            operators += [each, *(additions[index] for index in each.outputs if index in additions)]
        graph.operators = operators
        graph.inputs = [*graph.inputs, *(changed[self._index[name]] - 1 for name in names)]
        graph.outputs = [self._index[name] for name in written]
        # These name the outputs that it had.
        model.signatureDefs = None
        return packed(model)

    def _operator(self, stored: Any) -> PartOperator:
        code = self._model.operatorCodes[stored.opcodeIndex]
        kind = _NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")
        inputs, outputs = (
            tuple(self.names[index] if index >= 0 else "" for index in side) for side in (stored.inputs, stored.outputs)
        )
        kept = any(self._graph.tensors[index].isVariable for index in stored.inputs if index >= 0)
        options = [name for each in (stored.builtinOptions, stored.builtinOptions2) if each for name in vars(each)]
        alone = not kept and not any("subgraph" in name.lower() for name in options)
        return PartOperator(kind, outputs[0] if outputs else kind, inputs, outputs, alone)

    def _buffer(self, index: int) -> Any:
        data = self._model.buffers[self._graph.tensors[index].buffer].data
        return data if data is not None and len(data) else None

    def file_of(self, operators: Sequence[int], given: Mapping[str, Tensor], written: Sequence[str]) -> bytes:
        """Return the file of a part; see ``part``."""
        steps = [self._graph.operators[number] for number in with_makers(self, operators, given)]
        used = {int(index) for each in steps for index in (*each.inputs, *each.outputs) if index >= 0}
        used |= {self._index[name] for name in (*given, *written)}
        place = {-1: -1, **{index: number for number, index in enumerate(sorted(used))}}
        small, graph = schema.ModelT(), schema.SubGraphT()
        small.version, small.operatorCodes, small.buffers = self._model.version, self._model.operatorCodes, []
        small.buffers.append(schema.BufferT())
        graph.tensors, graph.operators = [], []
        for index in sorted(used):
            tensor = schema.TensorT()
            vars(tensor).update(vars(self._graph.tensors[index]))
            tensor.buffer = 0
            if (value := given.get(self.names[index])) is not None:
                tensor.shape, tensor.shapeSignature = list(value.shape), None
            elif self._buffer(index) is not None:
                tensor.buffer = len(small.buffers)
                small.buffers.append(self._model.buffers[self._graph.tensors[index].buffer])
            graph.tensors.append(tensor)
        for each in steps:
            operator = schema.OperatorT()
            vars(operator).update(vars(each))
            operator.inputs = [place[int(index)] for index in each.inputs]
            operator.outputs = [place[int(index)] for index in each.outputs]
            graph.operators.append(operator)
        graph.inputs = [place[self._index[name]] for name in given]
        graph.outputs = [place[self._index[name]] for name in written]
        small.subgraphs = [graph]
        return packed(small)


def packed(model: Any) -> bytes:
    """Return the file of a model that is built of the schema's objects."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _unique(tensors: Sequence[Any]) -> list[str]:
    """Return the tensors' names, with a number behind those that others have had already."""
    names: list[str] = []
    taken: set[str] = set()
    for number, each in enumerate(tensors):
        name = (each.name or b"").decode("utf-8", "replace") or f"tensor {number}"
        if name in taken:
            name = f"{name} #{number}"
        taken.add(name)
        names.append(name)
    return names


def _opened(
    content: bytes, inputs: Sequence[Tensor], *, keeps_all: bool = False, delegated: bool = False
) -> Interpreter:
    """Return an interpreter that has got its inputs.

    The plain kernels run: they leave every tensor in place, and answer as XNNPACK does but for the last digit. Where it
    is ``delegated``, XNNPACK itself does.
    """
    interpreter = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN if delegated else _PLAIN,
        experimental_preserve_all_tensors=keeps_all,
    )
    for details, value in zip(interpreter.get_input_details(), inputs, strict=True):
        if tuple(details["shape"]) != value.shape:
            interpreter.resize_tensor_input(details["index"], value.shape)
    interpreter.allocate_tensors()
    for details, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(details["index"], value)
    return interpreter
