"""All charts, drawn by matplotlib: as SVG whose text stays text and whose colours are those of the page, and as PNG."""

import io
import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from edgeport.benchmarks.report.charts.axes import (
    BESIDE,
    COLOURS,
    GRID,
    INK,
    MUTED,
    PAPER,
    TEXT,
    linear,
    linear_up,
    log_ticks,
    logarithmic,
    name_axis,
    new_axes,
    one_line,
    row_axes,
    widened,
    write,
    write_row,
)
from edgeport.benchmarks.report.charts.data import (
    Bars,
    Cloud,
    Curves,
    Dot,
    Histograms,
    Intervals,
    Layers,
    Plot,
    Scatter,
    Spark,
    Spot,
    Strip,
    Strips,
)
from edgeport.benchmarks.report.charts.labels import Box, fitted, place_labels, text_width
from edgeport.benchmarks.report.charts.layers import draw_layers
from edgeport.benchmarks.report.charts.plots import cloud, histograms, plot

# A chart is laid out for each width of screen, as text that is scaled with a drawing is too small on a phone and too
# large on a desk; the stylesheet shows one of them. In CSS pixels, which are matplotlib's points here.
WIDTHS = {"narrow": 316.0, "medium": 690.0, "wide": 1040.0}
_SPARK = 150.0, 30.0
_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "edgeport", "text.parse_math": False, "font.family": "sans-serif"}
_PNG_DPI = 144


@rc_context(_SETTINGS)
def svg_of(data: Any, width: float) -> str:
    """Return a chart as SVG of so many CSS pixels, as matplotlib writes it."""
    content = io.StringIO()
    _saved(_drawn(data, width), content, format="svg", metadata={"Date": None}, transparent=True)
    return content.getvalue()


@rc_context(_SETTINGS)
def png_of(data: Any, *, title: str, legend: Sequence[tuple[str, str, str]] = ()) -> bytes:
    """Return a chart of middle width as PNG, with a title and a legend, since no page says what it is."""
    width = WIDTHS["medium"]
    figure = _drawn(data, width)
    height = figure.get_figheight() * 72
    start = 8.0
    for colour, _, name in legend:
        figure.text(start / width, 1.0, "\u25a0", va="bottom", fontsize=TEXT, color=COLOURS[colour])
        figure.text((start + 16) / width, 1.0, name, va="bottom", fontsize=TEXT, color=INK)
        start += text_width(name, TEXT) + 36
    top = 1.0 + (24 / height if legend else 0.0)
    figure.text(0.5, top, title, ha="center", va="bottom", fontsize=TEXT, color=INK, fontweight="bold")
    for text in figure.findobj(Text):
        # As the page's stylesheet has it: names stand clear of the lines that they cross.
        text.set_path_effects([withStroke(linewidth=3, foreground=PAPER)])
    content = io.BytesIO()
    _saved(figure, content, format="png", dpi=_PNG_DPI, bbox_inches="tight", facecolor=PAPER, metadata={"Software": ""})
    return content.getvalue()


def _saved(figure: Figure, content: Any, **options: Any) -> None:
    with warnings.catch_warnings():
        # A name in a script that matplotlib's font lacks; a browser has one for it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(content, **options)


def _drawn(data: Any, width: float) -> Figure:
    draw: dict[type, Callable[[Any, float], Figure]] = {
        Scatter: _scatter, Intervals: _intervals, Strips: _strips, Bars: _bars, Curves: _curves, Spark: _spark,
        Layers: draw_layers,
        Cloud: cloud, Plot: plot, Histograms: histograms,
    }  # fmt: skip
    return draw[type(data)](data, width)


def _scatter(data: Scatter, width: float) -> Figure:
    height = min(max(0.5 * width, 380.0), 460.0)
    axes = new_axes(width, height, left=52, right=14, top=30, bottom=54)
    spots, beside = data.spots, width > BESIDE
    logarithmic(axes, [end for spot in spots for end in spot.latency], most=max(4, int(width / 75)))
    linear_up(axes, [end for spot in spots for end in spot.accuracy])
    if beside:
        # Room for the name of the fastest at its left.
        low, high = axes.get_xlim()
        axes.set_xlim(low * (low / high) ** 0.12, high)
        log_ticks(axes, *axes.get_xlim(), most=int(width / 75))
    for spot in spots:
        (x, *across), (y, *up) = spot.latency, spot.accuracy
        colour = COLOURS[spot.colour]
        for ends in ((across, (y, y)), ((x, x), up)):
            axes.plot(*ends, color=colour, linewidth=1.4, alpha=0.75, zorder=2)
        filled: dict[str, Any] = {"markerfacecolor": colour, "markeredgecolor": PAPER, "markeredgewidth": 1.2}
        hollow: dict[str, Any] = {"markerfacecolor": PAPER, "markeredgecolor": colour, "markeredgewidth": 2}
        axes.plot(x, y, spot.mark, markersize=13, zorder=3, **(filled if spot.front else hollow))
    front = sorted((spot for spot in spots if spot.front), key=lambda spot: spot.latency[0])
    if len(spots) > 1:
        # Each step stands at the accuracy of the best candidate that is at least as fast.
        steps = [*(spot.latency[0] for spot in front), axes.get_xlim()[1]]
        levels = [spot.accuracy[0] for spot in front]
        axes.step(steps, [*levels, levels[-1]], where="post", color=INK, linewidth=1.3, dashes=(4, 3), alpha=0.55,
                  zorder=1)  # fmt: skip
    axes.grid(axis="y", color=GRID, linewidth=1)
    _names(axes, spots, front, width, height)
    name_axis(axes, f"p50 of one call on one image, {data.unit} (log scale)", width)
    write(axes, "top-1, % (better is up and to the left)", (-48, 14), at=(0, 1))
    return axes.figure  # type: ignore[return-value]


def _names(axes: Axes, spots: Sequence[Spot], front: Sequence[Spot], width: float, height: float) -> None:
    """Write each name near its mark and clear of the others, with a thin line where it is not close by."""

    def pixel(x: float, y: float) -> tuple[float, float]:
        across, up = axes.transData.transform((x, y))
        return float(across), height - float(up)

    def place(x: float, y: float) -> Any:
        return axes.transData.inverted().transform((x, height - y))

    points = [pixel(spot.latency[0], spot.accuracy[0]) for spot in spots]
    obstacles = []
    for (x, y), spot in zip(points, spots, strict=True):
        ends = sorted(pixel(spot.latency[0], end)[1] for end in spot.accuracy)
        obstacles += [Box(x - 9, y - 9, x + 9, y + 9, weight=30), Box(x - 3, ends[0], x + 3, ends[-1], weight=4)]
    steps = [pixel(spot.latency[0], spot.accuracy[0]) for spot in front]
    for (x, y), (next_x, _) in itertools.pairwise([*steps, (width, steps[-1][1])]):
        obstacles.append(Box(x - 2, y - 3, next_x + 2, y + 3, weight=8))
    room = Box(54, 30, width - 14, height - 56)
    names = [fitted(one_line(spot.name), TEXT, 0.5 * (room.right - room.left)) for spot in spots]
    boxes = place_labels(points, [(text_width(name, TEXT) + 2, TEXT + 3) for name in names], obstacles, room)
    for spot, name, (x, y), box in zip(spots, names, points, boxes, strict=True):
        near = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
        strange = any(box.distance(other) < box.distance((x, y)) + 4 for other in points if other != (x, y))
        if strange or box.distance((x, y)) > 14:
            (start_x, start_y), (end_x, end_y) = place(x, y), place(*near)
            axes.plot((start_x, end_x), (start_y, end_y), color=MUTED, linewidth=0.8, alpha=0.7, zorder=2)
        x, y = place((box.left + box.right) / 2, box.bottom - 4)
        axes.text(x, y, name, ha="center", va="baseline", fontsize=TEXT,
                  color=INK, fontweight="bold" if spot.front else "normal", gid="label", zorder=4)  # fmt: skip


def _intervals(data: Intervals, width: float) -> Figure:
    beside = width > BESIDE
    row = 26.0 if beside else 40.0
    values = [end for line in data.lines for dot in line.dots for end in dot.value]
    values += [] if data.mark_at is None else [data.mark_at]
    axes = row_axes(
        [line.name for line in data.lines], [line.note for line in data.lines], width, row=row, axis=data.axis
    )
    if data.logarithmic:
        logarithmic(axes, values, most=max(5, int(width / 85)))
    else:
        linear(axes, widened(values, 0.05), most=max(5, int(width / 85)))
    if data.mark_at is not None:
        axes.axvline(data.mark_at, color=INK, linewidth=1.2, zorder=1)
    for place, line in enumerate(data.lines):
        y = row * place + (row / 2 if beside else row - 10)
        for dot in line.dots:
            _dot(axes, dot, y)
        write_row(axes, line.name, line.note, y, width, above=13)
    return axes.figure  # type: ignore[return-value]


def _dot(axes: Axes, dot: Dot, y: float) -> None:
    value, low, high = dot.value
    colour = COLOURS[dot.colour]
    axes.plot((low, high), (y, y), color=colour, linewidth=3, alpha=0.55, solid_capstyle="round", zorder=2)
    axes.plot(value, y, dot.mark, markersize=13 if dot.mark == "P" else 11, markerfacecolor=colour,
              markeredgecolor=PAPER, markeredgewidth=1.2, zorder=3)  # fmt: skip


def _strips(data: Strips, width: float) -> Figure:
    beside = width > BESIDE
    tall = 30.0
    row = tall + (20 if beside else 36)
    axes = row_axes([strip.name for strip in data.strips], [], width, row=row, axis=data.axis)
    ends = [float(end) for strip in data.strips for end in (strip.calls.min(), strip.calls.max())]
    logarithmic(axes, ends, most=max(4, int(width / 75)), margin=0.03)
    for place, strip in enumerate(data.strips):
        base = row * (place + 1) - 14
        _strip(axes, strip, base, tall)
        write_row(axes, strip.name, "", base - (10 if beside else tall + 6), width, above=0)
    return axes.figure  # type: ignore[return-value]


def _strip(axes: Axes, strip: Strip, base: float, tall: float) -> None:
    """Draw how the calls are distributed, with lines at p50 and p90 and a dot for the median of each process."""
    edges = np.geomspace(*axes.get_xlim(), 300)
    heights = np.histogram(strip.calls, bins=edges)[0].astype(np.float64)
    heights = np.convolve(heights, [0.25, 0.5, 0.25], mode="same")
    held = np.flatnonzero(heights > 0)
    part = slice(held[0], held[-1] + 1)
    centres = np.sqrt(edges[:-1] * edges[1:])[part]
    # With a foot on either side, so that calls that took the same time all of them can be seen.
    centres = np.array([centres[0] * 0.997, *centres, centres[-1] * 1.003])
    outline = base - tall * np.array([0.0, *heights[part], 0.0]) / heights.max()
    colour = COLOURS[strip.colour]
    axes.fill_between(centres, base, outline, facecolor=colour, edgecolor=colour, alpha=0.6, linewidth=1, zorder=2)
    if len(strip.medians) > 1:
        axes.plot(strip.medians, [base + 6] * len(strip.medians), "o", color=colour, markersize=4.4, alpha=0.75,
                  markeredgewidth=0, zorder=2)  # fmt: skip
    axes.vlines(strip.median, base - tall - 3, base, color=INK, linewidth=1.6, zorder=3)
    if strip.p90 is not None:
        axes.vlines(strip.p90, base - tall - 3, base, color=INK, linewidth=1.2, linestyles=[(0, (3, 2.5))], zorder=3)


def _bars(data: Bars, width: float) -> Figure:
    beside = width > BESIDE
    row, thick = (28.0, 16.0) if beside else (42.0, 14.0)
    names = [bar.name for bar in data.bars]
    axes = row_axes(names, [bar.note for bar in data.bars], width, row=row, axis=data.axis)
    longest = max((bar.length for bar in data.bars), default=0.0) or 1.0
    linear(axes, (0.0, longest), most=max(3, int(width / 110)))
    for place, bar in enumerate(data.bars):
        y = row * place + (row / 2 if beside else row - thick / 2 - 4)
        done = 0.0
        for piece in bar.pieces:
            colour = COLOURS[piece.colour]
            axes.barh(y, max(piece.length, longest * 0.002), thick, left=done, color=colour,
                      alpha=0.45 if piece.pale else 1.0, edgecolor=colour if piece.pale else PAPER,
                      linewidth=0.75, linestyle="--" if piece.pale else "-", zorder=2)  # fmt: skip
            done += piece.length
        write_row(axes, bar.name, "", y, width, above=thick / 2 + 6)
        axes.annotate(one_line(bar.note), (done, y), (7, 0), textcoords="offset points", ha="left",
                      va="center_baseline", fontsize=TEXT, color=INK)  # fmt: skip
    return axes.figure  # type: ignore[return-value]


def _curves(data: Curves, width: float) -> Figure:
    names = max(text_width(curve.name, TEXT) for curve in data.curves) + 16
    row = TEXT + 4
    height = max(300.0, row * len(data.curves) + 96)
    side = min(names, 0.42 * width) + 12
    axes = new_axes(width, height, left=62, right=side, top=34, bottom=46)
    batches = sorted({batch for curve in data.curves for batch, _ in curve.points})
    logarithmic(axes, [float(batch) for batch in batches], most=8, margin=0.04)
    axes.set_xticks(batches, [f"{batch}" for batch in batches])
    rates = [rate for curve in data.curves for _, rate in curve.points]
    axes.set_yscale("log")
    low, high = widened([math.log10(rate) for rate in rates], 0.05)
    axes.set_ylim(10**low, 10**high)
    log_ticks(axes, 10**low, 10**high, most=8, axis="y")
    axes.grid(axis="y", color=GRID, linewidth=1)
    places = [float(height - axes.transData.transform((batches[0], curve.points[-1][1]))[1]) for curve in data.curves]
    for curve, end in zip(data.curves, _apart(places, row, 34, height - 46), strict=True):
        colour = COLOURS[curve.colour]
        axes.plot(*zip(*curve.points, strict=True), curve.mark, linestyle="-", color=colour, linewidth=2,
                  markersize=9, markeredgecolor=PAPER, markeredgewidth=1.2, zorder=2)  # fmt: skip
        level = axes.transData.inverted().transform((0, height - end))[1]
        right = axes.get_xlim()[1]
        axes.plot((curve.points[-1][0], right), (curve.points[-1][1], level), color=MUTED, linewidth=0.8, alpha=0.7)
        name = fitted(one_line(curve.name), TEXT, side - 12)
        axes.annotate(name, (right, level), (6, 0), textcoords="offset points", ha="left", va="center_baseline",
                      fontsize=TEXT, color=INK, gid="label")  # fmt: skip
    name_axis(axes, "images a call", width)
    write(axes, "images per second (log scale)", (-58, 14), at=(0, 1))
    return axes.figure  # type: ignore[return-value]


def _spark(data: Spark, width: float) -> Figure:
    """Draw a line, small enough for a cell, of how a figure went; its scale begins at 0 if that is near."""
    axes = new_axes(*_SPARK, left=3, right=3, top=3, bottom=3)
    axes.set_axis_off()
    low, high = min(data.values), max(data.values)
    low = 0.0 if low <= 0.6 * high else low - 0.25 * (high - low)
    axes.set_ylim(low, max(high, low + 1e-9))
    values = data.values if len(data.values) > 1 else [*data.values] * 2
    axes.set_xlim(0, len(values) - 1)
    axes.plot(range(len(values)), values, color=COLOURS["onnx"], linewidth=1.6, clip_on=False)
    return axes.figure  # type: ignore[return-value]


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
