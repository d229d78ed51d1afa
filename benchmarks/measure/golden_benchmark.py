"""The benchmark stage on a device: the images are golden samples, and the Keras model's answers are recorded ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeport.benchmarks.measure.any_model import Evaluation, evaluation_of
from edgeport.benchmarks.measure.assembly import Classes, Entry, Timing, assembled_report, check_file, check_samples
from edgeport.benchmarks.measure.candidates.candidate import artefact_candidate
from edgeport.benchmarks.report.raw.record import Report
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata, read_metadata
from edgeport.runtime.artefact.formats import format_called
from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.files.checksum import sha256_hex
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain
from edgeport.runtime.golden.answers import FILE_NAME, Golden
from edgeport.runtime.samples.array_names import ALL
from edgeport.runtime.tensors.arrays import FloatArray, Pixels, Tensor
from edgeport.train.datasets.data import Data, Part


def benchmark_golden(
    folder: Path,
    golden: Golden,
    *,
    timing: Timing,
    on_step: Callable[[str], None] = lambda what: None,
) -> Report:
    """Measure accuracy, start-up, memory and latency of the artefacts of golden answers, without TensorFlow.

    The Keras model is in the report with the answers that it gave when the golden ones were made, and without times.

    Args:
        folder: Where the artefacts and golden.npz are.
        golden: The golden answers, with labels and a reference.
        timing: What is timed, and how.
        on_step: Called with a few words before each step.

    Raises:
        ArtefactError: An artefact is missing, or not the file that the golden answers are of.
        InputError: The artefacts do not classify images, or the golden answers lack labels or a reference.
        MissingDependencyError: No engine for any of the artefacts is installed.
    """
    images, classes, reference = _known(golden)
    entries, known = _entries(folder, golden)
    labels = known[0].labels or tuple(map(str, range(reference.shape[1])))
    check_samples(classes, labels, source=FILE_NAME)
    return assembled_report(
        [_reference({"": reference}, known[0]), *entries],
        images,
        classes,
        model=known[0].model,
        dataset={
            "name": FILE_NAME,
            "split": "golden",
            "count": len(images),
            "sha256": samples_digest(golden),
            "labels": list(labels),
        },
        timing=timing,
        skip_refused=True,
        on_step=on_step,
    )


def golden_evaluation(
    folder: Path, golden: Golden, *, tasks: Mapping[str, str], metrics: Sequence[str]
) -> tuple[list[Entry], Evaluation, str, tuple[Input, ...]]:
    """Return what a model of any kind is asked on a device: candidates, what is true of samples, its name and inputs.

    Args:
        folder: Where the artefacts and golden.npz are.
        golden: The golden answers, with those of the Keras model.
        tasks: What outputs mean, where a user says it, by their names; that counts before what the bundle says.
        metrics: The metrics that judge; empty for those that the bundle names, or else the usual ones.

    Raises:
        ArtefactError: An artefact is missing, or not the file that the golden answers are of.
        InputError: The golden answers lack those of the Keras model, or the targets do not fit.
    """
    entries, known = _entries(folder, golden)
    facts = known[0]
    recorded = golden.outputs or ({} if golden.reference is None else {facts.outputs[0].name: golden.reference})
    if set(recorded) != {output.name for output in facts.outputs}:
        raise _lacking()
    inputs = [
        port._replace(shape=(None, *golden.inputs[port.name].shape[1:]), dtype=_dtype_of(port)) for port in facts.inputs
    ]
    outputs = [
        output._replace(shape=(None, *recorded[output.name].shape[1:]), dtype=recorded[output.name].dtype.name)
        for output in facts.outputs
    ]
    targets = golden.labels if golden.targets is None else golden.targets
    data = Data(FILE_NAME, {ALL: Part(golden.inputs, targets, golden.groups)})
    named = metrics or (golden.metrics if targets is not None and "any" not in tasks.values() else ())
    evaluation = evaluation_of(data, inputs, outputs, tasks={**golden.tasks, **tasks}, metrics=named)
    return [_reference(recorded, facts), *entries], replace(evaluation, split="golden"), facts.model, facts.inputs


def _dtype_of(port: Input) -> str:
    return "int64" if port.kind == "ids" else "float32"


def _lacking() -> InputError:
    return InputError(
        f"{FILE_NAME} lacks the true classes or the answers of the Keras model, which a benchmark compares with: "
        "name a data set and the model with --dataset and --reference"
    )


def _entries(folder: Path, golden: Golden) -> tuple[list[Entry], list[EmbeddedMetadata]]:
    """Return the artefacts that golden answers are of, and their metadata."""
    answers = {answer.file: answer for answer in reversed(golden.answers)}
    entries, known = [], []
    for file in golden.files:
        path, answer = folder / file, answers[file]
        check_file(path, answer.sha256, described_by=FILE_NAME, cure="copy it again")
        metadata = read_metadata(read_plain(path, most=MOST_MODEL), name=file)
        if metadata is None:
            raise ArtefactError(f"{path} carries no metadata: copy it again")
        known.append(metadata)
        entries.append(
            Entry(
                file=file,
                format=format_called(file).name,
                precision=answer.precision,
                bytes=path.stat().st_size,
                sha256=answer.sha256,
                candidate=artefact_candidate(file, path),
            )
        )
    return entries, known


def samples_digest(golden: Golden) -> str:
    """Return the SHA-256 of the samples and their true classes, which exports of other models may share."""
    arrays = [*golden.inputs.values(), *(each for each in (golden.labels, golden.targets) if each is not None)]
    parts = [np.ascontiguousarray(array).tobytes() for array in arrays]
    return sha256_hex(parts, size=sum(map(len, parts)))


def _known(golden: Golden) -> tuple[Pixels, Classes, FloatArray]:
    """Return images, their true classes, and the answers that the Keras model gave them."""
    if golden.labels is None or golden.reference is None:
        raise _lacking()
    images = next(iter(golden.inputs.values()))
    if len(golden.inputs) > 1 or images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise InputError(f"{FILE_NAME} holds no images, which a benchmark is for: edgeport selftest takes any samples")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if golden.reference.ndim != 2 or golden.reference.shape[1] < 2:
        raise InputError(f"{FILE_NAME} holds no row of classes for each image, which a benchmark is for")
    return images, golden.labels, golden.reference


def _reference(answers: Mapping[str, Tensor], metadata: EmbeddedMetadata) -> Entry:
    """Return the Keras model as an entry that is known by its answers alone: no size and no times."""
    return Entry(
        file=f"{metadata.model}.keras",
        format="keras",
        precision="float32",
        bytes=0,
        sha256=metadata.source_sha256,
        recorded=answers,
        engine={"name": "tensorflow", "version": metadata.versions.get("tensorflow", "")},
    )
