"""Metrics beside the libraries that define them, and verdicts on losses of a known size."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as sk

from edgeport.benchmarks.statistics.paired_change import paired_change
from edgeport.benchmarks.tasks.answers import reconstruction_errors
from edgeport.benchmarks.tasks.boxes import BOX_MAP, BOX_MAP50
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
from edgeport.benchmarks.tasks.metric import Array, Metric
from edgeport.benchmarks.tasks.rankings import AVERAGE_PRECISION, LABEL_F1, MEAN_AVERAGE_PRECISION, ROC_AUC
from edgeport.benchmarks.tasks.scores import recall_at
from edgeport.benchmarks.tasks.table import metrics_of
from edgeport.benchmarks.tasks.values import value_metrics
from edgeport.runtime.errors import InputError

COUNT = 400
Made = Callable[[np.random.Generator], tuple[Array, Array]]


def of_classes(random: np.random.Generator) -> tuple[Array, Array]:
    truth = random.integers(0, 7, COUNT)
    return truth, np.eye(7)[truth] + random.normal(0, 0.8, (COUNT, 7)).astype(np.float32)


def yes_no(random: np.random.Generator) -> tuple[Array, Array]:
    truth = random.integers(0, 2, COUNT)
    # Rounded, so that many scores are equal.
    return truth, np.round(truth + random.normal(0, 1.0, COUNT), 1)[:, None]


def labels(random: np.random.Generator) -> tuple[Array, Array]:
    truth = (random.uniform(size=(COUNT, 5)) < [0.5, 0.3, 0.1, 0.4, 0.0]).astype(np.int64)
    return truth, np.round(np.clip(truth * 0.3 + random.uniform(size=(COUNT, 5)), 0, 1), 2)


def values(random: np.random.Generator) -> tuple[Array, Array]:
    truth = random.normal(1000, 2, (COUNT, 3)).astype(np.float32)
    return truth, truth + random.normal(0.2, 1, (COUNT, 3)).astype(np.float32)


def maps(random: np.random.Generator) -> tuple[Array, Array]:
    truth = random.choice([0, 1, 2, 255], (COUNT, 6, 5), p=[0.5, 0.3, 0.1, 0.1])
    scores = np.eye(3)[np.where(truth == 255, 0, truth)] + random.normal(0, 0.7, (COUNT, 6, 5, 3))
    return truth, scores


def sequences(random: np.random.Generator) -> tuple[Array, Array]:
    truth, scores = maps(random)
    return truth[:, 0], scores[:, 0]


MAE, RMSE, R2, BIAS = value_metrics()
ONE_MAE, ONE_RMSE, ONE_R2, ONE_BIAS = value_metrics(column=1, name="depth", unit="m")
CASES: tuple[tuple[Metric, Made], ...] = (
    *((metric, of_classes) for metric in (accuracy(), accuracy(3), BALANCED_ACCURACY, MACRO_F1)),
    *((metric, yes_no) for metric in (accuracy(), accuracy_at(0.3), ROC_AUC, AVERAGE_PRECISION)),
    *((metric, labels) for metric in (MEAN_AVERAGE_PRECISION, LABEL_F1)),
    *((metric, values) for metric in (MAE, RMSE, R2, BIAS, ONE_MAE, ONE_RMSE, ONE_R2, ONE_BIAS)),
    *((metric, maps) for metric in (PLACE_ACCURACY, MEAN_IOU, DICE)),
    *((metric, sequences) for metric in (STEP_ACCURACY, STEP_F1)),
)
NAMES = [f"{metric.name} of {made.__name__}" for metric, made in CASES]


@pytest.mark.parametrize(("metric", "made"), CASES, ids=NAMES)
def test_what_is_kept_gives_the_librarys_own_figures(metric: Metric, made: Made) -> None:
    random = np.random.default_rng(3)
    truth, answers = made(random)
    assert metric.weighted is not None
    kept = metric.weighted(truth, answers)
    assert kept(np.ones(COUNT)) == pytest.approx(metric.value(truth, answers), abs=1e-9)
    for _ in range(3):
        drawn = random.integers(0, COUNT, COUNT)
        weights = np.bincount(drawn, minlength=COUNT).astype(np.float64)
        assert kept(weights) == pytest.approx(metric.value(truth[drawn], answers[drawn]), abs=1e-9)
    if metric.right is not None:
        assert metric.right(truth, answers).mean() == pytest.approx(metric.value(truth, answers), abs=1e-12)


def test_the_figures_are_those_that_the_names_say() -> None:
    truth, answers = of_classes(np.random.default_rng(1))
    assert accuracy(3).value(truth, answers) == pytest.approx(sk.top_k_accuracy_score(truth, answers, k=3), abs=1e-12)
    truth, answers = values(np.random.default_rng(1))
    assert ONE_RMSE.value(truth, answers) == pytest.approx(
        sk.root_mean_squared_error(truth[:, 1].astype(float), answers[:, 1].astype(float)), abs=1e-9
    )
    assert (ONE_MAE.name, ONE_MAE.unit) == ("MAE depth", "m")
    truth, answers = maps(np.random.default_rng(1))
    meant = truth != 255
    one = sk.confusion_matrix(truth[meant], answers.argmax(-1)[meant])
    each = np.diag(one) / (one.sum(0) + one.sum(1) - np.diag(one))
    assert MEAN_IOU.value(truth, answers) == pytest.approx(each.mean(), abs=1e-12)
    assert DICE.value(truth, answers) == pytest.approx((2 * each / (1 + each)).mean(), abs=1e-12)


def test_steps_and_the_five_best_are_those_of_scikit_learn() -> None:
    truth, scores = sequences(np.random.default_rng(1))
    meant = truth != 255
    decided = scores.argmax(-1)[meant]
    assert STEP_ACCURACY.value(truth, scores) == pytest.approx(sk.accuracy_score(truth[meant], decided), abs=1e-12)
    assert STEP_F1.value(truth, scores) == pytest.approx(sk.f1_score(truth[meant], decided, average="macro"), abs=1e-12)
    truth, answers = of_classes(np.random.default_rng(1))
    assert accuracy(5).value(truth, answers) == pytest.approx(sk.top_k_accuracy_score(truth, answers, k=5), abs=1e-12)


@pytest.mark.parametrize(
    ("task", "name"), [("classes", "top-2 accuracy"), ("yes-no", "accuracy@0.25"), ("similarity", "recall@10")]
)
def test_metrics_with_a_number_are_found_by_their_names(task: str, name: str) -> None:
    (metric,) = metrics_of(task, names=[name])
    assert metric.name == name
    for wrong in (f"{name}x", "top-0 accuracy", "accuracy@2", "recall@0", "recall@-1"):
        with pytest.raises(InputError, match="unknown metric of"):
            metrics_of(task, names=[wrong])


def test_a_threshold_decides_what_is_a_yes() -> None:
    truth, scores = np.array([0, 0, 1, 1]), np.array([[0.1], [0.4], [0.35], [0.9]])
    assert accuracy_at(0.3).value(truth, scores) == 0.75
    assert accuracy_at(0.5).value(truth, scores) == accuracy().value(truth, scores) == 0.75
    assert accuracy_at(0.95).value(truth, scores) == 0.5


def test_a_function_of_ones_own_is_drawn_like_any_other() -> None:
    truth, answers = values(np.random.default_rng(2))
    median = Metric("median error", "down", lambda y, p: float(np.median(np.abs(y - p))), unit="kg")
    worse = answers + np.random.default_rng(5).normal(0, 1.5, answers.shape)
    change = paired_change(median, truth, answers, worse, draws=300)
    assert change.significant
    assert 0 < change.low < change.loss < change.high
    assert change.other == median.value(truth, worse)


@pytest.mark.parametrize(("metric", "made"), CASES, ids=NAMES)
def test_the_same_answers_show_no_loss(metric: Metric, made: Made) -> None:
    truth, answers = made(np.random.default_rng(4))
    change = paired_change(metric, truth, answers, answers.copy(), draws=50)
    assert change.same
    assert (change.loss, change.significant) == (0.0, False)
    assert change.low <= 0 <= change.high


def test_losses_are_found_at_twice_what_is_detectable_and_not_claimed_at_a_fifth() -> None:
    """Two models with noise of the same size, one of which also loses: the rates over 20 sets of samples."""
    found = {0.0: 0, 0.2: 0, 2.0: 0}
    for seed in range(20):
        random = np.random.default_rng(seed)
        truth = random.integers(0, 2, 600)
        scores = truth + random.normal(0, 1, 600)
        one, other = (scores + random.normal(0, 0.3, 600) for _ in range(2))
        detectable = paired_change(ROC_AUC, truth, one, other, draws=200).detectable
        for share in found:
            planted = other - truth * _moved(truth, other, share * detectable)
            found[share] += paired_change(ROC_AUC, truth, one, planted, draws=200).significant
    assert found[2.0] >= 18
    assert found[0.0] <= 3
    assert found[0.2] <= 4


def _moved(truth: Array, scores: Array, wanted: float) -> float:
    """Return by how much the scores of class 1 must fall for the AUC to lose so much."""
    low, high = 0.0, 3.0
    start = ROC_AUC.value(truth, scores)
    for _ in range(12):
        middle = (low + high) / 2
        lost = start - ROC_AUC.value(truth, scores - truth * middle)
        low, high = (middle, high) if lost < wanted else (low, middle)
    return low


def test_a_bias_is_worse_when_it_is_farther_from_zero() -> None:
    truth = np.zeros((200, 1))
    noise = np.random.default_rng(0).normal(0, 0.1, (200, 1))
    change = paired_change(BIAS, truth, noise + 0.1, noise - 0.4)
    assert change.loss == pytest.approx(0.3, abs=0.03)
    assert change.significant
    assert paired_change(BIAS, truth, noise - 0.4, noise + 0.1).loss < 0


def test_groups_are_drawn_whole() -> None:
    """Ten windows of one file say no more than one: the interval of groups is the wider one."""
    random = np.random.default_rng(0)
    truth = np.repeat(random.normal(size=(60, 1)), 10, axis=0)
    groups = np.repeat(np.arange(60), 10)
    shift = np.repeat(random.normal(0, 1, (60, 1)), 10, axis=0)
    answers, other = truth + shift, truth + 1.1 * shift + random.normal(0, 0.01, truth.shape)
    single, whole = (paired_change(MAE, truth, answers, other, groups=each) for each in (None, groups))
    assert (single.count, whole.count) == (600, 60)
    assert whole.high - whole.low > 2 * (single.high - single.low)


def test_too_few_samples_have_no_interval() -> None:
    truth, answers = np.zeros((10, 1)), np.ones((10, 1))
    change = paired_change(MAE, truth, answers, answers + 5)
    assert (change.low, change.high, change.significant) == (-np.inf, np.inf, False)
    one_class = np.zeros(50, np.int64)
    one_class[0] = 1
    scores = np.arange(50.0)[:, None]
    assert paired_change(ROC_AUC, one_class, scores, scores[::-1]).high == np.inf


def boxes(random: np.random.Generator) -> tuple[Array, Array]:
    """Make pictures with up to four boxes of three classes, most of which are found, and some that are not there."""
    truth, answers = np.full((60, 4, 5), -1.0), np.full((60, 6, 6), -1.0)
    for place in range(60):
        for row in range(random.integers(0, 5)):
            top, left = random.uniform(0, 0.6, 2)
            box = np.array([top, left, top + random.uniform(0.1, 0.4), left + random.uniform(0.1, 0.4)])
            truth[place, row] = [random.integers(3), *box]
            if random.uniform() < 0.85:
                answers[place, row] = [truth[place, row, 0], random.uniform(0.3, 1), *(box + random.normal(0, 0.02, 4))]
        if random.uniform() < 0.5:
            answers[place, 5] = [random.integers(3), random.uniform(0, 0.8), 0.1, 0.1, 0.4, 0.5]
    return truth, answers


@pytest.mark.parametrize("metric", [BOX_MAP, BOX_MAP50], ids=lambda metric: metric.name)
def test_box_metrics_are_those_of_pycocotools(metric: Metric) -> None:
    random = np.random.default_rng(0)
    truth, answers = boxes(random)
    assert metric.weighted is not None
    kept = metric.weighted(truth, answers)
    assert 0.3 < metric.value(truth, answers) < 0.95
    assert kept(np.ones(60)) == pytest.approx(metric.value(truth, answers), abs=1e-9)
    for _ in range(3):
        drawn = np.sort(random.integers(0, 60, 60))
        weights = np.bincount(drawn, minlength=60).astype(np.float64)
        assert kept(weights) == pytest.approx(metric.value(truth[drawn], answers[drawn]), abs=1e-9)
    assert metric.value(truth, np.concatenate([truth[..., :1], np.ones((60, 4, 1)), truth[..., 1:]], -1)) == 1.0


def test_the_scores_of_reconstructions_and_embeddings() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(12, 3, 2))
    errors = reconstruction_errors(inputs, inputs + np.arange(12)[:, None, None])
    np.testing.assert_allclose(errors, np.arange(12.0) ** 2)
    classes = np.repeat(np.arange(4), 10)
    embeddings = np.eye(4)[classes] + random.normal(0, 0.05, (40, 4))
    assert recall_at(1).value(classes, embeddings) == 1.0
    embeddings += random.normal(0, 0.6, (40, 4))
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    likeness = unit @ unit.T - 3 * np.eye(40)
    nearest = classes[np.argsort(-likeness, axis=1)[:, :3]]
    for k in (1, 3):
        expected = (nearest[:, :k] == classes[:, None]).any(axis=1).mean()
        assert recall_at(k).value(classes, embeddings) == pytest.approx(expected)
    same = np.ones((40, 4))
    assert recall_at(3).value(np.arange(40), same) == 0.0


def test_what_float32_rounds_is_no_loss() -> None:
    truth, answers = values(np.random.default_rng(6))
    truth, answers = truth.astype(np.float64), answers.astype(np.float64)
    nudged = np.where(answers > truth, answers + 1e-7, answers - 1e-7)
    change = paired_change(MAE, truth, answers, nudged, draws=200)
    assert change.low > 0
    assert not change.significant
