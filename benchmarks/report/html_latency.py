"""Latency: against accuracy, as ratios, as distributions, and over batches and threads."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from edgeport.benchmarks.report.findings import Findings, Subject
from edgeport.benchmarks.report.html_elements import Child, Column, table
from edgeport.benchmarks.report.html_page import Place
from edgeport.benchmarks.report.html_summary import named
from edgeport.benchmarks.report.record import ENGINE_CALL, LABEL, PREDICT
from edgeport.benchmarks.report.svg_curves import Curve, draw_curves
from edgeport.benchmarks.report.svg_drawing import chart, colour_class
from edgeport.benchmarks.report.svg_intervals import Dot, Line, draw_intervals
from edgeport.benchmarks.report.svg_scatter import Spot, draw_scatter, pareto_front
from edgeport.benchmarks.report.svg_strips import Strip, draw_strips
from edgeport.benchmarks.report.words import DASH, amount, counted, enumerated, figures, span


def trade_off(findings: Findings, place: Place) -> ET.Element | None:
    """Return the section with accuracy against latency; None if nothing was timed."""
    if not findings.timed:
        return None
    unit, factor = findings.unit
    spots = [_spot(subject, factor) for subject in findings.timed]
    names = [spot.name for spot in pareto_front(spots)]
    described = (
        f"{spot.name}: {amount(spot.latency[0])} {unit}, {spot.accuracy[0]:.2f} percent right" for spot in spots
    )
    words = f"On the Pareto front: {enumerated(names)}. {'; '.join(described)}."
    return place.section(
        "trade-off",
        "Accuracy against latency",
        chart(
            lambda width, identifier: draw_scatter(spots, width, identifier, unit=unit, words=words),
            f"{place.prefix}scatter",
            "Filled marks and the line are the Pareto front: no other candidate is both faster and more accurate. Bars "
            "are 95 % intervals; where they overlap, the order may be chance.",
        ),
    )


def latency(findings: Findings, place: Place) -> ET.Element | None:
    """Return the section with ratios, distributions and ways of timing; None if nothing was timed."""
    if not findings.timed:
        return None
    unit, factor = findings.unit
    strips = []
    for subject in findings.timed:
        assert subject.main is not None
        launches = [[ns / factor for ns in launch] for launch in subject.main.launches]
        p90 = subject.percentiles.get(90)
        strips.append(
            Strip(subject.name, colour_class(subject.measured.format), launches, p90.value / factor if p90 else None)
        )
    processes = max(len(strip.launches) for strip in strips)
    calls = max(len(strip.samples) for strip in strips)
    words = "; ".join(f"{subject.name}: {amount(subject.median_ns / factor)} {unit}" for subject in findings.timed)
    return place.section(
        "latency",
        "Latency",
        *_ratios(findings, place),
        place.heading("How calls are distributed"),
        chart(
            lambda width, identifier: draw_strips(strips, width, identifier, unit=unit, words=f"Medians: {words}."),
            f"{place.prefix}strips",
            f"Up to {counted(calls, 'timed call')} of {counted(processes, 'process', 'processes')} for each candidate. "
            "Solid line: p50; dashed: p90. The dots are the medians of single processes: two processes of the same "
            "file differ for as long as they live. The slowest hundredth of the calls is not drawn.",
        ),
        *_ways(findings, place),
    )


def throughput(findings: Findings, place: Place) -> ET.Element | None:
    """Return the section over batches and threads; None if only one of each was timed."""
    ways = _predicting(findings)
    if len(ways) < 2:
        return None
    columns = [Column("artefact", numeric=False)]
    columns += [Column(f"batch {batch}", unit=counted(threads, "thread")) for threads, batch in ways]
    rows: list[list[Child]] = []
    for subject in findings.timed:
        found = [subject.measured.find(PREDICT, batch=batch, threads=threads) for threads, batch in ways]
        rows.append([named(subject), *(f"{each.images_per_second:,.0f}" if each else DASH for each in found)])
    charts = [_curves(findings, place, threads) for threads in sorted({threads for threads, _ in ways})]
    return place.section(
        "throughput",
        "Throughput",
        *(each for each in charts if each is not None),
        table("Images per second at the median call of predict(), from raw pixels to probabilities", columns, rows),
    )


def _spot(subject: Subject, factor: float) -> Spot:
    middle = subject.percentiles[50]
    low, high = middle.interval or (middle.value, middle.value)
    ends = subject.accuracy_interval
    return Spot(
        subject.name,
        subject.measured.precision,
        colour_class(subject.measured.format),
        (middle.value / factor, low / factor, high / factor),
        (100 * subject.accuracy, 100 * ends[0], 100 * ends[1]),
    )


def _ratios(findings: Findings, place: Place) -> Sequence[ET.Element]:
    """Return the chart of latencies beside that of float32, if there are any."""
    lines = []
    for subject in findings.subjects:
        ratio = subject.ratio
        if ratio is None or subject.base is None:
            continue
        bounded = ratio.low > 0 and ratio.high != float("inf")
        ends = (ratio.low, ratio.high) if bounded else (ratio.ratio, ratio.ratio)
        dot = Dot((ratio.ratio, *ends), colour_class(subject.measured.format), subject.measured.precision)
        note = f"{figures(ratio.ratio)} ({span(*ends)})" if bounded else figures(ratio.ratio)
        lines.append(Line(subject.name, (dot,), note))
    if not lines:
        return []
    words = "; ".join(f"{each.name}: {each.note}" for each in lines)
    drawn = chart(
        lambda width, identifier: draw_intervals(
            lines,
            width,
            identifier,
            title="Latency as a multiple of float32",
            axis="median latency, float32 of the same format = 1 (log scale; less is faster)",
            words=words,
            logarithmic=True,
            mark_at=1.0,
        ),
        f"{place.prefix}ratios",
        "Each ratio is taken process by process, from processes that ran side by side, with its 95 % interval. An "
        "interval that holds 1 is no difference.",
    )
    return [place.heading("Against float32"), drawn]


def _ways(findings: Findings, place: Place) -> Sequence[ET.Element]:
    """Return a table of what one image takes from where to where, if more than one way was timed."""
    names = {ENGINE_CALL: "engine call", PREDICT: "predict()", LABEL: "classify()"}
    ways = [what for what in names if any(subject.measured.find(what) for subject in findings.timed)]
    if len(ways) < 2:
        return []
    unit, factor = findings.unit
    rows: list[list[Child]] = []
    for subject in findings.timed:
        found = [subject.measured.find(what) for what in ways]
        rows.append(
            [named(subject), *(amount(each.percentile_us(50) * 1e3 / factor) if each else DASH for each in found)]
        )
    columns = [Column("artefact", numeric=False), *(Column(names[what], unit=unit) for what in ways)]
    return [
        place.heading("From where to where"),
        table("Median on one image: the engine alone, to probabilities, and to labels", columns, rows),
    ]


def _predicting(findings: Findings) -> list[tuple[int, int]]:
    """Return all numbers of threads, and of images a call, in which predictions were timed."""
    return sorted(
        {
            (series.threads, series.batch)
            for subject in findings.timed
            for series in subject.measured.series
            if series.what == PREDICT
        }
    )


def _curves(findings: Findings, place: Place, threads: int) -> ET.Element | None:
    curves = []
    for subject in findings.timed:
        series = [each for each in subject.measured.series if (each.what, each.threads) == (PREDICT, threads)]
        points = sorted((each.batch, each.images_per_second) for each in series)
        if len(points) > 1:
            name, class_ = subject.name, colour_class(subject.measured.format)
            curves.append(Curve(name, subject.measured.precision, class_, tuple(points)))
    if not curves:
        return None
    words = "; ".join(
        f"{curve.name}: " + ", ".join(f"{rate:,.0f} at batch {batch}" for batch, rate in curve.points)
        for curve in curves
    )
    title = f"Throughput with {counted(threads, 'thread')}"
    return chart(
        lambda width, identifier: draw_curves(curves, width, identifier, title=title, words=words),
        f"{place.prefix}throughput-{threads}",
        f"{title}.",
    )
