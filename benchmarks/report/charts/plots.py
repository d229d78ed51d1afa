"""Charts of answers: predicted against true, curves of thresholds, and how errors and scores are distributed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgeport.benchmarks.report.charts.axes import (
    BESIDE,
    COLOURS,
    GRID,
    INK,
    MUTED,
    PAPER,
    TEXT,
    TICK,
    linear,
    linear_up,
    name_axis,
    new_axes,
    one_line,
    row_axes,
    widened,
    write,
    write_row,
)
from edgeport.benchmarks.report.charts.data import Cloud, Histograms, Plot, SpreadRow, Trace
from edgeport.benchmarks.report.charts.labels import fitted

_WIDEST = 560.0
_BINS = 60
# What lies beyond would make all else narrow.
_SHOWN_PERCENT = (0.5, 99.5)


def cloud(data: Cloud, width: float) -> Figure:
    """Draw points, with a line where both values are the same."""
    axes = _square(width)
    values = np.concatenate([np.concatenate([trace.x, trace.y]) for trace in data.traces])
    ends = [float(values.min()), float(values.max())]
    linear(axes, widened(ends, 0.05), most=6)
    linear_up(axes, ends)
    axes.plot(axes.get_xlim(), axes.get_xlim(), color=INK, linewidth=1.2, alpha=0.6, zorder=1)
    for place, trace in enumerate(data.traces):
        axes.plot(trace.x, trace.y, trace.mark, color=COLOURS[trace.colour], markersize=5, alpha=0.7,
                  markeredgecolor=PAPER, markeredgewidth=0.4, zorder=2 + place)  # fmt: skip
    _finish(axes, data.traces, width, across=data.across, up=data.up, corner="upper left")
    return axes.figure  # type: ignore[return-value]


def plot(data: Plot, width: float) -> Figure:
    """Draw lines within a square from 0 to 1."""
    axes = _square(width)
    linear(axes, (0.0, 1.0), most=6)
    linear_up(axes, (0.0, 1.0))
    if data.diagonal:
        axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for place, trace in enumerate(data.traces):
        # Lines that lie on each other stay to be seen: the first is the widest.
        axes.plot(trace.x, trace.y, color=COLOURS[trace.colour], linewidth=max(4.5 - 1.2 * place, 1.4), alpha=0.9,
                  zorder=2 + place)  # fmt: skip
    corner = "lower right" if data.diagonal else "lower left"
    _finish(axes, data.traces, width, across=data.across, up=data.up, corner=corner, lines=True)
    return axes.figure  # type: ignore[return-value]


def histograms(data: Histograms, width: float) -> Figure:
    """Draw how values are distributed, a row for each candidate."""
    beside = width > BESIDE
    tall = 40.0
    row = tall + (18 if beside else 36)
    axes = row_axes([each.name for each in data.rows], [], width, row=row, axis=data.axis)
    every = np.concatenate([spread.values for each in data.rows for spread in each.spreads])
    low, high = (float(each) for each in np.percentile(every, _SHOWN_PERCENT))
    linear(axes, widened([low, high], 0.05), most=max(4, int(width / 110)))
    if data.mark_at is not None:
        axes.axvline(data.mark_at, color=INK, linewidth=1.2, zorder=1)
    for place, each in enumerate(data.rows):
        base = row * (place + 1) - 12
        _spread_row(axes, each, base, tall)
        write_row(axes, each.name, "", base - (12 if beside else tall + 6), width, above=0)
    return axes.figure  # type: ignore[return-value]


def _spread_row(axes: Axes, row: SpreadRow, base: float, tall: float) -> None:
    edges = np.linspace(*axes.get_xlim(), _BINS + 1)
    counts = [np.histogram(each.values, bins=edges)[0] / max(len(each.values), 1) for each in row.spreads]
    most = max(float(count.max()) for count in counts) or 1.0
    for spread, count in zip(row.spreads, counts, strict=True):
        colour = COLOURS[spread.colour]
        heights = base - tall * count / most
        axes.fill_between(np.repeat(edges, 2)[1:-1], base, np.repeat(heights, 2), facecolor=colour, edgecolor=colour,
                          alpha=0.5, linewidth=1, zorder=2)  # fmt: skip


def _square(width: float) -> Axes:
    """Return axes that are about as high as they are wide, however wide the screen is."""
    side = min(width, _WIDEST)
    axes = new_axes(width, 0.78 * side + 84, left=56, right=14 + max(width - side, 0.0), top=30, bottom=54)
    axes.grid(axis="y", color=GRID, linewidth=1)
    return axes


def _finish(
    axes: Axes, traces: Sequence[Trace], width: float, *, across: str, up: str, corner: str, lines: bool = False
) -> None:
    """Write the names of the axes, and those of the traces into a corner."""
    name_axis(axes, across, width)
    write(axes, one_line(up), (-48, 14), at=(0, 1))
    left, right = axes.get_position().x0 * width, axes.get_position().x1 * width
    for place, trace in enumerate(reversed(traces) if corner.startswith("lower") else traces):
        y = 14.0 + 18 * place if corner.startswith("lower") else -14.0 - 18 * place
        at = (1.0 if corner.endswith("right") else 0.0, 0.0 if corner.startswith("lower") else 1.0)
        side: dict[str, Any] = {"ha": "right" if at[0] else "left", "va": "center_baseline"}
        start = -26.0 if at[0] else 26.0
        name = fitted(one_line(trace.name), TEXT, 0.6 * (right - left))
        axes.annotate(name, at, (start, y), xycoords="axes fraction", textcoords="offset points", fontsize=TICK,
                      color=INK, gid="label", zorder=9, **side)  # fmt: skip
        shift = axes.transAxes.inverted().transform(axes.transAxes.transform(at) + np.array([start / 2, y]))
        axes.plot(*shift, trace.mark if not lines else "s", transform=axes.transAxes, color=COLOURS[trace.colour],
                  markersize=8, markeredgecolor=PAPER, markeredgewidth=0.8, clip_on=False, zorder=9)  # fmt: skip
