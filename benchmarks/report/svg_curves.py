"""Throughput over batch sizes: a curve for each candidate, with its name at its end."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from edgeport.benchmarks.report.html_elements import element
from edgeport.benchmarks.report.svg_drawing import (
    FONT_SIZE,
    drawing,
    line,
    marker,
    polyline,
    text,
    vertical_axis,
)
from edgeport.benchmarks.report.svg_scales import fitted, scale_over, text_width


@dataclass(frozen=True)
class Curve:
    """One candidate.

    Attributes:
        name: Its label.
        precision: Decides its mark.
        class_: The CSS class of its colour.
        points: Batch size and images per second, the least batch first.
    """

    name: str
    precision: str
    class_: str
    points: tuple[tuple[int, float], ...]


def draw_curves(curves: Sequence[Curve], width: float, identifier: str, *, title: str, words: str) -> ET.Element:
    """Return the chart; both its scales are logarithmic.

    Args:
        curves: At least one, each with a point or more.
        width: Of the drawing.
        identifier: Of the drawing.
        title: What it is.
        words: What is to be seen, for those who do not see it.
    """
    names = max(text_width(curve.name, FONT_SIZE) for curve in curves) + 16
    row = FONT_SIZE + 4
    height = max(300.0, row * len(curves) + 96)
    left, right, top, bottom = 62.0, width - min(names, 0.42 * width) - 12, 34.0, height - 46
    batches = sorted({batch for curve in curves for batch, _ in curve.points})
    across = scale_over([float(batch) for batch in batches], left, right, logarithmic=True, margin=0.04)
    up = scale_over([rate for curve in curves for _, rate in curve.points], bottom, top, logarithmic=True)
    parts = []
    ends = _apart([up(curve.points[-1][1]) for curve in curves], row, top, bottom)
    for curve, end in zip(curves, ends, strict=True):
        spots = [(across(batch), up(rate)) for batch, rate in curve.points]
        marks = (marker(x, y, curve.precision, radius=4.5) for x, y in spots)
        leader = line(spots[-1], (right + 8, end), class_="leader")
        parts += [
            element("g", leader, polyline(spots, class_="curve"), *marks, class_=curve.class_),
            text(right + 12, end + 4.5, fitted(curve.name, FONT_SIZE, width - right - 12), class_="label"),
        ]
    ticks = [text(across(batch), bottom + 18, f"{batch}", anchor="middle", class_="tick") for batch in batches]
    grid = [line((across(batch), top), (across(batch), bottom), class_="grid") for batch in batches]
    name = text((left + right) / 2, bottom + 37, "images a call", anchor="middle", class_="axis")
    axis = vertical_axis(up, left, right, "images per second (log scale)", most=8)
    return drawing(identifier, (width, height), title, words, *grid, *ticks, name, axis, *parts)


def _apart(places: Sequence[float], distance: float, top: float, bottom: float) -> list[float]:
    """Return coordinates near the given ones, in the same order, that are some distance from each other."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    found = [0.0] * len(places)
    last = top - distance
    for index in order:
        last = found[index] = max(places[index], last + distance)
    # What has been pushed beyond the bottom pushes those before it up again.
    limit = bottom
    for index in reversed(order):
        limit = found[index] = min(found[index], limit)
        limit -= distance
    return found
