"""The range of an integer activation from the values that it has on calibration samples.

A range that holds every value has the widest steps; a narrower one has finer steps, and saturates what lies beyond.

The same rule holds for both formats. The libraries' own do not: TFLiteConverter knows the smallest and the largest
value alone, onnxruntime's entropy finds the same in as many bins as there are steps, and its percentiles keep all
activations of all samples in memory. Each library still does the quantizing, with the ranges that it is given.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from edgeport.export.conversion.ranges.histogram import Histogram

MINMAX = "minmax"
# The best of all on samples that no range is taken from.
AUTO = "auto"
Range = tuple[float, float]
_Floats = npt.NDArray[np.float64]

# The share of values that a percentile range leaves out, over both ends.
_LEFT_OUT = 1e-4
_STEPS = 255
# The ranges that are tried, as shares of the widest one.
_SHARES = np.linspace(0.02, 1.0, 99)
# With fewer bins than integers nothing diverges.
_LEAST_SHARE = 0.1


def range_of(histogram: Histogram, method: str) -> Range:
    """Return the range of a tensor, which always has 0 in it.

    Args:
        histogram: Its values on the calibration samples.
        method: One of ``METHODS``.
    """
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if not np.isfinite([low, high]).all() or low == high or method == MINMAX:
        return (low, high) if np.isfinite([low, high]).all() else (0.0, 0.0)
    edges, counts = histogram.edges, histogram.counts
    used, zero = np.flatnonzero(counts), len(counts) // 2
    first, last = min(int(used[0]), zero), max(int(used[-1]) + 1, zero + 1)
    found = _RULES[method](edges[first : last + 1], counts[first:last].astype(np.float64), (low, high))
    return max(found[0], low), min(found[1], high)


def _percentile(edges: _Floats, counts: _Floats, widest: Range) -> Range:
    """The values but for the smallest and the largest 0.005 %."""
    below = np.cumsum(counts) / counts.sum()
    low = edges[np.searchsorted(below, _LEFT_OUT / 2)]
    high = edges[np.searchsorted(below, 1 - _LEFT_OUT / 2) + 1]
    return min(low, 0.0), max(high, 0.0)


def _mse(edges: _Floats, counts: _Floats, widest: Range) -> Range:
    """The range with the least mean squared error of rounding and saturating; one end after the other."""
    middles = (edges[1:] + edges[:-1]) / 2
    # A constant bin holds the zeros of a ReLU, which every range has exactly.
    inexact = np.where((edges[:-1] <= 0) & (edges[1:] > 0) & (widest[0] == 0), 0.0, counts)

    def error(low: float, high: float) -> float:
        beyond = np.maximum(low - middles, 0.0) + np.maximum(middles - high, 0.0)
        inside = inexact[beyond == 0].sum()
        return float((counts * np.square(beyond)).sum() + inside * ((high - low) / _STEPS) ** 2 / 12)

    low, high = widest
    share = min(_SHARES, key=lambda each: error(low * each, high * each))
    low, high = low * share, high * share
    for _ in range(2):
        low = min((widest[0] * each for each in _SHARES), key=lambda end: error(end, high))
        high = min((widest[1] * each for each in _SHARES), key=lambda end: error(low, end))
    return low, high


def _entropy(edges: _Floats, counts: _Floats, widest: Range) -> Range:
    """The range whose integers keep most of the distribution: the least Kullback-Leibler divergence.

    As NVIDIA describes it for TensorRT (GTC 2017), with the bins of both signs. As in its own tools the many zeros of a
    ReLU, which every range has exactly, count no more than their neighbours.
    """
    zero = int(np.searchsorted(edges, 0.0))
    if widest[0] == 0 and zero + 1 < len(counts):
        counts = np.concatenate([counts[:zero], counts[zero + 1 : zero + 2], counts[zero + 1 :]])
    low, high = widest
    sizes = max(-low, high) * _SHARES[_SHARES >= _LEAST_SHARE]
    return min(
        ((max(low, -size), min(high, size)) for size in sizes), key=lambda ends: _divergence(edges, counts, *ends)
    )


def _divergence(edges: _Floats, counts: _Floats, low: float, high: float) -> float:
    first, last = int(np.searchsorted(edges, low, "right")) - 1, int(np.searchsorted(edges, high, "left"))
    first, last = max(first, 0), max(min(last, len(counts)), first + 1)
    inside = counts[first:last]
    exact = inside.copy()
    exact[0] += counts[:first].sum()
    exact[-1] += counts[last:].sum()
    groups = np.minimum(np.arange(len(inside)) * (_STEPS + 1) // len(inside), _STEPS)
    sums = np.bincount(groups, inside, minlength=_STEPS + 1)
    filled = np.bincount(groups, inside > 0, minlength=_STEPS + 1)
    rounded = np.where(inside > 0, (sums / np.maximum(filled, 1))[groups], 0.0)
    # What saturates lies in bins that may have been empty.
    p, q = exact / exact.sum(), np.maximum(rounded / max(rounded.sum(), 1e-30), 1e-12)
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


_RULES: dict[str, Callable[[_Floats, _Floats, Range], Range]] = {
    "percentile": _percentile,
    "mse": _mse,
    "entropy": _entropy,
}
METHODS = (MINMAX, *_RULES)
