"""All figures of a report for people, computed once from its raw samples; what shows them computes nothing."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.measure.machine.conditions import disturbances
from edgeport.benchmarks.report.judging import (
    Judge,
    Judged,
    change_between,
    deciding_change,
    deciding_verdict,
    shown_figures,
)
from edgeport.benchmarks.report.percentiles import Percentile, percentiles_of
from edgeport.benchmarks.report.raw.record import BASELINE, KERAS, PREDICT, Measured, Report, Series, Start
from edgeport.benchmarks.statistics.confidence import confidence_change, expected_calibration_error
from edgeport.benchmarks.statistics.latency import Ratio, latency_ratio
from edgeport.benchmarks.statistics.margins import Margin, margin_of
from edgeport.benchmarks.statistics.paired import Paired, wilson_interval
from edgeport.benchmarks.statistics.paired_change import Change
from edgeport.benchmarks.statistics.verdicts import (
    GAIN,
    NO_LOSS,
    ClassLoss,
    Verdict,
    accuracy_verdict,
    class_losses,
)
from edgeport.runtime.host.notebook import html_lines, html_table


@dataclass(frozen=True)
class Confidence:
    """How sure the answers of a candidate are, as shares from 0 to 1.

    Attributes:
        change: The mean of how much the probability of the answer differs from the reference's; None for the latter.
        most: The 99th percentile of the same.
        mean: The mean probability of the answer.
        calibration_error: How far confidence and accuracy are apart.
    """

    change: float | None
    most: float | None
    mean: float
    calibration_error: float


@dataclass(frozen=True, eq=False)
class Compared:
    """The answers of a candidate beside those of the reference.

    Attributes:
        answers: What became of the images.
        verdict: What that says.
        change: The accuracy lost, with its 95 % interval.
        classes: Classes that lost accuracy, the worst first.
        flipped: The images that it answers unlike the reference: those that became wrong first, then those that
            became right, by their index.
    """

    answers: Paired
    verdict: Verdict
    change: Change
    classes: Sequence[ClassLoss]
    flipped: Sequence[tuple[int, str]]


@dataclass(frozen=True, eq=False)
class Candidate:
    """One candidate with all that is said of it.

    Attributes:
        measured: What was measured of it.
        name: What it is called; no other candidate of the report is called so.
        accuracy: The share of images that it has right, 0 to 1.
        accuracy_interval: The 95 % Wilson interval of that share.
        confidence: How sure its answers are.
        compared: Its answers beside the reference's; None for the reference, and for answers that are no classes.
        judged: What is said of each output of a model that does not choose a class. Then there is no accuracy (NaN).
        margin: Whether its loss is below the largest that is accepted; None if nobody asks, and for the reference and
            those of a baseline.
        main: The calls that tables and charts show: the engine's on one image, if they were timed.
        percentiles: Those of PERCENTS that the number of calls supports.
        medians_ns: The median call of each way it was timed: what, images a call, threads.
        base: The float32 candidate of the same format, or a reference that is an artefact itself; None if there is
            none, or it is this one.
        is_base: Whether it is the base of others.
        ratio: Its latency as a multiple of the base's; None without a base.
        starts: Medians over its starts of each attribute of ``Start``; empty if there was none.
        start_count: How many starts that were.
    """

    measured: Measured
    name: str
    accuracy: float
    accuracy_interval: tuple[float, float]
    confidence: Confidence
    compared: Compared | None
    judged: Sequence[Judged]
    margin: Margin | None
    main: Series | None
    percentiles: Mapping[int, Percentile]
    medians_ns: Mapping[tuple[str, int, int], float]
    base: Measured | None
    is_base: bool
    ratio: Ratio | None
    starts: Mapping[str, float]
    start_count: int

    @property
    def is_keras(self) -> bool:
        """Whether it is no artefact, but the model that they came from."""
        return self.measured.format == KERAS

    @property
    def median_ns(self) -> float:
        """The median of the main calls, in nanoseconds; NaN if it was not timed."""
        return self.percentiles[50].value if self.main else math.nan

    @property
    def verdict(self) -> Verdict | None:
        """What is said of its answers beside the reference's; None for the reference, and where nobody knows truth."""
        return self.compared.verdict if self.compared else deciding_verdict(self.judged)

    @property
    def change(self) -> Change | None:
        """The loss that the verdict is on; None where there is no verdict."""
        return self.compared.change if self.compared else deciding_change(self.judged)

    @property
    def lossless(self) -> bool:
        """Whether no loss was found, by a test that could have found one."""
        return self.verdict is not None and self.verdict.kind in (NO_LOSS, GAIN)

    def median_of(self, what: str, *, batch: int = 1, threads: int | None = None) -> float | None:
        """Return the median of one way of timing, in nanoseconds, by default with the threads of the main calls."""
        threads = threads or (self.main.threads if self.main else 0)
        return self.medians_ns.get((what, batch, threads))

    def rate(self, batch: int, threads: int) -> float | None:
        """Return the images a second of predict(); None if that was not timed."""
        took = self.median_of(PREDICT, batch=batch, threads=threads)
        return batch * 1e9 / took if took else None

    @property
    def fastest(self) -> tuple[int, int, float] | None:
        """The way of predicting with the highest throughput: images a call, threads, images a second."""
        predicting = [way for way in self.medians_ns if way[0] == PREDICT] or list(self.medians_ns)
        rates = [(batch, threads, batch * 1e9 / self.medians_ns[what, batch, threads])
                 for what, batch, threads in predicting]  # fmt: skip
        return max(rates, key=lambda rate: rate[2], default=None)


@dataclass(frozen=True, eq=False)
class Confusion:
    """Which classes are taken for which, by candidates that answer every image alike.

    Attributes:
        candidates: Who.
        wrong: How many images they have wrong.
        matrix: How often each true class (rows) got each answer (columns).
    """

    candidates: Sequence[Candidate]
    wrong: int
    matrix: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Findings:
    """A report with all that is said of it.

    Attributes:
        report: What was measured.
        candidates: What was measured, the reference first.
        disturbances: What disturbed the run, a sentence each.
        best: The fastest artefact without a detectable loss; None if there is none.
        as_fast: Names of others without a loss that this run cannot tell from the best by their speed.
        confusions: Which classes are taken for which.
        max_loss: The largest loss that is accepted, in points of a share or in the metric's own unit; None if nobody
            asks.
        problems: Why metrics have judged nothing, a line each.
    """

    report: Report
    candidates: Sequence[Candidate]
    disturbances: Sequence[str]
    best: Candidate | None
    as_fast: Sequence[str]
    confusions: Sequence[Confusion]
    max_loss: float | None = None
    problems: Sequence[str] = ()

    def _repr_html_(self) -> str:
        """Show it in a notebook: a row for each candidate, then what disturbed the run."""
        unit, scale = self.unit
        rows = [(each.name, shown_figures(each.judged, each.accuracy), each.verdict.kind if each.verdict else "-",
                 f"{each.median_ns / scale:,.1f}" if each.main else "-",
                 f"{each.ratio.ratio:.2f}" if each.ratio else "-")
                for each in self.candidates]  # fmt: skip
        heads = ("candidate", "answers", "verdict", f"p50, {unit}", f"x {self.base}")
        return html_table(self.report.model, heads, rows, left=3) + html_lines((*self.disturbances, *self.problems))

    @property
    def reference(self) -> Candidate:
        """The candidate that all others are compared with."""
        return self.candidates[0]

    @property
    def others(self) -> Sequence[Candidate]:
        """All candidates but the reference."""
        return self.candidates[1:]

    @property
    def above_margin(self) -> list[Candidate]:
        """The candidates whose loss is not surely below the margin."""
        return [each for each in self.others if each.margin and not each.margin.below]

    @property
    def timed(self) -> list[Candidate]:
        """The candidates that have times."""
        return [candidate for candidate in self.candidates if candidate.main]

    @property
    def base(self) -> str:
        """What ratios of latencies are of, in a word."""
        return "reference" if self.report.of_files else "float32"

    @property
    def base_words(self) -> str:
        """The same in more words."""
        return self.reference.name if self.report.of_files else "the float32 artefact of the same format"

    @property
    def unit(self) -> tuple[str, float]:
        """The unit of latencies, and how many nanoseconds it has."""
        return time_unit([self])

    @property
    def predicting(self) -> list[tuple[int, int]]:
        """All numbers of threads, and of images a call, in which predictions were timed."""
        ways = {way for candidate in self.timed for way in candidate.medians_ns}
        return sorted({(threads, batch) for what, batch, threads in ways if what == PREDICT})

    def label(self, index: int) -> str:
        """Return the name of a class; its number if it has none."""
        labels = self.report.dataset.get("labels", ())
        return str(labels[index]) if 0 <= index < len(labels) else str(index)


def time_unit(findings: Sequence[Findings]) -> tuple[str, float]:
    """Return the unit that suits the latencies of some reports, and how many nanoseconds it has."""
    least = min((candidate.median_ns for each in findings for candidate in each.timed), default=0.0)
    return ("ms", 1e6) if least >= 1e6 else ("\u00b5s", 1e3)


def findings_of(report: Report, *, max_loss: float | None = None, metrics: Sequence[str] = ()) -> Findings:
    """Compute all figures of a report.

    Args:
        report: What was measured.
        max_loss: The largest loss that is accepted: see ``Findings``.
        metrics: The metrics that the reader names; empty for those of the report.

    Raises:
        InputError: There is a largest loss, and nobody knows what is true of the samples; or a metric is unknown, or
            code that only the report names.
    """
    names = Counter(measured.name for measured in report.artefacts)
    judge = Judge(report, metrics=metrics, max_loss=max_loss)
    candidates = [
        _candidate(judge, each, each.name if names[each.name] == 1 else f"{each.name} ({each.file})", max_loss)
        for each in report.artefacts
    ]
    fit = [each for each in candidates[1:] if each.main and each.lossless and not each.is_keras]
    best = min(fit, key=lambda each: each.median_ns, default=None)
    as_fast = [
        each.name
        for each in candidates[1:]
        if best and best.main and each is not best and each.main and each.lossless
        if latency_ratio(best.main.launches, each.main.launches).contains_one
    ]
    return Findings(
        report=report,
        candidates=tuple(candidates),
        disturbances=tuple(disturbances(report.conditions, report.host)),
        best=best,
        as_fast=tuple(as_fast),
        confusions=() if report.judged else tuple(_confusions(report, candidates)),
        max_loss=max_loss,
        problems=tuple(judge.problems),
    )


def _candidate(judge: Judge, measured: Measured, name: str, max_loss: float | None) -> Candidate:
    report, judged = judge.report, judge.judged(measured)
    compared = None if judged or measured is report.reference else _compared(report, measured)
    change = compared.change if compared else deciding_change(judged)
    asked = None if measured.file.startswith(BASELINE) else max_loss
    right = math.nan if judged else report.accuracy(measured)
    main = measured.find() or measured.find(PREDICT) or next(iter(measured.series), None)
    base = next((each for each in report.artefacts if _is_base(report, each, measured)), None)
    base_series = base and main and base.find(main.what, batch=main.batch, threads=main.threads)
    starts = [start for start in measured.starts if main is None or start.threads == main.threads]
    attributes = [name for name, kind in vars(Start).items() if isinstance(kind, property)]
    attributes += list(Start.__dataclass_fields__)
    return Candidate(
        measured=measured,
        name=name,
        accuracy=right,
        accuracy_interval=(right, right) if judged else wilson_interval(report.correct(measured), report.count),
        confidence=Confidence(None, None, right, right) if judged else _confidence(report, measured),
        compared=compared,
        judged=judged,
        margin=None if asked is None or change is None else margin_of(change, asked),
        main=main,
        percentiles=percentiles_of(main) if main else {},
        medians_ns={
            (each.what, each.batch, each.threads): each.percentile_us(50) * 1e3 for each in reversed(measured.series)
        },
        base=base,
        is_base=base is None and main is not None and _is_base_itself(report, measured),
        ratio=latency_ratio(base_series.launches, main.launches) if base_series and main else None,
        starts={each: median(float(getattr(start, each)) for start in starts) for each in attributes if starts},
        start_count=len(starts),
    )


def _compared(report: Report, measured: Measured) -> Compared:
    truth, reference = report.true_classes, report.reference.classes
    change = change_between(report, report.reference, measured)
    assert change is not None
    assert change.paired is not None
    answers = change.paired
    kinds = ("right to wrong", "wrong to right", "wrong to other")
    flips = [(_kind(report, measured, int(index)), int(index)) for index in report.flips(measured)]
    return Compared(
        answers=answers,
        verdict=accuracy_verdict(answers),
        change=change,
        classes=tuple(class_losses(truth, reference, measured.classes, [*map(str, report.dataset.get("labels", ()))])),
        flipped=tuple((index, kinds[kind]) for kind, index in sorted(flips)),
    )


def _kind(report: Report, measured: Measured, index: int) -> int:
    if report.reference.predictions[index] == report.truth[index]:
        return 0
    return 1 if measured.predictions[index] == report.truth[index] else 2


def _confidence(report: Report, measured: Measured) -> Confidence:
    error = expected_calibration_error(measured.confidence, measured.classes == report.true_classes)
    is_reference = measured is report.reference
    change, most = confidence_change(report.reference.confidence, measured.confidence)
    return Confidence(
        None if is_reference else change, None if is_reference else most, float(measured.confidence.mean()), error
    )


def _is_base(report: Report, candidate: Measured, measured: Measured) -> bool:
    if report.of_files:
        return candidate is report.reference and measured is not candidate
    return (
        candidate is not measured
        and (candidate.format, candidate.precision) == (measured.format, "float32")
        and measured.precision != "float32"
        and candidate.file.startswith(BASELINE) == measured.file.startswith(BASELINE)
        and candidate.under == measured.under
    )


def _is_base_itself(report: Report, measured: Measured) -> bool:
    if report.of_files:
        return measured is report.reference
    return measured.precision == "float32" and measured.format != KERAS


def _confusions(report: Report, candidates: Sequence[Candidate]) -> list[Confusion]:
    """Return the confusions, those of candidates that answer every image alike once."""
    groups: dict[bytes, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.measured.classes.tobytes(), []).append(candidate)
    largest = max(int(each.classes.max()) for each in report.artefacts)
    count = max(len(report.dataset.get("labels", ())), int(report.true_classes.max()) + 1, largest + 1)
    found = []
    for group in groups.values():
        matrix = np.zeros((count, count), np.int64)
        np.add.at(matrix, (report.true_classes, group[0].measured.classes), 1)
        found.append(Confusion(tuple(group), int(matrix.sum() - matrix.trace()), matrix))
    return found
