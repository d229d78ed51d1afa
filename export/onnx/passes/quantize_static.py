"""From a float ONNX model to int8, as pairs of QuantizeLinear and DequantizeLinear (QDQ)."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from onnxruntime import quantization

from edgeport.export.conversion.options import check_layers
from edgeport.export.graphs.places import layer_of_onnx_node
from edgeport.export.onnx.passes.chained_nodes import chained_nodes
from edgeport.export.onnx.passes.prepare import prepared_files
from edgeport.export.onnx.passes.take_ranges import Steps
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.runtime.errors import ExportError


def quantize_static(
    model: onnx.ModelProto,
    calibration: CalibrationSet,
    *,
    at_once: int,
    reduce_range: bool,
    trained: Mapping[str, Steps] | None = None,
    in_floats: Collection[str] = (),
) -> onnx.ModelProto:
    """Return the model with int8 weights per channel and 8-bit activations (uint8), where integers pay.

    Args:
        model: A float32 model.
        calibration: Decides the ranges of the activations, by their minimum and maximum.
        at_once: How many samples to compute at a time.
        reduce_range: Use 7 of the 8 bits of weights: CPUs without VNNI add pairs of products in 16 bits, which 8-bit
            weights overflow, so the same file would answer differently there.
        trained: The steps of tensors whose ranges are known from quantization-aware training.
        in_floats: The layers whose operators stay in floats.
    """
    with prepared_files(model) as (prepared, quantized):
        graph = onnx.load(prepared).graph
        check_layers(in_floats, {layer_of_onnx_node(node.name) for node in graph.node})
        nodes = chained_nodes(graph, in_floats=in_floats)
        if not nodes:
            raise ExportError(_no_kernels(graph))
        quantization.quantize_static(
            prepared,
            quantized,
            _Reader(model, calibration, at_once),
            quant_format=quantization.QuantFormat.QDQ,
            nodes_to_quantize=nodes,
            # int8 would be turned into uint8 on x86 when the file is loaded, but not around residual connections.
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=reduce_range,
            extra_options={"TensorQuantOverrides": _overrides(graph, trained or {})},
        )
        result = onnx.load(quantized)
    if not any(node.op_type == "QuantizeLinear" for node in result.graph.node):
        raise ExportError("onnxruntime's quantizer found nothing to quantize: a model of float32 weights is expected")
    return result


def _no_kernels(graph: Any) -> str:
    weights = {
        tensor.name
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and math.prod(tensor.dims) > 1
    }
    kinds = sorted({node.op_type for node in graph.node if weights.intersection(node.input)})
    kinds = kinds or sorted({node.op_type for node in graph.node})
    dynamic = ", or dynamic" if "LSTM" in kinds else ""
    return (
        f"onnxruntime computes no operator of the model in integers (got {', '.join(kinds)}): use float16{dynamic} in "
        "ONNX, or int8 in TFLite"
    )


def _overrides(graph: Any, trained: Mapping[str, Steps]) -> dict[str, list[dict[str, Any]]]:
    """Return what onnxruntime shall not take from the calibration, for the tensors that the graph still has."""
    present = {name for node in graph.node for name in (*node.input, *node.output)}
    return {
        name: [
            {
                "quant_type": quantization.QuantType.QUInt8,
                "scale": np.array(steps.scale, np.float32),
                "zero_point": np.array(steps.zero_point, np.uint8),
            }
        ]
        for name, steps in trained.items()
        if name in present
    }


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, model: onnx.ModelProto, calibration: CalibrationSet, at_once: int) -> None:
        self._calibration = calibration
        self._names = [tensor.name for tensor in model.graph.input]
        fixed = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
        self._batch = fixed or at_once
        self._fixed = bool(fixed)
        self._starts = iter(range(0, calibration.count, self._batch))

    def get_next(self) -> dict[str, object] | None:
        start = next(self._starts, None)
        if start is None:
            return None
        real = self._calibration.to_real(self._calibration.part(start, self._batch, filled=self._fixed))
        return {name: real[name] for name in self._names}
