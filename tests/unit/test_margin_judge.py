"""Who judges an export's int8: on which samples, by which figure, and when these are too few."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgeport.benchmarks.debug.margin_judge import MarginJudge, margin_judge
from edgeport.export.conversion.options import Options
from edgeport.export.verification.calibration import load_calibration
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.errors import InputError

COUNT = 10_000
INPUT = Input("x", (None, 4), "float32", kind="real")
SCORES = Output("scores", (None, 3), "float32", kind="classes")
VALUES = Output("values", (None, 2), "float32", kind="values", units=("kW", "kW"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    random = np.random.default_rng(0)
    x = random.normal(size=(COUNT, 4)).astype(np.float32)
    classes = random.integers(0, 3, COUNT)
    np.savez(folder / "classes.npz", x=x, y=classes)
    np.savez(folder / "values.npz", x=x, y=random.normal(size=(COUNT, 2)))
    np.savez(folder / "few.npz", x=x[:500], y=classes[:500])
    np.savez(folder / "one.npz", x=x, y=np.zeros(COUNT, np.int64))
    np.savez(folder / "test_only.npz", x_test=x, y_test=classes)
    np.savez(folder / "seen.npz", x_test=x, y_test=classes)
    np.save(folder / "bare.npy", x)
    (folder / "mine.py").write_text(
        "def wrong(truth, answers):\n    return float((answers.argmax(-1) != truth).mean())\nwrong.better = 'down'\n"
    )
    return folder


def judge_of(source: str | Path, output: Output = SCORES, **options: Any) -> MarginJudge:
    calibration = load_calibration(str(source), inputs=(INPUT,), count=100)
    model: Any = SimpleNamespace(outputs=(output,))
    return margin_judge(model, calibration, Options(**{"max_loss": 0.5, **options}))


def scores(classes: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float64]]:
    """Return answers that decide for some classes."""
    return {"scores": 0.8 * np.eye(3)[classes] + 0.1}


def test_labels_of_the_validation_split_judge(files: Path) -> None:
    judge = judge_of(files / "classes.npz")
    assert judge.measure == "0.5 points of accuracy"
    # A tenth of what nobody has divided is for validation, and another for the test, which is never used.
    assert judge.data == f"999 held-out samples of {files / 'classes.npz'}"
    with np.load(files / "classes.npz") as arrays:
        truth = {tuple(row): int(number) for row, number in zip(arrays["x"], arrays["y"], strict=True)}
    true = np.array([truth[tuple(row)] for row in judge.samples["x"]])
    # Other probabilities with the same decisions, and one sample in 20 wrong.
    for wrong, below in ((0, True), (50, False)):
        answers = true.copy()
        answers[:wrong] = (answers[:wrong] + 1) % 3
        found = judge.judge(scores(true), {"scores": scores(answers)["scores"] * 0.9})
        assert found.below == below
        assert found.loss == pytest.approx(100 * wrong / len(true))
        assert found.upper > found.loss
        assert found.words.startswith("at most 0." if below else "up to ")
    better = judge.judge(scores(answers), scores(true))
    assert better.below
    assert better.words == "nothing"


def test_what_calibrates_judges_nothing(files: Path) -> None:
    calibration = load_calibration(str(files / "classes.npz"), inputs=(INPUT,), count=8000)
    seen = {tuple(row) for row in calibration.samples["x"]}
    assert not seen.intersection(map(tuple, judge_of(files / "classes.npz").samples["x"]))


def test_other_data_that_nobody_has_divided_is_taken_but_for_its_test_tenth(files: Path) -> None:
    judge = judge_of(files / "bare.npy", data=str(files / "classes.npz"))
    assert len(judge.samples["x"]) == 5_000


def test_without_labels_the_models_own_answers_are_the_truth(files: Path) -> None:
    judge = judge_of(files / "bare.npy", max_loss=1.0)
    assert judge.measure == "1 point of agreement"
    assert "nobody says what is true" in judge.data
    own = np.arange(len(judge.samples["x"])) % 3
    other = own.copy()
    other[:3] = (other[:3] + 1) % 3
    assert judge.judge(scores(own), scores(other)).loss == pytest.approx(300 / len(own))


def test_values_without_truth_are_judged_by_the_variance_that_is_lost(files: Path) -> None:
    judge = judge_of(files / "bare.npy", VALUES)
    random = np.random.default_rng(1)
    own = random.normal(size=(len(judge.samples["x"]), 2)) + 100
    # An error of 23 dB below the spread of the answers is 0.5 points of their variance.
    for error, below in ((0.03, True), (0.3, False)):
        found = judge.judge({"values": own}, {"values": own + error * random.normal(size=own.shape)})
        assert found.below == below
        assert found.loss == pytest.approx(100 * error**2, rel=0.2)


def test_values_with_truth_are_judged_in_their_unit(files: Path) -> None:
    judge = judge_of(files / "values.npz", VALUES, metrics=("MAE",))
    assert judge.measure == "0.5 kW of MAE"


def test_a_metric_of_the_users_own_judges(files: Path) -> None:
    judge = judge_of(files / "classes.npz", metrics=(f"{files / 'mine.py'}:wrong",), max_loss=0.02)
    assert judge.measure == "0.02 of wrong"


def test_a_loss_that_is_seen_to_be_small_needs_more_samples(files: Path) -> None:
    judge = judge_of(files / "bare.npy", max_loss=1.0)
    own = np.arange(len(judge.samples["x"])) % 3
    other = own.copy()
    other[:7] = (other[:7] + 1) % 3
    found = judge.judge(scores(own), scores(other))
    assert not found.below
    needed = judge.enough(found)
    assert needed is not None
    assert needed > len(own)
    other[:50] = (own[:50] + 1) % 3
    assert judge.enough(judge.judge(scores(own), scores(other))) is None


@pytest.mark.parametrize(
    ("source", "options", "line"),
    [
        (
            "few.npz",
            {},
            "50 held-out samples of .*, which are too few .* below 0.5 points of accuracy: give at least 7",
        ),
        ("classes.npz", {"max_loss": 0.001}, "too few .* give at least 38"),
        ("random", {}, "random data judges nothing"),
        ("bare.npy", {"metrics": ("macro F1",)}, "--metric: got macro F1, and .* does not say what is true"),
        ("classes.npz", {"metrics": ("MAE",)}, "unknown metric of classes 'MAE'"),
        ("one.npz", {}, "all 1,000 targets of scores are 0, and classes of one kind alone say nothing"),
        ("bare.npy", {"data": "test_only.npz"}, "got what its name calls test data"),
        ("bare.npy", {"data": "seen.npz"}, "got test samples alone in .*: test data must stay unseen"),
        ("bare.npy", {"data": "missing.npz"}, "missing.npz"),
        ("values.npz", {}, r"got targets float64 .*expected class numbers"),
    ],
)
def test_what_cannot_judge_is_said_in_a_line(source: str, options: dict[str, Any], line: str, files: Path) -> None:
    given = {key: str(files / value) if key == "data" else value for key, value in options.items()}
    with pytest.raises(InputError, match=line) as error:
        judge_of(source if source == "random" else files / source, **given)
    assert "\n" not in str(error.value)


def test_targets_of_unknown_meaning_are_asked_for(files: Path) -> None:
    with pytest.raises(InputError, match="nobody has said what that means: say it with --outputs anything=KIND"):
        judge_of(files / "classes.npz", Output("anything", (None, 5, 5), "float32", kind="any"))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"max_loss": 0.0}, "--max-loss: got 0, expected a number above 0"),
        ({"max_loss": -1.0}, "--max-loss: got -1, expected a number above 0"),
        ({"max_loss": float("nan")}, "--max-loss: got nan, expected a number above 0"),
        ({"max_loss": float("inf")}, "--max-loss: got inf, expected a number above 0"),
        ({"max_loss": 0.5, "precisions": ("float32",)}, "expected int8 among them"),
        ({"max_loss": 0.5, "tensor_type": "uint8"}, "--tensor-type: got uint8 with layers in floats"),
        ({"keep_float_where_faster": True, "max_loss": 0.5}, "got it with --max-loss, which chooses layers too"),
        ({"keep_float_where_faster": True, "keep_float": ("a",)}, "got it with --keep-float, which chooses layers"),
        ({"keep_float_where_faster": True, "precisions": ("float32",)}, "expected int8 among them, which it begins"),
        ({"metrics": ("accuracy",)}, "--metric: got it without --max-loss"),
        ({"data": "x.npz"}, "--data: got it without --max-loss"),
        ({"precisions": ("mixed",)}, "got mixed without layers that stay in floats"),
        ({"precisions": ("int8",), "keep_float": ("a",)}, "precisions without it"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        Options(**options)


def test_a_search_makes_its_own_mixed_files() -> None:
    options = Options(max_loss=0.5, precisions=("float32", "int8", "mixed"))
    assert {precision.name for _, precision in options.variants} == {"float32", "int8"}
    assert [row.name for row in options.searched] == ["tflite", "onnx"]
    assert not Options(keep_float=("a",)).searched
    assert {precision.name for _, precision in Options(keep_float_io=True).variants} >= {"int8", "mixed"}
