"""The benchmark stage on a device: the images are golden samples, and the Keras model's answers are recorded ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgeport.benchmarks.contenders import (
    Classes,
    Contender,
    Images,
    artefact_contender,
    check_file,
    measured_report,
    timed_loads,
)
from edgeport.benchmarks.latency import Protocol
from edgeport.benchmarks.report import Report
from edgeport.runtime.card import Card
from edgeport.runtime.errors import ArtefactError, InputError, MissingDependencyError
from edgeport.runtime.golden import FILE_NAME, Golden, digest_of
from edgeport.runtime.predictor import Predictor


def benchmark_golden(
    folder: Path,
    golden: Golden,
    *,
    threads: int,
    protocol: Protocol,
    on_step: Callable[[str], None] = lambda what: None,
) -> Report:
    """Measure accuracy, time to load and single-image latency of the artefacts of golden answers, without TensorFlow.

    The Keras model is in the report with the answers that it gave when the golden ones were made, and without times.

    Args:
        folder: Where the artefacts and golden.npz are.
        golden: The golden answers, with labels and a reference.
        threads: How many threads each engine may use.
        protocol: How latency is measured.
        on_step: Called with a few words before each step.

    Raises:
        ArtefactError: An artefact is missing, or not the file that the golden answers are of.
        InputError: The artefacts do not classify images, or the golden answers lack labels or a reference.
        MissingDependencyError: No engine for any of the artefacts is installed.
    """
    images, classes, reference = _known(golden)
    contenders: list[Contender] = []
    skipped: list[dict[str, str]] = []
    card: Card | None = None
    answers = {answer.file: answer for answer in reversed(golden.answers)}
    for file in golden.files:
        on_step(f"answers of {file}")
        path, answer = folder / file, answers[file]
        check_file(path, answer.sha256, described_by=FILE_NAME, cure="copy it again")
        try:
            predictor, load_ns = timed_loads(path, threads=threads)
        except (ArtefactError, MissingDependencyError) as error:
            # The file is the right one, so it is the engine that is missing, or too old for it.
            skipped.append({"file": file, "reason": str(error)})
            continue
        _check_classifier(predictor)
        card = card or predictor.spec.card
        contenders.append(
            artefact_contender(
                predictor, images, precision=answer.precision, path=path, sha256=answer.sha256, load_ns=load_ns
            )
        )
    if card is None:
        raise MissingDependencyError(f"nothing could be measured: {skipped[0]['file']}: {skipped[0]['reason']}")
    return measured_report(
        [_reference(reference, card, threads=threads), *contenders],
        classes,
        model=card.model,
        dataset={"name": FILE_NAME, "split": "golden", "count": len(images), "sha256": digest_of(folder / FILE_NAME)},
        protocol=protocol,
        on_step=on_step,
        skipped=skipped,
    )


def _known(golden: Golden) -> tuple[Images, Classes, Classes]:
    """Return images, their true classes, and the classes that the Keras model gave them."""
    if golden.labels is None or golden.reference is None:
        raise InputError(
            f"{FILE_NAME} lacks the true classes or the answers of the Keras model, which a benchmark compares with: "
            "name a data set and the model with --dataset and --reference"
        )
    images = next(iter(golden.inputs.values()))
    if len(golden.inputs) > 1 or images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise InputError(f"{FILE_NAME} holds no images, which a benchmark is for: edgeport selftest takes any samples")
    return images, golden.labels, golden.reference.argmax(axis=1)


def _check_classifier(predictor: Predictor) -> None:
    spec = predictor.spec
    batch = spec.input.shape[0]
    if batch not in (None, 1):
        raise InputError(
            f"{spec.name} takes {batch} images at a time, and one is what is timed: export without --batch"
        )
    if len(spec.outputs) != 1 or len(spec.output.shape) != 2 or (spec.output.shape[1] or 0) < 2:
        raise InputError(f"{spec.name} gives no row of classes for an image, which a benchmark is for")


def _reference(answers: Classes, card: Card, *, threads: int) -> Contender:
    """Return the Keras model as a contender that is known by its answers alone: no size and no times."""
    facts = {
        "file": f"{card.model}.keras",
        "format": "keras",
        "precision": "float32",
        "bytes": 0,
        "sha256": card.source_sha256,
        "engine": {"name": "tensorflow", "version": card.versions.get("tensorflow", ""), "threads": threads},
        "load_ns": [],
    }
    return Contender(facts, answers)
