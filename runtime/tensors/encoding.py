"""To an artefact's own input type: from real values, and from pixels, where 256 values decide all."""

from collections.abc import Callable

import numpy as np

from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.tensors.arrays import Pixels, Tensor
from edgeport.runtime.tensors.quantization import quantize

_FLOAT32, _INT8 = np.dtype(np.float32), np.dtype(np.int8)
# A byte with its first bit turned over is the byte less 128, as a signed one.
_FIRST_BIT = np.array(0x80, np.uint8)


def pixel_encoder(table: Tensor) -> Callable[[Pixels], Tensor]:
    """Return the fastest exact way to map pixels by a table; all give an array of their shape in C order.

    Args:
        table: What each of the 256 pixel values becomes, of shape (256,).
    """
    if table.dtype == _FLOAT32 and np.array_equal(table, np.arange(256)):
        return _as_float32
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
