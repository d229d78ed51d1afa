"""The ways of quantizing a model that are compared, and the model that they are tried on."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from edgeport.benchmarks.lab.quantizers import onnx_quantizers, tflite_quantizers
from edgeport.export import CalibrationSet, Options
from edgeport.export.conversion.ranges.methods import METHODS, MINMAX
from edgeport.export.onnx import convert as to_onnx
from edgeport.export.onnx.passes.chained_nodes import INTEGER_KERNELS, PRODUCTS
from edgeport.export.sources.source import Source
from edgeport.export.tflite import convert as to_tflite
from edgeport.runtime.tensors.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Subject:
    """One model, with what its ways have in common; it ends at the logits.

    Attributes:
        name: The model's name.
        source: The model.
        calibration: What the quantizers see, and the held-out samples.
        dataset: The data set to score it on, or empty.
    """

    name: str
    source: Source
    calibration: CalibrationSet
    dataset: str

    @cached_property
    def tflite_float(self) -> tuple[bytes, float]:
        """The float32 TFLite model that litert-quantizer takes, and the seconds to make it."""
        return _timed(lambda: tflite_quantizers.float_model(self.source))

    @cached_property
    def onnx_float(self) -> tuple[bytes, float]:
        """The float32 ONNX model that onnxruntime's quantizer takes, and the seconds to make it."""
        return _timed(lambda: self.exported("onnx", "float32"))

    @cached_property
    def held_out(self) -> FloatArray:
        """The held-out samples, as the model takes them."""
        return self.real(self.calibration.held_out)

    @cached_property
    def reference(self) -> FloatArray:
        """What TensorFlow answers on the held-out samples."""
        return tflite_quantizers.reference_answers(self.source, self.held_out)

    def real(self, samples: Mapping[str, Any]) -> FloatArray:
        """Return the values of samples as the model takes them."""
        array: FloatArray = self.calibration.to_real(samples)[self.source.inputs[0].name]
        return array

    def exported(self, format_name: str, precision: str, *, tensor_type: str = "int8", method: str = MINMAX) -> bytes:
        """Return what the export makes of the model."""
        convert = to_tflite.convert if format_name == "tflite" else to_onnx.convert
        options = Options(tensor_type=tensor_type, calibration_method=method)
        return convert(self.source, precision=precision, calibration=self.calibration, options=options)


@dataclass(frozen=True)
class Way:
    """One way.

    Attributes:
        format: ``tflite`` or ``onnx``.
        name: What tables call it.
        make: Returns the bytes of the file, and the seconds that they took from the traced model on.
    """

    format: str
    name: str
    make: Callable[[Subject], tuple[bytes, float]]


def _timed(make: Callable[[], bytes]) -> tuple[bytes, float]:
    started = time.perf_counter()
    content = make()
    return content, time.perf_counter() - started


def _converter(precision: str) -> Way:
    name = precision if precision == "float32" else f"{precision}, TFLiteConverter"
    return Way("tflite", name, lambda subject: _timed(lambda: subject.exported("tflite", precision)))


def _litert(precision: str) -> Way:
    def make(subject: Subject) -> tuple[bytes, float]:
        model, before = subject.tflite_float
        content, seconds = _timed(lambda: tflite_quantizers.quantize(model, subject.calibration, precision=precision))
        return content, before + seconds

    return Way("tflite", f"{precision}, litert-quantizer", make)


def _exported(precision: str, *, method: str = MINMAX) -> Way:
    def make(subject: Subject) -> tuple[bytes, float]:
        # The export converts to float32 once, and derives the others from it.
        _, before = subject.onnx_float
        content, seconds = _timed(lambda: subject.exported("onnx", precision, method=method))
        return content, before + seconds

    return Way("onnx", f"{precision}, as exported" + (f", {method}" if method != MINMAX else ""), make)


def _ranged(method: str) -> Way:
    name = f"int8, TFLiteConverter, {method}"
    return Way("tflite", name, lambda subject: _timed(lambda: subject.exported("tflite", "int8", method=method)))


def _static(name: str, **options: Any) -> Way:
    def make(subject: Subject) -> tuple[bytes, float]:
        model, before = subject.onnx_float
        content, seconds = _timed(lambda: onnx_quantizers.quantize(model, subject.calibration, **options))
        return content, before + seconds

    return Way("onnx", name, make)


def _from_tflite(subject: Subject) -> tuple[bytes, float]:
    # Float inputs and outputs, since an ONNX file does not hold the scales of integer ones.
    return _timed(lambda: onnx_quantizers.from_tflite(subject.exported("tflite", "int8", tensor_type="float32")))


WAYS = (
    _converter("float32"),
    _converter("int8"),
    *(_ranged(method) for method in METHODS if method != MINMAX),
    _litert("int8"),
    _converter("int16x8"),
    _litert("int16x8"),
    _converter("dynamic"),
    _litert("dynamic"),
    Way("onnx", "float32", lambda subject: subject.onnx_float),
    _exported("dynamic"),
    _exported("int8"),
    *(_exported("int8", method=method) for method in METHODS if method != MINMAX),
    Way("onnx", "the integers of TFLite", _from_tflite),
    _static("int8, all operators"),
    _static("int8, 8-bit weights", reduce_range=False),
    _static("int8, entropy", method="Entropy"),
    _static("int8, percentile", method="Percentile"),
    _static("int8, products alone", operators=PRODUCTS),
    _static("int8, with a kernel", operators=INTEGER_KERNELS),
    _static("int8, in chains", chained=True),
    _static("uint8, all operators", unsigned=True),
    _static("uint8, products alone", unsigned=True, operators=PRODUCTS),
    _static("uint8, with a kernel", unsigned=True, operators=INTEGER_KERNELS),
    _static("uint8, in chains", unsigned=True, chained=True),
)
