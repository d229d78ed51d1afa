"""MobileNetV2 with its preprocessing outside, nested and not: exported and trained on, and never silently wrong."""

import io
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from rich.console import Console

from edgeport.export import Options, export_model
from edgeport.runtime import load
from edgeport.runtime.errors import InputError
from edgeport.train.datasets.dataset import Dataset, Split
from edgeport.train.loop.fitting import Run
from edgeport.train.loop.recipe import OWN_MODEL
from edgeport.train.training import train

SIDE, LABELS = 32, ("red", "green", "blue")
SILENT = Console(file=io.StringIO())


def patches(count: int, seed: int) -> Split:
    """Return pictures of one colour, of any brightness, under a little noise."""
    random = np.random.default_rng(seed)
    classes = random.integers(0, 3, count)
    brightness = random.integers(20, 120, (count, 1, 1, 1))
    noise = random.integers(0, 30, (count, SIDE, SIDE, 3))
    return Split((brightness + noise + 90 * np.eye(3, dtype=int)[classes][:, None, None]).astype(np.uint8), classes)


SPLITS = {"train": patches(300, 0), "validation": patches(150, 1), "test": patches(150, 2)}
DATA = Dataset("patches", SPLITS, LABELS)


def wanted(images: np.ndarray) -> np.ndarray:
    return keras.applications.mobilenet_v2.preprocess_input(images.astype(np.float32))


def accuracy(model: keras.Model, values: np.ndarray, classes: np.ndarray) -> float:
    return float((model.predict(values, verbose=0).argmax(axis=1) == classes).mean())


@pytest.fixture(scope="module", params=["nested", "flat"])
def mobilenet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is right on pixels from -1 to 1, and guesses on raw ones."""
    keras.utils.set_random_seed(0)
    whole = keras.applications.MobileNetV2(weights=None, alpha=0.35, input_shape=(SIDE, SIDE, 3), include_top=False)
    # Its first blocks: in the rest, untrained, little is left of a picture.
    base = keras.Model(whole.input, layers.GlobalAveragePooling2D()(whole.get_layer("block_2_add").output), name="base")
    images, classes = wanted(DATA.train.samples), DATA.train.classes
    for layer in base.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.5
    for _ in range(8):
        base(images[:100], training=True)
    # The head alone is fitted, as a linear discriminant: the same on every machine, and in no time.
    features = base.predict(images, verbose=0)
    middle, deviation = features.mean(axis=0), features.std(axis=0) + 0.01
    standard = (features - middle) / deviation
    means = np.stack([standard[classes == number].mean(axis=0) for number in range(3)])
    kernel = np.linalg.solve(np.cov(standard.T) + 0.1 * np.eye(len(middle)), means.T)
    bias = -(means.T * kernel).sum(axis=0) / 2
    kernel = kernel / deviation[:, None]
    bias = bias - middle @ kernel
    head = layers.Dense(3, activation="softmax", name="head")
    if request.param == "nested":
        image = keras.Input((SIDE, SIDE, 3), name="image")
        model = keras.Model(image, head(base(image)))
    else:
        model = keras.Model(base.input, head(base.output))
    head.set_weights([kernel, bias])
    path = tmp_path_factory.mktemp(request.param) / "mobilenet.keras"
    model.save(path)
    return path


def test_it_is_right_on_scaled_pixels_and_guesses_on_raw_ones(mobilenet: Path) -> None:
    model = keras.models.load_model(mobilenet)
    assert accuracy(model, wanted(DATA.test.samples), DATA.test.classes) > 0.95
    assert accuracy(model, DATA.test.samples.astype(np.float32), DATA.test.classes) < 0.75


def test_the_export_asks_and_then_answers_like_keras(mobilenet: Path, tmp_path: Path) -> None:
    options = Options(precisions=("float32",))
    with pytest.raises(InputError, match=r"nothing that scales the pixels .* --input pixels:-1:1"):
        export_model(mobilenet, tmp_path / "out", calibration=DATA.train.samples, options=options)
    manifest = export_model(
        mobilenet, tmp_path / "out", calibration=DATA.train.samples, inputs=["pixels:-1:1"], options=options
    )
    assert len(manifest.artefacts) == 2, manifest.refused
    expected = keras.models.load_model(mobilenet).predict(wanted(DATA.test.samples), verbose=0)
    for artefact in manifest.artefacts:
        answers = load(tmp_path / "out" / artefact.file).predict(DATA.test.samples)
        np.testing.assert_allclose(answers, expected, atol=1e-4)


def test_training_asks_and_then_never_ends_below_its_start(mobilenet: Path, tmp_path: Path) -> None:
    recipe = replace(OWN_MODEL, epochs=2, qat_epochs=1)
    run = Run("mobilenet", DATA, recipe, 0, start=mobilenet)
    with pytest.raises(InputError, match=r"nothing that scales the pixels .* --input pixels:-1:1"):
        train(run, tmp_path / "train", console=SILENT)
    assert not (tmp_path / "train").exists()
    assert train(replace(run, input="pixels:-1:1"), tmp_path / "train", console=SILENT)
    record = json.loads((tmp_path / "train" / "training.json").read_text())
    assert record["input"] == "pixels:-1:1"
    own = accuracy(keras.models.load_model(mobilenet), wanted(DATA.validation.samples), DATA.validation.classes)
    assert record["start_validation"]["accuracy"] == pytest.approx(own, abs=0.01)
    assert record["validation"]["accuracy"] >= record["start_validation"]["accuracy"]
    model = keras.models.load_model(tmp_path / "train" / "model.keras")
    right = accuracy(model, wanted(DATA.test.samples), DATA.test.classes)
    assert record["test"]["correct"] / record["test"]["count"] == pytest.approx(right, abs=0.01)
    # What was said once need not be said again.
    manifest = export_model(
        tmp_path / "train" / "model.keras", tmp_path / "out", calibration=DATA.train.samples,
        options=Options(precisions=("float32",), formats=("tflite",)),
    )  # fmt: skip
    answers = load(tmp_path / "out" / manifest.artefacts[0].file).predict(DATA.test.samples)
    np.testing.assert_allclose(answers, model.predict(wanted(DATA.test.samples), verbose=0), atol=1e-4)


def test_a_teacher_asks_too(mobilenet: Path, tmp_path: Path) -> None:
    run = Run("edge", DATA, replace(OWN_MODEL, epochs=1), 0, teacher=mobilenet)
    with pytest.raises(InputError, match=r"teacher .* has nothing that scales the pixels"):
        train(run, tmp_path / "train", console=SILENT)
    assert not (tmp_path / "train").exists()


def test_quantization_aware_training_obeys_the_range(mobilenet: Path, tmp_path: Path) -> None:
    recipe = replace(OWN_MODEL, epochs=0, qat_epochs=1)
    run = Run("mobilenet", DATA, recipe, 0, start=mobilenet, qat=True, input="pixels:-1:1")
    assert train(run, tmp_path / "train", console=SILENT)
    record = json.loads((tmp_path / "train" / "training.json").read_text())
    own = accuracy(keras.models.load_model(mobilenet), wanted(DATA.validation.samples), DATA.validation.classes)
    assert record["float_validation"]["accuracy"] == pytest.approx(own, abs=0.01)
    assert record["validation"]["accuracy"] >= own - 0.1
    manifest = export_model(
        tmp_path / "train" / "model.keras", tmp_path / "out", calibration=DATA.train.samples,
        options=Options(precisions=("int8",), formats=("tflite",)),
    )  # fmt: skip
    answers = load(tmp_path / "out" / manifest.artefacts[0].file).predict(DATA.test.samples)
    assert (answers.argmax(axis=1) == DATA.test.classes).mean() > 0.75
