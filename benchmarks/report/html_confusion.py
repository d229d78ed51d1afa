"""Which classes are taken for which, for each candidate."""

import xml.etree.ElementTree as ET

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.report.findings import Findings, Subject
from edgeport.benchmarks.report.html_elements import Child, Column, element, folded, paragraph, table
from edgeport.benchmarks.report.html_flips import label_of
from edgeport.benchmarks.report.html_page import Place
from edgeport.benchmarks.report.words import counted, enumerated, percent, shortened

# A larger matrix is no picture any more; its worst confusions are.
_LARGEST_MATRIX = 20
_MOST_CONFUSIONS = 30


def confusions(findings: Findings, place: Place) -> ET.Element:
    """Return the section."""
    return place.section(
        "confusions",
        "Confusions",
        paragraph("Which class was taken for which: rows are true classes, columns are answers."),
        *(_confusion(findings, alike) for alike in _groups(findings)),
    )


def _groups(findings: Findings) -> list[list[Subject]]:
    """Return the candidates, those that answer every image alike together."""
    groups: dict[bytes, list[Subject]] = {}
    for subject in findings.subjects:
        groups.setdefault(subject.measured.classes.tobytes(), []).append(subject)
    return list(groups.values())


def _confusion(findings: Findings, alike: list[Subject]) -> ET.Element:
    """Return the confusions of candidates that answer alike."""
    report, subject = findings.report, alike[0]
    truth, answers = report.true_classes, subject.measured.classes
    wrong = len(report.truth) - report.correct(subject.measured)
    told = f"{enumerated([each.name for each in alike])}: {counted(wrong, 'image')} wrong"
    if not wrong:
        return folded(told, paragraph("Every image is answered right."))
    count = max(len(report.dataset.get("labels", ())), int(truth.max()) + 1, int(answers.max()) + 1)
    if count > _LARGEST_MATRIX:
        return folded(told, _worst(findings, subject))
    matrix = np.zeros((count, count), np.int64)
    np.add.at(matrix, (truth, answers), 1)
    return folded(told, _matrix(findings, subject, matrix))


def _matrix(findings: Findings, subject: Subject, matrix: npt.NDArray[np.int64]) -> ET.Element:
    names = [shortened(label_of(findings, index), 16) for index in range(len(matrix))]
    columns = [Column("true", numeric=False), *(Column(name) for name in names), Column("right", unit="%")]
    most = max(int((matrix - np.diag(np.diag(matrix))).max()), 1)
    rows: list[list[Child]] = []
    for index, (name, counts) in enumerate(zip(names, matrix, strict=True)):
        cells = (_cell(int(count), place == index, most) for place, count in enumerate(counts))
        total = int(counts.sum())
        rows.append([name, *cells, percent(counts[index] / total, decimals=1) if total else ""])
    return table(f"Confusion matrix of {subject.name}", columns, rows, class_="matrix")


def _cell(count: int, diagonal: bool, most: int) -> ET.Element:
    if diagonal:
        return element("span", f"{count:,}", class_="diagonal")
    if not count:
        return element("span", "\u00b7", class_="zero")
    # The square root shows small counts beside a large one.
    strength = 0.12 + 0.6 * (count / most) ** 0.5
    return element("span", f"{count:,}", class_="wrong", style=f"--strength:{strength:.2f}")


def _worst(findings: Findings, subject: Subject) -> ET.Element:
    """Return the most frequent confusions."""
    truth, answers = findings.report.true_classes, subject.measured.classes
    pairs, counts = np.unique(np.stack([truth, answers], axis=1)[truth != answers], axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_CONFUSIONS]
    rows: list[list[Child]] = [
        [label_of(findings, int(pairs[each, 0])), label_of(findings, int(pairs[each, 1])), f"{counts[each]:,}"]
        for each in order
    ]
    columns = [Column("true", numeric=False), Column("answer", numeric=False), Column("images")]
    caption = f"The {len(rows)} most frequent of {len(counts)} confusions of {subject.name}"
    return table(caption, columns, rows)
