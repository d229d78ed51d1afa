"""Labels beside their points that run into nothing, and how wide a text will be."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_DIRECTIONS = [angle * math.pi / 8 for angle in (0, 8, 14, 2, 10, 6, 12, 4, 15, 1, 9, 7, 13, 3, 11, 5)]
# In the unit of all costs: what a line through a mark or a label costs, a label over another one, and one that is
# nearer to the mark of another candidate than to its own.
_CROSSING, _COVERING, _STRANGER = 1500.0, 20000.0, 700.0
# Of sans-serif fonts, on the generous side: fonts differ, and labels must not run into each other in any.
_CHARACTER, _WIDE, _THIN = 0.62, 0.78, 0.39
_WIDE_ONES = frozenset("ABCDEFGHKMNOPQRUVWXYZmw_%\u2026")
_THIN_ONES = frozenset("fijlrtI.,:;'|()[] \u202f\u2013")
_DISTANCES = (14.0, 24.0, 38.0, 56.0, 78.0, 104.0, 134.0, 170.0, 215.0, 270.0)


@dataclass(frozen=True)
class Box:
    """A rectangle along the axes.

    Attributes:
        left: Its left side.
        top: Its upper side, which has the smaller coordinate.
        right: Its right side.
        bottom: Its lower side.
        weight: How bad it is to cover it.
    """

    left: float
    top: float
    right: float
    bottom: float
    weight: float = 1.0

    def overlap(self, other: "Box") -> float:
        """Return the area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width * height if width > 0 and height > 0 else 0.0

    def distance(self, point: tuple[float, float]) -> float:
        """Return how far a point is from the nearest one of the box."""
        x, y = point
        return math.hypot(max(self.left - x, 0.0, x - self.right), max(self.top - y, 0.0, y - self.bottom))

    def holds(self, other: "Box") -> bool:
        """Return whether all of another box lies in it."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    obstacles: Sequence[Box],
    room: Box,
) -> list[Box]:
    """Return where the label of each point goes: near it, clear of the other labels, and of obstacles if it can be.

    Args:
        points: What is labelled.
        sizes: Width and height of each label.
        obstacles: What labels had better not cover.
        room: Where labels may be.
    """
    placed: dict[int, Box] = {}

    def crowd(index: int) -> float:
        x, y = points[index]
        return sum(math.hypot(x - other[0], y - other[1]) < 60 for other in points)

    marks = [Box(x - 8, y - 8, x + 8, y + 8) for x, y in points]
    for index in sorted(range(len(points)), key=crowd, reverse=True):
        others = [Box(box.left - 3, box.top - 1, box.right + 3, box.bottom + 1) for box in placed.values()]
        best = min(
            _candidates(points[index], sizes[index], room),
            key=lambda found: (
                found[1]
                + sum(found[0].overlap(box) * box.weight for box in obstacles)
                + sum(_COVERING + found[0].overlap(box) for box in others if found[0].overlap(box))
                + _STRANGER * sum(
                    found[0].distance(other) < found[0].distance(points[index]) + 4
                    for place, other in enumerate(points)
                    if place != index
                )
                + _CROSSING * _crossed(points[index], found[0], [*others, *marks[:index], *marks[index + 1 :]])
            ),
            default=(_clamped(Box(*points[index], points[index][0] + sizes[index][0],
                                  points[index][1] + sizes[index][1]), room), 0.0),
        )  # fmt: skip
        placed[index] = best[0]
    return [placed[index] for index in range(len(points))]


def _candidates(point: tuple[float, float], size: tuple[float, float], room: Box) -> Iterator[tuple[Box, float]]:
    """Yield boxes around a point that lie in the room, each with the cost of its place."""
    width, height = size
    for rank, distance in enumerate(_DISTANCES):
        for preference, angle in enumerate(_DIRECTIONS):
            x = point[0] + distance * math.cos(angle)
            y = point[1] + distance * math.sin(angle)
            # At a side the nearest edge of the label is at the distance, above and below its middle is.
            left = x - width * (1 - math.cos(angle)) / 2
            box = Box(left, y - height / 2, left + width, y + height / 2)
            if room.holds(box):
                yield box, 60.0 * rank * rank + 25.0 * rank + 3.0 * preference


def _crossed(point: tuple[float, float], label: Box, boxes: Sequence[Box]) -> int:
    """Return how many boxes the line from a point to its label runs through."""
    x, y = point
    end_x, end_y = min(max(x, label.left), label.right), min(max(y, label.top), label.bottom)
    steps = [step / 12 for step in range(1, 12)]
    on_line = [(x + (end_x - x) * step, y + (end_y - y) * step) for step in steps]
    return sum(
        any(box.left < a < box.right and box.top < b < box.bottom for a, b in on_line)
        for box in boxes
        if not box.left < x < box.right or not box.top < y < box.bottom
    )


def _clamped(box: Box, room: Box) -> Box:
    left = max(room.left, min(box.left, room.right - (box.right - box.left)))
    top = max(room.top, min(box.top, room.bottom - (box.bottom - box.top)))
    return Box(left, top, left + box.right - box.left, top + box.bottom - box.top)


def text_width(text: str, size: float) -> float:
    """Return about how wide a text is.

    Args:
        text: One line.
        size: The font size.
    """
    widths = (_WIDE if one in _WIDE_ONES else _THIN if one in _THIN_ONES else _CHARACTER for one in text)
    return size * sum(widths)


def fitted(text: str, size: float, width: float) -> str:
    """Return a text, cut in its middle if it is wider than there is room for.

    Args:
        text: One line.
        size: The font size.
        width: How wide it may be.
    """
    cut, kept = text, len(text)
    while text_width(cut, size) > width and kept > 3:
        kept -= 1
        cut = f"{text[: (kept + 1) // 2]}\u2026{text[len(text) - kept // 2 :]}"
    return cut
