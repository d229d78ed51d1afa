"""Benchmark what is known, to see whether the benchmark says so: the same artefact twice, a planted slowdown, a loss.

Run it with: python -m edgeport.benchmarks.lab.studies.trust EXPORT_FOLDER --report report.json -o RESULT.json
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgeport.benchmarks.assembly import Entry, Timing, assembled_report
from edgeport.benchmarks.compare.comparison import Limits, compare_reports, compare_within
from edgeport.benchmarks.lab.script import check_output_file, run_script
from edgeport.benchmarks.lab.studies.raw_engines import random_pixels
from edgeport.benchmarks.lab.studies.trust_report import PlantedLoss, Repetition, Trial, Trust, markdown, report_text
from edgeport.benchmarks.measure.candidate import Candidate, artefact_candidate
from edgeport.benchmarks.measure.conditions import disturbances
from edgeport.benchmarks.measure.host import host_facts
from edgeport.benchmarks.report.record import BASELINE, Report
from edgeport.benchmarks.report.report_file import read_report
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    return run_script(
        "edgeport.benchmarks.lab.studies.trust",
        "Benchmark what is known: the same artefact twice, a planted slowdown, a planted loss.",
        add_arguments=_add_arguments,
        run=_run,
        extra="all",
        argv=argv,
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
    return Trial(path.name, factor, found)


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
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where the result goes (JSON)")


def _run(arguments: argparse.Namespace) -> None:
    check_output_file(arguments.output)
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
        trials=trials,
        losses=planted_losses(known),
    )
    write_whole(arguments.output, report_text(trust).encode())
    print(markdown(trust), end="")


if __name__ == "__main__":
    sys.exit(main())
