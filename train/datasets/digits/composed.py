"""Data sets of other tasks than one class a picture, composed from the digits of mnist-5k: ``digits:TASK``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import unknown_name
from edgeport.runtime.samples.array_names import ONLY
from edgeport.train.datasets.data import Data, Part
from edgeport.train.datasets.dataset import Split
from edgeport.train.datasets.digits.scenes import MOST_DIGITS, SIDE, compose
from edgeport.train.datasets.digits.strokes import drawn
from edgeport.train.datasets.mnist_5k import load_mnist_5k

_PREFIX = "digits:"
_DIGITS = tuple(map(str, range(10)))
# The digit that no anomaly detector has seen, and how far digits are turned either way, in degrees.
UNSEEN, TURN = 2, 45.0

Array = npt.NDArray[Any]
Random = np.random.Generator


@dataclass(frozen=True)
class Composed:
    """One task.

    Attributes:
        compose: From the digits of a split and random numbers to its samples and what is true of them.
        labels: The names of its classes; empty if it has none.
        anomalies: Whether ``UNSEEN`` is left out of what is trained on, and is all in the test split.
    """

    compose: Callable[[Split, Random], Part]
    labels: tuple[str, ...] = ()
    anomalies: bool = False


def is_composed(source: str) -> bool:
    """Return whether a source is ``digits:TASK``."""
    return source.startswith(_PREFIX)


def load_composed(source: str, *, seed: int = 0) -> Data:
    """Return the train, validation and test samples of a task; a digit of one split is in none of the others.

    Args:
        source: ``digits:`` and a row of ``TASKS``.
        seed: Of the random numbers that compose them; the same seed gives the same samples.

    Raises:
        InputError: There is no such task.

    Examples:
        >>> from edgeport.train.datasets.digits.composed import load_composed
        >>> test = load_composed("digits:boxes").parts["test"]
        >>> test.inputs[""].shape, test.targets.shape
        ((500, 48, 48, 1), (500, 3, 5))
    """
    task = TASKS.get(source.removeprefix(_PREFIX))
    if task is None:
        raise unknown_name("data set", source, [_PREFIX + name for name in TASKS])
    digits = load_mnist_5k().splits
    if task.anomalies:
        digits = _with_unseen(digits["train"], digits["validation"], digits["test"])
    parts = {
        name: task.compose(split, np.random.default_rng((seed, place)))
        for place, (name, split) in enumerate(digits.items())
    }
    return Data(source, parts, task.labels)


def _with_unseen(train: Split, validation: Split, test: Split) -> dict[str, Split]:
    """Return the splits with ``UNSEEN`` in the test split alone, which has all of it: the others never see one."""
    unseen = [(split.samples[at], split.classes[at]) for split in (train, validation) for at in [_unseen(split)]]
    samples, classes = (np.concatenate(each) for each in zip((test.samples, test.classes), *unseen, strict=True))
    seen = [Split(split.samples[~at], split.classes[~at]) for split in (train, validation) for at in [_unseen(split)]]
    return {"train": seen[0], "validation": seen[1], "test": Split(samples, classes)}


def _unseen(split: Split) -> npt.NDArray[np.bool_]:
    return np.asarray(split.classes == UNSEEN)


def _boxes(split: Split, random: Random) -> Part:
    scenes = compose(split, random)
    boxes = np.full((len(scenes), MOST_DIGITS, 5), -1, np.float32)
    for row, scene in zip(boxes, scenes, strict=True):
        for place, (digit, edges) in enumerate(zip(scene.classes, scene.edges, strict=True)):
            row[place] = digit, *(edge / SIDE for edge in edges)
    return Part({ONLY: np.stack([scene.pixels for scene in scenes])}, boxes)


def _masks(split: Split, random: Random) -> Part:
    scenes = compose(split, random)
    return Part({ONLY: np.stack([scene.pixels for scene in scenes])}, np.stack([scene.mask for scene in scenes]))


def _labels(split: Split, random: Random) -> Part:
    scenes = compose(split, random)
    there = np.zeros((len(scenes), len(_DIGITS)), np.int64)
    for row, scene in zip(there, scenes, strict=True):
        row[list(scene.classes)] = 1
    return Part({ONLY: np.stack([scene.pixels for scene in scenes])}, there)


def _angle(split: Split, random: Random) -> Part:
    # Pillow is nothing that a list of names should cost.
    from PIL import Image

    angles = random.uniform(-TURN, TURN, len(split)).astype(np.float32)
    turned = [
        np.asarray(Image.fromarray(sample[..., 0]).rotate(float(angle), resample=Image.Resampling.BILINEAR))
        for sample, angle in zip(split.samples, angles, strict=True)
    ]
    return Part({ONLY: np.stack(turned)[..., np.newaxis]}, angles[:, np.newaxis])


def _anomaly(split: Split, random: Random) -> Part:
    # What is seen in training has nothing to answer: an autoencoder learns what is usual from samples alone.
    unseen = _unseen(split)
    return Part({ONLY: split.samples}, unseen.astype(np.int64) if unseen.any() else None)


def _strokes(split: Split, random: Random) -> Part:
    steps = drawn(split.samples[..., 0])
    return Part({ONLY: steps}, np.repeat(split.classes[:, np.newaxis], steps.shape[1], axis=1))


TASKS: dict[str, Composed] = {
    "boxes": Composed(_boxes, _DIGITS),
    "masks": Composed(_masks, ("background", *_DIGITS)),
    "labels": Composed(_labels, _DIGITS),
    "angle": Composed(_angle),
    "anomaly": Composed(_anomaly, anomalies=True),
    "strokes": Composed(_strokes, _DIGITS),
}
