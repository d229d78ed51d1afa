"""The answers of a candidate judged by metrics, and beside those of the reference, whatever they mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.report.raw.record import JudgedOutput, Measured, Report
from edgeport.benchmarks.statistics.output_change import OutputChange, output_change
from edgeport.benchmarks.statistics.paired import paired_answers
from edgeport.benchmarks.statistics.paired_change import Change, change_of_answers, paired_change
from edgeport.benchmarks.statistics.verdicts import Verdict, change_verdict
from edgeport.benchmarks.tasks.answers import ANSWERS
from edgeport.benchmarks.tasks.decisions import accuracy
from edgeport.benchmarks.tasks.metric import Metric
from edgeport.benchmarks.tasks.table import metrics_of


@dataclass(frozen=True, eq=False)
class Judged:
    """One output of a candidate with all that is said of it.

    Attributes:
        output: Which one.
        changes: Each metric of it, beside the reference's; those of the reference are beside its own.
        verdicts: What each of these says; empty for the reference.
        change: How far its answers are from the reference's; None for the reference.
        agreement: The share of decisions that are the reference's, 0 to 1; None where nothing is decided.
    """

    output: JudgedOutput
    changes: Sequence[Change]
    verdicts: Sequence[Verdict]
    change: OutputChange | None
    agreement: float | None


def judged_outputs(report: Report, measured: Measured) -> tuple[Judged, ...]:
    """Return what is said of each output of a candidate; nothing for a model that chooses a class."""
    return tuple(_judged(report, measured, place) for place in range(len(report.judged)))


def metrics_of_output(output: JudgedOutput) -> tuple[Metric, ...]:
    """Return the metrics that judge an output."""
    if output.targets is None:
        return ()
    return metrics_of(output.task, columns=output.columns, units=output.units, names=output.metrics)


def _judged(report: Report, measured: Measured, place: int) -> Judged:
    output = report.judged[place]
    reference, answers = (each.answers[place].array for each in (report.reference, measured))
    is_reference = measured is report.reference
    changes = [
        paired_change(metric, output.targets.array, reference, answers, groups=_groups(report))
        for metric in metrics_of_output(output)
        if output.targets is not None
    ]
    decided = ANSWERS[output.task].decided
    return Judged(
        output=output,
        changes=changes,
        verdicts=[] if is_reference else [change_verdict(each) for each in changes],
        change=None if is_reference else output_change(reference, answers),
        agreement=None if is_reference or decided is None else float((decided(reference) == decided(answers)).mean()),
    )


def change_between(report: Report, base: Measured, new: Measured) -> Change | None:
    """Return what became of the deciding figure from one candidate to another, on the samples of a report.

    Args:
        report: What is true of the samples, and how the answers are judged.
        base: A candidate, of this report or of another one on the same samples.
        new: Another.

    Returns:
        The change; None where nobody knows what is true.
    """
    if not report.judged:
        shares = [float((each.classes == report.true_classes).mean()) for each in (base, new)]
        return change_of_answers(accuracy(), paired_answers(report.true_classes, base.classes, new.classes), *shares)
    for place, output in enumerate(report.judged):
        metrics = metrics_of_output(output)
        if metrics and output.targets is not None:
            arrays = (each.answers[place].array for each in (base, new))
            return paired_change(metrics[0], output.targets.array, *arrays, groups=_groups(report))
    return None


def _groups(report: Report) -> npt.NDArray[np.int64] | None:
    return np.unique(report.groups, return_inverse=True)[1] if report.groups else None


def deciding_change(judged: Sequence[Judged]) -> Change | None:
    """Return the loss that the deciding verdict is on."""
    return next((each.changes[0] for each in judged if each.verdicts), None)


def deciding_verdict(judged: Sequence[Judged]) -> Verdict | None:
    """Return the verdict of the first metric of the first output that has one."""
    return next((each.verdicts[0] for each in judged if each.verdicts), None)
