"""A model of the user's own: trained further from its weights, or made aware of quantization right away."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from rich.console import Console

import edgeport.train.quantization_aware.fake_quantization  # noqa: F401  (Keras finds its layers by their registration)
from edgeport.runtime.artefact.input_kinds import kind_text
from edgeport.runtime.errors import InputError
from edgeport.train.datasets.dataset import SPLITS, Dataset, Split
from edgeport.train.datasets.named import load_dataset
from edgeport.train.loop.fitting import Run
from edgeport.train.loop.pixels import real_values
from edgeport.train.loop.recipe import OWN_MODEL
from edgeport.train.models.keras_file import open_classifier
from edgeport.train.record import record_text
from edgeport.train.training import train

TRAIN = ("train", "--dataset", "mnist-5k")


def net(*, classes: int = 10, activation: str | None = "softmax", side: int = 28) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((side, side, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(classes, activation=activation),
        ],
        name="mine",
    )


def test_qat_can_follow_at_once(edgeport, tmp_path: Path) -> None:
    net().save(tmp_path / "mine.keras")
    edgeport(*TRAIN, "--model", tmp_path / "mine.keras", "--epochs", 0, "--qat", "-o", tmp_path / "run")
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    assert (record["model"], record["history"], len(record["qat_history"])) == ("mine", [], 5)
    digest = hashlib.sha256((tmp_path / "mine.keras").read_bytes()).hexdigest()
    assert record["start"] == {"file": "mine.keras", "sha256": digest}
    edgeport("export", tmp_path / "run" / "model.keras", "-o", tmp_path / "export", "--precisions", "int8")
    manifest = json.loads((tmp_path / "export" / "manifest.json").read_text())
    verified = {each["file"]: each["verified"] for each in manifest["artefacts"]}
    assert verified["mine.int8.tflite"]["agreement"] == 1
    assert verified["mine.int8.tflite"]["sqnr_db"] > 60, "the integers are those of the forward pass"


@pytest.mark.parametrize("qat", [False, True])
def test_a_model_that_no_epoch_makes_better_is_kept(trained: Path, tmp_path: Path, qat: bool) -> None:
    start, dataset = trained / "model.keras", load_dataset("mnist-5k")
    ruinous = replace(OWN_MODEL, epochs=0 if qat else 2, learning_rate=3.0, qat_epochs=1, qat_learning_rate=3.0)
    console = Console(file=io.StringIO(), width=200)
    assert train(Run("mine", dataset, ruinous, seed=1, start=start, qat=qat), tmp_path / "run", console=console)
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    assert record["best_epoch"] == 0
    before, after = (keras.models.load_model(path, compile=False) for path in (start, tmp_path / "run" / "model.keras"))
    images, classes = dataset.validation.samples.astype("float32"), dataset.validation.classes
    right = [float((model.predict(images, verbose=0).argmax(1) == classes).mean()) for model in (before, after)]
    assert record["start_validation"]["accuracy"] == pytest.approx(right[0])
    assert record["validation"]["accuracy"] == pytest.approx(right[1])
    text = console.file.getvalue()
    assert f"at the start  validation loss {record['start_validation']['loss']:.4f}  accuracy {right[0]:.2%}" in text
    assert "is better than the start, which is kept" in text
    if qat:
        assert f"{right[0]:.2%} before it in float32" in text
        assert right[1] > right[0] - 0.02
    else:
        for one, other in zip(before.get_weights(), after.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_layer_that_qat_does_not_know_is_reported_before_the_first_epoch(edgeport, tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(8, "gelu"),
            layers.Dense(10, "softmax"),
        ]
    )
    model.save(tmp_path / "gelu.keras")
    ended = edgeport(*TRAIN, "--model", tmp_path / "gelu.keras", "--qat", "-o", tmp_path / "run", code=2)
    assert "got the activation gelu, expected relu or relu6" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "epoch" not in ended.stdout
    assert not (tmp_path / "run").exists()


def test_training_goes_on_from_the_weights_of_the_file(edgeport, trained: Path, tmp_path: Path) -> None:
    edgeport(*TRAIN, "--model", trained / "model.keras", "--epochs", 1, "-o", tmp_path / "run")
    (first, *_), (further,) = (
        json.loads((folder / "training.json").read_text())["history"] for folder in (trained, tmp_path / "run")
    )
    assert further["validation_loss"] < 0.8 * first["validation_loss"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: net(classes=7), "from (28, 28, 1) to (7,), expected (28, 28, 1) to (10,): the images of mnist-5k"),
        (lambda: net(side=20), "from (20, 20, 1) to (10,)"),
        (lambda: net(activation=None), "expected a model that ends in a softmax"),
        (lambda: None, "No such file"),
    ],
)
def test_a_model_that_cannot_learn_this_is_refused_in_one_line(edgeport, tmp_path: Path, wrong, message: str) -> None:
    model = wrong()
    if model is not None:
        model.save(tmp_path / "wrong.keras")
    ended = edgeport(*TRAIN, "--model", tmp_path / "wrong.keras", "-o", tmp_path / "run", code=2)
    assert message in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("low", "high", "said", "message"),
    [
        (-1, 1, "pixels:-1:1", None),
        (-1, 1, "", None),
        (
            0,
            1,
            "pixels:-1:1",
            "for x, which look like pixels from 0 to 1, and pixels:-1:1 means",
        ),
        (0, 255, "pixels:-1:1", "got floats from 0 to 255 for x, expected -1 to 1, what pixels are to the model"),
    ],
)
def test_floats_are_what_pixels_are_to_the_model_or_are_refused(
    low: float, high: float, said: str, message: str | None, tmp_path: Path
) -> None:
    x = keras.Input((4, 4, 1), name="x")
    keras.Model(x, layers.Dense(2, activation="softmax")(layers.Flatten()(x))).save(tmp_path / "mine.keras")
    samples = np.linspace(low, high, 40 * 16, dtype=np.float32).reshape(40, 4, 4, 1)
    dataset = Dataset("floats", {name: Split(samples, np.arange(40) % 2) for name in SPLITS}, ("a", "b"))
    if message is None:
        _, port = open_classifier(tmp_path / "mine.keras", dataset, role="--model", said=said)
        assert kind_text(port) == (said or "real")
        # As they are, and not scaled once more.
        np.testing.assert_array_equal(real_values(tf.constant(samples), port).numpy(), samples)
        return
    with pytest.raises(InputError, match=message):
        open_classifier(tmp_path / "mine.keras", dataset, role="--model", said=said)


def test_classes_in_another_order_than_the_model_learned_are_refused(tmp_path: Path) -> None:
    x = keras.Input((4,), name="x")
    keras.Model(x, layers.Dense(2, activation="softmax")(x)).save(tmp_path / "mine.keras")
    record = {"model": "m", "dataset": {"name": "d", "sha256": "0", "labels": ["b", "a"]}, "input": "real"}
    (tmp_path / "training.json").write_text(record_text(record))
    splits = {name: Split(np.eye(4, dtype=np.float32), np.arange(4) % 2) for name in SPLITS}
    with pytest.raises(InputError, match="got the classes a, b, expected b, a, the order that the training"):
        open_classifier(tmp_path / "mine.keras", Dataset("d", splits, ("a", "b")), role="--model")
    open_classifier(tmp_path / "mine.keras", Dataset("d", splits, ("b", "a")), role="--model")


def test_a_damaged_file_is_refused_in_one_line(edgeport, tmp_path: Path) -> None:
    (tmp_path / "torn.keras").write_bytes(b"PK\x03\x04 and no more")
    ended = edgeport(*TRAIN, "--model", tmp_path / "torn.keras", "-o", tmp_path / "run", code=2)
    assert "torn.keras is truncated or no Keras model" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_no_epochs_are_too_few_without_qat(edgeport, tmp_path: Path) -> None:
    net().save(tmp_path / "mine.keras")
    arguments = (*TRAIN, "--model", tmp_path / "mine.keras", "--epochs", 0, "-o", tmp_path / "run")
    assert "--epochs: got 0, expected 1 to 1,000,000" in edgeport(*arguments, code=2).stderr
