"""What a training run leaves behind: history, best epoch, training.json, pictures."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeport.runtime import InputError
from edgeport.train import Split
from edgeport.train.figures import draw_confusion_matrix, draw_learning_curves, draw_predictions
from edgeport.train.loop.history import Epoch, ValidationScore, best_epoch, read_history, write_history
from edgeport.train.loop.recipe import Recipe
from edgeport.train.record import record_beside, record_text


def epoch(number: int, accuracy: float, loss: float = 1.0) -> Epoch:
    return Epoch(number, 0.5, 0.9, loss, accuracy, 1.0)


def test_the_last_epochs_of_a_recipe_change_no_image() -> None:
    recipe = Recipe(epochs=10, plain_epochs=3, elastic=0.05)
    assert [recipe.in_epoch(number) == recipe for number in range(1, 11)] == [True] * 7 + [False] * 3
    plain = recipe.in_epoch(8)
    assert (plain.rotation, plain.scaling, plain.shear, plain.shift, plain.elastic) == (0, 0, 0, 0, 0)
    assert plain.copies == 1, "a teacher need not answer the same images more than once"
    assert replace(plain, **recipe.augmentation, copies=recipe.copies) == recipe
    assert Recipe(epochs=2, plain_epochs=3).in_epoch(1).rotation == 0


def chosen(*accuracies: float, count: int = 5000) -> int:
    return best_epoch([epoch(number, each) for number, each in enumerate(accuracies, 1)], validation_count=count)


def test_the_best_epoch_is_the_last_that_the_validation_images_cannot_tell_from_the_most_accurate() -> None:
    assert chosen(0.990, 0.9958, 0.9952, 0.9955) == 4
    assert chosen(0.990, 0.9958, 0.9952, 0.9940) == 3
    assert chosen(0.990, 0.9958, 0.9952, 0.9940, count=500) == 4
    assert chosen(0.9, 0.95, 0.92) == 2
    assert chosen(1.0, 0.999) == 1


@pytest.mark.parametrize("seed", range(20))
def test_an_epoch_that_is_not_the_best_when_it_ends_never_becomes_it(seed: int) -> None:
    accuracies = np.random.default_rng(seed).uniform(0.97, 0.99, 30).tolist()
    kept = 0
    for count in range(1, 31):
        if chosen(*accuracies[:count]) == count:
            kept = count
        assert chosen(*accuracies[:count]) == kept


def test_a_history_comes_back(tmp_path: Path) -> None:
    history = [epoch(1, 0.9), epoch(2, 0.95)]
    write_history(tmp_path / "h.json", {"seed": 3}, history)
    assert read_history(tmp_path / "h.json") == ({"seed": 3}, history, None)
    write_history(tmp_path / "h.json", {"seed": 3}, history, ValidationScore(0.1, 0.94))
    assert read_history(tmp_path / "h.json") == ({"seed": 3}, history, ValidationScore(0.1, 0.94))


def test_a_trained_model_is_kept_unless_an_epoch_is_better() -> None:
    def kept(*accuracies: float, start: ValidationScore) -> int:
        history = [epoch(number, each) for number, each in enumerate(accuracies, 1)]
        return best_epoch(history, validation_count=500, start=start)

    assert kept(start=ValidationScore(0.1, 0.5)) == 0
    assert kept(0.90, 0.95, start=ValidationScore(0.2, 0.96)) == 0
    assert kept(0.90, 0.97, 0.955, start=ValidationScore(0.2, 0.96)) == 2, (
        "the last is within the error, and below the start"
    )
    assert kept(0.90, 0.97, 0.965, start=ValidationScore(0.2, 0.96)) == 3
    loss = epoch(1, 0.96).validation_loss
    assert kept(0.96, start=ValidationScore(loss + 0.01, 0.96)) == 1
    assert kept(0.96, start=ValidationScore(loss, 0.96)) == 0


def test_a_history_that_is_missing_or_damaged_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no interrupted run"):
        read_history(tmp_path / "h.json")
    (tmp_path / "h.json").write_text('{"run": ')
    with pytest.raises(InputError, match="start again with --overwrite"):
        read_history(tmp_path / "h.json")


def test_the_record_beside_a_model_is_read(tmp_path: Path) -> None:
    assert record_beside(tmp_path / "model.keras", sha256="s") is None
    dataset = {"name": "mnist", "sha256": "d", "labels": ["a", "b"]}
    text = record_text({"model": "edge", "model_sha256": "s", "dataset": dataset})
    assert json.loads(text)["versions"].keys() >= {"python", "tensorflow", "keras", "numpy", "edgeport"}
    (tmp_path / "training.json").write_text(text)
    assert record_beside(tmp_path / "other.keras", sha256="other") is None
    record = record_beside(tmp_path / "model.keras", sha256="s")
    assert record is not None
    assert (record.model, record.dataset, record.dataset_sha256, record.labels) == ("edge", "mnist", "d", ("a", "b"))
    for broken in ("{", "[]", '{"schema": 99}', '{"schema": 1}', '{"schema": 1, "model": "m", "dataset": 3}'):
        (tmp_path / "training.json").write_text(broken)
        with pytest.raises(InputError, match=r"training\.json"):
            record_beside(tmp_path / "model.keras", sha256="s")


def test_a_confusion_matrix_of_many_classes_stays_a_picture(tmp_path: Path) -> None:
    classes = np.arange(900) % 300
    draw_confusion_matrix(tmp_path / "c.png", classes, (classes + 1) % 300, tuple(map(str, range(300))))
    assert Image.open(tmp_path / "c.png").width < 2000


@pytest.mark.parametrize("mistakes", [0, 3, 30])
def test_the_pictures_are_drawn_for_any_number_of_mistakes(mistakes: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    split = Split(random.integers(0, 256, (40, 28, 28, 1), np.uint8), np.arange(40) % 4)
    predicted = np.where(np.arange(40) < mistakes, (split.classes + 1) % 4, split.classes)
    probabilities = np.eye(4, dtype=np.float32)[predicted]
    labels = ("zero", "$x_{$", "\\two", "three")
    draw_predictions(tmp_path / "p.png", split, probabilities, labels)
    draw_confusion_matrix(tmp_path / "c.png", split.classes, predicted, labels)
    draw_learning_curves(tmp_path / "l.png", [epoch(1, 0.9), epoch(2, 1.0)][: 1 + mistakes], best=1)
    draw_learning_curves(tmp_path / "kept.png", [epoch(1, 0.9)], best=0, start=ValidationScore(0.1, 0.95))
    for name in ("p.png", "c.png", "l.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / name).stat().st_size > 5_000
