"""What an export takes of a machine's memory, beside TFLiteConverter's own int8 conversion of the same model."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

# In a small process: a child is born with the size of its parent as its own peak, and this one has TensorFlow.
_MEASURE = (
    "import sys; from edgeport.benchmarks.lab.export_cost.export_memory import cost_of; print(cost_of(sys.argv[1:])[1])"
)
_SIDE = 160


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with 21 M parameters (84 MB), whose activations take 60 MB for each sample; samples lie beside it."""
    image = keras.Input((_SIDE, _SIDE, 3), name="image")
    x = layers.Conv2D(96, 3, padding="same", activation="relu")(image)
    for _ in range(2):
        x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    for _ in range(2):
        x = layers.Dense(4400, activation="relu")(layers.GlobalAveragePooling2D()(x) if x.shape[2:] else x)
    file = tmp_path_factory.mktemp("memory") / "model.keras"
    keras.Model(image, layers.Dense(10, activation="softmax")(x)).save(file)
    random = np.random.default_rng(0)
    train, held_out = (random.integers(0, 256, (count, _SIDE, _SIDE, 3), np.uint8) for count in (20, 20))
    np.savez(file.with_name("samples.npz"), x_train=train.astype(np.float32), x_val=held_out.astype(np.float32))
    return file


def test_an_export_takes_little_more_memory_than_the_converter_alone(model: Path) -> None:
    output, samples = model.with_name("export"), model.with_name("samples.npz")
    alone = _peak("-m", "edgeport.benchmarks.lab.export_cost.raw_process", "int8", model, samples)
    # What held most: shapes and copies in TFLite, the optimizers in ONNX, calibration in both.
    what = ["--precisions", "float32,int8", "--calibration", samples]
    export = _peak("-m", "edgeport.runtime.cli", "export", model, "-o", output, *what)
    assert len(list(output.glob("*.tflite")) + list(output.glob("*.onnx"))) == 4
    assert export <= 1.3 * alone, f"{export / 1e9:.2f} GB, and the converter takes {alone / 1e9:.2f} GB"


def _peak(*command: object) -> int:
    """Return the most bytes that a Python process with these arguments takes, with all that it starts."""
    arguments = [sys.executable, "-c", _MEASURE, sys.executable, *map(str, command)]
    return int(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)
