"""What a data set is: images and labels in three splits that never change."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError
from edgeport.runtime.pictures.resizing import Resizing
from edgeport.runtime.terminal import steers, visible

Images = npt.NDArray[np.uint8]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set.

    Attributes:
        images: uint8 pixels, 0..255, of shape (n, height, width, channels).
        classes: int64 class numbers of shape (n,).
    """

    images: Images
    classes: Classes

    def __post_init__(self) -> None:
        if len(self.images) != len(self.classes) or not len(self):
            raise InputError(
                f"got {len(self.images)} images and {len(self.classes)} labels, "
                "expected as many of each, and at least one"
            )

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, count: int, *, seed: int) -> "Split":
        """Return ``count`` examples chosen at random without repeats (all of them if there are fewer)."""
        order = np.random.default_rng(seed).permutation(len(self))[:count]
        return Split(self.images[order], self.classes[order])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images to learn from (train), to choose the epoch by (validation) and to report on once (test).

    Attributes:
        name: The name that finds it again.
        train: What the weights are fitted to, and what quantization is calibrated with.
        validation: What the best epoch is chosen on.
        test: What the accuracy is reported on.
        labels: The name of each class.
        resizing: How pictures became images of this size; None where they came as arrays.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    resizing: Resizing | None = None

    def __post_init__(self) -> None:
        shape = self.train.images.shape[1:]
        if shape[-1] not in (1, 3):
            raise InputError(f"{self.name}: got images of {shape[-1]} channels, expected 1 (grey) or 3 (RGB)")
        for label in self.labels:
            if steers(label):
                raise InputError(
                    f"{visible(self.name)}: got the label '{visible(label)}', expected text without control characters "
                    "that every terminal can show: give the class (its folder) another name"
                )
        if len(set(self.labels)) != len(self.labels):
            raise InputError(f"{self.name}: got the same label for two classes, expected each to have its own")
        for name, split in self.splits.items():
            _check_split(split, f"{self.name} ({name})", shape, len(self.labels))

    @property
    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @cached_property
    def sha256(self) -> str:
        """The digest of every pixel and class number, split by split."""
        digest = hashlib.sha256()
        for split in self.splits.values():
            digest.update(str(split.images.shape).encode())
            digest.update(np.ascontiguousarray(split.images).data)
            digest.update(np.ascontiguousarray(split.classes.astype("<i8")).data)
        return digest.hexdigest()


def stratified(images: Images, classes: Classes, *, shares: tuple[float, ...], seed: int) -> list[Split]:
    """Cut examples into splits that each hold the same share of every class, in an order mixed by ``seed``.

    Args:
        images: uint8 of shape (n, height, width, channels).
        classes: int64 of shape (n,).
        shares: The share of each split; together 1.
        seed: The same seed gives the same splits on every machine.
    """
    random = np.random.default_rng(seed)
    parts: list[list[npt.NDArray[np.intp]]] = [[] for _ in shares]
    for number in np.unique(classes):
        members = random.permutation(np.flatnonzero(classes == number))
        cuts = np.rint(np.cumsum(shares[:-1]) * len(members)).astype(int)
        for part, chosen in zip(parts, np.split(members, cuts), strict=True):
            part.append(chosen)
    orders = [random.permutation(np.concatenate(part)) for part in parts]
    return [Split(images[order], classes[order]) for order in orders]


def _check_split(split: Split, name: str, shape: tuple[int, ...], class_count: int) -> None:
    if split.images.dtype != np.uint8 or split.images.ndim != 4 or split.images.shape[1:] != shape:
        raise InputError(
            f"{name}: got images {split.images.dtype} {split.images.shape}, "
            f"expected uint8 pixels of shape (n, {', '.join(map(str, shape))})"
        )
    if class_count < 2:
        raise InputError(f"{name}: got {class_count} class, expected at least 2")
    lowest, highest = int(split.classes.min()), int(split.classes.max())
    if lowest < 0 or highest >= class_count:
        raise InputError(f"{name}: got labels from {lowest} to {highest}, expected 0 to {class_count - 1}")
