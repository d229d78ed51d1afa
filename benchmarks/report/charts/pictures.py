"""The pictures beside the page: flipped images with their answers, and confusion matrices."""

import base64
import io
import math

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from edgeport.benchmarks.report.document import Pictures
from edgeport.benchmarks.report.findings import Candidate, Findings
from edgeport.benchmarks.report.looks import CHART_PALETTE

_KERAS = CHART_PALETTE["keras"][0]
_RIGHT, _WRONG = "#1a7f37", "#c0392b"
# More than a page of either is looked at in report.html or in flips.npz.
_MOST_FLIPS = 40
_MOST_LABELS = 20
_MISTAKES = LinearSegmentedColormap.from_list("mistakes", ["#ffffff", "#f3b29b", "#a3123a"])
_RIGHT_ANSWERS = ListedColormap(["#ebedf0"])


@rc_context({"text.parse_math": False})
def flips_figure(findings: Findings) -> Figure:
    """Return the test images that some artefact answers unlike the reference, with the truth and every answer."""
    report = findings.report
    flipped = sorted({index for each in findings.others if each.compared for index, _ in each.compared.flipped})
    shown = [index for index in flipped if str(index) in report.pictures][:_MOST_FLIPS]
    if not shown:
        figure = Figure(figsize=(6, 1.4), layout="constrained")
        axes = figure.subplots()
        axes.set_axis_off()
        words = "every artefact answers every image as the reference does"
        axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes)
        return figure
    captions = [_answers(findings, index) for index in shown]
    titles = [f"image {index:,}, true: {_shortened(findings.label(report.truth[index]))}" for index in shown]
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
    return figure


@rc_context({"text.parse_math": False})
def panels_figure(pictures: Pictures) -> Figure:
    """Return pictures of samples side by side, a row each, with the boxes on them."""
    columns = max(len(panels) for _, panels in pictures.rows)
    figure = Figure(figsize=(max(1.8 * columns, 5.0), 2.15 * len(pictures.rows) + 0.4), layout="constrained")
    grid = figure.subplots(len(pictures.rows), columns, squeeze=False)
    for row, (title, panels) in zip(grid, pictures.rows, strict=True):
        for axes in row:
            axes.set_axis_off()
        for place, (axes, panel) in enumerate(zip(row, panels, strict=False)):
            picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(panel.picture))).convert("RGB"))
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(f"{title}\n{panel.name}" if not place else panel.name, fontsize=7.5, loc="left")
            height, width = picture.shape[:2]
            for box in panel.boxes:
                corner = box.left * width - 0.5, box.top * height - 0.5
                colour = CHART_PALETTE[box.colour][0]
                size = box.width * width, box.height * height
                axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=1.6))
    figure.suptitle(pictures.title, fontsize=10)
    return figure


@rc_context({"text.parse_math": False})
def confusion_figure(findings: Findings) -> Figure:
    """Return the confusion matrix of every candidate: rows are true classes, columns are answers.

    A cell's colour is the share of its row's images that were answered wrong in this way; right answers are all of one
    grey, so that a few mistakes among thousands of them can be seen.
    """
    report = findings.report
    found = {id(candidate): each for each in findings.confusions for candidate in each.candidates}
    confusions = [found[id(candidate)] for candidate in findings.candidates]
    shares = [_wrong_shares(each.matrix) for each in confusions]
    darkest = max(*(float(share.max()) for share in shares), 1e-3)
    classes = len(shares[0])
    columns = min(4, len(confusions))
    rows = math.ceil(len(confusions) / columns)
    side = 2.6 if classes <= 6 else 3.3 if classes <= 12 else 4.4
    figure = Figure(figsize=(max(side * columns, 5.6), (side + 0.25) * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(confusions) :]:
        axes.set_axis_off()
    for axes, candidate, confusion, share in zip(grid, findings.candidates, confusions, shares, strict=False):
        # The square root shows one mistake in a thousand beside one in twenty.
        axes.imshow(np.sqrt(share), cmap=_MISTAKES, vmin=0, vmax=math.sqrt(darkest))
        axes.imshow(np.ma.masked_equal(np.eye(classes), 0), cmap=_RIGHT_ANSWERS, vmin=0, vmax=1)
        axes.set_title(f"{candidate.name}: {confusion.wrong:,} wrong", fontsize=10, color="black")
        _label_matrix(axes, findings, confusion.matrix, share / darkest)
    figure.suptitle(
        f"{report.model} on {report.dataset['name']}: confusions\n"
        "rows: true class, columns: answer; colour: mistakes as a share of the row",
        fontsize=10,
    )
    return figure


def _label_matrix(
    axes: Axes, findings: Findings, matrix: npt.NDArray[np.int64], strength: npt.NDArray[np.float64]
) -> None:
    """Write class names beside a matrix, and counts into its cells, if there is room."""
    classes = len(matrix)
    axes.spines[:].set_color("#bbbbbb")
    if classes > _MOST_LABELS:
        axes.tick_params(labelsize=7)
        return
    names = [_shortened(findings.label(index)) for index in range(classes)]
    turned = max(map(len, names)) > 3
    axes.set_xticks(
        range(classes), names, fontsize=7.5, rotation=60 if turned else 0, ha="right" if turned else "center"
    )
    axes.set_yticks(range(classes), names, fontsize=7.5)
    axes.tick_params(length=0)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        right = row == column
        colour = _KERAS if right else "white" if strength[row, column] > 0.4 else "black"
        axes.text(column, row, f"{matrix[row, column]}", ha="center", va="center", color=colour,
                  fontsize=6.5 if classes > 6 else 8, fontweight="normal" if right else "bold")  # fmt: skip


def _wrong_shares(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return each cell as a share of its row, without the diagonal."""
    shares: npt.NDArray[np.float64] = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0.0)
    return shares


def _answers(findings: Findings, index: int) -> list[tuple[str, bool]]:
    """Return the answers to an image, the reference's first, and whether they are right; equal ones share a line."""
    reference, truth = findings.reference, findings.report.truth[index]
    groups: dict[int, list[Candidate]] = {}
    for candidate in findings.others:
        answer = candidate.measured.predictions[index]
        if answer != reference.measured.predictions[index]:
            groups.setdefault(answer, []).append(candidate)
    lines = []
    for first, *more in ([reference], *groups.values()):
        answer, sure = first.measured.predictions[index], first.measured.confidence[index]
        name = f"{first.name} and {len(more)} more" if more else first.name
        label = _shortened(findings.label(answer))
        lines.append((f"{_shortened(name, 30)}: {label} ({sure:.0%})", answer == truth))
    return lines


def _shortened(text: str, most: int = 12) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"
