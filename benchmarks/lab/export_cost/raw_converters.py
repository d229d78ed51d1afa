"""What a user would write to get the same nine artefacts without edgeport: the converters' own calls.

Each as its documentation says, and generously so: the model is loaded once, ONNX float32 is converted once and the
other ONNX variants are derived from it, and nothing is checked, described or written beside them.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from edgeport.runtime.tensors.arrays import FloatArray

_OPSET = 17
# Many small images at a time are quick; the activations of many large ones would fill the memory.
_LARGEST_BATCH = 100
_LARGEST_INPUT = 2_000_000


def convert_all(path: Path, images: FloatArray) -> dict[str, float]:
    """Return the seconds of loading, and of each variant.

    Args:
        path: A Keras file.
        images: The calibration samples as the model takes them, of shape (n, height, width, channels).
    """
    seconds: dict[str, float] = {}

    def timed(name: str, make: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        made = make()
        seconds[name] = time.perf_counter() - started
        return made

    model = timed("loading", lambda: keras.models.load_model(path))
    for precision in ("float32", "float16", "dynamic", "int8", "int16x8"):
        timed(f"tflite {precision}", partial(_to_tflite, model, precision, images))
    with tempfile.TemporaryDirectory(prefix="edgeport-") as folder:
        float32 = Path(folder, "float32.onnx")
        converted = timed("onnx float32", lambda: _to_onnx(model, float32))
        timed("onnx float16", lambda: _to_float16(converted, Path(folder, "float16.onnx")))
        timed("onnx dynamic", lambda: _to_dynamic(float32, Path(folder, "dynamic.onnx")))
        timed("onnx int8", lambda: _to_int8(float32, Path(folder, "int8.onnx"), images))
    return seconds


def convert_to_int8(path: Path, images: FloatArray) -> bytes:
    """Return the int8 TFLite file of a Keras file; see convert_all."""
    return _to_tflite(keras.models.load_model(path), "int8", images)


def _to_tflite(model: Any, precision: str, images: FloatArray) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision in ("int8", "int16x8"):
        converter.representative_dataset = lambda: _one_by_one(images)
    if precision == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    if precision == "int16x8":
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,
        ]
    content: bytes = converter.convert()
    return content


def _to_onnx(model: Any, path: Path) -> onnx.ModelProto:
    shape = (None, *model.inputs[0].shape[1:])
    function = tf.function(lambda image: model(image, training=False))
    signature = [tf.TensorSpec(shape, tf.float32, name="image")]
    converted, _ = tf2onnx.convert.from_function(function, signature, opset=_OPSET, output_path=str(path))
    return converted


def _to_float16(model: onnx.ModelProto, path: Path) -> None:
    onnx.save(convert_float_to_float16(model, keep_io_types=True), path)


def _to_dynamic(float32: Path, path: Path) -> None:
    quantization.quantize_dynamic(float32, path, weight_type=quantization.QuantType.QInt8, per_channel=True)


def _to_int8(float32: Path, path: Path, images: FloatArray) -> None:
    prepared = path.with_name("prepared.onnx")
    quant_pre_process(float32, prepared, skip_symbolic_shape=True)
    quantization.quantize_static(
        prepared,
        path,
        _Reader(images),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
    )


def _one_by_one(images: FloatArray) -> Iterator[list[FloatArray]]:
    for place in range(len(images)):
        yield [images[place : place + 1]]


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: FloatArray) -> None:
        batch = max(1, min(_LARGEST_BATCH, _LARGEST_INPUT // images[0].size))
        self._parts = iter(np.split(images, range(batch, len(images), batch)))

    def get_next(self) -> dict[str, object] | None:
        part = next(self._parts, None)
        return None if part is None else {"image": part}
