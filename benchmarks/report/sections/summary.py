"""The summary: a line for each candidate, for the page, and in fewer columns for a terminal and for documents."""

import math
from collections.abc import Sequence

from edgeport.benchmarks.report.document import Cell, Column, Paragraph, Section, Table
from edgeport.benchmarks.report.findings import Candidate, Findings
from edgeport.benchmarks.report.percentiles import FEWEST_LAUNCHES, PERCENTS
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
    "largest change": "of any value of an output, beside the reference's, in its own units",
    "mean change": "the mean of these changes, without their signs",
    "agreement": "the share of decisions that are the reference's",
    "x float32": "as a multiple of the float32 artefact of the same format, with the 95 % interval",
    "x reference": "as a multiple of the reference, with the 95 % interval",
    "start ms": "from a new process to its first prediction",
    "peak MB": "the most memory that it held",
}
_OF_IMAGES = {
    "verdict": "of an exact McNemar test on the flips, with the points lost or gained",
    "p50 us": "one engine call on one image",
    "pixels us": "p50 of predict(), from raw pixels to probabilities",
}
_JUDGED = {
    "verdict": "on the first metric, of the same samples answered by both, with what was lost or gained",
    "p50 us": "one engine call on one sample",
}
_MARKDOWN = ("artefact", "top-1", "95 %", "flips", "verdict", "kB", "p50 us", "p90 us", "x float32", "pixels us",
             "start ms", "peak MB")  # fmt: skip
_TERMINAL = ("artefact", "top-1", "\u00b1", "flips", "verdict", "kB", "p50 us", "p90 us", "x float32", "start ms",
             "peak MB")  # fmt: skip
# Of a model that does not choose a class: its metrics stand in the middle.
_COSTS = ("kB", "p50 us", "p90 us", "x float32", "start ms", "peak MB")
# Where a terminal has no room for all columns, those with the highest ranks are left out.
_RANKS = {"flips": 1, "x float32": 1, "x reference": 1, "kB": 2, "\u00b1": 3, "p90 us": 4, "start ms": 5, "peak MB": 6}
_TEXT = ("artefact", "verdict")


def summary(findings: Findings) -> Section:
    """Return the section of the page."""
    unit, _ = findings.unit
    columns = [
        ARTEFACT,
        Column("accuracy", numeric=False, whole=True),
        *(Column(name) for name in _columns(findings)[1 : -len(_COSTS)] if name != "verdict"),
        *(() if findings.report.judged else (Column("top-1", "%"), Column("flips"))),
        Column("size", "kB"),
        *(Column(f"p{each}", unit) for each in PERCENTS),
        Column("time ratio", f"{findings.base} = 1"),
        Column(f"{findings.report.sample}s/s"),
        Column("cold start", "ms"),
        Column("peak RSS", "MB"),
    ]
    rows = [_row(findings, candidate) for candidate in findings.candidates]
    samples = counted(findings.report.count, findings.report.sample)
    caption = f"All candidates on the same {samples}, with 95 % intervals below the figures"
    flips = f"Flips are images that are answered unlike {findings.reference.name} answers them. "
    note = (
        f"{'' if findings.report.judged else flips}Percentiles are of {_way(findings)}; the time ratio is that of "
        f"its median to the one of {findings.base_words}, taken process by process. Peak RSS is the "
        f"most memory that a process held. A percentile is left out ({DASH}) where fewer than ten calls lie beyond "
        f"it, an interval where there were fewer than {FEWEST_LAUNCHES} processes."
    )
    table = Table(caption, columns, rows, cards=True, look="summary")
    return Section("summary", "Summary", [table, Paragraph(note, "note")], page_only=True)


def terminal_summary(findings: Findings) -> Table:
    """Return the summary for a terminal."""
    return _brief(findings, _columns(findings) or _TERMINAL)


def markdown_summary(findings: Findings) -> Table:
    """Return the summary for documents."""
    return _brief(findings, _columns(findings) or _MARKDOWN)


def _columns(findings: Findings) -> tuple[str, ...]:
    """Return the columns of a model that does not choose a class; empty for one that does."""
    judged = findings.reference.judged
    if not judged:
        return ()
    metrics = [name for name, _ in _figures(findings.reference, [each.output.name for each in judged])]
    others = ["verdict"] if any(each.changes for each in judged) else ["largest change", "mean change", "agreement"]
    costs = (f"x {findings.base}" if name == "x float32" else name for name in _COSTS)
    return ("artefact", *metrics, *others, *costs)


def _figures(candidate: Candidate, outputs: Sequence[str]) -> list[tuple[str, str]]:
    """Return the names and the figures of all metrics; those of several outputs are called by these, too."""
    return [
        (change.metric.name if len(outputs) == 1 else f"{each.output.name}: {change.metric.name}",
         change.metric.shown(change.other))
        for each in candidate.judged
        for change in each.changes
    ]  # fmt: skip


def _changes(candidate: Candidate) -> dict[str, str | None]:
    """Return how far the answers are from the reference's, of all outputs the most."""
    found = [each.change for each in candidate.judged if each.change]
    alike = [each.agreement for each in candidate.judged if each.agreement is not None]
    return {
        "largest change": f"{max(each.largest for each in found):.3g}" if found else None,
        "mean change": f"{max(each.mean for each in found):.3g}" if found else None,
        "agreement": f"{min(alike):.2%}" if alike else None,
    }


def legend_of(columns: Sequence[str], *, judged: bool = False) -> str:
    """Return what the columns of a short summary mean.

    Args:
        columns: Their names.
        judged: Whether the answers are no classes: then a verdict is another one.
    """
    legend = {**_LEGEND, **(_JUDGED if judged else _OF_IMAGES)}
    return ". ".join(f"{name}: {legend[name]}" for name in columns if name in legend) + "."


def title_of(findings: Findings) -> str:
    """Return what a short summary is of."""
    report = findings.report
    return f"{report.model} on {report.count:,} test {report.sample}s of {report.dataset['name']}"


def _brief(findings: Findings, names: Sequence[str]) -> Table:
    # The first metric decides; the others, and times, make room for it.
    further = {name: 3 for name in _columns(findings)[2 : -len(_COSTS)] if name != "verdict"}
    ranks = {**_RANKS, **further, **({"p50 us": 1} if findings.report.judged else {})}
    columns = [Column(name, numeric=name not in _TEXT, rank=ranks.get(name, 0)) for name in names]
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
        "verdict": _verdict(candidate) if candidate.verdict else None,
        **dict(_figures(candidate, [each.output.name for each in candidate.judged])),
        **_changes(candidate),
        "kB": f"{size / 1e3:.0f}" if size else None,
        "p50 us": _microseconds(candidate, 50),
        "p90 us": _microseconds(candidate, 90),
        **dict.fromkeys(("x float32", "x reference"), _ratio(candidate, short=short)),
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
    kind, loss = _kind_and_loss(candidate)
    return f"{_SHORT[kind]} {loss}" if kind in (LOSS, GAIN) else _SHORT[kind]


def _kind_and_loss(candidate: Candidate) -> tuple[str, str]:
    """Return the verdict on a candidate, and what it lost or gained, without its sign."""
    assert candidate.verdict is not None
    if candidate.compared:
        return candidate.verdict.kind, f"{100 * abs(candidate.compared.answers.loss):.2f}"
    change = next(each.changes[0] for each in candidate.judged if each.changes)
    return candidate.verdict.kind, change.metric.shown(abs(change.loss))


def _microseconds(candidate: Candidate, percent: int) -> str | None:
    found = candidate.percentiles.get(percent)
    return f"{found.value / 1e3:.1f}" if found else None


def _ratio(candidate: Candidate, *, short: bool) -> str | None:
    """Return the ratio with its interval, or with half its width if that must be short."""
    ratio = candidate.ratio
    if ratio is None:
        return "1" if candidate.is_base else None
    decimals = 3 if ratio.ratio < 1 else 2 if ratio.ratio < 10 else 1
    written = f"{ratio.ratio:.{decimals}f}"
    if not math.isfinite(ratio.high):
        return written
    if short:
        return f"{written} \u00b1{(ratio.high - ratio.low) / 2:.{decimals}f}"
    return f"{written} ({ratio.low:.{decimals}f}\u2013{ratio.high:.{decimals}f})"


def _row(findings: Findings, candidate: Candidate) -> list[Cell]:
    measured, factor = candidate.measured, findings.unit[1]
    return [
        named(candidate, look="best" if candidate is findings.best else ""),
        _pill(candidate),
        *_answers(findings, candidate),
        scaled(measured.bytes, 1e3),
        *(latency_cell(candidate.percentiles.get(each), factor) for each in PERCENTS),
        Cell("1") if candidate.is_base else ratio_cell(candidate.ratio),
        _throughput(candidate.fastest),
        scaled(candidate.starts.get("total_ns"), 1e6),
        scaled(candidate.starts.get("peak_rss_bytes"), 1e6),
    ]


def _answers(findings: Findings, candidate: Candidate) -> list[Cell]:
    if findings.report.judged:
        texts = _texts(candidate, short=True)
        return [Cell(texts[name]) for name in _columns(findings)[1 : -len(_COSTS)] if name != "verdict"]
    return [
        Cell(candidate.accuracy, "percent", interval=candidate.accuracy_interval),
        Cell(candidate.compared.answers.flips if candidate.compared else None, "count"),
    ]


def _pill(candidate: Candidate) -> Cell:
    """Return the verdict on a candidate in a few words."""
    if candidate.verdict is None:
        return Cell("not judged" if any(each.change for each in candidate.judged) else "reference", look="neutral")
    kind, loss = _kind_and_loss(candidate)
    look, sign = _PILLS.get(kind, ("unknown", "?"))
    points = " points" if candidate.compared else ""
    words = f"{kind.split()[-1]} of {loss}{points}" if kind in (LOSS, GAIN) else kind
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
        return f"one call on one {findings.report.sample}"
    what, threads = ways.pop()
    call = "predict()" if what == PREDICT else "one call of the engine"
    return f"{call} on one {findings.report.sample} with {counted(threads, 'thread')}"
