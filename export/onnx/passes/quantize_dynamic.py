"""From a float ONNX model to int8 weights and float activations."""

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime import quantization

from edgeport.export.onnx.passes.prepare import prepared_files

# onnxruntime computes these in integers, with activations that it quantizes as they come.
_INTEGER_KERNELS = ("MatMul", "Gemm", "LSTM")
_CONVOLUTIONS = {"Conv": 0, "ConvTranspose": 1}
_LEAST_WEIGHTS = 256


def quantize_dynamic(model: onnx.ModelProto, *, reduce_range: bool) -> onnx.ModelProto:
    """Return the model with int8 weights per channel, without any calibration.

    Matrix products run in integers. Convolutions keep their float kernels, since those in integers with activations
    quantized as they come (ConvInteger) are several times slower than float; their weights are stored in int8.

    Args:
        model: The float model.
        reduce_range: Use 7 of the 8 bits of the weights of matrix products: CPUs without VNNI add pairs of products in
            16 bits, which 8-bit weights overflow.
    """
    with prepared_files(model) as (prepared, quantized):
        # The quantizer breaks the inner graphs of loops: onnxruntime aborts on what it writes.
        graph = onnx.load(prepared).graph
        # Nor has a stack of matrices the zero points that onnxruntime asks for.
        stacks = {constant.name for constant in graph.initializer if len(constant.dims) > 2}
        nodes = [
            node.name
            for node in graph.node
            if node.op_type == "LSTM" or (node.op_type in _INTEGER_KERNELS and stacks.isdisjoint(node.input))
        ]
        # It makes a MatMul of this name, and an Add, of a Gemm.
        nodes += [f"{name}_MatMul" for name in nodes]
        if nodes:
            quantization.quantize_dynamic(
                prepared,
                quantized,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                reduce_range=reduce_range,
                op_types_to_quantize=list(_INTEGER_KERNELS),
                nodes_to_quantize=nodes,
            )
        result = onnx.load(quantized if nodes else prepared)
    _store_convolutions_in_int8(result)
    return result


def _store_convolutions_in_int8(model: onnx.ModelProto) -> None:
    """Replace the float weights of convolutions by int8 weights, a Cast and a Mul, which onnxruntime folds on loading.

    DequantizeLinear would say the same, but onnxruntime computes it anew in every run.
    """
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    added = []
    for node in graph.node:
        axis = _CONVOLUTIONS.get(node.op_type)
        if axis is None or node.input[1] not in constants:
            continue
        constant = constants.pop(node.input[1])
        weights = numpy_helper.to_array(constant)
        if weights.dtype != np.float32 or weights.size < _LEAST_WEIGHTS:
            continue
        others = tuple(place for place in range(weights.ndim) if place != axis)
        scale = np.maximum(np.abs(weights).max(others, keepdims=True), np.float32(1e-12)) / np.float32(127)
        graph.initializer.remove(constant)
        graph.initializer.extend(
            [
                numpy_helper.from_array(np.rint(weights / scale).astype(np.int8), f"{constant.name}_int8"),
                numpy_helper.from_array(scale, f"{constant.name}_scale"),
            ]
        )
        name = constant.name
        added += [
            helper.make_node(
                "Cast", [f"{name}_int8"], [f"{name}_cast"], name=f"{name}_cast", to=onnx.TensorProto.FLOAT
            ),
            helper.make_node("Mul", [f"{name}_cast", f"{name}_scale"], [name], name=f"{name}_mul"),
        ]
    nodes = [*added, *(onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node)]
    del graph.node[:]
    graph.node.extend(nodes)
