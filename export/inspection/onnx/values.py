"""The numbers that an ONNX graph computes from the lengths of its tensors: targets of a Reshape, rounds of a loop.

Shape inference follows a few such operators and converters write many, so the small tensors among them are computed
with onnx's own reference implementation. Data are not: all of this follows from constants and from shapes.
"""

from collections.abc import Mapping
from math import prod

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from edgeport.export.inspection.onnx.shapes import Tensor, dtype_of
from edgeport.runtime.tensors.arrays import Tensor as Array

_SHAPE = "Shape"
# What computes with lengths, and makes no more elements of them than there were.
_ARITHMETIC = {
    "Abs", "Add", "And", "Cast", "Concat", "Div", "Equal", "Gather", "Greater", "GreaterOrEqual", "Identity", "Less",
    "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum",
    "Reshape", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where",
}  # fmt: skip
_MOST_ELEMENTS = 64


def computed(
    graph: onnx.GraphProto,
    model: onnx.ModelProto,
    tensors: Mapping[str, Tensor],
    known: Mapping[str, onnx.TensorProto],
) -> dict[str, onnx.TensorProto]:
    """Return the small tensors that a graph computes from constants and lengths.

    Args:
        graph: The graph.
        model: What it stands in.
        tensors: What is known of its tensors, and of those that it reads from around it.
        known: The constants, and what was computed before.
    """
    numbers = {name: onnx.numpy_helper.to_array(tensor) for name, tensor in known.items() if _small(tensor)}
    found: dict[str, onnx.TensorProto] = {}
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or len(node.output) != 1 or node.output[0] in known:
            continue
        result = _result(node, model, tensors, numbers)
        if result is not None and result.size <= _MOST_ELEMENTS:
            numbers[node.output[0]] = result
            found[node.output[0]] = onnx.numpy_helper.from_array(result, node.output[0])
    return found


def _small(tensor: onnx.TensorProto) -> bool:
    if prod(tensor.dims) > _MOST_ELEMENTS or tensor.data_location == onnx.TensorProto.EXTERNAL:
        return False
    return dtype_of(tensor.data_type) in ("int32", "int64", "bool", "float32", "float64")


def _result(
    node: onnx.NodeProto,
    model: onnx.ModelProto,
    tensors: Mapping[str, Tensor],
    numbers: Mapping[str, Array],
) -> Array | None:
    if node.op_type == _SHAPE:
        tensor = tensors.get(node.input[0]) if node.input else None
        if tensor is None or tensor.shape is None:
            return None
        bounds = {each.name: each.i for each in node.attribute}
        lengths = tensor.shape[bounds.get("start", 0) : bounds.get("end", len(tensor.shape))]
        whole = [length for length in lengths if length is not None]
        return np.array(whole, np.int64) if len(whole) == len(lengths) else None
    if node.op_type not in _ARITHMETIC or not all(name in numbers for name in node.input if name):
        return None
    read = {name: numbers[name] for name in node.input if name}
    alone = onnx.GraphProto(name="numbers", node=[node])
    for name, array in read.items():
        alone.input.append(
            onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        )
    alone.output.add(name=node.output[0])
    small = onnx.ModelProto(ir_version=model.ir_version, graph=alone, opset_import=model.opset_import)
    try:
        result = ReferenceEvaluator(small).run(None, read)[0]
    except Exception:  # whatever its operators raise, and what cannot be computed stays unknown
        return None
    array = np.asarray(result)
    return array if array.dtype.kind in "ibf" else None
