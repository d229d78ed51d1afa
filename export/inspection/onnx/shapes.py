"""The dtypes and shapes inside one graph of an ONNX file, inferred."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import onnx

_DTYPES: dict[int, str] = {
    number: {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower())
    for name, number in onnx.TensorProto.DataType.items()
}
_NUMBERS = {name: number for number, name in _DTYPES.items()}
# Shape inference reads the values of small tensors, such as the target of a Reshape. Larger ones it would only copy.
_SMALL = 1024
# onnxruntime's quantizer writes operators of its own. Their shapes are those of these, with these of their inputs.
_LIKE = {
    "QuantizeLinear": ("QuantizeLinear", slice(None)),
    "DequantizeLinear": ("DequantizeLinear", slice(None)),
    "QLinearAdd": ("Add", slice(0, 4, 3)),
    "QLinearMul": ("Mul", slice(0, 4, 3)),
    "QLinearConcat": ("Concat", slice(2, None, 3)),
    "QLinearSigmoid": ("Sigmoid", slice(1)),
    "QLinearLeakyRelu": ("LeakyRelu", slice(1)),
    "QLinearSoftmax": ("Softmax", slice(1)),
    "QLinearAveragePool": ("AveragePool", slice(1)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", slice(1)),
    "QGemm": ("Gemm", slice(0, 4, 3)),
    "DynamicQuantizeLSTM": ("LSTM", slice(0, 8)),
}


@dataclass(frozen=True)
class Tensor:
    """What is known of a tensor: its dtype, empty if unknown, and its shape, None if even its rank is unknown."""

    dtype: str
    shape: tuple[int | None, ...] | None


def dtype_of(number: int) -> str:
    """Return the numpy name of an ONNX element type."""
    return _DTYPES[number]


def tensor_of(info: onnx.ValueInfoProto) -> Tensor:
    """Return what a file says about a tensor."""
    kind = info.type.tensor_type
    shape = None
    if kind.HasField("shape"):
        shape = tuple(map(_length, kind.shape.dim))
    return Tensor(dtype_of(kind.elem_type) if kind.elem_type else "", shape)


def batch_names(graph: onnx.GraphProto) -> frozenset[str]:
    """Return the names of the free first axes of the inputs."""
    firsts = [info.type.tensor_type.shape.dim[0] for info in graph.input if info.type.tensor_type.shape.dim]
    return frozenset(axis.dim_param for axis in firsts if axis.dim_param and not axis.HasField("dim_value"))


def one_sample(tensor: Tensor) -> Tensor:
    """Return an input whose free first axis is 1."""
    if not tensor.shape or tensor.shape[0] is not None:
        return tensor
    return Tensor(tensor.dtype, (1, *tensor.shape[1:]))


def infer_tensors(
    graph: onnx.GraphProto,
    model: onnx.ModelProto,
    *,
    given: Mapping[str, Tensor],
    around: Mapping[str, onnx.TensorProto] | None = None,
    batch: Collection[str] = (),
) -> dict[str, Tensor]:
    """Return what is known of each tensor of a graph; those of the graphs that its operators run are not looked at.

    Args:
        graph: The graph; it is not changed.
        model: What it stands in.
        given: What is known beforehand: of the inputs, of what it reads from the graph around it, of what its operators
            write that run graphs.
        around: The constants that it reads from the graph around it, and those that were computed.
        batch: The names of axes that are 1.
    """
    stated = {info.name: tensor_of(info) for info in (*graph.value_info, *graph.output)}
    prepared = _prepared(graph, model, given, around or {}, batch)
    try:
        inferred = onnx.shape_inference.infer_shapes(prepared, data_prop=True).graph
    except Exception:  # its errors share no base, and a model that it does not understand may still be a good one
        inferred = prepared.graph
    known = {info.name: tensor_of(info) for info in (*inferred.value_info, *inferred.output, *inferred.input)}
    # Of a tensor that inference does not reach, the dtype in the file holds; its shape is that of any batch.
    for name, tensor in stated.items():
        if name not in known or not known[name].dtype:
            known[name] = Tensor(tensor.dtype, None)
    known.update(given)
    for initializer in graph.initializer:
        known[initializer.name] = Tensor(dtype_of(initializer.data_type), tuple(initializer.dims))
    return known


def _prepared(
    graph: onnx.GraphProto,
    model: onnx.ModelProto,
    given: Mapping[str, Tensor],
    around: Mapping[str, onnx.TensorProto],
    batch: Collection[str],
) -> onnx.ModelProto:
    """Return a light copy of a graph as a model of its own, for shape inference."""
    light = onnx.GraphProto(name=graph.name or "graph")
    own = {initializer.name: initializer for initializer in graph.initializer}
    for name, tensor in {**around, **own}.items():
        if max(tensor.dims, default=0) <= _SMALL:
            small = light.initializer.add()
            small.CopyFrom(tensor)
            small.name = name
        else:
            light.input.append(onnx.helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
    light.input.extend(
        onnx.helper.make_tensor_value_info(name, _NUMBERS[tensor.dtype], tensor.shape)
        for name, tensor in given.items()
        if tensor.dtype and name not in own and name not in around
    )
    computed = {*given, *around}
    nodes = [node for node in graph.node if computed.isdisjoint(node.output)]
    light.node.extend(map(_standard, nodes))
    foreign = {name for node in nodes if not _like(node) and node.domain for name in node.output}
    # What the file states for a batch of any size would hide what is inferred for one sample.
    light.value_info.extend(info for info in graph.value_info if info.name in foreign)
    for info in light.value_info:
        for axis in info.type.tensor_type.shape.dim:
            if axis.dim_param and axis.dim_param in batch:
                axis.dim_value = 1
    for output in graph.output:
        light.output.add(name=output.name)
    prepared = onnx.ModelProto(ir_version=model.ir_version, graph=light)
    prepared.opset_import.extend(model.opset_import)
    return prepared


def _like(node: onnx.NodeProto) -> bool:
    return node.domain == "com.microsoft" and node.op_type in _LIKE


def _standard(node: onnx.NodeProto) -> onnx.NodeProto:
    """Return a node, or a standard one whose outputs have the same shapes."""
    if not _like(node):
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.op_type, data = _LIKE[node.op_type]
    copy.domain = ""
    del copy.input[:]
    copy.input.extend(node.input[data])
    return copy


def _length(axis: onnx.TensorShapeProto.Dimension) -> int | None:
    # A length of 0 is one; below it, some exporters mean a free axis.
    return axis.dim_value if axis.HasField("dim_value") and axis.dim_value >= 0 else None
