"""The picture of a sweep: the deciding metric against bytes and latency, and what is worth its price."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from edgeport.benchmarks.report.charts.labels import Box, place_labels
from edgeport.benchmarks.report.looks import CHART_PALETTE, FORMAT_NAMES, colour_of
from edgeport.benchmarks.report.words import counted
from edgeport.benchmarks.sweep.results import Decider, Results
from edgeport.benchmarks.sweep.summary import SweepLine, lines_of
from edgeport.benchmarks.tasks.metric import DOWN, UP, ZERO
from edgeport.runtime.artefact.precisions import is_in_integers

# One for each recipe; if there are more recipes, the first ones come again.
_MARKERS = "osD^vP*X"
_BETTER = {UP: "up", DOWN: "down", ZERO: "nearest to 0"}
_DPI = 130
_FONT = 9


@dataclass(frozen=True)
class _Mark:
    """The mean over the seeds of one file of a model under a recipe."""

    line: SweepLine
    x: float
    y: float


@rc_context({"text.parse_math": False, "font.size": _FONT})
def draw_frontier(path: Path, results: Results) -> None:
    """Draw the deciding metric against bytes and, if it was measured, against the median engine call.

    A large mark is the mean over the seeds, a dot is one seed. The line joins what no other mark beats in both.

    Args:
        path: The PNG file to write.
        results: What came of a sweep, with one cell at least.
    """
    lines = [line for line in lines_of(results) if line.format != "keras"]
    timed = any(line.latency for line in lines)
    figure = Figure(figsize=(13 if timed else 7.5, 6.2), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(1, 1 + timed, sharey=True, squeeze=False)[0]
    recipes = list(dict.fromkeys(line.recipe for line in lines))
    metric = results.metric
    marks = [_panel(panels[0], lines, recipes, metric, lambda line: float(line.bytes), "bytes of the file (log scale)")]
    panels[0].xaxis.set_major_formatter(FuncFormatter(_bytes))
    panels[0].set_ylabel(_words(results))
    if timed:
        words = f"one engine call on one {results.sample}, p50, microseconds (log scale)"
        known = [line for line in lines if line.latency]
        marks.append(_panel(panels[1], known, recipes, metric, _microseconds, words))
        panels[1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    count = len({cell["seed"] for cell in results.cells})
    figure.suptitle(
        f"{results.dataset['name']}, {counted(count, 'seed')}: {metric.name} against size{' and latency' * timed} "
        f"(better is {_BETTER[metric.better]} and to the left)",
        fontsize=11,
    )
    figure.legend(handles=_legend(lines, recipes), loc="outside lower center", ncols=6, frameon=False)
    # Labels are placed in pixels, which are known when all else has its place.
    canvas.draw()
    for axes, drawn in zip(panels, marks, strict=True):
        _label(axes, drawn)
    figure.savefig(path, dpi=_DPI)


def _words(results: Results) -> str:
    """Return what stands beside the vertical axis."""
    metric, samples = results.metric, f"the {results.split} {results.sample}s"
    if metric == Decider():
        return f"top-1, percent of {samples}"
    unit = "%" if metric.is_share else metric.unit
    return f"{metric.name}{unit and ', '}{unit} on {samples}"


def _panel(
    axes: Axes,
    lines: Sequence[SweepLine],
    recipes: Sequence[str],
    metric: Decider,
    place: Callable[[SweepLine], float],
    words: str,
) -> list[_Mark]:
    """Draw the marks of a panel, their seeds and the front, and return the marks."""
    axes.set_xscale("log")
    scale = 100 if metric.is_share else 1
    marks = [_Mark(line, place(line), scale * sum(line.figures) / len(line.figures)) for line in lines]
    for mark in marks:
        colour = _colour(mark.line.format)
        filled = is_in_integers(mark.line.precision)
        shape = _MARKERS[recipes.index(mark.line.recipe) % len(_MARKERS)]
        axes.plot([mark.x] * len(mark.line.figures), [scale * each for each in mark.line.figures], ".",
                  color=colour, markersize=5, alpha=0.5, markeredgewidth=0, zorder=2)  # fmt: skip
        axes.plot(mark.x, mark.y, shape, color=colour, markersize=8, zorder=4,
                  markerfacecolor=colour if filled else "white", markeredgewidth=1.5)  # fmt: skip
    front = _front(marks, metric)
    axes.plot([mark.x for mark in front], [mark.y for mark in front], "--", color="black", linewidth=1, alpha=0.6,
              zorder=3)  # fmt: skip
    axes.set_xlabel(words)
    axes.margins(x=0.12, y=0.08)
    low, high = axes.get_xlim()
    subs = (1, 2, 5) if high / low < 1_000 else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return marks


def _front(marks: Sequence[_Mark], metric: Decider) -> list[_Mark]:
    """Return the marks that no other one beats in both, the cheapest first."""
    front: list[_Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.x, -metric.worth(mark.y))):
        if not front or metric.worth(mark.y) > metric.worth(front[-1].y):
            front.append(mark)
    return front


def _label(axes: Axes, marks: Sequence[_Mark]) -> None:
    """Write each model's name beside the best of its integer marks, clear of all marks and names."""
    chosen: dict[str, _Mark] = {}
    for mark in sorted(marks, key=lambda mark: (not is_in_integers(mark.line.precision), mark.x, -mark.y)):
        chosen.setdefault(mark.line.model, mark)
    labelled = list(chosen.values())
    texts = [mark.line.model for mark in labelled]
    area = axes.get_window_extent()
    pixel = axes.figure.dpi / 72

    def pixels(mark: _Mark) -> tuple[float, float]:
        # The boxes count downwards.
        x, y = axes.transData.transform((mark.x, mark.y))
        return float(x), float(-y)

    sizes = [_size(axes, text) for text in texts]
    side = 6 * pixel
    obstacles = [Box(x - side, y - side, x + side, y + side, weight=20.0) for x, y in (pixels(mark) for mark in marks)]
    room = Box(area.x0, -area.y1, area.x1, -area.y0)
    boxes = place_labels([pixels(mark) for mark in labelled], sizes, obstacles, room)
    back = axes.transData.inverted()
    for mark, text, box in zip(labelled, texts, boxes, strict=True):
        middle = back.transform(((box.left + box.right) / 2, -(box.top + box.bottom) / 2))
        axes.annotate(text, (mark.x, mark.y), xytext=tuple(middle), ha="center", va="center", zorder=5,
                      arrowprops={"arrowstyle": "-", "color": "#9aa0a8", "linewidth": 0.7, "shrinkA": 1, "shrinkB": 5},
                      bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.7},
                      )  # fmt: skip


def _size(axes: Axes, text: str) -> tuple[float, float]:
    """Return width and height of a text in pixels."""
    drawn = axes.text(0, 0, text)
    extent = drawn.get_window_extent()
    drawn.remove()
    return extent.width + 4, extent.height + 4


def _legend(lines: Sequence[SweepLine], recipes: Sequence[str]) -> list[Line2D]:
    """Return what the marks mean."""
    handles = []
    for format_, precision in dict.fromkeys((line.format, line.precision) for line in lines):
        colour = _colour(format_)
        handles.append(
            Line2D([], [], marker="o", linestyle="", color=colour, markeredgewidth=1.5, markersize=8,
                   markerfacecolor=colour if is_in_integers(precision) else "white",
                   label=f"{FORMAT_NAMES.get(format_, format_)} {precision}")
        )  # fmt: skip
    if len(recipes) > 1:
        for number, recipe in enumerate(recipes):
            marker = _MARKERS[number % len(_MARKERS)]
            handles.append(Line2D([], [], marker=marker, linestyle="", color="#555555", label=f"recipe {recipe}"))
    handles.append(Line2D([], [], marker=".", linestyle="", color="#888888", label="one seed"))
    handles.append(Line2D([], [], linestyle="--", color="black", alpha=0.6, label="Pareto front of the means"))
    return handles


def _colour(format_name: str) -> str:
    return CHART_PALETTE[colour_of(format_name)][0]


def _microseconds(line: SweepLine) -> float:
    return line.latency.p50_us if line.latency else 0.0


def _bytes(value: float, _: object) -> str:
    return f"{value / 1e6:g} MB" if value >= 1e6 else f"{value / 1e3:g} kB" if value >= 1e3 else f"{value:g} B"
