"""The constants of an ONNX file, and which of them are weights."""

from collections.abc import Mapping, Sequence
from math import prod

import onnx

from edgeport.export.inspection.facts import NARROW, Constant, bytes_of, is_float
from edgeport.export.inspection.onnx.shapes import dtype_of
from edgeport.export.inspection.ownership import Node

# Which inputs of an operator hold scales, zero points, sizes, or the state that a recurrent layer starts with.
_NO_WEIGHTS: dict[str, tuple[int, ...]] = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
    "DynamicQuantizeMatMul": (2, 3),
    "MatMulIntegerToFloat": (2, 3, 4, 5),
    "MatMulNBits": (2, 3, 4),
    "DynamicQuantizeLSTM": (4, 5, 6, 8, 9, 10, 11),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (4, 5, 6)),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "Pad": (1, 2, 3),
    "OneHot": (1, 2),
    "Range": (0, 1, 2),
    "NonMaxSuppression": (2, 3, 4),
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
    ("DynamicQuantizeLSTM", 1): 8,
    ("DynamicQuantizeLSTM", 2): 10,
}
# They move elements, or change their type or their zero, and not what they stand for.
_PASSING = ("Cast", "Sub", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity")
_MOST_STEPS = 8


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


def read_constants(tensors: Mapping[str, onnx.TensorProto], nodes: Sequence[Node]) -> dict[str, Constant]:
    """Return the facts about the constant tensors.

    Args:
        tensors: What ``constants_of`` found, by the keys of the tensors.
        nodes: The operators that read them.

    Raises:
        ValueError: A tensor has another size than its shape says.
    """
    weights: set[str] = set()
    per_channel: set[str] = set()
    scales = _scales(tensors, nodes)
    # The constants behind what is computed from constants alone: whoever reads that decides what they are.
    behind: dict[str, tuple[str, ...]] = {key: (key,) for key in tensors}
    for node in nodes:
        read = [name for name in node.inputs if name]
        folded = bool(read) and not node.runs and all(name in behind for name in read)
        sources: list[str] = []
        for position, name in enumerate(node.inputs):
            if node.runs or not behind.get(name) or not _may_be_weight(tensors, node, position):
                continue
            sources += [each for each in behind[name] if each not in scales]
            at = _SCALES.get((node.kind, position), len(node.inputs))
            scale = tensors.get(node.inputs[at]) if at < len(node.inputs) else None
            if scale is not None and prod(scale.dims) > 1:
                per_channel.add(name)
        if folded:
            behind.update((name, tuple(dict.fromkeys(sources))) for name in node.outputs if name)
        else:
            weights.update(sources)
    return {
        key: Constant(
            name=name_in_file(key),
            dtype=dtype_of(tensor.data_type),
            shape=tuple(tensor.dims),
            bytes=_stored_bytes(name_in_file(key), tensor),
            weight=key in weights,
            per_channel=key in per_channel,
        )
        for key, tensor in tensors.items()
    }


def key_of(path: str, name: str) -> str:
    """Return the key of a tensor in the graph at a path: names are unique in one graph alone."""
    return f"{path}\0{name}" if path else name


def name_in_file(key: str) -> str:
    """Return the name of a tensor in its graph."""
    return key.rpartition("\0")[2]


def _may_be_weight(tensors: Mapping[str, onnx.TensorProto], node: Node, position: int) -> bool:
    """Whether an operator may read weights here: of what is computed from constants, the place is all that is known."""
    if position in _NO_WEIGHTS.get(node.kind, ()):
        return False
    tensor = tensors.get(node.inputs[position])
    if tensor is None:
        return True
    dtype = dtype_of(tensor.data_type)
    if not tensor.dims:
        return False
    bias = dtype == "int32" and _BIASES.get(node.kind) == position
    if node.kind.startswith("QLinear") or node.kind == "QGemm":
        # Every float is a scale here, and what follows it its zero point.
        before = tensors.get(node.inputs[position - 1]) if position else None
        behind_scale = before is not None and is_float(dtype_of(before.data_type))
        return bias or (dtype in NARROW and not behind_scale)
    return bias or is_float(dtype) or dtype in NARROW


def _scales(tensors: Mapping[str, onnx.TensorProto], nodes: Sequence[Node]) -> set[str]:
    """Return the constants that narrow integers, or sums of their products, are multiplied with or moved by.

    A quantizer that has no operator for it writes a weight as Cast and Mul, or a scale as a Mul behind a ConvInteger.
    """
    writers = {name: node for node in nodes for name in node.outputs if name}
    found: set[str] = set()
    for node in nodes:
        if node.kind not in ("Mul", "Div", "Sub") or len(node.inputs) != 2:
            continue
        for one, other in (node.inputs, node.inputs[::-1]):
            if node.kind == "Sub" and (one, other) != node.inputs:
                continue
            held = _held(other, writers, tensors)
            if held is not None and _quantized(one, writers, tensors):
                found.add(held)
    return found


def _held(name: str, writers: Mapping[str, Node], tensors: Mapping[str, onnx.TensorProto]) -> str | None:
    """Return the constant that a tensor is, as it is or in another type or shape."""
    for _ in range(_MOST_STEPS):
        if name in tensors:
            return name
        writer = writers.get(name)
        if writer is None or writer.kind not in _PASSING:
            return None
        name = writer.inputs[0]
    return None


def _quantized(name: str, writers: Mapping[str, Node], tensors: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether a tensor holds quantized integers in another type, or the scale of those that are made on the way."""
    for _ in range(_MOST_STEPS):
        writer = writers.get(name)
        if writer is None:
            return False
        if writer.kind == "DynamicQuantizeLinear":
            return writer.outputs.index(name) == 1
        if writer.kind in ("ConvInteger", "MatMulInteger"):
            return True
        if writer.kind not in _PASSING or not writer.inputs:
            return False
        name = writer.inputs[0]
        if name in tensors:
            return dtype_of(tensors[name].data_type) in NARROW
    return False


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
