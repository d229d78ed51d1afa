"""The pictures of a benchmark."""

from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgeport.benchmarks.report import Measured, Report
from edgeport.benchmarks.statistics import wilson_interval

_COLOURS = {"keras": "#8a8f98", "tflite": "#d97706", "onnx": "#1f5fa8"}
_MARKERS = {"float32": "o", "float16": "v", "dynamic": "D", "int8": "s", "int16x8": "P"}


@rc_context({"text.parse_math": False})
def draw_accuracy_against_latency(path: Path, report: Report) -> None:
    """Draw top-1 accuracy, with its 95 % interval, against the median engine call of every contender."""
    figure = Figure(figsize=(8, 5.4), layout="constrained")
    axes = figure.subplots()
    for each in _timed(report):
        low, high = wilson_interval(each.correct, len(each.predictions))
        axes.errorbar(
            each.latency_us(50),
            100 * each.accuracy,
            yerr=[[100 * (each.accuracy - low)], [100 * (high - each.accuracy)]],
            fmt=_MARKERS.get(each.precision, "o"),
            color=_colour(each),
            markersize=9,
            elinewidth=1,
            label=f"{each.name}: {each.latency_us(50):.1f} us, {each.accuracy:.2%}, {each.bytes / 1e3:.0f} kB",
        )
    axes.set(
        xscale="log",
        xlabel="one engine call on one image, p50, microseconds (log scale)",
        ylabel="top-1, percent of the test images, with 95 % interval",
        title=f"{report.model} on {report.dataset['name']}: accuracy against latency (better is up and to the left)",
    )
    _latency_axis(axes, margins=(0.1, 0.1))
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.savefig(path, dpi=120)


@rc_context({"text.parse_math": False})
def draw_latency_distributions(path: Path, report: Report) -> None:
    """Draw the distribution of every contender's engine calls, with its p50 and p90."""
    figure = Figure(figsize=(8, 0.8 * len(_timed(report)) + 1.4), layout="constrained")
    axes = figure.subplots()
    for row, each in enumerate(reversed(_timed(report))):
        # A handful of calls are hit by the operating system; they stay in report.json, not in the axis.
        logs = np.log10([ns / 1e3 for ns in each.latency_ns if ns / 1e3 <= each.latency_us(99)])
        heights, edges = np.histogram(logs, bins=np.arange(logs.min() - 0.004, logs.max() + 0.008, 0.004))
        centres = 10 ** ((edges[:-1] + edges[1:]) / 2)
        axes.fill_between(centres, row, row + 0.8 * heights / heights.max(), color=_colour(each), alpha=0.75,
                          linewidth=0.5, edgecolor=_colour(each))  # fmt: skip
        for percent, style in ((50, "-"), (90, ":")):
            axes.vlines(each.latency_us(percent), row, row + 0.85, color="black", linestyle=style, linewidth=1)
    names = [each.name for each in reversed(_timed(report))]
    axes.set_yticks(np.arange(len(names)) + 0.25, names)
    axes.tick_params(axis="y", length=0)
    axes.set(
        xscale="log",
        xlabel="one engine call on one image, microseconds (log scale)",
        title=f"{report.model}: {len(_timed(report)[0].latency_ns):,} timed calls each; line p50, dots p90",
    )
    _latency_axis(axes, margins=(0.05, 0.08))
    figure.savefig(path, dpi=120)


def _timed(report: Report) -> list[Measured]:
    """Return the contenders that have times to draw; a reference with recorded answers has none."""
    return [each for each in report.artefacts if each.timed]


def _colour(each: Measured) -> str:
    return _COLOURS.get(each.format, "#6b4fa0")


def _latency_axis(axes: Axes, *, margins: tuple[float, float]) -> None:
    low, high = axes.get_xlim()
    axes.set_xlim(low * 10 ** -margins[0], high * 10 ** margins[1])
    low, high = axes.get_xlim()
    ticks = [tick * 10**power for power in range(-1, 6) for tick in (1, 2, 5) if low <= tick * 10**power <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.grid(axis="both", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
