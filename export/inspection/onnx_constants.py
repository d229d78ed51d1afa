"""The constants of an ONNX file, and which of them are weights."""

from collections.abc import Iterable, Mapping, Sequence
from math import prod

import onnx

from edgeport.export.inspection.facts import NARROW, Constant, bytes_of, is_float
from edgeport.export.inspection.onnx_shapes import dtype_of
from edgeport.export.inspection.ownership import Node

# Which inputs of an operator hold scales, zero points or sizes.
_NO_WEIGHTS: dict[str, tuple[int, ...]] = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "QLinearAdd": (1, 2, 4, 5, 6, 7),
    "QLinearMul": (1, 2, 4, 5, 6, 7),
}
# Integers of 32 bits are biases here, elsewhere axes and shapes.
_BIASES = {"DequantizeLinear": 0, "QLinearConv": 8, "QGemm": 6}
# Where the scale (or the zero point) of each weight stands, by the weight's own input.
_SCALES = {
    ("DequantizeLinear", 0): 1,
    ("QLinearConv", 3): 4,
    ("QLinearMatMul", 3): 4,
    ("ConvInteger", 1): 3,
    ("MatMulInteger", 1): 3,
    ("QGemm", 3): 4,
}


def constants_of(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the constant tensors of a graph by name: its initializers, and what its Constant operators hold."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and len(node.output) == 1 and len(node.attribute) == 1:
            tensor = _attribute(node.attribute[0])
            if tensor is not None:
                found[node.output[0]] = tensor
    return found


def _attribute(attribute: onnx.AttributeProto) -> onnx.TensorProto | None:
    kinds = {
        "value_float": onnx.TensorProto.FLOAT,
        "value_floats": onnx.TensorProto.FLOAT,
        "value_int": onnx.TensorProto.INT64,
        "value_ints": onnx.TensorProto.INT64,
    }
    if attribute.name == "value":
        return attribute.t
    if attribute.name not in kinds:
        return None
    value = onnx.helper.get_attribute_value(attribute)
    values = list(value) if isinstance(value, Sequence) else [value]
    dims = [len(values)] if attribute.name.endswith("s") else []
    return onnx.helper.make_tensor("", kinds[attribute.name], dims, values)


def read_constants(tensors: Mapping[str, onnx.TensorProto], nodes: Iterable[Node]) -> dict[str, Constant]:
    """Return the facts about the constant tensors.

    Args:
        tensors: What ``constants_of`` found.
        nodes: The operators that read them.

    Raises:
        ValueError: A tensor has another size than its shape says.
    """
    weights: set[str] = set()
    per_channel: set[str] = set()
    for node in nodes:
        for position, name in enumerate(node.inputs):
            tensor = tensors.get(name)
            if tensor is None or not _is_weight(dtype_of(tensor.data_type), tensor.dims, node.kind, position):
                continue
            weights.add(name)
            at = _SCALES.get((node.kind, position), len(node.inputs))
            scale = tensors.get(node.inputs[at]) if at < len(node.inputs) else None
            if scale is not None and prod(scale.dims) > 1:
                per_channel.add(name)
    return {
        name: Constant(
            name=name,
            dtype=dtype_of(tensor.data_type),
            shape=tuple(tensor.dims),
            bytes=_stored_bytes(name, tensor),
            weight=name in weights,
            per_channel=name in per_channel,
        )
        for name, tensor in tensors.items()
    }


def _is_weight(dtype: str, dims: Sequence[int], kind: str, position: int) -> bool:
    if not dims or position in _NO_WEIGHTS.get(kind, ()):
        return False
    return is_float(dtype) or dtype in NARROW or (dtype == "int32" and _BIASES.get(kind) == position)


def _stored_bytes(name: str, tensor: onnx.TensorProto) -> int:
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return 0
    if any(axis < 0 for axis in tensor.dims):
        raise ValueError(f"constant {name} of shape {list(tensor.dims)}")
    elements = prod(tensor.dims)
    expected = bytes_of(dtype_of(tensor.data_type), elements)
    if tensor.HasField("raw_data"):
        if expected not in (None, len(tensor.raw_data)):
            raise ValueError(f"constant {name}: {len(tensor.raw_data)} bytes for shape {list(tensor.dims)}")
        return len(tensor.raw_data)
    if expected is None:
        return sum(len(text) for text in tensor.string_data)
    stored = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
    # Narrow integers may be packed, up to 16 in one.
    if not elements <= 16 * sum(len(values) for values in stored):
        raise ValueError(f"constant {name}: too few values for shape {list(tensor.dims)}")
    return expected
