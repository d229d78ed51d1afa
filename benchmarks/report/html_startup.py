"""What a start costs, and how much memory a process holds."""

import xml.etree.ElementTree as ET

from edgeport.benchmarks.report.findings import Findings
from edgeport.benchmarks.report.html_elements import Child, Column, element, table
from edgeport.benchmarks.report.html_page import Place
from edgeport.benchmarks.report.html_summary import named
from edgeport.benchmarks.report.svg_bars import Bar, draw_bars
from edgeport.benchmarks.report.svg_drawing import chart
from edgeport.benchmarks.report.words import DASH, THIN, amount, counted

# A bar so much longer than all others would make them too short to see their pieces.
_FAR_LONGER = 4
_STEPS = {"import_ns": ("import", "step-1"), "load_ns": ("load", "step-2"), "first_ns": ("first prediction", "step-3")}
_MEMORY = {"peak_rss_bytes": "peak memory", "steady_rss_bytes": "memory at the end"}


def startup(findings: Findings, place: Place) -> ET.Element | None:
    """Return the section; None if nothing was started."""
    started = [subject for subject in findings.subjects if subject.starts]
    if not started:
        return None
    bars, rows = [], []
    for subject in started:
        steps = [(subject.of_starts(step) or 0.0) / 1e6 for step in _STEPS]
        total = (subject.of_starts("total_ns") or 0.0) / 1e6
        memory = [(subject.of_starts(each) or 0.0) / 1e6 for each in _MEMORY]
        pieces = tuple(zip(steps, (class_ for _, class_ in _STEPS.values()), strict=True))
        bars.append(Bar(subject.name, pieces, f"{amount(total)}{THIN}ms"))
        row: list[Child] = [named(subject)]
        rows.append([*row, *(amount(each) if each else DASH for each in (*steps, total, *memory))])
    columns = [
        Column("artefact", numeric=False),
        *(Column(name, unit="ms") for name, _ in _STEPS.values()),
        Column("cold start", unit="ms"),
        *(Column(name, unit="MB") for name in _MEMORY.values()),
    ]
    legend = element(
        "span",
        *(element("span", element("i", class_=f"swatch {class_}"), name) for name, class_ in _STEPS.values()),
        class_="legend",
    )
    starts = max(len(subject.starts) for subject in started)
    drawn, told = _comparable(bars, has_reference=started[0] is findings.reference)
    words = "; ".join(f"{bar.name}: {bar.note}" for bar in bars)
    return place.section(
        "startup",
        "Start-up and memory",
        legend,
        chart(
            lambda width, identifier: draw_bars(
                drawn, width, identifier, title="Cold start", axis="milliseconds from a new process", words=words
            ),
            f"{place.prefix}starts",
            f"From the start of a process to its first prediction, medians of {counted(starts, 'start')}.{told}",
        ),
        table(f"Medians of {counted(starts, 'start')}; memory is what is resident", columns, rows),
    )


def _comparable(bars: list[Bar], *, has_reference: bool) -> tuple[list[Bar], str]:
    """Return the bars to draw, and a sentence on the one left out: beside TensorFlow's no other start is visible."""
    reference, *others = bars
    longest = max((bar.length for bar in others), default=0.0)
    if not (has_reference and others and reference.length > _FAR_LONGER * longest):
        return bars, ""
    return others, f" {reference.name} takes {reference.note} and is not drawn."
