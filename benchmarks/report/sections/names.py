"""Cells that several tables share."""

from edgeport.benchmarks.report.document import Cell, Column
from edgeport.benchmarks.report.findings import Candidate
from edgeport.benchmarks.report.looks import colour_of, mark_of
from edgeport.benchmarks.report.percentiles import Percentile
from edgeport.benchmarks.statistics.latency import Ratio

ARTEFACT = Column("artefact", numeric=False)


def named(candidate: Candidate, *, look: str = "") -> Cell:
    """Return a candidate's name with the mark that it has in all charts."""
    measured = candidate.measured
    return Cell(candidate.name, mark=(colour_of(measured.format), mark_of(measured.precision)), look=look)


def latency_cell(percentile: Percentile | None, factor: float) -> Cell:
    """Return a percentile with its interval, in the unit of so many nanoseconds."""
    if percentile is None:
        return Cell(None)
    ends = percentile.interval and (percentile.interval[0] / factor, percentile.interval[1] / factor)
    return Cell(percentile.value / factor, "amount", interval=ends)


def ratio_cell(ratio: Ratio | None) -> Cell:
    """Return a ratio of latencies with its interval."""
    if ratio is None:
        return Cell(None)
    return Cell(ratio.ratio, "ratio", interval=(ratio.low, ratio.high) if is_bounded(ratio) else None)


def scaled(value: float | None, factor: float, kind: str = "amount") -> Cell:
    """Return an amount in another unit."""
    return Cell(value / factor if value else None, kind)


def is_bounded(ratio: Ratio) -> bool:
    """Return whether there were processes enough for an interval."""
    return ratio.low > 0 and ratio.high != float("inf")
