"""The pictures of a benchmark: accuracy against latency, latency distributions, flipped images, confusions."""

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from edgeport.benchmarks.report.findings import Subject, findings_of
from edgeport.benchmarks.report.record import Report
from edgeport.benchmarks.report.svg_scatter import Spot, pareto_front

_COLOURS = {"keras": "#6f7580", "tflite": "#d97706", "onnx": "#1f5fa8"}
_MARKERS = {"float32": "o", "float16": "v", "dynamic": "D", "int8": "s", "int16x8": "P"}
_RIGHT, _WRONG = "#1a7f37", "#c0392b"
_DPI = 120
# More than a page of either is looked at in report.html or in flips.npz.
_MOST_FLIPS = 40
_MOST_LABELS = 20
_MISTAKES = LinearSegmentedColormap.from_list("mistakes", ["#ffffff", "#f3b29b", "#a3123a"])
_RIGHT_ANSWERS = ListedColormap(["#ebedf0"])


@rc_context({"text.parse_math": False})
def draw_accuracy_against_latency(path: Path, report: Report) -> None:
    """Draw top-1 accuracy against the median engine call of every candidate, both with 95 % intervals.

    The line is the Pareto front: no candidate beats those on it in both. With nothing timed the picture says so.

    Args:
        path: The PNG file to write.
        report: What was measured.
    """
    timed = findings_of(report).timed
    figure = Figure(figsize=(8, 5.6), layout="constrained")
    axes = figure.subplots()
    if not timed:
        _say(axes, "nothing was timed")
        figure.savefig(path, dpi=_DPI)
        return
    spots = [_spot(subject) for subject in timed]
    front = pareto_front(spots)
    for spot, subject in zip(spots, timed, strict=True):
        (x, *across), (y, *up) = spot.latency, spot.accuracy
        colour = _colour(subject)
        axes.errorbar(
            x,
            y,
            xerr=[[x - across[0]], [across[1] - x]],
            yerr=[[y - up[0]], [up[1] - y]],
            fmt=_MARKERS.get(spot.precision, "o"),
            color=colour,
            markerfacecolor=colour if spot in front else "white",
            markersize=8,
            elinewidth=1,
            zorder=3,
            label=f"{spot.name}: {x:.1f} us, {y:.2f}%" + _size(subject),
        )
    _latency_axis(axes, margins=(0.1, 0.1))
    # Each step stands at the accuracy of the best candidate that is at least as fast.
    ends = [*(spot.latency[0] for spot in front), axes.get_xlim()[1]]
    levels = [spot.accuracy[0] for spot in front]
    axes.step(ends, [*levels, levels[-1]], where="post", color="black", linewidth=1, linestyle="--", alpha=0.6,
              zorder=2, label="Pareto front (filled marks)")  # fmt: skip
    axes.set(
        xlabel="one engine call on one image, p50, microseconds (log scale)",
        ylabel="top-1, percent of the test images",
        title=f"{report.model} on {report.dataset['name']}: accuracy against latency (better is up and to the left)",
    )
    axes.title.set_fontsize(11)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.savefig(path, dpi=_DPI)


@rc_context({"text.parse_math": False})
def draw_latency_distributions(path: Path, report: Report) -> None:
    """Draw the distribution of every candidate's engine calls, with p50 and, where enough calls support it, p90.

    Args:
        path: The PNG file to write.
        report: What was measured.
    """
    timed = findings_of(report).timed
    figure = Figure(figsize=(8, 0.5 * max(len(timed), 2) + 1.2), layout="constrained")
    axes = figure.subplots()
    if not timed:
        _say(axes, "nothing was timed")
        figure.savefig(path, dpi=_DPI)
        return
    for row, subject in enumerate(reversed(timed)):
        assert subject.main is not None
        microseconds = np.asarray(subject.main.samples) / 1e3
        # A handful of calls are hit by the operating system; they stay in report.json, not in the axis.
        logs = np.log10(microseconds[microseconds <= subject.main.percentile_us(99)])
        step = max(0.004, (logs.max() - logs.min()) / 120)
        heights, edges = np.histogram(logs, bins=np.arange(logs.min() - step, logs.max() + 2 * step, step))
        axes.stairs(row + 0.8 * heights / heights.max(), 10**edges, baseline=row, fill=True, color=_colour(subject),
                    alpha=0.75)  # fmt: skip
        for percent, style in ((50, "-"), (90, ":")):
            if percent in subject.percentiles:
                value = subject.percentiles[percent].value / 1e3
                axes.vlines(value, row, row + 0.85, color="black", linestyle=style, linewidth=1)
    dots = ", dots p90" if any(90 in subject.percentiles for subject in timed) else ""
    axes.set_yticks(np.arange(len(timed)) + 0.3, [subject.name for subject in reversed(timed)])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.1, len(timed) + 0.05)
    axes.set(
        xlabel="one engine call on one image, microseconds (log scale)",
        title=f"{report.model}: {_calls(timed)} timed calls each; line p50{dots}",
    )
    axes.title.set_fontsize(11)
    _latency_axis(axes, margins=(0.05, 0.08))
    figure.savefig(path, dpi=_DPI)


@rc_context({"text.parse_math": False})
def draw_flips(path: Path, report: Report) -> None:
    """Draw the test images that some artefact answers unlike the reference, with the truth and every answer.

    Args:
        path: The PNG file to write.
        report: What was measured; its ``pictures`` are what is drawn.
    """
    subjects = findings_of(report).subjects
    flipped = sorted({int(index) for each in report.artefacts for index in report.flips(each)})
    shown = [index for index in flipped if str(index) in report.pictures][:_MOST_FLIPS]
    if not shown:
        figure = Figure(figsize=(6, 1.4), layout="constrained")
        _say(figure.subplots(), "every artefact answers every image as the reference does")
        figure.savefig(path, dpi=_DPI)
        return
    captions = [_answers(report, subjects, index) for index in shown]
    titles = [f"image {index:,}, true: {_shortened(_label(report, report.truth[index]))}" for index in shown]
    longest = max(len(text) for text in (*titles, *(line for caption in captions for line, _ in caption)))
    # In inches; a letter of the captions is about 0.06 wide.
    width, side, line_height = max(1.6, 0.06 * longest + 0.15), 1.2, 0.15
    height = side + 0.4 + line_height * max(map(len, captions))
    columns = max(1, min(len(shown), int(9 / width)))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(max(width * columns, 6.0), height * rows + 0.4))
    across, up = figure.get_size_inches()
    for place, (index, title, caption) in enumerate(zip(shown, titles, captions, strict=True)):
        row, column = divmod(place, columns)
        left = (across - width * columns) / 2 + width * column + (width - side) / 2
        bottom = up - 0.65 - height * row - side
        axes = figure.add_axes((left / across, bottom / up, side / across, side / up))
        axes.set_axis_off()
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(report.pictures[str(index)]))))
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(title, fontsize=8, pad=3)
        for line, (text, right) in enumerate(caption):
            axes.annotate(text, (0.5, 0), (0, -72 * line_height * line - 3), xycoords="axes fraction",
                          textcoords="offset points", ha="center", va="top", fontsize=7.5,
                          color=_RIGHT if right else _WRONG)  # fmt: skip
    some = f"{len(shown)} of {len(flipped):,}" if len(shown) < len(flipped) else f"the {len(flipped)}"
    images = "image" if len(flipped) == 1 else "images"
    title = f"{report.model}: {some} test {images} that an artefact answers unlike {report.reference.name}"
    figure.suptitle(title, fontsize=10, y=1 - 0.08 / up, va="top")
    figure.savefig(path, dpi=_DPI)


@rc_context({"text.parse_math": False})
def draw_confusion_matrices(path: Path, report: Report) -> None:
    """Draw the confusion matrix of every candidate: rows are true classes, columns are answers.

    A cell's colour is the share of its row's images that were answered wrong in this way; right answers are all of one
    grey, so that a few mistakes among thousands of them can be seen.

    Args:
        path: The PNG file to write.
        report: What was measured.
    """
    subjects = findings_of(report).subjects
    matrices = [_confusions(report, subject) for subject in subjects]
    classes = len(matrices[0])
    shares = [_wrong_shares(matrix) for matrix in matrices]
    darkest = max(*(float(share.max()) for share in shares), 1e-3)
    columns = min(4, len(subjects))
    rows = math.ceil(len(subjects) / columns)
    side = 2.6 if classes <= 6 else 3.3 if classes <= 12 else 4.4
    figure = Figure(figsize=(max(side * columns, 5.6), (side + 0.25) * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(subjects) :]:
        axes.set_axis_off()
    for axes, subject, matrix, share in zip(grid, subjects, matrices, shares, strict=False):
        # The square root shows one mistake in a thousand beside one in twenty.
        axes.imshow(np.sqrt(share), cmap=_MISTAKES, vmin=0, vmax=math.sqrt(darkest))
        axes.imshow(np.ma.masked_equal(np.eye(classes), 0), cmap=_RIGHT_ANSWERS, vmin=0, vmax=1)
        wrong = len(report.truth) - report.correct(subject.measured)
        axes.set_title(f"{subject.name}: {wrong:,} wrong", fontsize=10, color="black")
        _label_matrix(axes, report, matrix, share / darkest)
    figure.suptitle(
        f"{report.model} on {report.dataset['name']}: confusions\n"
        "rows: true class, columns: answer; colour: mistakes as a share of the row",
        fontsize=10,
    )
    figure.savefig(path, dpi=_DPI if classes <= _MOST_LABELS else 100)


def _label_matrix(axes: Axes, report: Report, matrix: npt.NDArray[np.int64], strength: npt.NDArray[np.float64]) -> None:
    """Write class names beside a matrix, and counts into its cells, if there is room."""
    classes = len(matrix)
    axes.spines[:].set_color("#bbbbbb")
    if classes > _MOST_LABELS:
        axes.tick_params(labelsize=7)
        return
    names = [_shortened(_label(report, index)) for index in range(classes)]
    turned = max(map(len, names)) > 3
    axes.set_xticks(
        range(classes), names, fontsize=7.5, rotation=60 if turned else 0, ha="right" if turned else "center"
    )
    axes.set_yticks(range(classes), names, fontsize=7.5)
    axes.tick_params(length=0)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        right = row == column
        colour = "#6f7580" if right else "white" if strength[row, column] > 0.4 else "black"
        axes.text(column, row, f"{matrix[row, column]}", ha="center", va="center", color=colour,
                  fontsize=6.5 if classes > 6 else 8, fontweight="normal" if right else "bold")  # fmt: skip


def _confusions(report: Report, subject: Subject) -> npt.NDArray[np.int64]:
    """Return how often each true class (rows) got each answer (columns)."""
    answers = subject.measured.classes
    classes = max(len(report.dataset["labels"]), *(int(each.classes.max()) + 1 for each in report.artefacts))
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (report.true_classes, answers), 1)
    return matrix


def _wrong_shares(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return each cell as a share of its row, without the diagonal."""
    shares: npt.NDArray[np.float64] = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0.0)
    return shares


def _answers(report: Report, subjects: Sequence[Subject], index: int) -> list[tuple[str, bool]]:
    """Return the answers to an image, the reference's first, and whether they are right; equal ones share a line."""
    reference, *others = subjects
    usual = reference.measured.predictions[index]
    told: dict[int, list[Subject]] = {}
    for subject in others:
        answer = subject.measured.predictions[index]
        if answer != usual:
            told.setdefault(answer, []).append(subject)
    lines = [(usual, reference.name, reference)]
    for answer, group in told.items():
        names = group[0].name if len(group) == 1 else f"{group[0].name} and {len(group) - 1} more"
        lines.append((answer, names, group[0]))
    return [
        (
            f"{_shortened(name, 30)}: {_shortened(_label(report, answer))} ({subject.measured.confidence[index]:.0%})",
            answer == report.truth[index],
        )
        for answer, name, subject in lines
    ]


def _spot(subject: Subject) -> Spot:
    middle = subject.percentiles[50]
    low, high = middle.interval or (middle.value, middle.value)
    # An interval of a bootstrap may lie beside the estimate.
    latency = (middle.value / 1e3, min(low, middle.value) / 1e3, max(high, middle.value) / 1e3)
    accuracy = (subject.accuracy, *subject.accuracy_interval)
    percents = (100 * accuracy[0], 100 * accuracy[1], 100 * accuracy[2])
    return Spot(subject.name, subject.measured.precision, "", latency, percents)


def _size(subject: Subject) -> str:
    return f", {subject.measured.bytes / 1e3:.0f} kB" if subject.measured.bytes else ""


def _calls(timed: Sequence[Subject]) -> str:
    counts = sorted({len(subject.main.samples) for subject in timed if subject.main})
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def _label(report: Report, index: int) -> str:
    labels = report.dataset["labels"]
    return str(labels[index]) if index < len(labels) else str(index)


def _shortened(text: str, most: int = 12) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def _colour(subject: Subject) -> str:
    return _COLOURS.get(subject.measured.format, "#6b4fa0")


def _say(axes: Axes, words: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes)


def _latency_axis(axes: Axes, *, margins: tuple[float, float]) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low * 10 ** -margins[0], high * 10 ** margins[1])
    low, high = axes.get_xlim()
    ticks = [tick * 10.0**power for power in range(-2, 7) for tick in (1, 2, 5)]
    if high < 8 * low:
        ticks = [float(tick) for tick in MaxNLocator(7).tick_values(low, high)]
    ticks = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.grid(axis="both", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
