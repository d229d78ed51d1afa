"""Means and variances of channels, and how unlike two of them are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# A channel that never varied in training has no size to compare with: it gets this share of the median one's.
_LEAST_SHARE = 1e-3
# So unlike that more makes no difference.
_MOST = 20.0

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """The mean and the variance of each channel.

    Attributes:
        mean: Of shape (channels,).
        variance: Of the same shape.
    """

    mean: _Floats
    variance: _Floats


class Sums:
    """Adds values up, some at a time."""

    def __init__(self, channels: int) -> None:
        """Begin with no values; with one channel all places count as that."""
        self._channels = channels
        self._count, self._total, self._squares = 0, np.zeros(channels), np.zeros(channels)

    def add(self, values: npt.NDArray[Any]) -> None:
        """Add values of shape (n, ..., channels)."""
        flat = values.astype(np.float64).reshape(-1, self._channels)
        self._count += len(flat)
        self._total += flat.sum(axis=0)
        self._squares += np.square(flat).sum(axis=0)

    @property
    def moments(self) -> Moments:
        """The moments of all values so far."""
        mean = self._total / max(self._count, 1)
        return Moments(mean, np.maximum(self._squares / max(self._count, 1) - np.square(mean), 0.0))


def unlikeness(found: Moments, expected: Moments) -> _Floats:
    """Return for each channel how unlike it is what was expected: 0 for alike, 0.5 for one standard deviation away.

    It is the Kullback-Leibler divergence between two normal distributions with these moments, 20 at the most.
    """
    varies = expected.variance[expected.variance > 0]
    least = _LEAST_SHARE * float(np.median(varies)) if varies.size else 1e-12
    size = expected.variance + least
    ratio = (found.variance + least) / size
    squared = np.square(found.mean - expected.mean) / size
    result: _Floats = np.minimum((ratio - 1 - np.log(ratio) + squared) / 2, _MOST)
    return result
