"""What a cell is made of: train, export, score, and the record that says what came of it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.sweep.cells.cell import EXPORT, IDENTITY, RECORD, TRAIN, Order
from edgeport.benchmarks.sweep.cells.compiled_cell import check_recipe, learned, taken
from edgeport.benchmarks.sweep.cells.definitions import definition_of, own_definition
from edgeport.benchmarks.sweep.cells.own_model import built, known_of, started_from
from edgeport.benchmarks.sweep.cells.record import SCHEMA
from edgeport.benchmarks.sweep.cells.scoring import scored
from edgeport.benchmarks.sweep.pools.dataset_archive import read_archive
from edgeport.benchmarks.sweep.sweep_data import digest_of, said_inputs, samples_for
from edgeport.export.conversion.options import Options
from edgeport.export.front_door import export_model
from edgeport.export.inspection import inspect
from edgeport.export.manifest import Manifest
from edgeport.export.sources.source import Source
from edgeport.runtime.artefact.input_kinds import kind_text
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.samples.array_names import ONLY
from edgeport.train.datasets.data import Data, Part
from edgeport.train.datasets.dataset import Dataset
from edgeport.train.datasets.named import DATASETS, load_dataset
from edgeport.train.loop.fitting import HISTORY, Run
from edgeport.train.record import FILE_NAME, STATE
from edgeport.train.training import train


@dataclass(frozen=True)
class _Trained:
    """What came of the training of a cell.

    Attributes:
        data: The samples of each split.
        inputs: What is said of the inputs, as ``--input`` takes it, beside what the record of the training says.
        epochs: How many there were.
        best_epoch: Which was taken.
        seconds: How long they took.
    """

    data: Data
    inputs: tuple[str, ...]
    epochs: int
    best_epoch: int
    seconds: float


def make_cell(order: Order, *, console: Console, on_stage: Callable[[str], None] = lambda what: None) -> bool:
    """Make a cell, from where an earlier process has left it; return whether it came to its end.

    Args:
        order: What to make.
        console: Where the training shows its epochs.
        on_stage: Called with a word before each stage.

    Raises:
        EdgeportError: The cell cannot be made; what was made of it so far is kept.
    """
    # Teachers, and training with the rounding, are for classes that a recipe teaches.
    model = built(order.cell.start, seed=order.cell.seed) if order.cell.start else None
    compiled = model is not None and model.compiled and order.cell.may_be_compiled
    learn = partial(_compiled, model) if compiled else partial(_taught, model)
    trained = learn(order, console, on_stage)
    if trained is None:
        return False
    on_stage("exporting")
    started = time.monotonic()
    opened: list[Source] = []
    shared, start = order.shared, order.cell.start
    manifest = export_model(
        order.folder / TRAIN / "model.keras",
        order.folder / EXPORT,
        calibration=shared.calibration,
        data_dir=shared.data_dir,
        inputs=trained.inputs,
        outputs=shared.outputs,
        activation=shared.activation or None,
        name=order.cell.model if compiled else None,
        custom_objects=Path(start.partition(".py:")[0] + ".py") if compiled and ".py:" in start else None,
        options=Options(precisions=shared.precisions),
        overwrite=True,
        on_start=lambda source, samples: opened.append(source),
        on_warning=console.print,
    )
    exported = time.monotonic()
    on_stage("scoring")
    record = _record(order, trained, manifest, scored(order, trained.data, opened[0], manifest))
    record["seconds"] |= {"export": exported - started, "score": time.monotonic() - exported}
    record["seconds"] = {name: round(seconds, 1) for name, seconds in record["seconds"].items()}
    write_whole(order.folder / RECORD, (json.dumps(record, indent=1) + "\n").encode())
    return True


def _compiled(model: Any, order: Order, console: Console, on_stage: Callable[[str], None]) -> _Trained | None:
    """Train a model as its own code has compiled it."""
    check_recipe(order)
    cell, shared = order.cell, order.shared
    ports = said_inputs(shared, known_of(model, start=cell.start), named=cell.model)
    data = samples_for(shared, ports)
    _begin(order, own_definition(cell.start), digest_of(data))
    ports = taken(ports, data, model, named=cell.model)
    on_stage("training")
    epochs, best = learned(
        order,
        model,
        ports,
        data,
        on_epoch=lambda epoch: console.print(
            f"epoch {epoch.number:3d}/{cell.recipe.epochs}  loss {epoch.loss:.4f}  validation loss "
            f"{epoch.validation_loss:.4f}  {epoch.seconds:.1f} s"
        ),
    )
    # The one input of a model gets another name when it is exported.
    said = tuple(f"{port.name}={text}" if len(ports) > 1 else text for port in ports if (text := kind_text(port)))
    return _Trained(data, said, len(epochs), best, sum(epoch.seconds for epoch in epochs))


def _taught(model: Any, order: Order, console: Console, on_stage: Callable[[str], None]) -> _Trained | None:
    """Train a classifier by its recipe; None if it was interrupted."""
    cell, shared, folder = order.cell, order.shared, order.folder
    dataset = _dataset(order, model)
    if cell.start:
        definition = own_definition(cell.start)
    else:
        definition = definition_of(cell.model, image_shape=dataset.image_shape, class_count=len(dataset.labels))
    _begin(order, definition, dataset.sha256)
    on_stage("training")
    start = started_from(cell.start, seed=cell.seed, folder=folder) if cell.start else None
    # Only digits and photos mean the same when they are turned and moved.
    recipe = cell.recipe if dataset.is_pixels else cell.recipe.without_augmentation
    said = shared.inputs[0] if start and shared.inputs else ""
    run = Run(cell.model, dataset, recipe, cell.seed, teacher=cell.teacher, qat=cell.qat, start=start, input=said)
    if not _trained(folder / TRAIN):
        state = folder / TRAIN / STATE / HISTORY
        if not train(run, folder / TRAIN, console=console, resume=state.is_file(), score_test=shared.score_test):
            return None
    training = json.loads((folder / TRAIN / FILE_NAME).read_bytes())
    epochs = [*training["history"], *training.get("qat_history", [])]
    parts = {name: Part({ONLY: split.samples}, split.classes) for name, split in dataset.splits.items()}
    data = Data(dataset.name, parts, dataset.labels, dataset.resizing, columns=dataset.columns)
    seconds = sum(epoch["seconds"] for epoch in epochs)
    return _Trained(data, (), len(epochs), training["best_epoch"], seconds)


def _begin(order: Order, definition: str, dataset_sha256: str) -> None:
    """Note what the cell is; raises InputError if its model or its data are others than where the sweep was started."""
    if (definition, dataset_sha256) != (order.identity["definition"], order.identity["dataset_sha256"]):
        raise InputError(
            f"{order.cell.model} or {order.shared.dataset} is another one here than where the sweep was started: "
            "install the same edgeport and TensorFlow on all machines"
        )
    order.folder.mkdir(parents=True, exist_ok=True)
    write_whole(order.folder / IDENTITY, json.dumps(order.identity, indent=1).encode())


def _dataset(order: Order, model: Any) -> Dataset:
    # What was sent along is found under its name, by whatever asks for it.
    for name, path in order.archives.items():
        DATASETS[name] = partial(_sent, read_archive(path))
    own = None if model is None else known_of(model, start=order.cell.start)
    ports = said_inputs(order.shared, own, named=order.cell.model) if own else ()
    return load_dataset(order.shared.dataset, data_dir=order.shared.data_dir, inputs=ports if len(ports) == 1 else ())


def _sent(dataset: Dataset, data_dir: Path | None) -> Dataset:
    return dataset


def _trained(folder: Path) -> bool:
    """Whether the training has ended; a process that was killed just then has not removed the state of the run."""
    try:
        return bool(json.loads((folder / FILE_NAME).read_bytes())["finished"])
    except FileNotFoundError:
        return False


def _record(order: Order, trained: _Trained, manifest: Manifest, scores: Mapping[str, Any]) -> dict[str, Any]:
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
        "dataset": trained.data.name,
        "epochs": trained.epochs,
        "best_epoch": trained.best_epoch,
        "parameters": inspect(deployed).parameters,
        **scores,
        "refused": [{"file": each.file, "reason": each.reason} for each in manifest.refused],
        "seconds": {"train": trained.seconds},
        "versions": dict(manifest.versions),
        "host": host_facts(),
    }
