"""Mistakes in calibration samples, as the samples alone and moments show them, without TensorFlow."""

from pathlib import Path

import numpy as np
import pytest

from edgeport.benchmarks.lab.studies.calibration_mistakes import RESULT
from edgeport.export.verification.advice.guesses import guesses
from edgeport.export.verification.advice.moments import Moments, Sums, unlikeness
from edgeport.export.verification.advice.samples import is_noise, mistakes_in
from edgeport.runtime.artefact.contract import Input

RESULTS = Path(__file__).parents[2] / "docs" / "results"
PHOTO = Input("photo", (None, 16, 16, 3), "float32", layout="NHWC", range=(0.0, 255.0), kind="pixels")
TABLE = Input("table", (None, 4), "float32", kind="real")
SIGNAL = Input("signal", (None, 64, 1), "float32", kind="real")
IDS = Input("words", (None, 40), "int32", kind="ids")


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def photos(count: int = 60) -> np.ndarray:
    """Return gradients at random, with a little noise: neighbours are alike."""
    corners = random().uniform(0, 255, (count, 2, 2, 3))
    x = np.linspace(0, 1, 16)[:, np.newaxis, np.newaxis]
    rows = corners[:, np.newaxis, 0] * (1 - x) + corners[:, np.newaxis, 1] * x
    y = np.linspace(0, 1, 16)[:, np.newaxis]
    smooth = rows[:, :, np.newaxis, 0] * (1 - y) + rows[:, :, np.newaxis, 1] * y
    return (smooth + random().normal(0, 3, smooth.shape)).clip(0, 255).astype(np.uint8)


def kinds(port: Input, samples: np.ndarray) -> list[str]:
    return [mistake.kind for mistake in mistakes_in(port, samples)]


def test_sound_samples_are_left_in_peace() -> None:
    assert kinds(PHOTO, photos()) == []
    assert kinds(TABLE, random().normal(size=(100, 4)).astype(np.float32)) == []
    # Few kinds of rows are no repetition where the columns leave room for no more.
    assert kinds(TABLE, random().integers(0, 2, (400, 4)).astype(np.float32)) == []
    assert kinds(SIGNAL, random().normal(size=(50, 64, 1)).astype(np.float32)) == []
    words = random().integers(1, 500, (50, 40)).astype(np.int32)
    words[:, 15:] = 0
    assert kinds(IDS, words) == []
    assert kinds(PHOTO, np.zeros((5, 16, 16, 3), np.uint8)) == []  # too few to say


@pytest.mark.parametrize(
    ("kind", "samples"),
    [
        ("repeated samples", np.tile(photos(6), (10, 1, 1, 1))),
        ("padding", np.concatenate([photos(30), np.zeros((20, 16, 16, 3), np.uint8)])),
        ("padding", np.concatenate([photos()[:, :2], np.full((60, 14, 16, 3), 114, np.uint8)], axis=1)),
        ("contrast", photos() // 16 + 20),
        ("contrast", (photos() > 128).astype(np.uint8)),
        ("noise", random().integers(0, 256, (60, 16, 16, 3), np.uint8)),
    ],
)
def test_a_mistake_in_the_samples_is_named(kind: str, samples: np.ndarray) -> None:
    assert kind in kinds(PHOTO, samples)


def test_noise_on_what_all_samples_share_is_noise() -> None:
    assert is_noise(photos(1).astype(float) + random().normal(0, 9, (40, 16, 16, 3)))
    assert not is_noise(photos().astype(float))
    assert not is_noise(random().normal(size=(40, 4)))  # a table has no neighbours


def test_moments_do_not_depend_on_how_values_come() -> None:
    values = random().normal([1, -5, 100], [1, 2, 0], (400, 8, 3))
    sums = Sums(3)
    for part in np.array_split(values, 7):
        sums.add(part)
    assert np.allclose(sums.moments.mean, values.mean(axis=(0, 1)))
    assert np.allclose(sums.moments.variance, values.var(axis=(0, 1)), atol=1e-9)


def test_unlikeness_is_the_divergence_of_normal_distributions() -> None:
    expected = Moments(np.array([0.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0]))
    found = Moments(np.array([0.0, 1.0, 0.0]), np.array([1.0, 1.0, 4.0]))
    alike, moved, wider = unlikeness(found, expected)
    assert alike == pytest.approx(0, abs=1e-6)
    assert moved == pytest.approx(0.5, rel=2e-3)
    assert wider == pytest.approx((4 - 1 - np.log(4)) / 2, rel=5e-3)
    # A channel that never varied, in training and now, is as it was.
    still = Moments(np.array([3.0, 0.0]), np.array([0.0, 1.0]))
    assert unlikeness(still, still).max() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda x: x / 255, "scaling"),
        (lambda x: x * 255, "scaling"),
        (lambda x: x / 127.5 - 1, "scaling"),
        (lambda x: (x + 1) * 127.5, "scaling"),
        (lambda x: x[..., ::-1], "channels"),
    ],
)
def test_each_mistake_can_be_undone(made: object, kind: str) -> None:
    samples = photos().astype(np.float32)
    wrong = made(samples)
    fitting = [each for each in guesses(PHOTO, wrong) if np.allclose(each.undone(wrong), samples, atol=1e-3)]
    assert fitting
    assert fitting[0].kind == kind


def test_a_level_is_undone_too() -> None:
    samples = random().normal(size=(40, 64, 1)).astype(np.float32)
    for wrong in (samples * np.float32(10**-1.5), samples - np.float32(4.5)):
        best = min(guesses(SIGNAL, wrong), key=lambda each: float(np.abs(each.undone(wrong) - samples).max()))
        assert best.kind == "level"
        assert np.allclose(best.undone(wrong), samples, atol=1e-4)


def test_samples_far_beyond_all_others_are_named() -> None:
    samples = random().normal(size=(200, 64, 1)).astype(np.float32)
    assert "outliers" not in [each.kind for each in mistakes_in(SIGNAL, samples)]
    samples[[3, 150]] *= 20
    (found,) = (each for each in mistakes_in(SIGNAL, samples) if each.kind == "outliers")
    assert found.text.startswith("2 of the 200 samples of ")
    samples[160:180] *= 20
    assert "outliers" not in [each.kind for each in mistakes_in(SIGNAL, samples)], "so many are no outliers"


def test_the_study_names_every_mistake_and_nothing_in_sound_samples() -> None:
    rows = [row for row in RESULT.read(RESULTS / "calibration-mistakes.json").rows if not row.held_out]
    sound = [row for row in rows if not row.expected]
    assert len(sound) >= 10
    assert [row for row in sound if row.named] == []
    planted = {row.planted for row in rows if row.expected}
    assert len(planted) >= 10
    assert [row for row in rows if not row.is_right] == []


def test_what_is_named_on_models_that_nothing_was_set_on_is_said() -> None:
    rows = [row for row in RESULT.read(RESULTS / "calibration-mistakes.json").rows if row.held_out]
    planted, sound = [row for row in rows if row.expected], [row for row in rows if not row.expected]
    assert len(sound) >= 10
    assert len({row.planted for row in planted}) >= 10
    named, silent = sum(row.is_right for row in planted), sum(row.is_right for row in sound)
    said = " ".join((RESULTS.parent / "guides" / "calibration.md").read_text("utf-8").split())
    assert f"{named} of {len(planted)} mistakes named" in said
    assert f"nothing named in sound samples of {silent} of {len(sound)} models" in said
