"""Training with --qat: a second phase with quantization in the loop, as reproducible and interruptible as the first."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import edgeport.train.quantization_aware.fake_quantization  # noqa: F401  (Keras finds its layers by their registration)

RUN = ("train", "--dataset", "mnist-5k", "--model", "edge-2k", "--epochs", 2, "--qat")


@pytest.fixture(scope="module")
def aware(edgeport, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("qat") / "run"
    edgeport(*RUN, "-o", folder)
    return folder


def test_the_record_tells_both_phases_and_the_model_is_of_the_second(aware: Path) -> None:
    record = json.loads((aware / "training.json").read_text())
    assert record["qat"] is True
    assert (len(record["history"]), len(record["qat_history"])) == (2, record["recipe"]["qat_epochs"])
    best = min(record["qat_history"], key=lambda epoch: epoch["validation_loss"])
    assert record["validation"]["accuracy"] == best["validation_accuracy"]
    kinds = {type(layer).__name__ for layer in keras.models.load_model(aware / "model.keras", compile=False).layers}
    assert {"FakeQuantize", "QuantizedConv2D", "QuantizedDense"} <= kinds
    assert "BatchNormalization" not in kinds
    assert not (aware / ".training").exists()


def test_its_int8_file_answers_as_the_model_does(edgeport, aware: Path, tmp_path: Path) -> None:
    edgeport("export", aware / "model.keras", "-o", tmp_path / "export", "--precisions", "float32,int8")
    manifest = json.loads((tmp_path / "export" / "manifest.json").read_text())
    verified = {each["file"]: each["verified"] for each in manifest["artefacts"]}
    assert verified["edge-2k.int8.tflite"]["agreement"] == 1
    # All but a few integers are those of the forward pass; a calibrated file of this model comes to less than 40 dB.
    assert verified["edge-2k.int8.tflite"]["sqnr_db"] > 50
    assert verified["edge-2k.int8.onnx"]["agreement"] > 0.95


def test_a_model_that_rounds_already_is_trained_on_and_not_quantized_twice(
    edgeport, aware: Path, tmp_path: Path
) -> None:
    command = ("train", "--dataset", "mnist-5k", "--model", aware / "model.keras", "--epochs", 1)
    command += ("-o", tmp_path / "run")
    refused = edgeport(*command, "--qat", code=2)
    assert "quantization-aware already" in refused.stderr
    assert not (tmp_path / "run" / "model.keras").exists()
    edgeport(*command)
    assert (tmp_path / "run" / "model.keras").exists()


def test_ctrl_c_in_the_second_phase_keeps_its_best_epoch_and_resume_ends_where_the_whole_run_does(
    edgeport, aware: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "edgeport.runtime.cli", *map(str, RUN), "-o", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    history = folder / ".training" / "qat" / "history.json"
    deadline = time.monotonic() + 120
    while not history.exists() or not json.loads(history.read_text())["history"]:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    record = json.loads((folder / "training.json").read_text())
    assert record["finished"] is False
    assert record["qat_history"]
    edgeport(*RUN, "-o", folder, "--resume")
    left, right = (keras.models.load_model(each / "model.keras", compile=False) for each in (folder, aware))
    for one, other in zip(left.get_weights(), right.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
