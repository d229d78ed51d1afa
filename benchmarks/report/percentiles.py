"""Percentiles of latency that people are shown, with their intervals."""

from dataclasses import dataclass

from edgeport.benchmarks.report.raw.record import Series
from edgeport.benchmarks.statistics.latency import percentile_interval, percentile_supported

PERCENTS = (50, 90, 99)
# As for the ratio of two latencies: fewer processes say too little of how processes differ.
FEWEST_LAUNCHES = 6


@dataclass(frozen=True)
class Percentile:
    """A percentile of a latency, in nanoseconds.

    Attributes:
        value: The percentile.
        interval: Its 95 % interval; None if there are too few processes for one.
    """

    value: float
    interval: tuple[float, float] | None

    @property
    def bounded(self) -> tuple[float, float, float]:
        """The value and the ends of its interval, which a bootstrap may put beside it; they are the value without."""
        low, high = self.interval or (self.value, self.value)
        return self.value, min(low, self.value), max(high, self.value)


def percentiles_of(series: Series) -> dict[int, Percentile]:
    """Return those of PERCENTS that the number of calls supports."""
    several = len(series.launches) >= FEWEST_LAUNCHES
    return {
        percent: Percentile(
            series.percentile_us(percent) * 1e3, percentile_interval(series.launches, percent) if several else None
        )
        for percent in PERCENTS
        if percent == min(PERCENTS) or percentile_supported(len(series.samples), percent)
    }
