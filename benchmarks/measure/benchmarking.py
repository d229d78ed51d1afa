"""The benchmark stage: run every artefact and the Keras reference on the same test images, and return a report."""

from collections.abc import Callable, Sequence
from pathlib import Path

from edgeport.benchmarks.measure.assembly import Entry, Timing, assembled_report, check_file, check_samples
from edgeport.benchmarks.measure.candidates.candidate import Candidate, artefact_candidate
from edgeport.benchmarks.report.raw.record import BASELINE, Report
from edgeport.export.manifest import Artefact, Manifest
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.embedded_metadata import read_metadata
from edgeport.runtime.artefact.input_kinds import kind_text
from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain
from edgeport.train.datasets.dataset import Dataset

# TensorFlow takes seconds to start.
_KERAS_LAUNCHES = 6


def benchmark(
    folder: Path,
    manifest: Manifest,
    reference: Path,
    dataset: Dataset,
    *,
    timing: Timing,
    baseline: tuple[Path, Manifest] | None = None,
    on_step: Callable[[str], None] = lambda what: None,
) -> Report:
    """Measure accuracy, start-up, memory and latency of all artefacts of an export folder.

    Args:
        folder: The export folder.
        manifest: What it says about itself.
        reference: The Keras file that was exported.
        dataset: Its test split is what is measured on.
        timing: What is timed, and how.
        baseline: Another export folder and its manifest: its artefacts are measured in the same rounds, and are called
            ``baseline/NAME`` in the report.
        on_step: Called with a few words before each step.

    Raises:
        ArtefactError: An artefact, or the reference, is missing or not the file that the manifest describes.
        InputError: The data set does not fit the model.
    """
    _check_data(manifest, dataset)
    if baseline is not None:
        _check_data(baseline[1], dataset)
    test = dataset.test
    return assembled_report(
        entries_of(folder, manifest, reference, baseline=baseline),
        test.samples,
        test.classes,
        model=manifest.name,
        dataset={
            "name": dataset.name,
            "split": "test",
            "count": len(test),
            "sha256": dataset.sha256,
            "labels": list(dataset.labels),
        },
        timing=timing,
        on_step=on_step,
    )


def entries_of(
    folder: Path, manifest: Manifest, reference: Path, *, baseline: tuple[Path, Manifest] | None = None
) -> list[Entry]:
    """Return the candidates of an export folder, the Keras model first, and those of a baseline.

    Raises:
        ArtefactError: A file is missing or not the one that its manifest describes.
        InputError: The export holds no artefact.
    """
    if not manifest.artefacts:
        raise InputError(f"{manifest.name}: its export holds no verified artefact")
    sha256 = manifest.source["sha256"]
    check_file(reference, sha256, described_by="the manifest", cure="export again")
    entries = [keras_entry(reference, manifest.inputs, sha256=sha256)]
    entries += [artefact_entry(folder, artefact) for artefact in manifest.artefacts]
    if baseline is not None:
        base_folder, base_manifest = baseline
        entries += [artefact_entry(base_folder, each, prefix=BASELINE) for each in base_manifest.artefacts]
    return entries


def _check_data(manifest: Manifest, dataset: Dataset) -> None:
    """Raise InputError if the artefacts of an export cannot be measured on a data set."""
    if not manifest.artefacts:
        raise InputError(f"{manifest.name}: its export holds no verified artefact")
    if manifest.image is None or not manifest.classifies_images:
        raise InputError(
            f"{manifest.name} does not take one image and give its classes, which a benchmark is for: how close its "
            "artefacts are to the model is in manifest.json"
        )
    for artefact in manifest.artefacts:
        if artefact.inputs[0].shape[0] not in (None, 1):
            raise InputError(
                f"{artefact.file} takes {artefact.inputs[0].shape[0]} images at a time, and one is what is timed: "
                "export without --batch"
            )
        if len(dataset.labels) != artefact.outputs[0].shape[1]:
            raise InputError(
                f"data set {dataset.name}: got {len(dataset.labels)} classes, expected {artefact.outputs[0].shape[1]}, "
                f"as {artefact.file} answers"
            )
    if manifest.image.shape[1:] != dataset.sample_shape:
        raise InputError(
            f"data set {dataset.name}: got images of shape {dataset.sample_shape}, "
            f"expected {manifest.image.shape[1:]}, as the model takes"
        )
    if manifest.labels and manifest.labels != dataset.labels:
        raise InputError(
            f"data set {dataset.name}: its classes ({', '.join(dataset.labels)}) are not the model's "
            f"({', '.join(manifest.labels)})"
        )
    check_samples(dataset.test.classes, dataset.labels, source=f"data set {dataset.name}")
    _check_unseen(manifest, dataset)


def _check_unseen(manifest: Manifest, dataset: Dataset) -> None:
    """Raise InputError if the model may have been trained on the test images."""
    if dataset.name == manifest.dataset and manifest.dataset_sha256 not in ("", dataset.sha256):
        raise InputError(
            f"data set {dataset.name} is not the one that the model was trained on (its SHA-256 differs): its test "
            "split may hold images that the model has seen. Train again, or name another with --dataset"
        )
    if manifest.dataset == "mnist" and dataset.name == "mnist-5k":
        raise InputError(
            "mnist-5k cannot score a model that was trained on mnist: all of its digits come from mnist's train "
            "split. Use --dataset mnist"
        )


def artefact_entry(folder: Path, artefact: Artefact, *, prefix: str = "") -> Entry:
    """Return an artefact of an export folder as a candidate.

    Args:
        folder: The export folder.
        artefact: What its manifest says of it.
        prefix: What stands before its name in the report.

    Raises:
        ArtefactError: The file is missing, or not the one that the manifest describes.
    """
    path = folder / artefact.file
    check_file(path, artefact.sha256, described_by="the manifest", cure="export again")
    metadata = read_metadata(read_plain(path, most=MOST_MODEL), name=artefact.file)
    if metadata is None or metadata.precision != artefact.precision:
        raise ArtefactError(
            f"{path} is not of the precision that the manifest says, {artefact.precision}: export again"
        )
    file = prefix + artefact.file
    return Entry(
        file=file,
        format=artefact.format,
        precision=artefact.precision,
        bytes=artefact.bytes,
        sha256=artefact.sha256,
        candidate=artefact_candidate(file, path),
    )


def keras_entry(path: Path, inputs: Sequence[Input], *, sha256: str) -> Entry:
    """Return a Keras file or a SavedModel as a candidate.

    Args:
        path: Where it is.
        inputs: Its inputs, with what each takes.
        sha256: Its digest.
    """
    arguments = {
        "path": str(path.resolve()),
        "takes": [f"{each.name}={text}" for each in inputs if (text := kind_text(each))],
    }
    opener = "edgeport.benchmarks.measure.candidates.keras_opener:open_keras"
    return Entry(
        file=path.name,
        format="keras",
        precision="float32",
        bytes=path.stat().st_size,
        sha256=sha256,
        candidate=Candidate(path.name, opener, arguments, launches=_KERAS_LAUNCHES),
    )
