"""All figures of a report for people, computed once from a report's raw samples."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edgeport.benchmarks.measure.conditions import disturbances
from edgeport.benchmarks.report.record import BASELINE, PREDICT, Measured, Report, Series, Start
from edgeport.benchmarks.statistics.latency import Ratio, latency_ratio, percentile_interval, percentile_supported
from edgeport.benchmarks.statistics.paired import Paired, paired_answers
from edgeport.benchmarks.statistics.shares import wilson_interval
from edgeport.benchmarks.statistics.verdicts import GAIN, NO_LOSS, Verdict, accuracy_verdict

PERCENTS = (50, 90, 99)
# As for the ratio of two latencies: fewer processes say too little of how processes differ.
FEWEST_LAUNCHES = 6


@dataclass(frozen=True)
class Percentile:
    """A percentile of a latency, in nanoseconds.

    Attributes:
        value: The percentile.
        interval: Its 95 % interval; None if there are too few processes for one.
    """

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class Subject:
    """One candidate with all that the page says of it.

    Attributes:
        measured: What was measured of it.
        name: How the page calls it; no other candidate of the report is called so.
        accuracy: The share of images that it has right, 0 to 1.
        accuracy_interval: The 95 % Wilson interval of that share.
        paired: Its answers beside the reference's; None for the reference.
        verdict: What they say; None for the reference.
        main: The calls that tables and charts show: the engine's on one image, if they were timed.
        percentiles: Those of PERCENTS that the number of calls supports.
        base: The float32 candidate of the same format; None if there is none, or it is this one.
        ratio: Its latency as a multiple of the base's; None without a base.
    """

    measured: Measured
    name: str
    accuracy: float
    accuracy_interval: tuple[float, float]
    paired: Paired | None
    verdict: Verdict | None
    main: Series | None
    percentiles: dict[int, Percentile]
    base: Measured | None
    ratio: Ratio | None

    @property
    def median_ns(self) -> float:
        """The median of the main calls, in nanoseconds; NaN if it was not timed."""
        return self.main.percentile_us(50) * 1e3 if self.main else math.nan

    @property
    def lossless(self) -> bool:
        """Whether no loss of accuracy was found, by a test that could have found one."""
        return self.verdict is not None and self.verdict.kind in (NO_LOSS, GAIN)

    @property
    def fastest(self) -> Series | None:
        """The way of predicting with the highest throughput; None if it was not timed."""
        ways = [series for series in self.measured.series if series.what == PREDICT] or self.measured.series
        return max(ways, key=lambda series: series.images_per_second, default=None)

    @property
    def starts(self) -> list[Start]:
        """Its starts with the number of threads of the main calls."""
        threads = self.main.threads if self.main else None
        return [start for start in self.measured.starts if threads in (None, start.threads)]

    def of_starts(self, attribute: str) -> float | None:
        """Return the median over its starts of one of their figures; None if there was no start."""
        values = [float(getattr(start, attribute)) for start in self.starts]
        return median(values) if values else None


@dataclass(frozen=True, eq=False)
class Findings:
    """A report with all that the page says of it.

    Attributes:
        report: What was measured.
        subjects: Its candidates, the reference first.
        disturbances: What disturbed the run, a sentence each.
    """

    report: Report
    subjects: tuple[Subject, ...]
    disturbances: tuple[str, ...]

    @property
    def reference(self) -> Subject:
        """The candidate that all others are compared with."""
        return self.subjects[0]

    @property
    def others(self) -> tuple[Subject, ...]:
        """All candidates but the reference."""
        return self.subjects[1:]

    @property
    def timed(self) -> list[Subject]:
        """The candidates that have times."""
        return [subject for subject in self.subjects if subject.main]

    @property
    def best(self) -> Subject | None:
        """The fastest artefact without a detectable loss; None if there is none."""
        found = [subject for subject in self.others if subject.main and subject.lossless and not _is_keras(subject)]
        return min(found, key=lambda subject: subject.median_ns, default=None)

    @property
    def unit(self) -> tuple[str, float]:
        """The unit of latencies, and how many nanoseconds it has."""
        return time_unit([self])


def time_unit(findings: Sequence[Findings]) -> tuple[str, float]:
    """Return the unit that suits the latencies of some reports, and how many nanoseconds it has."""
    least = min((subject.median_ns for each in findings for subject in each.timed), default=0.0)
    return ("ms", 1e6) if least >= 1e6 else ("\u00b5s", 1e3)


def findings_of(report: Report) -> Findings:
    """Compute all figures of a report."""
    names = Counter(measured.name for measured in report.artefacts)
    subjects = []
    for measured in report.artefacts:
        name = measured.name if names[measured.name] == 1 else f"{measured.name} ({measured.file})"
        subjects.append(_subject(report, measured, name))
    return Findings(report, tuple(subjects), tuple(disturbances(report.conditions, report.host)))


def _subject(report: Report, measured: Measured, name: str) -> Subject:
    correct, count = report.correct(measured), len(report.truth)
    paired = None
    if measured is not report.reference:
        paired = paired_answers(report.true_classes, report.reference.classes, measured.classes)
    main = _main(measured)
    base = next((each for each in report.artefacts if _is_base(each, measured)), None)
    base_series = base and main and base.find(main.what, batch=main.batch, threads=main.threads)
    return Subject(
        measured=measured,
        name=name,
        accuracy=correct / count,
        accuracy_interval=wilson_interval(correct, count),
        paired=paired,
        verdict=accuracy_verdict(paired) if paired else None,
        main=main,
        percentiles=_percentiles(main) if main else {},
        base=base,
        ratio=latency_ratio(base_series.launches, main.launches) if base_series and main else None,
    )


def _main(measured: Measured) -> Series | None:
    return measured.find() or measured.find(PREDICT) or next(iter(measured.series), None)


def _is_base(candidate: Measured, measured: Measured) -> bool:
    return (
        candidate is not measured
        and (candidate.format, candidate.precision) == (measured.format, "float32")
        and measured.precision != "float32"
        and candidate.file.startswith(BASELINE) == measured.file.startswith(BASELINE)
    )


def _percentiles(series: Series) -> dict[int, Percentile]:
    several = len(series.launches) >= FEWEST_LAUNCHES
    return {
        percent: Percentile(
            series.percentile_us(percent) * 1e3, percentile_interval(series.launches, percent) if several else None
        )
        for percent in PERCENTS
        if percent == min(PERCENTS) or percentile_supported(len(series.samples), percent)
    }


def _is_keras(subject: Subject) -> bool:
    return subject.measured.format == "keras"
