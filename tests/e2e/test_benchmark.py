"""The benchmark command: what it counts is what the engines answer, and what does not fit is told."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgeport.benchmarks import Report, read_report
from edgeport.export import Options
from edgeport.runtime import load
from edgeport.train import load_dataset


@pytest.fixture(scope="module")
def report(edgeport, exported: Path, tmp_path_factory) -> tuple[Report, Path, str]:
    folder = tmp_path_factory.mktemp("benchmark")
    told = edgeport("benchmark", exported, "--rounds", 3, "-o", folder).stdout
    return read_report(folder / "report.json"), folder, told


def test_it_measures_the_reference_and_every_artefact(report: tuple[Report, Path, str]) -> None:
    measured, folder, told = report
    variants = [(row.name, precision.name) for row, precision in Options().variants]
    assert [(each.format, each.precision) for each in measured.artefacts] == [("keras", "float32"), *variants]
    for each in measured.artefacts:
        assert len(each.predictions) == 500
        assert len(each.latency_ns) == len(each.predict_ns) == 300
        assert each.name in told
    assert {path.name for path in folder.iterdir()} == {
        "report.json", "report.md", "accuracy-latency.png", "latency-distributions.png",
    }  # fmt: skip


def test_its_counts_are_the_engines_own_answers(report: tuple[Report, Path, str], exported: Path) -> None:
    test = load_dataset("mnist-5k").test
    for each in report[0].artefacts[1:]:
        answers = load(exported / each.file).predict(test.images).argmax(axis=1)
        np.testing.assert_array_equal(each.predictions, answers)
        assert each.correct == (answers == test.classes).sum()


def test_an_altered_or_missing_artefact_is_told(edgeport, exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "export")
    reference = exported.parent / "train" / "model.keras"
    arguments = ("benchmark", folder, "--reference", reference, "-o", tmp_path / "out")
    (folder / "classic.int8.onnx").write_bytes((folder / "classic.float32.onnx").read_bytes())
    assert "not the file that the manifest describes" in edgeport(*arguments, code=2).stderr
    (folder / "classic.int8.onnx").unlink()
    assert "No such file" in edgeport(*arguments, code=2).stderr
    ended = edgeport("benchmark", folder, "-o", tmp_path / "out", code=2)
    assert "--reference FILE" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_that_saw_all_of_mnist_is_not_scored_on_its_own_training_digits(
    edgeport, exported: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(exported, tmp_path / "export")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "dataset": "mnist"}))
    arguments = ("benchmark", folder, "--dataset", "mnist-5k", "--reference", exported.parent / "train" / "model.keras")
    assert "cannot score" in edgeport(*arguments, code=2).stderr


def test_a_data_set_that_was_changed_after_training_is_told(edgeport, exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "export")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "dataset_sha256": "0" * 64}))
    arguments = ("benchmark", folder, "--reference", exported.parent / "train" / "model.keras")
    assert "not the one that the model was trained on" in edgeport(*arguments, code=2).stderr


def test_data_that_does_not_fit_is_told(edgeport, exported: Path, tmp_path: Path) -> None:
    images, classes = np.zeros((20, 30, 30), np.uint8), np.arange(20) % 10
    np.savez(
        tmp_path / "a.npz", x_train=images, y_train=classes, x_val=images, y_val=classes, x_test=images, y_test=classes
    )
    ended = edgeport("benchmark", exported, "--dataset", tmp_path / "a.npz", "-o", tmp_path / "x", code=2)
    assert "(30, 30, 1), expected (28, 28, 1)" in ended.stderr
