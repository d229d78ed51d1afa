"""The export stage: convert, embed the card, run in the real engine, compare, and only then deliver."""

import hashlib
import importlib
import os
import platform
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgeport.export.calibration import CalibrationSet
from edgeport.export.manifest import FILE_NAME, Artefact, Manifest, manifest_text, read_manifest
from edgeport.export.source import Source
from edgeport.export.verification import verify
from edgeport.runtime.card import Card, seal
from edgeport.runtime.errors import ArtefactError, EdgeportError, ExportError
from edgeport.runtime.formats import FORMATS, Format
from edgeport.runtime.loading import load
from edgeport.runtime.output import staged_folder
from edgeport.runtime.quantization import FloatArray, activate
from edgeport.runtime.quiet import quiet_stderr

PRECISIONS = ("float32", "int8")

OnArtefact = Callable[[Artefact, float], None]


def export(
    source: Source,
    output: Path,
    calibration: CalibrationSet,
    *,
    on_artefact: OnArtefact = lambda artefact, seconds: None,
) -> Manifest:
    """Write every artefact of a model, and the manifest, to a folder: all of them or nothing.

    Args:
        source: The model.
        output: The folder; files of other names in it are left alone.
        calibration: What the quantizer sees, and what the artefacts are verified on.
        on_artefact: Called with each verified artefact and the seconds that it took.

    Raises:
        ExportError: A conversion failed, or an artefact does not answer like the model.
        InputError: The folder cannot be written.
    """
    pixels = calibration.held_out
    outputs: FloatArray = source.model.predict(calibration.to_real(pixels), verbose=0, batch_size=256)
    if not np.isfinite(outputs).all():
        raise ExportError(
            f"{source.file} answers with NaN or infinity on held-out images: train it anew, or check --input-range"
        )
    reference = activate(outputs, source.activation) if source.ends_in_logits else outputs
    artefacts = []
    with staged_folder(output, stale=_earlier_files(output)) as folder:
        for chosen in FORMATS:
            for precision in PRECISIONS:
                started = time.perf_counter()
                artefact = _export_one(source, chosen, precision, folder, calibration, reference)
                artefacts.append(artefact)
                on_artefact(artefact, time.perf_counter() - started)
        manifest = Manifest(
            name=source.name,
            source={"file": os.path.relpath(source.file, output), "sha256": source.sha256},
            input={
                "shape": source.image_shape,
                "dtype": "uint8",
                "range": calibration.input_range,
                "layout": "NHWC",
            },
            labels=_labels(source, calibration),
            dataset=source.dataset,
            calibration=calibration.facts,
            versions=_versions(),
            artefacts=tuple(artefacts),
            dataset_sha256=source.dataset_sha256,
        )
        (folder / FILE_NAME).write_text(manifest_text(manifest))
    return manifest


def _export_one(
    source: Source,
    chosen: Format,
    precision: str,
    folder: Path,
    calibration: CalibrationSet,
    reference: FloatArray,
) -> Artefact:
    exporter = importlib.import_module(chosen.exporter)
    integer = precision == "int8"
    name = f"{source.name}.{precision}{chosen.suffix}"
    card = Card(
        model=source.name,
        precision=precision,
        input_range=calibration.input_range,
        activation=source.activation if integer or source.ends_in_logits else "none",
        labels=_labels(source, calibration),
        dataset=source.dataset,
        calibration=calibration.facts if integer else {},
        source_sha256=source.sha256,
        versions=_versions(),
    )
    try:
        with quiet_stderr():
            model = source.logits if integer else source.model
            content = exporter.convert(model, precision=precision, calibration=calibration)
    except EdgeportError:
        raise
    except Exception as error:  # the converters raise whatever they meet
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ExportError(f"{name}: the conversion failed ({reason})") from error
    content = seal(exporter.embed(content, card))
    (folder / name).write_bytes(content)
    with quiet_stderr():
        predictor = load(folder / name)
    return Artefact(
        file=name,
        format=chosen.name,
        precision=precision,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        input=predictor.spec.input,
        output=predictor.spec.output,
        activation=card.activation,
        verified=verify(predictor, calibration.held_out, reference, precision=precision),
    )


def _labels(source: Source, calibration: CalibrationSet) -> tuple[str, ...]:
    """Return the class names that the training record gives, else those of the calibration data if they fit."""
    fitting = len(calibration.labels) == source.model.outputs[0].shape[-1]
    return source.labels or (calibration.labels if fitting else ())


def _earlier_files(output: Path) -> Iterable[str]:
    """Return the files of the export that ``output`` holds now, if it holds one that can be read."""
    try:
        earlier = read_manifest(output)
    except ArtefactError:
        return []
    # Only what an export names so: a manifest that was edited must not get other files removed.
    listed = {artefact.file for artefact in earlier.artefacts}
    return listed & {f"{earlier.name}.{precision}{row.suffix}" for precision in PRECISIONS for row in FORMATS}


def _versions() -> dict[str, str]:
    names = ("edgeport", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
