"""docs/tutorials/spoken-digits.md, as it is written, on recordings that its script composes."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeport.export import read_manifest
from edgeport.runtime.samples.log_mel import LogMel, log_mel
from edgeport.runtime.samples.wav_file import read_wav

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/tutorials/spoken-digits.md").read_text()
RATE = 8_000


def test_features_are_those_of_tensorflow() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    features = LogMel(RATE, 256, 128)
    spectrum = tf.signal.stft(sound[: features.length(60)], 256, 128, fft_length=256)
    triangles = tf.signal.linear_to_mel_weight_matrix(32, 129, RATE, 0.0, RATE / 2)
    expected = tf.math.log(tf.abs(spectrum) ** 2 @ triangles + 1e-6).numpy()
    # TensorFlow computes in float32.
    np.testing.assert_allclose(log_mel(sound, features, frames=60, bands=32), expected, atol=1e-4)


def heard_in(paths: list[Path]) -> np.ndarray:
    """Return what the network takes of recordings."""
    sounds = [read_wav(path.read_bytes(), named="a")[0][:, 0] for path in paths]
    return np.stack([log_mel(each, LogMel(RATE, 256, 128), frames=60, bands=32) for each in sounds])[..., np.newaxis]


def learn_tones() -> None:
    """Train the page's network until its decisions are clear on every CPU, which two epochs of it do not make them."""
    paths = sorted(Path("free-spoken-digit-dataset/recordings").glob("*.wav"))
    model = keras.models.load_model("spoken.keras")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(heard_in(paths), np.array([int(path.name[0]) for path in paths]), batch_size=8, epochs=20, verbose=0)
    model.save("spoken.keras")


def test_the_page_leads_from_recordings_to_the_device(
    edgeport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "$ python examples/spoken_digits.py\n" in PAGE
    edgeport(ROOT / "examples/spoken_digits.py")
    learn_tones()
    train, export, benchmark, predict, _ = re.findall(r"^\$ edgeport (.*)$", PAGE, re.MULTILINE)
    assert "--epochs 40" in train
    printed = edgeport(*train.replace("--epochs 40", "--epochs 2").split()).stdout
    assert "90 / 10 / 50 samples for train / validation / test" in printed
    trained = Path("runs/spoken/train")
    assert json.loads((trained / "training.json").read_text())["input"] == "log-mel:8000:256:128"
    edgeport(*export.split(), "--precisions", "float32,int8")
    manifest = read_manifest(Path("runs/spoken/export"))
    assert manifest.inputs[0].log_mel == LogMel(RATE, 256, 128)
    assert len(manifest.artefacts) == 4
    assert "5 candidates on 50 samples" in edgeport(*benchmark.split()).stdout

    # What predict answers to files is what Keras answers to features that were computed here.
    paths = sorted(Path("free-spoken-digit-dataset/recordings").glob("7_*.wav"))
    model = keras.models.load_model(trained / "model.keras", compile=False)
    expected = model.predict(heard_in(paths), verbose=0)
    for suffix in ("tflite", "onnx"):
        lines = edgeport("predict", f"runs/spoken/export/spoken.float32.{suffix}", *paths, "--json").stdout.splitlines()
        answers = [json.loads(line)["outputs"]["digit"]["probabilities"] for line in lines]
        np.testing.assert_allclose([[each[str(digit)] for digit in range(10)] for each in answers], expected, atol=1e-5)
    assert edgeport(*predict.split()).stdout.startswith("free-spoken-digit-dataset/recordings/7_jackson_3.wav")

    # Nobody has to say it again once it is recorded.
    raw = edgeport("train", "--model", "spoken.keras", "--dataset", "fsdd:free-spoken-digit-dataset", "-o", "x", code=2)
    assert "nobody says how sound becomes what the model takes" in raw.stderr
    again = ("train", "--model", trained / "model.keras", "--dataset", "fsdd:free-spoken-digit-dataset")
    edgeport(*again, "--epochs", 1, "-o", "again")
    assert json.loads(Path("again/training.json").read_text())["input"] == "log-mel:8000:256:128"
