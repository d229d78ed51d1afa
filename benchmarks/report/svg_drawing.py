"""What all charts are made of: the drawing with its words for screen readers, axes, markers, text."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence

from edgeport.benchmarks.report.html_elements import Child, element
from edgeport.benchmarks.report.svg_scales import Scale, text_width, tick_texts

# A chart is drawn once for each width of screen, as text that is scaled with a drawing is too small on a phone and too
# large on a desk; the stylesheet shows one of them.
WIDTHS = {"narrow": 316.0, "medium": 680.0, "wide": 1040.0}
FONT_SIZE = 12.5
_LINE = 16.0
_SHAPES = {
    "float32": "circle",
    "float16": "triangle",
    "dynamic": "diamond",
    "int8": "square",
    "int16x8": "plus",
}
_COLOURED_FORMATS = ("keras", "tflite", "onnx")


def chart(draw: Callable[[float, str], ET.Element], identifier: str, caption: Child = None) -> ET.Element:
    """Return a figure with a chart for each width of screen.

    Args:
        draw: Given a width and an identifier, returns the drawing.
        identifier: Of the chart; no other of the page may have it.
        caption: What stands below it.
    """
    boxes = (
        element("div", draw(width, f"{identifier}-{name}"), class_=f"drawing {name}") for name, width in WIDTHS.items()
    )
    return element("figure", *boxes, element("figcaption", caption) if caption is not None else None)


def drawing(
    identifier: str, size: tuple[float, float], title: str, description: str, *children: ET.Element | None
) -> ET.Element:
    """Return an SVG with its words for those who do not see it.

    Args:
        identifier: No other element of the page may have it.
        size: Width and height.
        title: What it is.
        description: What is to be seen.
        children: What is drawn.
    """
    width, height = size
    names = f"{identifier}-title", f"{identifier}-words"
    return element(
        "svg",
        element("title", title, id=names[0]),
        element("desc", description, id=names[1]),
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_labelledby=" ".join(names),
    )


def colour_class(format_name: str) -> str:
    """Return the CSS class that gives an element the colour of a format."""
    return f"c-{format_name}" if format_name in _COLOURED_FORMATS else "c-other"


def text(
    x: float, y: float, words: str, *, anchor: str = "start", class_: str = "label", size: float | None = None
) -> ET.Element:
    """Return a line of text whose baseline begins, has its middle or ends at a point."""
    return element("text", words, x=x, y=y, text_anchor=None if anchor == "start" else anchor, class_=class_,
                   font_size=size)  # fmt: skip


def line(start: tuple[float, float], end: tuple[float, float], *, class_: str) -> ET.Element:
    """Return a straight line."""
    return element("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=class_)


def rectangle(left: float, top: float, width: float, height: float, *, class_: str) -> ET.Element:
    """Return a rectangle."""
    return element("rect", x=left, y=top, width=max(width, 0.0), height=max(height, 0.0), class_=class_)


def polyline(points: Sequence[tuple[float, float]], *, class_: str) -> ET.Element:
    """Return lines from point to point."""
    return element("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), class_=class_)


def marker(x: float, y: float, precision: str, *, radius: float = 6.0, class_: str = "marker") -> ET.Element:
    """Return the mark of a precision, so that colour alone need not tell candidates apart."""
    shape = _SHAPES.get(precision, "circle")
    r = radius
    if shape == "circle":
        return element("circle", cx=x, cy=y, r=r, class_=class_)
    corners = {
        "triangle": ((0, -1.15 * r), (1.1 * r, 0.8 * r), (-1.1 * r, 0.8 * r)),
        "diamond": ((0, -1.25 * r), (1.25 * r, 0), (0, 1.25 * r), (-1.25 * r, 0)),
        "square": ((-0.9 * r, -0.9 * r), (0.9 * r, -0.9 * r), (0.9 * r, 0.9 * r), (-0.9 * r, 0.9 * r)),
        "plus": _plus(1.15 * r, 0.4 * r),
    }[shape]
    path = "M" + "L".join(f"{x + dx:.1f} {y + dy:.1f}" for dx, dy in corners) + "Z"
    return element("path", d=path, class_=class_)


def horizontal_axis(
    scale: Scale, top: float, bottom: float, words: str, *, width: float, most: int
) -> tuple[ET.Element, float]:
    """Return the grid, the ticks and the name of an axis below a plot, and the height of the drawing that it ends.

    Args:
        scale: Of the axis.
        top: Where the plot begins.
        bottom: Where it ends.
        words: What is measured, in which unit.
        width: Of the drawing.
        most: Ticks, at most.
    """
    parts = []
    ticks = scale.ticks(most)
    for value, told in zip(ticks, tick_texts(ticks), strict=True):
        x = scale(value)
        parts += [
            line((x, top), (x, bottom), class_="grid"),
            text(x, bottom + 18, told, anchor="middle", class_="tick"),
        ]
    lines = _wrapped(words, width - 12)
    half = max(text_width(each, FONT_SIZE) for each in lines) / 2
    # Below the middle of the plot, unless the words are too long for that.
    middle = min(max((scale.start + scale.end) / 2, half + 4), width - half - 4)
    for place, each in enumerate(lines):
        parts.append(text(middle, bottom + 38 + _LINE * place, each, anchor="middle", class_="axis"))
    return element("g", *parts), bottom + 30 + _LINE * len(lines)


def vertical_axis(scale: Scale, left: float, right: float, words: str, *, most: int) -> ET.Element:
    """Return the grid, the ticks and the name of an axis at the left of a plot; the name stands above it."""
    parts = []
    ticks = scale.ticks(most)
    for value, told in zip(ticks, tick_texts(ticks), strict=True):
        y = scale(value)
        parts += [
            line((left, y), (right, y), class_="grid"),
            text(left - 8, y + 4, told, anchor="end", class_="tick"),
        ]
    return element("g", *parts, text(0, min(scale.start, scale.end) - 14, words, class_="axis"))


def _wrapped(words: str, width: float) -> list[str]:
    """Return a text as lines that are no wider than there is room for."""
    lines: list[str] = []
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, FONT_SIZE) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _plus(long: float, short: float) -> tuple[tuple[float, float], ...]:
    quarter = ((short, -long), (short, -short), (long, -short), (long, short))
    half = (*quarter, (short, short), (short, long))
    return (*half, *((-x, -y) for x, y in half))
