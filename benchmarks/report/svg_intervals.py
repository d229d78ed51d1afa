"""A figure with its interval on each line: ratios, losses, and one artefact on several machines."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from edgeport.benchmarks.report.html_elements import element
from edgeport.benchmarks.report.svg_drawing import (
    FONT_SIZE,
    drawing,
    horizontal_axis,
    line,
    marker,
    rectangle,
    text,
)
from edgeport.benchmarks.report.svg_scales import fitted, scale_over, text_width


@dataclass(frozen=True)
class Dot:
    """A figure on a line.

    Attributes:
        value: The figure, and the ends of its interval.
        class_: The CSS class of its colour.
        precision: Decides its mark.
    """

    value: tuple[float, float, float]
    class_: str
    precision: str = ""


@dataclass(frozen=True)
class Line:
    """One line of the chart.

    Attributes:
        name: Its label.
        dots: What is on it.
        note: What stands at its right end.
    """

    name: str
    dots: tuple[Dot, ...]
    note: str = ""


def draw_intervals(
    lines: Sequence[Line],
    width: float,
    identifier: str,
    *,
    title: str,
    axis: str,
    words: str,
    logarithmic: bool = False,
    mark_at: float | None = None,
) -> ET.Element:
    """Return the chart.

    Args:
        lines: At least one, each with a dot or more.
        width: Of the drawing.
        identifier: Of the drawing.
        title: What it is.
        axis: What is measured, in which unit.
        words: What is to be seen, for those who do not see it.
        logarithmic: Whether equal distances are equal ratios.
        mark_at: Where nothing has changed.
    """
    beside = width > 500
    names = max(text_width(each.name, FONT_SIZE) for each in lines) + 16 if beside else 8.0
    notes = max(text_width(each.note, FONT_SIZE) for each in lines) + 16 if beside else 14.0
    notes = max(notes, 26.0)
    row = 26.0 if beside else 40.0
    top, bottom = 6.0, 10.0 + row * len(lines)
    values = [end for each in lines for dot in each.dots for end in dot.value]
    values += [] if mark_at is None else [mark_at]
    room = min(names, 0.42 * width) if beside else width - max(text_width(each.note, FONT_SIZE) for each in lines)
    scale = scale_over(values, room if beside else names, width - notes, logarithmic=logarithmic)
    parts = []
    for place, each in enumerate(lines):
        y = top + row * place + (row / 2 if beside else row - 10)
        label = (scale.start - 12, y + 4.5, "end") if beside else (2.0, y - 13, "start")
        if not beside:
            parts.append(rectangle(0, y - 26, width, 17, class_="band"))
        parts.append(
            text(label[0], label[1], fitted(each.name, FONT_SIZE, room - 14), anchor=label[2], class_="label halo")
        )
        for dot in each.dots:
            middle, low, high = (scale(value) for value in dot.value)
            parts.append(
                element(
                    "g",
                    line((low, y), (high, y), class_="interval thick"),
                    marker(middle, y, dot.precision, radius=5),
                    class_=dot.class_,
                )
            )
        note = (width - 2, y + 4.5) if beside else (width - 2, y - 13)
        parts.append(text(*note, each.note, anchor="end", class_="label halo"))
    mark = None if mark_at is None else line((scale(mark_at), top - 4), (scale(mark_at), bottom), class_="reference")
    axes, height = horizontal_axis(scale, top, bottom, axis, width=width, most=max(5, int(width / 85)))
    return drawing(identifier, (width, height), title, words, axes, mark, *parts)
