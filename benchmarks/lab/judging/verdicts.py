"""Judge answers whose loss is known, to see whether the verdicts of each task say so.

Run it with: python -m edgeport.benchmarks.lab.judging.verdicts -o RESULT.json
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version

import numpy as np

from edgeport.benchmarks.lab.judging.known_answers import Known, known_answers
from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.benchmarks.statistics.margins import margin_of
from edgeport.benchmarks.statistics.paired import paired_answers
from edgeport.benchmarks.statistics.paired_change import DRAWS, Change, change_of_answers, paired_change
from edgeport.benchmarks.statistics.verdicts import LOSS, change_verdict
from edgeport.benchmarks.tasks.metric import SHARE, Array, Metric
from edgeport.benchmarks.tasks.table import metrics_of
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole

LARGE, SMALL = 2.0, 0.2
# How often samples are drawn anew whose loss, in all that they are drawn from, is just what is accepted.
MARGINS = 400
_FEWER_MARGINS = {"boxes": 100}
# Average precisions of many classes are drawn from less often: each draw takes milliseconds.
_DRAWS = {"boxes": 300, "labels": 500}
# Strengths from the least that is tried, in steps that become as fine as 1 %.
_LEAST_STRENGTH, _HALVINGS = 1e-5, 10


@dataclass(frozen=True)
class VerdictTrial:
    """What the verdicts say of one task, again and again.

    Attributes:
        task: The task.
        data: The data set.
        metric: The metric that decides.
        count: Of how many samples.
        draws: How many times they are drawn for an interval.
        figure: The figure of the answers.
        detectable: The median of what a comparison of equal answers calls detectable, in the unit of the figure.
        unit: Of the figure: ``points`` for shares of 0 to 1.
        twice: In how many repetitions the interval of the same answers entered twice contains 0.
        equal: In how many that of equally good answers does, each with noise of its own.
        found: In how many a planted loss of twice what that repetition calls detectable is a significant loss.
        claimed: In how many one of a fifth of it is.
        large: The mean of the large losses, as a multiple of what the same repetition calls detectable.
        small: That of the small ones, above a fifth where noise alone has lost more.
        below: How often ``--max-loss`` calls a loss below a margin that is just as large.
        margins: Of how many comparisons.
    """

    task: str
    data: str
    metric: str
    count: int
    draws: int
    figure: float
    detectable: float
    unit: str
    twice: int
    equal: int
    found: int
    claimed: int
    large: float
    small: float
    below: int
    margins: int


@dataclass(frozen=True)
class Verdicts:
    """What the verdicts say of answers that are known.

    Attributes:
        created_utc: When, in ISO 8601.
        versions: The version of each package that took part.
        repetitions: How often each was tried, with other noise.
        trials: A task each.
    """

    created_utc: str
    versions: Mapping[str, str]
    repetitions: int
    trials: tuple[VerdictTrial, ...]


RESULT = ResultFile("verdicts", Verdicts, "measurement of the verdicts")


def markdown(result: Verdicts) -> str:
    """Return the trials as a Markdown table."""
    heads = (
        "task", "data", "metric", "samples", "figure", "detectable", "entered twice: contains 0",
        "equally good: contains 0", "twice the detectable: found", "a fifth of it: claimed",
        "as large as the margin: called below",
    )  # fmt: skip
    return markdown_table(heads, [_row(trial, result.repetitions) for trial in result.trials], left=(0, 1, 2))


def _row(trial: VerdictTrial, repetitions: int) -> tuple[str, ...]:
    shown = [
        f"{100 * each:.2f}" if trial.unit == "points" else f"{each:.4g}" for each in (trial.figure, trial.detectable)
    ]
    counts = (f"{each} of {repetitions}" for each in (trial.twice, trial.equal, trial.found, trial.claimed))
    below = f"{trial.below} of {trial.margins}"
    return (trial.task, trial.data, trial.metric, f"{trial.count:,}", *shown, *counts, below)


def tried(known: Known, *, repetitions: int, on_step: Callable[[str], None] = lambda what: None) -> VerdictTrial:
    """Return what the verdicts say of one task.

    Args:
        known: Its answers.
        repetitions: How often, each time with other noise.
        on_step: Called with a few words before each step.
    """
    metric = metrics_of(known.task)[0]
    on_step(f"{known.data}, {metric.name}: equally good answers")
    seeds = range(repetitions)
    equal = [_judged(known, metric, seed, 0.0) for seed in seeds]
    twice = [_change(known, metric, answers, answers) for answers in [_noisy(known, 0, 0)] * repetitions]
    planted, strength_of_large = {}, 0.0
    for times in (LARGE, SMALL):
        on_step(f"{known.data}, {metric.name}: a loss of {times:g} times what is detectable")
        strengths = [_strength(known, metric, seed, times, equal[seed].detectable) for seed in seeds]
        strength_of_large = strength_of_large or strengths[0]
        planted[times] = [
            _judged(known, metric, seed, strength) for seed, strength in zip(seeds, strengths, strict=True)
        ]
    sizes = {
        times: float(np.mean([each.loss / base.detectable for each, base in zip(found, equal, strict=True)]))
        for times, found in planted.items()
    }
    on_step(f"{known.data}, {metric.name}: a loss as large as the margin")
    margins = _FEWER_MARGINS.get(known.task, MARGINS)
    below = sum(_called_below(known, metric, strength_of_large, margins))
    return VerdictTrial(
        task=known.task,
        data=known.data,
        metric=metric.name,
        count=len(known.truth),
        draws=_DRAWS.get(known.task, DRAWS),
        figure=metric.value(known.truth, known.answers),
        detectable=float(np.median([each.detectable for each in equal])),
        unit=metric.unit,
        twice=sum(each.low <= 0 <= each.high for each in twice),
        equal=sum(each.low <= 0 <= each.high for each in equal),
        found=_losses(planted[LARGE]),
        claimed=_losses(planted[SMALL]),
        large=sizes[LARGE],
        small=sizes[SMALL],
        below=below,
        margins=margins,
    )


def _called_below(known: Known, metric: Metric, strength: float, count: int) -> Iterator[bool]:
    """Yield whether a loss is called below a margin that is just as large, of samples that are drawn again and again.

    The samples of the task are all that there are, so what is lost is known; as many of them are drawn, with
    replacement, as a benchmark would have.
    """
    reference, other = _noisy(known, 0, 0), _worse(known, 0, strength)
    margin = metric.loss(metric.value(known.truth, reference), metric.value(known.truth, other))
    most = margin * (100 if metric.unit == SHARE else 1)
    draws = _DRAWS.get(known.task, DRAWS)
    # Whether a neighbour is near does not depend on what else is drawn.
    right = [metric.right(known.truth, each).astype(np.int64) for each in (reference, other)] if metric.right else None
    for seed in range(count):
        at = np.random.default_rng((seed, 3)).integers(len(known.truth), size=len(known.truth))
        if right is not None:
            was, is_ = (each[at] for each in right)
            paired = paired_answers(np.ones(len(at), np.int64), was, is_)
            change = change_of_answers(metric, paired, float(was.mean()), float(is_.mean()))
        else:
            change = paired_change(metric, known.truth[at], reference[at], other[at], draws=draws, seed=seed)
        yield margin_of(change, most).below


def _losses(changes: Sequence[Change]) -> int:
    return sum(change_verdict(each).kind == LOSS for each in changes)


def _noisy(known: Known, seed: int, side: int) -> Array:
    return known.noisy(known.answers, known.noise, np.random.default_rng((seed, side)))


def _worse(known: Known, seed: int, strength: float) -> Array:
    answers = _noisy(known, seed, 1)
    return known.worse(answers, strength, np.random.default_rng((seed, 2))) if strength else answers


def _judged(known: Known, metric: Metric, seed: int, strength: float) -> Change:
    return _change(known, metric, _noisy(known, seed, 0), _worse(known, seed, strength))


def _change(known: Known, metric: Metric, reference: Array, other: Array) -> Change:
    return paired_change(metric, known.truth, reference, other, draws=_DRAWS.get(known.task, DRAWS))


def _strength(known: Known, metric: Metric, seed: int, times: float, detectable: float) -> float:
    """Return how much worse the answers of a repetition must be made to lose a multiple of what is detectable there.

    Where a figure goes in steps, it is the least strength that loses as much, or for small losses the most that loses
    less.
    """
    reference = metric.value(known.truth, _noisy(known, seed, 0))
    low, high = _LEAST_STRENGTH, 1.0
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        lost = metric.loss(reference, metric.value(known.truth, _worse(known, seed, middle)))
        low, high = (low, middle) if lost >= times * detectable else (middle, high)
    return high if times == LARGE else low


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repetitions", type=int, default=20, metavar="N", help="trials of each (default 20)")


def _run(arguments: argparse.Namespace) -> None:
    if arguments.repetitions < 1:
        raise InputError(f"--repetitions: got {arguments.repetitions}, expected 1 or more")
    trials = []
    for known in known_answers():
        trials.append(tried(known, repetitions=arguments.repetitions, on_step=lambda what: print(what, flush=True)))
        print(trials[-1], flush=True)
    result = Verdicts(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={name: version(name) for name in ("edgeport", "numpy", "scikit-learn", "scipy", "pycocotools")},
        repetitions=arguments.repetitions,
        trials=tuple(trials),
    )
    write_whole(arguments.output, RESULT.text(result).encode())
    print(markdown(result), end="")


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.judging.verdicts",
            "Judge answers whose loss is known: the same twice, equally good ones, large and small losses.",
            run=_run,
            extra="all",
            add_arguments=_add_arguments,
        )
    )
