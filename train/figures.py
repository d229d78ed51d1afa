"""The pictures of a training run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgeport.train.datasets.dataset import Split
from edgeport.train.loop.history import Epoch, ValidationScore

_RIGHT, _WRONG = "#2f6f4f", "#c0392b"
_TRAIN, _VALIDATION = "#8a8f98", "#1f5fa8"


@rc_context({"text.parse_math": False})
def draw_learning_curves(
    path: Path,
    trained: Sequence[Epoch],
    fine_tuned: Sequence[Epoch] = (),
    *,
    best: int,
    start: ValidationScore | None = None,
) -> None:
    """Draw loss and error rate by epoch, for the train and validation splits, with the chosen epoch marked.

    Args:
        path: Where to write the PNG.
        trained: The epochs of the training; at least one here or there.
        fine_tuned: Those of quantization-aware fine-tuning, from which it is chosen then, after a dotted line.
        best: The number of the chosen epoch; 0 if the start was kept.
        start: The score before the first epoch from which it is chosen, drawn as a dashed line.
    """
    history = [*trained, *(replace(epoch, number=len(trained) + epoch.number) for epoch in fine_tuned)]
    chosen = best + (len(trained) if fine_tuned else 0)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [epoch.number for epoch in history]
    # A single epoch is no line.
    style = {"marker": "o"} if len(history) == 1 else {}
    left.plot(epochs, [epoch.loss for epoch in history], color=_TRAIN, label="train (augmented)", **style)
    left.plot(epochs, [epoch.validation_loss for epoch in history], color=_VALIDATION, label="validation", **style)
    left.set(title="Loss", xlabel="epoch")
    right.plot(
        epochs, [100 * (1 - epoch.accuracy) for epoch in history], color=_TRAIN, label="train (augmented)", **style
    )
    errors = [100 * (1 - epoch.validation_accuracy) for epoch in history]
    right.plot(epochs, errors, color=_VALIDATION, label="validation", **style)
    if start is not None:
        error = 100 * (1 - start.accuracy)
        label = f"{'kept, the start' if not best else 'the start'}: {error:.2f} %"
        left.axhline(start.loss, color=_VALIDATION, linestyle="--", linewidth=1, label="the start, validation")
        right.axhline(error, color=_VALIDATION, linestyle="--", linewidth=1, label=label)
        errors = [*errors, error]
    if best:
        label = f"best epoch, {chosen}: {errors[chosen - 1]:.2f} %"
        right.plot(chosen, errors[chosen - 1], "o", color=_VALIDATION, label=label)
    right.set(title="Error rate, percent", xlabel="epoch")
    # A logarithmic axis has no place for an error rate of zero.
    if min(errors) > 0:
        right.set_yscale("log")
        right.yaxis.set_major_formatter("{x:g}")
        right.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    for axes in (left, right):
        if fine_tuned:
            axes.axvline(len(trained) + 0.5, color=_TRAIN, linestyle=":", label="quantization-aware from here")
        axes.grid(alpha=0.3)
        axes.legend(edgecolor="none", framealpha=0.9)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


@rc_context({"text.parse_math": False})
def draw_predictions(
    path: Path,
    split: Split,
    probabilities: npt.NDArray[np.float32],
    labels: Sequence[str],
    *,
    most_wrong: int = 16,
) -> None:
    """Draw a grid of test images with prediction and confidence: the first ones, then the mistakes, marked.

    Args:
        path: Where to write the PNG.
        split: The images and their true classes.
        probabilities: float32 of shape (n, classes).
        labels: The name of each class.
        most_wrong: How many mistakes to show, the most confident first.
    """
    predicted = probabilities.argmax(axis=1)
    mistakes = np.flatnonzero(predicted != split.classes)
    mistakes = mistakes[np.argsort(-probabilities[mistakes, predicted[mistakes]], kind="stable")][:most_wrong]
    columns = 8
    first = np.arange(min(2 * columns, len(split)))
    rows = [2, -(-len(mistakes) // columns)] if len(mistakes) else [2]
    figure = Figure(figsize=(columns * 1.3, sum(rows) * 1.75 + 0.5 * len(rows)), layout="constrained")
    bands = figure.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)[:, 0]
    titles = [
        f"The first {len(first)} test images",
        f"Mistakes: {(predicted != split.classes).sum()} of {len(split)}, the most confident first",
    ]
    for band, chosen, title, count in zip(bands, (first, mistakes), titles, rows, strict=False):
        band.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
        cells = band.subplots(count, columns, squeeze=False).ravel()
        for cell in cells:
            cell.set_axis_off()
        for cell, index in zip(cells, chosen, strict=False):
            _draw_image(cell, split, int(index), probabilities[index], labels)
    figure.savefig(path, dpi=120)


@rc_context({"text.parse_math": False})
def draw_confusion_matrix(
    path: Path, classes: npt.NDArray[np.int64], predicted: npt.NDArray[np.intp], labels: Sequence[str]
) -> None:
    """Draw how often each true class (row) was given each answer (column); the colours show the mistakes."""
    count = len(labels)
    matrix = np.bincount(classes * count + predicted, minlength=count * count).reshape(count, count)
    wrong = matrix * (1 - np.eye(count, dtype=int))
    # Beyond some thirty classes neither numbers nor names can be read: the colours remain.
    readable = count <= 30
    size = max(5.0, 0.55 * count + 1.5) if readable else 12.0
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.where(wrong > 0, wrong, np.nan), cmap="Reds", vmin=0, vmax=max(4, wrong.max()))
    for row, column in np.argwhere(matrix > 0) if readable else ():
        shade = wrong[row, column] > 0.6 * max(4, wrong.max())
        axes.text(
            column, row, str(matrix[row, column]), ha="center", va="center", fontsize=9,
            color="white" if shade else (_RIGHT if row == column else "black"),
            weight="bold" if row == column else "normal",
        )  # fmt: skip
    rotation = 45 if max(map(len, labels)) > 3 else 0
    names = list(labels) if readable else [""] * count
    axes.set_xticks(range(count), names, rotation=rotation, ha="right" if rotation else "center")
    axes.set_yticks(range(count), names)
    accuracy = np.trace(matrix) / matrix.sum()
    axes.set(xlabel="predicted", ylabel="true", title=f"{np.trace(matrix)} of {matrix.sum()} right, {accuracy:.2%}")
    axes.tick_params(length=0)
    figure.savefig(path, dpi=120)


def _draw_image(
    axes: Axes, split: Split, index: int, probabilities: npt.NDArray[np.float32], labels: Sequence[str]
) -> None:
    image, true, best = split.samples[index], int(split.classes[index]), int(probabilities.argmax())
    axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255)
    text = f"{labels[best]}  {probabilities[best]:.0%}"
    if best != true:
        text += f"\nis {labels[true]}"
    axes.set_title(text, fontsize=9, color=_RIGHT if best == true else _WRONG, pad=3)
