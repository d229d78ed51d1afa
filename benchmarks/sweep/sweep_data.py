"""The data of a sweep: classes, which recipes teach, and targets of any kind, which compiled models learn."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edgeport.benchmarks.measure.candidates.candidate import Samples
from edgeport.benchmarks.sweep.cells.cell import Cell, Own, Shared
from edgeport.export.verification.calibration_files import picture_shape_of
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.input_kinds import parsed_input, with_kinds
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.array_names import ONLY
from edgeport.train.datasets.data import Data, Part, classes_of, divided, inputs_of
from edgeport.train.datasets.dataset import SPLITS, Dataset
from edgeport.train.datasets.named import load_data, load_dataset


@dataclass(frozen=True, eq=False)
class SweepData:
    """What the cells of a sweep learn and are scored on.

    Attributes:
        classes: The data set of the models that a recipe teaches; None if there are none.
        compiled: For each compiled model what it takes, and the samples as it takes them.
    """

    classes: Dataset | None
    compiled: Mapping[str, tuple[tuple[Input, ...], Data]] = field(default_factory=dict)

    def is_compiled(self, cell: Cell) -> bool:
        """Return whether a cell learns as its model's own code says."""
        return cell.may_be_compiled and cell.model in self.compiled

    def sha256_of(self, cell: Cell) -> str:
        """Return the digest of what a cell learns."""
        if self.is_compiled(cell):
            return digest_of(self.compiled[cell.model][1])
        assert self.classes is not None, "what is not compiled learns classes"
        return self.classes.sha256

    def inputs_of(self, cell: Cell) -> tuple[Input, ...]:
        """Return what calibrates a cell: its inputs, as far as they are known before it is trained."""
        if self.is_compiled(cell):
            return self.compiled[cell.model][0]
        assert self.classes is not None, "what is not compiled learns classes"
        return (Input("image", (None, *self.classes.sample_shape), "float32"),)

    @property
    def facts(self) -> dict[str, Any]:
        """What results say of the data."""
        if self.classes is not None:
            names = {"name": self.classes.name, "labels": list(self.classes.labels), "noun": self.classes.noun}
            return {**names, "sha256": self.classes.sha256}
        _, data = next(iter(self.compiled.values()))
        return {"name": data.name, "labels": list(data.labels), "noun": "samples", "sha256": digest_of(data)}

    @property
    def timed(self) -> Samples:
        """The samples that calls are timed on: an array for models of one input."""
        if self.classes is not None:
            return self.classes.validation.samples
        ports, data = next(iter(self.compiled.values()))
        arrays = inputs_of(data.parts["validation"], ports, named=data.name)
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def data_of(cells: Sequence[Cell], shared: Shared, own: Mapping[str, Own]) -> SweepData:
    """Return the data of a sweep.

    Args:
        cells: Its cells.
        shared: What these have in common.
        own: What is known of the models of the user's own.

    Raises:
        InputError: The data cannot be read, or are not for such models.
    """
    ports = {name: said_inputs(shared, each, named=name) for name, each in own.items()}
    compiled = {
        cell.model: (ports[cell.model], samples_for(shared, ports[cell.model]))
        for cell in {each.model: each for each in cells if each.may_be_compiled}.values()
        if own[cell.model].is_compiled
    }
    taught = next((each for each in cells if not (each.may_be_compiled and each.model in compiled)), None)
    if taught is None:
        return SweepData(None, compiled)
    one = ports.get(taught.model, ())
    inputs = one if len(one) == 1 else ()
    return SweepData(load_dataset(shared.dataset, data_dir=shared.data_dir, inputs=inputs), compiled)


def said_inputs(shared: Shared, own: Own, *, named: str) -> tuple[Input, ...]:
    """Return the inputs of a model as the sweep's file says that they are."""
    return with_kinds(own.inputs, [parsed_input(text) for text in shared.inputs], what=named)


def samples_for(shared: Shared, ports: Sequence[Input]) -> Data:
    """Return train, validation and test samples of inputs, with targets; always the same ones.

    Raises:
        InputError: The data cannot be read, lack targets, or are too few to divide.
    """
    whole = load_data(shared.dataset, data_dir=shared.data_dir, image_shape=picture_shape_of(ports[0]), inputs=ports)
    data = divided(whole, anyhow=True)
    wanted = SPLITS if shared.score_test else SPLITS[:2]
    missing = [name for name in wanted if name not in data.parts]
    if missing:
        raise InputError(
            f"{data.name}: got {' and '.join(data.parts)} samples alone, {missing[0]} samples are missing: a sweep "
            "divides 10 samples or more with targets"
        )
    parts = {}
    for name, part in data.parts.items():
        arrays = inputs_of(part, ports, named=data.name)
        # The one input of a model gets another name when it is exported.
        arrays = arrays if len(arrays) > 1 else {ONLY: next(iter(arrays.values()))}
        parts[name] = Part(arrays, part.targets)
    # Who looks for what is not normal learns the normal alone, which nobody need mark.
    for name in ("test",) if shared.task == "anomaly" else wanted:
        if name not in parts or parts[name].targets is None:
            raise InputError(f"{data.name}: got {name} samples without targets, expected what is true of each")
    found = Data(data.name, parts, data.labels, data.resizing, columns=data.columns)
    if not all(part.targets is not None and part.targets.dtype.kind in "US" for part in parts.values()):
        return found
    numbers, labels = classes_of(found)
    return replace(
        found, parts={name: replace(part, targets=numbers[name]) for name, part in parts.items()}, labels=labels
    )


def digest_of(data: Data) -> str:
    """Return the digest of all samples and targets, part by part."""
    digest = hashlib.sha256()
    for name in sorted(data.parts):
        part = data.parts[name]
        for array in (*part.inputs.values(), *(() if part.targets is None else (part.targets,))):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
