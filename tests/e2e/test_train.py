"""Training: reproducible, interruptible, resumable, and honest about the test split."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from edgeport.train import RECIPES, Run, build_model, fit, load_dataset
from edgeport.train.loop.augmentation import augment, draw_changes
from edgeport.train.loop.history import Epoch
from edgeport.train.loop.recipe import Recipe

RUN = ("train", "--dataset", "mnist-5k", "--epochs", 4, "--seed", 7)


def weights(folder: Path) -> list[np.ndarray]:
    return keras.models.load_model(folder / "model.keras", compile=False).get_weights()


def assert_same_weights(one: Path, other: Path) -> None:
    for left, right in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.fixture(scope="module")
def uninterrupted(edgeport, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    edgeport(*RUN, "-o", folder)
    return folder


def test_the_result_is_complete(uninterrupted: Path) -> None:
    assert {path.name for path in uninterrupted.iterdir()} == {
        "model.keras", "training.json", "learning-curves.png", "predictions.png", "confusion-matrix.png",
    }  # fmt: skip
    record = json.loads((uninterrupted / "training.json").read_text())
    dataset = load_dataset("mnist-5k")
    assert record["dataset"]["sha256"] == dataset.sha256
    assert (record["seed"], record["recipe"]["epochs"], len(record["history"])) == (7, 4, 4)
    model = keras.models.load_model(uninterrupted / "model.keras", compile=False)
    answers = model.predict(dataset.test.samples.astype("float32"), verbose=0)
    assert record["test"] == {"correct": int((answers.argmax(1) == dataset.test.classes).sum()), "count": 500}
    answers = model.predict(dataset.validation.samples.astype("float32"), verbose=0)
    best = record["history"][record["best_epoch"] - 1]
    assert best["validation_loss"] == min(epoch["validation_loss"] for epoch in record["history"])
    right = (answers.argmax(1) == dataset.validation.classes).mean()
    assert right == pytest.approx(best["validation_accuracy"], abs=1e-6)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)


def test_the_same_seed_gives_the_same_weights(edgeport, uninterrupted: Path, tmp_path: Path) -> None:
    edgeport(*RUN, "-o", tmp_path / "again")
    assert_same_weights(tmp_path / "again", uninterrupted)


def interrupt(folder: Path, *, with_signal: int, after_epochs: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgeport.runtime.cli", *map(str, RUN), "-o", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    history = folder / ".training" / "history.json"
    deadline = time.monotonic() + 120
    while not history.exists() or len(json.loads(history.read_text())["history"]) < after_epochs:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(with_signal)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_ctrl_c_keeps_the_best_epoch_and_resume_ends_where_the_whole_run_does(
    edgeport, uninterrupted: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    ended = interrupt(folder, with_signal=signal.SIGINT, after_epochs=2)
    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "--resume" in ended.stdout
    record = json.loads((folder / "training.json").read_text())
    assert record["finished"] is False
    assert "test" not in record
    assert (folder / "model.keras").is_file()
    edgeport(*RUN, "-o", folder, "--resume")
    assert_same_weights(folder, uninterrupted)
    assert not (folder / ".training").exists()


def test_dropout_goes_on_where_it_was(tmp_path: Path) -> None:
    run = Run("classic", load_dataset("mnist-5k"), replace(RECIPES["classic"], epochs=2), seed=3)

    def build() -> keras.Model:
        return build_model("classic", image_shape=(28, 28, 1), class_count=10)

    def stop(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    whole = fit(run, build, state=tmp_path / "whole").model
    with pytest.raises(KeyboardInterrupt):
        fit(run, build, state=tmp_path / "resumed", on_epoch=stop)
    resumed = fit(run, build, state=tmp_path / "resumed", resume=True).model
    for left, right in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_killed_run_can_be_resumed(edgeport, uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert interrupt(folder, with_signal=signal.SIGKILL, after_epochs=1).returncode == -signal.SIGKILL
    edgeport(*RUN[:-1], 8, "-o", folder, "--resume", code=2)
    edgeport(*RUN, "-o", folder, "--resume")
    assert_same_weights(folder, uninterrupted)


def test_a_second_run_in_the_same_folder_is_reported_and_does_no_harm(
    edgeport, uninterrupted: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "edgeport.runtime.cli", *map(str, RUN), "-o", str(folder)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not (folder / ".training" / "history.json").exists():
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # so that it is still running when the second comes
    ended = edgeport(*RUN, "-o", folder, "--overwrite", code=2)
    first.send_signal(signal.SIGCONT)
    assert "another edgeport is writing to" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert first.wait(timeout=120) == 0
    assert_same_weights(folder, uninterrupted)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_resume_without_a_run_is_reported(edgeport, tmp_path: Path) -> None:
    ended = edgeport(*RUN, "-o", tmp_path / "none", "--resume", code=2)
    assert "no interrupted run to resume" in ended.stderr
    assert not (tmp_path / "none").exists()


def test_without_network_two_ways_out_are_named(edgeport, tmp_path: Path) -> None:
    # A proxy that refuses every connection is a machine without network, wherever this test runs.
    nowhere = "http" + "://127.0.0.1:9"
    variables = {"https_proxy": nowhere, "http_proxy": nowhere, "KERAS_HOME": str(tmp_path / "keras")}
    ended = edgeport("train", "--dataset", "fashion-mnist", "-o", tmp_path / "x", code=2, **variables)
    assert "--data-dir" in ended.stderr
    assert "mnist-5k" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_reported(edgeport, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    ended = edgeport(*RUN, "-o", tmp_path / "x", code=2)
    assert "Permission denied" in ended.stderr


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("shape", [(28, 28, 1), (40, 32, 3)])
def test_every_model_takes_raw_pixels_and_gives_probabilities(name: str, shape: tuple[int, int, int]) -> None:
    model = build_model(name, image_shape=shape, class_count=7)
    pixels = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype("float32")
    probabilities = model(pixels).numpy()
    assert probabilities.shape == (3, 7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert any(type(layer).__name__ == "Rescaling" for layer in model.layers)


def test_classic_is_the_cnn_that_the_tutorial_tells() -> None:
    kinds = [type(layer).__name__ for layer in build_model("classic", image_shape=(28, 28, 1), class_count=10).layers]
    assert [kind for kind in kinds if kind not in ("Dropout", "Flatten", "Rescaling")] == [
        "Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D", "Dense", "Dense",
    ]  # fmt: skip


def test_augmentation_moves_images_a_little_and_the_same_seed_the_same_way() -> None:
    images = np.zeros((200, 28, 28, 1), np.float32)
    images[:, 13:15, 13:15] = 255
    changes = draw_changes(200, seed=(1, 2))
    moved = augment(images, changes, RECIPES["edge"]).numpy()
    np.testing.assert_array_equal(moved, augment(images, draw_changes(200, seed=(1, 2)), RECIPES["edge"]))
    still = augment(images, changes, Recipe(rotation=0, scaling=0, shear=0, shift=0)).numpy()
    np.testing.assert_allclose(still, images, atol=1e-3)
    rows = (moved * np.arange(28)[:, None, None]).sum((1, 2, 3)) / moved.sum((1, 2, 3))
    limit = RECIPES["edge"].shift * 28
    assert np.abs(rows - 13.5).max() <= limit + 0.5
    assert np.abs(rows - 13.5).max() > limit / 2
    assert abs((rows - 13.5).mean()) < limit / 5


def test_a_plain_epoch_sees_the_images_as_they_are(tmp_path: Path) -> None:
    recipe = replace(RECIPES["edge-2k"], epochs=1)
    run = Run("edge-2k", load_dataset("mnist-5k"), recipe, seed=3)
    still = replace(recipe, plain_epochs=0, rotation=0, scaling=0, shear=0, shift=0, elastic=0)

    def build() -> keras.Model:
        return build_model("edge-2k", image_shape=(28, 28, 1), class_count=10)

    plain, unchanged, changed = (
        fit(replace(run, recipe=each), build, state=tmp_path / str(number))[0].get_weights()
        for number, each in enumerate((recipe, still, replace(recipe, plain_epochs=0)))
    )
    assert all(np.array_equal(left, right) for left, right in zip(plain, unchanged, strict=True))
    assert not all(np.array_equal(left, right) for left, right in zip(plain, changed, strict=True))


def test_elastic_distortion_moves_each_pixel_a_little_and_those_beside_it_almost_alike() -> None:
    images = np.zeros((200, 28, 28, 2), np.float32)
    # Values that tell where a pixel comes from, since between pixels they are linear.
    images[..., 0], images[..., 1] = np.meshgrid(np.arange(28), np.arange(28))
    still = Recipe(rotation=0, scaling=0, shear=0, shift=0)
    bent = augment(images, draw_changes(200, seed=(1, 2)), replace(still, elastic=0.05)).numpy()
    away = (bent - images)[:, 3:-3, 3:-3]  # where no black comes in from outside
    limit = 0.05 * 28
    assert limit / 2 < np.abs(away).max() < 1.25 * limit
    assert np.abs(away.mean(axis=(0, 1, 2))).max() < limit / 5
    assert np.abs(np.diff(away, axis=1)).max() < limit / 2
    assert np.abs(np.diff(away, axis=2)).max() < limit / 2
    # Each image, and each direction, in a way of its own.
    assert np.abs(np.corrcoef(away[..., 0].ravel(), away[..., 1].ravel())[0, 1]) < 0.1
    assert np.abs(away[0] - away[1]).max() > limit / 2
    np.testing.assert_array_equal(augment(images, draw_changes(200, seed=(1, 2)), still).numpy(), images)
