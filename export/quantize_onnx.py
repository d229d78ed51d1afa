"""From a float ONNX model to int8, as pairs of QuantizeLinear and DequantizeLinear (QDQ)."""

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from edgeport.export.calibration import CalibrationSet

_BATCH = 100


def quantize(model: onnx.ModelProto, calibration: CalibrationSet) -> onnx.ModelProto:
    """Return the model with int8 weights per channel and int8 activations.

    The weights use 7 of their 8 bits (``reduce_range``): CPUs without VNNI add pairs of products in 16 bits, which
    8-bit weights overflow, so the same file would answer differently there.

    Args:
        model: A float32 model with one input.
        calibration: Decides the ranges of the activations, by their minimum and maximum.
    """
    with tempfile.TemporaryDirectory(prefix="edgeport-") as folder:
        original, prepared, quantized = (Path(folder, f"{step}.onnx") for step in ("original", "prepared", "quantized"))
        # Handed a model object instead of a file, the preprocessor loses small constants.
        onnx.save(model, original)
        # Symbolic shape inference would need sympy, and shapes here are known but for the batch.
        quant_pre_process(original, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantized,
            _Reader(model.graph.input[0].name, calibration),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
        )
        return onnx.load(quantized)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, input_name: str, calibration: CalibrationSet) -> None:
        real = calibration.to_real(calibration.images)
        self._feeds = iter([{input_name: real[start : start + _BATCH]} for start in range(0, len(real), _BATCH)])

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        return next(self._feeds, None)
