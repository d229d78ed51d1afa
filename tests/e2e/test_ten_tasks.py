"""What people use small models for: each is exported, predicted with, bundled and tested as its user would."""

import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeport.benchmarks import read_report
from edgeport.export import read_manifest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from ten_tasks import TASKS, Task, make  # noqa: E402

Made = Callable[[Task], Path]


@pytest.fixture(scope="module")
def made(shared) -> Made:
    return lambda task: shared(f"task-{task.name}", lambda folder: make(task, folder))


@pytest.fixture(params=TASKS, ids=lambda task: task.name)
def task(request) -> Task:
    return request.param


def test_every_file_is_delivered(task: Task, made: Made) -> None:
    manifest = read_manifest(made(task) / "export")
    assert not manifest.refused, [f"{each.file}: {each.reason}" for each in manifest.refused]
    assert len(manifest.artefacts) == 4
    assert not any(artefact.verified.inconclusive for artefact in manifest.artefacts)


def test_a_model_that_is_scaled_outside_is_asked_what_pixels_are_to_it(made: Made, edgeport, tmp_path: Path) -> None:
    (task,) = (each for each in TASKS if each.name == "mobilenet")
    folder = made(task)
    options = ["--precisions", "float32", "--calibration", folder / "samples.npz"]
    asked = edgeport("export", folder / "model.keras", "-o", tmp_path / "out", *options, code=2).stderr
    assert len(asked.splitlines()) == 1
    assert "has nothing that scales the pixels of photo" in asked
    assert "--input pixels:-1:1" in asked
    assert not (tmp_path / "out").exists()


def files_of(folder: Path) -> list[Path]:
    """Return the files of a task, in the order in which they were written."""
    return sorted((folder / "files").iterdir())


def numbers_of(facts: dict[str, Any], names: Sequence[str]) -> np.ndarray:
    """Return the numbers in what ``--json`` says of one output, whatever kind it has."""
    if "probabilities" in facts:
        probabilities = facts["probabilities"]
        return np.array([probabilities[name] for name in names or map(str, range(len(probabilities)))])
    if facts["kind"] == "yes-no":
        return np.array([facts["probability"]])
    # Those of large answers are in a file.
    return np.load(facts["file"]) if "file" in facts else np.array(facts["values"])


def test_predict_answers_as_keras_does(task: Task, made: Made, edgeport, tmp_path: Path) -> None:
    folder = made(task)
    with np.load(folder / "expected.npz") as archive:
        expected = dict(archive)
    columns = {output.name: output.columns for output in read_manifest(folder / "export").outputs}
    for file in ("float32.tflite", "float32.onnx", "int8.tflite", "int8.onnx"):
        artefact = folder / "export" / f"model.{file}"
        printed = edgeport("predict", artefact, *files_of(folder), "--json", "-o", tmp_path / file).stdout
        answers = [json.loads(line)["outputs"] for line in printed.splitlines()]
        assert all(answer.keys() == expected.keys() for answer in answers)
        for name, values in expected.items():
            got = np.stack([numbers_of(answer[name], columns[name]) for answer in answers])
            # What an int8 file may lose is judged by verification; here, that its answers are of the same kind.
            allowed = 1e-5 * np.abs(values).max() if "float32" in file else 0.25 * np.ptp(values)
            np.testing.assert_allclose(got, values, rtol=0, atol=allowed, err_msg=f"{file}, {name}")


# One of each program, and of each way to answer; what these leave out takes and answers as another one does.
BUNDLED = [task for task in TASKS if task.name not in ("anomaly", "unet", "multi-label", "mobilenet")]


def bundled(task: Task, folder: Path, edgeport, tmp_path: Path) -> Path:
    words = tmp_path / "words.txt"
    words.write_text("yes\nno\n")
    options = ["--target", "linux", "--python", "3.11", "--samples", 9, "--include", words]
    edgeport("bundle", folder / "export", *options, "-o", tmp_path / "task.tar.gz")
    with tarfile.open(tmp_path / "task.tar.gz") as archive:
        archive.extractall(tmp_path)
    return tmp_path / "edgeport-model-linux"


@pytest.mark.parametrize("task", BUNDLED, ids=lambda task: task.name)
def test_its_bundle_fits_the_model_and_tests_itself(task: Task, made: Made, edgeport, tmp_path: Path) -> None:
    folder = made(task)
    device = bundled(task, folder, edgeport, tmp_path)
    facts = json.loads((device / "bundle.json").read_text())
    assert facts["golden"]["source"] == "held-out samples of samples.npz"
    assert not facts["golden"]["random"]
    assert facts["golden"]["reference"], "the answers of the Keras model come along, whatever they mean"
    printed = edgeport("selftest", device).stdout
    assert printed.endswith("7 passed, 1 skipped\n"), printed
    assert (device / "included" / "words.txt").read_text() == "yes\nno\n"
    # Its program answers as `edgeport predict` does.
    artefact, names = device / "artefacts" / "model.int8.onnx", [path.name for path in files_of(folder)]
    expected = run_there(folder / "files", "-m", "edgeport.runtime.cli", "predict", artefact, *names)
    programs = {path.name for path in (device / "examples").iterdir()}
    if task.sees:
        assert programs == {"predict_camera.py", "predict_folder.py", "edgeport.service"}
        program = device / "examples" / "predict_folder.py"
        assert watched(program, artefact, folder / "files", count=len(expected)) == expected
    else:
        assert programs == {"predict_lines.py"}
        program = device / "examples" / "predict_lines.py"
        assert run_there(folder / "files", program, artefact, *names) == expected
        # Line by line too: what CSV can say of any of them.
        _, values = task.write(tmp_path)
        text = "".join(",".join(map(str, row)) + "\n" for row in values.reshape(len(values), -1).tolist())
        lines = run_there(tmp_path, program, artefact, stdin=text)
        assert [line.partition("  ")[2] for line in lines] == [line.partition("  ")[2] for line in expected]


@pytest.mark.parametrize("name", ["table", "detector"])
def test_a_device_says_what_a_workstation_says_of_the_same_samples(
    name: str, made: Made, edgeport, tmp_path: Path
) -> None:
    (task,) = (each for each in TASKS if each.name == name)
    folder = made(task)
    ((key, samples),) = np.load(folder / "samples.npz").items()
    true = {"y": samples[:30, :1].astype(np.float32)} if name == "table" else {}
    np.savez(tmp_path / "own.npz", **{key: samples[:30]}, **true)
    options = ["--target", "linux", "--python", "3.11", "--samples", 30, "--samples-from", tmp_path / "own.npz"]
    edgeport("bundle", folder / "export", *options, "-o", tmp_path / "task.tar.gz")
    with tarfile.open(tmp_path / "task.tar.gz") as archive:
        archive.extractall(tmp_path)
    device = tmp_path / "edgeport-model-linux" / "artefacts"
    edgeport("benchmark", device, "--only", "accuracy", "-o", tmp_path / "there")
    edgeport(
        "benchmark", folder / "export", "--data", tmp_path / "own.npz", "--only", "accuracy", "-o", tmp_path / "here"
    )
    there, here = (read_report(tmp_path / place) for place in ("there", "here"))
    assert there.judged == here.judged
    for one, other in zip(there.artefacts, here.artefacts, strict=True):
        assert one.file == other.file
        for own, expected in zip(one.answers, other.answers, strict=True):
            np.testing.assert_allclose(own.array, expected.array, rtol=1e-4, atol=1e-5)
    edgeport("report", tmp_path / "here", tmp_path / "there", "-o", tmp_path / "both.html")


def run_there(folder: Path, *arguments: object, stdin: str = "") -> list[str]:
    """Return the lines that a program in Python prints in a folder."""
    command = [sys.executable, *map(str, arguments)]
    ended = subprocess.run(command, cwd=folder, input=stdin, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def watched(program: Path, artefact: Path, folder: Path, *, count: int) -> list[str]:
    """Return the first ``count`` lines that the program answers for the pictures in a folder."""
    command = [sys.executable, "-I", str(program), str(artefact), str(folder), "--seconds", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        late = threading.Timer(60, child.kill)
        late.start()
        try:
            assert child.stdout.readline().startswith("Watching ")
            return [child.stdout.readline().rstrip("\n") for _ in range(count)]
        finally:
            late.cancel()
            child.kill()
