"""A data set as one file of arrays: how it travels to a machine that has it not."""

from pathlib import Path
from typing import IO

import numpy as np

from edgeport.runtime.samples.pictures.resizing import Resizing
from edgeport.train.datasets.dataset import SPLITS, Dataset, Split


def write_archive(file: Path | IO[bytes], dataset: Dataset) -> None:
    """Write the splits, the labels and the name of a data set as a ``.npz`` file."""
    arrays = {f"{kind}_{name}": vars(split)[kind] for name, split in dataset.splits.items() for kind in _KINDS}
    facts = {
        "name": dataset.name,
        "labels": dataset.labels,
        "resizing": tuple(dataset.resizing or ()),
        "columns": dataset.columns,
    }
    np.savez(file, allow_pickle=False, **{name: np.array(value, str) for name, value in facts.items()}, **arrays)


def read_archive(path: Path) -> Dataset:
    """Return the data set that ``write_archive`` has written."""
    with np.load(path, allow_pickle=False) as arrays:
        splits = {name: Split(*(arrays[f"{kind}_{name}"] for kind in _KINDS)) for name in SPLITS}
        name, labels, resizing = str(arrays["name"]), tuple(map(str, arrays["labels"])), arrays["resizing"]
        how = Resizing(*map(str, resizing)) if len(resizing) else None
        columns = tuple(map(str, arrays["columns"]))
        return Dataset(name=name, labels=labels, splits=splits, resizing=how, columns=columns)


_KINDS = ("samples", "classes")
