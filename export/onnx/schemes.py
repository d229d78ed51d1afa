"""The precisions that ONNX knows: what each makes of the float32 model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import onnx

from edgeport.export.conversion.options import Options
from edgeport.export.conversion.ranges.methods import MINMAX
from edgeport.export.onnx.passes.quantize_dynamic import quantize_dynamic
from edgeport.export.onnx.passes.quantize_static import quantize_static
from edgeport.export.onnx.passes.take_ranges import Steps
from edgeport.export.onnx.passes.to_float16 import to_float16
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.runtime.errors import ExportError


@dataclass(frozen=True)
class Material:
    """What a precision may be made with.

    Attributes:
        calibration: Decides the ranges of integer activations, if there is one.
        at_once: How many samples to compute at a time.
        trained: The steps of tensors whose ranges are known from quantization-aware training.
        options: The choices of the export.
    """

    calibration: CalibrationSet | None
    at_once: int
    trained: Mapping[str, Steps]
    options: Options


def _float32(model: onnx.ModelProto, material: Material) -> onnx.ModelProto:
    return model


def _float16(model: onnx.ModelProto, material: Material) -> onnx.ModelProto:
    return to_float16(model)


def _dynamic(model: onnx.ModelProto, material: Material) -> onnx.ModelProto:
    return quantize_dynamic(model, reduce_range=material.options.reduce_range)


def _int8(model: onnx.ModelProto, material: Material, *, mixed: bool = False) -> onnx.ModelProto:
    if material.calibration is None:
        raise ExportError("int8 needs calibration samples, to know the ranges of its activations")
    return quantize_static(
        model,
        material.calibration,
        at_once=material.at_once,
        reduce_range=material.options.reduce_range,
        trained=material.trained,
        in_floats=material.options.keep_float if mixed else (),
        method=MINMAX if material.trained else material.options.calibration_method,
    )


SCHEMES: dict[str, Callable[[onnx.ModelProto, Material], onnx.ModelProto]] = {
    "float32": _float32,
    "float16": _float16,
    "dynamic": _dynamic,
    "int8": _int8,
    "mixed": partial(_int8, mixed=True),
}
