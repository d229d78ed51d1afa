"""From an artefact to the time of each of its operators, and to what that means."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.benchmarks.profile.explanation import contrast
from edgeport.benchmarks.profile.parts import DEQUANTIZE, QUANTIZE, Cut, PartTimings, time_parts
from edgeport.benchmarks.profile.peaks import measured_peak
from edgeport.benchmarks.profile.profile_facts import (
    PLAIN,
    Boundaries,
    OperatorTime,
    Profile,
    Roofline,
    profile_document,
)
from edgeport.benchmarks.profile.sentences import method_of, sentences_of
from edgeport.export.inspection import inspect
from edgeport.export.inspection.facts import Inspection
from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.predictor import Predictor
from edgeport.runtime.tensors.arrays import Tensor

INT8, FLOAT32 = "int8", "float32"
_CUTTERS = {
    "tflite": "edgeport.benchmarks.profile.tflite.parts",
    "onnx": "edgeport.benchmarks.profile.onnx.parts",
}
# The engine whose graphs can be cut; tflite-runtime is an older build of the same.
_ENGINES = {"tflite": "ai_edge_litert", "onnx": "onnxruntime"}


def profile_artefact(path: Path, *, threads: int, seconds: float = 1.0, trust: bool = False) -> Profile:
    """Time an artefact by operator, on one sample.

    Args:
        path: A ``.tflite`` or ``.onnx`` file.
        threads: Threads that the engine may use.
        seconds: How long its operators are timed; opening them and the processor's peak come on top.
        trust: Open a file without a digest.

    Raises:
        ArtefactError: The file is missing, damaged, altered or of no known format.
        InputError: An input has a free axis beside the first, or there are fewer threads than one.
        MissingDependencyError: The engine is not installed.
    """
    inspection = inspect(path)
    with quiet_stderr(), load(path, engine=_ENGINES[inspection.format], threads=threads, verify=not trust) as predictor:
        inputs = [_sample(spec, predictor) for spec in predictor.spec.inputs]
        cutter = importlib.import_module(_CUTTERS[inspection.format])
        cut: Cut = cutter.cut(path.read_bytes(), inspection, inputs, threads=threads)
        timings = time_parts(cut, _whole(predictor, inputs), seconds=seconds)
        engine, version = predictor.spec.engine, predictor.spec.engine_version
        return _profile(path.name, inspection, cut, timings, engine=engine, version=version, threads=threads)


def profile_files(
    paths: Sequence[Path],
    *,
    threads: int,
    seconds: float = 1.0,
    trust: bool = False,
    on_step: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Profile artefacts of one model, and say of each int8 one how it compares with its float32 twin.

    Args:
        paths: The files; twins have names that differ in ``float32`` and ``int8`` alone.
        threads: Threads that the engines may use.
        seconds: How long each is timed.
        trust: Open files without a digest.
        on_step: Called with a few words before each artefact.

    Returns:
        For each file name the document of its profile.
    """
    profiles = {}
    for path in paths:
        on_step(f"profile of {path.name}")
        profiles[path.name] = profile_artefact(path, threads=threads, seconds=seconds, trust=trust)
    documents = {name: profile_document(profile) for name, profile in profiles.items()}
    for name, profile in profiles.items():
        twin = profiles.get(name.replace(f".{INT8}.", f".{FLOAT32}."))
        if twin is not None and twin is not profile:
            documents[name]["sentences"] = (contrast(profile, twin), *profile.sentences)
    return documents


def _sample(spec: TensorSpec, predictor: Predictor) -> Tensor:
    """Return values for one sample: noise over the whole range; zeros where numbers may be indices."""
    if any(axis is None for axis in spec.shape[1:]):
        raise InputError(
            f"{predictor.spec.name}: input {spec} has a free axis beside the first, and a profile needs to know all "
            "sizes: export it with fixed ones"
        )
    shape = tuple(1 if axis is None else axis for axis in spec.shape)
    dtype, random = np.dtype(spec.dtype), np.random.default_rng(0)
    if dtype.kind in "iu" and dtype.itemsize < 4:
        info = np.iinfo(dtype)
        return random.integers(info.min, info.max, shape, dtype, endpoint=True)
    if dtype.kind == "f":
        return random.random(shape).astype(dtype)
    return np.zeros(shape, dtype)


def _whole(predictor: Predictor, inputs: Sequence[Tensor]) -> Callable[[], object]:
    spec = predictor.spec
    if len(spec.inputs) == len(spec.outputs) == 1:
        return lambda: predictor.run(inputs[0])
    named = {each.name: value for each, value in zip(spec.inputs, inputs, strict=True)}
    return lambda: predictor.run(named)


def _profile(
    file: str, inspection: Inspection, cut: Cut, timings: PartTimings, *, engine: str, version: str, threads: int
) -> Profile:
    parts_us = sum(each.us for each in timings.parts)
    operators = tuple(
        OperatorTime(
            name=part.name,
            type=part.type,
            us=timing.us,
            noise_us=timing.noise_us,
            share=timing.us / parts_us if parts_us else 0.0,
            where=part.where,
            dtype=part.dtype,
            macs=part.macs,
            products=part.products,
        )
        for part, timing in zip(cut.parts, timings.parts, strict=True)
    )
    crossing = [(part, timing) for part, timing in zip(cut.parts, timings.parts, strict=True) if part.boundary]
    boundaries = Boundaries(
        quantize=sum(part.boundary == QUANTIZE for part, _ in crossing),
        dequantize=sum(part.boundary == DEQUANTIZE for part, _ in crossing),
        us=sum(timing.us for _, timing in crossing),
    )
    profile = Profile(
        file=file,
        engine=engine,
        version=version,
        threads=threads,
        method=method_of(timings),
        whole_us=timings.whole.us,
        whole_noise_us=timings.whole.noise_us,
        parts_us=parts_us,
        operators=operators,
        boundaries=boundaries,
        outside=tuple(each.name for each in operators if each.where == PLAIN),
        sentences=(),
        roofline=_roofline(inspection.macs, operators, timings.whole.us, engine, threads),
    )
    said = sentences_of(profile, notes=cut.notes, quantized=inspection.quantization == "integer")
    return replace(profile, sentences=said)


def _roofline(
    macs: int, operators: Sequence[OperatorTime], whole_us: float, engine: str, threads: int
) -> Roofline | None:
    if not macs:
        return None
    floats = sum(each.macs or 0 for each in operators if each.dtype.startswith("float"))
    kind = FLOAT32 if floats > macs / 2 else INT8
    peak = measured_peak(engine, kind, threads=threads)
    achieved = macs / whole_us / 1e3
    return Roofline(macs, achieved, peak, kind, achieved / peak)
