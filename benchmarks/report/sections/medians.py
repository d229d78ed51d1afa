"""A short table of a device that has numpy alone: what was counted and timed, without intervals and verdicts."""

import numpy as np

from edgeport.benchmarks.report.document import Cell, Column, Table
from edgeport.benchmarks.report.raw.record import PREDICT, Measured, Report

_COLUMNS = (
    Column("artefact", numeric=False),
    Column("top-1"),
    Column("flips", rank=1),
    Column("kB", rank=2),
    Column("p50 us"),
    Column("pixels us", rank=3),
    Column("start ms", rank=4),
    Column("peak MB", rank=5),
)
_OF_CLASSES = ("top-1", "flips")


def medians_table(report: Report) -> Table:
    """Return the table."""
    columns = [column for column in _COLUMNS if not (report.judged and column.name in _OF_CLASSES)]
    title = f"{report.model} on {report.count:,} test {report.sample}s of {report.dataset['name']}"
    return Table(title, columns, [_row(report, each) for each in report.artefacts])


def _row(report: Report, measured: Measured) -> list[Cell]:
    starts = {name: [getattr(start, name) for start in measured.starts] for name in ("total_ns", "peak_rss_bytes")}
    total, peak = (float(np.median(each)) if each else 0.0 for each in starts.values())
    calls = [measured.find(), measured.find(PREDICT)]
    texts = [
        measured.name,
        *([] if report.judged else [f"{report.accuracy(measured):.2%}", f"{len(report.flips(measured)):,}"]),
        f"{measured.bytes / 1e3:.0f}" if measured.bytes else None,
        *(f"{each.percentile_us(50):.1f}" if each else None for each in calls),
        f"{total / 1e6:.0f}" if total else None,
        f"{peak / 1e6:.0f}" if peak else None,
    ]
    return [Cell(text) for text in texts]
