"""What a tensor must be before an engine sees it: engines take NaN, another byte order or another range in silence."""

import sys

import numpy as np

from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.errors import InputError
from edgeport.runtime.tensors.arrays import Tensor

# Images that were resized or normalised elsewhere may leave their range by a little: half a step between two pixels.
_SLACK = 0.5 / 255
_UINT32 = np.dtype(np.uint32)
# So few steps of an integer input leave next to nothing of what is fed.
_FEW_STEPS = 4
_EXPORTED = "the model was exported for"


class TensorCheck:
    """The check of one input tensor, prepared once: it is made on every call."""

    __slots__ = ("_artefact", "_bits", "_dtype", "_floats", "_free", "_high", "_low", "_rank", "_seen", "_tail", "spec")

    _low: float
    _high: float

    def __init__(self, spec: TensorSpec, *, artefact: str, pixel_range: tuple[float, float] | None = None) -> None:
        """Prepare.

        Args:
            spec: The tensor.
            artefact: What to call the file in a message.
            pixel_range: What a float tensor of an image may hold: the real values of the pixels 0 and 255.
        """
        self.spec = spec
        self._artefact = artefact
        self._dtype = np.dtype(spec.dtype)
        self._rank = len(spec.shape)
        # A free batch is the usual case; other free axes are looked at one by one.
        self._free = int(spec.shape[:1] == (None,))
        self._tail = spec.shape[self._free :]
        self._floats = self._dtype.kind == "f"
        # The last shape that was found good: the next one is mostly the same.
        self._seen: tuple[int, ...] | None = None
        self._low, self._high = _limits(spec)
        if pixel_range is not None:
            slack = _SLACK * (pixel_range[1] - pixel_range[0])
            self._low, self._high = pixel_range[0] - slack, pixel_range[1] + slack
        # Of float32 that starts at 0, as pixels mostly do: the largest value that it may have, as it is stored.
        starts_at_zero = pixel_range is not None and pixel_range[0] == 0 and self._dtype == np.float32
        self._bits = int(np.float32(self._high).view(_UINT32)) if starts_at_zero else 0

    def __call__(self, tensor: Tensor) -> None:
        """Return if the tensor can be fed, else raise InputError."""
        if type(tensor) is not np.ndarray and not isinstance(tensor, np.memmap):
            raise InputError(f"{self._artefact}: got a {type(tensor).__name__}, expected a numpy array {self.spec}")
        if tensor.shape != self._seen and not self._checked_elements(tensor):
            return
        if tensor.dtype is not self._dtype and tensor.dtype != self._dtype:
            raise self._unlike(tensor)
        if not self._floats:
            return
        # Searching an extreme is three times as fast as computing it.
        if self._bits:
            # Taken for an unsigned integer, a float is the larger the further it is from 0; any negative one is larger
            # than all others, and so is a NaN.
            bits = tensor.view(_UINT32)
            if bits.item(bits.argmax()) <= self._bits:
                return
        elif self._low <= tensor.item(tensor.argmin()) and tensor.item(tensor.argmax()) <= self._high:
            return
        self.check_values(tensor)

    def _checked_elements(self, tensor: Tensor) -> bool:
        """Check the shape, and return whether there are elements to check besides."""
        shape = tensor.shape
        alike = shape[self._free :] == self._tail or fits(shape, self.spec.shape)
        if not alike or len(shape) != self._rank:
            raise self._unlike(tensor)
        if 0 not in shape:
            self._seen = shape
            return True
        # A free axis may be empty, as that of a cache before the first step is; of nothing, the dtype is all there is.
        if tensor.dtype != self._dtype:
            raise self._unlike(tensor)
        return False

    def check_samples(self, real: Tensor) -> None:
        """Check real values before they are quantized: of any number of samples, and of any numeric type."""
        self.check_shape(real)
        if real.dtype.kind not in "fiub":
            raise self._unlike(real)
        self.check_values(real)

    def check_shape(self, samples: Tensor) -> None:
        """Raise InputError if they are no samples of this input, of any number of them and of any type."""
        if type(samples) is not np.ndarray and not isinstance(samples, np.memmap):
            got = type(samples).__name__
            raise InputError(f"{self._artefact}: got a {got}, expected a numpy array for {self.spec}")
        if len(samples.shape) != self._rank or not samples.size or not fits(samples.shape[1:], self.spec.shape[1:]):
            raise self._unlike(samples)

    def check_values(self, real: Tensor) -> None:
        """Raise InputError if real values are no numbers, or beyond what the input stands for."""
        whole = self._dtype.kind in "iub" and not self.spec.quantized
        wrong = ~np.isfinite(real)
        if not wrong.any() and whole and real.dtype.kind == "f":
            wrong = real != np.rint(real)
        if wrong.any():
            where = tuple(int(axis) for axis in np.argwhere(wrong)[0])
            raise InputError(
                f"{self._artefact}: got {real[where]} at {list(where)} of {self.spec.name}, and {int(wrong.sum())} "
                f"such values in all, expected {'whole' if whole else 'finite'} numbers"
            )
        # As numbers of Python, which compare exactly whatever their size.
        least, largest = real.min().item(), real.max().item()
        if not (self._low <= least and largest <= self._high):
            raise InputError(
                f"{self._artefact}: got values from {least:g} to {largest:g} for {self.spec.name}, "
                f"expected {self._low:.4g} to {self._high:.4g}, the range that {'it has' if whole else _EXPORTED}"
            )

    def _unlike(self, tensor: Tensor) -> InputError:
        dtype = str(tensor.dtype)
        if not tensor.dtype.isnative:
            dtype += f" (not in this machine's byte order, {sys.byteorder}-endian: use .astype({self.spec.dtype!r}))"
        return InputError(f"{self._artefact}: got a tensor {dtype} {tensor.shape}, expected {self.spec}")


def _limits(spec: TensorSpec) -> tuple[float, float]:
    """Return what a tensor can hold at all: a quantized one saturates, so that it takes any number."""
    kind = np.dtype(spec.dtype).kind
    if spec.quantized:
        return -np.inf, np.inf
    if kind == "f":
        largest = float(np.finfo(spec.dtype).max)
        return -largest, largest
    return (0, 1) if kind == "b" else (np.iinfo(spec.dtype).min, np.iinfo(spec.dtype).max)


def fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    """Whether a shape is the expected one; None stands for an axis of any length."""
    return len(shape) == len(expected) and all(axis in (None, got) for got, axis in zip(shape, expected, strict=True))


def as_array(values: object, spec: TensorSpec) -> Tensor:
    """Return what somebody gave as an array, or raise InputError."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"got values of uneven lengths, expected {spec}") from error


def few_steps(real: Tensor, tensor: TensorSpec, *, named: str) -> str:
    """Return a line on samples that use but a few of the steps of an integer input; empty if they use more, or none.

    Values from 0 to 1 of an input that stands for 0 to 255 are all 0 or 1 to it: they are scaled otherwise than those
    that calibrated it. Pixels are said by their range, and need no such look.

    Args:
        real: Samples as real values; uint8 are pixels.
        tensor: The input.
        named: What a message calls the file.
    """
    if not tensor.quantized or real.dtype == np.uint8:
        return ""
    most = float(np.abs(real).max(initial=0))
    if not 0 < most <= _FEW_STEPS * tensor.scale:
        return ""
    ends = np.iinfo(tensor.dtype)
    low, high = ((end - tensor.zero_point) * tensor.scale for end in (ends.min, ends.max))
    used = f"{round(most / tensor.scale)} of {int(ends.max) - int(ends.min)} steps of {tensor.name}"
    return (
        f"{named}: the samples, {float(real.min()):.4g} to {float(real.max()):.4g}, use {used}, which stands for "
        f"{low:.4g} to {high:.4g}: are they scaled as in training?"
    )
