"""MediaPipe Tasks, which knows nothing of edgeport, reads the metadata and labels digits with an exported model."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from edgeport.export import Options, export, load_calibration, load_source
from edgeport.runtime import load
from edgeport.train import load_dataset

COUNT = 200

CLASSIFY = """
import json, sys
import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision
base = BaseOptions(model_asset_path=sys.argv[1])
answers = []
with vision.ImageClassifier.create_from_options(vision.ImageClassifierOptions(base_options=base)) as classifier:
    for image in np.load(sys.argv[2], allow_pickle=False):
        digit = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
        categories = classifier.classify(digit).classifications[0].categories
        best = max(categories, key=lambda category: category.score)
        answers.append((best.category_name, best.score, sum(category.score for category in categories)))
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def mediapipe_python(environment) -> Path:
    try:
        # Only a wheel: MediaPipe has none for some Pythons and computers, and is not built in a test.
        python = environment("mediapipe", "--only-binary", "mediapipe", "mediapipe")
        command = [str(python), "-c", "from mediapipe.tasks.python import vision"]
        subprocess.run(command, capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"MediaPipe cannot be used here: {error.stderr.strip().splitlines()[-1]}")
    return python


def test_mediapipe_reads_labels_and_normalisation(mediapipe_python: Path, trained: Path, tmp_path: Path) -> None:
    # MediaPipe gives every model three channels.
    image = keras.Input((28, 28, 3), name="image")
    grey = keras.ops.mean(image, axis=-1, keepdims=True)
    model = keras.Model(image, keras.models.load_model(trained / "model.keras", compile=False)(grey))
    digits = load_dataset("mnist-5k").test
    images = np.repeat(digits.samples[:COUNT], 3, axis=-1)
    np.savez(tmp_path / "rgb.npz", images)
    source = load_source(model, name="digits", inputs=["pixels:0:255"])
    calibration = load_calibration(str(tmp_path / "rgb.npz"), inputs=source.inputs)
    names = tuple(f"digit {number}" for number in range(10))
    options = Options(formats=("tflite",), precisions=("float32",), tflite_metadata=True)
    export(source, tmp_path, replace(calibration, labels=names), options=options)
    np.save(tmp_path / "images.npy", images)
    # MediaPipe waits for ever, instead of failing, on a few kinds of wrong metadata.
    printed = subprocess.run(
        [mediapipe_python, "-c", CLASSIFY, tmp_path / "digits.float32.tflite", tmp_path / "images.npy"],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    labels, scores, sums = zip(*json.loads(printed.splitlines()[-1]), strict=True)
    expected = load(tmp_path / "digits.float32.tflite").predict(images)
    assert labels == tuple(names[number] for number in expected.argmax(axis=1))
    np.testing.assert_allclose(scores, expected.max(axis=1), atol=1e-4)
    np.testing.assert_allclose(sums, 1, atol=1e-4)
    assert sum(label == names[number] for label, number in zip(labels, digits.classes[:COUNT], strict=True)) >= 190
