"""Two benchmarks against each other: what differs beyond noise, and whether that is a regression.

Answers are paired sample by sample. Latencies are paired process by process where both were measured in one run
(``compare_within``). Those of two runs (``compare_reports``) are counted in units of the reference workload, a fixed
piece of arithmetic that is timed in every round, as the machine may have been faster on one of the two days.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from edgeport.benchmarks.compare import comparability
from edgeport.benchmarks.compare.comparability import Pair, Pairing
from edgeport.benchmarks.compare.limits import DRIFT, Limits
from edgeport.benchmarks.report.judging import change_between
from edgeport.benchmarks.report.raw.record import Report, Series
from edgeport.benchmarks.statistics.holm import holm_adjusted
from edgeport.benchmarks.statistics.latency import Ratio, latency_ratio, latency_ratio_unpaired
from edgeport.benchmarks.statistics.margins import margin_of, margin_text
from edgeport.benchmarks.statistics.paired import SIGNIFICANCE
from edgeport.benchmarks.statistics.paired_change import Change
from edgeport.benchmarks.statistics.verdicts import NO_LOSS, TOO_FEW, blind_above
from edgeport.benchmarks.tasks.metric import SHARE

RatioOf = Callable[[Series, Series], Ratio]


@dataclass(frozen=True)
class AnswersChange:
    """The answers of one artefact, judged by the metric that decides; losses of shares are in points.

    Attributes:
        metric: Its name.
        unit: What it is measured in: ``points`` for shares.
        base: The figure before; a share is 0 to 1.
        new: The same now.
        shown: Both, for people.
        loss: By how much it is worse now; negative if it is better.
        low: Lower end of the loss's 95 % interval.
        high: Upper end.
        p_value: Of the exact McNemar test or the paired bootstrap, made larger for the number of artefacts as Holm has
            it.
        smallest_loss: The smallest loss that this test was sure to see.
        regressed: Whether it is worse beyond chance and beyond the limit, or not surely below ``--max-loss``.
        verdict: The same in words.
    """

    metric: str
    unit: str
    base: float
    new: float
    shown: str
    loss: float
    low: float
    high: float
    p_value: float
    smallest_loss: float
    regressed: bool
    verdict: str


@dataclass(frozen=True)
class LatencyChange:
    """One way in which an artefact was timed in both.

    Attributes:
        what: ``engine``, ``predict`` or ``label``: see ``report.TIMED``.
        batch: Images a call.
        threads: Threads of the engine.
        base_us: Median call before, in microseconds, as it was measured.
        new_us: The same now.
        ratio: New to base, drift of the machine taken out.
        low: Lower end of the ratio's 95 % interval.
        high: Upper end.
        regressed: Whether all of the interval lies above the limit.
        undecided: Whether the interval holds both what is accepted and what is not.
        verdict: The same in words.
    """

    what: str
    batch: int
    threads: int
    base_us: float
    new_us: float
    ratio: float
    low: float
    high: float
    regressed: bool
    undecided: bool
    verdict: str


@dataclass(frozen=True)
class Figure:
    """A figure that is shown and not judged.

    Attributes:
        name: What it is.
        unit: Of both values.
        base: Before; None if it is not known.
        new: Now.
    """

    name: str
    unit: str
    base: float | None
    new: float | None


@dataclass(frozen=True)
class ArtefactChange:
    """What became of one artefact.

    Attributes:
        file: Its file name.
        name: How tables call it.
        answers: Its answers; None where nobody knows what is true.
        latencies: Each way in which it was timed, the main one first; empty where latency is not judged.
        figures: Size, cold start and memory.
    """

    file: str
    name: str
    answers: AnswersChange | None
    latencies: tuple[LatencyChange, ...]
    figures: tuple[Figure, ...]

    @property
    def slowdowns(self) -> str:
        """By how much it has become slower, and in which ways; empty if it has not."""
        regressed = (each for each in self.latencies if each.regressed)
        return ", ".join(f"{100 * (each.ratio - 1):.0f} % ({comparability.way_of(each)})" for each in regressed)


@dataclass(frozen=True)
class Comparison:
    """What came out of a comparison.

    Attributes:
        limits: What was accepted.
        artefacts: What is in both.
        missing: For each artefact that the base has alone: its file name, and why, where that is known.
        added: Files of artefacts that are new.
        obstacles: Why the two cannot be compared; empty if they can.
        notes: What one must know to read the result.
    """

    limits: Limits
    artefacts: tuple[ArtefactChange, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def regressions(self) -> tuple[str, ...]:
        """Each regression, in words."""
        missing = () if self.limits.allow_missing else tuple(f"{each} is missing" for each in self.missing)
        judged = ((each.name, each.answers) for each in self.artefacts if each.answers)
        lost = (f"{name} {answers.verdict}" for name, answers in judged if answers.regressed)
        slower = (f"{each.name} is slower: {each.slowdowns}" for each in self.artefacts if each.slowdowns)
        return (*missing, *lost, *slower)

    @property
    def exit_code(self) -> int:
        """2 if the two cannot be compared, 1 if anything regressed, else 0."""
        return 2 if self.obstacles else 1 if self.regressions else 0


def compare_reports(base: Report, new: Report, *, limits: Limits, metrics: Sequence[str] = ()) -> Comparison:
    """Judge a run against an earlier one.

    Args:
        base: The earlier run.
        new: The run to judge.
        limits: What is accepted.
        metrics: The metrics that the reader names, the first of which decides; empty for those of the new report.

    Raises:
        InputError: A metric is unknown, code that only the report names, or gives no number.
    """
    obstacles = comparability.data_obstacles(base, new)
    if obstacles:
        return Comparison(limits, obstacles=tuple(obstacles))
    pairing = comparability.pair_reports(base, new)
    pairs = pairing.pairs
    obstacles = comparability.timing_obstacles(base, new, pairs)
    notes = comparability.notes_on_answers(base, new, pairs)
    if limits.any_host:
        notes += [f"Latency is not judged: {each}" for each in obstacles or ["--any-host compares answers alone"]]
        return _comparison(pairing, new, None, limits, notes=notes, metrics=metrics)
    notes += comparability.notes_on_timing(base, new, pairs)
    if limits.max_slowdown < DRIFT:
        notes.append(
            f"--max-slowdown {limits.max_slowdown:g} is less than the {DRIFT:g} by which two runs of the same files "
            "can differ: to find less, measure side by side with edgeport benchmark --baseline FOLDER"
        )

    def ratio_of(before: Series, now: Series) -> Ratio:
        launches = comparability.without_drift(before, base), comparability.without_drift(now, new)
        return latency_ratio_unpaired(*launches, scale=comparability.drift_between(base, new) or 1.0)

    judged = _comparison(
        pairing, new, None if obstacles else ratio_of, limits, notes=notes, metrics=metrics, noise=DRIFT
    )
    return replace(judged, obstacles=(*judged.obstacles, *obstacles))


def compare_within(report: Report, *, limits: Limits, metrics: Sequence[str] = ()) -> Comparison:
    """Judge the artefacts of a run against those of a baseline that were measured side by side with them.

    Args:
        report: The run; the files of the baseline begin with ``baseline/``.
        limits: What is accepted.
        metrics: The metrics that the reader names, the first of which decides; empty for those of the new report.

    Raises:
        InputError: A metric is unknown, code that only the report names, or gives no number.
    """
    pairing = comparability.pair_within(report)
    notes = [*comparability.disturbance_notes(report, "the run"), *comparability.unshared_notes(pairing.pairs)]
    obstacles = [f"the run is partial ({report.partial})"] if report.partial else []

    def ratio_of(before: Series, now: Series) -> Ratio:
        return latency_ratio(before.launches, now.launches)

    timed = not (obstacles or limits.any_host)
    judged = _comparison(pairing, report, ratio_of if timed else None, limits, notes=notes, metrics=metrics)
    return replace(judged, obstacles=(*judged.obstacles, *obstacles))


def _comparison(
    pairing: Pairing,
    new: Report,
    ratio_of: RatioOf | None,
    limits: Limits,
    *,
    notes: Sequence[str],
    metrics: Sequence[str],
    noise: float = 1.0,
) -> Comparison:
    """Judge what belongs together.

    Args:
        pairing: What does.
        new: The report with the truth.
        ratio_of: The ratio of two latencies; None if latency is not judged.
        limits: What is accepted.
        notes: What one must know.
        metrics: The metrics that the reader names.
        noise: Up to which ratio a difference may come from the machine.
    """
    changes = [change_between(new, pair.base, pair.new, metrics=metrics) for pair in pairing.pairs]
    known = [each for each in changes if each]
    unasked = ["--max-loss: nobody says what is true of the samples"] if limits.max_loss and not known else []
    adjusted = iter(holm_adjusted([each.p_value for each in known]))
    artefacts = []
    for pair, change in zip(pairing.pairs, changes, strict=True):
        latencies = () if ratio_of is None or pair.is_reference else _latencies(pair, ratio_of, limits, noise)
        answers = _answers(change, next(adjusted), len(known), limits) if change else None
        artefacts.append(ArtefactChange(pair.new.file, pair.new.name, answers, latencies, _figures(pair)))
    return Comparison(
        limits,
        artefacts=tuple(artefacts),
        missing=pairing.missing,
        added=pairing.added,
        obstacles=(*pairing.obstacles, *unasked),
        notes=tuple(notes),
    )


def _answers(change: Change, p_value: float, tests: int, limits: Limits) -> AnswersChange:
    metric = change.metric
    points = 100 if metric.unit == SHARE else 1
    unit = f" {metric.unit}" if metric.unit else ""
    loss, seen = points * change.loss, change.detectable_among(tests)
    significant = p_value < SIGNIFICANCE and not change.rounded
    margin = None if limits.max_loss is None else margin_of(change, limits.max_loss)
    regressed = significant and loss > limits.max_accuracy_loss
    size = metric.shown(abs(change.loss)) + (unit if metric.unit == SHARE else "")
    if regressed:
        verdict = f"lost {size} (p = {p_value:.2g})"
    elif significant:
        verdict = f"gained {size}" if loss < 0 else f"lost {size}, accepted"
    else:
        verdict = TOO_FEW if seen > blind_above(change) and not change.same else NO_LOSS
    if margin and limits.max_loss is not None and not margin.below:
        verdict += f"; not below {margin_text(change, limits.max_loss)} ({margin.words})"
    return AnswersChange(
        metric=metric.name,
        unit=metric.unit,
        base=change.reference,
        new=change.other,
        shown=f"{metric.shown(change.reference)} -> {metric.shown(change.other)}",
        loss=loss,
        low=points * change.low,
        high=points * change.high,
        p_value=p_value,
        smallest_loss=points * seen,
        regressed=regressed or (margin is not None and not margin.below),
        verdict=verdict,
    )


def _latencies(pair: Pair, ratio_of: RatioOf, limits: Limits, noise: float) -> tuple[LatencyChange, ...]:
    found = []
    for before, now in comparability.shared_series(pair):
        ratio = ratio_of(before, now)
        regressed = ratio.low > limits.max_slowdown
        undecided = not regressed and not ratio.high <= limits.max_slowdown
        found.append(
            LatencyChange(
                before.what,
                before.batch,
                before.threads,
                before.percentile_us(50),
                now.percentile_us(50),
                *(ratio.ratio, ratio.low, ratio.high),
                regressed=regressed,
                undecided=undecided,
                verdict=_latency_verdict(ratio, regressed=regressed, undecided=undecided, noise=noise),
            )
        )
    return tuple(found)


def _latency_verdict(ratio: Ratio, *, regressed: bool, undecided: bool, noise: float) -> str:
    if regressed:
        return "slower"
    if undecided:
        return "slower, but by how much?" if ratio.low > noise else "too noisy to tell"
    if ratio.high < 1 / noise:
        return "faster"
    return "slower, accepted" if ratio.low > noise else "no difference"


def _figures(pair: Pair) -> tuple[Figure, ...]:
    both = pair.base, pair.new
    threads = next((start.threads for start in pair.base.starts), 1)
    alike = [[start for start in each.starts if start.threads == threads] for each in both]
    sizes = [each.bytes / 1e3 if each.bytes else None for each in both]
    starts = [_median([start.total_ns / 1e6 for start in each]) for each in alike]
    peaks = [_median([start.peak_rss_bytes / 1e6 for start in each]) for each in alike]
    named = (("size", "kB", sizes), ("cold start", "ms", starts), ("peak memory", "MB", peaks))
    return tuple(Figure(name, unit, base, new) for name, unit, (base, new) in named)


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
