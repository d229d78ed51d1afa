"""A user's own data in one .npz file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError
from edgeport.runtime.files.numpy_file import read_npz
from edgeport.train.datasets.dataset import Dataset, Split, stratified

_VALIDATION_SHARE = 0.1
_MOST_CLASSES = 10_000


def load_npz(path: Path) -> Dataset:
    """Return the data set in a .npz file.

    The file holds ``x_train, y_train, x_test, y_test`` and, if the user likes, ``x_val, y_val`` (else a tenth
    of train becomes the validation split, each class in proportion) and ``labels``, the class names. Images are
    uint8 of shape (n, height, width) or (n, height, width, channels); classes are integers from 0.

    Raises:
        InputError: The file is missing, damaged, or its arrays are not these.
    """
    arrays = read_npz(path)
    missing = [key for key in ("x_train", "y_train", "x_test", "y_test") if key not in arrays]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; it holds {', '.join(arrays) or 'nothing'}")
    train = _split(arrays, "train", path)
    if "x_val" in arrays:
        validation = _split(arrays, "val", path)
    else:
        train, validation = stratified(
            train.samples, train.classes, shares=(1 - _VALIDATION_SHARE, _VALIDATION_SHARE), seed=0
        )
    count = int(train.classes.max()) + 1
    if count > _MOST_CLASSES:
        raise InputError(
            f"{path}: got the class number {count - 1}, expected classes numbered from 0, {_MOST_CLASSES:,} at most"
        )
    labels = tuple(map(str, np.atleast_1d(arrays["labels"]))) if "labels" in arrays else tuple(map(str, range(count)))
    splits = {"train": train, "validation": validation, "test": _split(arrays, "test", path)}
    return Dataset(name=str(path), splits=splits, labels=labels)


def _split(arrays: Mapping[str, npt.NDArray[Any]], name: str, path: Path) -> Split:
    if f"y_{name}" not in arrays:
        raise InputError(f"{path} holds x_{name} but lacks y_{name}")
    images, classes = arrays[f"x_{name}"], arrays[f"y_{name}"]
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise InputError(
            f"{path}: got x_{name} {images.dtype} {images.shape}, expected uint8 pixels (0..255) of shape "
            "(n, height, width) or (n, height, width, channels)"
        )
    if classes.ndim != 1 or not np.issubdtype(classes.dtype, np.integer) or not len(classes):
        raise InputError(f"{path}: got y_{name} {classes.dtype} {classes.shape}, expected integers of shape (n,)")
    return Split(images[..., np.newaxis] if images.ndim == 3 else images, classes.astype(np.int64))
