"""Answers in pictures, by what they mean: predicted against true, curves over all thresholds, and scores."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.report.charts.data import Cloud, Histograms, Plot, Spread, SpreadRow, Trace
from edgeport.benchmarks.report.document import Block, Chart, Section
from edgeport.benchmarks.report.findings import Candidate, Findings
from edgeport.benchmarks.report.sections.pictures.changed_samples import ShownOutput, boxes, masks
from edgeport.benchmarks.report.words import enumerated

_Floats = npt.NDArray[np.float64]
# The reference, and those beside it; more would lie on each other.
_LOOKS = (("keras", "o"), ("machine-2", "^"), ("machine-1", "D"), ("machine-4", "s"))
_MOST_POINTS, _MOST_STEPS = 300, 150
_NORMAL, _ANOMALOUS = ("machine-1", "normal"), ("machine-2", "anomalous")
FILES = ("predicted-true.png", "errors.png", "roc.png", "precision-recall.png", "scores.png")


def shown_answers(findings: Findings) -> Section | None:
    """Return the section; None where nothing is true, or a task has no picture."""
    for place, output in enumerate(findings.report.judged):
        draw = _PICTURES.get(output.task)
        if output.targets is not None and draw is not None:
            shown = _chosen(findings, place)
            blocks = draw(ShownOutput(findings, output, place, shown))
            return Section("shown-answers", "Answers in pictures", blocks) if blocks else None
    return None


def _chosen(findings: Findings, place: int) -> list[Candidate]:
    """Return the reference and those whose answers are farthest from its own, in the order of the report."""
    moved = {each.name: change.mean for each in findings.others if (change := each.judged[place].change) is not None}
    farthest = sorted(moved, key=lambda name: -moved[name])[: len(_LOOKS) - 1]
    return [findings.reference, *(each for each in findings.others if each.name in farthest)]


def _values(output: ShownOutput) -> list[Block]:
    truth = np.asarray(output.truth, np.float64).reshape(len(output.truth), -1)
    unit = output.judged.units[0] if len(set(output.judged.units)) == 1 else ""
    behind = f", {unit}" if unit else ""
    errors = {}
    traces = []
    drawn = _some(truth.size, _MOST_POINTS)
    for candidate, (colour, mark) in zip(output.shown, _LOOKS, strict=False):
        answers = np.asarray(output.answers(candidate), np.float64).reshape(truth.shape)
        errors[candidate.name] = (answers - truth).ravel()
        traces.append(Trace(candidate.name, colour, mark, truth.ravel()[drawn], answers.ravel()[drawn]))
    rows = [
        SpreadRow(name, [Spread(name, colour, each)])
        for (name, each), (colour, _) in zip(errors.items(), _LOOKS, strict=False)
    ]
    middle = "; ".join(f"{name}: half of the errors are below {np.median(np.abs(e)):.3g}" for name, e in errors.items())
    some = f" {len(drawn)} of {truth.size:,} values are drawn." if len(drawn) < truth.size else ""
    return [
        Chart(
            "predicted-true",
            f"Predicted against true {output.judged.name}",
            middle,
            Cloud(traces, f"true {output.judged.name}{behind}", f"predicted{behind}"),
            f"On the line the answer is right.{some} Of more than three artefacts those that moved most are shown.",
            file=FILES[0],
        ),
        Chart(
            "errors",
            f"Errors of {output.judged.name}",
            middle,
            Histograms(rows, f"predicted less true{behind}", mark_at=0.0),
            "How the errors are distributed; those beyond 99 % of all are left out.",
            file=FILES[1],
        ),
    ]


def _scores(output: ShownOutput) -> list[Block]:
    """Return what a threshold does, wherever it is: of one score a sample, or of labels their mean curve."""
    truth = np.asarray(output.truth)
    truth = truth.reshape(len(truth), -1)
    # Of a label that all samples have, or none, there is no curve.
    columns = np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0))
    if not columns.size:
        return []
    roc: list[Trace] = []
    recalls: list[Trace] = []
    for candidate, (colour, mark) in zip(output.shown, _LOOKS, strict=False):
        scores = np.asarray(output.answers(candidate), np.float64).reshape(truth.shape)
        curves = [_curves(truth[:, column], scores[:, column]) for column in columns]
        rising, falling = ([each[place] for each in curves] for place in (0, 1))
        roc.append(Trace(candidate.name, colour, mark, *_mean_curve(rising, side="right")))
        recalls.append(Trace(candidate.name, colour, mark, *_mean_curve(falling, side="left")))
    names = enumerated([each.name for each in output.shown])
    together = f", mean over {columns.size} labels" if output.judged.task == "labels" else ""
    return [
        Chart(
            "roc",
            "ROC curve",
            f"The curves of {names}; the areas below them are in the table of metrics.",
            Plot(roc, f"false positive rate{together}", "true positive rate", diagonal=True),
            "Up and to the left is better; the dashed line is chance. Wide lines lie below narrow ones.",
            file=FILES[2],
        ),
        Chart(
            "precision-recall",
            "Precision and recall",
            f"The curves of {names}.",
            Plot(recalls, f"recall{together}", "precision"),
            "Up and to the right is better.",
            file=FILES[3],
        ),
    ]


def _curves(truth: npt.NDArray[np.int64], scores: _Floats) -> tuple[tuple[_Floats, _Floats], tuple[_Floats, _Floats]]:
    """Return the ROC curve of one score, and that of its precision over its recall."""
    # scikit-learn takes a second to import, which a report without scores is spared.
    from sklearn.metrics import precision_recall_curve, roc_curve

    false, right, _ = roc_curve(truth, scores)
    precision, recall, _ = precision_recall_curve(truth, scores)
    return _thinned(false, right), _thinned(recall[::-1], precision[::-1])


def _mean_curve(
    curves: Sequence[tuple[_Floats, _Floats]], *, side: Literal["left", "right"]
) -> tuple[_Floats, _Floats]:
    """Return a curve as it is, or the mean of several steps (macro average).

    Args:
        curves: Places from left to right, and the height at each.
        side: ``right`` for steps that keep the height of the point before, as those of a ROC curve; ``left`` for that
            of the next point, as average precision counts it.
    """
    if len(curves) == 1:
        return curves[0]
    grid = np.linspace(0, 1, _MOST_STEPS)
    heights = [y[np.clip(np.searchsorted(x, grid, side=side) - (side == "right"), 0, len(y) - 1)] for x, y in curves]
    return grid, np.mean(heights, axis=0)


def _anomalies(output: ShownOutput) -> list[Block]:
    truth = np.asarray(output.truth).ravel().astype(bool)
    rows = []
    for candidate in output.shown:
        scores = np.asarray(output.answers(candidate), np.float64).ravel()
        parts = ((~truth, _NORMAL), (truth, _ANOMALOUS))
        spreads = [Spread(name, colour, scores[part]) for part, (colour, name) in parts if part.any()]
        rows.append(SpreadRow(candidate.name, spreads))
    chart = Chart(
        "scores",
        "Scores of normal and anomalous samples",
        f"{int((~truth).sum()):,} normal and {int(truth.sum()):,} anomalous samples.",
        Histograms(rows, "score (how far a sample is from what is made of it)"),
        "Each distribution has its own height. The less they overlap, the better; the outermost 1 % is left out.",
        tuple((colour, "", name) for colour, name in (_NORMAL, _ANOMALOUS)),
        file=FILES[4],
    )
    return [chart, *_scores(output)]


def _some(count: int, most: int) -> npt.NDArray[np.int64]:
    """Return places, the same ones every time."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def _thinned(x: _Floats, y: _Floats) -> tuple[_Floats, _Floats]:
    """Return a line with fewer points, both ends among them."""
    if len(x) <= _MOST_STEPS:
        return x, y
    places = np.unique(np.linspace(0, len(x) - 1, _MOST_STEPS).astype(np.int64))
    return x[places], y[places]


_PICTURES: dict[str, Callable[[ShownOutput], list[Block]]] = {
    "values": _values,
    "yes-no": _scores,
    "labels": _scores,
    "anomaly": _anomalies,
    "map": masks,
    "boxes": boxes,
}
