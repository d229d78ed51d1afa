"""What all charts are made of, in CSS pixels: axes with their ticks and names, and rows with a name and a note."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from edgeport.benchmarks.report.charts.labels import fitted, text_width
from edgeport.benchmarks.report.looks import CHART_PALETTE
from edgeport.benchmarks.report.words import MINUS

# On a chart that is wider than this, names stand beside their rows, else above them.
BESIDE = 500.0
TEXT, TICK = 12.5, 12.0
COLOURS = {name: light for name, (light, _) in CHART_PALETTE.items()}
INK, MUTED, PAPER, GRID = (COLOURS[name] for name in ("ink", "muted", "paper", "grid"))


def new_axes(width: float, height: float, *, left: float, right: float, top: float, bottom: float) -> Axes:
    """Return the axes of a new figure, all in CSS pixels."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    axes = figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=MUTED, labelsize=TICK, pad=6)
    axes.grid(axis="x", color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    return axes


def row_axes(names: Sequence[str], notes: Sequence[str], width: float, *, row: float, axis: str) -> Axes:
    """Return axes with a row for each name; below its top, a row's place is in CSS pixels."""
    beside = width > BESIDE
    left = min(max(text_width(name, TEXT) for name in names) + 16, 0.42 * width) if beside else 8.0
    right = max([text_width(note, TEXT) + 16 for note in notes if beside or axis.startswith(("\u00b5", "milli"))]
                + [26.0])  # fmt: skip
    room = row * len(names) + 4
    lines = _wrapped(axis, width)
    axes = new_axes(width, room + 38 + 16 * len(lines), left=left, right=right, top=6, bottom=32 + 16 * len(lines))
    axes.set_ylim(room, 0)
    axes.set_yticks([])
    name_axis(axes, axis, width)
    return axes


def write_row(axes: Axes, name: str, note: str, y: float, width: float, *, above: float) -> None:
    """Write the name of a row at its left, or above it where there is no room, and a note at its right."""
    beside = width > BESIDE
    left = axes.get_position().x0 * width
    end = width - axes.get_position().x1 * width - 2
    common: dict[str, Any] = {"textcoords": "offset points", "fontsize": TEXT, "color": INK}
    common |= {"xycoords": ("axes fraction", "data"), "va": "center_baseline" if beside else "bottom"}
    if beside:
        start, above, side, room = -12.0, 0.0, "right", left - 14
    else:
        start, side, room = -6.0, "left", width - text_width(note, TEXT) - 20
        # Names stand clear of the grid.
        axes.axhspan(y - above - 16, y - above + 2, color=PAPER, linewidth=0, zorder=1.5)
    text = fitted(one_line(name), TEXT, room)
    axes.annotate(text, (0, y), (start, above), ha=side, **common)
    if note:
        axes.annotate(one_line(note), (1, y), (end, above), ha="right", **common)


def name_axis(axes: Axes, words: str, width: float) -> None:
    """Write the name of the axis below, in several lines where it is too long for one."""
    lines = _wrapped(words, width)
    left, right = axes.get_position().x0 * width, axes.get_position().x1 * width
    half = max(text_width(line, TICK) for line in lines) / 2
    # Below the middle of the plot, unless the words are too long for that.
    middle = min(max((left + right) / 2, half + 4), max(width - half - 4, half + 4))
    for place, line in enumerate(lines):
        write(axes, line, (middle - left, -36 - 16 * place), ha="center")


def write(
    axes: Axes, words: str, offset: tuple[float, float], *, at: tuple[float, float] = (0, 0), ha: str = "left"
) -> None:
    """Write words so far from a corner of the plot."""
    axes.annotate(words, at, offset, xycoords="axes fraction", textcoords="offset points", ha=ha, va="baseline",
                  fontsize=TICK, color=MUTED)  # fmt: skip


def linear(axes: Axes, ends: tuple[float, float], *, most: int) -> None:
    """Set a linear scale from left to right."""
    axes.set_xlim(*ends)
    axes.xaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def linear_up(axes: Axes, values: Sequence[float]) -> None:
    """Set a linear scale from below to above, with as many decimals at all ticks."""
    axes.set_ylim(*widened(values, 0.06))
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    ticks = [tick for tick in axes.get_yticks() if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    decimals = max(0, min(-math.floor(math.log10(step) + 1e-9), 6))
    axes.set_yticks(ticks, [f"{tick:,.{decimals}f}" for tick in ticks])


def logarithmic(axes: Axes, values: Sequence[float], *, most: int, margin: float = 0.06) -> None:
    """Set a logarithmic scale from left to right that holds all values."""
    low, high = widened([math.log10(value) for value in values], margin)
    axes.set_xscale("log")
    axes.set_xlim(10**low, 10**high)
    log_ticks(axes, 10**low, 10**high, most=most)


def log_ticks(axes: Axes, low: float, high: float, *, most: int, axis: str = "x") -> None:
    """Set ticks at round values, as many as there is room for."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for steps in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [tick for power in powers for step in steps if low <= (tick := step * 10.0**power) <= high]
        if len(ticks) <= most:
            break
    # Within a narrow range hardly a round number of these lies, but many of a linear scale.
    if len(ticks) < 3 and high < 10 * low:
        ticks = [float(tick) for tick in MaxNLocator(most).tick_values(low, high) if low <= tick <= high]
    chosen = axes.xaxis if axis == "x" else axes.yaxis
    chosen.set_major_locator(FixedLocator(ticks[:: math.ceil(len(ticks) / most)]))
    chosen.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    chosen.set_minor_locator(NullLocator())


def _tick(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value + 0.0:.6g}"
    return ("0" if abs(value) < 1e-12 else text).replace("-", MINUS)


def widened(values: Sequence[float], margin: float) -> tuple[float, float]:
    """Return the ends of some values with a margin, a share of their distance."""
    low, high = min(values), max(values)
    room = margin * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room


def _wrapped(words: str, width: float) -> list[str]:
    return textwrap.wrap(words, int(width / (0.58 * TICK))) or [""]


def one_line(text: str) -> str:
    """Return text as one line without what neither XML nor a font has a place for."""
    return " ".join("".join(one if one.isprintable() or one in "\u202f" else "\ufffd" for one in text).split(" "))
