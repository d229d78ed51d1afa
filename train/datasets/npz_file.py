"""A user's own data in one .npz file."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError
from edgeport.runtime.files.plain_file import open_plain
from edgeport.runtime.files.unpacking import check_unpacked
from edgeport.train.datasets.dataset import Dataset, Split, stratified

_VALIDATION_SHARE = 0.1
_MOST_CLASSES = 10_000
# Larger than any memory that it could be read into.
_MOST_BYTES = 1 << 42
# NotImplementedError and RuntimeError: a compression or encryption that zipfile does not know.
_UNREADABLE = (
    OSError, ValueError, TypeError, EOFError, MemoryError, NotImplementedError, RuntimeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def load_npz(path: Path) -> Dataset:
    """Return the data set in a .npz file.

    The file holds ``x_train, y_train, x_test, y_test`` and, if the user likes, ``x_val, y_val`` (else a tenth
    of train becomes the validation split, each class in proportion) and ``labels``, the class names. Images are
    uint8 of shape (n, height, width) or (n, height, width, channels); classes are integers from 0.

    Raises:
        InputError: The file is missing, damaged, or its arrays are not these.
    """
    arrays = read_arrays(path)
    missing = [key for key in ("x_train", "y_train", "x_test", "y_test") if key not in arrays]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; it holds {', '.join(arrays) or 'nothing'}")
    train = _split(arrays, "train", path)
    if "x_val" in arrays:
        validation = _split(arrays, "val", path)
    else:
        train, validation = stratified(
            train.images, train.classes, shares=(1 - _VALIDATION_SHARE, _VALIDATION_SHARE), seed=0
        )
    count = int(train.classes.max()) + 1
    if count > _MOST_CLASSES:
        raise InputError(
            f"{path}: got the class number {count - 1}, expected classes numbered from 0, {_MOST_CLASSES:,} at most"
        )
    labels = tuple(map(str, np.atleast_1d(arrays["labels"]))) if "labels" in arrays else tuple(map(str, range(count)))
    return Dataset(name=str(path), train=train, validation=validation, test=_split(arrays, "test", path), labels=labels)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a .npz file by name; raises InputError if it cannot be read."""
    with open_plain(path, most=_MOST_BYTES, error=InputError) as file:
        check_unpacked(file, named=str(path), size=path.stat().st_size, error=InputError)
        try:
            arrays = np.load(file, allow_pickle=False)
            loaded = dict(arrays) if isinstance(arrays, np.lib.npyio.NpzFile) else {}
        except InputError:
            raise
        except _UNREADABLE as error:
            reason = " ".join(str(error).split())
            raise InputError(f"cannot read {path}: damaged, or not a .npz file of plain arrays ({reason})") from error
    if not all(isinstance(array, np.ndarray) for array in loaded.values()):
        raise InputError(f"cannot read {path}: it holds something else than arrays, expected what numpy.savez writes")
    return loaded


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
