"""The images that an artefact answers unlike the reference, and which classes are taken for which."""

import re

import numpy as np

from edgeport.benchmarks.report.document import (
    Block,
    Cell,
    Column,
    FlipCard,
    Folded,
    Gallery,
    Paragraph,
    Section,
    Table,
)
from edgeport.benchmarks.report.findings import Candidate, Confusion, Findings
from edgeport.benchmarks.report.words import THIN, counted, enumerated, percent, shortened

MOST_PICTURES = 24
_BASE64 = re.compile("[A-Za-z0-9+/]+={0,2}")
# A larger matrix is no picture any more; its worst confusions are.
_LARGEST_MATRIX = 20
_MOST_CONFUSIONS = 30


def flips(findings: Findings) -> Section | None:
    """Return the section with flipped images; None if there is nothing to compare."""
    if not findings.others or findings.report.judged:
        return None
    reference = findings.reference.name
    flipped = [each for each in findings.others if each.compared and each.compared.flipped]
    alike = [each.name for each in findings.others if each.compared and not each.compared.flipped]
    intro = f"Images that an artefact answers unlike {reference}, those that became wrong first."
    if not flipped:
        intro = f"Every artefact answers every image as {reference} does."
    elif alike:
        intro += f" Without any: {', '.join(alike)}."
    galleries = [_gallery(findings, each, opened=each is flipped[0]) for each in flipped]
    return Section("flips", "Flipped images", [Paragraph(intro), *galleries], page_only=True)


def confusions(findings: Findings) -> Section | None:
    """Return the section with confusions; None for a model that chooses no class."""
    if not findings.confusions:
        return None
    intro = Paragraph("Which class was taken for which: rows are true classes, columns are answers.")
    folded = [_confusion(findings, each) for each in findings.confusions]
    return Section("confusions", "Confusions", [intro, *folded], page_only=True)


def _gallery(findings: Findings, candidate: Candidate, *, opened: bool) -> Folded:
    assert candidate.compared is not None
    answers, flipped, pictures = candidate.compared.answers, candidate.compared.flipped, findings.report.pictures
    drawn = [each for each in flipped if _BASE64.fullmatch(str(pictures.get(str(each[0]), "")))]
    shown = drawn[:MOST_PICTURES]
    blocks: list[Block] = [Gallery([_card(findings, candidate, *each) for each in shown])] if shown else []
    rest = len(flipped) - len(shown)
    if rest:
        verb = "is" if rest == 1 else "are"
        more = f"{rest:,} more {verb} not shown here; flips.npz beside this report holds them all."
        blocks.append(Paragraph(more, "note"))
    return Folded(
        f"{candidate.name}: {counted(answers.flips, 'flip')} ({answers.right_to_wrong:,} right to wrong, "
        f"{answers.wrong_to_right:,} wrong to right, {answers.wrong_to_other:,} wrong to other)",
        blocks,
        opened=opened,
    )


def _card(findings: Findings, candidate: Candidate, index: int, change: str) -> FlipCard:
    report, truth = findings.report, findings.report.truth[index]
    return FlipCard(
        picture=report.pictures[str(index)],
        alt=f"Test image {index}, of class {findings.label(truth)}",
        change=change,
        truth=findings.label(truth),
        answers=[
            (
                each.name,
                findings.label(each.measured.predictions[index]),
                each.measured.predictions[index] == truth,
                f"{percent(float(each.measured.confidence[index]), decimals=0)}{THIN}%",
            )
            for each in (findings.reference, candidate)
        ],
    )


def _confusion(findings: Findings, confusion: Confusion) -> Folded:
    names = enumerated([each.name for each in confusion.candidates])
    words = f"{names}: {counted(confusion.wrong, 'image')} wrong"
    if not confusion.wrong:
        return Folded(words, [Paragraph("Every image is answered right.")])
    small = len(confusion.matrix) <= _LARGEST_MATRIX
    return Folded(words, [_matrix(findings, confusion) if small else _worst(findings, confusion)])


def _matrix(findings: Findings, confusion: Confusion) -> Table:
    matrix = confusion.matrix
    names = [shortened(findings.label(index), 16) for index in range(len(matrix))]
    columns = [Column("true", numeric=False), *map(Column, names), Column("right", "%")]
    most = max(int((matrix - np.diag(np.diag(matrix))).max()), 1)
    rows = []
    for index, (name, counts) in enumerate(zip(names, matrix, strict=True)):
        cells = (_count(int(count), diagonal=place == index, most=most) for place, count in enumerate(counts))
        total = int(counts.sum())
        rows.append([Cell(name), *cells, Cell(counts[index] / total, "percent1") if total else Cell("")])
    return Table(f"Confusion matrix of {confusion.candidates[0].name}", columns, rows, look="matrix")


def _count(count: int, *, diagonal: bool, most: int) -> Cell:
    if diagonal:
        return Cell(count, "count", look="diagonal")
    if not count:
        return Cell("\u00b7", look="zero")
    # The square root shows small counts beside a large one.
    return Cell(count, "count", look="wrong", strength=0.12 + 0.6 * (count / most) ** 0.5)


def _worst(findings: Findings, confusion: Confusion) -> Table:
    """Return the most frequent confusions."""
    mistakes = confusion.matrix.copy()
    np.fill_diagonal(mistakes, 0)
    pairs = np.argwhere(mistakes)
    counts = mistakes[tuple(pairs.T)]
    rows = [
        [Cell(findings.label(int(pairs[each, 0]))), Cell(findings.label(int(pairs[each, 1]))),
         Cell(int(counts[each]), "count")]
        for each in np.argsort(-counts, kind="stable")[:_MOST_CONFUSIONS]
    ]  # fmt: skip
    columns = [Column("true", numeric=False), Column("answer", numeric=False), Column("images")]
    caption = f"The {len(rows)} most frequent of {len(counts)} confusions of {confusion.candidates[0].name}"
    return Table(caption, columns, rows)
