"""Accuracy against latency: what is worth its time stands on the Pareto front."""

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeport.benchmarks.report.html_elements import element
from edgeport.benchmarks.report.svg_drawing import (
    FONT_SIZE,
    drawing,
    horizontal_axis,
    line,
    marker,
    polyline,
    text,
    vertical_axis,
)
from edgeport.benchmarks.report.svg_labels import Box, place_labels
from edgeport.benchmarks.report.svg_scales import Scale, fitted, scale_over, text_width


@dataclass(frozen=True)
class Spot:
    """One candidate in the plane.

    Attributes:
        name: Its label.
        precision: Decides its mark.
        class_: The CSS class of its colour.
        latency: Its latency, and the ends of the interval; the ends are the latency where there is none.
        accuracy: The same of its accuracy, in percent.
    """

    name: str
    precision: str
    class_: str
    latency: tuple[float, float, float]
    accuracy: tuple[float, float, float]


def pareto_front(spots: Sequence[Spot]) -> list[Spot]:
    """Return the candidates that no other one beats in both accuracy and latency, the fastest first."""
    front: list[Spot] = []
    for spot in sorted(spots, key=lambda spot: (spot.latency[0], -spot.accuracy[0])):
        if not front or spot.accuracy[0] > front[-1].accuracy[0]:
            front.append(spot)
    return front


def draw_scatter(spots: Sequence[Spot], width: float, identifier: str, *, unit: str, words: str) -> ET.Element:
    """Return the chart.

    Args:
        spots: At least one.
        width: Of the drawing.
        identifier: Of the drawing.
        unit: Of the latency.
        words: What is to be seen, for those who do not see it.
    """
    left, right, top, bottom = 52.0, width - 14, 30.0, min(max(0.48 * width, 380.0), 460.0)
    across = _latency_scale(spots, left, right, room=width > 500)
    up = scale_over([value for spot in spots for value in spot.accuracy], bottom, top, margin=0.06)
    front = pareto_front(spots)
    marks, obstacles = [], []
    for spot in spots:
        x, y = across(spot.latency[0]), up(spot.accuracy[0])
        ends = [across(end) for end in spot.latency[1:]], [up(end) for end in spot.accuracy[1:]]
        group = element(
            "g",
            line((x, ends[1][0]), (x, ends[1][1]), class_="interval"),
            line((ends[0][0], y), (ends[0][1], y), class_="interval"),
            marker(x, y, spot.precision, radius=7, class_="marker" if spot in front else "marker hollow"),
            class_=spot.class_,
        )
        marks.append(group)
        obstacles += [
            Box(x - 9, y - 9, x + 9, y + 9, weight=30),
            Box(x - 3, min(ends[1]), x + 3, max(ends[1]), weight=4),
        ]
    path = _front_path(front, across, up, right=right) if len(spots) > 1 else []
    for (x, y), (next_x, next_y) in itertools.pairwise(path):
        obstacles.append(Box(x - 2, min(y, next_y) - 3, next_x + 2, max(y, next_y) + 3, weight=3))
    leaders, labels = _labels(spots, front, across, up, obstacles, Box(left + 2, top, right, bottom - 2))
    words_below = f"p50 of one call on one image, {unit} (log scale)"
    axis, height = horizontal_axis(across, top, bottom, words_below, width=width, most=max(4, int(width / 75)))
    return drawing(
        identifier,
        (width, height),
        "Accuracy against latency",
        words,
        axis,
        vertical_axis(up, left, right, "top-1, % (better is up and to the left)", most=7),
        polyline(path, class_="front") if path else None,
        *leaders,
        *marks,
        *labels,
    )


def _latency_scale(spots: Sequence[Spot], left: float, right: float, *, room: bool) -> Scale:
    """Return the scale of latency, with room for the name of the fastest candidate at its left."""
    scale = scale_over([end for spot in spots for end in spot.latency], left, right, logarithmic=True, margin=0.08)
    if not room:
        return scale
    fastest = min(spots, key=lambda spot: spot.latency[0])
    missing = text_width(fastest.name, FONT_SIZE) + 24 - (scale(fastest.latency[0]) - left)
    share = min(max(missing, 0.0) / (right - left), 0.3)
    return replace(scale, low=scale.low * (scale.low / scale.high) ** (share / (1 - share)))


def _front_path(front: Sequence[Spot], across: Scale, up: Scale, *, right: float) -> list[tuple[float, float]]:
    """Return the line below and to the right of which every candidate is beaten by one of the front."""
    points: list[tuple[float, float]] = []
    for spot in front:
        x, y = across(spot.latency[0]), up(spot.accuracy[0])
        points += [(x, points[-1][1]), (x, y)] if points else [(x, y)]
    return [*points, (right, points[-1][1])]


def _labels(
    spots: Sequence[Spot], front: Sequence[Spot], across: Scale, up: Scale, obstacles: Sequence[Box], room: Box
) -> tuple[list[ET.Element], list[ET.Element]]:
    """Return thin lines to the names that are not close by their marks, and the names."""
    points = [(across(spot.latency[0]), up(spot.accuracy[0])) for spot in spots]
    names = [fitted(spot.name, FONT_SIZE, 0.5 * (room.right - room.left)) for spot in spots]
    sizes = [(text_width(name, FONT_SIZE) + 2, FONT_SIZE + 3) for name in names]
    leaders, labels = [], []
    boxes = place_labels(points, sizes, obstacles, room)
    for spot, name, (x, y), box in zip(spots, names, points, boxes, strict=True):
        near = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
        strange = any(box.distance(other) < box.distance((x, y)) + 4 for other in points if other != (x, y))
        if strange or box.distance((x, y)) > 14:
            leaders.append(line((x, y), near, class_="leader"))
        middle = (box.left + box.right) / 2
        class_ = "label strong halo" if spot in front else "label halo"
        labels.append(text(middle, box.bottom - 4, name, anchor="middle", class_=class_))
    return leaders, labels
