"""The four files in engines that are none of ours: the same label for each of 1,000 digits."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from edgeport.runtime import load
from edgeport.train import load_dataset

if sys.version_info >= (3, 11):
    pass
else:
    pass

ROOT = Path(__file__).parents[2]
MODELS = ("classic", "edge")
FILES = ("float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx")

# The reference evaluator knows DequantizeLinear from this opset on.
REFERENCE_OPSET = 19


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """uint8 of shape (1000, 28, 28, 1): the test and validation digits of mnist-5k."""
    dataset = load_dataset("mnist-5k")
    return np.concatenate([dataset.test.samples, dataset.validation.samples])


@pytest.fixture(scope="module", params=MODELS)
def folder(request: pytest.FixtureRequest, edgeport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export folder of a model."""
    if request.param == "classic":
        return request.getfixturevalue("exported")
    folder = tmp_path_factory.mktemp(request.param)
    edgeport("train", "--dataset", "mnist-5k", "--model", request.param, "--epochs", 5, "-o", folder / "train")
    edgeport("export", folder / "train" / "model.keras", "-o", folder / "export")
    return folder / "export"


def the_file(folder: Path, ending: str) -> Path:
    (path,) = folder.glob(f"*.{ending}")
    return path


def assert_same_labels(labels: np.ndarray, path: Path, digits: np.ndarray) -> None:
    """Fail if a label is not that of our own engine, but for ties of an int8 file.

    Engines round differently, so an int8 output may be a step away. Where our own first two are no more than a step
    apart, as for a few digits in a hundred at most, that may decide.
    """
    probabilities = load(path).predict(digits)
    assert len(labels) == len(probabilities) == 1_000
    second, first = np.log(np.sort(probabilities, axis=1)[:, -2:]).T
    # Between logits there is the same gap as between the logarithms of their softmax.
    near = first - second < 1.01 * output_step(path)
    changed = labels != probabilities.argmax(axis=1)
    assert not (changed & ~near).sum()
    assert changed.sum() <= 3


def output_step(path: Path) -> float:
    """Return the step between two outputs of an int8 file; 0 for a float32 file."""
    if ".int8." not in path.name:
        return 0.0
    if path.suffix == ".tflite":
        return load(path).spec.output.scale
    graph = onnx.load(path).graph
    (last,) = (node for node in graph.node if node.output[0] == graph.output[0].name)
    (scale,) = (each for each in graph.initializer if each.name == last.input[1])
    assert last.op_type == "DequantizeLinear"
    return float(onnx.numpy_helper.to_array(scale).item())


@pytest.mark.parametrize(
    ("engine", "ending"),
    [*(("openvino", ending) for ending in FILES), *(("tflite_micro", ending) for ending in FILES[:2])],
)
def test_another_engine_gives_the_same_labels(
    clients_python: Path, engine: str, ending: str, folder: Path, digits: np.ndarray, tmp_path: Path
) -> None:
    found = subprocess.run([clients_python, "-c", f"import {engine}"], capture_output=True, text=True, check=False)
    if "ModuleNotFoundError" in found.stderr:
        pytest.skip(f"{engine} has no wheel for this computer")
    path = the_file(folder, ending)
    np.save(tmp_path / "inputs.npy", load(path).encode(digits))
    command = [clients_python, Path(__file__).with_name("run_client.py"), engine, path, tmp_path / "inputs.npy"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert_same_labels(np.array(json.loads(ended.stdout.splitlines()[-1])), path, digits)


@pytest.mark.parametrize("ending", FILES[2:])
def test_the_onnx_reference_gives_the_same_labels(
    edgeport, ending: str, folder: Path, digits: np.ndarray, tmp_path: Path
) -> None:
    if "int8" in ending:
        choices = ("--formats", "onnx", "--precisions", "int8", "--opset", REFERENCE_OPSET)
        edgeport("export", folder.parent / "train" / "model.keras", "-o", tmp_path / "again", *choices)
        folder = tmp_path / "again"
    path = the_file(folder, ending)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    evaluator = ReferenceEvaluator(model)
    inputs = load(path).encode(digits)
    answers = [evaluator.run(None, {"image": inputs[start : start + 100]})[0] for start in range(0, len(inputs), 100)]
    assert_same_labels(np.concatenate(answers).argmax(axis=1), path, digits)
