"""The summary: a line for each candidate, for the page, and in fewer columns for a terminal and for documents."""

import math
from collections.abc import Sequence

from edgeport.benchmarks.report.document import Cell, Column, Paragraph, Section, Table
from edgeport.benchmarks.report.findings import FEWEST_LAUNCHES, PERCENTS, Candidate, Findings
from edgeport.benchmarks.report.raw.record import PREDICT
from edgeport.benchmarks.report.sections.names import ARTEFACT, latency_cell, named, ratio_cell, scaled
from edgeport.benchmarks.report.words import DASH, counted, percent_span
from edgeport.benchmarks.statistics.verdicts import GAIN, LOSS, NO_LOSS, TOO_FEW

# A sign beside each colour, for those who see no difference between the colours.
_PILLS = {NO_LOSS: ("good", "\u2713"), GAIN: ("good", "\u2191"), LOSS: ("bad", "\u2193")}
_SHORT = {NO_LOSS: "no loss seen", LOSS: "loss", GAIN: "gain", TOO_FEW: "too few"}
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
_MARKDOWN = ("artefact", "top-1", "95 %", "flips", "verdict", "kB", "p50 us", "p90 us", "x float32", "pixels us",
             "start ms", "peak MB")  # fmt: skip
_TERMINAL = ("artefact", "top-1", "\u00b1", "flips", "verdict", "kB", "p50 us", "p90 us", "x float32", "start ms",
             "peak MB")  # fmt: skip
# Where a terminal has no room for all columns, those with the highest ranks are left out.
_RANKS = {"flips": 1, "x float32": 1, "kB": 2, "\u00b1": 3, "p90 us": 4, "start ms": 5, "peak MB": 6}
_TEXT = ("artefact", "verdict")


def summary(findings: Findings) -> Section:
    """Return the section of the page."""
    unit, _ = findings.unit
    columns = [
        ARTEFACT,
        Column("accuracy", numeric=False, whole=True),
        Column("top-1", "%"),
        Column("flips"),
        Column("size", "kB"),
        *(Column(f"p{each}", unit) for each in PERCENTS),
        Column("time ratio", "float32 = 1"),
        Column("images/s"),
        Column("cold start", "ms"),
        Column("peak RSS", "MB"),
    ]
    rows = [_row(findings, candidate) for candidate in findings.candidates]
    caption = f"All candidates on the same {len(findings.report.truth):,} images, with 95 % intervals below the figures"
    note = (
        f"Flips are images that are answered unlike {findings.reference.name} answers them. Percentiles are of "
        f"{_way(findings)}; the time ratio is that of its median to the one of the float32 artefact of the same "
        "format, taken process by process. Peak RSS is the most memory that a process held. A percentile is left out "
        f"({DASH}) where fewer than ten calls lie beyond it, an interval where there were fewer than "
        f"{FEWEST_LAUNCHES} processes."
    )
    table = Table(caption, columns, rows, cards=True, look="summary")
    return Section("summary", "Summary", [table, Paragraph(note, "note")], page_only=True)


def terminal_summary(findings: Findings) -> Table:
    """Return the summary for a terminal."""
    return _brief(findings, _TERMINAL)


def markdown_summary(findings: Findings) -> Table:
    """Return the summary for documents."""
    return _brief(findings, _MARKDOWN)


def legend_of(columns: Sequence[str] = _MARKDOWN) -> str:
    """Return what the columns of a short summary mean."""
    return ". ".join(f"{name}: {_LEGEND[name]}" for name in columns if name in _LEGEND) + "."


def title_of(findings: Findings) -> str:
    """Return what a short summary is of."""
    report = findings.report
    return f"{report.model} on {len(report.truth):,} test images of {report.dataset['name']}"


def _brief(findings: Findings, names: Sequence[str]) -> Table:
    columns = [Column(name, numeric=name not in _TEXT, rank=_RANKS.get(name, 0)) for name in names]
    short = "\u00b1" in names
    cells = [_texts(candidate, short=short) for candidate in findings.candidates]
    return Table(title_of(findings), columns, [[Cell(each[name]) for name in names] for each in cells])


def _texts(candidate: Candidate, *, short: bool) -> dict[str, str | None]:
    """Return all cells of a short summary."""
    compared, (low, high) = candidate.compared, candidate.accuracy_interval
    size = candidate.measured.bytes
    return {
        "artefact": candidate.name,
        "top-1": f"{candidate.accuracy:.2%}",
        "95 %": percent_span((low, high)),
        "\u00b1": f"{50 * (high - low):.2f}",
        "flips": _flips(candidate) if compared else None,
        "verdict": _verdict(candidate) if compared else None,
        "kB": f"{size / 1e3:.0f}" if size else None,
        "p50 us": _microseconds(candidate, 50),
        "p90 us": _microseconds(candidate, 90),
        "x float32": _ratio(candidate, short=short),
        "pixels us": f"{took / 1e3:.1f}" if (took := candidate.median_of(PREDICT)) else None,
        "start ms": f"{took / 1e6:.0f}" if (took := candidate.starts.get("total_ns")) else None,
        "peak MB": f"{held / 1e6:.0f}" if (held := candidate.starts.get("peak_rss_bytes")) else None,
    }


def _flips(candidate: Candidate) -> str:
    assert candidate.compared is not None
    answers = candidate.compared.answers
    kinds = {"-": answers.right_to_wrong, "+": answers.wrong_to_right, "~": answers.wrong_to_other}
    return " ".join(f"{sign}{count:,}" for sign, count in kinds.items() if count) or "0"


def _verdict(candidate: Candidate) -> str:
    assert candidate.compared is not None
    kind, loss = candidate.compared.verdict.kind, candidate.compared.answers.loss
    return f"{_SHORT[kind]} {100 * abs(loss):.2f}" if kind in (LOSS, GAIN) else _SHORT[kind]


def _microseconds(candidate: Candidate, percent: int) -> str | None:
    found = candidate.percentiles.get(percent)
    return f"{found.value / 1e3:.1f}" if found else None


def _ratio(candidate: Candidate, *, short: bool) -> str | None:
    """Return the ratio with its interval, or with half its width if that must be short."""
    ratio = candidate.ratio
    if ratio is None:
        is_base = candidate.measured.precision == "float32" and candidate.main and not candidate.is_keras
        return "1" if is_base else None
    decimals = 3 if ratio.ratio < 1 else 2 if ratio.ratio < 10 else 1
    written = f"{ratio.ratio:.{decimals}f}"
    if not math.isfinite(ratio.high):
        return written
    if short:
        return f"{written} \u00b1{(ratio.high - ratio.low) / 2:.{decimals}f}"
    return f"{written} ({ratio.low:.{decimals}f}\u2013{ratio.high:.{decimals}f})"


def _row(findings: Findings, candidate: Candidate) -> list[Cell]:
    measured, factor = candidate.measured, findings.unit[1]
    is_base = candidate.ratio is None and measured.precision == "float32" and candidate.main
    return [
        named(candidate, look="best" if candidate is findings.best else ""),
        _pill(candidate),
        Cell(candidate.accuracy, "percent", interval=candidate.accuracy_interval),
        Cell(candidate.compared.answers.flips if candidate.compared else None, "count"),
        scaled(measured.bytes, 1e3),
        *(latency_cell(candidate.percentiles.get(each), factor) for each in PERCENTS),
        Cell("1") if is_base else ratio_cell(candidate.ratio),
        _throughput(candidate.fastest),
        scaled(candidate.starts.get("total_ns"), 1e6),
        scaled(candidate.starts.get("peak_rss_bytes"), 1e6),
    ]


def _pill(candidate: Candidate) -> Cell:
    """Return the verdict on a candidate in a few words."""
    if candidate.compared is None:
        return Cell("reference", look="neutral")
    kind = candidate.compared.verdict.kind
    look, sign = _PILLS.get(kind, ("unknown", "?"))
    loss = candidate.compared.answers.loss
    words = f"{kind.split()[-1]} of {abs(100 * loss):.2f} points" if kind in (LOSS, GAIN) else kind
    return Cell(f"{sign} {words}", look=look)


def _throughput(fastest: tuple[int, int, float] | None) -> Cell:
    if fastest is None:
        return Cell(None)
    batch, threads, rate = fastest
    way = [f"batch {batch}"] if batch > 1 else []
    way += [counted(threads, "thread")] if threads > 1 else []
    return Cell(rate, "count", note=", ".join(way))


def _way(findings: Findings) -> str:
    ways = {(candidate.main.what, candidate.main.threads) for candidate in findings.timed if candidate.main}
    if len(ways) != 1:
        return "one call on one image"
    what, threads = ways.pop()
    call = "predict()" if what == PREDICT else "one call of the engine"
    return f"{call} on one image with {counted(threads, 'thread')}"
