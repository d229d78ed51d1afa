"""The benchmark stage: run every artefact and the Keras reference on the same test images, and write a report."""

import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

from edgeport.benchmarks.contenders import (
    LOADS,
    Contender,
    artefact_contender,
    check_file,
    measured_report,
    timed_loads,
)
from edgeport.benchmarks.latency import Protocol
from edgeport.benchmarks.report import Report
from edgeport.export.manifest import Artefact, Manifest
from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.quiet import quiet_stderr
from edgeport.train.dataset import Dataset, Images


def benchmark(
    folder: Path,
    manifest: Manifest,
    reference: Path,
    dataset: Dataset,
    *,
    threads: int,
    protocol: Protocol,
    on_step: Callable[[str], None] = lambda what: None,
) -> Report:
    """Measure accuracy, time to load and single-image latency of all artefacts of an export folder.

    Args:
        folder: The export folder.
        manifest: What it says about itself.
        reference: The Keras file that was exported.
        dataset: Its test split is what is measured on.
        threads: How many threads each engine may use.
        protocol: How latency is measured.
        on_step: Called with a few words before each step.

    Raises:
        ArtefactError: An artefact, or the reference, is missing or not the file that the manifest describes.
        InputError: The data set does not fit the model.
    """
    _check_data(manifest, dataset)
    images, classes = dataset.test.images, dataset.test.classes
    contenders = []
    on_step(f"answers of {reference.name}")
    contenders.append(_keras_contender(reference, manifest, images, threads))
    for artefact in manifest.artefacts:
        on_step(f"answers of {artefact.file}")
        contenders.append(_artefact_contender(folder / artefact.file, artefact, images, threads))
    return measured_report(
        contenders,
        classes,
        model=manifest.name,
        dataset={"name": dataset.name, "split": "test", "count": len(images), "sha256": dataset.sha256},
        protocol=protocol,
        on_step=on_step,
    )


def _check_data(manifest: Manifest, dataset: Dataset) -> None:
    if not manifest.artefacts:
        raise InputError(f"{manifest.name}: its export holds no artefact that has proven itself")
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
    if manifest.image.shape != dataset.image_shape:
        raise InputError(
            f"data set {dataset.name}: got images of shape {dataset.image_shape}, "
            f"expected {manifest.image.shape}, as the model takes"
        )
    if manifest.labels and manifest.labels != dataset.labels:
        raise InputError(
            f"data set {dataset.name}: its classes ({', '.join(dataset.labels)}) are not the model's "
            f"({', '.join(manifest.labels)})"
        )
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


def _artefact_contender(path: Path, artefact: Artefact, images: Images, threads: int) -> Contender:
    _check(path, artefact.sha256)
    predictor, load_ns = timed_loads(path, threads=threads)
    card = predictor.spec.card
    if card is None or card.precision != artefact.precision:
        raise ArtefactError(
            f"{path} is not of the precision that the manifest says, {artefact.precision}: export again"
        )
    return artefact_contender(
        predictor, images, precision=artefact.precision, path=path, sha256=artefact.sha256, load_ns=load_ns
    )


def _keras_contender(path: Path, manifest: Manifest, images: Images, threads: int) -> Contender:
    _check(path, manifest.source["sha256"])
    with quiet_stderr():
        # Importing TensorFlow takes seconds: not before the data has been checked.
        from edgeport.benchmarks.keras_reference import KerasReference

    low, high = (manifest.image and manifest.image.range) or (0.0, 255.0)
    load_ns = []
    for _ in range(LOADS):
        started = time.perf_counter_ns()
        model = KerasReference(path, input_range=(low, high), threads=threads)
        load_ns.append(time.perf_counter_ns() - started)
    facts = {
        "file": path.name,
        "format": "keras",
        "precision": "float32",
        "bytes": path.stat().st_size,
        "sha256": manifest.source["sha256"],
        "engine": {"name": "tensorflow", "version": version("tensorflow"), "threads": threads},
        "load_ns": load_ns,
    }
    image = images[:1]
    answers = model.predict(images).argmax(axis=1)
    return Contender(facts, answers, partial(model.run, model.tensor(image)), partial(model.predict, image))


def _check(path: Path, sha256: str) -> None:
    check_file(path, sha256, described_by="the manifest", cure="export again")
