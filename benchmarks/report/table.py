"""The benchmark's summary: a table for the terminal and for Markdown, and report.md around it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from edgeport.benchmarks.measure.conditions import disturbances
from edgeport.benchmarks.report.findings import Findings, Subject, findings_of
from edgeport.benchmarks.report.markdown_sections import SECTIONS, markdown_of
from edgeport.benchmarks.report.record import PREDICT, Report
from edgeport.benchmarks.report.words import enumerated, percent_span
from edgeport.benchmarks.statistics.paired import Paired
from edgeport.benchmarks.statistics.verdicts import GAIN, LOSS, NO_LOSS, TOO_FEW

_LEGEND = {
    "top-1": "the share of images that are answered right",
    "95 %": "its Wilson interval",
    "\u00b1": "half its 95 % Wilson interval",
    "flips": "images answered unlike the Keras model: - right to wrong, + wrong to right, ~ wrong to another wrong",
    "verdict": "of an exact McNemar test on the flips, with the points lost or gained",
    "p50 us": "one engine call on one image",
    "x float32": "as a multiple of the float32 artefact of the same format, with the 95 % interval",
    "pixels us": "p50 of predict(), from raw pixels to probabilities",
    "start ms": "from a new process to its first prediction",
    "peak MB": "the most memory that it held",
}

_UNKNOWN = "-"
_VERDICTS = {NO_LOSS: "no loss seen", LOSS: "loss", GAIN: "gain", TOO_FEW: "too few"}


@dataclass(frozen=True)
class _Column:
    """A column of the summary.

    Attributes:
        name: Its heading.
        cell: What it says of a candidate.
        rank: In a terminal that is too narrow for all, the columns with the highest ranks are left out.
    """

    name: str
    cell: Callable[[Subject], str]
    rank: int = 0


def terminal_table(report: Report, *, width: int = 80) -> Table:
    """Return the summary as a table for a rich console, with as many columns as there is room for.

    Args:
        report: What was measured.
        width: Of the console, in characters.
    """
    findings = findings_of(report)
    columns = [(each, [each.cell(subject) for subject in findings.subjects]) for each in _TERMINAL]
    while len(columns) > 1 and sum(_width(*each) + 1 for each in columns) - 1 > width:
        columns.remove(max(columns, key=lambda each: each[0].rank))
    table = Table(title=_title(report), title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for column, _ in columns:
        table.add_column(column.name, justify="left" if column.name in _LEFT else "right", no_wrap=True)
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*row)
    return table


def legend_of(table: Table) -> str:
    """Return what the columns of a summary mean."""
    return _legend([str(column.header) for column in table.columns])


def table_rows(report: Report) -> list[tuple[str, ...]]:
    """Return the cells of the Markdown summary as text, one row a candidate."""
    return _rows(findings_of(report))


def markdown_table(report: Report) -> str:
    """Return the summary as a Markdown table, ending with a newline."""
    return markdown_of([each.name for each in _MARKDOWN], table_rows(report))


def markdown_report(report: Report) -> str:
    """Return report.md: the summary, the verdicts, all further tables, and how to reproduce them."""
    findings = findings_of(report)
    notes = "".join(f"- {note}\n" for note in report_notes(report))
    parts = [
        f"# {_title(report)}\n",
        markdown_of([each.name for each in _MARKDOWN], _rows(findings)),
        f"{LEGEND}\n",
        notes,
        "## Verdicts\n" if findings.others else "",
        "".join(f"- {line}\n" for line in _verdicts(findings)),
        *(section(findings) for section in SECTIONS),
    ]
    return "\n".join(part for part in parts if part)


def report_notes(report: Report) -> list[str]:
    """Return what one must know before one believes the figures: what was not run, or cut short, or disturbed."""
    notes = []
    if report.partial:
        notes.append(f"Partial: {report.partial}")
    if not report.reference.timed:
        notes.append("The Keras model was not run here, and so not timed: its answers are recorded ones")
    notes += [f"Skipped: {each['file']}: {each['reason']}" for each in report.skipped]
    return notes + [f"Disturbed: {each}" for each in disturbances(report.conditions, report.host)]


def verdict_notes(report: Report) -> list[str]:
    """Return the verdicts on accuracy, one sentence each; artefacts of which the same can be said share one."""
    return _verdicts(findings_of(report))


def _legend(names: Sequence[str]) -> str:
    return ". ".join(f"{name}: {_LEGEND[name]}" for name in names if name in _LEGEND) + "."


def _verdicts(findings: Findings) -> list[str]:
    told: dict[str, list[str]] = {}
    for subject in findings.others:
        if subject.verdict:
            told.setdefault(subject.verdict.sentence, []).append(subject.name)
    return [f"{enumerated(names)}: {sentence}" for sentence, names in told.items()]


def _rows(findings: Findings) -> list[tuple[str, ...]]:
    return [tuple(column.cell(subject) for column in _MARKDOWN) for subject in findings.subjects]


def _title(report: Report) -> str:
    return f"{report.model} on {len(report.truth):,} test images of {report.dataset['name']}"


def _width(column: _Column, cells: Sequence[str]) -> int:
    return max(map(len, (column.name, *cells)))


def _half_interval(subject: Subject) -> str:
    low, high = subject.accuracy_interval
    return f"{50 * (high - low):.2f}"


def _flips(subject: Subject) -> str:
    if subject.paired is None:
        return _UNKNOWN
    kinds = _kinds(subject.paired)
    return " ".join(f"{sign}{count:,}" for sign, count in kinds.items() if count) or "0"


def _kinds(paired: Paired) -> dict[str, int]:
    return {"-": paired.right_to_wrong, "+": paired.wrong_to_right, "~": paired.wrong_to_other}


def _verdict(subject: Subject) -> str:
    if subject.verdict is None or subject.paired is None:
        return _UNKNOWN
    words = _VERDICTS[subject.verdict.kind]
    return f"{words} {100 * abs(subject.paired.loss):.2f}" if subject.verdict.kind in (LOSS, GAIN) else words


def _percentile(subject: Subject, percent: int) -> str:
    found = subject.percentiles.get(percent)
    return f"{found.value / 1e3:.1f}" if found else _UNKNOWN


def _pixels(subject: Subject) -> str:
    main = subject.main
    series = subject.measured.find(PREDICT, threads=main.threads) if main else None
    return f"{series.percentile_us(50):.1f}" if series else _UNKNOWN


def _ratio(subject: Subject, *, short: bool = False) -> str:
    """Return the ratio with its interval, or with half its width if that must be short."""
    ratio, measured = subject.ratio, subject.measured
    if ratio is None:
        return "1" if measured.precision == "float32" and subject.main and measured.format != "keras" else _UNKNOWN
    decimals = 3 if ratio.ratio < 1 else 2 if ratio.ratio < 10 else 1
    told = f"{ratio.ratio:.{decimals}f}"
    if not math.isfinite(ratio.high):
        return told
    if short:
        return f"{told} \u00b1{(ratio.high - ratio.low) / 2:.{decimals}f}"
    return f"{told} ({ratio.low:.{decimals}f}\u2013{ratio.high:.{decimals}f})"


def _of_starts(subject: Subject, attribute: str, decimals: int) -> str:
    value = subject.of_starts(attribute)
    return f"{value / 1e6:.{decimals}f}" if value else _UNKNOWN


_ARTEFACT = _Column("artefact", lambda subject: subject.name)
_TOP1 = _Column("top-1", lambda subject: f"{subject.accuracy:.2%}")
_FLIPS = _Column("flips", _flips, rank=1)
_VERDICT = _Column("verdict", _verdict)
_SIZE = _Column("kB", lambda subject: f"{subject.measured.bytes / 1e3:.0f}" if subject.measured.bytes else _UNKNOWN, 2)
_P50 = _Column("p50 us", lambda subject: _percentile(subject, 50))
_P90 = _Column("p90 us", lambda subject: _percentile(subject, 90), rank=4)
_START = _Column("start ms", lambda subject: _of_starts(subject, "total_ns", 0), rank=5)

_MARKDOWN = (
    _ARTEFACT,
    _TOP1,
    _Column("95 %", lambda subject: percent_span(subject.accuracy_interval)),
    _FLIPS,
    _VERDICT,
    _SIZE,
    _P50,
    _P90,
    _Column("x float32", _ratio),
    _Column("pixels us", _pixels),
    _START,
    _Column("peak MB", lambda subject: _of_starts(subject, "peak_rss_bytes", 0)),
)
_TERMINAL = (
    _ARTEFACT,
    _TOP1,
    _Column("\u00b1", _half_interval, rank=3),
    _FLIPS,
    _VERDICT,
    _SIZE,
    _P50,
    _P90,
    _Column("x float32", lambda subject: _ratio(subject, short=True), rank=1),
    _START,
    _Column("peak MB", lambda subject: _of_starts(subject, "peak_rss_bytes", 0), rank=6),
)
_LEFT = {"artefact", "verdict"}
# What report.md and documents with its table say below it.
LEGEND = _legend([each.name for each in _MARKDOWN])
