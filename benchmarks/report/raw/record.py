"""What a benchmark found, as raw samples and facts; every figure is computed from them by whoever reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.report.looks import FORMAT_NAMES
from edgeport.benchmarks.report.raw.packed import Packed

KERAS = "keras"
# Files of a baseline that was measured in the same run begin with it.
BASELINE = "baseline/"
ENGINE_CALL, PREDICT, LABEL = "engine", "predict", "label"
# What can be timed, and what a reader sees of it.
TIMED = {
    ENGINE_CALL: "one call of the engine, from the artefact's own input tensor to its own output tensor",
    PREDICT: "predict(): from raw uint8 pixels to float32 probabilities",
    LABEL: "classify(): from raw uint8 pixels to the best labels",
}


@dataclass(frozen=True)
class Series:
    """The timed calls of one candidate in one way.

    Attributes:
        what: ``engine``, ``predict`` or ``label``: see TIMED.
        batch: Images a call.
        threads: Threads that the engine may use.
        launches: Nanoseconds of each timed call in the order of measurement, one list for each process that was
            started for it. The processes of all candidates with the same index ran at the same time, in turns.
    """

    what: str
    batch: int
    threads: int
    launches: list[list[int]]

    @property
    def samples(self) -> list[int]:
        """All timed calls, in nanoseconds."""
        return [ns for launch in self.launches for ns in launch]

    def percentile_us(self, percent: float) -> float:
        """Return a percentile over all calls, in microseconds."""
        return float(np.percentile(self.samples, percent)) / 1e3


@dataclass(frozen=True)
class Start:
    """One start of a process up to its first prediction.

    Attributes:
        import_ns: From the start of the process until the engine and what it needs are imported.
        load_ns: From the file to something that can predict.
        first_ns: The first prediction, from one image's pixels to its probabilities.
        peak_rss_bytes: The peak of the process' resident memory, at its end.
        steady_rss_bytes: Its resident memory after the last timed call.
        threads: Threads that the engine may use.
    """

    import_ns: int
    load_ns: int
    first_ns: int
    peak_rss_bytes: int
    steady_rss_bytes: int
    threads: int

    @property
    def total_ns(self) -> int:
        """From the start of the process to the end of the first prediction."""
        return self.import_ns + self.load_ns + self.first_ns


@dataclass(frozen=True)
class Measured:
    """What was measured of one candidate: an artefact, or the Keras model that it came from.

    Attributes:
        file: Its file name. With the export folder of a baseline in the same run, those of the baseline begin with
            ``baseline/``.
        format: ``tflite``, ``onnx`` or, for the reference, ``keras``.
        precision: ``float32``, ``float16``, ``dynamic``, ``int8`` or ``int16x8``.
        bytes: Its size on disk; 0 if it is not known.
        sha256: The digest of its file.
        engine: ``name`` and ``version``.
        predictions: The top-1 class of each test image, in order; empty for a model that does not choose one class.
        confidence_ppm: The probability of that class, in millionths; likewise.
        series: Its timed calls; empty for a reference whose answers were recorded elsewhere, and for answers alone.
        starts: Each start of a process that ran it.
        answers: For a model that does not choose one class, what it answers: an array for each of ``Report.judged``.
        same_as: The candidate of the same file under its default engine, by ``file``; empty for that one itself.
    """

    file: str
    format: str
    precision: str
    bytes: int
    sha256: str
    engine: Mapping[str, str]
    predictions: list[int]
    confidence_ppm: list[int]
    series: tuple[Series, ...] = ()
    starts: tuple[Start, ...] = ()
    answers: tuple[Packed, ...] = ()
    same_as: str = ""

    @property
    def name(self) -> str:
        """How tables and pictures call it: format and precision, or its file name where that does not say both.

        Under another engine than its default one, that engine's name follows.
        """
        file, under = self.artefact, f" ({self.under})" if self.under else ""
        if self.format != KERAS and not file.endswith(f".{self.precision}.{self.format}"):
            return f"{file}{under}"
        prefix = "baseline " if file.startswith(BASELINE) else ""
        return f"{prefix}{FORMAT_NAMES.get(self.format, self.format)} {self.precision}{under}"

    @property
    def artefact(self) -> str:
        """The name of the file that it runs, which candidates under several engines share."""
        return self.same_as or self.file

    @property
    def under(self) -> str:
        """The engine that it was put under; empty for the default one of its file."""
        return self.engine["name"] if self.same_as else ""

    @property
    def timed(self) -> bool:
        """Whether it has run here, and so has times."""
        return bool(self.series)

    def find(self, what: str = ENGINE_CALL, *, batch: int = 1, threads: int | None = None) -> Series | None:
        """Return the calls that were timed in this way; by default those of the first number of threads."""
        for series in self.series:
            if (series.what, series.batch) == (what, batch) and threads in (None, series.threads):
                return series
        return None

    def latency_us(self, percent: float, what: str = ENGINE_CALL) -> float:
        """Return a percentile of the latency on one image, in microseconds; NaN if it was not timed."""
        series = self.find(what)
        return series.percentile_us(percent) if series else float("nan")

    @cached_property
    def classes(self) -> npt.NDArray[np.int64]:
        """The top-1 class of each image, of shape (n,)."""
        return np.asarray(self.predictions, np.int64)

    @cached_property
    def confidence(self) -> npt.NDArray[np.float64]:
        """The probability of the top-1 class of each image, 0 to 1, of shape (n,)."""
        return np.asarray(self.confidence_ppm, np.float64) / 1e6


@dataclass(frozen=True)
class Condition:
    """The machine during one round of processes.

    Attributes:
        seconds: How long the round took.
        others_busy: CPU time that other processes used meanwhile, in cores: 1.0 is one core all the time.
        stolen: CPU time that the hypervisor kept from this machine, in cores.
        yardstick_ns: Median time of the reference workload, a fixed piece of arithmetic that no artefact has a part in.
        frequency_mhz: Of the cores that were measured on; None where the system does not report it.
        temperature_c: Of the processor; None where the system does not report it.
        throttled: What the firmware says of throttling (on a Raspberry Pi ``vcgencmd get_throttled``, a bit mask);
            None where there is no such thing.
    """

    seconds: float
    others_busy: float | None
    stolen: float | None
    yardstick_ns: int
    frequency_mhz: float | None = None
    temperature_c: float | None = None
    throttled: int | None = None


@dataclass(frozen=True)
class JudgedOutput:
    """An output whose answers are judged by metrics, or only held beside those of the reference.

    Attributes:
        name: The output's name.
        task: What it means: a row of the table of tasks.
        metrics: The metrics that judge it, the one that decides first; empty without targets.
        columns: The names of its values or labels; empty if unknown.
        units: What each of its values is measured in; empty if unknown.
        targets: What is true of each sample; None if nobody knows.
    """

    name: str
    task: str
    metrics: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    targets: Packed | None = None


@dataclass(frozen=True)
class Report:
    """One benchmark run.

    Attributes:
        created_utc: When, in ISO 8601.
        edgeport: ``version``, and ``commit`` where it runs from a checkout.
        model: The model's name.
        host: See host_facts.
        dataset: ``name``, ``split``, ``count``, ``sha256`` and ``labels``.
        truth: The true class of each image; empty for a model that does not choose one class.
        protocol: How latency was measured.
        artefacts: What was measured; the reference comes first: the Keras model, or a file that a user named.
        skipped: What could not be run on this machine: ``file`` and ``reason``.
        conditions: The machine meanwhile, one entry a round of processes.
        partial: Why the run ended before its time; empty if it did not.
        pictures: PNG files in base64 of test images that some artefact answers unlike the reference, by their index
            as text; the first hundred of them.
        profiles: For each file that was profiled, what ``profile`` found.
        mlperf: For each file that ran under MLPerf LoadGen, what that and edgeport measured.
        judged: The outputs of a model that does not choose one class; empty for one that does.
        groups: Which group each sample is in, where samples of one group are alike; empty if each stands for itself.
    """

    created_utc: str
    edgeport: Mapping[str, str]
    model: str
    host: Mapping[str, Any]
    dataset: Mapping[str, Any]
    truth: list[int]
    protocol: Mapping[str, Any]
    artefacts: tuple[Measured, ...]
    skipped: tuple[Mapping[str, str], ...] = ()
    conditions: tuple[Condition, ...] = ()
    partial: str = ""
    pictures: Mapping[str, str] = field(default_factory=dict)
    profiles: Mapping[str, Any] = field(default_factory=dict)
    mlperf: Mapping[str, Any] = field(default_factory=dict)
    judged: tuple[JudgedOutput, ...] = ()
    groups: list[int] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many samples were answered."""
        return int(self.dataset["count"])

    @property
    def sample(self) -> str:
        """What one of them is called."""
        return "sample" if self.judged else "image"

    @property
    def reference(self) -> Measured:
        """The Keras model that the artefacts came from, or the file that a user compares others with."""
        return self.artefacts[0]

    @property
    def of_files(self) -> bool:
        """Whether an artefact is the reference, so that it is the base of ratios too."""
        return self.reference.format != KERAS

    @cached_property
    def true_classes(self) -> npt.NDArray[np.int64]:
        """The true class of each image, of shape (n,)."""
        return np.asarray(self.truth, np.int64)

    def correct(self, measured: Measured) -> int:
        """Return how many images a candidate has right."""
        return int((measured.classes == self.true_classes).sum())

    def accuracy(self, measured: Measured) -> float:
        """Return the share of images that a candidate has right, 0 to 1."""
        return self.correct(measured) / len(self.truth)

    def flips(self, measured: Measured) -> npt.NDArray[np.int64]:
        """Return the indices of the images that a candidate answers unlike the reference."""
        return np.flatnonzero(measured.classes != self.reference.classes)

    def named(self, file: str) -> Measured | None:
        """Return the candidate of that file."""
        return next((each for each in self.artefacts if each.file == file), None)


def timed_in(report: Report) -> dict[str, str]:
    """Return what was timed in a report, each in words."""
    if not report.judged:
        return TIMED
    whole = "from what users give, pixels or real values, to what they take, real values"
    return {ENGINE_CALL: TIMED[ENGINE_CALL], PREDICT: f"predict() or answer(): {whole}"}
