"""A user's own images in folders: one for each class, or one of images alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeport.runtime.errors import InputError
from edgeport.runtime.host.terminal import steers
from edgeport.runtime.samples.array_names import ALL, ONLY
from edgeport.runtime.samples.pictures.images import SUFFIXES, picture_shape, read_images
from edgeport.runtime.samples.pictures.resizing import KERAS_LOADER, Resizing
from edgeport.train.datasets.data import Data, Part

_LARGEST_SIDE = 256
FreeShape = tuple[int | None, int | None, int | None]
FREE: FreeShape = (None, None, None)


def read_class_folders(folder: Path, *, shape: FreeShape = FREE, resizing: Resizing | None = None) -> Data:
    """Return the images in a folder with one sub-folder per class, in the order of their names.

    Args:
        folder: The folder.
        shape: (height, width, channels) that every image takes; an axis of None is that of all images, if they have the
            same size, and their channel if all are grey, else three.
        resizing: How; by default as ``keras.utils.image_dataset_from_directory`` does.

    Raises:
        InputError: There are fewer than two classes, a class has fewer than 10 images, an image cannot be read,
            or no size is given and the images differ in theirs, or are larger than 256 pixels a side.
    """
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    # Before the pictures are read: the names become the labels.
    for path in classes:
        if steers(path.name):
            raise InputError(
                f"{path}: its name has control characters, or is no UTF-8 text, and would be the label of a class: "
                "rename the folder"
            )
    files = [_images_in(each) for each in classes]
    if len(classes) < 2:
        raise InputError(f"{folder}: got {len(classes)} class folders, expected at least 2, each with its images")
    for each, members in zip(classes, files, strict=True):
        if len(members) < 10:
            raise InputError(f"{each}: got {len(members)} images, expected at least 10 a class")
    numbers = np.repeat(np.arange(len(classes)), [len(members) for members in files]).astype(np.int64)
    paths = [path for members in files for path in members]
    resizing = resizing or KERAS_LOADER
    images = read_images(paths, shape=_completed(shape, paths), resizing=resizing)
    labels = tuple(path.name for path in classes)
    return Data(str(folder), {ALL: Part({ONLY: images}, numbers)}, labels, resizing)


def read_image_folder(folder: Path, *, shape: FreeShape = FREE, resizing: Resizing | None = None) -> Data:
    """Return the images of a folder without classes; see ``read_class_folders``."""
    paths = _images_in(folder)
    if not paths:
        raise InputError(f"{folder}: got a folder without images, expected PNG or JPEG files, or folders of them")
    resizing = resizing or KERAS_LOADER
    images = read_images(paths, shape=_completed(shape, paths), resizing=resizing)
    return Data(str(folder), {ALL: Part({ONLY: images})}, resizing=resizing)


def _images_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and path.name[0] != "."]


def _completed(shape: FreeShape, paths: Sequence[Path]) -> tuple[int, int, int]:
    """Return the shape with what it leaves free: no picture's own size is taken for that of others."""
    height, width, channels = shape
    if height and width and channels:
        return height, width, channels
    own = {path: picture_shape(path) for path in paths}
    if not (height and width):
        first = own[paths[0]]
        other = next((path for path in paths if own[path][:2] != first[:2]), None)
        if other is not None or max(first[:2]) > _LARGEST_SIDE:
            beside = f", {other.name} {_size(own[other])}" if other else ""
            raise InputError(
                f"{paths[0]} is {_size(first)}{beside}: say which size the model shall see, at most {_LARGEST_SIDE} "
                "pixels a side, such as --image-size 96x96"
            )
        height, width = (asked or axis for asked, axis in zip(shape[:2], first[:2], strict=True))
    return height, width, channels or max(each[2] for each in own.values())


def _size(shape: tuple[int, int, int]) -> str:
    return f"{shape[1]}x{shape[0]}"
