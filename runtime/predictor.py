"""The face that every engine wears: raw pixels in, probabilities out."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError
from edgeport.runtime.quantization import FloatArray, activate, dequantize, quantize
from edgeport.runtime.spec import Spec

Tensor = npt.NDArray[Any]


class Predictor(ABC):
    """A loaded artefact. One class per format fills in ``run``; what surrounds it is the same for all.

    Attributes:
        spec: Shapes, dtypes, scales, labels and engine.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._image_shape = tuple(axis or 1 for axis in spec.input.shape[1:])
        self._pixels = _pixel_table(spec)

    @abstractmethod
    def run(self, tensor: Tensor) -> Tensor:
        """Return the engine's answer to one input tensor, in the engine's own types.

        Args:
            tensor: An array of ``spec.input.dtype`` and ``spec.input.shape``.

        Returns:
            An array of ``spec.output.dtype`` and ``spec.output.shape``.

        Raises:
            InputError: The array has another dtype or shape.
        """

    def encode(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Return pixels as ``run`` takes them: scaled to the model's input range, quantized if its input is.

        Args:
            images: uint8 pixels, 0..255, of shape (n, height, width) or (n, height, width, channels).

        Returns:
            An array of ``spec.input.dtype`` and shape (n, height, width, channels).

        Raises:
            InputError: The array is not uint8, or its shape is not the model's.
        """
        encoded: Tensor = self._pixels[self._checked(images)]
        return encoded

    def predict(self, images: npt.NDArray[np.uint8]) -> FloatArray:
        """Return the probability of each class for each image.

        Args:
            images: uint8 pixels, 0..255, of shape (n, height, width) or (n, height, width, channels).

        Returns:
            float32 of shape (n, classes). For a model that ends in a softmax each row sums to 1, also where its
            artefact stops just before it; a model that ends in logits gives logits.

        Raises:
            InputError: The array is not uint8, or its shape is not the model's.
        """
        raw = self._run_batch(self.encode(images))
        output = self.spec.output
        if output.quantized:
            raw = dequantize(raw, scale=output.scale, zero_point=output.zero_point)
        real = raw.astype(np.float32, copy=False)
        return activate(real, self.spec.card.activation if self.spec.card else "none")

    def _run_batch(self, tensor: Tensor) -> Tensor:
        """Like ``run``, for any number of images: in one call, or in the batches that the artefact is fixed to."""
        batch = self.spec.input.shape[0]
        if batch is None or len(tensor) == batch:
            return self.run(tensor)
        if len(tensor) % batch:
            raise InputError(
                f"{self.spec.name}: got {len(tensor)} images, expected a multiple of {batch}, "
                "the batch it was exported with"
            )
        return np.concatenate([self.run(tensor[start : start + batch]) for start in range(0, len(tensor), batch)])

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
        spec = self.spec.input
        wrong_shape = len(tensor.shape) != len(spec.shape) or any(
            expected is not None and got != expected for got, expected in zip(tensor.shape, spec.shape, strict=False)
        )
        if wrong_shape or tensor.dtype != spec.dtype:
            raise InputError(f"{self.spec.name}: got a tensor {tensor.dtype} {tensor.shape}, expected {spec}")

    def __repr__(self) -> str:
        spec = self.spec
        return (
            f"<{type(self).__name__} {spec.name}: {spec.input} -> {spec.output}, "
            f"{spec.engine} {spec.engine_version}, {spec.threads} thread{'s' * (spec.threads > 1)}>"
        )


def _pixel_table(spec: Spec) -> Tensor:
    """Return what each of the 256 pixel values is in the artefact's own input type: one look-up per pixel."""
    low, high = spec.card.input_range if spec.card else (0.0, 255.0)
    real = np.linspace(low, high, 256)
    tensor = spec.input
    if tensor.quantized:
        return quantize(real, scale=tensor.scale, zero_point=tensor.zero_point, dtype=tensor.dtype)
    return real.astype(tensor.dtype)
