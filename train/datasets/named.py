"""Every data set behind one call: ``load_dataset(name)``."""

import os
from collections.abc import Callable
from pathlib import Path

from edgeport.runtime.errors import InputError, unknown_name
from edgeport.runtime.pictures.resizing import Resizing
from edgeport.train.datasets.dataset import Dataset
from edgeport.train.datasets.image_folder import FreeShape, load_image_folder
from edgeport.train.datasets.mnist import load_fashion_mnist, load_mnist
from edgeport.train.datasets.mnist_5k import load_mnist_5k
from edgeport.train.datasets.npz_file import load_npz

DATASETS: dict[str, Callable[[Path | None], Dataset]] = {
    "mnist": load_mnist,
    "mnist-5k": lambda data_dir: load_mnist_5k(),
    "fashion-mnist": load_fashion_mnist,
}


def load_dataset(
    name: str,
    *,
    data_dir: Path | None = None,
    image_shape: FreeShape = (None, None, None),
    resizing: Resizing | None = None,
) -> Dataset:
    """Return a data set with its fixed train, validation and test splits.

    Args:
        name: ``mnist``, ``mnist-5k``, ``fashion-mnist``, a user's ``.npz`` file, or a folder of class folders.
        data_dir: Where the files of ``mnist`` and ``fashion-mnist`` lie, to use them without a download; by
            default the folder that the environment variable EDGEPORT_DATA names, if it is set.
        image_shape: (height, width, channels) that the pictures of a folder take; None for what the first one has.
        resizing: How they take it; by default as Keras' own loader does it.

    Raises:
        InputError: The name is unknown, or the data is missing, unreadable or not what it should be.

    Example:
        >>> from edgeport.train import load_dataset
        >>> dataset = load_dataset("mnist-5k")
        >>> dataset.train.samples.shape, dataset.labels[:3]
        ((4000, 28, 28, 1), ('0', '1', '2'))
    """
    if data_dir is None and os.environ.get("EDGEPORT_DATA"):
        data_dir = Path(os.environ["EDGEPORT_DATA"])
    if name in DATASETS:
        return DATASETS[name](data_dir)
    path = Path(name)
    if path.suffix == ".npz":
        return load_npz(path)
    if path.is_dir():
        return load_image_folder(path, shape=image_shape, resizing=resizing)
    if "/" in name:
        raise InputError(f"data set {name}: no such .npz file or folder of class folders")
    raise unknown_name("data set", name, [*DATASETS, "FILE.npz", "FOLDER"])
