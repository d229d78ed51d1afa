"""The table of tasks: what an output means decides which metrics judge it, unless users name others."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeport.benchmarks.tasks.decisions import (
    BALANCED_ACCURACY,
    DICE,
    MACRO_F1,
    MEAN_IOU,
    PLACE_ACCURACY,
    STEP_ACCURACY,
    STEP_F1,
    accuracy,
    accuracy_at,
)
from edgeport.benchmarks.tasks.metric import Metric
from edgeport.benchmarks.tasks.rankings import AVERAGE_PRECISION, LABEL_F1, MEAN_AVERAGE_PRECISION, ROC_AUC
from edgeport.benchmarks.tasks.scores import recall_at
from edgeport.benchmarks.tasks.users_metric import is_users_metric, users_metric
from edgeport.benchmarks.tasks.values import value_metrics
from edgeport.runtime.cli import needing
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import MissingDependencyError, unknown_name

# Of more columns, a figure each says less than one of all.
_MOST_COLUMNS = 6
Chosen = tuple[Metric, ...]


@dataclass(frozen=True, eq=False)
class Task:
    """One row of the table.

    Attributes:
        metrics: From the names and the units of an output's columns: the metrics that judge it, the one that decides
            first.
        named: Metrics that suit it too, for those who name them: how such a name looks, with a number in it, an
            example, and what makes the metric of that number.
    """

    metrics: Callable[[Sequence[str], Sequence[str]], Chosen]
    named: tuple[str, str, Callable[[float], Metric]] | None = None


def _always(*metrics: Metric) -> Callable[[Sequence[str], Sequence[str]], Chosen]:
    return lambda columns, units: metrics


def _values(columns: Sequence[str], units: Sequence[str]) -> Chosen:
    """Return the metrics of all values together, and if they are few, of each in its own units."""
    if len(columns) == 1 or not 1 < len(columns) <= _MOST_COLUMNS:
        return value_metrics(unit=units[0] if len(set(units)) == 1 else "")
    units = units or [""] * len(columns)
    each = [value_metrics(column=place, name=name, unit=units[place]) for place, name in enumerate(columns)]
    # The mean absolute error and R2 of every column.
    return (*(metrics[0] for metrics in each), *(metrics[2] for metrics in each))


def _of_keras(name: str, task: str) -> Metric:
    """Return a metric of Keras, whose import takes seconds and prints."""
    with needing("benchmarks", f"--metric {name}"), quiet_stderr():
        from edgeport.benchmarks.tasks.keras_metric import keras_metric
    return keras_metric(name, task=task)


def _boxes(columns: Sequence[str], units: Sequence[str]) -> Chosen:
    try:
        from edgeport.benchmarks.tasks.boxes import BOX_MAP, BOX_MAP50
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"metrics of boxes need {error.name}: pip install 'edgeport[detection]'"
        ) from error
    return BOX_MAP, BOX_MAP50


TASKS: dict[str, Task] = {
    "classes": Task(
        _always(accuracy(), BALANCED_ACCURACY, MACRO_F1),
        (r"top-([1-9]\d{0,3}) accuracy", "top-5 accuracy", lambda k: accuracy(int(k))),
    ),
    "yes-no": Task(
        _always(accuracy(), ROC_AUC, AVERAGE_PRECISION), (r"accuracy@(0?\.\d+)", "accuracy@0.3", accuracy_at)
    ),
    "labels": Task(_always(MEAN_AVERAGE_PRECISION, LABEL_F1)),
    "values": Task(_values),
    "map": Task(_always(MEAN_IOU, DICE, PLACE_ACCURACY)),
    "sequence": Task(_always(STEP_ACCURACY, STEP_F1)),
    "boxes": Task(_boxes),
    "anomaly": Task(_always(ROC_AUC, AVERAGE_PRECISION)),
    "similarity": Task(
        _always(recall_at(1), recall_at(5)), (r"recall@([1-9]\d{0,3})", "recall@10", lambda k: recall_at(int(k)))
    ),
    "any": Task(_always()),
}


def metrics_of(
    task: str, *, columns: Sequence[str] = (), units: Sequence[str] = (), names: Sequence[str] = ()
) -> Chosen:
    """Return the metrics that judge an output.

    Args:
        task: A row of the table.
        columns: The names of its columns; empty if unknown.
        units: What each column is measured in; empty if unknown.
        names: The metrics that a user chose, by their names or as functions of a Python file, which is run; empty for
            the usual ones.

    Raises:
        InputError: No metric of that name suits the task, or a function is none that can judge.
    """
    row = TASKS[task]
    usual = row.metrics(columns, units)
    known = {metric.name: metric for metric in usual}
    for name in names:
        if is_users_metric(name):
            known[name] = users_metric(name)
        elif name.startswith("keras:"):
            known[name] = _of_keras(name, task)
        elif row.named and (found := re.fullmatch(row.named[0], name)):
            known[name] = row.named[2](float(found[1]))
        elif name not in known:
            raise unknown_name(f"metric of {task}", name, [*known, *(row.named[1:2] if row.named else ())])
    return tuple(known[name] for name in names) or usual
