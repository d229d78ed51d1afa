"""Who takes part: every way to run a model, with the edgeport predictor that it is held to."""

import sys
from dataclasses import dataclass
from pathlib import Path

from edgeport.benchmarks.lab.peers.subjects import Subject
from edgeport.benchmarks.measure.candidates.candidate import Candidate

EDGEPORT = "edgeport"
KERAS_FILE, BY_TF2ONNX = "model.keras", "int8.onnx by tf2onnx"
# What each way in keras_peer is called; the first one's answers are what the others are compared with.
KERAS_WAYS = {"call": "Keras model(x)", "predict": "Keras model.predict", "function": "Keras tf.function"}
# TensorFlow takes seconds to start. Six pairs are the fewest that bear an interval, which only its fastest way needs.
KERAS_LAUNCHES = {"call": 2, "predict": 2, "function": 6}
_PEERS = "edgeport.benchmarks.lab.peers.ways"


@dataclass(frozen=True)
class Entrant:
    """One way to run a model.

    Attributes:
        file: What it runs.
        by: What runs it.
        beside: The file whose edgeport predictor it is held to; the same file where edgeport runs that.
        candidate: How to open it.
    """

    file: str
    by: str
    beside: str
    candidate: Candidate


def line_up(subject: Subject, *, tf2onnx_file: Path | None, tflite_runtime: Path | None) -> list[Entrant]:
    """Return all who take part with a model, the Keras model first.

    Args:
        subject: The model.
        tf2onnx_file: The file that tf2onnx made of the int8 TFLite file; None if there is none.
        tflite_runtime: The interpreter of an environment with tflite-runtime; None if there is none.
    """
    entrants = [_keras(subject, way) for way in KERAS_WAYS]
    for precision in ("float32", "int8"):
        tflite, onnx = f"{precision}.tflite", f"{precision}.onnx"
        entrants.append(_edgeport(subject, tflite))
        entrants.append(_raw(subject, tflite, "ai-edge-litert", "litert_peer:open_tflite"))
        if tflite_runtime is not None:
            entrants.append(_edgeport(subject, tflite, "tflite-runtime", python=str(tflite_runtime)))
        entrants.append(_edgeport(subject, onnx))
        entrants.append(_raw(subject, onnx, "onnxruntime", "onnxruntime_peer:open_onnx"))
        entrants.append(_edgeport(subject, onnx, "openvino"))
    if tf2onnx_file is not None:
        entrants.append(_tf2onnx(subject, tf2onnx_file))
    return entrants


def under(engine: str) -> str:
    """Return what edgeport is called under another engine than a file's default one."""
    return f"{EDGEPORT}, {engine}"


def _edgeport(subject: Subject, file: str, engine: str = "", *, python: str = sys.executable) -> Entrant:
    by = under(engine) if engine else EDGEPORT
    candidate = Candidate(
        f"{subject.name} {file}, {by}",
        "edgeport.benchmarks.measure.candidates.openers:open_artefact",
        {"path": str(subject.path(file).resolve()), "engine": engine or None},
        python=python,
    )
    return Entrant(file, by, file, candidate)


def _keras(subject: Subject, way: str) -> Entrant:
    by = KERAS_WAYS[way]
    candidate = Candidate(
        f"{subject.name}, {by}",
        f"{_PEERS}.keras_peer:open_keras",
        {"path": str(subject.keras.resolve()), "way": way},
        launches=KERAS_LAUNCHES[way],
    )
    return Entrant(KERAS_FILE, by, "float32.tflite", candidate)


def _raw(subject: Subject, file: str, by: str, opener: str) -> Entrant:
    arguments = {"path": str(subject.path(file).resolve()), "activation": subject.artefacts[file].activations[0]}
    candidate = Candidate(f"{subject.name} {file}, {by}", f"{_PEERS}.{opener}", arguments)
    return Entrant(file, by, file, candidate)


def _tf2onnx(subject: Subject, path: Path) -> Entrant:
    artefact = subject.artefacts["int8.tflite"]
    source, target = artefact.inputs[0], artefact.outputs[0]
    arguments = {
        "path": str(path.resolve()),
        "activation": artefact.activations[0],
        "input_scale": source.scale,
        "input_zero_point": source.zero_point,
        "output_scale": target.scale,
        "output_zero_point": target.zero_point,
    }
    by = "onnxruntime"
    candidate = Candidate(f"{subject.name} {BY_TF2ONNX}, {by}", f"{_PEERS}.onnxruntime_peer:open_onnx", arguments)
    return Entrant(BY_TF2ONNX, by, "int8.onnx", candidate)
