"""Several machines side by side: the same artefacts, what they take on each, and whether the answers are the same."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence

import numpy as np

from edgeport.benchmarks.report.findings import Findings, Subject, time_unit
from edgeport.benchmarks.report.html_elements import (
    Child,
    Column,
    element,
    listed,
    paragraph,
    table,
    two_lines,
)
from edgeport.benchmarks.report.html_page import Place
from edgeport.benchmarks.report.html_summary import ratio_cell
from edgeport.benchmarks.report.record import Report
from edgeport.benchmarks.report.svg_drawing import chart, marker
from edgeport.benchmarks.report.svg_intervals import Dot, Line, draw_intervals
from edgeport.benchmarks.report.words import DASH, THIN, amount, amounts, counted, enumerated, moment, size

# Marks of machines; artefacts have the same ones elsewhere, where a chart is of one machine.
_MARKS = ("float32", "int8", "float16", "dynamic", "int16x8")


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
    """Return what makes some reports tell of different things than the first, a line each."""
    first, found = reports[0], []
    for report, name in zip(reports[1:], names[1:], strict=True):
        if report.model != first.model:
            found.append(f"Another model than {first.model}: {name}. Their figures do not compare.")
        other = [file for file, digest in _digests(report).items() if _digests(first).get(file, digest) != digest]
        if other and report.model == first.model:
            found.append(f"Other files of the same name on {name} and on {names[0]}: {enumerated(other)}.")
        if report.dataset["sha256"] != first.dataset["sha256"] or report.truth != first.truth:
            here, there = (f"{each.dataset['name']} ({len(each.truth):,} images)" for each in (report, first))
            found.append(
                f"Other test images: {name} has {here}, {names[0]} has {there}. Their accuracies do not compare."
            )
    return found


def lead(findings: Sequence[Findings], names: Sequence[str]) -> ET.Element:
    """Return a paragraph with the answer: the best artefact of each machine, and of all of them if it is one."""
    unit, factor = time_unit(findings)
    found = [(name, each.best) for each, name in zip(findings, names, strict=True) if each.best]
    took = [f"{amount(best.median_ns / factor)}{THIN}{unit} on {name}" for name, best in found]
    files = {best.measured.file for _, best in found}
    if len(found) == len(findings) and len(files) == 1:
        best = element("strong", found[0][1].name)
        words = f" is the fastest artefact without a detectable loss of accuracy on every machine: {enumerated(took)}."
        return paragraph(best, words, class_="answer")
    parts = [f"{best.name} with {told}" for (_, best), told in zip(found, took, strict=True)]
    none = [name for each, name in zip(findings, names, strict=True) if not each.best]
    words = f"The fastest artefacts without a detectable loss of accuracy: {enumerated(parts)}." if parts else ""
    return paragraph(words, f" None on {enumerated(none)}." if none else None, class_="answer")


def same_answers(findings: Findings, first: Findings) -> bool:
    """Return whether a machine gives every image the answers of the first one, with all that it ran."""
    same_images = findings.report.truth == first.report.truth
    return same_images and all(
        other is not None and subject.measured.predictions == other.measured.predictions
        for subject in findings.subjects
        for other in [_subject(first, _key(findings, subject))]
    )


def machines(findings: Sequence[Findings], names: Sequence[str], place: Place) -> ET.Element:
    """Return the section that compares machines."""
    told = differences([each.report for each in findings], names)
    found = _rows(findings)
    models = {each.report.model for each in findings}
    return place.section(
        "machines",
        "Machines side by side" if len(models) == 1 else "Runs side by side",
        element("div", listed(told), class_="warning", role="note", aria_label="What does not compare")
        if told
        else None,
        _hosts(findings, names),
        *_chart(findings, names, found, place),
        _times(findings, names, found),
        _answers(findings, names, found),
    )


def _machine_name(report: Report) -> str:
    host = report.host
    return str(host.get("board") or host.get("board_model") or host.get("cpu_model") or "unknown machine")


def _hosts(findings: Sequence[Findings], names: Sequence[str]) -> ET.Element:
    words = "machine", "system", "measured", "best without a loss", "architecture"
    columns = [*(Column(each, numeric=False) for each in words), Column("cores"), Column("memory"), Column("disturbed")]
    rows: list[list[Child]] = []
    for each, name in zip(findings, names, strict=True):
        host = each.report.host
        ram = host.get("ram_bytes")
        rows.append(
            [
                name,
                f"{host.get('os', '')}, Python {host.get('python', '')}",
                moment(each.report.created_utc),
                each.best.name if each.best else "none",
                str(host.get("architecture", DASH)),
                str(host.get("cores", DASH)),
                size(ram) if isinstance(ram, (int, float)) else DASH,
                "yes" if each.disturbances else "no",
            ]
        )
    return table("The machines of these runs", columns, rows, cards=True)


def _chart(
    findings: Sequence[Findings], names: Sequence[str], found: dict[str, list[Subject | None]], place: Place
) -> Sequence[ET.Element]:
    unit, factor = time_unit(findings)
    lines = []
    for label, subjects in found.items():
        dots = []
        for index, subject in enumerate(subjects):
            if subject is not None and subject.main:
                middle = subject.percentiles[50]
                low, high = middle.interval or (middle.value, middle.value)
                dots.append(
                    Dot((middle.value / factor, low / factor, high / factor), f"m-{index % 5 + 1}", _MARKS[index % 5])
                )
        if dots:
            lines.append(Line(label, tuple(dots)))
    if not lines:
        return []
    legend_ = element(
        "span",
        *(element("span", _mark(index), name) for index, name in enumerate(names)),
        class_="legend",
    )
    drawn = chart(
        lambda width, identifier: draw_intervals(
            lines,
            width,
            identifier,
            title="Latency on each machine",
            axis=f"p50 of one call on one image, {unit} (log scale)",
            words="The figures are in the table that follows.",
            logarithmic=True,
        ),
        f"{place.prefix}machines-latency",
        f"Medians with 95{THIN}% intervals.",
    )
    return [legend_, drawn]


def _mark(index: int) -> ET.Element:
    """Return the mark of a machine as a picture that screen readers leave out."""
    mark = marker(8, 8, _MARKS[index % 5], radius=6)
    return element("svg", mark, viewBox="0 0 16 16", aria_hidden="true", class_=f"mark m-{index % 5 + 1}")


def _times(findings: Sequence[Findings], names: Sequence[str], found: dict[str, list[Subject | None]]) -> ET.Element:
    unit, factor = time_unit(findings)
    columns = [Column("artefact", numeric=False)]
    for name in names:
        columns += [Column(name, unit=each) for each in (f"p50, {unit}", "float32 = 1", "cold start, ms")]
    rows: list[list[Child]] = []
    for label, subjects in found.items():
        row: list[Child] = [label]
        for subject in subjects:
            row += _cells(subject, factor)
        rows.append(row)
    return table("Latency, the ratio to float32 of the same format, and cold start on each machine", columns, rows)


def _cells(subject: Subject | None, factor: float) -> list[Child]:
    if subject is None or not subject.main:
        return [DASH, DASH, DASH]
    middle, start = subject.percentiles[50], subject.of_starts("total_ns")
    interval = amounts(*(end / factor for end in middle.interval)) if middle.interval else ""
    return [
        two_lines(amount(middle.value / factor), interval),
        ratio_cell(subject.ratio),
        amount(start / 1e6) if start else DASH,
    ]


def _answers(findings: Sequence[Findings], names: Sequence[str], found: dict[str, list[Subject | None]]) -> ET.Element:
    """Return how many images each machine answers unlike the first one that has the artefact."""
    first = findings[0].report
    same_images = [
        each.report.truth == first.truth and each.report.dataset["sha256"] == first.dataset["sha256"]
        for each in findings
    ]
    rows: list[list[Child]] = []
    for label, subjects in found.items():
        row: list[Child] = [label]
        for subject, comparable in zip(subjects, same_images, strict=True):
            row.append(_answers_of(subject, subjects[0] if comparable else None))
        rows.append(row)
    columns = [Column("artefact", numeric=False), *(Column(name, numeric=False) for name in names)]
    return table(f"Right answers, and whether they are those of {names[0]}", columns, rows)


def _answers_of(subject: Subject | None, first: Subject | None) -> Child:
    if subject is None:
        return DASH
    share = f"{100 * subject.accuracy:.2f}{THIN}%"
    if first is None or subject is first:
        return share
    other = int(np.count_nonzero(subject.measured.classes != first.measured.classes))
    return two_lines(share, "the same answers" if not other else f"{counted(other, 'image')} answered otherwise")


def _rows(findings: Sequence[Findings]) -> dict[str, list[Subject | None]]:
    """Return each candidate on each of the machines, by what tables call it; None where a machine has not run it."""
    several = len({each.report.model for each in findings}) > 1
    rows: dict[str, list[Subject | None]] = {}
    keys = dict.fromkeys(_key(each, subject) for each in findings for subject in each.subjects)
    for key in keys:
        subjects = [_subject(each, key) for each in findings]
        name = next(subject.name for subject in subjects if subject)
        label = f"{key[0]}: {name}" if several else name
        rows[label if label not in rows else key[1]] = subjects
    return rows


def _key(findings: Findings, subject: Subject) -> tuple[str, str]:
    """Return what a candidate is found by on another machine: its file, but for the reference, called as it may be."""
    is_keras = subject is findings.reference and subject.measured.format == "keras"
    return findings.report.model, "the Keras model" if is_keras else subject.measured.file


def _subject(findings: Findings, key: tuple[str, str]) -> Subject | None:
    return next((subject for subject in findings.subjects if _key(findings, subject) == key), None)


def _digests(report: Report) -> dict[str, str]:
    # A reference whose answers were recorded has no file of its own on that machine.
    return {each.file: each.sha256 for each in report.artefacts if each.sha256}
