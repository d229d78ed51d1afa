"""A data set as one file of arrays: how it travels to a machine that has it not."""

from pathlib import Path
from typing import IO

import numpy as np

from edgeport.train.datasets.dataset import Dataset, Split


def write_archive(file: Path | IO[bytes], dataset: Dataset) -> None:
    """Write the splits, the labels and the name of a data set as a ``.npz`` file."""
    arrays = {f"{kind}_{name}": vars(split)[kind] for name, split in dataset.splits.items() for kind in _KINDS}
    np.savez(file, allow_pickle=False, name=np.array(dataset.name), labels=np.array(dataset.labels), **arrays)


def read_archive(path: Path) -> Dataset:
    """Return the data set that ``write_archive`` has written."""
    with np.load(path, allow_pickle=False) as arrays:
        splits = {name: Split(*(arrays[f"{kind}_{name}"] for kind in _KINDS)) for name in _SPLITS}
        return Dataset(name=str(arrays["name"]), labels=tuple(map(str, arrays["labels"])), **splits)


_SPLITS, _KINDS = ("train", "validation", "test"), ("images", "classes")
