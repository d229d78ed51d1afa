"""The precisions that ONNX knows: what each makes of the float32 model."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

import onnx

from edgeport.export.conversion.options import Options
from edgeport.export.conversion.ranges.histogram import Histogram
from edgeport.export.conversion.ranges.methods import MINMAX
from edgeport.export.onnx.passes.quantize_dynamic import quantize_dynamic
from edgeport.export.onnx.passes.quantize_static import quantize_static
from edgeport.export.onnx.passes.take_ranges import Steps, activation_steps
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
        seen: The values of the activations on the calibration samples, for all methods; empty until one asks for them.
    """

    calibration: CalibrationSet | None
    at_once: int
    trained: Mapping[str, Steps]
    options: Options
    seen: dict[str, Histogram] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """How activations get their ranges, where these are not known from training."""
        return MINMAX if self.trained else self.options.calibration_method


def _float32(model: onnx.ModelProto, material: Material) -> onnx.ModelProto:
    return model


def _float16(model: onnx.ModelProto, material: Material) -> onnx.ModelProto:
    return to_float16(model)


def _dynamic(model: onnx.ModelProto, material: Material) -> onnx.ModelProto:
    return quantize_dynamic(model, reduce_range=material.options.reduce_range)


def _int8(model: onnx.ModelProto, material: Material) -> onnx.ModelProto:
    if material.calibration is None:
        raise ExportError("int8 needs calibration samples, to know the ranges of its activations")
    return quantize_static(
        model,
        material.calibration,
        at_once=material.at_once,
        reduce_range=material.options.reduce_range,
        known=material.trained,
        method=material.method,
        seen=material.seen,
    )


def with_layers_in_floats(
    model: onnx.ModelProto, material: Material, in_floats: Collection[str], calibrated: Mapping[str, Steps]
) -> onnx.ModelProto:
    """Return a model in integers but for some layers.

    Args:
        model: The float32 model.
        material: What int8 is made with.
        in_floats: The layers that stay in floats.
        calibrated: The steps of the activations in int8, so that nothing needs to be calibrated again.
    """
    assert material.calibration is not None, "int8 was made with it"
    at_once, reduce_range = material.at_once, material.options.reduce_range
    quantize = partial(quantize_static, at_once=at_once, reduce_range=reduce_range, in_floats=in_floats)
    few = material.calibration.first(material.at_once)
    mixed = quantize(model, few, known={**calibrated, **material.trained})
    if activation_steps(mixed).keys() <= calibrated.keys():
        return mixed
    # Where a layer behind it stays in floats, a tensor may be rounded that int8 has no steps for.
    return quantize(model, material.calibration, known=material.trained, method=material.method, seen=material.seen)


SCHEMES: dict[str, Callable[[onnx.ModelProto, Material], onnx.ModelProto]] = {
    "float32": _float32,
    "float16": _float16,
    "dynamic": _dynamic,
    "int8": _int8,
    # Before any layer is taken out.
    "mixed": _int8,
}
