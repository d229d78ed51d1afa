"""Several machines side by side: the same artefacts, what they take on each, and whether the answers are the same."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from edgeport.benchmarks.report.charts.data import Dot, Intervals, Line
from edgeport.benchmarks.report.document import (
    Block,
    Cell,
    Chart,
    Column,
    Notice,
    Paragraph,
    Section,
    Strong,
    Table,
)
from edgeport.benchmarks.report.findings import Candidate, Findings, time_unit
from edgeport.benchmarks.report.looks import machine_look
from edgeport.benchmarks.report.raw.record import Measured, Report
from edgeport.benchmarks.report.sections.names import ARTEFACT, latency_cell, ratio_cell, scaled
from edgeport.benchmarks.report.words import THIN, amount, counted, enumerated, moment, size
from edgeport.benchmarks.statistics.output_change import output_change

_Rows = dict[str, list[Candidate | None]]


def machine_names(reports: Sequence[Report]) -> list[str]:
    """Return what the page calls each machine; no two are called the same."""
    names = [_machine_name(report) for report in reports]
    if len({report.model for report in reports}) > 1:
        names = [f"{name} ({report.model})" for name, report in zip(names, reports, strict=True)]
    twice = {name for name, count in Counter(names).items() if count > 1}
    names = [
        f"{name}, {moment(report.created_utc)}" if name in twice else name
        for name, report in zip(names, reports, strict=True)
    ]
    again = Counter(names)
    return [f"{name} ({index + 1})" if again[name] > 1 else name for index, name in enumerate(names)]


def differences(reports: Sequence[Report], names: Sequence[str]) -> list[str]:
    """Return in what some reports are of different things than the first, a line each."""
    first, found = reports[0], []
    for report, name in zip(reports[1:], names[1:], strict=True):
        if report.model != first.model:
            found.append(f"Another model than {first.model}: {name}. Their figures do not compare.")
        other = [file for file, digest in _digests(report).items() if _digests(first).get(file, digest) != digest]
        if other and report.model == first.model:
            found.append(f"Other files of the same name on {name} and on {names[0]}: {enumerated(other)}.")
        if report.dataset["sha256"] != first.dataset["sha256"] or report.truth != first.truth:
            here, there = (f"{each.dataset['name']} ({counted(each.count, each.sample)})" for each in (report, first))
            figures = "metrics" if report.judged else "accuracies"
            found.append(
                f"Other test {report.sample}s: {name} has {here}, {names[0]} has {there}. Their {figures} do not "
                "compare."
            )
    return found


def lead_of_all(findings: Sequence[Findings], names: Sequence[str]) -> Paragraph:
    """Return the answer: the best artefact of each machine, and of all of them if it is one."""
    unit, factor = time_unit(findings)
    found = [(name, each.best) for each, name in zip(findings, names, strict=True) if each.best]
    took = [f"{amount(best.median_ns / factor)}{THIN}{unit} on {name}" for name, best in found]
    files = {best.measured.file for _, best in found}
    if len(found) == len(findings) and len(files) == 1:
        words = f" is the fastest artefact without a detectable loss of accuracy on every machine: {enumerated(took)}."
        return Paragraph((Strong(found[0][1].name), words), "answer")
    parts = [f"{best.name} with {each}" for (_, best), each in zip(found, took, strict=True)]
    none = [name for each, name in zip(findings, names, strict=True) if not each.best]
    words = f"The fastest artefacts without a detectable loss of accuracy: {enumerated(parts)}." if parts else ""
    return Paragraph(words + (f" None on {enumerated(none)}." if none else ""), "answer")


def same_answers(findings: Findings, first: Findings) -> bool:
    """Return whether a machine gives every image the answers of the first one, with all that it ran."""
    return _same_samples(findings.report, first.report) and all(
        other is not None and _same(candidate.measured, other.measured)
        for candidate in findings.candidates
        for other in [_found(first, _key(findings, candidate))]
    )


def _same_samples(report: Report, first: Report) -> bool:
    # The classes of images alone say that these are the same; other answers need the same digest.
    judged = bool(report.judged or first.judged)
    return report.truth == first.truth and not (judged and report.dataset["sha256"] != first.dataset["sha256"])


def _same(measured: Measured, other: Measured) -> bool:
    return measured.predictions == other.predictions and measured.answers == other.answers


def machines(findings: Sequence[Findings], names: Sequence[str]) -> Section:
    """Return the section that compares machines."""
    notes = differences([each.report for each in findings], names)
    rows = _rows(findings)
    one_model = len({each.report.model for each in findings}) == 1
    blocks: list[Block] = [Notice("What does not compare", notes)] if notes else []
    blocks.append(_hosts(findings, names))
    chart = _chart(findings, names, rows)
    blocks += [chart] if chart else []
    blocks += [_times(findings, names, rows), _answers(findings, names, rows)]
    return Section("machines", "Machines side by side" if one_model else "Runs side by side", blocks)


def _machine_name(report: Report) -> str:
    host = report.host
    return str(host.get("board") or host.get("board_model") or host.get("cpu_model") or "unknown machine")


def _hosts(findings: Sequence[Findings], names: Sequence[str]) -> Table:
    words = "machine", "system", "measured", "best without a loss", "architecture"
    columns = [*(Column(each, numeric=False) for each in words), Column("cores"), Column("memory"), Column("disturbed")]
    rows = []
    for each, name in zip(findings, names, strict=True):
        host = each.report.host
        ram = host.get("ram_bytes")
        values = [
            name,
            f"{host.get('os', '')}, Python {host.get('python', '')}",
            moment(each.report.created_utc),
            each.best.name if each.best else "none",
            host.get("architecture"),
            host.get("cores"),
            size(ram) if isinstance(ram, (int, float)) else None,
            "yes" if each.disturbances else "no",
        ]
        rows.append([Cell(None if value is None else str(value)) for value in values])
    return Table("The machines of these runs", columns, rows, cards=True)


def _chart(findings: Sequence[Findings], names: Sequence[str], rows: _Rows) -> Chart | None:
    unit, factor = time_unit(findings)
    lines = []
    for label, candidates in rows.items():
        dots = []
        for index, candidate in enumerate(candidates):
            if candidate is not None and candidate.main:
                value, low, high = (end / factor for end in candidate.percentiles[50].bounded)
                dots.append(Dot((value, low, high), *machine_look(index)))
        if dots:
            lines.append(Line(label, dots))
    if not lines:
        return None
    return Chart(
        "machines-latency",
        "Latency on each machine",
        "The figures are in the table that follows.",
        Intervals(lines, f"p50 of one call on one {findings[0].report.sample}, {unit} (log scale)", logarithmic=True),
        f"Medians with 95{THIN}% intervals.",
        tuple((*machine_look(index), name) for index, name in enumerate(names)),
    )


def _times(findings: Sequence[Findings], names: Sequence[str], rows: _Rows) -> Table:
    unit, factor = time_unit(findings)
    columns = [ARTEFACT]
    for name in names:
        columns += [Column(name, each) for each in (f"p50, {unit}", f"{findings[0].base} = 1", "cold start, ms")]
    cells = [
        [Cell(label), *(cell for candidate in candidates for cell in _cells(candidate, factor))]
        for label, candidates in rows.items()
    ]
    base = "the reference" if findings[0].report.of_files else "float32 of the same format"
    return Table(f"Latency, the ratio to {base}, and cold start on each machine", columns, cells)


def _cells(candidate: Candidate | None, factor: float) -> list[Cell]:
    if candidate is None or not candidate.main:
        return [Cell(None)] * 3
    middle = latency_cell(candidate.percentiles[50], factor)
    return [middle, ratio_cell(candidate.ratio), scaled(candidate.starts.get("total_ns"), 1e6)]


def _answers(findings: Sequence[Findings], names: Sequence[str], rows: _Rows) -> Table:
    """Return how many images each machine answers unlike the first one that has the artefact, or how far they are."""
    first = findings[0].report
    same_images = [
        each.report.truth == first.truth and each.report.dataset["sha256"] == first.dataset["sha256"]
        for each in findings
    ]
    cells = [
        [
            Cell(label),
            *(
                _answers_of(candidate, candidates[0] if comparable else None)
                for candidate, comparable in zip(candidates, same_images, strict=True)
            ),
        ]
        for label, candidates in rows.items()
    ]
    columns = [ARTEFACT, *(Column(name) for name in names)]
    what = "The deciding metric, and whether the answers" if first.judged else "Right answers, and whether they"
    return Table(f"{what} are those of {names[0]}", columns, cells)


def _answers_of(candidate: Candidate | None, first: Candidate | None) -> Cell:
    if candidate is None:
        return Cell(None)
    if candidate.judged:
        return _judged_answers(candidate, first)
    share = f"{100 * candidate.accuracy:.2f}{THIN}%"
    if first is None or candidate is first:
        return Cell(share)
    other = int(np.count_nonzero(candidate.measured.classes != first.measured.classes))
    return Cell(share, note="the same answers" if not other else f"{counted(other, 'image')} answered otherwise")


def _judged_answers(candidate: Candidate, first: Candidate | None) -> Cell:
    """Return the deciding metric, if there is one, and how far the answers are from those of the first machine."""
    changes = (change for each in candidate.judged for change in each.changes)
    figure = next((f"{each.metric.name} {each.metric.shown(each.other)}" for each in changes), "not judged")
    if first is None or candidate is first:
        return Cell(figure)
    if _same(candidate.measured, first.measured):
        return Cell(figure, note="the same answers")
    pairs = zip(candidate.measured.answers, first.measured.answers, strict=True)
    alike = [(own.array, other.array) for own, other in pairs if own.shape == other.shape]
    largest = max((output_change(other, own).largest for own, other in alike), default=math.nan)
    return Cell(figure, note=f"largest change {largest:.3g}" if math.isfinite(largest) else "other answers")


def _rows(findings: Sequence[Findings]) -> _Rows:
    """Return each candidate on each of the machines, by what tables call it; None where a machine has not run it."""
    several = len({each.report.model for each in findings}) > 1
    rows: _Rows = {}
    keys = dict.fromkeys(_key(each, candidate) for each in findings for candidate in each.candidates)
    for key in keys:
        candidates = [_found(each, key) for each in findings]
        name = next(candidate.name for candidate in candidates if candidate)
        label = f"{key[0]}: {name}" if several else name
        rows[label if label not in rows else key[1]] = candidates
    return rows


def _key(findings: Findings, candidate: Candidate) -> tuple[str, str]:
    """Return what a candidate is found by on another machine: its file, but for the reference, called as it may be."""
    is_keras = candidate is findings.reference and candidate.is_keras
    return findings.report.model, "the Keras model" if is_keras else candidate.measured.file


def _found(findings: Findings, key: tuple[str, str]) -> Candidate | None:
    return next((candidate for candidate in findings.candidates if _key(findings, candidate) == key), None)


def _digests(report: Report) -> dict[str, str]:
    # A reference whose answers were recorded has no file of its own on that machine.
    return {each.file: each.sha256 for each in report.artefacts if each.sha256}
