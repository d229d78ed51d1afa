"""The benchmark on golden samples: what it measures without TensorFlow, and what it refuses."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeport.benchmarks import Protocol, Timing, read_report
from edgeport.benchmarks.measure.golden_benchmark import benchmark_golden
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.raw.engine_choice import engine_choices
from edgeport.runtime import ArtefactError, InputError, MissingDependencyError
from edgeport.runtime.cli import main
from edgeport.runtime.golden.answers import Golden, golden_bytes, read_golden

ROOT = Path(__file__).parents[2]
FILES = ("tiny.float32.tflite", "tiny.int8.onnx", "tiny.int8.tflite")
FAST = Timing(protocol=Protocol(launches=1, turns=1, calls=3, warmup_calls=0, warmup_seconds=0.0))


def folder_with(data: Path, golden: dict[str, np.ndarray], folder: Path, **known: np.ndarray) -> Path:
    folder.mkdir()
    for file in FILES:
        shutil.copy(data / file, folder)
    (folder / "golden.npz").write_bytes(golden_bytes(folder, FILES, {"image": golden["images"]}, **known))
    return folder


@pytest.fixture
def artefacts(data: Path, golden: dict[str, np.ndarray], tmp_path: Path) -> Path:
    known = {"labels": golden["keras"].argmax(axis=1), "reference": golden["keras"]}
    return folder_with(data, golden, tmp_path / "artefacts", **known)


def golden_of(folder: Path) -> Golden:
    return read_golden(folder / "golden.npz")


def test_it_needs_no_manifest_and_no_tensorflow(artefacts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # By the option's former name.
    assert main(["benchmark", str(artefacts), "--launches", "1"]) == 0
    report = read_report(artefacts.parent / "benchmark" / "report.json")
    assert [each.file for each in report.artefacts] == ["tiny.keras", *FILES]
    assert [each.timed for each in report.artefacts] == [False, True, True, True]
    assert [report.correct(each) for each in report.artefacts] == [20, 20, 20, 20]
    assert {len(series.launches) for each in report.artefacts for series in each.series} == {1}
    assert report.skipped == ()
    printed = capsys.readouterr().out
    assert "The Keras model was not run here" in printed
    assert "edgeport predict" in printed
    if (ROOT / ".git").exists():
        head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        assert report.edgeport["commit"] == head.stdout.strip()


def test_metric_and_groups_of_a_bundle_judge_on_the_device(
    data: Path, golden: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"labels": golden["keras"].argmax(axis=1), "reference": golden["keras"]}
    known |= {"metrics": ["top-2 accuracy", "macro F1"], "groups": np.arange(20) // 2}
    folder = folder_with(data, golden, tmp_path / "artefacts", **known)
    again = golden_of(folder)
    assert again.metrics == ("top-2 accuracy", "macro F1")
    assert again.groups is not None
    assert again.groups.tolist() == (np.arange(20) // 2).tolist()
    assert main(["benchmark", str(folder), "--only", "accuracy"]) == 0
    assert "The samples are in 10 groups, which are drawn whole" in capsys.readouterr().out
    report = read_report(tmp_path / "benchmark")
    assert report.groups == (np.arange(20) // 2).tolist()
    (judged,) = findings_of(report).reference.judged
    assert [change.metric.name for change in judged.changes] == ["top-2 accuracy", "macro F1"]
    # Who says otherwise on the device is obeyed.
    assert main(["benchmark", str(folder), "--only", "accuracy", "--metric", "accuracy", "--overwrite"]) == 0
    (judged,) = findings_of(read_report(tmp_path / "benchmark")).reference.judged
    assert [change.metric.name for change in judged.changes] == ["accuracy"]


def hide(names: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make some packages look as if they were not installed, in every process that is started from now on."""
    folder.mkdir(exist_ok=True)
    lines = ["import sys", *(f"sys.modules[{name!r}] = None" for name in names)]
    (folder / "sitecustomize.py").write_text("\n".join(lines))
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_a_margin_is_asked_for_in_the_exit_code(artefacts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["benchmark", str(artefacts), "--only", "accuracy", "--overwrite", "--max-loss"]
    assert main([*command, "0.001"]) == 1
    printed = capsys.readouterr().out
    assert "Not below 0.001 points of accuracy (--max-loss): " in printed
    assert main([*command, "100"]) == 0
    assert "Below 100 points of accuracy (--max-loss): " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--metric", "unknown metric of classes 'labels'"),
        ("--task", "got targets int64 (20,)"),
        ("--group-by", "--group-by: got it without data, and the golden samples of golden.npz have no groups"),
    ],
)
def test_what_cannot_be_judged_of_golden_samples_is_refused(
    option: str, message: str, artefacts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", str(artefacts), option, "labels"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_each_file_is_measured_under_the_engines_that_are_asked_for(artefacts: Path) -> None:
    timing = replace(FAST, engines=("openvino", "onnxruntime"))
    report = benchmark_golden(artefacts, golden_of(artefacts), timing=timing)
    under = {(each.file, each.same_as): each.engine["name"] for each in report.artefacts[1:]}
    assert under == {
        ("tiny.float32.tflite", ""): "ai-edge-litert",
        ("tiny.float32.tflite (openvino)", "tiny.float32.tflite"): "openvino",
        ("tiny.int8.onnx", ""): "onnxruntime",
        ("tiny.int8.onnx (openvino)", "tiny.int8.onnx"): "openvino",
        ("tiny.int8.tflite", ""): "ai-edge-litert",
    }
    (skipped,) = report.skipped
    assert skipped["file"] == "tiny.int8.tflite (openvino)"
    assert "holds integers" in skipped["reason"]
    assert all(each.timed for each in report.artefacts[1:])
    choices = {choice.file: choice for choice in engine_choices(report)}
    assert list(choices) == list(FILES)
    assert [run.alike for run in choices["tiny.int8.onnx"].runs] == [True, True]
    # One round decides nothing.
    assert all(choice.chosen is choice.runs[0] for choice in choices.values())


def test_an_engine_that_is_missing_is_reported(
    artefacts: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hide(("onnxruntime", "openvino"), tmp_path / "hidden", monkeypatch)
    report = benchmark_golden(artefacts, golden_of(artefacts), timing=FAST)
    assert [each.file for each in report.artefacts] == ["tiny.keras", "tiny.float32.tflite", "tiny.int8.tflite"]
    assert [each["file"] for each in report.skipped] == ["tiny.int8.onnx"]
    assert "pip install 'edgeport[onnx]'" in report.skipped[0]["reason"]
    hide(("onnxruntime", "openvino", "ai_edge_litert", "tflite_runtime"), tmp_path / "hidden", monkeypatch)
    with pytest.raises(MissingDependencyError, match="nothing could be measured"):
        benchmark_golden(artefacts, golden_of(artefacts), timing=FAST)


def test_another_file_is_not_measured(artefacts: Path) -> None:
    shutil.copy(artefacts / "tiny.float32.tflite", artefacts / "tiny.int8.tflite")
    with pytest.raises(ArtefactError, match=r"tiny\.int8\.tflite is not the file that golden\.npz describes"):
        benchmark_golden(artefacts, golden_of(artefacts), timing=FAST)
    (artefacts / "tiny.int8.tflite").unlink()
    with pytest.raises(ArtefactError, match="No such file"):
        benchmark_golden(artefacts, golden_of(artefacts), timing=FAST)


def test_golden_answers_that_know_no_classes_are_not_enough(
    data: Path, golden: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_with(data, golden, tmp_path / "artefacts", labels=np.zeros(20, np.int64))
    with pytest.raises(InputError, match="--dataset and --reference"):
        benchmark_golden(folder, golden_of(folder), timing=FAST)
    assert main(["benchmark", str(folder)]) == 2
    printed = capsys.readouterr().err
    assert "golden.npz lacks the true classes or the answers of the Keras model" in printed
    assert printed.count("\n") == 1


def test_models_of_other_kinds_are_judged_as_on_a_workstation(
    data: Path, golden: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # What a class is, as a model of values would have it: the probabilities that it should give.
    true = golden["keras"] + np.random.default_rng(0).normal(0, 0.01, golden["keras"].shape)
    known = {"targets": true, "tasks": {"": "values"}, "outputs": {"probabilities": golden["keras"]}}
    folder = folder_with(data, golden, tmp_path / "artefacts", **known)
    assert main(["benchmark", str(folder), "--only", "accuracy"]) == 0
    assert "probabilities is judged as values" in capsys.readouterr().out
    report = read_report(tmp_path / "benchmark")
    assert report.dataset["split"] == "golden"
    assert [each.file for each in report.artefacts] == ["tiny.keras", *FILES]
    np.testing.assert_array_equal(report.reference.answers[0].array, golden["keras"])
    change = findings_of(report).reference.judged[0].changes[0]
    assert (change.metric.name, change.other) == ("MAE", pytest.approx(np.abs(true - golden["keras"]).mean()))
    # Who says otherwise on the device is obeyed.
    words = ("--only", "accuracy", "--task", "any", "--overwrite")
    assert main(["benchmark", str(folder), *words]) == 0
    assert findings_of(read_report(tmp_path / "benchmark")).reference.judged[0].changes == []


def test_golden_answers_without_targets_say_how_far_the_outputs_moved(
    data: Path, golden: dict[str, np.ndarray], tmp_path: Path
) -> None:
    folder = folder_with(data, golden, tmp_path / "artefacts", outputs={"probabilities": golden["keras"]})
    assert main(["benchmark", str(folder), "--only", "accuracy"]) == 0
    (_, int8) = (each.judged[0] for each in findings_of(read_report(tmp_path / "benchmark")).others[::2])
    assert int8.changes == []
    expected = np.abs(golden["tiny.int8.tflite"] - golden["keras"]).max()
    assert int8.change.largest == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "known",
    [
        {"targets": np.zeros(19)},
        {"targets": np.array(["seven"] * 20)},
        {"outputs": {"probabilities": np.zeros((3, 10), np.float32)}},
        {"tasks": {"": 3}},
    ],
)
def test_golden_answers_with_other_targets_are_not_made(
    known: dict, data: Path, golden: dict[str, np.ndarray], tmp_path: Path
) -> None:
    with pytest.raises((InputError, TypeError)):
        folder_with(data, golden, tmp_path / "artefacts", **known)


def test_a_metric_of_the_users_choice_judges_a_classifier_too(artefacts: Path) -> None:
    assert main(["benchmark", str(artefacts), "--only", "accuracy", "--metric", "macro F1"]) == 0
    report = read_report(artefacts.parent / "benchmark")
    assert [each.metrics for each in report.judged] == [("macro F1",)]
    assert findings_of(report).others[0].judged[0].changes[0].other == 1.0
