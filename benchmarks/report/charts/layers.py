"""The chart of a network's layers: how the error builds up along it, one panel a format."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc

from edgeport.benchmarks.report.charts.axes import BESIDE, COLOURS, GRID, INK, MUTED, PAPER, TEXT, TICK
from edgeport.benchmarks.report.charts.data import Layers, Panel
from edgeport.benchmarks.report.charts.labels import fitted

_PANEL, _BARS, _NAMES = 190.0, 46.0, 110.0
# Beyond this an output is exact for all that integers are concerned with.
_MOST_DB = 80.0


def draw_layers(data: Layers, width: float) -> Figure:
    """Return the figure, of so many CSS pixels."""
    height = (_PANEL + _BARS + 34) * len(data.panels) + _NAMES
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    left, right = 46.0, 10.0
    top = height
    for number, panel in enumerate(data.panels):
        boxes = []
        for part in (_PANEL, _BARS):
            top -= part + (30 if part == _PANEL else 4)
            boxes.append(figure.add_axes((left / width, top / height, (width - left - right) / width, part / height)))
        lines, bars = boxes
        _draw_lines(lines, panel, len(data.names))
        _draw_shares(bars, panel, len(data.names))
        lines.annotate(f"{panel.name}: SQNR, dB", (0, 1), (-38, 8), xycoords="axes fraction",
                       textcoords="offset points", fontsize=TEXT, color=INK, va="bottom")  # fmt: skip
        if number == len(data.panels) - 1:
            _write_names(bars, data, width)
    return figure


def _bare(axes: Axes, count: int) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=MUTED, labelsize=TICK)
    axes.set_xlim(-0.6, count - 0.4)
    axes.set_xticks([])
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=GRID, linewidth=1)


def _draw_lines(axes: Axes, panel: Panel, count: int) -> None:
    _bare(axes, count)
    colour = COLOURS[panel.colour]
    shown = [min(value, _MOST_DB) for value in panel.built_up]
    for place in panel.costly:
        axes.axvspan(place - 0.5, place + 0.5, color=GRID, linewidth=0, zorder=0)
    axes.plot(panel.places, shown, color=colour, linewidth=2, marker="o", markersize=4.5, zorder=3)
    own = [(place, min(value, _MOST_DB)) for place, value in zip(panel.places, panel.own, strict=True)
           if value is not None]  # fmt: skip
    axes.plot([place for place, _ in own], [value for _, value in own], "o", markersize=6, markerfacecolor=PAPER,
              markeredgecolor=colour, markeredgewidth=1.4, zorder=2)  # fmt: skip
    low = min([0.0, *shown, *(value for _, value in own)])
    axes.set_ylim(low - 4, min(_MOST_DB, max([*shown, *(value for _, value in own)])) + 8)
    floor = axes.get_ylim()[0]
    for start, end in panel.branches:
        tall = (axes.get_ylim()[1] - floor) * 0.24
        axes.add_patch(Arc(((start + end) / 2, floor), end - start, tall, theta1=0, theta2=180, color=MUTED,
                           linewidth=1.2, zorder=1))  # fmt: skip


def _draw_shares(axes: Axes, panel: Panel, count: int) -> None:
    _bare(axes, count)
    colours = [COLOURS[panel.colour]] * len(panel.places)
    axes.bar(panel.places, [100 * share for share in panel.shares], color=colours, width=0.7)
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 100], ["0 %", "100 %"])


def _write_names(axes: Axes, data: Layers, width: float) -> None:
    """Write the names of the layers below: all where there is room, else those that cost most."""
    room = int(width / (15 if width > BESIDE else 17))
    costly = sorted({place for panel in data.panels for place in panel.costly})
    places = range(len(data.names)) if len(data.names) <= room else costly
    axes.set_xticks(list(places), [fitted(data.names[place], TICK, _NAMES - 16) for place in places], rotation=90)
    axes.tick_params(axis="x", labelsize=TICK, labelcolor=MUTED, pad=4)
