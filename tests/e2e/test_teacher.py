"""A student learns from a teacher's answers, which are computed once and kept beside the teacher's file."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from edgeport.train import Recipe, load_dataset
from edgeport.train.loop.teacher import ANSWERS, softened, teacher_answers

pytestmark = pytest.mark.slow

STUDENT = ("train", "--dataset", "mnist-5k", "--model", "edge-2k", "--epochs", 3)


@pytest.fixture(scope="module")
def teacher(edgeport, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    edgeport("train", "--dataset", "mnist-5k", "--model", "classic", "--epochs", 2, "-o", folder)
    return folder / "model.keras"


@pytest.fixture(scope="module")
def student(edgeport, teacher: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("student")
    edgeport(*STUDENT, "--teacher", teacher, "-o", folder)
    return folder


def test_the_record_names_the_teacher_and_its_answers_are_kept(edgeport, teacher: Path, student: Path) -> None:
    record = json.loads((student / "training.json").read_text())
    assert record["teacher"]["file"] == "model.keras"
    assert len(record["teacher"]["sha256"]) == 64
    kept = sorted((teacher.parent / ANSWERS).iterdir())
    assert len(kept) == 2, "of a changed copy for the first epoch, and of the plain images for the two after it"
    for path in kept:
        answers = np.load(path)
        assert answers.shape == (4_000, 10)
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-4)


def test_kept_answers_are_used_again_and_give_the_same_weights(
    edgeport, teacher: Path, student: Path, tmp_path: Path
) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in (teacher.parent / ANSWERS).iterdir()}
    edgeport(*STUDENT, "--teacher", teacher, "-o", tmp_path / "again")
    assert {path.name: path.stat().st_mtime_ns for path in (teacher.parent / ANSWERS).iterdir()} == before
    first, second = (
        keras.models.load_model(folder / "model.keras", compile=False) for folder in (student, tmp_path / "again")
    )
    for left, right in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_answers_are_those_of_the_teacher_to_the_images_as_the_student_sees_them(teacher: Path) -> None:
    dataset = load_dataset("mnist-5k")
    still = Recipe(rotation=0, scaling=0, shear=0, shift=0)
    answers = teacher_answers(teacher, dataset, still, copy=0)
    model = keras.models.load_model(teacher, compile=False)
    np.testing.assert_allclose(
        answers, model.predict(dataset.train.samples.astype("float32"), verbose=0), atol=1e-4
    )  # fmt: skip
    moved = teacher_answers(teacher, dataset, Recipe(), copy=0)
    assert np.abs(moved - answers).max() > 0.1
    assert (moved.argmax(1) == dataset.train.classes).mean() > 0.5


def test_a_temperature_divides_the_logits() -> None:
    logits = np.array([[2.0, 0.0, -1.0], [0.0, 0.0, 8.0]])
    shares = [np.exp(logits / temperature) for temperature in (1, 2)]
    sharp, soft = (each / each.sum(axis=1, keepdims=True) for each in shares)
    np.testing.assert_allclose(softened(sharp.astype(np.float32), 2), soft, atol=1e-6)


def test_damaged_answers_and_teachers_that_do_not_fit_are_reported(edgeport, teacher: Path, tmp_path: Path) -> None:
    def refusal(path: Path, *options: object) -> str:
        ended = edgeport(*STUDENT, "--teacher", path, "-o", tmp_path / "x", *options, code=2)
        assert len(ended.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "x").exists()
        return ended.stderr

    assert "none.keras: No such file" in refusal(tmp_path / "none.keras")
    (tmp_path / "broken.keras").write_bytes(b"no model")
    assert "no Keras model" in refusal(tmp_path / "broken.keras")
    other = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    other.save(tmp_path / "other.keras")
    assert "(28, 28, 1)" in refusal(tmp_path / "other.keras")
    other = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    other.save(tmp_path / "other.keras")
    assert "to (3,), expected (28, 28, 1) to (10,)" in refusal(tmp_path / "other.keras")
    other = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    other.save(tmp_path / "other.keras")
    assert "ends in a softmax" in refusal(tmp_path / "other.keras")
    kept = next((teacher.parent / ANSWERS).iterdir())
    content = kept.read_bytes()
    for path in (teacher.parent / ANSWERS).iterdir():
        path.write_bytes(content[:1000])
    assert "remove it" in refusal(teacher)
