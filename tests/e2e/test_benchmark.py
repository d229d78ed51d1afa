"""The benchmark command: what it counts is what the engines answer, and what does not fit is reported."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
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
    printed = edgeport("benchmark", exported, "--rounds", 3, "--batches", "1,8", "-o", folder).stdout
    return read_report(folder / "report.json"), folder, printed


def test_it_measures_the_reference_and_every_artefact(report: tuple[Report, Path, str]) -> None:
    measured, folder, printed = report
    variants = [(row.name, precision.name) for row, precision in Options().variants]
    assert [(each.format, each.precision) for each in measured.artefacts] == [("keras", "float32"), *variants]
    for each in measured.artefacts:
        assert len(each.predictions) == 500
        assert [(series.what, series.batch) for series in each.series] == [
            ("engine", 1), ("predict", 1), ("label", 1), ("predict", 8),
        ]  # fmt: skip
        assert {len(series.launches) for series in each.series} == {3}
        assert len(each.starts) == 3
        assert each.name in printed
    assert {path.name for path in folder.iterdir()} == {
        "report.json", "report.md", "report.html", "accuracy-latency.png", "latency-distributions.png",
        "confusion-matrices.png", "flips.npz", "flips.png",
    }  # fmt: skip


def test_its_counts_are_the_engines_own_answers(report: tuple[Report, Path, str], exported: Path) -> None:
    test = load_dataset("mnist-5k").test
    for each in report[0].artefacts[1:]:
        answers = load(exported / each.file).predict(test.samples).argmax(axis=1)
        np.testing.assert_array_equal(each.predictions, answers)
        assert report[0].correct(each) == (answers == test.classes).sum()


def test_an_altered_or_missing_artefact_is_reported(edgeport, exported: Path, tmp_path: Path) -> None:
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


def test_a_data_set_that_was_changed_after_training_is_reported(edgeport, exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "export")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "dataset_sha256": "0" * 64}))
    arguments = ("benchmark", folder, "--reference", exported.parent / "train" / "model.keras")
    assert "not the one that the model was trained on" in edgeport(*arguments, code=2).stderr


def test_data_that_does_not_fit_is_reported(edgeport, exported: Path, tmp_path: Path) -> None:
    images, classes = np.zeros((20, 30, 30), np.uint8), np.arange(20) % 10
    np.savez(
        tmp_path / "a.npz", x_train=images, y_train=classes, x_val=images, y_val=classes, x_test=images, y_test=classes
    )
    ended = edgeport("benchmark", exported, "--dataset", tmp_path / "a.npz", "-o", tmp_path / "x", code=2)
    assert "(30, 30, 1), expected (28, 28, 1)" in ended.stderr


def test_flipped_images_are_kept_with_every_answer(report: tuple[Report, Path, str]) -> None:
    measured, folder, _ = report
    test = load_dataset("mnist-5k").test
    with np.load(folder / "flips.npz", allow_pickle=False) as flips:
        index = flips["index"]
        assert index.size
        np.testing.assert_array_equal(flips["images"], test.samples[index])
        np.testing.assert_array_equal(flips["truth"], test.classes[index])
        assert flips["files"].tolist() == [each.file for each in measured.artefacts]
        for each, predictions in zip(measured.artefacts, flips["predictions"], strict=True):
            np.testing.assert_array_equal(predictions, each.classes[index])
        assert (flips["predictions"] != flips["predictions"][0]).any(axis=0).all()


def test_a_report_compares_with_itself_and_makes_a_page(edgeport, report: tuple[Report, Path, str], tmp_path: Path):
    folder = report[1]
    assert "OK: " in edgeport("compare", folder, folder / "report.json").stdout
    edgeport("report", folder, folder, "-o", tmp_path / "both.html")
    assert (tmp_path / "both.html").read_text().startswith("<!DOCTYPE html>")
    assert "exists" in edgeport("report", folder, "-o", tmp_path / "both.html", code=2).stderr


def test_another_export_is_measured_side_by_side_and_judged(edgeport, exported: Path, tmp_path: Path) -> None:
    for place in ("new", "base"):
        folder = shutil.copytree(exported, tmp_path / place)
        manifest = json.loads((folder / "manifest.json").read_text())
        integers = [each for each in manifest["artefacts"] if each["precision"] == "int8"]
        (folder / "manifest.json").write_text(json.dumps({**manifest, "artefacts": integers}))
    # Six rounds are the fewest that bear an interval.
    options = ("--rounds", 6, "--max-slowdown", 3, "--reference", exported.parent / "train" / "model.keras")
    printed = edgeport(
        "benchmark", tmp_path / "new", "--baseline", tmp_path / "base", *options, "-o", tmp_path / "out"
    ).stdout
    assert "OK: no loss of accuracy" in printed
    measured = read_report(tmp_path / "out" / "report.json")
    own = [each for each in measured.artefacts[1:] if not each.file.startswith("baseline/")]
    assert len(own) == 2
    assert [f"baseline/{each.file}" for each in own] == [each.file for each in measured.artefacts[1 + len(own) :]]
    for each in own:
        assert each.predictions == measured.named(f"baseline/{each.file}").predictions


def test_what_is_refused_is_refused_before_the_long_work(
    edgeport, exported: Path, report: tuple[Report, Path, str], tmp_path: Path
) -> None:
    out = ("-o", tmp_path / "out")
    assert "--max-slowdown" in edgeport("benchmark", exported, "--max-slowdown", 0.5, *out, code=2).stderr
    assert "expected numbers from 1 to" in edgeport("benchmark", exported, "--threads", "1,999", *out, code=2).stderr
    (tmp_path / "cut.json").write_bytes((report[1] / "report.json").read_bytes()[:-1000])
    printed = edgeport("benchmark", exported, "--baseline", tmp_path / "cut.json", *out, code=2).stderr
    assert "cut.json is no benchmark report, or a damaged one" in printed
    other = json.loads((report[1] / "report.json").read_text())
    other["dataset"]["sha256"] = "0" * 64
    (tmp_path / "other.json").write_text(json.dumps(other))
    printed = edgeport("benchmark", exported, "--baseline", tmp_path / "other.json", *out, code=2).stderr
    assert "expected the data that will be measured" in printed
    assert not (tmp_path / "out").exists()


def test_ctrl_c_keeps_what_was_measured(exported: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgeport.runtime.cli", "benchmark", str(exported), "-o", str(tmp_path / "out")]
    environment = {key: value for key, value in os.environ.items() if key != "EDGEPORT_DATA"}
    # A terminal of its own, in which the progress can be followed.
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [*command, "--rounds", "500"], stdout=terminal, stderr=terminal, env=environment, start_new_session=True
    ) as process:
        os.close(terminal)
        seen = b""
        while b"round 3 of 500" not in seen:
            assert select.select([controller], [], [], 120)[0], seen
            seen += os.read(controller, 4096)
        process.send_signal(signal.SIGINT)
        try:
            while os.read(controller, 4096):
                continue
        except OSError:
            assert process.wait() == 130, "the terminal is closed"
    os.close(controller)
    measured = read_report(tmp_path / "out" / "report.json")
    assert measured.partial == "interrupted after 2 of 500 rounds"
    assert {len(series.launches) for each in measured.artefacts for series in each.series} == {2}
    assert "interrupted after 2 of 500" in (tmp_path / "out" / "report.md").read_text()
