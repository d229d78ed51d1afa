"""What people use small models for: each is exported, predicted with, bundled and tested as its user would."""

import json
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from edgeport.export import Options, export_model, read_manifest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from ten_tasks import TASKS, Task  # noqa: E402

Made = Callable[[Task], Path]


def make(task: Task, folder: Path) -> None:
    """Export the model of a task in two precisions, and write the files that its user has."""
    keras.utils.set_random_seed(1)
    model = task.build()
    model.save(folder / "model.keras")
    np.savez(folder / "samples.npz", **{model.inputs[0].name: task.samples()})
    export_model(
        folder / "model.keras",
        folder / "export",
        calibration=folder / "samples.npz",
        options=Options(precisions=("float32", "int8")),
        on_warning=lambda text: None,
        **task.options,
    )
    (folder / "files").mkdir()
    _, values = task.write(folder / "files")
    answers = model.predict(values, verbose=0)
    named = answers if isinstance(answers, dict) else {model.outputs[0].name: answers}
    np.savez(folder / "expected.npz", **named)


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


def bundled(task: Task, folder: Path, edgeport, tmp_path: Path) -> Path:
    words = tmp_path / "words.txt"
    words.write_text("yes\nno\n")
    options = ["--target", "linux", "--python", "3.11", "--samples", 9, "--include", words]
    edgeport("bundle", folder / "export", *options, "-o", tmp_path / "task.tar.gz")
    with tarfile.open(tmp_path / "task.tar.gz") as archive:
        archive.extractall(tmp_path)
    return tmp_path / "edgeport-model-linux"


def test_its_bundle_fits_the_model_and_tests_itself(task: Task, made: Made, edgeport, tmp_path: Path) -> None:
    folder = made(task)
    device = bundled(task, folder, edgeport, tmp_path)
    facts = json.loads((device / "bundle.json").read_text())
    assert facts["golden"]["source"] == "held-out samples of samples.npz"
    assert not facts["golden"]["random"]
    printed = edgeport("selftest", device).stdout
    assert printed.endswith("4 passed\n"), printed
    assert (device / "included" / "words.txt").read_text() == "yes\nno\n"
