"""Operators that keep onnxruntime busy."""

import numpy as np
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgeport.benchmarks.profile.onnx.parts import session_options
from edgeport.benchmarks.profile.peaks import CONVOLUTIONS, PRODUCTS, Effort
from edgeport.runtime.tensors.arrays import Tensor

# What quantized files have here: activations in uint8, weights in int8 that no kernel has to fear saturation from.
_SCALES = {"scale": np.float32(0.1), "zero_u8": np.uint8(0), "zero_s8": np.int8(0)}
_RANDOM_BELOW = 60


def efforts(kind: str, *, threads: int) -> list[Effort]:
    """Return large products of matrices and convolutions.

    Args:
        kind: ``int8`` or ``float32``.
        threads: Threads that the engine may use.
    """
    integer = kind == "int8"
    found = []
    for rows, summed, columns in PRODUCTS:
        given, weights = _tensors((rows, summed), (summed, columns), integer=integer)
        node = (
            helper.make_node("MatMulInteger", ["x", "w", "zero_u8", "zero_s8"], ["y"])
            if integer
            else helper.make_node("MatMul", ["x", "w"], ["y"])
        )
        out = TensorProto.INT32 if integer else TensorProto.FLOAT
        found.append(_effort(rows * summed * columns, node, given, weights, out, threads))
    for side, channels in CONVOLUTIONS:
        # onnxruntime brings integers into the order NHWC before it convolves them.
        shape = (1, side, side, channels) if integer else (1, channels, side, side)
        given, weights = _tensors(shape, (channels, channels, 3, 3), integer=integer)
        scaled = ["x", "scale", "zero_u8", "w", "scale", "zero_s8", "scale", "zero_u8"]
        padded = {"pads": [1, 1, 1, 1]}
        node = (
            helper.make_node("QLinearConv", scaled, ["y"], domain="com.microsoft", channels_last=1, **padded)
            if integer
            else helper.make_node("Conv", ["x", "w"], ["y"], **padded)
        )
        out = TensorProto.UINT8 if integer else TensorProto.FLOAT
        found.append(_effort(side * side * channels * channels * 9, node, given, weights, out, threads))
    return found


def _tensors(given: tuple[int, ...], weights: tuple[int, ...], *, integer: bool) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(0)
    if not integer:
        return random.random(given, np.float32), random.random(weights, np.float32)
    return (
        random.integers(0, 255, given, np.uint8),
        random.integers(-_RANDOM_BELOW, _RANDOM_BELOW, weights, np.int8),
    )


def _effort(macs: int, node: NodeProto, given: Tensor, weights: Tensor, out: int, threads: int) -> Effort:
    constants = {"w": weights, **{name: value for name, value in _SCALES.items() if name in node.input}}
    graph = helper.make_graph(
        [node],
        "effort",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(given.dtype), given.shape)],
        [helper.make_tensor_value_info("y", out, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(threads), providers=["CPUExecutionProvider"]
    )
    named = {"x": given}
    return Effort(macs, lambda: session.run(None, named))
