"""A device with the wheel, one engine and rich alone: the selftest and the benchmark on golden answers."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgeport.benchmarks import Report, read_report
from edgeport.runtime import load
from edgeport.runtime.golden.answers import golden_bytes

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
FILES = tuple(path.name for path in sorted(DATA.glob("tiny.*")))
TFLITE = tuple(file for file in FILES if file.endswith(".tflite"))


@pytest.fixture(scope="module")
def classes() -> np.ndarray:
    """True classes that some answers miss: those of the model, and two others."""
    with np.load(DATA / "golden.npz", allow_pickle=False) as arrays:
        true = arrays["keras"].argmax(axis=1)
    true[[3, 11]] = (true[[3, 11]] + 1) % 10
    return true


@pytest.fixture(scope="module")
def artefacts(classes: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("device") / "artefacts"
    folder.mkdir()
    for file in FILES:
        shutil.copy(DATA / file, folder)
    with np.load(DATA / "golden.npz", allow_pickle=False) as arrays:
        content = golden_bytes(folder, FILES, {"image": arrays["images"]}, labels=classes, reference=arrays["keras"])
    (folder / "golden.npz").write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def command(wheel: Path, environment) -> Path:
    """The command of an environment with the wheel, ai-edge-litert and rich."""
    return environment("device", f"{wheel}[tflite,device]").with_name("edgeport")


def run(command: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    ended = subprocess.run(
        [str(command), *map(str, arguments)], capture_output=True, text=True, check=False, env=clean, cwd=command.parent
    )
    assert ended.returncode == code, f"{ended.stdout}\n{ended.stderr}"
    return ended


@pytest.fixture(scope="module")
def measured(command: Path, artefacts: Path) -> tuple[Report, str]:
    printed = run(command, "benchmark", artefacts, "--rounds", 2).stdout
    output = artefacts.parent / "benchmark"
    assert {path.name for path in output.iterdir()} == {"report.json"}
    return read_report(output / "report.json"), printed


def test_the_environment_is_small(command: Path) -> None:
    listed = run(command.parent / "pip", "list").stdout
    for package in ("tensorflow", "keras", "matplotlib", "onnx", "mlxtend"):
        assert package not in listed


def test_the_selftest_passes_and_tells_of_the_engine_that_is_missing(command: Path, artefacts: Path) -> None:
    printed = json.loads(run(command, "selftest", artefacts, "--json").stdout)
    assert [(check["file"], check["status"]) for check in printed["checks"]] == [
        (file, "passed" if file in TFLITE else "skipped") for file in FILES
    ]
    assert "pip install 'edgeport[onnx]'" in run(command, "selftest", artefacts).stdout
    assert "onnxruntime" in run(command, "selftest", artefacts, "--engine", "onnxruntime", code=2).stderr


def test_the_report_counts_what_the_engines_answer(
    measured: tuple[Report, str], artefacts: Path, classes: np.ndarray
) -> None:
    report, printed = measured
    with np.load(DATA / "golden.npz", allow_pickle=False) as arrays:
        images, keras = arrays["images"], arrays["keras"].argmax(axis=1)
    assert [each.file for each in report.artefacts] == ["tiny.keras", *TFLITE]
    assert (report.model, report.dataset["count"]) == ("tiny", 20)
    for each in report.artefacts[1:]:
        answers = load(artefacts / each.file).predict(images).argmax(axis=1)
        assert each.predictions == answers.tolist()
        assert report.correct(each) == (answers == classes).sum()
        assert len(report.flips(each)) == (answers != keras).sum()
        assert [series.what for series in each.series] == ["engine", "predict", "label"]
        assert [len(series.launches) for series in each.series] == [2, 2, 2]
        assert len(each.starts) == 2
        assert each.bytes == (DATA / each.file).stat().st_size
        assert each.name in printed


def test_the_recorded_reference_is_in_the_report_without_times(measured: tuple[Report, str]) -> None:
    report, printed = measured
    assert report.reference.format == "keras"
    assert report.correct(report.reference) == 18
    assert not report.reference.timed
    assert report.reference.starts == ()
    assert "The Keras model was not run here" in printed


def test_what_is_left_out_is_reported(measured: tuple[Report, str]) -> None:
    report, printed = measured
    assert [each["file"] for each in report.skipped] == [file for file in FILES if file not in TFLITE]
    for each in report.skipped:
        assert "pip install 'edgeport[onnx]'" in each["reason"]
        assert f"Skipped: {each['file']}: {each['reason']}" in printed
    assert "edgeport report report.json on a workstation makes the page" in printed
    assert "edgeport[report]" in printed


def test_what_judges_and_shows_names_its_extra(command: Path, measured: object, artefacts: Path) -> None:
    report = artefacts.parent / "benchmark" / "report.json"
    for arguments in (("report", report), ("compare", report, report), ("benchmark", artefacts, "--baseline", report)):
        printed = run(command, *arguments, code=2).stderr
        assert "pip install 'edgeport[report]'" in printed
        assert printed.count("\n") == 1


def test_a_workstation_without_tensorflow_makes_the_page(
    wheel: Path, environment, measured: object, artefacts: Path, tmp_path: Path
) -> None:
    command = environment("report", f"{wheel}[report]").with_name("edgeport")
    shutil.copy(artefacts.parent / "benchmark" / "report.json", tmp_path)
    printed = run(command, "report", tmp_path / "report.json").stdout
    assert f"Next: open {tmp_path / 'report.html'}" in printed
    page = (tmp_path / "report.html").read_text()
    assert "was not run on this machine, and so not timed" in page
    assert "TFLite int8" in page
    assert "OK: " in run(command, "compare", tmp_path, tmp_path, "--any-host").stdout


def test_without_golden_answers_the_larger_extra_is_named(command: Path, artefacts: Path, tmp_path: Path) -> None:
    for file in (*FILES, "manifest.json"):
        shutil.copy(DATA / file, tmp_path)
    (tmp_path / "model.keras").write_bytes(b"")
    printed = run(
        command, "benchmark", tmp_path, "--dataset", "mnist-5k", "--reference", tmp_path / "model.keras", code=2
    ).stderr
    assert printed.count("\n") == 1
    assert "pip install 'edgeport[benchmarks]'" in printed
