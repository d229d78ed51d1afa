"""The summary: a line for each candidate."""

import xml.etree.ElementTree as ET

from edgeport.benchmarks.report.findings import FEWEST_LAUNCHES, PERCENTS, Findings, Subject
from edgeport.benchmarks.report.html_elements import Child, Column, element, paragraph, table, two_lines
from edgeport.benchmarks.report.html_page import Place
from edgeport.benchmarks.report.record import PREDICT, Series
from edgeport.benchmarks.report.svg_drawing import colour_class, marker
from edgeport.benchmarks.report.words import (
    DASH,
    amount,
    amounts,
    counted,
    figures,
    percent,
    percent_span,
    span,
)
from edgeport.benchmarks.statistics.latency import Ratio
from edgeport.benchmarks.statistics.verdicts import GAIN, LOSS, NO_LOSS

# A sign beside each colour, for those who see no difference between the colours.
_VERDICTS = {NO_LOSS: ("good", "\u2713"), GAIN: ("good", "\u2191"), LOSS: ("bad", "\u2193")}


def summary(findings: Findings, place: Place) -> ET.Element:
    """Return the section."""
    unit, _ = findings.unit
    reference = findings.reference.name
    columns = [
        Column("artefact", numeric=False),
        Column("accuracy", numeric=False, whole=True),
        Column("top-1", unit="%"),
        Column("flips"),
        Column("size", unit="kB"),
        *(Column(f"p{each}", unit=unit) for each in PERCENTS),
        Column("time ratio", unit="float32 = 1"),
        Column("images/s"),
        Column("cold start", unit="ms"),
        Column("peak RSS", unit="MB"),
    ]
    rows = [_row(findings, subject) for subject in findings.subjects]
    caption = f"All candidates on the same {len(findings.report.truth):,} images, with 95 % intervals below the figures"
    return place.section(
        "summary",
        "Summary",
        table(caption, columns, rows, cards=True, class_="summary"),
        paragraph(
            f"Flips are images that are answered unlike {reference} answers them. Percentiles are of {_way(findings)}; "
            "the time ratio is that of its median to the one of the float32 artefact of the same format, taken process "
            f"by process. Peak RSS is the most memory that a process held. A percentile is left out ({DASH}) where "
            f"fewer than ten calls lie beyond it, an interval where there were fewer than {FEWEST_LAUNCHES} processes.",
            class_="note",
        ),
    )


def named(subject: Subject) -> ET.Element:
    """Return a candidate's name with the mark that it has in all charts."""
    mark = _mark(subject.measured.precision)
    return element("span", mark, subject.name, class_=f"named {colour_class(subject.measured.format)}")


def _mark(precision: str) -> ET.Element:
    """Return the mark of a precision as a picture that screen readers leave out."""
    mark = marker(8, 8, precision, radius=5.5)
    return element("svg", mark, viewBox="0 0 16 16", aria_hidden="true", class_="mark")


def verdict_pill(subject: Subject) -> ET.Element:
    """Return the verdict on a candidate in a few words."""
    if subject.verdict is None:
        return element("span", "reference", class_="pill neutral")
    class_, sign = _VERDICTS.get(subject.verdict.kind, ("unknown", "?"))
    words = subject.verdict.kind
    if subject.paired and subject.verdict.kind in (LOSS, GAIN):
        words = f"{subject.verdict.kind.split()[-1]} of {abs(100 * subject.paired.loss):.2f} points"
    return element("span", element("span", sign, aria_hidden="true"), f" {words}", class_=f"pill {class_}")


def ratio_cell(ratio: Ratio | None) -> Child:
    """Return a ratio of latencies with its interval."""
    if ratio is None:
        return DASH
    bounded = ratio.low > 0 and ratio.high != float("inf")
    return two_lines(figures(ratio.ratio), span(ratio.low, ratio.high) if bounded else "")


def _row(findings: Findings, subject: Subject) -> list[Child]:
    measured = subject.measured
    start, peak = subject.of_starts("total_ns"), subject.of_starts("peak_rss_bytes")
    is_base = subject.ratio is None and measured.precision == "float32" and subject.main
    best = subject is findings.best
    return [
        element("span", named(subject), element("span", "best", class_="badge") if best else None),
        verdict_pill(subject),
        two_lines(percent(subject.accuracy), percent_span(subject.accuracy_interval)),
        f"{subject.paired.flips:,}" if subject.paired else DASH,
        amount(measured.bytes / 1e3) if measured.bytes else DASH,
        *(_percentile(findings, subject, each) for each in PERCENTS),
        "1" if is_base else ratio_cell(subject.ratio),
        _throughput(subject.fastest),
        amount(start / 1e6) if start else DASH,
        amount(peak / 1e6) if peak else DASH,
    ]


def _percentile(findings: Findings, subject: Subject, percent_: int) -> Child:
    found = subject.percentiles.get(percent_)
    if found is None:
        return DASH
    factor = findings.unit[1]
    interval = amounts(*(end / factor for end in found.interval)) if found.interval else ""
    return two_lines(amount(found.value / factor), interval)


def _throughput(series: Series | None) -> Child:
    if series is None:
        return DASH
    way = [f"batch {series.batch}"] if series.batch > 1 else []
    way += [counted(series.threads, "thread")] if series.threads > 1 else []
    return two_lines(f"{series.images_per_second:,.0f}", ", ".join(way))


def _way(findings: Findings) -> str:
    ways = {(subject.main.what, subject.main.threads) for subject in findings.timed if subject.main}
    if len(ways) != 1:
        return "one call on one image"
    what, threads = ways.pop()
    call = "predict()" if what == PREDICT else "one call of the engine"
    return f"{call} on one image with {counted(threads, 'thread')}"
