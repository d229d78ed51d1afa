"""Quantization-aware training: a trained float CNN as one that computes as its int8 files will, to be trained on."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.input_kinds import RAW_PIXELS, parsed_input
from edgeport.runtime.errors import InputError
from edgeport.runtime.tensors.encoding import real_pixels
from edgeport.train.models.scaling import keras_scales_pixels
from edgeport.train.quantization_aware.fake_quantization import FakeQuantize, observe
from edgeport.train.quantization_aware.layer_graph import read_layers
from edgeport.train.quantization_aware.layers import build_quantized

Samples = npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]]

_BATCH = 100


def quantize_aware(model: keras.Model, *, calibration: Samples, takes: str = "") -> keras.Model:
    """Return a model of the same weights that rounds as its int8 files will: train it on, save it, export it.

    Batch normalisations are folded into kernels, kernels are rounded per output channel, and activations per tensor,
    in ranges that begin with those of the calibration samples, follow the data in training, and are frozen at
    inference. Names and shapes of inputs and outputs stay. The model is not compiled; the given one is not changed.

    Args:
        model: A trained Sequential or Functional CNN.
        calibration: Some hundred samples as the model takes them in training: an array of shape (n, ...), or one for
            each input by its name. Of uint8 pixels the input's range is that of all pixels; of floats it is what they
            are.
        takes: What uint8 pixels become, as ``--input`` has it: ``pixels:-1:1`` for a model that is fed -1 to 1. Without
            it they stay what they are, 0 to 255.

    Raises:
        InputError: The model rounds already, has a layer that has no rule here, takes no floats, or holds NaN, the
            samples do not fit it, or nobody says what pixels are to it.

    Examples:
        >>> import numpy as np
        >>> from edgeport.train import build_model, quantize_aware
        >>> model = build_model("edge", image_shape=(28, 28, 1), class_count=10)
        >>> images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1)).astype("uint8")
        >>> rounding = quantize_aware(model, calibration=images)  # compile and fit it, then save and export it
        >>> rounding.output_shape
        (None, 10)
    """
    if any(isinstance(layer, FakeQuantize) for layer in getattr(model, "layers", ())):
        raise InputError("got a model that is quantization-aware already, expected a float one: train it on as it is")
    graph = read_layers(model)
    pixels = parsed_input(takes) if takes else RAW_PIXELS
    arrays = _checked(model, calibration)
    _check_numbers(model)
    if not takes and len(arrays) == 1 and arrays[0].dtype == np.uint8 and not keras_scales_pixels(model):
        raise InputError(
            f"calibration of {model.inputs[0].name}: got uint8 pixels for a model with nothing that scales them before "
            'its first weights: say what 0 and 255 are to it with takes="pixels:-1:1", or "pixels:0:255"'
        )
    inputs = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name) for tensor in model.inputs]
    outputs, input_ranges = build_quantized(graph, inputs)
    quantized = keras.Model(
        _packed(getattr(model, "_inputs_struct", None), inputs),
        _packed(getattr(model, "_outputs_struct", None), outputs),
        name=model.name,
    )
    observer = keras.Model(inputs, outputs)
    observe(observer, _batches(arrays, model.inputs[0].shape[0] or _BATCH, pixels))
    for array, layer in zip(arrays, input_ranges, strict=True):
        if array.dtype == np.uint8 and pixels.range:
            # Each of the 256 pixel values has its own step, whatever the samples hold.
            layer.widen(*pixels.range)
    return quantized


def _checked(model: keras.Model, calibration: Samples) -> list[npt.NDArray[Any]]:
    names = [tensor.name for tensor in model.inputs]
    samples = calibration if isinstance(calibration, Mapping) else {names[0]: calibration}
    if set(samples) != set(names):
        raise InputError(f"calibration: got samples for {', '.join(samples)}, expected {', '.join(names)}")
    arrays = [np.asarray(samples[name]) for name in names]
    for name, array, tensor in zip(names, arrays, model.inputs, strict=True):
        wanted = tuple(tensor.shape[1:])
        fits = array.ndim == len(wanted) + 1 and all(
            axis in (None, length) for axis, length in zip(wanted, array.shape[1:], strict=True)
        )
        if not fits or not len(array):
            shape = ", ".join(("n", *("any" if axis is None else str(axis) for axis in wanted)))
            raise InputError(f"calibration of {name}: got shape {array.shape}, expected ({shape})")
        if array.dtype != np.uint8 and (array.dtype.kind != "f" or not np.isfinite(array).all()):
            raise InputError(
                f"calibration of {name}: got {array.dtype}, expected uint8 pixels, or floats without NaN and infinity"
            )
        if len(array) != len(arrays[0]):
            raise InputError(
                f"calibration: got {len(array)} samples for {name}, expected {len(arrays[0])} as for the first input"
            )
    return arrays


def _check_numbers(model: keras.Model) -> None:
    """Raise InputError if the model does not take floats, or holds weights that are no numbers."""
    for tensor in model.inputs:
        if "float" not in tensor.dtype:
            raise InputError(
                f"input {tensor.name}: got a model that takes {tensor.dtype}, expected float32: rebuild it on "
                "keras.Input of float32 with the same weights; raw pixels may come as floats"
            )
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise InputError(f"weight {weight.path}: got NaN or infinity, expected a trained model")


def _batches(arrays: list[npt.NDArray[Any]], size: int, pixels: Input) -> Iterator[list[Any]]:
    for start in range(0, len(arrays[0]), size):
        # The last batch begins anew at the first sample: a model may be fixed to a batch.
        places = range(start, start + size)
        taken = [array.take(places, axis=0, mode="wrap") for array in arrays]
        yield [
            real_pixels(array, pixels) if array.dtype == np.uint8 and pixels.range else array.astype(np.float32)
            for array in taken
        ]


def _packed(struct: Any, tensors: list[Any]) -> Any:
    if struct is None or isinstance(struct, keras.KerasTensor):
        return tensors[0] if len(tensors) == 1 else tensors
    return keras.tree.pack_sequence_as(struct, tensors)
