"""The difference of two samples without their extremes."""

import math

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.statistics.normal import student_t95

_TRIMMED = 0.2


def trimmed_difference(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return by how much the trimmed mean of ``second`` exceeds that of ``first``, and half its 95 % interval.

    Yuen, "The two-sample trimmed t for unequal population variances", 1974: Welch's interval, after a fifth of the
    values is cut off at either end. The two samples may differ in their size and in their spread.

    Args:
        first: Values of shape (m,), at least 5, so that one is cut off at either end.
        second: Values of shape (n,), at least 5.
    """
    first_mean, first_error, first_kept = _trimmed_mean(first)
    second_mean, second_error, second_kept = _trimmed_mean(second)
    difference, error = second_mean - first_mean, first_error + second_error
    if error == 0.0:  # all alike: there is no spread to count degrees of freedom of
        return difference, 0.0
    freedom = error**2 / (first_error**2 / (first_kept - 1) + second_error**2 / (second_kept - 1))
    return difference, student_t95(int(freedom)) * math.sqrt(error)


def _trimmed_mean(values: npt.NDArray[np.float64]) -> tuple[float, float, int]:
    """Return the trimmed mean, the square of its standard error, and how many values are kept."""
    cut, ordered = int(_TRIMMED * len(values)), np.sort(values)
    kept = ordered[cut : len(values) - cut]
    # What is cut off is not forgotten: it counts in the spread, as far out as the outermost that is kept.
    squares = float(np.var(np.clip(values, kept[0], kept[-1]))) * len(values)
    return float(kept.mean()), squares / (len(kept) * (len(kept) - 1)), len(kept)
