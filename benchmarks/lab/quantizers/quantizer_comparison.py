"""Try every way of quantizing on every model, and measure what comes out."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.benchmarks.lab.one_process import Rounds, time_in_rounds
from edgeport.benchmarks.lab.quantizers.onnx_quantizers import count_operators
from edgeport.benchmarks.lab.quantizers.quantizer_report import QuantizerReport, Tried
from edgeport.benchmarks.lab.quantizers.quantizer_ways import WAYS, Subject, Way
from edgeport.benchmarks.lab.quantizers.tflite_quantizers import ending_at_logits
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.export import load_calibration, load_source
from edgeport.export.inspection import inspect
from edgeport.export.inspection.facts import BOUNDARY, FLOAT
from edgeport.export.verification.comparison import compare
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.predictor import Predictor
from edgeport.runtime.tensors.arrays import FloatArray, Tensor
from edgeport.runtime.tensors.quantization import quantize
from edgeport.train.datasets.named import load_dataset

_OPENINGS = 5
_PROTOCOL = Rounds(rounds=4, calls_per_round=12, warmup_calls=3, warmup_seconds=0.02)
_COUNT, _RANDOM_COUNT = 500, 200
_PACKAGES = ("edgeport", "tensorflow", "ai-edge-litert", "litert-quantizer", "tf2onnx", "onnx", "onnxruntime")


def compare_quantizers(
    models: Sequence[Path], *, data_dir: Path | None = None, on_step: Callable[[str], None] = lambda what: None
) -> QuantizerReport:
    """Return what became of each model in each way.

    A model that was trained with edgeport on a data set is calibrated on it, and scored on its test split; any other
    is calibrated on random samples, as an export does with ``--calibration random``.

    Args:
        models: Files that ``load_source`` takes, with one input and one output each.
        data_dir: See load_dataset.
        on_step: Called with a few words before each step.

    Raises:
        ArtefactError: A model is missing or damaged.
        InputError: A model has several inputs or outputs.
    """
    facts, tried = [], []
    for path in models:
        with quiet_stderr():
            subject = _subject(path, data_dir)
        test = load_dataset(subject.dataset, data_dir=data_dir).test if subject.dataset else None
        with tempfile.TemporaryDirectory(prefix="edgeport-") as folder:
            outcomes = []
            for way in WAYS:
                on_step(f"{subject.name}: {way.format} {way.name}")
                outcome = _try(subject, way, _file(folder, way))
                if test is not None and not outcome.error:
                    answers = _answers(_file(folder, way), subject.real({subject.source.inputs[0].name: test.samples}))
                    outcome = replace(outcome, correct=int((answers.argmax(axis=1) == test.classes).sum()))
                outcomes.append(outcome)
            on_step(f"{subject.name}: latency")
            made = [_file(folder, way) for way, outcome in zip(WAYS, outcomes, strict=True) if not outcome.error]
            samples = _latency(made, subject.held_out[:1])
            tried += [
                replace(outcome, latency_ns=samples.get(_file(folder, way), []))
                for way, outcome in zip(WAYS, outcomes, strict=True)
            ]
        facts.append(_facts(subject, len(test) if test is not None else 0))
    return QuantizerReport(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={name: version(name) for name in _PACKAGES},
        host=host_facts(),
        protocol={**asdict(_PROTOCOL), "openings": _OPENINGS, "threads": 1},
        models=tuple(facts),
        tried=tuple(tried),
    )


def sqnr_db(answers: FloatArray, reference: FloatArray) -> float:
    """Return the signal-to-quantization-noise ratio in dB, as a manifest counts it."""
    return compare({"output": answers}, {"output": reference}, {}).sqnr_db or 0.0


def _subject(path: Path, data_dir: Path | None) -> Subject:
    source = load_source(path)
    if not source.dataset and source.takes_an_image:
        source = load_source(path, inputs=["pixels:-1:1"])
    if len(source.inputs) > 1 or len(source.outputs) > 1:
        raise InputError(
            f"{path}: got {len(source.inputs)} inputs and {len(source.outputs)} outputs, expected one of each"
        )
    calibration = load_calibration(
        source.dataset or "random",
        inputs=source.inputs,
        count=_COUNT if source.dataset else _RANDOM_COUNT,
        vocabulary=source.opened.vocabulary,
        data_dir=data_dir,
    )
    source = source.with_lengths(calibration.shapes)
    return Subject(source.name, ending_at_logits(source), calibration, source.dataset)


def _file(folder: str, way: Way) -> Path:
    return Path(folder, f"{WAYS.index(way)}.{way.format}")


def _facts(subject: Subject, test_count: int) -> dict[str, Any]:
    return {
        "name": subject.name,
        "sha256": subject.source.opened.sha256,
        "calibration": subject.calibration.facts,
        "held_out": len(subject.held_out),
        "test": {"name": subject.dataset, "count": test_count} if test_count else None,
    }


def _try(subject: Subject, way: Way, path: Path) -> Tried:
    """Return all about a model in one way but its score and latency; the file is left at ``path``."""
    try:
        with quiet_stderr():
            content, seconds = way.make(subject)
            path.write_bytes(content)
            noise = sqnr_db(_answers(path, subject.held_out), subject.reference)
            boundaries, float_operators = _count(path)
    except Exception as error:  # quantizers and engines raise whatever they meet
        reason = " ".join(str(error).split())[:300]
        return Tried(subject.name, way.format, way.name, error=f"{type(error).__name__}: {reason}")
    return Tried(
        model=subject.name,
        format=way.format,
        way=way.name,
        seconds=round(seconds, 3),
        bytes=len(content),
        sqnr_db=round(noise, 3),
        boundaries=boundaries,
        float_operators=float_operators,
    )


def _count(path: Path) -> tuple[int, int]:
    """Return how many operators stand between floats and integers, and how many compute in floats."""
    if path.suffix == ".onnx":
        return count_operators(path.read_bytes())
    kinds = [operator.arithmetic for operator in inspect(str(path)).graph.operators]
    return kinds.count(BOUNDARY), kinds.count(FLOAT)


def _answers(path: Path, real: FloatArray) -> FloatArray:
    with quiet_stderr():
        predictor = load(path, verify=False)
        answers = predictor.answer({predictor.spec.input.name: real})
    return answers[predictor.spec.output.name]


def _latency(files: Sequence[Path], sample: FloatArray) -> Mapping[Path, list[list[int]]]:
    """Return the nanoseconds of timed calls of each file, one list for each time that it was opened."""
    samples: dict[Path, list[list[int]]] = {path: [] for path in files}
    for opening in range(_OPENINGS):
        with quiet_stderr():
            predictors = {path: load(path, verify=False) for path in files}
        calls = {
            str(path): partial(predictor.run, _encoded(predictor, sample)) for path, predictor in predictors.items()
        }
        for name, times in time_in_rounds(calls, replace(_PROTOCOL, seed=opening)).items():
            samples[Path(name)].append(times)
    return samples


def _encoded(predictor: Predictor, sample: FloatArray) -> Tensor:
    """Return a sample in the types of a file's input."""
    spec = predictor.spec.input
    if spec.quantized:
        return quantize(sample, scale=spec.scale, zero_point=spec.zero_point, dtype=spec.dtype)
    return np.ascontiguousarray(sample, spec.dtype)
