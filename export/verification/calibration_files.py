"""Samples to calibrate and verify on, from any source of data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.array_names import ALL, ONLY
from edgeport.runtime.samples.pictures.resizing import Resizing
from edgeport.train.datasets.data import Data, NoClassesError, Part, classes_of, divided, inputs_of
from edgeport.train.datasets.dataset import Classes
from edgeport.train.datasets.forms import Wanted, read_data
from edgeport.train.datasets.groups import is_file_of_groups, with_groups
from edgeport.train.datasets.image_folder import FREE, FreeShape
from edgeport.train.datasets.named import DATASETS, load_dataset
from edgeport.train.datasets.named_arrays import data_of


@dataclass(frozen=True, eq=False)
class Splits:
    """The samples of a source.

    Attributes:
        train: What may be calibrated on, by input.
        held_out: Others to verify on; None if the source has no such split.
        labels: The class names, or empty.
        resizing: How pictures became samples; None where they came as arrays.
        train_classes: The class numbers of ``train``, of shape (n,); None where it has no classes.
        held_out_classes: Likewise of ``held_out``.
        columns: What a table calls the numbers of a row; empty if it does not name them.
    """

    train: Mapping[str, npt.NDArray[Any]]
    held_out: Mapping[str, npt.NDArray[Any]] | None = None
    labels: tuple[str, ...] = ()
    resizing: Resizing | None = None
    train_classes: Classes | None = None
    held_out_classes: Classes | None = None
    columns: tuple[str, ...] = ()


def read_splits(
    source: str,
    inputs: Sequence[Input],
    *,
    data_dir: Path | None = None,
    resizing: Resizing | None = None,
    most: int | None = None,
) -> Splits:
    """Return the samples of a data set, a file, a folder or a function; never those of its test split.

    Args:
        source: See ``read_parts``.
        inputs: The inputs of the model.
        data_dir: See load_dataset.
        resizing: How pictures take the size of the input; by default as Keras' own loader does it.
        most: How many samples of a function are enough; None for all.

    Raises:
        InputError: The source is unknown, unreadable or test data, or does not say what belongs to which input.
    """
    return _splits(read_parts(source, inputs, data_dir=data_dir, resizing=resizing, most=most), inputs)


def read_parts(
    source: str,
    inputs: Sequence[Input],
    *,
    data_dir: Path | None = None,
    resizing: Resizing | None = None,
    most: int | None = None,
    groups: str = "",
) -> Data:
    """Return what a source holds, divided as training divides it, so that its test split is the same one everywhere.

    Args:
        source: A name of a data set, or a source of ``edgeport.train.datasets.forms``.
        inputs: The inputs of the model.
        data_dir: See load_dataset.
        resizing: How pictures take the size of the input; by default as Keras' own loader does it.
        most: How many samples of a function are enough; None for all.
        groups: Which samples belong together, see ``with_groups``; empty if nobody says.

    Raises:
        InputError: The source is unknown or unreadable, or has no such groups.
    """
    column = "" if is_file_of_groups(groups) else groups
    wanted = Wanted(inputs, picture_shape_of(inputs[0]), resizing, most, groups=column)
    data = None if source in DATASETS else read_data(source, wanted)
    if data is not None:
        return _divided(with_groups(data, groups) if groups else data)
    if groups:
        raise InputError(f"--group-by: got {groups}, and {source} has no groups")
    dataset = load_dataset(source, data_dir=data_dir)
    parts = {name: Part({ONLY: split.samples}, split.classes) for name, split in dataset.splits.items()}
    return Data(dataset.name, parts, dataset.labels, dataset.resizing)


def picture_shape_of(port: Input) -> FreeShape:
    """Return the (height, width, channels) that an input takes; None for what it leaves free."""
    if not port.is_image or port.shape[3] not in (1, 3):
        return FREE
    _, height, width, channels = port.shape
    return height, width, channels


def splits_of(arrays: Mapping[str, npt.NDArray[Any]], inputs: Sequence[Input], source: str | Path) -> Splits:
    """Return the samples that named arrays are, by their names; see ``named_arrays.data_of``.

    Raises:
        InputError: Their names do not say what belongs to which input; ``source`` is what the message calls them.
    """
    return _splits(_divided(data_of(arrays, [port.name for port in inputs], named=str(source))), inputs)


def _divided(data: Data) -> Data:
    data = divided(data, anyhow=True)
    try:
        return replace(data, labels=classes_of(data)[1])
    except NoClassesError:
        return data


def _classes(data: Data) -> dict[str, Classes]:
    """Return the class of each sample of each part; none where nobody knows them, or targets are a map or boxes."""
    if not data.labels or any(part.targets is None for part in data.parts.values()):
        return {}
    try:
        return classes_of(data)[0]
    except NoClassesError:
        return {}


def _splits(data: Data, inputs: Sequence[Input]) -> Splits:
    train = data.parts.get("train") or data.parts.get(ALL)
    if train is None:
        raise InputError(f"{data.name}: got {' and '.join(data.parts)} samples alone, expected others to calibrate on")
    held_out = data.parts.get("validation")
    classes = _classes(data)
    return Splits(
        inputs_of(train, inputs, named=data.name),
        inputs_of(held_out, inputs, named=data.name) if held_out else None,
        data.labels,
        data.resizing,
        classes.get("train", classes.get(ALL)),
        classes.get("validation"),
        data.columns,
    )
