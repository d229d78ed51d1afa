"""Accuracy beside the reference: agreement, what was lost, how sure the answers are, and which classes suffer."""

from edgeport.benchmarks.report.charts.data import Dot, Intervals, Line
from edgeport.benchmarks.report.document import (
    Block,
    Cell,
    Chart,
    Column,
    Heading,
    Listed,
    Paragraph,
    Section,
    Strong,
    Table,
)
from edgeport.benchmarks.report.findings import Findings
from edgeport.benchmarks.report.looks import colour_of, mark_of
from edgeport.benchmarks.report.sections.answer import verdicts
from edgeport.benchmarks.report.sections.names import ARTEFACT, named
from edgeport.benchmarks.report.words import THIN, counted, signed

_COUNTS = ("right to wrong", "wrong to right", "wrong to other")


def accuracy(findings: Findings) -> Section | None:
    """Return the section; None if there is nothing to compare."""
    if not findings.others or findings.report.judged:
        return None
    blocks: list[Block] = [
        Listed([(Strong(names), f": {sentence}.") for names, sentence in verdicts(findings)]),
        _losses(findings),
        _agreement(findings),
        Paragraph(
            "Right to wrong: images that the reference has right and the artefact wrong, and so on. Lost: of "
            "accuracy, with Tango's score interval. p is that of the exact McNemar test. The agreement has its Wilson "
            "interval.",
            "note",
        ),
        _confidence(findings),
        Paragraph(
            "Change: of the probability of the answer, without its sign. Calibration error: how far confidence and "
            "accuracy are apart, in 15 bins of equal width (arXiv 1706.04599).",
            "note",
        ),
        Heading("Classes that lost accuracy"),
        _classes(findings),
    ]
    return Section("accuracy", "Accuracy and agreement", blocks)


def _losses(findings: Findings) -> Chart:
    lines = []
    for candidate in findings.others:
        if candidate.compared is None:
            continue
        low, high = (100 * end for end in (candidate.compared.change.low, candidate.compared.change.high))
        loss = 100 * candidate.compared.answers.loss
        dot = Dot((loss, low, high), colour_of(candidate.measured.format), mark_of(candidate.measured.precision))
        lines.append(Line(candidate.name, (dot,), signed(f"{loss:.2f} ({low:.2f} to {high:.2f})")))
    return Chart(
        "losses",
        "Loss of accuracy",
        "; ".join(f"{each.name}: {each.note}" for each in lines),
        Intervals(lines, "accuracy lost, points (right of 0 is worse)", mark_at=0.0),
        f"Accuracy lost against {findings.reference.name}, in percentage points, with the 95{THIN}% score "
        "interval of paired shares (Tango, 1998).",
    )


def _agreement(findings: Findings) -> Table:
    columns = [ARTEFACT, Column("agreement", "%"), Column("flips"), *map(Column, _COUNTS), Column("lost", "points"),
               Column("p")]  # fmt: skip
    rows = []
    for candidate in findings.others:
        if candidate.compared is None:
            continue
        answers = candidate.compared.answers
        counts = (answers.flips, answers.right_to_wrong, answers.wrong_to_right, answers.wrong_to_other)
        rows.append(
            [
                named(candidate),
                Cell(answers.agreement, "percent", interval=answers.agreement_interval),
                *(Cell(count, "count") for count in counts),
                Cell(answers.loss, "percent", interval=(candidate.compared.change.low, candidate.compared.change.high)),
                Cell(answers.p_value, "p"),
            ]
        )
    return Table(f"Answers beside those of {findings.reference.name} on the same images", columns, rows)


def _confidence(findings: Findings) -> Table:
    columns = [ARTEFACT, Column("mean change", "points"), Column("99th percentile", "points"),
               Column("mean confidence", "%"), Column("calibration error", "points")]  # fmt: skip
    rows = []
    for candidate in findings.candidates:
        found = candidate.confidence
        values = (found.change, found.most, found.mean, found.calibration_error)
        rows.append([named(candidate), *(Cell(value, "percent") for value in values)])
    return Table("How sure the answers are", columns, rows)


def _classes(findings: Findings) -> Block:
    """Return the classes that have lost accuracy, or a sentence that none has."""
    rows = [
        [
            named(candidate),
            Cell(loss.label),
            Cell(loss.count, "count"),
            Cell(loss.paired.right_to_wrong, "count"),
            Cell(loss.paired.wrong_to_right, "count"),
            Cell(loss.paired.loss, "percent"),
            Cell(loss.p_value, "p"),
        ]
        for candidate in findings.others
        if candidate.compared
        for loss in candidate.compared.classes
    ]
    if not rows:
        count = counted(len(findings.report.dataset.get("labels", ())), "class", "classes")
        return Paragraph(
            f"No class of {count} has lost accuracy beyond chance in any artefact. (Exact McNemar test in each class, "
            "with Holm\u2019s correction.)"
        )
    columns = [ARTEFACT, Column("class", numeric=False), Column("images"), *map(Column, _COUNTS[:2]),
               Column("loss", "points"), Column("p")]  # fmt: skip
    caption = "Classes with a significant loss at 5 %, after Holm\u2019s correction over all classes of an artefact"
    return Table(caption, columns, rows)
