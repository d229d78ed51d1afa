"""How often a tensor has which values, counted while they come."""

from typing import Any

import numpy as np
import numpy.typing as npt

# On each side of 0. The bins of a range that was guessed four times too wide are still finer than an integer step.
_BINS = 4_096
_LARGEST = float(np.finfo(np.float32).max)


class Histogram:
    """Counts of values in equal bins around 0; bins are joined when larger values come.

    Attributes:
        low: The least value so far; infinity if there was none.
        high: The largest.
    """

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self._limit = 0.0
        self._counts = np.zeros(2 * _BINS, np.int64)

    def add(self, values: npt.NDArray[Any]) -> None:
        """Count values of any shape; those that are no numbers are left out."""
        flat = values.reshape(-1)
        if not flat.size or not np.isfinite([flat.min(), flat.max()]).all():
            flat = flat[np.isfinite(flat)]
        if not flat.size:
            return
        flat = flat.astype(np.float32, copy=False)
        low, high = float(flat.min()), float(flat.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._reach(max(-low, high))
        if self._limit:
            # A power of two, so that products are exact, also in the values' own type.
            scale = _BINS / self._limit
            places = flat * (np.float32(scale) if scale < _LARGEST else scale)
            numbers = np.floor(places, out=places).astype(np.int64)
            numbers += _BINS
            self._counts += np.bincount(numbers.clip(0, 2 * _BINS - 1, out=numbers), minlength=2 * _BINS)

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """The ends of the bins, one more than there are bins."""
        return np.linspace(-self._limit, self._limit, 2 * _BINS + 1)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many values lie in each bin."""
        return self._counts

    def _reach(self, size: float) -> None:
        """Make the bins wide enough for values of some size."""
        if size <= self._limit:
            return
        wanted = float(2.0 ** np.ceil(np.log2(size)))
        if self._limit:
            joined = int(min(wanted / self._limit, _BINS))
            half = _BINS // joined
            counts = np.zeros_like(self._counts)
            counts[_BINS - half : _BINS + half] = self._counts.reshape(-1, joined).sum(axis=1)
            self._counts = counts
        self._limit = wanted
