"""Metrics of real values: how far an answer is from the truth, in its own units."""

import math
from collections.abc import Callable

import numpy as np
from sklearn import metrics

from edgeport.benchmarks.tasks.metric import DOWN, UP, ZERO, Array, Floats, Metric, Weighted, mean_of


def value_metrics(*, column: int | None = None, name: str = "", unit: str = "") -> tuple[Metric, ...]:
    """Return mean absolute error, root mean squared error, R2 and bias, of one column or of all values.

    Args:
        column: Which column of (n, columns); None for all values of a sample together.
        name: What stands behind the name of each metric.
        unit: What the column is measured in.
    """

    def of(truth: Array, answers: Array) -> tuple[Floats, Floats]:
        both = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (truth, answers))
        true, given = (each if column is None else each[:, column : column + 1] for each in both)
        return true, given

    def metric(what: str, better: str, value: Callable[[Floats, Floats], float], kept: _Kept, unit: str) -> Metric:
        return Metric(
            f"{what} {name}".strip(),
            better,
            lambda truth, answers: value(*of(truth, answers)),
            lambda truth, answers: kept(*of(truth, answers)),
            unit=unit,
        )

    return (
        metric("MAE", DOWN, lambda y, p: float(metrics.mean_absolute_error(y, p)), _absolute, unit),
        metric("RMSE", DOWN, lambda y, p: math.sqrt(metrics.mean_squared_error(y, p)), _squared, unit),
        metric("R2", UP, lambda y, p: float(metrics.r2_score(y, p)), _explained, ""),
        metric("bias", ZERO, lambda y, p: float((p - y).mean()), lambda y, p: mean_of((p - y).mean(axis=1)), unit),
    )


_Kept = Callable[[Floats, Floats], Weighted]


def _absolute(truth: Floats, answers: Floats) -> Weighted:
    return mean_of(np.abs(answers - truth).mean(axis=1))


def _squared(truth: Floats, answers: Floats) -> Weighted:
    mean = mean_of(np.square(answers - truth).mean(axis=1))
    return lambda weights: math.sqrt(mean(weights))


def _explained(truth: Floats, answers: Floats) -> Weighted:
    missed = np.square(answers - truth)
    # Around a fixed middle, so that sums of squares do not cancel.
    around = truth - truth.mean(axis=0)
    squared = np.square(around)

    def explained(weights: Floats) -> float:
        whole = weights @ squared - np.square(weights @ around) / weights.sum()
        if not (whole > 0).all():
            return float("nan")
        return float((1 - weights @ missed / whole).mean())

    return explained
