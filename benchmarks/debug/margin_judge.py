"""Whether a file in integers is good enough: its loss, judged as a benchmark does, against a margin."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeport.benchmarks.compare.limits import Limits
from edgeport.benchmarks.debug.call_times import call_times
from edgeport.benchmarks.debug.judged_data import judged_data
from edgeport.benchmarks.measure.any_model import evaluation_of
from edgeport.benchmarks.measure.jobs import numbered_for
from edgeport.benchmarks.report.judging import PATIENCE_SECONDS, metrics_of_output
from edgeport.benchmarks.statistics.margins import margin_of, margin_of_metrics
from edgeport.benchmarks.statistics.paired import Paired, loss_interval
from edgeport.benchmarks.statistics.paired_change import FEWEST, Change, drawn_figures, paired_change
from edgeport.benchmarks.tasks.answers import ANSWERS
from edgeport.benchmarks.tasks.metric import SHARE, UP, Array, Floats, Metric, Weighted, mean_of
from edgeport.benchmarks.tasks.targets import task_of
from edgeport.benchmarks.tasks.users_metric import is_users_metric
from edgeport.export.conversion.options import Options
from edgeport.export.diagnosis.judge import Arrays, Judgement
from edgeport.export.verification.calibration import CalibrationSet, check_fits
from edgeport.runtime.artefact.contract import Output
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.array_names import ALL
from edgeport.train.datasets.data import Data, inputs_of

if TYPE_CHECKING:
    from edgeport.export.sources.source import Source


@dataclass(frozen=True, eq=False)
class _Question:
    """One thing that is asked of answers.

    Attributes:
        metric: What it is worth.
        taken: From all outputs to what the metric takes.
        truth: From what is taken of the reference to what is true.
    """

    metric: Metric
    taken: Callable[[Arrays], Array]
    truth: Callable[[Array], Array]


@dataclass(eq=False)
class MarginJudge:
    """See ``edgeport.export.diagnosis.judge.Judge``."""

    margin: float
    data: str
    samples: Arrays
    questions: Sequence[_Question]
    _drawn: dict[int, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = dict.fromkeys(each.metric.name for each in self.questions)
        self.measure = margin_of_metrics(self.margin, self.questions[0].metric.unit, names)
        needed = max(map(self._least, self.questions))
        if self._count < needed:
            raise InputError(
                f"--max-loss: got {self.data}, which are too few to show a loss below {self.measure}: give at least "
                f"{needed:,} with --data, or a wider margin"
            )

    def judge(self, reference: Arrays, answers: Arrays) -> Judgement:
        """See Judge."""
        changes = [self._change(place, reference, answers) for place in range(len(self.questions))]
        worst = max(changes, key=lambda change: _shown(change.metric, change.high))
        found = margin_of(worst, self.margin)
        loss, upper = _shown(worst.metric, worst.loss), _shown(worst.metric, worst.high)
        return Judgement(found.below, loss, upper, found.words)

    def enough(self, judgement: Judgement) -> int | None:
        """See Judge: the width of an interval shrinks as the square root of the number of samples grows."""
        if judgement.loss >= self.margin or not math.isfinite(judgement.upper):
            return None
        ratio = (judgement.upper - judgement.loss) / (self.margin - judgement.loss)
        needed = self._count * ratio**2
        digits = max(int(math.log10(max(needed, 1))) - 1, 0)
        return int(math.ceil(needed / 10**digits) * 10**digits)

    def times(self, files: Sequence[Path]) -> list[float]:
        """See Judge."""
        return call_times(files, {name: array[:1] for name, array in self.samples.items()})

    @property
    def _count(self) -> int:
        return len(next(iter(self.samples.values())))

    def _least(self, question: _Question) -> int:
        """Return how many samples can show a loss below the margin if not one answer changes."""
        if question.metric.right is None:
            return FEWEST
        count = FEWEST
        while loss_interval(Paired(count, 0, 0, 0))[1] * 100 >= self.margin:
            count += max(1, count // 100)
        while count > FEWEST and loss_interval(Paired(count - 1, 0, 0, 0))[1] * 100 < self.margin:
            count -= 1
        return count

    def _change(self, place: int, reference: Arrays, answers: Arrays) -> Change:
        question = self.questions[place]
        was, is_ = question.taken(reference), question.taken(answers)
        truth = question.truth(was)
        if question.metric.right is None and place not in self._drawn:
            # The reference's draws are the same for every trial.
            self._drawn[place] = drawn_figures(question.metric, truth, was, patience=PATIENCE_SECONDS)
        return paired_change(question.metric, truth, was, is_, drawn=self._drawn.get(place))


def margin_judge(
    source: "Source", calibration: CalibrationSet, options: Options, *, data_dir: Path | None = None
) -> MarginJudge:
    """Return who judges the files of an export; see ``edgeport.export.diagnosis.judge.JudgeOf``.

    Where nobody says what is true, the model's own answers are: a decision counts as lost where it is another one, and
    real values by the share of their variance that is lost.

    Args:
        source: The opened model.
        calibration: What the quantizer sees, and where it comes from.
        options: The margin, the metrics that the user names, and the data to judge by.
        data_dir: See load_dataset.

    Raises:
        InputError: There is no data to judge by, too little of it, or only test data; or no such metric.
    """
    margin = Limits(max_loss=options.max_loss).max_loss
    assert margin is not None, "who asks has one"
    data = judged_data(calibration, options.data, data_dir=data_dir)
    labelled = data.parts[ALL].targets is not None
    questions: list[_Question] = []
    others = ""
    if labelled:
        data = numbered_for(data, source.outputs[0], {})
        _check_meaning(source.outputs[0], data, options)
        evaluation = evaluation_of(data, calibration.inputs, source.outputs, metrics=options.metrics)
        for place, output in enumerate(evaluation.judged):
            metrics = metrics_of_output(output, named=options.metrics)
            if output.targets is not None and metrics:
                taken = partial(_kept, kept=evaluation.kept, place=place)
                questions.append(_Question(metrics[0], taken, partial(_known, truth=output.targets.array)))
        unjudged = [output.name for output in evaluation.judged if output.targets is None]
        others = f"; {' and '.join(unjudged)} must pass verification alone" if unjudged else ""
    elif options.metrics:
        raise InputError(f"--metric: got {', '.join(options.metrics)}, and {data.name} does not say what is true")
    samples = inputs_of(data.parts[ALL], calibration.inputs, named=data.name)
    check_fits(samples, calibration.inputs, kind="held-out", source=data.name)
    words = f"{len(data.parts[ALL]):,} held-out samples of {data.name}{others}"
    if not questions:
        words += ", by the model's own answers as nobody says what is true"
        questions = [_own_answers(each) for each in source.outputs]
    return MarginJudge(margin, words, samples, questions)


def _check_meaning(first: Output, data: Data, options: Options) -> None:
    """Raise InputError if nobody knows what the targets are to the model."""
    targets = data.parts[ALL].targets
    known = first.kind not in ("", "any") or any(map(is_users_metric, options.metrics))
    if targets is not None and not known and not task_of(targets, first.shape):
        raise InputError(
            f"{data.name}: got targets {targets.dtype.name} {targets.shape} for the output {first}, and nobody has "
            f"said what that means: say it with --outputs {first.name}=KIND"
        )


def _kept(outputs: Arrays, *, kept: Callable[[Arrays], list[Array]], place: int) -> Array:
    return kept(outputs)[place]


def _known(answers: Array, *, truth: Array) -> Array:
    return truth


def _own_answers(output: Output) -> _Question:
    """Return what is asked of an output where the model's own answers are all that is known."""
    task = output.kind if output.kind in ANSWERS else "any"
    decided = ANSWERS[task].decided if output.is_real else np.asarray
    if decided is None:
        return _Question(_VARIANCE, lambda outputs: outputs[output.name], lambda answers: answers)
    decide = decided
    one = all(axis == 1 for axis in output.shape[1:-1]) and task in ("classes", "yes-no")

    def alike(truth: Array, answers: Array) -> Array:
        return np.asarray((truth == answers).reshape(len(truth), -1).mean(axis=1))

    metric = Metric(
        "agreement",
        UP,
        lambda truth, answers: float(alike(truth, answers).mean()),
        lambda truth, answers: mean_of(alike(truth, answers)),
        (lambda truth, answers: alike(truth, answers) == 1) if one else None,
    )
    return _Question(metric, lambda outputs: decide(outputs[output.name]), lambda answers: answers)


def _explained(truth: Array, answers: Array) -> Weighted:
    """Return the share of the variance of values that other values keep, as a function of the weights of samples."""
    true, given = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (truth, answers))
    missed = np.square(given - true).sum(axis=1)
    around = np.square(true - true.mean(axis=0)).sum(axis=1)

    def explained(weights: Floats) -> float:
        whole = float(weights @ around)
        return 1 - float(weights @ missed) / whole if whole > 0 else float("nan")

    return explained


_VARIANCE = Metric(
    "the variance of its answers",
    UP,
    lambda truth, answers: _explained(truth, answers)(np.ones(len(truth))),
    _explained,
    unit=SHARE,
)


def _shown(metric: Metric, loss: float) -> float:
    """Return a loss as margins are written: in points, or in the metric's own unit."""
    return 100 * loss if metric.unit == SHARE else loss
