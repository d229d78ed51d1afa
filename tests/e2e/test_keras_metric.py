"""Keras' own metrics and losses: its figures, which way is better, and those that a model was compiled with."""

from pathlib import Path

import keras
import numpy as np
import pytest

from edgeport.benchmarks.measure.compiled_metrics import compiled_metrics
from edgeport.benchmarks.tasks.keras_metric import keras_metric
from edgeport.benchmarks.tasks.metric import MetricError
from edgeport.benchmarks.tasks.table import metrics_of
from edgeport.runtime.errors import InputError

RANDOM = np.random.default_rng(0)
VALUES = RANDOM.uniform(1, 2, (60, 3))
CLOSE = (VALUES + RANDOM.normal(0, 0.1, VALUES.shape)).astype(np.float32)
CLASSES = RANDOM.integers(0, 4, 60)
SCORES = RANDOM.dirichlet(np.ones(4), 60).astype(np.float32)
BITS = CLASSES % 2


@pytest.mark.parametrize(
    ("name", "task", "truth", "answers", "expected", "better"),
    [
        ("MeanSquaredError", "values", VALUES, CLOSE, np.square(VALUES - CLOSE).mean(), "down"),
        ("mse", "values", VALUES, CLOSE, np.square(VALUES - CLOSE).mean(), "down"),
        ("LogCosh", "any", VALUES, CLOSE, np.log(np.cosh(VALUES - CLOSE)).mean(), "down"),
        ("accuracy", "classes", CLASSES, SCORES, (SCORES.argmax(1) == CLASSES).mean(), "up"),
        ("CategoricalAccuracy", "classes", CLASSES, SCORES, (SCORES.argmax(1) == CLASSES).mean(), "up"),
        ("SparseCategoricalAccuracy", "classes", CLASSES, SCORES, (SCORES.argmax(1) == CLASSES).mean(), "up"),
        (
            "CategoricalCrossentropy", "classes", CLASSES, SCORES,
            -np.log(SCORES[np.arange(60), CLASSES]).mean(), "down",
        ),
        ("BinaryAccuracy", "yes-no", BITS, SCORES[:, :1], ((SCORES[:, 0] > 0.5) == BITS).mean(), "up"),
        ("accuracy", "labels", np.eye(4)[CLASSES], SCORES, ((SCORES > 0.5) == np.eye(4)[CLASSES]).mean(), "up"),
        ("Huber", "values", VALUES, CLOSE, (np.square(VALUES - CLOSE) / 2).mean(), "down"),
    ],
)  # fmt: skip
def test_figures_are_those_of_the_formula(
    name: str, task: str, truth: np.ndarray, answers: np.ndarray, expected: float, better: str
) -> None:
    (metric,) = metrics_of(task, names=[f"keras:{name}"])
    assert metric.value(truth, answers) == pytest.approx(expected, rel=1e-5)
    assert metric.better == better
    again = metric.value(truth[:20], answers[:20])
    assert metric.value(truth, answers) == pytest.approx(expected, rel=1e-5), "nothing is left of an earlier call"
    assert again != pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [
        ("keras:MeanSquareError", "values", "got MeanSquareError, which Keras has neither as metric nor as loss"),
        ("keras:Mean", "values", "got Mean, which does not say what is better"),
        ("keras:MeanIoU", "map", "got answers of map, expected classes, yes-no, labels, values, any"),
    ],
)
def test_what_keras_has_not_is_refused_in_one_line(name: str, task: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        keras_metric(name, task=task)
    assert "\n" not in str(caught.value)


def test_what_fails_is_named_in_one_line() -> None:
    with pytest.raises(MetricError, match=r"metric keras:MeanSquaredError fails with .*") as caught:
        keras_metric("keras:MeanSquaredError", task="any").value(np.zeros((60, 5)), CLOSE)
    assert "\n" not in str(caught.value)


def test_what_a_model_was_compiled_with_is_read_from_its_configuration(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    model.compile(loss=keras.losses.Huber(), metrics=["mae", keras.metrics.R2Score()])
    model.save(tmp_path / "model.keras")
    assert compiled_metrics(tmp_path / "model.keras") == ("keras:Huber", "keras:mae", "keras:R2Score")
    for name in compiled_metrics(tmp_path / "model.keras"):
        assert keras_metric(name, task="values").value(VALUES[:, :1], CLOSE[:, :1]) == pytest.approx(
            keras_metric(name, task="any").value(VALUES[:, :1], CLOSE[:, :1])
        )
    keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)]).save(tmp_path / "plain.keras")
    assert compiled_metrics(tmp_path / "plain.keras") == ()
    (tmp_path / "damaged.keras").write_bytes((tmp_path / "model.keras").read_bytes()[:200])
    assert compiled_metrics(tmp_path / "damaged.keras") == ()
