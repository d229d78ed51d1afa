"""The dtypes and shapes inside an ONNX file, inferred."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import onnx

_DTYPES: dict[int, str] = {
    number: {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower())
    for name, number in onnx.TensorProto.DataType.items()
}
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
        shape = tuple(axis.dim_value if axis.dim_value > 0 else None for axis in kind.shape.dim)
    return Tensor(dtype_of(kind.elem_type) if kind.elem_type else "", shape)


def infer_tensors(model: onnx.ModelProto, *, one_sample: bool) -> dict[str, Tensor]:
    """Return what is known of each tensor.

    Args:
        model: The model; it is not changed.
        one_sample: Take the free first axis of every input as 1.
    """
    stated = {info.name: tensor_of(info) for info in (*model.graph.value_info, *model.graph.output)}
    prepared = _prepared(model, one_sample=one_sample)
    try:
        inferred = onnx.shape_inference.infer_shapes(prepared, data_prop=True).graph
    except Exception:  # its errors share no base, and a model that it does not understand may still be a good one
        inferred = prepared.graph
    known = {info.name: tensor_of(info) for info in (*inferred.value_info, *inferred.output, *inferred.input)}
    # Of a tensor that inference does not reach, the dtype in the file holds; its shape is that of any batch.
    for name, tensor in stated.items():
        if name not in known or not known[name].dtype:
            known[name] = Tensor(tensor.dtype, None)
    for initializer in model.graph.initializer:
        known[initializer.name] = Tensor(dtype_of(initializer.data_type), tuple(initializer.dims))
    return known


def _prepared(model: onnx.ModelProto, *, one_sample: bool) -> onnx.ModelProto:
    """Return a light copy of the model for shape inference."""
    graph = onnx.GraphProto(name=model.graph.name)
    weights = {initializer.name for initializer in model.graph.initializer}
    graph.input.extend(info for info in model.graph.input if info.name not in weights)
    batch = set(_bind_batch(graph.input)) if one_sample else set()
    for initializer in model.graph.initializer:
        if max(initializer.dims, default=0) <= _SMALL:
            graph.initializer.append(initializer)
        else:
            graph.input.append(
                onnx.helper.make_tensor_value_info(initializer.name, initializer.data_type, initializer.dims)
            )
    foreign = set()
    for node in model.graph.node:
        copy = graph.node.add()
        copy.CopyFrom(node)
        if node.domain == "com.microsoft" and node.op_type in _LIKE:
            copy.op_type, data = _LIKE[node.op_type]
            copy.domain = ""
            copy.ClearField("input")
            copy.input.extend(node.input[data])
        elif node.domain:
            foreign |= set(node.output)
    # What the file states for a batch of any size would hide what is inferred for one sample.
    graph.value_info.extend(info for info in model.graph.value_info if info.name in foreign)
    _name_batch(graph.value_info, batch)
    for output in model.graph.output:
        graph.output.add(name=output.name)
    prepared = onnx.ModelProto(ir_version=model.ir_version, graph=graph)
    prepared.opset_import.extend(model.opset_import)
    prepared.functions.extend(model.functions)
    return prepared


def _bind_batch(inputs: Iterable[onnx.ValueInfoProto]) -> Iterable[str]:
    """Set the free first axis of each input to 1, and give the names that it had."""
    for info in inputs:
        axes = info.type.tensor_type.shape.dim
        if len(axes) and axes[0].dim_value <= 0:
            if axes[0].dim_param:
                yield axes[0].dim_param
            axes[0].dim_value = 1


def _name_batch(infos: Iterable[onnx.ValueInfoProto], names: Collection[str]) -> None:
    for info in infos:
        for axis in info.type.tensor_type.shape.dim:
            if axis.dim_param in names and axis.dim_param:
                axis.dim_value = 1
