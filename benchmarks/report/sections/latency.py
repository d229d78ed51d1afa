"""Latency: against accuracy, as ratios, as distributions, over batches and threads, and what a start costs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgeport.benchmarks.report.charts.data import (
    Bar,
    Bars,
    Curve,
    Curves,
    Dot,
    Intervals,
    Line,
    Piece,
    Scatter,
    Spot,
    Strip,
    Strips,
)
from edgeport.benchmarks.report.document import Block, Cell, Chart, Column, Heading, Paragraph, Section, Table
from edgeport.benchmarks.report.findings import Candidate, Findings
from edgeport.benchmarks.report.looks import colour_of, mark_of
from edgeport.benchmarks.report.percentiles import PERCENTS
from edgeport.benchmarks.report.raw.engine_choice import engine_choices
from edgeport.benchmarks.report.raw.record import LABEL, PREDICT
from edgeport.benchmarks.report.sections.names import ARTEFACT, is_bounded, latency_cell, named, scaled
from edgeport.benchmarks.report.words import THIN, amount, counted, enumerated, figures, span

SCATTER_FILE, STRIPS_FILE = "accuracy-latency.png", "latency-distributions.png"
_WAYS = {PREDICT: "predict()", LABEL: "classify()"}
# The slowest calls are those that the operating system hit, and would make the axis long.
_SHOWN_PERCENT = 99
# A bar so much longer than all others would make them too short to see their pieces.
_FAR_LONGER = 4
_STEPS = {"import_ns": ("import", "step-1"), "load_ns": ("load", "step-2"), "first_ns": ("first prediction", "step-3")}
_MEMORY = {"peak_rss_bytes": "peak memory", "steady_rss_bytes": "memory at the end"}


def trade_off(findings: Findings) -> Section | None:
    """Return the section with accuracy against latency; None if nothing was timed, or the model chooses no class."""
    if not findings.timed or findings.report.judged:
        return None
    unit, factor = findings.unit
    spots = with_front([_spot(candidate, factor) for candidate in findings.timed])
    front = sorted((spot for spot in spots if spot.front), key=lambda spot: spot.latency)
    described = (
        f"{spot.name}: {amount(spot.latency[0])} {unit}, {spot.accuracy[0]:.2f} percent right" for spot in spots
    )
    chart = Chart(
        "scatter",
        "Accuracy against latency",
        f"On the Pareto front: {enumerated([spot.name for spot in front])}. {'; '.join(described)}.",
        Scatter(spots, unit),
        "Filled marks and the line are the Pareto front: no other candidate is both faster and more accurate. Bars "
        "are 95 % intervals; where they overlap, the order may be chance.",
        file=SCATTER_FILE,
    )
    return Section("trade-off", "Accuracy against latency", [chart])


def with_front(spots: Sequence[Spot]) -> list[Spot]:
    """Return the same candidates, and which of them no other one beats in both accuracy and latency."""
    best, front = -1.0, set()
    for spot in sorted(spots, key=lambda spot: (spot.latency[0], -spot.accuracy[0])):
        if spot.accuracy[0] > best:
            best = spot.accuracy[0]
            front.add(spot.name)
    return [replace(spot, front=spot.name in front) for spot in spots]


def engines(findings: Findings) -> Section | None:
    """Return the section with each file under several engines; None if each was measured under one."""
    choices = engine_choices(findings.report)
    if not choices:
        return None
    names = {candidate.measured.file: candidate for candidate in findings.candidates}
    columns = [
        ARTEFACT,
        Column("threads"),
        Column("median", "\u00b5s"),
        Column("rounds faster"),
        Column("decisions changed"),
        Column("largest change", "% of range"),
        Column("choice", numeric=False),
    ]
    rows = [
        [
            named(names[run.measured.file], look="best" if run is choice.chosen else ""),
            Cell(choice.threads, "count"),
            Cell(run.median_ns / 1e3, "amount"),
            Cell(None if run.rounds_faster is None else f"{run.rounds_faster} of {choice.rounds}"),
            Cell(None if run.rounds_faster is None else run.changed, "count"),
            Cell(None if run.rounds_faster is None else 100 * run.largest, "amount"),
            Cell("fastest" if run is choice.chosen else "" if run.alike else "not alike"),
        ]
        for choice in choices
        for run in choice.runs
    ]
    note = (
        "Each file under its default engine, which comes first, and under others, in the same turns. The fastest is "
        "another than the default engine if it was faster in every round, takes no decision otherwise, and is off by "
        "no more than golden answers of its precision may be in another engine. load(..., engine='fastest') takes this "
        "choice from engines.json."
    )
    return Section("engines", "Engines", [Table("Each file under each engine", columns, rows), Paragraph(note, "note")])


def latency(findings: Findings) -> Section | None:
    """Return the section with ratios, distributions and ways of timing; None if nothing was timed."""
    if not findings.timed:
        return None
    unit, factor = findings.unit
    strips = [_strip(candidate, factor) for candidate in findings.timed]
    processes = max(len(strip.medians) for strip in strips)
    calls = max(len(each.main.samples) for each in findings.timed if each.main)
    words = "; ".join(f"{each.name}: {amount(each.median_ns / factor)} {unit}" for each in findings.timed)
    chart = Chart(
        "strips",
        "Distribution of latency",
        f"Medians: {words}.",
        Strips(strips, f"one call on one {findings.report.sample}, {unit} (log scale)"),
        f"Up to {counted(calls, 'timed call')} of {counted(processes, 'process', 'processes')} for each candidate. "
        "Solid line: p50; dashed: p90. The dots are the medians of single processes: two processes of the same file "
        "differ for as long as they live. The slowest hundredth of the calls is not drawn.",
        file=STRIPS_FILE,
    )
    return Section(
        "latency",
        "Latency",
        [*_ratios(findings), Heading("How calls are distributed"), chart, Heading("In figures"), _figures(findings)],
    )


def throughput(findings: Findings) -> Section | None:
    """Return the section over batches and threads; None if only one of each was timed."""
    ways = findings.predicting
    if len(ways) < 2:
        return None
    columns = [ARTEFACT, *(Column(f"batch {batch}", counted(threads, "thread")) for threads, batch in ways)]
    rows = [
        [named(candidate), *(Cell(candidate.rate(batch, threads), "count") for threads, batch in ways)]
        for candidate in findings.timed
    ]
    charts = [_curves(findings, threads) for threads in sorted({threads for threads, _ in ways})]
    caption = "Images per second at the median call of predict(), from raw pixels to probabilities"
    blocks: list[Block] = [chart for chart in charts if chart]
    return Section("throughput", "Throughput", [*blocks, Table(caption, columns, rows)])


def startup(findings: Findings) -> Section | None:
    """Return the section with what a start costs, and how much memory a process holds; None without a start."""
    started = [candidate for candidate in findings.candidates if candidate.starts]
    if not started:
        return None
    bars, rows = [], []
    for candidate in started:
        steps = [(candidate.starts[step] / 1e6, colour) for step, (_, colour) in _STEPS.items()]
        total = candidate.starts["total_ns"] / 1e6
        bars.append(Bar(candidate.name, [Piece(*step) for step in steps], f"{amount(total)}{THIN}ms"))
        values = [*(step for step, _ in steps), total, *(candidate.starts[each] / 1e6 for each in _MEMORY)]
        rows.append([named(candidate), *(scaled(value, 1.0) for value in values)])
    columns = [
        ARTEFACT,
        *(Column(name, "ms") for name, _ in _STEPS.values()),
        Column("cold start", "ms"),
        *(Column(name, "MB") for name in _MEMORY.values()),
    ]
    starts = counted(max(candidate.start_count for candidate in started), "start")
    drawn, left_out = _comparable(bars, has_reference=started[0] is findings.reference)
    chart = Chart(
        "starts",
        "Cold start",
        "; ".join(f"{bar.name}: {bar.note}" for bar in bars),
        Bars(drawn, "milliseconds from a new process"),
        f"From the start of a process to its first prediction, medians of {starts}.{left_out}",
        tuple((colour, "", name) for name, colour in _STEPS.values()),
    )
    table = Table(f"Medians of {starts}; memory is what is resident", columns, rows)
    return Section("startup", "Start-up and memory", [chart, table])


def _spot(candidate: Candidate, factor: float) -> Spot:
    value, low, high = candidate.percentiles[50].bounded
    ends = candidate.accuracy_interval
    return Spot(
        candidate.name,
        colour_of(candidate.measured.format),
        mark_of(candidate.measured.precision),
        (value / factor, low / factor, high / factor),
        (100 * candidate.accuracy, 100 * ends[0], 100 * ends[1]),
    )


def _strip(candidate: Candidate, factor: float) -> Strip:
    assert candidate.main is not None
    calls = np.asarray(candidate.main.samples, np.float64) / factor
    p90 = candidate.percentiles.get(90)
    return Strip(
        candidate.name,
        colour_of(candidate.measured.format),
        calls=calls[calls <= np.percentile(calls, _SHOWN_PERCENT)],
        median=candidate.median_ns / factor,
        p90=p90.value / factor if p90 else None,
        medians=[float(np.median(launch)) / factor for launch in candidate.main.launches],
    )


def _ratios(findings: Findings) -> list[Block]:
    """Return the chart of latencies beside that of the base, if there are any."""
    lines = []
    for candidate in findings.candidates:
        ratio = candidate.ratio
        if ratio is None:
            continue
        bounded = is_bounded(ratio)
        ends = (ratio.low, ratio.high) if bounded else (ratio.ratio, ratio.ratio)
        dot = Dot((ratio.ratio, *ends), colour_of(candidate.measured.format), mark_of(candidate.measured.precision))
        note = f"{figures(ratio.ratio)} ({span(*ends)})" if bounded else figures(ratio.ratio)
        lines.append(Line(candidate.name, (dot,), note))
    if not lines:
        return []
    base = findings.reference.name if findings.report.of_files else "float32 of the same format"
    axis = f"median latency, {base} = 1 (log scale; less is faster)"
    chart = Chart(
        "ratios",
        f"Latency as a multiple of {findings.base}",
        "; ".join(f"{each.name}: {each.note}" for each in lines),
        Intervals(lines, axis, logarithmic=True, mark_at=1.0),
        "Each ratio is taken process by process, from processes that ran side by side, with its 95 % interval. An "
        "interval that holds 1 is no difference.",
    )
    return [Heading(f"Against {findings.base_words if findings.report.of_files else findings.base}"), chart]


def _figures(findings: Findings) -> Table:
    """Return the percentiles, and what one sample takes from where to where."""
    unit, factor = findings.unit
    ways = [what for what in _WAYS if any(each.median_of(what) for each in findings.timed)]
    columns = [ARTEFACT, Column("calls"), *(Column(f"p{each}", unit) for each in PERCENTS),
               *(Column(f"{_WAYS[what]} p50", unit) for what in ways)]  # fmt: skip
    rows = []
    for candidate in findings.timed:
        calls = len(candidate.main.samples) if candidate.main else None
        percentiles = (latency_cell(candidate.percentiles.get(each), factor) for each in PERCENTS)
        medians = (scaled(candidate.median_of(what), factor) for what in ways)
        rows.append([named(candidate), Cell(calls, "count"), *percentiles, *medians])
    more = "; then from pixels to probabilities, and to labels" if LABEL in ways else ""
    more = more or ("; then from what users give to what they take" if ways else "")
    return Table(f"Percentiles of one call on one {findings.report.sample}, with 95 % intervals{more}", columns, rows)


def _curves(findings: Findings, threads: int) -> Chart | None:
    curves = []
    batches = sorted({batch for count, batch in findings.predicting if count == threads})
    for candidate in findings.timed:
        points = [(batch, rate) for batch in batches if (rate := candidate.rate(batch, threads))]
        if len(points) > 1:
            colour = colour_of(candidate.measured.format)
            curves.append(Curve(candidate.name, colour, mark_of(candidate.measured.precision), points))
    if not curves:
        return None
    words = (
        f"{curve.name}: " + ", ".join(f"{rate:,.0f} at batch {batch}" for batch, rate in curve.points)
        for curve in curves
    )
    title = f"Throughput with {counted(threads, 'thread')}"
    return Chart(f"throughput-{threads}", title, "; ".join(words), Curves(curves), f"{title}.")


def _comparable(bars: list[Bar], *, has_reference: bool) -> tuple[list[Bar], str]:
    """Return the bars to draw, and a sentence on the one left out: beside TensorFlow's no other start is visible."""
    reference, *others = bars
    longest = max((bar.length for bar in others), default=0.0)
    if not (has_reference and others and reference.length > _FAR_LONGER * longest):
        return bars, ""
    return others, f" {reference.name} takes {reference.note} and is not drawn."
