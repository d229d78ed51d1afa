"""What a data set is: samples and labels in splits that never change."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError
from edgeport.runtime.host.terminal import steers, visible
from edgeport.runtime.samples.pictures.resizing import Resizing

Samples = npt.NDArray[Any]
Classes = npt.NDArray[np.int64]
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set.

    Attributes:
        samples: uint8 pixels, 0..255, of shape (n, height, width, channels), or float32 of shape (n, ...).
        classes: int64 class numbers of shape (n,).
    """

    samples: Samples
    classes: Classes

    def __post_init__(self) -> None:
        if len(self.samples) != len(self.classes) or not len(self):
            raise InputError(
                f"got {len(self.samples)} samples and {len(self.classes)} labels, "
                "expected as many of each, and at least one"
            )

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, count: int, *, seed: int) -> "Split":
        """Return ``count`` examples chosen at random without repeats (all of them if there are fewer)."""
        order = np.random.default_rng(seed).permutation(len(self))[:count]
        return Split(self.samples[order], self.classes[order])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples to learn from (train), to choose the epoch by (validation) and to report on once (test).

    Attributes:
        name: The name that finds it again.
        splits: Some or all of ``train``, which the weights are fitted to and quantization is calibrated with;
            ``validation``, which the best epoch is chosen on; ``test``, which the accuracy is reported on.
        labels: The name of each class.
        resizing: How pictures became images of this size; None where they came as arrays.
        columns: What a table calls the numbers of a row, in their order; empty if it does not name them.
    """

    name: str
    splits: Mapping[str, Split]
    labels: tuple[str, ...]
    resizing: Resizing | None = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.is_pixels and self.sample_shape[-1] not in (1, 3):
            raise InputError(f"{self.name}: got images of {self.sample_shape[-1]} channels, expected 1 or 3 (RGB)")
        for label in self.labels:
            if steers(label):
                raise InputError(
                    f"{visible(self.name)}: got the label '{visible(label)}', expected text without control characters "
                    "that every terminal can show: give the class (its folder) another name"
                )
        if len(set(self.labels)) != len(self.labels):
            raise InputError(f"{self.name}: got the same label for two classes, expected each to have its own")
        for name, split in self.splits.items():
            _check_split(split, f"{self.name} ({name})", self._first.samples, len(self.labels))

    @property
    def train(self) -> Split:
        """What the weights are fitted to; raises InputError if there is none, as the others do."""
        return self._split("train")

    @property
    def validation(self) -> Split:
        """What the best epoch is chosen on."""
        return self._split("validation")

    @property
    def test(self) -> Split:
        """What the accuracy is reported on."""
        return self._split("test")

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of every sample: (height, width, channels) of images."""
        return tuple(self._first.samples.shape[1:])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image; raises InputError if the samples are none."""
        if not self.is_pixels:
            raise InputError(
                f"data set {self.name}: got samples {self._first.samples.dtype} (n, "
                f"{', '.join(map(str, self.sample_shape))}), expected uint8 images, which this model is for"
            )
        height, width, channels = self.sample_shape
        return height, width, channels

    @property
    def is_pixels(self) -> bool:
        """Whether its samples are images of uint8, and not real numbers."""
        return self._first.samples.dtype == np.uint8

    @property
    def noun(self) -> str:
        """What people call its samples."""
        return "images" if self.is_pixels else "samples"

    @property
    def _first(self) -> Split:
        return next(self.splits[name] for name in SPLITS if name in self.splits)

    def _split(self, name: str) -> Split:
        if name not in self.splits:
            raise InputError(
                f"data set {self.name}: got {' and '.join(self.splits)} samples alone, expected {name} samples too"
            )
        return self.splits[name]

    @cached_property
    def sha256(self) -> str:
        """The digest of every pixel and class number, split by split."""
        digest = hashlib.sha256()
        for split in (self.splits[name] for name in SPLITS if name in self.splits):
            digest.update(str(split.samples.shape).encode())
            digest.update(np.ascontiguousarray(split.samples).data)
            digest.update(np.ascontiguousarray(split.classes.astype("<i8")).data)
        return digest.hexdigest()


def stratified(samples: Samples, classes: Classes, *, shares: tuple[float, ...], seed: int) -> list[Split]:
    """Cut examples into splits that each hold the same share of every class, in an order mixed by ``seed``.

    Args:
        samples: An array of shape (n, ...).
        classes: int64 of shape (n,).
        shares: The share of each split; together 1.
        seed: The same seed gives the same splits on every machine.
    """
    orders = stratified_places(classes, shares=shares, seed=seed)
    return [Split(samples[order], classes[order]) for order in orders]


def stratified_places(classes: Classes, *, shares: tuple[float, ...], seed: int) -> list[npt.NDArray[np.intp]]:
    """Return the places of each split that ``stratified`` cuts."""
    random = np.random.default_rng(seed)
    parts: list[list[npt.NDArray[np.intp]]] = [[] for _ in shares]
    for number in np.unique(classes):
        members = random.permutation(np.flatnonzero(classes == number))
        cuts = np.rint(np.cumsum(shares[:-1]) * len(members)).astype(int)
        for part, chosen in zip(parts, np.split(members, cuts), strict=True):
            part.append(chosen)
    return [random.permutation(np.concatenate(part)) for part in parts]


def _check_split(split: Split, name: str, like: Samples, class_count: int) -> None:
    pixels = like.dtype == np.uint8
    rank_fits = like.ndim == 4 if pixels else like.dtype == np.float32
    if split.samples.dtype != like.dtype or split.samples.shape[1:] != like.shape[1:] or not rank_fits:
        expected = "uint8 pixels" if pixels else "float32"
        raise InputError(
            f"{name}: got samples {split.samples.dtype} {split.samples.shape}, "
            f"expected {expected} of shape (n, {', '.join(map(str, like.shape[1:]))})"
        )
    if class_count < 2:
        raise InputError(f"{name}: got {class_count} class, expected at least 2")
    lowest, highest = int(split.classes.min()), int(split.classes.max())
    if lowest < 0 or highest >= class_count:
        raise InputError(f"{name}: got labels from {lowest} to {highest}, expected 0 to {class_count - 1}")
