"""Accuracy beside the reference: agreement, what was lost, how sure the answers are, and which classes suffer."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from edgeport.benchmarks.report.findings import Findings
from edgeport.benchmarks.report.html_elements import Child, Column, element, listed, paragraph, table, two_lines
from edgeport.benchmarks.report.html_page import Place
from edgeport.benchmarks.report.html_summary import named
from edgeport.benchmarks.report.svg_drawing import chart, colour_class
from edgeport.benchmarks.report.svg_intervals import Dot, Line, draw_intervals
from edgeport.benchmarks.report.words import DASH, THIN, counted, enumerated, percent, percent_span, signed
from edgeport.benchmarks.statistics.confidence import confidence_change, expected_calibration_error
from edgeport.benchmarks.statistics.paired import loss_interval
from edgeport.benchmarks.statistics.verdicts import class_losses


def accuracy(findings: Findings, place: Place) -> ET.Element | None:
    """Return the section; None if there is nothing to compare."""
    if not findings.others:
        return None
    reference = findings.reference.name
    return place.section(
        "accuracy",
        "Accuracy and agreement",
        listed(_verdicts(findings)),
        _losses(findings, place),
        table(
            f"Answers beside those of {reference} on the same images", _agreement_columns(), _agreement_rows(findings)
        ),
        paragraph(
            "Right to wrong: images that the reference has right and the artefact wrong, and so on. p is that of the "
            "exact McNemar test. The agreement has its Wilson interval.",
            class_="note",
        ),
        table("How sure the answers are", _confidence_columns(), _confidence_rows(findings)),
        paragraph(
            "Change: of the probability of the answer, without its sign. Calibration error: how far confidence and "
            "accuracy are apart, in 15 bins of equal width (arXiv 1706.04599).",
            class_="note",
        ),
        *_classes(findings, place),
    )


def _verdicts(findings: Findings) -> list[ET.Element]:
    """Return the verdicts in words; those that say the same of several artefacts say it once."""
    told: dict[str, list[str]] = {}
    for subject in findings.others:
        if subject.verdict:
            told.setdefault(subject.verdict.sentence, []).append(subject.name)
    return [element("span", element("strong", enumerated(names)), f": {sentence}.") for sentence, names in told.items()]


def _losses(findings: Findings, place: Place) -> ET.Element:
    """Return the chart of losses with their bootstrap intervals."""
    lines = []
    for subject in findings.others:
        if subject.paired is None:
            continue
        low, high = (100 * end for end in loss_interval(subject.paired))
        loss = 100 * subject.paired.loss
        dot = Dot((loss, low, high), colour_class(subject.measured.format), subject.measured.precision)
        note = signed(f"{loss:.2f} ({low:.2f} to {high:.2f})")
        lines.append(Line(subject.name, (dot,), note))
    words = "; ".join(f"{each.name}: {each.note}" for each in lines)
    return chart(
        lambda width, identifier: draw_intervals(
            lines,
            width,
            identifier,
            title="Loss of accuracy",
            axis="accuracy lost, points (right of 0 is worse)",
            words=words,
            mark_at=0.0,
        ),
        f"{place.prefix}losses",
        f"Accuracy lost against {findings.reference.name}, in percentage points, with the 95{THIN}% bootstrap interval "
        "over images.",
    )


def _agreement_columns() -> list[Column]:
    return [
        Column("artefact", numeric=False),
        Column("agreement", unit="%"),
        Column("flips"),
        Column("right to wrong"),
        Column("wrong to right"),
        Column("wrong to other"),
        Column("p"),
    ]


def _agreement_rows(findings: Findings) -> list[list[Child]]:
    return [
        [
            named(subject),
            two_lines(percent(paired.agreement), percent_span(paired.agreement_interval)),
            f"{paired.flips:,}",
            f"{paired.right_to_wrong:,}",
            f"{paired.wrong_to_right:,}",
            f"{paired.wrong_to_other:,}",
            _p(paired.p_value),
        ]
        for subject in findings.others
        if (paired := subject.paired)
    ]


def _confidence_columns() -> list[Column]:
    return [
        Column("artefact", numeric=False),
        Column("mean change", unit="points"),
        Column("99th percentile", unit="points"),
        Column("mean confidence", unit="%"),
        Column("calibration error", unit="points"),
    ]


def _confidence_rows(findings: Findings) -> list[list[Child]]:
    truth, reference = findings.report.true_classes, findings.reference.measured
    rows: list[list[Child]] = []
    for subject in findings.subjects:
        measured = subject.measured
        mean, most = confidence_change(reference.confidence, measured.confidence)
        changes = (DASH, DASH) if measured is reference else (f"{100 * mean:.2f}", f"{100 * most:.2f}")
        error = expected_calibration_error(measured.confidence, measured.classes == truth)
        rows.append([named(subject), *changes, percent(float(measured.confidence.mean())), f"{100 * error:.2f}"])
    return rows


def _classes(findings: Findings, place: Place) -> Sequence[ET.Element]:
    """Return the classes that have lost accuracy, if any."""
    report = findings.report
    labels = [str(label) for label in report.dataset.get("labels", ())]
    rows: list[list[Child]] = []
    for subject in findings.others:
        for loss in class_losses(
            report.true_classes, findings.reference.measured.classes, subject.measured.classes, labels
        ):
            rows.append(
                [
                    named(subject),
                    loss.label,
                    f"{loss.count:,}",
                    f"{loss.paired.right_to_wrong:,}",
                    f"{loss.paired.wrong_to_right:,}",
                    f"{100 * loss.paired.loss:.2f}",
                    _p(loss.p_value),
                ]
            )
    heading = place.heading("Classes that lost accuracy")
    if not rows:
        told = (
            f"No class of {counted(len(labels), 'class', 'classes')} has lost accuracy beyond chance in any artefact."
        )
        return [heading, paragraph(f"{told} (Exact McNemar test in each class, with Holm\u2019s correction.)")]
    columns = [
        Column("artefact", numeric=False),
        Column("class", numeric=False),
        Column("images"),
        Column("right to wrong"),
        Column("wrong to right"),
        Column("loss", unit="points"),
        Column("p"),
    ]
    caption = "Classes with a significant loss at 5 %, after Holm\u2019s correction over all classes of an artefact"
    return [heading, table(caption, columns, rows)]


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"
