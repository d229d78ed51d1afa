"""A user's own images in one folder per class."""

from pathlib import Path

import numpy as np

from edgeport.runtime.errors import InputError
from edgeport.runtime.pictures.images import SUFFIXES, picture_shape, read_images
from edgeport.runtime.pictures.resizing import KERAS_LOADER, Resizing
from edgeport.runtime.terminal import steers
from edgeport.train.datasets.dataset import Dataset, stratified

IMAGE_SUFFIXES = SUFFIXES
_LARGEST_SIDE = 256
FreeShape = tuple[int | None, int | None, int | None]


def load_image_folder(
    folder: Path, *, shape: FreeShape = (None, None, None), resizing: Resizing | None = None
) -> Dataset:
    """Return the data set in a folder with one sub-folder of images per class: 80 / 10 / 10 % of each class.

    The split depends on the file names alone, so it is the same each time.

    Args:
        folder: The folder.
        shape: (height, width, channels) that every image takes; an axis of None is that of the first one, in grey if
            that one is grey and in RGB otherwise.
        resizing: How; by default as ``keras.utils.image_dataset_from_directory`` does.

    Raises:
        InputError: There are fewer than two classes, a class has fewer than 10 images, an image cannot be read,
            or the size is left to a first image that is larger than 256 pixels a side.
    """
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    # Before the pictures are read: the names become the labels.
    for path in classes:
        if steers(path.name):
            raise InputError(
                f"{path}: its name has control characters, or is no UTF-8 text, and would be the label of a class: "
                "rename the folder"
            )
    files = [
        [path for path in sorted(each.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."]
        for each in classes
    ]
    if len(classes) < 2:
        raise InputError(f"{folder}: got {len(classes)} class folders, expected at least 2, each with its images")
    for each, members in zip(classes, files, strict=True):
        if len(members) < 10:
            raise InputError(f"{each}: got {len(members)} images, expected at least 10 a class")
    paths = [path for members in files for path in members]
    numbers = np.repeat(np.arange(len(classes)), [len(members) for members in files]).astype(np.int64)
    resizing = resizing or KERAS_LOADER
    images = read_images(paths, shape=_completed(shape, paths[0]), resizing=resizing)
    train, validation, test = stratified(images, numbers, shares=(0.8, 0.1, 0.1), seed=0)
    return Dataset(
        name=str(folder),
        splits={"train": train, "validation": validation, "test": test},
        labels=tuple(path.name for path in classes),
        resizing=resizing,
    )


def _completed(shape: FreeShape, path: Path) -> tuple[int, int, int]:
    of_first = picture_shape(path)
    height, width, channels = (axis or own for axis, own in zip(shape, of_first, strict=True))
    if None in shape[:2] and max(width, height) > _LARGEST_SIDE:
        raise InputError(
            f"{path} is {width}x{height}: say which size the model shall see, at most {_LARGEST_SIDE} pixels a side, "
            "such as --image-size 96x96"
        )
    return height, width, channels
