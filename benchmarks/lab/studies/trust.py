"""Benchmark what is known, to see whether the benchmark says so: the same artefact twice, a planted slowdown, a loss.

Run it with: python -m edgeport.benchmarks.lab.studies.trust EXPORT_FOLDER --report report.json -o RESULT.json
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.benchmarks.compare.comparison import compare_reports, compare_within
from edgeport.benchmarks.compare.limits import Limits
from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.lab.studies.raw_engines import random_pixels
from edgeport.benchmarks.measure.assembly import Entry, Timing, assembled_report
from edgeport.benchmarks.measure.candidates.candidate import Candidate, artefact_candidate
from edgeport.benchmarks.measure.machine.conditions import disturbances
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.report.raw.record import BASELINE, Report
from edgeport.benchmarks.report.raw.report_file import read_report
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.benchmarks.statistics.latency import Ratio, latency_ratio
from edgeport.benchmarks.statistics.paired import paired_answers
from edgeport.benchmarks.statistics.verdicts import accuracy_verdict
from edgeport.runtime import load
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole

_SLOWED = "edgeport.benchmarks.lab.studies.planted:open_slowed"
_FACTOR = 1.1
_LOSSES = (30, 3)
_IMAGES = 64

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Repetition:
    """One whole benchmark of two candidates.

    Attributes:
        base_ns: The median engine call of each launch of the first.
        other_ns: Of the second.
        within: What ``compare`` says of the two in this run: its exit code.
        across: What it says of this run's first candidate against that of the run before; None for the first run.
        disturbed: Whether the report says that the machine was disturbed.
    """

    base_ns: list[int]
    other_ns: list[int]
    within: int
    across: int | None
    disturbed: bool

    @property
    def ratio(self) -> Ratio:
        """The second candidate's latency as a multiple of the first one's, with its interval."""
        return latency_ratio([[ns] for ns in self.base_ns], [[ns] for ns in self.other_ns])


@dataclass(frozen=True)
class Trial:
    """Repetitions of a benchmark whose right answer is known.

    Attributes:
        file: The artefact that both candidates run.
        factor: How much slower the second one was made: 1 for the same artefact entered twice.
        repetitions: The benchmarks.
    """

    file: str
    factor: float
    repetitions: tuple[Repetition, ...]

    @property
    def containing_one(self) -> int:
        """In how many repetitions the interval contains 1."""
        return sum(each.ratio.contains_one for each in self.repetitions)

    @property
    def half_width(self) -> float:
        """The median half-width of the interval, as a share."""
        return float(np.median([(each.ratio.high - each.ratio.low) / 2 for each in self.repetitions]))

    @property
    def regressed_within(self) -> int:
        """In how many repetitions ``compare`` reports a regression between the two."""
        return sum(each.within == 1 for each in self.repetitions)

    @property
    def regressed_across(self) -> int:
        """How often it reports one between two runs of the same artefact."""
        return sum(each.across == 1 for each in self.repetitions)


@dataclass(frozen=True)
class PlantedLoss:
    """The verdict on an artefact some of whose right answers were made wrong.

    Attributes:
        planted: How many.
        count: Of how many images.
        kind: The verdict.
        sentence: The verdict in words.
    """

    planted: int
    count: int
    kind: str
    sentence: str


@dataclass(frozen=True)
class Trust:
    """What the benchmark says of things that are known.

    Attributes:
        created_utc: When, in ISO 8601.
        versions: The version of each package that took part.
        host: See host_facts.
        protocol: How each benchmark measured.
        sha256: The digest of each artefact.
        trials: Latency.
        losses: Accuracy.
    """

    created_utc: str
    versions: Mapping[str, str]
    host: Mapping[str, Any]
    protocol: Mapping[str, Any]
    sha256: Mapping[str, str]
    trials: tuple[Trial, ...]
    losses: tuple[PlantedLoss, ...]


RESULT = ResultFile("trust", Trust, "measurement of what is known")


def markdown(report: Trust) -> str:
    """Return the figures as Markdown tables."""
    heads = (
        "planted", "artefact", "benchmarks", "interval contains 1", "half-width", "ratio", "regressed within the run",
        "regressed between runs",
    )  # fmt: skip
    latency = markdown_table(heads, map(_trial_row, report.trials), left=(0, 1))
    losses = [(f"{loss.planted} of {loss.count:,}", loss.sentence) for loss in report.losses]
    return f"{latency}\n{markdown_table(('right answers made wrong', 'verdict'), losses, left=(1,))}"


def _trial_row(trial: Trial) -> tuple[str, ...]:
    across = sum(each.across is not None for each in trial.repetitions)
    return (
        f"{trial.factor - 1:.0%} slower" if trial.factor != 1 else "nothing",
        trial.file,
        str(len(trial.repetitions)),
        str(trial.containing_one),
        f"±{trial.half_width:.2%}",
        f"{float(np.median([each.ratio.ratio for each in trial.repetitions])):.3f}",
        str(trial.regressed_within),
        f"{trial.regressed_across} of {across}" if across else "-",
    )


def same_or_slower(path: Path, *, factor: float, repetitions: int, timing: Timing, on_step: OnStep) -> Trial:
    """Benchmark an artefact against itself, or against itself made slower, again and again.

    Args:
        path: The artefact.
        factor: How much slower the second candidate is made; 1 for not at all.
        repetitions: How many benchmarks.
        timing: How each measures.
        on_step: Called with a few words before each benchmark.
    """
    found: list[Repetition] = []
    before: Report | None = None
    for number in range(repetitions):
        on_step(f"{path.name}, factor {factor:g}: benchmark {number + 1} of {repetitions}")
        report = _benchmark(path, factor, timing)
        base, other = (report.named(prefix + path.name) for prefix in (BASELINE, ""))
        medians = [
            [int(np.median(launch)) for launch in series.launches]
            for series in (each.find() for each in (base, other) if each is not None)
            if series is not None
        ]
        across = None
        if before is not None and factor == 1:
            across = compare_reports(before, report, limits=Limits()).exit_code
        found.append(
            Repetition(
                base_ns=medians[0],
                other_ns=medians[1],
                within=compare_within(report, limits=Limits()).exit_code,
                across=across,
                disturbed=bool(disturbances(report.conditions, report.host)),
            )
        )
        before = report
    return Trial(path.name, factor, tuple(found))


def planted_losses(report: Report) -> list[PlantedLoss]:
    """Return the verdicts on the reference's own answers with some right ones made wrong."""
    truth, answers = report.true_classes, report.reference.classes
    right = np.flatnonzero(answers == truth)
    found = []
    for planted in _LOSSES:
        worse = answers.copy()
        chosen = np.random.default_rng(0).choice(right, planted, replace=False)
        worse[chosen] = (worse[chosen] + 1) % len(report.dataset["labels"])
        verdict = accuracy_verdict(paired_answers(truth, answers, worse))
        found.append(PlantedLoss(planted, len(truth), verdict.kind, verdict.sentence))
    return found


def _benchmark(path: Path, factor: float, timing: Timing) -> Report:
    """Return the report of one benchmark with the artefact as baseline, and again, slowed or not."""
    predictor = load(path)
    images = random_pixels((_IMAGES, *(axis or 1 for axis in predictor.spec.input.shape[1:])))
    classes = predictor.spec.output.shape[1] or 1
    base, other = BASELINE + path.name, path.name
    second = artefact_candidate(other, path)
    if factor != 1:
        second = Candidate(other, _SLOWED, {"path": str(path.resolve()), "factor": factor})
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    entries = [
        Entry(name, predictor.spec.format, path.suffixes[-2][1:], path.stat().st_size, sha256, candidate)
        for name, candidate in ((base, artefact_candidate(base, path)), (other, second))
    ]
    return assembled_report(
        entries,
        images,
        np.arange(_IMAGES) % classes,
        model=path.name.partition(".")[0],
        dataset={
            "name": "random pixels",
            "split": "test",
            "count": _IMAGES,
            "sha256": hashlib.sha256(images.tobytes()).hexdigest(),
            "labels": [str(each) for each in range(classes)],
        },
        timing=timing,
    )


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="an export folder with an image model")
    parser.add_argument("--report", type=Path, required=True, metavar="FILE", help="a report.json of that model")
    parser.add_argument("--repetitions", type=int, default=20, metavar="N", help="benchmarks of the same (default 20)")
    parser.add_argument("--slowed", type=int, default=10, metavar="N", help="benchmarks of a slowdown (default 10)")


def _run(arguments: argparse.Namespace) -> None:
    if arguments.repetitions < 2 or arguments.slowed < 1:
        raise InputError("--repetitions: expected 2 or more, and --slowed: 1 or more")
    files = [path for kind in ("int8.tflite", "float32.onnx") for path in sorted(arguments.folder.glob(f"*.{kind}"))]
    if not files:
        raise InputError(f"{arguments.folder} holds no int8 TFLite or float32 ONNX artefact: name an export folder")
    known = read_report(arguments.report)
    timing = Timing()
    trials = [
        same_or_slower(
            path, factor=factor, repetitions=count, timing=timing, on_step=lambda what: print(what, flush=True)
        )
        for factor, count in ((1.0, arguments.repetitions), (_FACTOR, arguments.slowed))
        for path in files
    ]
    trust = Trust(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={name: version(name) for name in ("edgeport", "numpy", "ai-edge-litert", "onnxruntime")},
        host=host_facts(),
        protocol=asdict(timing),
        sha256={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        trials=tuple(trials),
        losses=tuple(planted_losses(known)),
    )
    write_whole(arguments.output, RESULT.text(trust).encode())
    print(markdown(trust), end="")


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.studies.trust",
            "Benchmark what is known: the same artefact twice, a planted slowdown, a planted loss.",
            run=_run,
            extra="all",
            add_arguments=_add_arguments,
        )
    )
