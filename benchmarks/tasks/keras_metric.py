"""Keras' own metrics and losses as metrics: ``keras:NAME``, evaluated on all samples at once."""

from typing import Any

# Keras comes after its backend.
from edgeport.train.models.keras_backend import check_backend  # isort: skip

import keras
import numpy as np

from edgeport.benchmarks.tasks.metric import DOWN, UP, ZERO, Array, Metric, MetricError
from edgeport.runtime.errors import InputError

# What a model is compiled with by these names depends on its targets.
_ACCURACY = {"classes": "SparseCategoricalAccuracy", "yes-no": "BinaryAccuracy", "labels": "BinaryAccuracy"}
# Of others a report keeps decisions, which are not what Keras' metrics take.
_JUDGED = ("classes", "yes-no", "labels", "values", "any")


def keras_metric(name: str, *, task: str) -> Metric:
    """Return one of Keras' metrics or losses.

    A metric says itself which way is better; of a loss less is. Class numbers become rows with one 1, unless the name
    begins with ``Sparse`` or ``sparse``.

    Args:
        name: ``keras:NAME``, or ``keras:NAME:up`` for one that does not say which way is better.
        task: What the output means.

    Raises:
        InputError: Keras has none of that name, it does not say which way is better, or is not for such answers.
    """
    check_backend()
    _, _, rest = name.partition(":")
    called, _, better = rest.partition(":")
    if task not in _JUDGED:
        raise InputError(f"--metric {name}: got answers of {task}, expected {', '.join(_JUDGED)}")
    found = _found(_ACCURACY.get(task, called) if called in ("accuracy", "acc") else called)
    better = better or ("" if found is None else _direction(found, called))
    if found is None or better not in (UP, DOWN, ZERO):
        why = "which Keras has neither as metric nor as loss" if found is None else "which does not say what is better"
        raise InputError(
            f"--metric {name}: got {called}, {why}, expected such as keras:MeanSquaredError or keras:F1:up"
        )
    sparse = called.lower().startswith("sparse") or called in ("accuracy", "acc")

    def value(truth: Array, answers: Array) -> float:
        if truth.ndim == 1 and answers.ndim == 2 and task in ("classes", "yes-no"):
            several = answers.shape[1] > 1 and not sparse
            truth = np.eye(answers.shape[1], dtype=np.float32)[truth] if several else truth[:, None]
        try:
            return _number(_evaluated(found, truth, answers), name)
        except MetricError:
            raise
        except Exception as error:
            # TensorFlow's own errors have no other base.
            raise MetricError(f"metric {name} fails with {' '.join(str(error).split())[:200]}") from error

    return Metric(name, better, value, unit="")


def _found(name: str) -> Any:
    for module in (keras.metrics, keras.losses):
        try:
            return module.get(name)
        except ValueError:
            continue
    return None


def _direction(found: Any, name: str) -> str:
    """Return which way is better, as Keras knows it; empty if it does not."""
    if isinstance(found, keras.metrics.Metric):
        return getattr(found, "_direction", None) or ""
    if isinstance(found, keras.losses.Loss):
        return DOWN
    try:
        return DOWN if keras.losses.get(name) is found else ""
    except ValueError:
        return ""


def _evaluated(found: Any, truth: Array, answers: Array) -> Any:
    if isinstance(found, keras.metrics.Metric):
        found.reset_state()
        found.update_state(truth, answers)
        return found.result()
    figure = found(truth, answers)
    return figure if isinstance(found, keras.losses.Loss) else keras.ops.mean(figure)


def _number(figure: Any, name: str) -> float:
    array = np.asarray(keras.ops.convert_to_numpy(figure))
    if array.ndim:
        raise MetricError(f"metric {name}: got an array of shape {array.shape}, expected a number")
    return float(array)
