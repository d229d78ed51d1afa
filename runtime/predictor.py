"""The face that every engine wears: raw pixels in, probabilities out; or tensors by name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError
from edgeport.runtime.quantization import FloatArray, activate, dequantize, quantize
from edgeport.runtime.spec import Spec, TensorSpec

Tensor = npt.NDArray[Any]


class Predictor(ABC):
    """A loaded artefact. One class per format fills in ``run`` and ``run_named``; the rest is the same for all.

    Attributes:
        spec: Shapes, dtypes, scales, labels and engine.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    @abstractmethod
    def run(self, tensor: Tensor) -> Tensor:
        """Return the engine's answer to one input tensor, in the engine's own types.

        Args:
            tensor: An array of ``spec.input.dtype`` and ``spec.input.shape``.

        Returns:
            An array of ``spec.output.dtype`` and ``spec.output.shape``.

        Raises:
            InputError: The array has another dtype or shape, or the artefact has several inputs.
        """

    @abstractmethod
    def run_named(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the engine's answer to several input tensors, in the engine's own types.

        Args:
            tensors: For each of ``spec.inputs`` its name and an array of its dtype and shape.

        Returns:
            For each of ``spec.outputs`` its name and an array of its dtype and shape.

        Raises:
            InputError: An input is missing or unknown, or an array has another dtype or shape.
        """

    def answer(self, real: Mapping[str, Tensor]) -> dict[str, FloatArray]:
        """Return the model's real outputs for real inputs, whatever types the artefact has.

        Args:
            real: For each of ``spec.inputs`` its name and an array of (n, ...) real values, or of integers where the
                model itself takes integers.

        Returns:
            For each of ``spec.outputs`` its name and float32 values of shape (n, ...), after the activation that the
            artefact leaves to the runtime.

        Raises:
            InputError: An input is missing or unknown, or has another shape.
        """
        self._check_names(real)
        raw = self._run_batches({tensor.name: _encode(real[tensor.name], tensor) for tensor in self.spec.inputs})
        return {tensor.name: self._decode(raw[tensor.name], place) for place, tensor in enumerate(self.spec.outputs)}

    def encode(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Return pixels as ``run`` takes them: scaled to the model's input range, quantized if its input is.

        Args:
            images: uint8 pixels, 0..255, of shape (n, height, width) or (n, height, width, channels).

        Returns:
            An array of ``spec.input.dtype`` and shape (n, height, width, channels).

        Raises:
            InputError: The array is not uint8, its shape is not the model's, or the model takes no images.
        """
        table = self._pixels
        encoded: Tensor = table[self._checked(images)]
        return encoded

    def predict(self, images: npt.NDArray[np.uint8]) -> FloatArray:
        """Return the probability of each class for each image.

        Args:
            images: uint8 pixels, 0..255, of shape (n, height, width) or (n, height, width, channels).

        Returns:
            float32 of shape (n, classes): the first output. For a model that ends in a softmax each row sums to 1, also
            where its artefact stops just before it; a model that ends in logits gives logits.

        Raises:
            InputError: The array is not uint8, its shape is not the model's, or the model takes no images.
        """
        encoded = self.encode(images)
        batch = self.spec.input.shape[0]
        if batch is None or len(encoded) == batch:
            return self._decode(self.run(encoded), 0)
        return self._decode(self._run_batches({self.spec.input.name: encoded})[self.spec.output.name], 0)

    @cached_property
    def _image_shape(self) -> tuple[int, ...]:
        return tuple(axis or 1 for axis in self.spec.input.shape[1:])

    @cached_property
    def _pixels(self) -> Tensor:
        """What each of the 256 pixel values is in the artefact's own input type: one look-up per pixel."""
        card, tensor = self.spec.card, self.spec.input
        pixel_range = card.inputs[0].range if card else (0.0, 255.0)
        if pixel_range is None or len(self.spec.inputs) > 1:
            inputs = "; ".join(map(str, self.spec.inputs))
            raise InputError(f"{self.spec.name} takes {inputs}, and no images: use run(), run_named() or answer()")
        return _encode(np.linspace(*pixel_range, 256), tensor)

    def _decode(self, raw: Tensor, place: int) -> FloatArray:
        """Return the real values of the output at ``place``, after the activation that its card names."""
        tensor, card = self.spec.outputs[place], self.spec.card
        if tensor.quantized:
            raw = dequantize(raw, scale=tensor.scale, zero_point=tensor.zero_point)
        return activate(raw.astype(np.float32, copy=False), card.outputs[place].activation if card else "none")

    def _run_batches(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Like ``run_named``, for any number of samples: in one call, or in the batches of a fixed artefact."""
        batch = self.spec.input.shape[0] if self.spec.input.shape else None
        count = len(tensors[self.spec.input.name])
        if batch is None or count == batch:
            return self.run_named(tensors)
        if count % batch:
            raise InputError(
                f"{self.spec.name}: got {count} samples, expected a multiple of {batch}, the batch it was exported with"
            )
        parts = [
            self.run_named({name: tensor[start : start + batch] for name, tensor in tensors.items()})
            for start in range(0, count, batch)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _checked(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the images with the model's own axes, or raise InputError."""
        shape = self._image_shape
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
            got = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
            raise InputError(
                f"{self.spec.name}: got {got} images, expected a uint8 array of pixels from 0 to 255. "
                "For the artefact's own input type use run()."
            )
        if not images.size:
            raise InputError(f"{self.spec.name}: got no images, expected at least one")
        if images.shape[1:] == shape and images.ndim == len(shape) + 1:
            return images
        if shape[-1:] == (1,) and images.shape[1:] == shape[:-1] and images.ndim == len(shape):
            return images[..., np.newaxis]
        raise InputError(
            f"{self.spec.name}: got images of shape {images.shape}, expected (n, {', '.join(map(str, shape))})"
        )

    def _check_tensor(self, tensor: Tensor) -> None:
        if len(self.spec.inputs) > 1:
            raise InputError(f"{self.spec.name} has {len(self.spec.inputs)} inputs: name them with run_named()")
        self._check_one(tensor, self.spec.input)

    def _check_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        self._check_names(tensors)
        for tensor in self.spec.inputs:
            self._check_one(tensors[tensor.name], tensor)

    def _check_names(self, tensors: Mapping[str, Tensor]) -> None:
        if tensors.keys() != {tensor.name for tensor in self.spec.inputs}:
            raise InputError(
                f"{self.spec.name}: got the inputs {', '.join(tensors)}, "
                f"expected {', '.join(map(str, self.spec.inputs))}"
            )

    def _check_one(self, tensor: Tensor, spec: TensorSpec) -> None:
        wrong_shape = len(tensor.shape) != len(spec.shape) or any(
            expected is not None and got != expected for got, expected in zip(tensor.shape, spec.shape, strict=False)
        )
        if wrong_shape or tensor.dtype != spec.dtype:
            raise InputError(f"{self.spec.name}: got a tensor {tensor.dtype} {tensor.shape}, expected {spec}")

    def __repr__(self) -> str:
        spec = self.spec
        tensors = " -> ".join(", ".join(map(str, side)) for side in (spec.inputs, spec.outputs))
        return (
            f"<{type(self).__name__} {spec.name}: {tensors}, "
            f"{spec.engine} {spec.engine_version}, {spec.threads} thread{'s' * (spec.threads > 1)}>"
        )


def _encode(real: Tensor, tensor: TensorSpec) -> Tensor:
    """Return real values in the artefact's own input type."""
    if tensor.quantized:
        return quantize(real, scale=tensor.scale, zero_point=tensor.zero_point, dtype=tensor.dtype)
    return real.astype(tensor.dtype)
