"""Answers of any kind beside the reference's: what each metric says, and how far the outputs themselves moved."""

from collections.abc import Sequence

from edgeport.benchmarks.report.document import Block, Cell, Column, Heading, Listed, Paragraph, Section, Strong, Table
from edgeport.benchmarks.report.findings import Candidate, Findings
from edgeport.benchmarks.report.judging import Judged
from edgeport.benchmarks.report.sections.names import ARTEFACT, named
from edgeport.benchmarks.report.words import counted
from edgeport.benchmarks.statistics.paired_change import DRAWS
from edgeport.benchmarks.statistics.verdicts import GAIN, LOSS, NO_LOSS
from edgeport.benchmarks.tasks.metric import SHARE

# Draws without a figure are left out.
_LEAST_DRAWN = 0.9
_LOOKS = {NO_LOSS: "good", GAIN: "good", LOSS: "bad"}


def judged(findings: Findings) -> Section | None:
    """Return the section; None for a model that chooses a class, and if there is nothing to compare."""
    if not findings.report.judged or not findings.others:
        return None
    blocks: list[Block] = []
    for place, output in enumerate(findings.report.judged):
        several = len(findings.report.judged) > 1
        blocks += [Heading(f"Output {output.name}")] if several else []
        blocks += _metrics(findings, place)
        blocks.append(_moved(findings, place))
    blocks.append(
        Paragraph(
            "Each loss is of the same samples, answered by both: its 95 % interval is that of a paired bootstrap, or "
            f"where every answer is right or wrong, Tango's beside McNemar's exact test. {_draws(findings)}Points are "
            "hundredths of a share.",
            "note",
        )
    )
    return Section("judged", "Answers and metrics", blocks)


def _metrics(findings: Findings, place: int) -> list[Block]:
    """Return a table of metrics, and a sentence for each verdict; a hint where nobody knows what is true."""
    changes = findings.reference.judged[place].changes
    if not changes:
        why = "No metric gives a number" if findings.problems else "No targets were given for it"
        return [Paragraph(f"{why}: how far the answers moved is known, and not what that costs.")]
    columns = [ARTEFACT, *(Column(each.metric.name, _unit(each.metric.unit)) for each in changes)]
    rows = [[named(each), *_cells(each.judged[place])] for each in findings.candidates]
    of = _samples(findings)
    table = Table(f"Metrics of {findings.report.judged[place].name} on {of}, with what was lost", columns, rows)
    return [Listed(_sentences(findings.others, place)), table]


def _draws(findings: Findings) -> str:
    """Return how many draws a slow metric got; nothing if it got all."""
    changes = [change for each in findings.others for output in each.judged for change in output.changes]
    least = min((each.draws for each in changes if each.draws), default=DRAWS)
    return f"A slow metric was drawn {least:,} times. " if least < _LEAST_DRAWN * DRAWS else ""


def _sentences(candidates: Sequence[Candidate], place: int) -> list[tuple[str, str]]:
    return [
        (Strong(candidate.name), f": {candidate.judged[place].verdicts[0].sentence}.")
        for candidate in candidates
        if candidate.judged[place].verdicts
    ]


def _cells(judged: Judged) -> list[Cell]:
    cells = []
    for number, change in enumerate(judged.changes):
        shown = change.metric.shown
        if not judged.verdicts:
            cells.append(Cell(shown(change.other)))
            continue
        lost = f"lost {shown(change.loss)} ({shown(change.low)} to {shown(change.high)})"
        look = _LOOKS.get(judged.verdicts[number].kind, "unknown") if change.significant else ""
        cells.append(Cell(shown(change.other), note="the same answers" if change.same else lost, look=look))
    return cells


def _moved(findings: Findings, place: int) -> Table:
    """Return how far the output is from the reference's, in its own units."""
    decides = any(each.judged[place].agreement is not None for each in findings.others)
    columns = [ARTEFACT, Column("largest change"), Column("mean change"), Column("bias"), Column("correlation"),
               *([Column("agreement", "%")] if decides else [])]  # fmt: skip
    rows = []
    for candidate in findings.others:
        change = candidate.judged[place].change
        if change is None:
            continue
        figures = (change.largest, change.mean, change.bias, change.correlation)
        cells = [named(candidate), *(Cell(None if value != value else f"{value:.4g}") for value in figures)]
        rows.append([*cells, *([Cell(candidate.judged[place].agreement, "percent")] if decides else [])])
    name = findings.report.judged[place].name
    return Table(f"How far {name} is from that of {findings.reference.name}, in its own units", columns, rows)


def _samples(findings: Findings) -> str:
    samples = counted(findings.report.count, findings.report.sample)
    groups = len(set(findings.report.groups))
    return f"{samples} of {counted(groups, 'group')}" if groups else samples


def _unit(unit: str) -> str:
    return "%" if unit == SHARE else ""
