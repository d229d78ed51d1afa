"""From a float ONNX model to int8, as pairs of QuantizeLinear and DequantizeLinear (QDQ)."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime import quantization

from edgeport.export.conversion.options import check_layers
from edgeport.export.conversion.ranges.histogram import Histogram
from edgeport.export.conversion.ranges.methods import MINMAX, range_of
from edgeport.export.graphs.places import layer_of_onnx_node
from edgeport.export.onnx.passes.byte_pixels import moved, steps_of_pixels
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
    known: Mapping[str, Steps] | None = None,
    in_floats: Collection[str] = (),
    method: str = MINMAX,
    seen: dict[str, Histogram] | None = None,
) -> onnx.ModelProto:
    """Return the model with int8 weights per channel and 8-bit activations (uint8), where integers pay.

    Args:
        model: A float32 model.
        calibration: Decides the ranges of the activations.
        at_once: How many samples to compute at a time.
        reduce_range: Use 7 of the 8 bits of weights: CPUs without VNNI add pairs of products in 16 bits, which 8-bit
            weights overflow, so the same file would answer differently there.
        known: The steps of tensors whose ranges are known: from quantization-aware training, or an earlier calibration.
        in_floats: The layers whose operators stay in floats; what is in no layer goes by its own name.
        method: See ``range_of``.
        seen: The values of the activations on the same samples; what is missing is added.
    """
    with prepared_files(model) as (prepared, quantized):
        graph = onnx.load(prepared).graph
        check_layers(in_floats, {name for node in graph.node for name in (layer_of_onnx_node(node.name), node.name)})
        nodes = chained_nodes(graph, in_floats=in_floats)
        if not nodes:
            raise ExportError(_no_kernels(graph))
        overrides = _overrides(graph, {**steps_of_pixels(graph, calibration.raw_pixels), **(known or {})})
        calibrating = calibration
        if method != MINMAX:
            seen = {} if seen is None else seen
            seen.update({} if seen else _seen(prepared, _Reader(model, calibration, at_once)))
            # Every pixel can come, whatever the samples have.
            kept = {name for port in calibration.inputs if port.kind == "pixels" for name in moved(graph, port.name)}
            overrides = _ranges(seen, method, kept) | overrides
            # It asks for samples all the same.
            calibrating = calibration.first(at_once)
        quantization.quantize_static(
            prepared,
            quantized,
            _Reader(model, calibrating, at_once),
            quant_format=quantization.QuantFormat.QDQ,
            nodes_to_quantize=nodes,
            # int8 would be turned into uint8 on x86 when the file is loaded, but not around residual connections.
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=reduce_range,
            extra_options={"TensorQuantOverrides": overrides},
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


def _overrides(graph: Any, known: Mapping[str, Steps]) -> dict[str, list[dict[str, Any]]]:
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
        for name, steps in known.items()
        if name in present
    }


def _ranges(seen: Mapping[str, Histogram], method: str, kept: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the ranges that a method finds for the tensors of a prepared model, as overrides; some keep theirs."""
    found = {name: range_of(each, MINMAX if name in kept else method) for name, each in seen.items()}
    return {
        name: [{"quant_type": quantization.QuantType.QUInt8, "rmin": np.float32(low), "rmax": np.float32(high)}]
        for name, (low, high) in found.items()
    }


def _seen(prepared: Path, reader: "_Reader") -> dict[str, Histogram]:
    """Return the values of the tensors of a prepared model, but for those that are 0 alone."""
    model = onnx.load(prepared)
    names = [value.name for value in model.graph.input]
    computed = [name for node in model.graph.node for name in node.output if name]
    stated = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in computed if name not in stated)
    options = onnxruntime.SessionOptions()
    # What is fused leaves no tensor between.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    histograms = {name: Histogram() for name in (*names, *computed)}
    while (given := reader.get_next()) is not None:
        for name, values in (*zip(computed, session.run(computed, given), strict=True), *given.items()):
            if name in histograms and isinstance(values, np.ndarray) and values.dtype.kind == "f":
                histograms[name].add(values)
    return {name: each for name, each in histograms.items() if each.counts.any()}


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
