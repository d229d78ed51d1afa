"""MNIST and Fashion-MNIST: 60,000 and 10,000 images of 28x28, from local files or downloaded by Keras."""

import gzip
import hashlib
import io
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.numpy_file import read_npz
from edgeport.runtime.files.plain_file import read_plain
from edgeport.runtime.samples.pictures.resizing import DIGITS
from edgeport.train.datasets.dataset import Dataset, Split

_VALIDATION = 5_000
# 60,000 images of 28 x 28, and the header.
_MOST_BYTES = 64 << 20
_DIGITS = tuple("0123456789")
_FASHION = (
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# SHA-256 of MNIST's 10,000 test labels as bytes. The files of the two data sets have the same names, so only
# the content can tell that a folder holds the other one.
_MNIST_TEST_LABELS = "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"

Arrays = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]


def load_mnist(data_dir: Path | None) -> Dataset:
    """Return MNIST; see load_dataset for ``data_dir``."""
    return _load("mnist", _DIGITS, data_dir)


def load_fashion_mnist(data_dir: Path | None) -> Dataset:
    """Return Fashion-MNIST; see load_dataset for ``data_dir``."""
    return _load("fashion-mnist", _FASHION, data_dir)


def _load(name: str, labels: tuple[str, ...], data_dir: Path | None) -> Dataset:
    x_train, y_train, x_test, y_test = _read_local(name, data_dir) if data_dir else _download(name)
    shapes = [array.shape for array in (x_train, y_train, x_test, y_test)]
    if shapes != [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]:
        raise InputError(
            f"{name}: got arrays of shapes {shapes}, expected 60,000 and 10,000 images of 28x28 with labels"
        )
    is_mnist = hashlib.sha256(y_test.astype(np.uint8).tobytes()).hexdigest() == _MNIST_TEST_LABELS
    if is_mnist != (name == "mnist"):
        raise InputError(f"{name}: the files in {data_dir} are another data set's. Name the right folder.")
    train = Split(x_train[..., np.newaxis], y_train.astype(np.int64))
    return Dataset(
        name=name,
        splits={
            "train": Split(train.samples[:-_VALIDATION], train.classes[:-_VALIDATION]),
            "validation": Split(train.samples[-_VALIDATION:], train.classes[-_VALIDATION:]),
            "test": Split(x_test[..., np.newaxis], y_test.astype(np.int64)),
        },
        labels=labels,
        resizing=DIGITS,
    )


def _read_local(name: str, data_dir: Path) -> Arrays:
    """Read ``<name>.npz`` or the four IDX files from ``data_dir/<name>`` or ``data_dir``."""
    for folder in (data_dir / name, data_dir):
        if (folder / f"{name}.npz").is_file():
            return _read_npz(folder / f"{name}.npz")
        if _idx_path(folder, "t10k-labels-idx1-ubyte"):
            return (
                _read_idx(folder, "train-images-idx3-ubyte"),
                _read_idx(folder, "train-labels-idx1-ubyte"),
                _read_idx(folder, "t10k-images-idx3-ubyte"),
                _read_idx(folder, "t10k-labels-idx1-ubyte"),
            )
    raise InputError(
        f"{name}: {data_dir} holds neither {name}.npz nor the four IDX files (train-images-idx3-ubyte.gz, ...). "
        "Put them there, or take the data set mnist-5k, which is installed."
    )


def _read_npz(path: Path) -> Arrays:
    arrays = read_npz(path)
    try:
        return arrays["x_train"], arrays["y_train"], arrays["x_test"], arrays["y_test"]
    except KeyError as error:
        raise InputError(f"{path} lacks {error}: it is no {path.stem}") from error


def _idx_path(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _read_idx(folder: Path, name: str) -> npt.NDArray[np.uint8]:
    """Read one file of the IDX format: two zero bytes, type 8 (uint8), rank, big-endian axes, the bytes."""
    path = _idx_path(folder, name)
    if path is None:
        raise InputError(f"{folder} lacks {name} (or {name}.gz)")
    content = read_plain(path, most=_MOST_BYTES, error=InputError)
    try:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
                content = packed.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    rank = content[3] if len(content) > 3 else 0
    header = 4 + 4 * rank
    axes = [int.from_bytes(content[place : place + 4], "big") for place in range(4, header, 4)]
    if content[:3] != b"\0\0\x08" or not rank or len(content) != header + math.prod(axes):
        raise InputError(f"{path} is damaged or no IDX file of bytes: download it again")
    return np.frombuffer(content, np.uint8, offset=header).reshape(axes)


def _download(name: str) -> Arrays:
    # Keras is heavy, and needed only when nothing local was named.
    with quiet_stderr():
        import keras

    source = {"mnist": keras.datasets.mnist, "fashion-mnist": keras.datasets.fashion_mnist}[name]
    try:
        (x_train, y_train), (x_test, y_test) = source.load_data()
    except Exception as error:  # keras raises a bare Exception when a URL cannot be fetched
        raise InputError(
            f"{name} cannot be downloaded ({' '.join(str(error).split())}). Two ways out: name a folder that holds "
            "its four IDX files or its .npz with --data-dir or EDGEPORT_DATA, or take the data set mnist-5k, which is "
            "installed."
        ) from error
    return x_train, y_train, x_test, y_test
