"""Takes a .tflite file apart, with the flatbuffer classes that ai-edge-litert brings; no engine is started."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeport.export.inspection.facts import (
    BOUNDARY,
    FLOAT,
    INTEGER,
    NARROW,
    NEITHER,
    Constant,
    Graph,
    Operator,
    bytes_of,
    elements_of,
    is_float,
)
from edgeport.export.inspection.macs import Rule, each_input, each_output, product_either_way
from edgeport.export.inspection.ownership import Node, find_owners
from edgeport.export.inspection.tflite_shapes import Step, shapes_for_one_sample
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.spec import TensorSpec

# Convolution weights are (out, height, width, in), of a depthwise one (1, height, width, out).
_MACS: dict[str, Rule] = {
    "CONV_2D": each_output(slice(1, None), rank=4),
    "CONV_3D": each_output(slice(0, 4), rank=5),
    "DEPTHWISE_CONV_2D": each_output(slice(1, 3), rank=4),
    "TRANSPOSE_CONV": each_input(slice(0, 3), data=2, rank=4),
    "FULLY_CONNECTED": each_output(slice(1, 2), rank=2),
    "BATCH_MATMUL": product_either_way(),
}
# They multiply, or call what may, and their tensors do not tell how often.
_MACS_UNKNOWN = (
    "STABLEHLO_", "CUSTOM", "DELEGATE", "BUILTIN_", "CALL", "IF", "WHILE", "CONV_3D_TRANSPOSE", "SVDF", "RNN",
    "UNIDIRECTIONAL_SEQUENCE_", "BIDIRECTIONAL_SEQUENCE_", "LSTM",
)  # fmt: skip
_BOUNDARIES = ("QUANTIZE", "DEQUANTIZE")
_DTYPES = {number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
_OPERATORS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
_CUSTOM = schema.BuiltinOperator.CUSTOM
# Far more than any model has: a damaged length must not keep us reading nonsense.
_MOST_ENTRIES = 1_000_000
_MOST_AXES = 32


@dataclass(frozen=True)
class _Tensor:
    """One tensor.

    Tensors that share a constant buffer share their key, and so are one constant. ``values`` are those of a few
    constant integers, such as the axes of a reduction.
    """

    key: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    signature: tuple[int | None, ...]
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    constant: Constant | None
    values: tuple[int, ...]

    @property
    def quantized(self) -> bool:
        return self.dtype in NARROW and bool(self.scales)


def read_graph(content: bytes, *, name: str) -> Graph:
    """Return what a TFLite file computes.

    Args:
        content: The whole file.
        name: What to call it in an error.

    Raises:
        ArtefactError: The file is damaged.
    """
    try:
        model = _unpack(content)
        main = model.subgraphs[0]
        tensors = [_tensor(each, model, content) for each in main.tensors or []]
        steps = [_step(each, model, tensors) for each in main.operators or []]
        inputs, outputs = (
            [tensors[index] for index in _indices(each, len(tensors))] for each in (main.inputs, main.outputs)
        )
        further = len(model.subgraphs) - 1
        producer = (model.description or b"").decode("utf-8", "replace").rstrip(".")
    # The flatbuffer classes check nothing: damage shows as whatever the wrong bytes lead to (struct.error, IndexError,
    # TypeError, MemoryError, ...). All of it comes from reading the file, which ends here.
    except Exception as error:
        raise ArtefactError(
            f"{name} cannot be read as a TFLite file: it is damaged, cut off, or something else ({_cause(error)}). "
            "Copy or export it again."
        ) from error
    return _graph(producer, tensors, steps, inputs, outputs, further)


def _cause(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:120]


def _unpack(content: bytes) -> Any:
    """Return the file as the schema's objects, after a look at the lengths of its lists."""
    model = schema.Model.GetRootAs(content)
    graphs = [model.Subgraphs(index) for index in range(_checked(model.SubgraphsLength(), content))]
    if not graphs:
        raise ValueError("it holds no graph")
    entries = [model.OperatorCodesLength(), model.BuffersLength(), model.MetadataLength(), model.SignatureDefsLength()]
    entries += [length for each in graphs for length in (each.TensorsLength(), each.OperatorsLength())]
    _checked(sum(entries), content)
    return schema.ModelT.InitFromObj(model)


def _checked(count: int, content: bytes) -> int:
    # An entry takes an offset of 4 bytes at the least; what it leads to may be shared.
    most = min(_MOST_ENTRIES, len(content) // 4)
    if count > most:
        raise ValueError(f"a list of {count} entries, where {most} can be")
    return count


def _tensor(table: Any, model: Any, content: bytes) -> _Tensor:
    shape = _numbers(table.shape)
    if len(shape) > _MOST_AXES or any(axis < 0 for axis in shape):
        raise ValueError(f"a tensor of shape {shape[:_MOST_AXES]}")
    signature = _numbers(table.shapeSignature)
    if len(signature) != len(shape):
        signature = shape
    quantization = table.quantization or schema.QuantizationParametersT()
    name, dtype = (table.name or b"").decode("utf-8", "replace"), _DTYPES[table.type]
    scales = _numbers(quantization.scale)
    stored = _stored_bytes(model.buffers[table.buffer], content)
    constant, values = None, ()
    if (stored or table.externalBuffer) and not table.isVariable:
        expected = bytes_of(dtype, elements_of(shape))
        if stored and expected not in (None, stored) and table.sparsity is None:
            raise ValueError(f"{stored} bytes for {dtype} of shape {shape}")
        # Integers of 32 and 64 bits are biases if they have a scale, else axes and shapes.
        weight = bool(shape) and (is_float(dtype) or dtype in NARROW or (dtype.startswith("int") and bool(scales)))
        constant = Constant(name, dtype, shape, stored, weight, per_channel=len(scales) > 1)
        if dtype == "int32" and 0 < stored <= 4 * _MOST_AXES and table.sparsity is None:
            values = _numbers(np.frombuffer(model.buffers[table.buffer].data, "<i4"))
    return _Tensor(
        key=f"buffer {table.buffer}" if stored else f"tensor {id(table)}",
        name=name,
        dtype=dtype,
        shape=shape,
        signature=tuple(None if axis < 0 else axis for axis in signature),
        scales=scales,
        zero_points=_numbers(quantization.zeroPoint),
        constant=constant,
        values=values,
    )


def _stored_bytes(buffer: Any, content: bytes) -> int:
    """Return how many bytes of the file a buffer takes: inside the flatbuffer, or behind it in files above 2 GB."""
    if buffer.data is not None and len(buffer.data):
        return len(buffer.data)
    # 0 and 1 stand for an offset that is not used.
    if buffer.offset > 1 and buffer.offset + buffer.size > len(content):
        raise ValueError(f"a buffer from byte {buffer.offset} on, behind the end")
    return int(buffer.size) if buffer.offset > 1 else 0


def _step(table: Any, model: Any, tensors: Sequence[_Tensor]) -> Step:
    code = model.operatorCodes[table.opcodeIndex]
    # Files of before 2020 have the number in the deprecated field alone.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    kind = _OPERATORS.get(number, f"BUILTIN_{number}")
    if number == _CUSTOM:
        kind = f"CUSTOM {(code.customCode or b'').decode('utf-8', 'replace')}".strip()
    return Step(
        kind, _indices(table.inputs, len(tensors), optional=True), _indices(table.outputs, len(tensors), optional=True)
    )


def _indices(vector: Any, count: int, *, optional: bool = False) -> tuple[int, ...]:
    """Return the numbers of tensors in a list, -1 for one that is left out."""
    indices = _numbers(vector)
    if any(not (-1 if optional else 0) <= index < count for index in indices):
        raise ValueError(f"a list of tensors names one that is not among the {count}")
    return indices


def _numbers(vector: Any) -> tuple[Any, ...]:
    return () if vector is None else tuple(np.asarray(vector).tolist())


def _graph(
    producer: str,
    tensors: Sequence[_Tensor],
    steps: Sequence[Step],
    inputs: Sequence[_Tensor],
    outputs: Sequence[_Tensor],
    further: int,
) -> Graph:
    nodes = [_node(step, tensors) for step in steps]
    ownership = find_owners(nodes, {each.key: each.constant for each in tensors if each.constant})
    shapes = shapes_for_one_sample(
        [each.signature for each in tensors],
        steps,
        inputs={index for index, each in enumerate(tensors) if any(each is given for given in inputs)},
        constants={index: each.values for index, each in enumerate(tensors) if each.key in ownership.constant},
    )
    operators = []
    for number, (step, node) in enumerate(zip(steps, nodes, strict=True)):
        data = [
            tensors[index]
            for index in (*step.inputs, *step.outputs)
            if index >= 0 and tensors[index].key not in ownership.constant
        ]
        folded = ownership.folded[number]
        read = [shapes[index] if index >= 0 else None for index in step.inputs]
        written = shapes[step.outputs[0]] if step.outputs and step.outputs[0] >= 0 else None
        operators.append(
            Operator(
                number=number,
                type=step.type,
                name=node.name,
                arithmetic=_arithmetic(step.type, data),
                macs=0 if folded else _macs(step.type, read, written),
                constants=ownership.owned[number],
            )
        )
    between = [each for each in tensors if each.key not in ownership.constant]
    return Graph(
        producer=producer,
        inputs=tuple(_spec(each) for each in inputs),
        outputs=tuple(_spec(each) for each in outputs),
        operators=tuple(operators),
        activations=Counter(each.dtype for each in between if each.quantized or is_float(each.dtype)),
        unread=ownership.unread,
        further_graphs=further,
        one_sample=all(each.signature[0] in (None, 1) for each in inputs if each.signature),
    )


def _node(step: Step, tensors: Sequence[_Tensor]) -> Node:
    named = tensors[step.outputs[0]].name if step.outputs and step.outputs[0] >= 0 else ""
    keys = [tuple(tensors[index].key if index >= 0 else "" for index in each) for each in (step.inputs, step.outputs)]
    # The converter joins the names of all the operators that it fused.
    return Node(step.type, named.partition(";")[0], *keys)


def _arithmetic(kind: str, data: Sequence[_Tensor]) -> str:
    if kind in _BOUNDARIES:
        return BOUNDARY
    if any(is_float(each.dtype) for each in data):
        return FLOAT
    return INTEGER if any(each.quantized for each in data) else NEITHER


def _macs(
    kind: str, inputs: Sequence[tuple[int | None, ...] | None], output: tuple[int | None, ...] | None
) -> int | None:
    if kind in _MACS:
        return _MACS[kind](inputs, output)
    return None if kind.startswith(_MACS_UNKNOWN) else 0


def _spec(tensor: _Tensor) -> TensorSpec:
    scale, zero_point = 0.0, 0
    if len(tensor.scales) == 1 and math.isfinite(tensor.scales[0]):
        scale = tensor.scales[0]
        zero_point = tensor.zero_points[0] if len(tensor.zero_points) == 1 else 0
    return TensorSpec(tensor.name, tensor.signature, tensor.dtype, scale, zero_point)
