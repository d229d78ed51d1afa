"""Small models written by hand, operator by operator, for tests of what reads and runs them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper

# An operator: its type, the numbers of the tensors that it reads and writes, its options under the schema's names.
Step = tuple[Any, ...]
# A tensor: name, type, shape with -1 for a free axis, content or None, scale or 0.
Row = tuple[str, str, tuple[int, ...], np.ndarray | None, float]


def save_tflite(path: Path, *graphs: dict[str, Any]) -> Path:
    """Write a file whose graphs are dicts of ``tensors`` (rows), ``steps``, and ``inputs`` and ``outputs`` (numbers).

    Constants of equal bytes share a buffer, as in the converter's files.
    """
    buffers: list[Any] = [schema.BufferT()]
    places: dict[bytes, int] = {}
    codes: list[Any] = []
    tables = [
        schema.SubGraphT(
            tensors=[_tensor(row, buffers, places) for row in graph["tensors"]],
            inputs=list(graph["inputs"]),
            outputs=list(graph["outputs"]),
            operators=[_operator(step, codes) for step in graph["steps"]],
        )
        for graph in graphs
    ]
    model = schema.ModelT(version=3, operatorCodes=codes, subgraphs=tables, buffers=buffers)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


def _tensor(row: Row, buffers: list[Any], places: dict[bytes, int]) -> Any:
    name, kind, shape, content, scale = row
    # A buffer of its own, even if it is empty: 0 is nobody's.
    table = schema.TensorT(name=name, type=getattr(schema.TensorType, kind), shape=[abs(axis) for axis in shape])
    table.shapeSignature = list(shape)
    if content is not None:
        stored = content.tobytes()
        if stored not in places:
            places[stored] = len(buffers)
            buffers.append(schema.BufferT(data=np.frombuffer(stored, np.uint8)))
        table.buffer = places[stored]
    if scale:
        table.quantization = schema.QuantizationParametersT(scale=[scale], zeroPoint=[0])
    return table


def _operator(step: Step, codes: list[Any]) -> Any:
    kind, inputs, outputs, *rest = step
    number = getattr(schema.BuiltinOperator, kind)
    codes.append(schema.OperatorCodeT(builtinCode=number, deprecatedBuiltinCode=min(number, 127), version=1))
    operator = schema.OperatorT(opcodeIndex=len(codes) - 1, inputs=_list(inputs), outputs=_list(outputs))
    if rest:
        name, fields = rest
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        operator.builtinOptions = getattr(schema, f"{name}T")(**fields)
    return operator


def _list(numbers: Sequence[int]) -> list[int]:
    return list(numbers)


def save_decoder(path: Path) -> Path:
    """Write a file that puts a step behind its cache, in either format: (1, n, 4) and (1, 1, 4) to (1, n + 1, 4)."""
    if path.suffix == ".onnx":
        sides = {"cache": (1, "n", 4), "step": (1, 1, 4), "longer": (1, "m", 4)}
        cache, step, longer = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in sides.items()
        )
        node = helper.make_node("Concat", ["cache", "step"], ["longer"], axis=1)
        graph = helper.make_graph([node], "decoder", [cache, step], [longer])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path
    rows = [(name, "FLOAT32", shape, None, 0) for name, shape in
            (("cache", (1, -1, 4)), ("step", (1, 1, 4)), ("longer", (1, -1, 4)))]  # fmt: skip
    steps = [("CONCATENATION", [0, 1], [2], "ConcatenationOptions", {"axis": 1})]
    return save_tflite(path, {"tensors": rows, "steps": steps, "inputs": [0, 1], "outputs": [2]})
