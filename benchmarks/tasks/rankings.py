"""Metrics of rankings: whether what is true gets larger scores than what is not, whatever the threshold."""

import numpy as np
from sklearn import metrics

from edgeport.benchmarks.tasks.metric import UP, Array, Floats, Metric, Weighted


class _Ranking:
    """Scores in a fixed order, so that a draw is a few sums.

    Attributes:
        positive: Whether each is true, in the order of falling scores, as 0 and 1.
    """

    def __init__(self, truth: Array, scores: Array) -> None:
        scores = scores.reshape(-1)
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        # Equal scores are one step.
        self._starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        self.positive = truth.reshape(-1)[self._order].astype(np.float64)

    def steps(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the weights of what is true and of what is not at each score, from the largest."""
        ordered = weights[self._order]
        true = np.add.reduceat(ordered * self.positive, self._starts)
        return true, np.add.reduceat(ordered, self._starts) - true


def _weighted_auc(truth: Array, scores: Array) -> Weighted:
    ranking = _Ranking(truth, scores)

    def auc(weights: Floats) -> float:
        true, false = ranking.steps(weights)
        pairs = true.sum() * false.sum()
        beaten = false.sum() - np.cumsum(false) + false / 2
        return float(true @ beaten / pairs) if pairs else float("nan")

    return auc


def _weighted_precision(truth: Array, scores: Array) -> Weighted:
    ranking = _Ranking(truth, scores)

    def average_precision(weights: Floats) -> float:
        true, false = ranking.steps(weights)
        found, taken = np.cumsum(true), np.cumsum(true + false)
        if not found[-1]:
            return float("nan")
        return float(true @ np.divide(found, taken, out=np.zeros_like(found), where=taken > 0) / found[-1])

    return average_precision


def _weighted_mean_precision(truth: Array, scores: Array) -> Weighted:
    columns = [_weighted_precision(truth[:, label], scores[:, label]) for label in _occurring(truth)]

    def mean(weights: Floats) -> float:
        found = np.array([column(weights) for column in columns])
        return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")

    return mean


def _weighted_f1(truth: Array, scores: Array) -> Weighted:
    decided = scores >= 0.5
    hits, both = (truth.astype(bool) & decided).astype(np.float64), truth.astype(np.float64) + decided

    def mean(weights: Floats) -> float:
        parts, whole = 2 * (weights @ hits), weights @ both
        return float(np.divide(parts, whole, out=np.zeros_like(parts), where=whole > 0).mean())

    return mean


def _occurring(truth: Array) -> list[int]:
    """Return the labels that some sample has; the others have no precision."""
    return [int(label) for label in np.flatnonzero(truth.any(axis=0))]


def _mean_precision(truth: Array, scores: Array) -> float:
    columns = _occurring(truth)
    if not columns:
        return float("nan")
    return float(metrics.average_precision_score(truth[:, columns], scores[:, columns], average="macro"))


ROC_AUC = Metric(
    "ROC AUC",
    UP,
    lambda truth, scores: float(metrics.roc_auc_score(truth.ravel(), scores.ravel())),
    _weighted_auc,
)
AVERAGE_PRECISION = Metric(
    "average precision",
    UP,
    lambda truth, scores: float(metrics.average_precision_score(truth.ravel(), scores.ravel())),
    _weighted_precision,
)
MEAN_AVERAGE_PRECISION = Metric("mAP", UP, _mean_precision, _weighted_mean_precision)
LABEL_F1 = Metric(
    "macro F1",
    UP,
    lambda truth, scores: float(metrics.f1_score(truth, scores >= 0.5, average="macro", zero_division=0)),
    _weighted_f1,
)
