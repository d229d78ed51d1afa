"""What a cell is made of: train, export, score, and the record that says what came of it."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.sweep.cells.cell import EXPORT, IDENTITY, RECORD, TRAIN, Order
from edgeport.benchmarks.sweep.cells.definitions import definition_of, own_definition
from edgeport.benchmarks.sweep.cells.own_model import started_from
from edgeport.benchmarks.sweep.cells.record import SCHEMA
from edgeport.benchmarks.sweep.pools.dataset_archive import read_archive
from edgeport.export.conversion.exporting import export
from edgeport.export.conversion.options import Options
from edgeport.export.inspection import inspect
from edgeport.export.manifest import Manifest
from edgeport.export.sources.source import Source, load_source
from edgeport.export.verification.calibration import load_calibration
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.predictor import Predictor
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.runtime.tensors.encoding import real_values
from edgeport.train.datasets.dataset import Dataset, Split
from edgeport.train.datasets.named import DATASETS, load_dataset
from edgeport.train.loop.fitting import HISTORY, Run
from edgeport.train.record import FILE_NAME, STATE
from edgeport.train.training import train

_CHUNK = 500


def make_cell(order: Order, *, console: Console, on_stage: Callable[[str], None] = lambda what: None) -> bool:
    """Make a cell, from where an earlier process has left it; return whether it came to its end.

    Args:
        order: What to make.
        console: Where the training shows its epochs.
        on_stage: Called with a word before each stage.

    Raises:
        EdgeportError: The cell cannot be made; what was made of it so far is kept.
    """
    cell, shared, folder = order.cell, order.shared, order.folder
    dataset = _dataset(order)
    if cell.start:
        definition = own_definition(cell.start)
    else:
        definition = definition_of(cell.model, image_shape=dataset.image_shape, class_count=len(dataset.labels))
    if (definition, dataset.sha256) != (order.identity["definition"], order.identity["dataset_sha256"]):
        raise InputError(
            f"{cell.model} or {shared.dataset} is another one here than where the sweep was started: "
            "install the same edgeport and TensorFlow on all machines"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / IDENTITY, json.dumps(order.identity, indent=1).encode())
    on_stage("training")
    start = started_from(cell.start, seed=cell.seed, folder=folder) if cell.start else None
    # Only digits and photos mean the same when they are turned and moved.
    recipe = cell.recipe if dataset.is_pixels else cell.recipe.without_augmentation
    run = Run(cell.model, dataset, recipe, cell.seed, teacher=cell.teacher, qat=cell.qat, start=start)
    if not _trained(folder / TRAIN):
        state = folder / TRAIN / STATE / HISTORY
        if not train(run, folder / TRAIN, console=console, resume=state.is_file(), score_test=shared.score_test):
            return False
    on_stage("exporting")
    started = time.monotonic()
    source = load_source(folder / TRAIN / "model.keras")
    calibration = load_calibration(
        shared.calibration, inputs=source.inputs, resizing=source.resizing, data_dir=shared.data_dir
    )
    manifest = export(source, folder / EXPORT, calibration, options=Options(precisions=shared.precisions))
    exported = time.monotonic()
    on_stage("scoring")
    record = _record(order, dataset, source, manifest)
    record["seconds"] |= {"export": exported - started, "score": time.monotonic() - exported}
    record["seconds"] = {name: round(seconds, 1) for name, seconds in record["seconds"].items()}
    write_whole(folder / RECORD, (json.dumps(record, indent=1) + "\n").encode())
    return True


def _dataset(order: Order) -> Dataset:
    # What was sent along is found under its name, by whatever asks for it.
    for name, path in order.archives.items():
        DATASETS[name] = partial(_sent, read_archive(path))
    return load_dataset(order.shared.dataset, data_dir=order.shared.data_dir)


def _sent(dataset: Dataset, data_dir: Path | None) -> Dataset:
    return dataset


def _trained(folder: Path) -> bool:
    """Whether the training has ended; a process that was killed just then has not removed the state of the run."""
    try:
        return bool(json.loads((folder / FILE_NAME).read_bytes())["finished"])
    except FileNotFoundError:
        return False


def _record(order: Order, dataset: Dataset, source: Source, manifest: Manifest) -> dict[str, Any]:
    training = json.loads((order.folder / TRAIN / FILE_NAME).read_bytes())
    epochs = [*training["history"], *training.get("qat_history", [])]
    # The weights after folding; a float file has nothing but them. TFLite's comes first: what follows a depthwise
    # convolution in ONNX is folded by the engine, when it opens the file.
    floats = [each for each in manifest.artefacts if each.precision == "float32"]
    deployed = order.folder / EXPORT / (floats or manifest.artefacts)[0].file
    return {
        "schema": SCHEMA,
        "model": order.cell.model,
        "recipe": order.cell.recipe_name,
        "seed": order.cell.seed,
        "identity": dict(order.identity),
        "dataset": dataset.name,
        "epochs": len(epochs),
        "best_epoch": training["best_epoch"],
        "parameters": inspect(deployed).parameters,
        "contenders": _candidates(order, dataset, source, manifest),
        "refused": [{"file": each.file, "reason": each.reason} for each in manifest.refused],
        "seconds": {"train": sum(epoch["seconds"] for epoch in epochs)},
        "versions": dict(manifest.versions),
        "host": host_facts(),
    }


def _candidates(order: Order, dataset: Dataset, source: Source, manifest: Manifest) -> list[dict[str, Any]]:
    """Return how the Keras model and each artefact, in its own engine, answer the validation and the test split."""
    splits = {"validation": dataset.validation}
    if order.shared.score_test:
        splits["test"] = dataset.test
    port, output = source.inputs[0], source.outputs[0].name

    def keras_answers(samples: Tensor) -> Tensor:
        return source.answers({port.name: real_values(samples, port)})[output]

    model = order.folder / TRAIN / "model.keras"
    content = model.read_bytes()
    found = [
        {
            "file": model.name,
            "format": "keras",
            "precision": "float32",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "engine": {"name": "tensorflow", "version": manifest.versions["tensorflow"]},
            **_scores(keras_answers, splits),
        }
    ]
    for each in manifest.artefacts:
        with load(order.folder / EXPORT / each.file, threads=order.shared.threads) as predictor:
            found.append(
                {
                    "file": each.file,
                    "format": each.format,
                    "precision": each.precision,
                    "bytes": each.bytes,
                    "sha256": each.sha256,
                    "engine": {"name": predictor.spec.engine, "version": predictor.spec.engine_version},
                    **_scores(_chunked(predictor), splits),
                }
            )
    return found


def _chunked(predictor: Predictor) -> Callable[[Tensor], Tensor]:
    spec = predictor.spec

    def answer(samples: Tensor) -> Tensor:
        if samples.dtype == np.uint8:
            return predictor.predict(samples)
        return predictor.answer({spec.input.name: samples})[spec.output.name]

    def answers(samples: Tensor) -> Tensor:
        starts = range(0, len(samples), _CHUNK)
        return np.concatenate([answer(samples[start : start + _CHUNK]) for start in starts])

    return answers


def _scores(answers: Callable[[Tensor], Tensor], splits: Mapping[str, Split]) -> dict[str, dict[str, int]]:
    """Return ``correct`` and ``count`` for each split."""
    return {
        name: {
            "correct": int((answers(split.samples).argmax(axis=1) == split.classes).sum()),
            "count": len(split),
        }
        for name, split in splits.items()
    }
