"""What is true of samples: taken where it is that of a task, and refused in one line where it is not."""

import numpy as np
import pytest

from edgeport.benchmarks.measure.any_model import Evaluation, evaluation_of
from edgeport.benchmarks.tasks.answers import ANSWERS
from edgeport.benchmarks.tasks.table import TASKS, metrics_of
from edgeport.benchmarks.tasks.targets import TARGETS, targets_of
from edgeport.runtime.artefact.contract import JUDGED_KINDS, Input, Output
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.array_names import ALL, ONLY
from edgeport.train.datasets.data import Data, Part

RANDOM = np.random.default_rng(0)
COUNT = 30
INPUT = Input("features", (None, 6), "float32", kind="real")
SAMPLES = RANDOM.normal(size=(COUNT, 6)).astype(np.float32)


def test_all_that_answers_can_be_judged_as_has_its_rows() -> None:
    assert set(ANSWERS) == set(JUDGED_KINDS)
    assert set(TARGETS) == set(JUDGED_KINDS)


def asked(output: Output, targets: np.ndarray | None, **more: object) -> Evaluation:
    data = Data("d.npz", {ALL: Part({ONLY: SAMPLES}, targets)})
    return evaluation_of(data, [INPUT], [output], **more)  # type: ignore[arg-type]


def test_every_task_has_its_row_in_each_table() -> None:
    assert set(TASKS) == set(ANSWERS) == set(TARGETS)


@pytest.mark.parametrize(
    ("kind", "shape", "targets", "expected"),
    [
        ("classes", (3,), np.arange(COUNT) % 3, np.arange(COUNT) % 3),
        ("classes", (3,), np.eye(3)[np.arange(COUNT) % 3], np.arange(COUNT) % 3),
        ("yes-no", (1,), np.arange(COUNT)[:, None] % 2, np.arange(COUNT) % 2),
        ("yes-no", (1,), np.arange(COUNT) % 2 == 1, np.arange(COUNT) % 2),
        ("labels", (2,), np.stack([np.arange(COUNT) % 2, np.ones(COUNT)], 1), None),
        ("values", (1,), SAMPLES[:, 0], SAMPLES[:, :1]),
        ("values", (2, 3), SAMPLES.reshape(COUNT, 2, 3), SAMPLES),
        ("map", (4, 5, 3), np.ones((COUNT, 4, 5), np.uint8), None),
        ("map", (4, 5, 1), np.ones((COUNT, 4, 5, 1), np.uint8), np.ones((COUNT, 4, 5))),
        ("sequence", (4, 3), np.ones((COUNT, 4), np.uint8), None),
        ("boxes", (8, 6), np.full((COUNT, 2, 5), -1.0), None),
    ],
)
def test_targets_of_each_kind_are_taken(
    kind: str, shape: tuple[int, ...], targets: np.ndarray, expected: np.ndarray | None
) -> None:
    (judged,) = asked(Output("out", (None, *shape), "float32", kind=kind), targets).judged
    assert judged.task == kind
    assert judged.targets is not None
    np.testing.assert_allclose(judged.targets.array, targets if expected is None else expected)
    assert metrics_of(kind)


@pytest.mark.parametrize(
    ("kind", "shape", "targets"),
    [
        ("classes", (3,), np.full(COUNT, 3)),
        ("classes", (3,), np.full(COUNT, -1)),
        ("classes", (3,), np.full(COUNT, 0.5)),
        ("classes", (3,), np.ones((COUNT, 3))),
        ("yes-no", (1,), np.full(COUNT, 2)),
        ("labels", (4,), np.zeros((COUNT, 3))),
        ("values", (2,), np.zeros(COUNT)),
        ("values", (1,), np.full(COUNT, np.nan)),
        ("map", (4, 5, 3), np.zeros((COUNT, 5, 4), int)),
        ("map", (4, 5, 3), np.full((COUNT, 4, 5), 0.5)),
        ("map", (4, 5, 3), np.full((COUNT, 4, 5), 3)),
        ("map", (4, 5, 1), np.full((COUNT, 4, 5), 255)),
        ("sequence", (4, 3), np.zeros((COUNT, 5), int)),
        ("boxes", (8, 6), np.zeros((COUNT, 5))),
        ("values", (1,), np.full(COUNT, "a")),
    ],
)
def test_targets_of_another_kind_are_refused(kind: str, shape: tuple[int, ...], targets: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"d\.npz.*got targets .* expected ") as caught:
        asked(Output("out", (None, *shape), "float32", kind=kind), targets)
    assert TARGETS[kind].expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_map_of_one_axis_is_a_sequence_unless_somebody_says_otherwise() -> None:
    output, steps = Output("out", (None, 4, 3), "float32", kind="map"), np.arange(COUNT * 4).reshape(COUNT, 4) % 3
    assert asked(output, steps).judged[0].task == "sequence"
    assert asked(output, steps, tasks={"": "map"}).judged[0].task == "map"


@pytest.mark.parametrize("kind", ["classes", "yes-no", "anomaly", "similarity"])
def test_one_class_alone_says_nothing(kind: str) -> None:
    output = Output("out", (None, 3 if kind == "classes" else 1), "float32", kind=kind)
    with pytest.raises(InputError, match=f"all 30 targets of out are 1, and {kind} of one kind alone say nothing"):
        asked(output, np.ones(COUNT, np.int64))


@pytest.mark.parametrize(
    ("kind", "targets", "message"),
    [
        (
            "classes",
            np.arange(COUNT) % 4,
            r"with 3 at \[3\], expected class numbers .*; the output is \(n, 3\)",
        ),
        ("labels", np.full((COUNT, 3), 0.5), r"with 0.5 at \[0, 0\], expected 0 or 1 for each label"),
        ("values", np.where(np.eye(COUNT, 3) > 0, np.nan, 1), r"with nan at \[0, 0\], expected finite numbers"),
        ("classes", np.array(["oak"] * COUNT), "the first of which is 'oak', expected class numbers"),
    ],
)
def test_the_line_names_the_target_that_is_wrong(kind: str, targets: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        asked(Output("out", (None, 3), "float32", kind=kind), targets)


def test_an_output_of_no_said_meaning_is_what_its_targets_leave_no_doubt_of() -> None:
    linear, scores = (Output("out", (None, columns), "float32", kind="any") for columns in (1, 4))
    assert asked(linear, SAMPLES[:, :1]).judged[0].task == "values"
    assert asked(scores, np.arange(COUNT) % 4).judged[0].task == "classes"
    with pytest.raises(InputError, match="nobody has said what that means: say it with --task"):
        asked(linear, np.arange(COUNT) % 2)
    assert asked(linear, np.arange(COUNT) % 2, tasks={"": "yes-no"}).judged[0].task == "yes-no"
    unjudged = asked(linear, SAMPLES[:, :1], tasks={"out": "any"})
    assert unjudged.judged[0].targets is None
    assert asked(linear, None).words == ["out: nobody says what is true of it"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"tasks": {"": "magic"}}, "unknown task 'magic'"),
        ({"tasks": {"oout": "values"}}, "unknown output 'oout': did you mean out"),
        ({"metrics": ["mAP"]}, "mAP"),
    ],
)
def test_names_that_are_unknown_are_reported_before_the_work(more: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        asked(Output("out", (None, 1), "float32", kind="values"), SAMPLES[:, :1], **more)


def test_a_metric_without_what_is_true_is_refused() -> None:
    with pytest.raises(InputError, match="does not say what is true"):
        asked(Output("out", (None, 1), "float32", kind="values"), None, metrics=["MAE"])


def test_the_bytes_of_targets_are_checked_like_those_of_samples() -> None:
    one, other = (targets_of("classes", np.arange(4) + shift, (None, 9), source="x") for shift in (0, 1))
    digests = {
        asked(Output("o", (None, 9), kind="classes"), np.resize(each, COUNT)).facts["sha256"] for each in (one, other)
    }
    assert len(digests) == 2


@pytest.mark.parametrize("kind", ["yes-no", "labels"])
def test_logits_are_not_held_against_a_threshold(kind: str) -> None:
    columns = 1 if kind == "yes-no" else 2
    targets = np.arange(COUNT * columns).reshape(COUNT, columns) % 2
    evaluation = asked(Output("out", (None, columns), "float32", kind=kind), targets)
    (kept,) = evaluation.kept({"out": np.full((COUNT, columns), 0.25, np.float32)})
    assert kept.shape == (COUNT, columns)
    with pytest.raises(InputError, match="output out: got answers from -2 to -2, expected probabilities"):
        evaluation.kept({"out": np.full((COUNT, columns), -2.0, np.float32)})


def test_an_anomaly_is_far_from_what_the_model_makes_of_it() -> None:
    odd = np.arange(COUNT) % 3 == 0
    evaluation = asked(Output("restored", (None, 6), "float32"), odd, tasks={"": "anomaly"})
    answers = SAMPLES + np.where(odd, 2.0, 0.1)[:, None]
    (kept,) = evaluation.kept({"restored": answers})
    np.testing.assert_allclose(kept[:, 0], np.where(odd, 4.0, 0.01), rtol=1e-5)
    (judged,) = evaluation.judged
    assert judged.targets is not None
    assert metrics_of("anomaly")[0].value(judged.targets.array, kept) == 1.0


def test_a_model_that_gives_classes_is_judged_by_them() -> None:
    truth = np.arange(COUNT) % 4
    evaluation = asked(Output("class", (None,), "int64", kind="classes"), truth)
    (kept,) = evaluation.kept({"class": truth.copy()})
    for metric in metrics_of("classes"):
        assert metric.value(truth, kept) == 1.0
    with pytest.raises(InputError, match="expected a score for each class"):
        metrics_of("classes", names=["top-3 accuracy"])[0].value(truth, kept)
