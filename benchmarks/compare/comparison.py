"""Two benchmarks against each other: what differs beyond noise, and whether that is a regression.

Answers are paired image by image. Latencies are paired process by process where both were measured in one run
(``compare_within``). Those of two runs (``compare_reports``) are counted in units of the reference workload, a fixed
piece of arithmetic that is timed in every round, as the machine may have been faster on one of the two days.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from edgeport.benchmarks.compare import comparability
from edgeport.benchmarks.compare.comparability import Pair, Pairing
from edgeport.benchmarks.compare.limits import DRIFT, Limits
from edgeport.benchmarks.report.raw.record import Report, Series
from edgeport.benchmarks.statistics.holm import holm_adjusted
from edgeport.benchmarks.statistics.latency import Ratio, latency_ratio, latency_ratio_unpaired
from edgeport.benchmarks.statistics.paired import SIGNIFICANCE, Paired, mcnemar_p, paired_answers
from edgeport.benchmarks.statistics.verdicts import BLIND_ABOVE, NO_LOSS, TOO_FEW
from edgeport.runtime.errors import InputError

RatioOf = Callable[[Series, Series], Ratio]


@dataclass(frozen=True)
class AccuracyChange:
    """The answers of one artefact.

    Attributes:
        base: Share of right answers before, 0 to 1.
        new: The same now.
        right_to_wrong: Images that were answered right before and are not now.
        wrong_to_right: The other way round.
        p_value: Of the exact McNemar test, made larger for the number of artefacts as Holm has it.
        smallest_loss: The smallest loss that this test was sure to see, in percentage points.
        regressed: Whether accuracy was lost beyond chance and beyond the limit.
        verdict: The same in words.
    """

    base: float
    new: float
    right_to_wrong: int
    wrong_to_right: int
    p_value: float
    smallest_loss: float
    regressed: bool
    verdict: str

    @property
    def loss(self) -> float:
        """The loss of accuracy in percentage points; negative if it is a gain."""
        return 100 * (self.base - self.new)


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
        accuracy: Its answers.
        latencies: Each way in which it was timed, the main one first; empty where latency is not judged.
        figures: Size, cold start and memory.
    """

    file: str
    name: str
    accuracy: AccuracyChange
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
        lost = (f"{each.name} {each.accuracy.verdict}" for each in self.artefacts if each.accuracy.regressed)
        slower = (f"{each.name} is slower: {each.slowdowns}" for each in self.artefacts if each.slowdowns)
        return (*missing, *lost, *slower)

    @property
    def exit_code(self) -> int:
        """2 if the two cannot be compared, 1 if anything regressed, else 0."""
        return 2 if self.obstacles else 1 if self.regressions else 0


def compare_reports(base: Report, new: Report, *, limits: Limits) -> Comparison:
    """Judge a run against an earlier one.

    Args:
        base: The earlier run.
        new: The run to judge.
        limits: What is accepted.
    """
    _check_classes(base, new)
    obstacles = comparability.data_obstacles(base, new)
    if obstacles:
        return Comparison(limits, obstacles=tuple(obstacles))
    pairing = comparability.pair_reports(base, new)
    pairs = pairing.pairs
    obstacles = comparability.timing_obstacles(base, new, pairs)
    notes = comparability.notes_on_answers(base, new, pairs)
    if limits.any_host:
        notes += [f"Latency is not judged: {each}" for each in obstacles or ["--any-host compares answers alone"]]
        return _comparison(pairing, new, None, limits, notes=notes)
    notes += comparability.notes_on_timing(base, new, pairs)
    if limits.max_slowdown < DRIFT:
        notes.append(
            f"--max-slowdown {limits.max_slowdown:g} is less than the {DRIFT:g} by which two runs of the same files "
            "can differ: to find less, measure side by side with edgeport benchmark --baseline FOLDER"
        )

    def ratio_of(before: Series, now: Series) -> Ratio:
        launches = comparability.without_drift(before, base), comparability.without_drift(now, new)
        return latency_ratio_unpaired(*launches, scale=comparability.drift_between(base, new) or 1.0)

    judged = _comparison(pairing, new, None if obstacles else ratio_of, limits, notes=notes, noise=DRIFT)
    return replace(judged, obstacles=(*judged.obstacles, *obstacles))


def _check_classes(*reports: Report) -> None:
    """Raise InputError for a model that does not choose one class: what its answers lost is in its own report."""
    other = next((report for report in reports if report.judged), None)
    if other:
        raise InputError(
            f"got a report on {other.model}, whose answers are {other.judged[0].task}, expected one on a classifier: "
            "its own report.md judges it against its reference"
        )


def compare_within(report: Report, *, limits: Limits) -> Comparison:
    """Judge the artefacts of a run against those of a baseline that were measured side by side with them.

    Args:
        report: The run; the files of the baseline begin with ``baseline/``.
        limits: What is accepted.
    """
    _check_classes(report)
    pairing = comparability.pair_within(report)
    notes = [*comparability.disturbance_notes(report, "the run"), *comparability.unshared_notes(pairing.pairs)]
    obstacles = [f"the run is partial ({report.partial})"] if report.partial else []

    def ratio_of(before: Series, now: Series) -> Ratio:
        return latency_ratio(before.launches, now.launches)

    timed = not (obstacles or limits.any_host)
    judged = _comparison(pairing, report, ratio_of if timed else None, limits, notes=notes)
    return replace(judged, obstacles=(*judged.obstacles, *obstacles))


def _comparison(
    pairing: Pairing,
    new: Report,
    ratio_of: RatioOf | None,
    limits: Limits,
    *,
    notes: Sequence[str],
    noise: float = 1.0,
) -> Comparison:
    """Judge what belongs together.

    Args:
        pairing: What does.
        new: The report with the truth.
        ratio_of: The ratio of two latencies; None if latency is not judged.
        limits: What is accepted.
        notes: What one must know.
        noise: Up to which ratio a difference may come from the machine.
    """
    paired = [paired_answers(new.true_classes, pair.base.classes, pair.new.classes) for pair in pairing.pairs]
    adjusted = holm_adjusted([each.p_value for each in paired])
    artefacts = []
    for pair, answers, p_value in zip(pairing.pairs, paired, adjusted, strict=True):
        latencies = () if ratio_of is None or pair.is_reference else _latencies(pair, ratio_of, limits, noise)
        accuracy = _accuracy(pair, answers, new, p_value, _smallest_loss(answers, len(paired)), limits)
        artefacts.append(ArtefactChange(pair.new.file, pair.new.name, accuracy, latencies, _figures(pair)))
    return Comparison(
        limits,
        artefacts=tuple(artefacts),
        missing=pairing.missing,
        added=pairing.added,
        obstacles=tuple(pairing.obstacles),
        notes=tuple(notes),
    )


def _accuracy(pair: Pair, answers: Paired, report: Report, p_value: float, seen: int, limits: Limits) -> AccuracyChange:
    loss = 100 * answers.loss
    significant = p_value < SIGNIFICANCE
    regressed = significant and loss > limits.max_accuracy_loss
    if not significant:
        verdict = TOO_FEW if seen / answers.count > BLIND_ABOVE else NO_LOSS
    elif regressed:
        verdict = f"lost {loss:.2f} points (p = {p_value:.2g})"
    else:
        verdict = f"gained {-loss:.2f} points" if loss < 0 else f"lost {loss:.2f} points, accepted"
    return AccuracyChange(
        base=report.accuracy(pair.base),
        new=report.accuracy(pair.new),
        right_to_wrong=answers.right_to_wrong,
        wrong_to_right=answers.wrong_to_right,
        p_value=p_value,
        smallest_loss=100 * seen / answers.count,
        regressed=regressed,
        verdict=verdict,
    )


def _smallest_loss(answers: Paired, tests: int) -> int:
    """Return the smallest loss, in images, that is significant even as the first of so many tests."""
    gains, extra = answers.wrong_to_right, 1
    while tests * mcnemar_p(gains + extra, gains) >= SIGNIFICANCE:
        extra += 1
    return extra


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
