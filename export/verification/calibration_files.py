"""Where calibration samples come from: data sets, .npz and .npy files, folders of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.numpy_file import read_npy, read_npz
from edgeport.runtime.pictures.images import read_images
from edgeport.runtime.pictures.resizing import KERAS_LOADER, Resizing
from edgeport.train.datasets.image_folder import IMAGE_SUFFIXES, FreeShape
from edgeport.train.datasets.named import load_dataset

_DATASET_ARRAYS = {"x_train", "y_train", "x_test", "y_test"}


@dataclass(frozen=True, eq=False)
class Splits:
    """The samples of a source.

    Attributes:
        train: What may be calibrated on, by input.
        held_out: Others to verify on; None if the source has no such split.
        labels: The class names, or empty.
        resizing: How pictures became samples; None where they came as arrays.
    """

    train: Mapping[str, npt.NDArray[Any]]
    held_out: Mapping[str, npt.NDArray[Any]] | None = None
    labels: tuple[str, ...] = ()
    resizing: Resizing | None = None


def read_splits(
    source: str, inputs: Sequence[Input], *, data_dir: Path | None = None, resizing: Resizing | None = None
) -> Splits:
    """Return the samples of a data set, a file or a folder.

    Args:
        source: A name of a data set, a .npz or .npy file, a folder of class folders, or a folder of images.
        inputs: The inputs of the model.
        data_dir: See load_dataset.
        resizing: How pictures take the size of the input; by default as Keras' own loader does it.

    Raises:
        InputError: The source is unknown, unreadable or test data, or does not say what belongs to which input.
    """
    path = Path(source)
    if path.suffix == ".npy":
        return Splits({_only(inputs, source).name: _fitted(read_npy(path), inputs[0])})
    if path.suffix == ".npz":
        arrays = read_npz(path)
        if not arrays.keys() >= _DATASET_ARRAYS:
            return splits_of(arrays, inputs, path)
    elif path.is_dir() and not any(entry.is_dir() for entry in path.iterdir()):
        return _from_images(path, _only(inputs, source), resizing or KERAS_LOADER)
    dataset = load_dataset(source, data_dir=data_dir, image_shape=picture_shape_of(inputs[0]), resizing=resizing)
    port = _only(inputs, source)
    train, held_out = ({port.name: split.samples} for split in (dataset.train, dataset.validation))
    return Splits(train, held_out, dataset.labels, dataset.resizing)


def picture_shape_of(port: Input) -> FreeShape:
    """Return the (height, width, channels) that an input takes; None for what it leaves free."""
    if not port.is_image or port.shape[3] not in (1, 3):
        return None, None, None
    _, height, width, channels = port.shape
    return height, width, channels


def splits_of(arrays: Mapping[str, npt.NDArray[Any]], inputs: Sequence[Input], source: str | Path) -> Splits:
    """Return the samples that named arrays are: one for each input, ``x_train`` and perhaps ``x_val``, or a single one.

    Raises:
        InputError: Their names do not say what belongs to which input; ``source`` is what the message calls them.
    """
    names = [port.name for port in inputs]
    if set(names) <= arrays.keys():
        return Splits({port.name: _fitted(arrays[port.name], port) for port in inputs})
    if len(inputs) == 1 and "x_train" in arrays:
        held_out = {names[0]: _fitted(arrays["x_val"], inputs[0])} if "x_val" in arrays else None
        return Splits({names[0]: _fitted(arrays["x_train"], inputs[0])}, held_out)
    if len(inputs) == 1 and len(arrays) == 1 and "test" not in next(iter(arrays)).split("_"):
        return Splits({names[0]: _fitted(next(iter(arrays.values())), inputs[0])})
    raise InputError(
        f"{source}: got the arrays {', '.join(arrays) or 'none'}, expected {' and '.join(names)}"
        + (", or x_train, or a single array that is not the test split" if len(inputs) == 1 else "")
    )


def _from_images(folder: Path, port: Input, resizing: Resizing) -> Splits:
    height, width, channels = port.shape[1:] if port.is_image else (None, None, None)
    if not (height and width and channels):
        raise InputError(f"{folder}: a folder of images cannot calibrate the input {port}")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise InputError(f"{folder}: got a folder without images, expected PNG or JPEG files")
    images = read_images(paths, shape=(height, width, channels), resizing=resizing)
    return Splits({port.name: images}, resizing=resizing)


def _fitted(array: npt.NDArray[Any], port: Input) -> npt.NDArray[Any]:
    """Return grey images with their channel axis."""
    return array[..., np.newaxis] if port.is_image and port.shape[3] == 1 and array.ndim == 3 else array


def _only(inputs: Sequence[Input], source: str) -> Input:
    if len(inputs) > 1:
        names = ", ".join(port.name for port in inputs)
        raise InputError(f"{source} cannot calibrate a model of several inputs: give FILE.npz with the arrays {names}")
    return inputs[0]
