"""From what an engine answers to real values: one look-up per integer where there are only 256 of them."""

import numpy as np

from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.tensors.arrays import FloatArray, Tensor
from edgeport.runtime.tensors.quantization import ACTIVATIONS, activate, dequantize, is_short_row, shares

# exp() of more than this leaves the range of float64 on its way down.
_LONGEST_EXPONENT = 700.0


class Decoder:
    """Turns the raw answers of one output into float32 values, after the activation that its metadata names.

    Booleans and integers that stand for themselves, such as class ids, stay what they are.
    """

    __slots__ = ("_activation", "_exponentials", "_plain", "_spec", "_table")

    def __init__(self, spec: TensorSpec, activation: str) -> None:
        self._spec, self._activation = spec, activation
        self._table: Tensor | None = None
        self._exponentials: list[float] = []
        # The usual output of a float or ONNX artefact needs nothing before its activation.
        whole = activation == "none" and not spec.dtype.startswith("float")
        plain = (spec.dtype == "float32" or whole) and not spec.quantized
        self._plain = ACTIVATIONS[activation] if plain else None
        if spec.quantized and spec.dtype in ("int8", "uint8"):
            integers = np.arange(256, dtype=np.uint8).view(spec.dtype)
            real = dequantize(integers, scale=spec.scale, zero_point=spec.zero_point)
            if activation != "softmax":
                self._table = activate(real, activation)
            elif np.ptp(real) < _LONGEST_EXPONENT:
                self._table = np.exp(real.astype(np.float64) - real.max())
                self._exponentials = self._table.tolist()

    def __call__(self, raw: Tensor) -> FloatArray:
        """Return values of the same shape: float32, or the ids that they are."""
        if self._plain is not None:
            return self._plain(raw)
        if self._table is None:
            if self._spec.quantized:
                raw = dequantize(raw, scale=self._spec.scale, zero_point=self._spec.zero_point)
            return activate(raw.astype(np.float32, copy=False), self._activation)
        if self._exponentials and is_short_row(raw):
            (row,) = raw.tolist()
            # A negative int8 counts from the end of the list, which is where its byte is.
            return shares([self._exponentials[integer] for integer in row])
        values = self._table.take(raw.view(np.uint8), mode="clip")
        if self._activation != "softmax":
            return values
        values /= np.add.reduce(values, axis=-1, keepdims=True)
        return values.astype(np.float32)
