"""Every data set behind one call: ``load_dataset(name)``."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError, unknown_name
from edgeport.runtime.samples.array_names import ONLY
from edgeport.runtime.samples.pictures.resizing import Resizing
from edgeport.train.datasets.data import Data, Part, dataset_of
from edgeport.train.datasets.dataset import Dataset
from edgeport.train.datasets.forms import FORMS, Wanted, read_data
from edgeport.train.datasets.groups import is_file_of_groups, with_groups
from edgeport.train.datasets.image_folder import FREE, FreeShape
from edgeport.train.datasets.mnist import load_fashion_mnist, load_mnist
from edgeport.train.datasets.mnist_5k import load_mnist_5k

DATASETS: dict[str, Callable[[Path | None], Dataset]] = {
    "mnist": load_mnist,
    "mnist-5k": lambda data_dir: load_mnist_5k(),
    "fashion-mnist": load_fashion_mnist,
}


def load_dataset(
    name: str,
    *,
    data_dir: Path | None = None,
    image_shape: FreeShape = FREE,
    resizing: Resizing | None = None,
    inputs: Sequence[Input] = (),
) -> Dataset:
    """Return a data set with its fixed train, validation and test splits.

    Args:
        name: ``mnist``, ``mnist-5k``, ``fashion-mnist``, or a source of ``forms.FORMS``: ``FILE.npz``,
            ``FILE.csv:TARGET``, ``FILE.py:FUNCTION`` (which is run), a folder of class folders.
        data_dir: Where the files of ``mnist`` and ``fashion-mnist`` lie, to use them without a download; by
            default the folder that the environment variable EDGEPORT_DATA names, if it is set.
        image_shape: (height, width, channels) that the pictures of a folder take; None for what all of them have.
        resizing: How they take it; by default as Keras' own loader does it.
        inputs: The one input of the model that they are for, if it is known.

    Raises:
        InputError: The name is unknown, or the data is missing, unreadable or not what it should be.

    Examples:
        >>> from edgeport.train import load_dataset
        >>> dataset = load_dataset("mnist-5k")
        >>> dataset.train.samples.shape, dataset.labels[:3]
        ((4000, 28, 28, 1), ('0', '1', '2'))
    """
    if name in DATASETS:
        return _named(name, data_dir)
    return dataset_of(_read(name, Wanted(inputs, image_shape, resizing)), inputs)


def load_data(
    name: str,
    *,
    data_dir: Path | None = None,
    image_shape: FreeShape = FREE,
    resizing: Resizing | None = None,
    inputs: Sequence[Input] = (),
    groups: str | None = None,
) -> Data:
    """Return what a source holds, before anybody divides it, whatever its targets are.

    Args:
        name: As for ``load_dataset``; the splits of a named data set are its parts.
        data_dir: As for ``load_dataset``, like the others.
        image_shape: See there.
        resizing: See there.
        inputs: The inputs of the model that it is for.
        groups: Which samples belong together: a column of ``FILE.csv``, an array of ``FILE.npz``, or a file of its own
            (see ``with_groups``); None if nobody says.

    Raises:
        InputError: The name is unknown, or the data is missing, unreadable or not what it should be.
    """
    if name not in DATASETS:
        column = "" if groups is None or is_file_of_groups(groups) else groups
        data = _read(name, Wanted(inputs, image_shape, resizing, groups=column))
        return data if groups is None else with_groups(data, groups)
    dataset = _named(name, data_dir)
    parts = {split: Part({ONLY: each.samples}, each.classes) for split, each in dataset.splits.items()}
    data = Data(name, parts, labels=dataset.labels, resizing=dataset.resizing)
    return data if groups is None else with_groups(data, groups)


def _named(name: str, data_dir: Path | None) -> Dataset:
    if data_dir is None and os.environ.get("EDGEPORT_DATA"):
        data_dir = Path(os.environ["EDGEPORT_DATA"])
    return DATASETS[name](data_dir)


def _read(name: str, wanted: Wanted) -> Data:
    data = read_data(name, wanted)
    if data is not None:
        return data
    if "/" in name:
        raise InputError(f"data set {name}: no such file, or folder of class folders")
    raise unknown_name("data set", name, [*DATASETS, *(form.what for form in FORMS)])
