"""How latency is distributed: a strip for each candidate, with the medians of its processes below it."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.report.html_elements import element
from edgeport.benchmarks.report.svg_drawing import FONT_SIZE, drawing, horizontal_axis, line, rectangle, text
from edgeport.benchmarks.report.svg_scales import Scale, fitted, scale_over, text_width

Values = npt.NDArray[np.float64]

_HEIGHT = 30.0
_SHOWN_PERCENT = 99.0


@dataclass(frozen=True, eq=False)
class Strip:
    """The timed calls of one candidate.

    Attributes:
        name: Its label.
        class_: The CSS class of its colour.
        launches: The calls of each process, in the unit of the axis.
        p90: The 90th percentile; None where there are too few calls.
    """

    name: str
    class_: str
    launches: Sequence[Sequence[float]]
    p90: float | None

    @property
    def samples(self) -> Values:
        """All calls."""
        return np.concatenate([np.asarray(launch, np.float64) for launch in self.launches])

    @property
    def shown(self) -> Values:
        """The calls but for the slowest ones, which the operating system hit and which would make the axis long."""
        samples = self.samples
        shown: Values = samples[samples <= np.percentile(samples, _SHOWN_PERCENT)]
        return shown


def draw_strips(strips: Sequence[Strip], width: float, identifier: str, *, unit: str, words: str) -> ET.Element:
    """Return the chart; the slowest hundredth of the calls is left out of it.

    Args:
        strips: At least one.
        width: Of the drawing.
        identifier: Of the drawing.
        unit: Of the calls.
        words: What is to be seen, for those who do not see it.
    """
    beside = width > 500
    names = max(text_width(strip.name, FONT_SIZE) for strip in strips) + 14 if beside else 8.0
    row = _HEIGHT + (20 if beside else 36)
    top, bottom = 8.0, 8.0 + row * len(strips) + 4
    ends = [float(end) for strip in strips for end in (strip.shown.min(), strip.shown.max())]
    room = min(names, 0.4 * width) if beside else width
    scale = scale_over(ends, room if beside else names, width - 26, logarithmic=True, margin=0.03)
    parts: list[ET.Element | None] = []
    for place, strip in enumerate(strips):
        base = top + row * (place + 1) - 14
        label = (scale.start - 12, base - 6, "end") if beside else (scale.start, base - _HEIGHT - 6, "start")
        band = None if beside else rectangle(0, base - _HEIGHT - 19, width, 17, class_="band")
        name = fitted(strip.name, FONT_SIZE, room - 12)
        parts += [band, text(label[0], label[1], name, anchor=label[2], class_="label halo")]
        parts.append(_strip(strip, scale, base))
    axis, height = horizontal_axis(
        scale, top, bottom, f"one call on one image, {unit} (log scale)", width=width, most=max(4, int(width / 75))
    )
    return drawing(identifier, (width, height), "Distribution of latency", words, axis, *parts)


def _strip(strip: Strip, scale: Scale, base: float) -> ET.Element:
    """Return the density of one candidate, with lines at p50 and p90 and a dot for the median of each process."""
    edges = np.geomspace(scale.low, scale.high, max(80, int((scale.end - scale.start) / 2.5)))
    heights = np.histogram(strip.shown, bins=edges)[0].astype(np.float64)
    heights = np.convolve(heights, [0.25, 0.5, 0.25], mode="same")
    heights /= heights.max()
    held = np.flatnonzero(heights > 0)
    centres = np.sqrt(edges[:-1] * edges[1:])
    outline = [(scale(centres[place]), base - _HEIGHT * heights[place]) for place in range(held[0], held[-1] + 1)]
    path = "".join(f"L{x:.1f} {y:.1f}" for x, y in outline)
    start, end = outline[0][0] - 1.5, outline[-1][0] + 1.5
    median = scale(float(np.median(strip.samples)))
    lines = [line((median, base), (median, base - _HEIGHT - 3), class_="median")]
    if strip.p90 is not None:
        p90 = scale(strip.p90)
        lines.append(line((p90, base), (p90, base - _HEIGHT - 3), class_="ninety"))
    dots = (
        element("circle", cx=scale(float(np.median(launch))), cy=base + 6, r=2.2, class_="dot")
        for launch in strip.launches
    )
    return element(
        "g",
        element("path", d=f"M{start:.1f} {base:.1f}{path}L{end:.1f} {base:.1f}Z", class_="density"),
        *(dots if len(strip.launches) > 1 else ()),
        *lines,
        class_=strip.class_,
    )
