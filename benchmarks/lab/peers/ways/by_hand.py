"""What a careful user writes around a bare engine: pixels to its input type, its output to probabilities."""

from collections.abc import Callable, Mapping

import numpy as np

from edgeport.benchmarks.report.raw.record import ENGINE_CALL, LABEL
from edgeport.runtime.tensors.arrays import FloatArray, Pixels, Tensor

# Images a call where answers are asked for; more would take gigabytes with a larger model.
BATCH = 50


class ByHand:
    """An engine's own call between numpy's; see ``measure.candidates.candidate.OpenedCandidate``.

    Attributes:
        engine: ``name`` and ``version`` of what runs it.
    """

    def __init__(
        self,
        engine: Mapping[str, str],
        *,
        run: Callable[[Tensor], Tensor],
        encode: Callable[[Pixels], Tensor],
        decode: Callable[[Tensor], FloatArray] = lambda raw: raw,
        batch: int = BATCH,
    ) -> None:
        """Put the parts together.

        Args:
            engine: ``name`` and ``version`` of what runs it.
            run: From the engine's input of one batch to its output.
            encode: From uint8 pixels of shape (n, height, width, channels) to the engine's input.
            decode: From the engine's output to float32 probabilities of shape (n, classes).
            batch: How many images a call takes, at most.
        """
        self.engine = engine
        self._run, self._encode, self._decode, self._batch = run, encode, decode, batch

    def answers(self, images: Pixels) -> FloatArray:
        """See OpenedCandidate.answers."""
        starts = range(0, len(images), self._batch)
        return np.concatenate([self._predict(images[start : start + self._batch]) for start in starts])

    def call(self, what: str, images: Pixels) -> Callable[[], object]:
        """See OpenedCandidate.call."""
        if what == ENGINE_CALL:
            tensor, run = self._encode(images), self._run
            return lambda: run(tensor)
        if what == LABEL:
            return lambda: self._predict(images).argmax(axis=1)
        return lambda: self._predict(images)

    def _predict(self, images: Pixels) -> FloatArray:
        return self._decode(self._run(self._encode(images)))


def to_float32(images: Pixels) -> FloatArray:
    """Return pixels as float32, for a model that takes 0 to 255."""
    return images.astype(np.float32)


def quantized(real: FloatArray, *, scale: float, zero_point: int) -> Tensor:
    """Return real values as int8: q = real / scale + zero_point, rounded and clipped."""
    q: Tensor = np.clip(np.rint(real / np.float32(scale)) + zero_point, -128, 127).astype(np.int8)
    return q


def dequantized(q: Tensor, *, scale: float, zero_point: int) -> FloatArray:
    """Return int8 values as float32: real = (q - zero_point) * scale."""
    return (q.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def softmax(logits: FloatArray) -> FloatArray:
    """Return probabilities of shape (n, classes) for logits of that shape."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: FloatArray = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
