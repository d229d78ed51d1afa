"""Bars from left to right: in one piece, in pieces that add up, and small lines of how a figure went."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from edgeport.benchmarks.report.svg_drawing import (
    FONT_SIZE,
    drawing,
    horizontal_axis,
    polyline,
    rectangle,
    text,
)
from edgeport.benchmarks.report.svg_scales import Scale, fitted, text_width


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        name: Its label.
        pieces: Length and CSS class of each piece, from left to right.
        note: What stands at its end.
    """

    name: str
    pieces: tuple[tuple[float, str], ...]
    note: str

    @property
    def length(self) -> float:
        """Of all pieces."""
        return sum(length for length, _ in self.pieces)


def draw_bars(bars: Sequence[Bar], width: float, identifier: str, *, title: str, axis: str, words: str) -> ET.Element:
    """Return the chart.

    Args:
        bars: At least one.
        width: Of the drawing.
        identifier: Of the drawing.
        title: What it is.
        axis: What is measured, in which unit.
        words: What is to be seen, for those who do not see it.
    """
    beside = width > 500
    names = max(text_width(bar.name, FONT_SIZE) for bar in bars) + 14 if beside else 8.0
    notes = max(text_width(bar.note, FONT_SIZE) for bar in bars) + 14
    row, thick = (28.0, 16.0) if beside else (42.0, 14.0)
    top, bottom = 6.0, 8.0 + row * len(bars)
    longest = max((bar.length for bar in bars), default=0.0) or 1.0
    room = min(names, 0.42 * width) if beside else width
    scale = Scale(0.0, longest, room if beside else names, width - notes)
    parts = []
    for place, bar in enumerate(bars):
        middle = top + row * place + (row / 2 if beside else row - thick / 2 - 4)
        label = (scale.start - 10, middle + 4.5, "end") if beside else (2.0, middle - thick / 2 - 6, "start")
        if not beside:
            parts.append(rectangle(0, middle - thick / 2 - 20, width, 17, class_="band"))
        parts.append(
            text(label[0], label[1], fitted(bar.name, FONT_SIZE, room - 12), anchor=label[2], class_="label halo")
        )
        done = 0.0
        for length, class_ in bar.pieces:
            left, right = scale(done), scale(done + length)
            parts.append(rectangle(left, middle - thick / 2, max(right - left, 0.75), thick, class_=f"bar {class_}"))
            done += length
        parts.append(text(scale(done) + 7, middle + 4.5, bar.note, class_="label halo"))
    axes, height = horizontal_axis(scale, top, bottom, axis, width=width, most=max(3, int(width / 110)))
    return drawing(identifier, (width, height), title, words, axes, *parts)


def draw_spark(values: Sequence[float], identifier: str, *, title: str, words: str) -> ET.Element:
    """Return a line, small enough for a cell, of how a figure went; its scale begins at 0 if that is near."""
    width, height = 150.0, 30.0
    low, high = min(values), max(values)
    low = 0.0 if low <= 0.6 * high else low - 0.25 * (high - low)
    up = Scale(low, max(high, low + 1e-9), height - 3, 3)
    step = (width - 6) / max(len(values) - 1, 1)
    points = [(3 + step * place, up(value)) for place, value in enumerate(values)]
    if len(points) == 1:
        points.append((width - 3, points[0][1]))
    return drawing(identifier, (width, height), title, words, polyline(points, class_="spark"))
