"""To an artefact's own input type: from real values, and from pixels, where 256 values decide all."""

from collections.abc import Callable

import numpy as np

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.tensors.arrays import FloatArray, Pixels, Tensor
from edgeport.runtime.tensors.quantization import quantize

_FLOAT32, _INT8, _UINT8 = np.dtype(np.float32), np.dtype(np.int8), np.dtype(np.uint8)
# A byte with its first bit turned over is the byte less 128, as a signed one.
_FIRST_BIT = np.array(0x80, np.uint8)


def real_pixels(images: Pixels, port: Input) -> FloatArray:
    """Return grey or RGB pixels as the float32 values that they are to the model itself, in its order of channels.

    Args:
        images: uint8 of shape (n, ...), RGB where there are three channels.
        port: An input that takes pixels.
    """
    assert port.range is not None, f"{port.name} takes no pixels"
    return np.linspace(*port.range, 256).astype(np.float32)[ordered(images, port)]


def real_values(values: Tensor, port: Input) -> Tensor:
    """Return samples as the model itself takes them: pixels as the values that they are to it, all else as it is."""
    return real_pixels(values, port) if port.range is not None and values.dtype == np.uint8 else values


def encoder_of(port: Input, tensor: TensorSpec) -> Callable[[Pixels], Tensor]:
    """Return what maps grey or RGB pixels to an artefact's own input type, for an input that takes pixels."""
    assert port.range is not None, f"{port.name} takes no pixels"
    encoded = pixel_encoder(encode(np.linspace(*port.range, 256), tensor))
    return encoded if port.channels != "bgr" else lambda images: encoded(ordered(images, port))


def ordered(images: Pixels, port: Input) -> Pixels:
    """Return grey or RGB pixels in the order of channels that a model takes."""
    # Whatever is looked up keeps the order in memory of what it is looked up for, and engines want it in C order.
    return np.ascontiguousarray(images[..., ::-1]) if port.channels == "bgr" else images


def pixel_encoder(table: Tensor) -> Callable[[Pixels], Tensor]:
    """Return the fastest exact way to map pixels by a table; all give an array of their shape in C order.

    Args:
        table: What each of the 256 pixel values becomes, of shape (256,).
    """
    if table.dtype == _FLOAT32 and np.array_equal(table, np.arange(256)):
        return _as_float32
    if table.dtype == _UINT8 and np.array_equal(table, np.arange(256)):
        return np.ascontiguousarray
    if table.dtype == _INT8 and np.array_equal(table, np.arange(-128, 128)):
        return _as_int8

    def look_up(images: Pixels) -> Tensor:
        # No pixel is beyond the table; with this mode numpy need not look.
        return table.take(images, mode="clip")

    return look_up


def _as_float32(images: Pixels) -> Tensor:
    return images.astype(_FLOAT32, order="C", subok=False)


def _as_int8(images: Pixels) -> Tensor:
    return np.bitwise_xor(images, _FIRST_BIT, order="C", subok=False).view(_INT8)


def encode(real: Tensor, tensor: TensorSpec) -> Tensor:
    """Return real values in the artefact's own input type."""
    if tensor.quantized:
        return quantize(real, scale=tensor.scale, zero_point=tensor.zero_point, dtype=tensor.dtype)
    return real.astype(tensor.dtype)
