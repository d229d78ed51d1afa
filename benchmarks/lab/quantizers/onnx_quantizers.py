"""Ways to quantize an ONNX model, beside the one that the export takes."""

import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import onnx
import onnxruntime
import tf2onnx
from onnxruntime import quantization

from edgeport.export.onnx.passes.chained_nodes import chained_nodes
from edgeport.export.onnx.passes.prepare import prepared_files
from edgeport.export.verification.calibration import CalibrationSet

_BATCH = 100
_OPSET = 17
# On tensors of these the operators compute no floats, whatever they are given.
_MEASURES = ("Shape", "Size", "ArgMax", "Less", "Greater", "Equal", "Not", "Constant")
# They compute in integers, and two of them answer in floats.
_INTEGER = ("QLinear", "QGemm", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul")
_FLOAT_ANSWERS = ("MatMulIntegerToFloat", "DynamicQuantizeMatMul")
_BOUNDARIES = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")


def quantize(
    content: bytes,
    calibration: CalibrationSet,
    *,
    unsigned: bool = False,
    reduce_range: bool = True,
    method: str = "MinMax",
    operators: Sequence[str] = (),
    chained: bool = False,
) -> bytes:
    """Return a float32 model with int8 weights per channel and 8-bit activations, as QDQ.

    Args:
        content: The float32 model.
        calibration: Decides the ranges of the activations.
        unsigned: Whether activations are uint8 instead of int8.
        reduce_range: Whether weights use 7 of their 8 bits.
        method: ``MinMax``, ``Entropy`` or ``Percentile``.
        operators: The operators to quantize; empty for all that onnxruntime's quantizer knows.
        chained: Whether to quantize chains alone, see ``chained_nodes``.
    """
    model = onnx.load_from_string(content)
    activation = quantization.QuantType.QUInt8 if unsigned else quantization.QuantType.QInt8
    # Some of its calibrators print what they do to the standard output.
    with prepared_files(model) as (prepared, quantized), redirect_stdout(StringIO()):
        nodes = chained_nodes(onnx.load(prepared).graph) if chained else None
        quantization.quantize_static(
            prepared,
            quantized,
            _Reader(model.graph.input[0].name, calibration),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=activation,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=reduce_range,
            calibrate_method=quantization.CalibrationMethod[method],
            op_types_to_quantize=list(operators) or None,
            nodes_to_quantize=nodes,
        )
        return quantized.read_bytes()


def from_tflite(content: bytes) -> bytes:
    """Return the ONNX model that tf2onnx makes of an integer TFLite model: the same integers in the other format."""
    with tempfile.TemporaryDirectory(prefix="edgeport-") as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(content)
        model, _ = tf2onnx.convert.from_tflite(str(path), opset=_OPSET)
    serialized: bytes = model.SerializeToString()
    return serialized


def count_operators(content: bytes) -> tuple[int, int]:
    """Return how many Quantize and Dequantize operators, and how many in floats, are left once onnxruntime has fused.

    A file in QDQ form has a pair of them at every tensor; most vanish when onnxruntime loads it.
    """
    with tempfile.TemporaryDirectory(prefix="edgeport-") as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder, "optimised.onnx"))
        options.log_severity_level = 3
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        graph = onnx.load(options.optimized_model_filepath).graph
    return count_in(graph)


def count_in(graph: onnx.GraphProto) -> tuple[int, int]:
    """Return how many operators of a graph stand between floats and integers, and how many compute in floats."""
    floats = {tensor.name for tensor in graph.input if tensor.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    floats |= {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    boundaries = computing = 0
    for node in graph.node:
        if node.op_type in _BOUNDARIES:
            boundaries += 1
            floats |= set(node.output) if node.op_type == "DequantizeLinear" else set()
        # The scales of integer operators are floats, and what they compute is not.
        elif node.op_type.startswith(_INTEGER):
            floats |= set(node.output) if node.op_type in _FLOAT_ANSWERS else set()
        elif not floats.isdisjoint(node.input):
            measures = node.op_type in _MEASURES
            computing += not measures
            floats |= set() if measures else set(node.output)
    return boundaries, computing


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, calibration: CalibrationSet) -> None:
        self._name = name
        self._real = calibration.to_real(calibration.samples)[calibration.inputs[0].name]
        self._starts = iter(range(0, calibration.count, _BATCH))

    def get_next(self) -> dict[str, object] | None:
        start = next(self._starts, None)
        return None if start is None else {self._name: self._real[start : start + _BATCH]}
