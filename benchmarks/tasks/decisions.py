"""Metrics of decisions: which of several classes, whether or not, and which class at each place of a map."""

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from edgeport.benchmarks.tasks.answers import IGNORED, classes_of
from edgeport.benchmarks.tasks.metric import UP, Array, Floats, Metric, Weighted, mean_of
from edgeport.runtime.errors import InputError


def accuracy(k: int = 1) -> Metric:
    """Return the share of samples whose true class is among the k with the largest scores.

    Of equal scores the class with the lower number counts as the larger, as in ``argmax``.
    """

    def right(truth: Array, answers: Array) -> npt.NDArray[np.bool_]:
        if k == 1:
            return np.asarray(classes_of(answers) == truth)
        if answers.ndim < 2:
            raise InputError(f"top-{k} accuracy: got a class for each sample, expected a score for each class")
        best = np.argsort(-answers, axis=-1, kind="stable")[:, :k]
        return np.asarray((best == truth[:, None]).any(axis=1))

    def value(truth: Array, answers: Array) -> float:
        if k == 1:
            return float(metrics.accuracy_score(truth, classes_of(answers)))
        return float(right(truth, answers).mean())

    def weighted(truth: Array, answers: Array) -> Weighted:
        return mean_of(right(truth, answers))

    return Metric("accuracy" if k == 1 else f"top-{k} accuracy", UP, value, weighted, right)


def accuracy_at(threshold: float) -> Metric:
    """Return the share of samples whose answer to yes or no is right if so much probability is a yes."""

    def right(truth: Array, answers: Array) -> npt.NDArray[np.bool_]:
        return np.asarray((answers.reshape(-1) >= threshold) == truth.reshape(-1).astype(bool))

    return Metric(
        f"accuracy@{threshold:g}",
        UP,
        lambda truth, answers: float(metrics.accuracy_score(truth.ravel(), answers.ravel() >= threshold)),
        lambda truth, answers: mean_of(right(truth, answers)),
        right,
    )


def _confusion_of(truth: Array, decided: npt.NDArray[np.int64]) -> Floats:
    """Return for each sample how often it is of a true class and decided for another: (n, true * decided)."""
    count = len(truth)
    truth, decided = truth.reshape(count, -1).astype(np.int64), decided.reshape(count, -1)
    meant = truth != IGNORED
    classes = int(max(truth[meant].max(initial=0), decided.max(initial=0))) + 1
    cells = np.where(meant, truth * classes + decided, classes * classes)
    rows = cells + np.arange(count)[:, None] * (classes * classes + 1)
    counts = np.bincount(rows.ravel(), minlength=count * (classes * classes + 1))
    return counts.reshape(count, -1)[:, :-1].astype(np.float64)


def _of_confusion(truth: Array, answers: Array, figure: str) -> Weighted:
    decided = classes_of(answers)
    if truth.ndim == 1:
        return _of_pairs(truth.astype(np.int64), decided, figure)
    confusion = _confusion_of(truth, decided)
    classes = int(np.sqrt(confusion.shape[1]))
    return lambda weights: _figure((weights @ confusion).reshape(classes, classes), figure)


def _of_pairs(truth: npt.NDArray[np.int64], decided: npt.NDArray[np.int64], figure: str) -> Weighted:
    classes = int(max(truth.max(initial=0), decided.max(initial=0))) + 1
    cells = truth * classes + decided

    def of(weights: Floats) -> float:
        counts: Floats = np.bincount(cells, weights, minlength=classes * classes).astype(np.float64)
        return _figure(counts.reshape(classes, classes), figure)

    return of


def _figure(confusion: Floats, figure: str) -> float:
    """Return a mean over the classes that occur, from how often each true class (row) was decided for each (column)."""
    hits, meant, decided = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    if figure == "accuracy":
        return float(hits.sum() / confusion.sum()) if confusion.any() else float("nan")
    parts, whole = {
        "recall": (hits, meant),
        "f1": (2 * hits, meant + decided),
        "iou": (hits, meant + decided - hits),
    }[figure]
    seen = whole > 0
    return float((parts[seen] / whole[seen]).mean()) if seen.any() else float("nan")


def _flat(truth: Array, answers: Array) -> tuple[Array, Array]:
    """Return true and decided classes of all places that mean one, in a row."""
    truth, decided = truth.ravel(), classes_of(answers).ravel()
    return truth[truth != IGNORED], decided[truth != IGNORED]


BALANCED_ACCURACY = Metric(
    "balanced accuracy",
    UP,
    lambda truth, answers: float(metrics.balanced_accuracy_score(truth, classes_of(answers))),
    partial(_of_confusion, figure="recall"),
)
MACRO_F1 = Metric(
    "macro F1",
    UP,
    lambda truth, answers: float(metrics.f1_score(truth, classes_of(answers), average="macro", zero_division=0)),
    partial(_of_confusion, figure="f1"),
)
PLACE_ACCURACY = Metric(
    "place accuracy",
    UP,
    lambda truth, answers: float(metrics.accuracy_score(*_flat(truth, answers))),
    partial(_of_confusion, figure="accuracy"),
)
MEAN_IOU = Metric(
    "mIoU",
    UP,
    lambda truth, answers: float(metrics.jaccard_score(*_flat(truth, answers), average="macro", zero_division=0)),
    partial(_of_confusion, figure="iou"),
)
DICE = Metric(
    "Dice",
    UP,
    lambda truth, answers: float(metrics.f1_score(*_flat(truth, answers), average="macro", zero_division=0)),
    partial(_of_confusion, figure="f1"),
)
# Of a sequence, whose places are steps.
STEP_ACCURACY, STEP_F1 = replace(PLACE_ACCURACY, name="step accuracy"), replace(DICE, name="macro F1")
