"""Several digits in one picture: where each is, and which places its ink covers, is known to the pixel."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.train.datasets.dataset import Split

# Pixels of a scene's side, and how many digits it has at most.
SIDE, MOST_DIGITS = 48, 3
# How often a free place is looked for before a scene goes without the digit.
_TRIES = 50

Edges = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture of one to three digits that do not touch.

    Attributes:
        pixels: uint8 of shape (48, 48, 1), light ink on black.
        classes: Which digits are there.
        edges: Of each its top, left, bottom and right edge in pixels, close around the ink; the last two lie behind it.
        mask: uint8 of shape (48, 48): 0 without ink, else one more than the digit whose ink it is.
    """

    pixels: npt.NDArray[np.uint8]
    classes: tuple[int, ...]
    edges: tuple[Edges, ...]
    mask: npt.NDArray[np.uint8]


def compose(split: Split, random: np.random.Generator) -> list[Scene]:
    """Return as many scenes as a split has digits, each of one to three of these, drawn at random.

    Args:
        split: Digits of (n, 28, 28, 1), light on black.
        random: Decides which digits go where.
    """
    return [_scene(split, random) for _ in range(len(split))]


def _scene(split: Split, random: np.random.Generator) -> Scene:
    pixels, mask = np.zeros((SIDE, SIDE, 1), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    classes: list[int] = []
    edges: list[Edges] = []
    for index in random.integers(len(split), size=random.integers(1, MOST_DIGITS + 1)):
        ink, digit = _ink(split.samples[index, ..., 0]), int(split.classes[index])
        found = _free_place(ink.shape, edges, random)
        if found is None:
            continue
        top, left, bottom, right = found
        pixels[top:bottom, left:right, 0] = ink
        mask[top:bottom, left:right] = np.where(ink > 0, digit + 1, 0)
        classes.append(digit)
        edges.append(found)
    return Scene(pixels, tuple(classes), tuple(edges), mask)


def _ink(digit: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the part of a digit's picture that has ink."""
    rows, columns = (np.flatnonzero(digit.any(axis=axis)) for axis in (1, 0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _free_place(size: tuple[int, ...], taken: list[Edges], random: np.random.Generator) -> Edges | None:
    height, width = size
    for _ in range(_TRIES):
        top, left = int(random.integers(SIDE - height + 1)), int(random.integers(SIDE - width + 1))
        found = top, left, top + height, left + width
        if not any(_overlap(found, other) for other in taken):
            return found
    return None


def _overlap(one: Edges, other: Edges) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
