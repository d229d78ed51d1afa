"""Arrays in a report: compressed, and as text that JSON can hold."""

import base64
import math
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

_DTYPES = ("bool", "uint8", "int8", "int32", "int64", "float32", "float64")
# Of all arrays of a report together; a report is a file that people send each other.
MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class Packed:
    """An array as JSON holds it.

    Attributes:
        dtype: The numpy dtype's name; little-endian.
        shape: Its axes.
        data: Its bytes in C order, compressed by zlib, in base64.
    """

    dtype: str
    shape: tuple[int, ...]
    data: str

    @cached_property
    def array(self) -> npt.NDArray[Any]:
        """The array itself.

        Raises:
            ValueError: It is damaged, or larger than it says.
        """
        if self.dtype not in _DTYPES or any(axis < 0 for axis in self.shape):
            raise ValueError(f"an array of {self.dtype} {list(self.shape)}")
        dtype = np.dtype(self.dtype).newbyteorder("<")
        size = math.prod(self.shape) * dtype.itemsize
        if size > MOST_BYTES:
            raise ValueError(f"an array of {size:,} bytes")
        unpacker = zlib.decompressobj()
        try:
            content = unpacker.decompress(base64.b64decode(self.data, validate=True), size + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if len(content) != size:
            raise ValueError(f"{len(content):,} bytes for an array of {size:,}")
        array: npt.NDArray[Any] = np.frombuffer(content, dtype).reshape(self.shape)
        return array


def packed(array: npt.NDArray[Any]) -> Packed:
    """Return an array as a report holds it."""
    values = np.ascontiguousarray(array)
    content = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    return Packed(values.dtype.name, values.shape, base64.b64encode(zlib.compress(content, 1)).decode())
