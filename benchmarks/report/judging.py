"""The answers of a candidate judged by metrics, and beside those of the reference, whatever they mean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.report.raw.record import JudgedOutput, Measured, Report
from edgeport.benchmarks.statistics.output_change import OutputChange, output_change
from edgeport.benchmarks.statistics.paired import paired_answers
from edgeport.benchmarks.statistics.paired_change import Change, change_of_answers, drawn_figures, paired_change
from edgeport.benchmarks.statistics.verdicts import Verdict, change_verdict
from edgeport.benchmarks.tasks.answers import ANSWERS
from edgeport.benchmarks.tasks.decisions import accuracy
from edgeport.benchmarks.tasks.metric import Array, Metric, MetricError
from edgeport.benchmarks.tasks.table import metrics_of
from edgeport.benchmarks.tasks.users_metric import check_user_named_them
from edgeport.runtime.errors import InputError

# What all draws of one candidate may take; a metric that is slower gets fewer of them.
PATIENCE_SECONDS = 60.0


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


class Judge:
    """Judges the candidates of a report by all metrics; one that gives no number for a candidate judges none.

    Attributes:
        report: What was measured.
        problems: Why metrics have judged nothing, a line each.
    """

    def __init__(self, report: Report, *, metrics: Sequence[str] = (), max_loss: float | None = None) -> None:
        """Find the metrics and compute what they say.

        Args:
            report: What was measured.
            metrics: Those that the reader names; empty for those of the report.
            max_loss: The largest loss that is accepted; None if nobody asks.

        Raises:
            InputError: A metric is unknown, or code that only the report names; or a loss is asked for where nobody
                knows what is true.
        """
        self.report = report
        if max_loss is not None and report.judged and not any(each.targets for each in report.judged):
            raise InputError(
                f"--max-loss: got {max_loss:g}, and nobody says what is true of the samples of "
                f"{report.dataset['name']}: expected data with targets"
            )
        _check_judged(report, metrics)
        found = [metrics_of_output(output, named=metrics) for output in report.judged]
        self.problems: dict[str, None] = {}
        # Of each output, for each metric the change of every candidate.
        self._changes = [
            [changes for metric in each if (changes := self._changes_of(place, metric))]
            for place, each in enumerate(found)
        ]

    def judged(self, measured: Measured) -> tuple[Judged, ...]:
        """Return what is said of each output of a candidate; nothing for a model that chooses a class."""
        return tuple(self._judged(measured, place) for place in range(len(self.report.judged)))

    def _judged(self, measured: Measured, place: int) -> Judged:
        output = self.report.judged[place]
        reference, answers = (each.answers[place].array for each in (self.report.reference, measured))
        is_reference = measured is self.report.reference
        number = self.report.artefacts.index(measured)
        changes = [each[number] for each in self._changes[place]]
        decided = ANSWERS[output.task].decided
        alike = None if decided is None else float((decided(reference) == decided(answers)).mean())
        return Judged(
            output=output,
            changes=changes,
            verdicts=[] if is_reference else [change_verdict(each) for each in changes],
            change=None if is_reference else output_change(reference, answers),
            agreement=None if is_reference else alike,
        )

    def _changes_of(self, place: int, metric: Metric) -> list[Change]:
        """Return what a metric says of every candidate; nothing, and a problem, if it gives no number for one."""
        if self.report.judged[place].targets is None:
            return []
        truth, groups, (reference, *others) = _arrays(self.report, place, self.report.artefacts)
        try:
            drawn = None
            if others and not (metric.right and groups is None):
                # Once for all of them.
                drawn = drawn_figures(metric, truth, reference, groups=groups, patience=PATIENCE_SECONDS)
            return [
                paired_change(metric, truth, reference, each, groups=groups, drawn=drawn)
                for each in (reference, *others)
            ]
        except MetricError as error:
            self.problems[str(error)] = None
            return []


def metrics_of_output(output: JudgedOutput, *, named: Sequence[str] = ()) -> tuple[Metric, ...]:
    """Return the metrics that judge an output.

    Args:
        output: Which one.
        named: The metrics that the reader names; empty for those of the output.

    Raises:
        InputError: A metric is unknown, or code that only the output names.
    """
    if output.targets is None:
        return ()
    if not named:
        check_user_named_them(output.metrics, record=output.name)
    return metrics_of(output.task, columns=output.columns, units=output.units, names=named or output.metrics)


def change_between(report: Report, base: Measured, new: Measured, *, metrics: Sequence[str] = ()) -> Change | None:
    """Return what became of the deciding figure from one candidate to another, on the samples of a report.

    Args:
        report: What is true of the samples, and how the answers are judged.
        base: A candidate, of this report or of another one on the same samples.
        new: Another.
        metrics: The metrics that the reader names; empty for those of the report.

    Returns:
        The change; None where nobody knows what is true.

    Raises:
        MetricError: The metric gives no number.
    """
    _check_judged(report, metrics)
    if not report.judged:
        shares = [float((each.classes == report.true_classes).mean()) for each in (base, new)]
        return change_of_answers(accuracy(), paired_answers(report.true_classes, base.classes, new.classes), *shares)
    for place, output in enumerate(report.judged):
        found = metrics_of_output(output, named=metrics)
        if found and output.targets is not None:
            truth, groups, answers = _arrays(report, place, (base, new))
            return paired_change(found[0], truth, *answers, groups=groups, patience=PATIENCE_SECONDS)
    return None


def _check_judged(report: Report, metrics: Sequence[str]) -> None:
    """Raise InputError for metrics of a report that keeps no answers but the best class of each image."""
    if metrics and not report.judged:
        raise InputError(
            f"--metric: got {', '.join(metrics)}, and the report of {report.model} keeps only the class of each image, "
            "expected one whose benchmark was run with --metric"
        )


def _arrays(
    report: Report, place: int, candidates: Sequence[Measured]
) -> tuple[Array, npt.NDArray[np.int64] | None, list[Array]]:
    """Return what is true of an output, the groups that are drawn, if any, and the answers of some candidates.

    Where a group is one thing to judge, its truth and its mean answer stand in the place of those of its samples.
    """
    output = report.judged[place]
    assert output.targets is not None, "who asks knows that there are some"
    truth, answers = output.targets.array, [each.answers[place].array for each in candidates]
    if not report.groups:
        return truth, None, answers
    _, first, groups = np.unique(report.groups, return_index=True, return_inverse=True)
    if not ANSWERS[output.task].averaged:
        return truth, groups, answers
    sizes = np.bincount(groups)
    means = [np.bincount(groups, each.reshape(len(groups))) / sizes for each in answers]
    return truth[first], None, [each[:, None] for each in means]


def deciding_change(judged: Sequence[Judged]) -> Change | None:
    """Return the loss that the deciding verdict is on."""
    return next((each.changes[0] for each in judged if each.verdicts), None)


def shown_figures(judged: Sequence[Judged], accuracy: float) -> str:
    """Return in a few words how good answers are: the first metric of each output, or the accuracy of a classifier."""
    if not judged:
        return "-" if math.isnan(accuracy) else f"top-1 {accuracy:.2%}"
    first = [each.changes[0] for each in judged if each.changes]
    return ", ".join(f"{change.metric.name} {change.metric.shown(change.other)}" for change in first) or "-"


def deciding_verdict(judged: Sequence[Judged]) -> Verdict | None:
    """Return the verdict of the first metric of the first output that has one."""
    return next((each.verdicts[0] for each in judged if each.verdicts), None)
