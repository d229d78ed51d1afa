"""How long a benchmark takes beside the engine: answers, metric and draws of 10,000 samples, and the calls alone.

Run it with: python -m edgeport.benchmarks.lab.judging.judging_time -o RESULT.json
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgeport.benchmarks.lab.judging.judging_time_report import RESULT, JudgingTime, JudgingTimes, markdown
from edgeport.benchmarks.lab.peers.mobilenet import CLASSES, build_mobilenet, patterns
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.lab.studies.raw_engines import raw_call
from edgeport.benchmarks.measure.any_model import benchmark_any, evaluation_of
from edgeport.benchmarks.measure.assembly import Timing
from edgeport.benchmarks.measure.benchmarking import artefact_entry
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.judging import PATIENCE_SECONDS
from edgeport.benchmarks.statistics.paired_change import drawn_figures, paired_change
from edgeport.benchmarks.tasks.metric import Array
from edgeport.benchmarks.tasks.table import metrics_of
from edgeport.export import Options, export_model
from edgeport.export.manifest import Manifest
from edgeport.runtime import load
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.files.temporary import temporary_folder
from edgeport.runtime.samples.array_names import ONLY
from edgeport.train.datasets.data import Data, Part

SAMPLES = 10_000
_METRIC = """import numpy as np


def share(truth, answers):
    return np.mean(answers.argmax(axis=1) == truth)


share.better, share.unit = "up", "points"
"""
_BOXES = 3


def measured(folder: Path, on_step: Callable[[str], None]) -> list[JudgingTime]:
    """Return what judging takes; a folder takes the model and the metric."""
    on_step("MobileNetV2")
    images, kinds = patterns(SAMPLES, seed=2)
    manifest = export_model(
        build_mobilenet(),
        folder / "export",
        calibration=images[:200],
        inputs=["pixels"],
        name="mobilenetv2",
        options=Options(precisions=("float32", "int8"), formats=("tflite",)),
    )
    on_step(f"{SAMPLES:,} calls of each engine")
    engine = sum(_calls(folder / "export" / each.file, images) for each in manifest.artefacts)
    on_step("a benchmark with a metric of the user's own")
    rows = [_of_a_user(folder, manifest, images, kinds, engine)]
    for what, task, truth, answers in _made_up(np.random.default_rng(0)):
        on_step(what)
        rows.append(_of_draws(what, task, truth, answers, engine))
    return rows


def _calls(path: Path, images: Array) -> float:
    """Return how many seconds the raw engine takes to answer as many samples, one at a time."""
    with load(path) as predictor:
        encoded, engine = predictor.encode(images[:1]), predictor.spec.engine.replace("-", "_")
    call = raw_call(path.read_bytes(), engine, encoded)
    for _ in range(50):
        call()
    began = time.perf_counter()
    for _ in range(len(images)):
        call()
    return time.perf_counter() - began


def _of_a_user(folder: Path, manifest: Manifest, images: Array, kinds: Array, engine: float) -> JudgingTime:
    (folder / "metric.py").write_text(_METRIC, encoding="utf-8")
    metrics = (f"{folder / 'metric.py'}:share",)
    data = Data("patterns", {"test": Part({ONLY: images}, kinds)})
    evaluation = evaluation_of(data, manifest.inputs, manifest.outputs, metrics=metrics)
    entries = [artefact_entry(folder / "export", each) for each in manifest.artefacts]
    began = time.perf_counter()
    report = benchmark_any(entries, evaluation, model="mobilenetv2", timing=Timing(protocol=Protocol(launches=0)))
    answered = time.perf_counter()
    findings = findings_of(report, metrics=metrics)
    judged = time.perf_counter()
    change = findings.others[0].change
    assert change is not None, "it was judged"
    return JudgingTime("a user's metric, classes", change.draws, answered - began, judged - answered, engine)


def _made_up(random: np.random.Generator) -> list[tuple[str, str, Array, tuple[Array, Array]]]:
    """Return answers of two candidates, which differ a little, to what is true of 10,000 samples."""

    def both(answers: Array) -> tuple[Array, Array]:
        return answers, answers + random.normal(0, 0.01, answers.shape)

    one, ten = random.integers(0, 2, SAMPLES), random.integers(0, 2, (SAMPLES, CLASSES))
    corners = random.uniform(0, 0.6, (SAMPLES, _BOXES, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0.1, 0.4, corners.shape)], axis=-1)
    classes = random.integers(0, CLASSES, (SAMPLES, _BOXES, 1))
    found = np.concatenate(
        [classes, random.uniform(0, 1, classes.shape), boxes + random.normal(0, 0.02, boxes.shape)], -1
    )
    moved = found.copy()
    moved[..., 1:] += random.normal(0, 0.01, moved[..., 1:].shape)
    return [
        ("ROC AUC, yes or no", "anomaly", one, both(one[:, None] + random.normal(0, 1, (SAMPLES, 1)))),
        (f"mAP of {CLASSES} labels", "labels", ten, both(ten + random.normal(0, 1, ten.shape))),
        (f"mAP of {_BOXES} boxes a picture", "boxes", np.concatenate([classes, boxes], -1), (found, moved)),
    ]


def _of_draws(what: str, task: str, truth: Array, answers: tuple[Array, Array], engine: float) -> JudgingTime:
    metric = metrics_of(task)[0]
    began = time.perf_counter()
    # As a report is judged: the reference beside itself, then the other one.
    drawn = drawn_figures(metric, truth, answers[0], patience=PATIENCE_SECONDS)
    changes = [paired_change(metric, truth, answers[0], each, drawn=drawn) for each in answers]
    return JudgingTime(what, changes[1].draws, 0.0, time.perf_counter() - began, engine)


def _run(arguments: argparse.Namespace) -> None:
    with temporary_folder() as folder:
        rows = measured(folder, lambda what: print(what, flush=True))
    result = JudgingTimes(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={
            name: version(name)
            for name in ("edgeport", "numpy", "scikit-learn", "pycocotools", "ai-edge-litert", "tensorflow", "keras")
        },
        host=host_facts(),
        samples=SAMPLES,
        rows=tuple(rows),
    )
    write_whole(arguments.output, RESULT.text(result).encode())
    print(markdown(result), end="")


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.judging.judging_time",
            f"Time the answers, the metric and the draws of {SAMPLES:,} samples beside the engine's own calls.",
            run=_run,
            extra="all",
        )
    )
