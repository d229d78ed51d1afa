"""Latencies and how far they can be trusted, from calls that were timed in several processes.

Calls of one process are alike: they share its memory layout and the moment at which it ran. So the processes, not the
calls, are what varies by chance, and a hundred thousand calls in one process say less than a hundred in each of ten.
Every interval here rests on the spread between processes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from edgeport.benchmarks.statistics.ranks import signed_rank_cut

Processes = Sequence[Sequence[int]]
# Of five, the highest and the lowest are cut off.
FEWEST_UNPAIRED = 5
_BEYOND = 10
_RESAMPLES = 1000
_TRIMMED = 0.2


@dataclass(frozen=True)
class Ratio:
    """How many times as long one candidate takes as another, with a 95 % interval.

    Attributes:
        ratio: Above 1 the other is slower than the base; NaN if there was nothing to compare.
        low: Where the interval begins; 0 if there are too few processes for one.
        high: Where it ends; infinite if there are too few processes.
    """

    ratio: float
    low: float
    high: float

    @property
    def contains_one(self) -> bool:
        """Whether the two may well be equally fast."""
        return self.low <= 1.0 <= self.high


def percentile_supported(count: int, percent: float) -> bool:
    """Return whether so many calls can tell this percentile.

    At least ten calls must lie beyond it: 100 for p90, 1,000 for p99. The median has calls on both sides, and needs
    ten in all.
    """
    if percent == 50:
        return count >= _BEYOND
    # Rounded, since 100 - 99.9 falls short of 0.1.
    return round(count * min(percent, 100 - percent), 6) >= 100 * _BEYOND


def percentile_interval(processes: Processes, percent: float, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a percentile over all calls, in nanoseconds.

    A two-stage bootstrap: processes are drawn with replacement, then calls within each of them (Davison and Hinkley,
    "Bootstrap methods and their application", 1997, 3.8). The second stage needs no drawing: the number of calls below
    a latency is a sum of binomials, whose normal approximation is averaged over the processes that were drawn. The
    interval is widened for a small number of processes as Student's is ("expanded percentile", Hesterberg, "What
    teachers should know about the bootstrap", 2015). It does not foresee what is rarer than the processes: with a
    single one only its calls vary, and the far percentiles of a machine that disturbs one process in fifty need more
    than twenty.

    Args:
        processes: The timed calls of each process, in nanoseconds.
        percent: 0 to 100.
        seed: Of the random numbers; the same seed gives the same interval.
    """
    sorted_processes = [np.sort(np.asarray(process, np.float64)) for process in processes if len(process)]
    pooled = np.sort(np.concatenate(sorted_processes))
    sizes = np.array([len(process) for process in sorted_processes], np.float64)
    number = len(sizes)
    drawn = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=_RESAMPLES)
    # The percentile is at most x if more than this many calls are.
    needed = (drawn @ sizes - 1) * percent / 100 + 0.5

    def chance_at_most(latency: float) -> float:
        below = np.array([np.searchsorted(process, latency, side="right") for process in sorted_processes])
        mean = drawn @ below
        deviation = np.sqrt(drawn @ (below * (1 - below / sizes)))
        return float(special.ndtr((mean - needed) / np.maximum(deviation, 1e-9)).mean())

    tail = 0.025
    if number > 1:
        tail = float(special.ndtr(math.sqrt(number / (number - 1)) * stats.t.ppf(0.025, number - 1)))
    estimate = float(np.percentile(pooled, percent))
    low, high = _first(pooled, chance_at_most, tail), _first(pooled, chance_at_most, 1 - tail)
    return min(low, estimate), max(high, estimate)


def latency_ratio(base: Processes, other: Processes) -> Ratio:
    """Return how many times as long ``other`` takes as ``base``, from processes that ran at the same time.

    Processes of the same index are a pair. Each gives the ratio of their medians, and the logarithms of the ratios
    the estimate of Hodges and Lehmann ("Estimates of location based on rank tests", 1963) with the exact interval of
    Wilcoxon's signed-rank test. It covers the truth whatever the noise between processes is, heavy tails included,
    as long as both candidates have the same: the difference of two that are alike is symmetric. A disturbed process,
    however slow, counts as one process.

    Fewer than six pairs bear no 95 % interval: it runs from 0 to infinity then.

    Args:
        base: The timed calls of each process of one candidate, in nanoseconds.
        other: Those of the other. Processes without a partner, or without calls, are left out.
    """
    pairs = [(first, second) for first, second in zip(base, other, strict=False) if len(first) and len(second)]
    if not pairs:
        return _unbounded(math.nan)
    logs = _log_medians([second for _, second in pairs]) - _log_medians([first for first, _ in pairs])
    later, earlier = np.tril_indices(len(logs))
    averages = np.sort((logs[later] + logs[earlier]) / 2)
    ratio, cut = math.exp(float(np.median(averages))), signed_rank_cut(len(logs))
    return Ratio(ratio, math.exp(averages[cut - 1]), math.exp(averages[-cut])) if cut else _unbounded(ratio)


def latency_ratio_unpaired(base: Processes, other: Processes, *, scale: float = 1.0) -> Ratio:
    """Return how many times as long ``other`` takes as ``base``, from two runs.

    The processes of two runs are no pairs, and one run may have been noisier than the other. So the logarithms of
    the medians are compared by their trimmed means, a fifth cut off at either end, with Yuen's interval ("The two-
    sample trimmed t for unequal population variances", 1974). A rank test would not do, since it takes for granted
    that both runs are equally noisy. What sets the runs apart as a whole, such as a machine that is slower today,
    is not in the interval; ``scale`` is for that.

    Fewer than FEWEST_UNPAIRED processes on either side bear no interval that withstands a disturbed process: it runs
    from 0 to infinity then.

    Args:
        base: The timed calls of each process of one run, in nanoseconds.
        other: Those of the other run. Processes without calls are left out.
        scale: By what the base is multiplied first: how many times as slow the machine was in the other run.
    """
    first = _log_medians([process for process in base if len(process)]) + math.log(scale)
    second = _log_medians([process for process in other if len(process)])
    if not len(first) or not len(second):
        return _unbounded(math.nan)
    if min(len(first), len(second)) < FEWEST_UNPAIRED:
        return _unbounded(math.exp(float(np.median(second) - np.median(first))))
    difference = float(stats.trim_mean(second, _TRIMMED) - stats.trim_mean(first, _TRIMMED))
    if not _spread(first) and not _spread(second):  # all alike: there is no spread to count degrees of freedom of
        return Ratio(*[math.exp(difference)] * 3)
    test = stats.ttest_ind(second, first, equal_var=False, trim=_TRIMMED)
    low, high = test.confidence_interval(0.95)
    return Ratio(math.exp(difference), math.exp(low), math.exp(high))


def _spread(values: npt.NDArray[np.float64]) -> float:
    """Return how far those values are apart that are not cut off."""
    cut = int(_TRIMMED * len(values))
    return float(np.ptp(np.sort(values)[cut : len(values) - cut]))


def _first(values: npt.NDArray[np.float64], chance: Callable[[float], float], wanted: float) -> float:
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(values[middle]) >= wanted else (middle + 1, high)
    return float(values[low])


def _log_medians(processes: Processes) -> npt.NDArray[np.float64]:
    return np.log([float(np.median(process)) for process in processes])


def _unbounded(ratio: float) -> Ratio:
    return Ratio(ratio, 0.0, math.inf)
