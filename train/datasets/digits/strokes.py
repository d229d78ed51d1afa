"""Digits as a pen would draw them: the lines of their ink, point by point."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Point = tuple[int, int]

STEPS = 40
_INK = 100
# Shorter ones are what thinning leaves at crossings.
_SHORTEST = 3
_AROUND = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]


def drawn(digits: Array) -> npt.NDArray[np.float32]:
    """Return digits as the way of a pen along the middle of their ink.

    A line is followed from its upper end, straight on at crossings, and the pen goes on at the nearest end of what is
    left. The points of all lines are thinned out, or repeated, to the same number.

    Args:
        digits: uint8 of shape (n, height, width), light on black.

    Returns:
        float32 of shape (n, 40, 3): row and column as shares of the picture's sides, and whether the pen came there on
        the paper (1) or was lifted (0).
    """
    sides = np.array(digits.shape[1:], np.float32)
    ways = [_way(line) for line in _thinned(digits > _INK)]
    steps = np.zeros((len(ways), STEPS, 3), np.float32)
    for step, strokes in zip(steps, ways, strict=True):
        points = np.array([point for stroke in strokes for point in stroke], np.float32)
        number = np.repeat(np.arange(len(strokes)), [len(stroke) for stroke in strokes])
        chosen = np.linspace(0, len(points) - 1, STEPS).round().astype(int)
        step[:, :2] = (points[chosen] + 0.5) / sides
        step[:, 2] = np.diff(number[chosen], prepend=-1) == 0
    return steps


def _thinned(ink: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the middle lines of pictures of (n, height, width), one pixel wide.

    Zhang and Suen, "A fast parallel algorithm for thinning digital patterns", 1984.
    """
    ink = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    while True:
        before = ink
        for corner in (0, 1):
            around = np.stack([np.roll(ink, (-row, -column), axis=(1, 2)) for row, column in _AROUND])
            count = around.sum(axis=0)
            rises = (~around & np.roll(around, -1, axis=0)).sum(axis=0)
            north, east, south, west = around[::2]
            kept = (north & east & south) | (east & south & west)
            if corner:
                kept = (north & east & west) | (north & south & west)
            ink = ink & ~((count >= 2) & (count <= 6) & (rises == 1) & ~kept)
        if np.array_equal(ink, before):
            return ink[:, 1:-1, 1:-1]


def _way(line: npt.NDArray[np.bool_]) -> list[list[Point]]:
    """Return the strokes that draw a line of single pixels, each a list of points."""
    left = {(int(row), int(column)) for row, column in np.argwhere(line)}
    strokes: list[list[Point]] = []
    while left:
        ends = [point for point in left if len(_neighbours(point, left)) <= 1] or list(left)
        last = strokes[-1][-1] if strokes else (0, line.shape[1] // 2)
        # Ties go to the upper one, then to the one on the left, so that the way is the same everywhere.
        point = min(ends, key=lambda end: (_distance(end, last) if strokes else end[0], end))
        stroke = [point]
        left.remove(point)
        while nearby := _neighbours(point, left):
            # Straight on: the neighbour that lies farthest from where the pen was two points ago.
            behind = stroke[-2] if len(stroke) > 1 else (point[0] - 1, point[1])
            point = max(nearby, key=lambda each: (_distance(each, behind), each))
            stroke.append(point)
            left.remove(point)
        strokes.append(stroke)
    long = [stroke for stroke in strokes if len(stroke) >= _SHORTEST]
    return long or [max(strokes, key=len)]


def _neighbours(point: Point, among: set[Point]) -> list[Point]:
    return [each for row, column in _AROUND if (each := (point[0] + row, point[1] + column)) in among]


def _distance(one: Point, other: Point) -> int:
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2
