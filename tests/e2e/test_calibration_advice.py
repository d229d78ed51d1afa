"""Mistakes in calibration samples that the normalisation layers of a model give away."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edgeport.export import Options, export, load_calibration, load_source
from edgeport.export.verification.advice.advising import mistakes_of
from edgeport.export.verification.reference import Reference

R = np.random.default_rng(0)
# Red is bright and varies, blue is dark: no order of channels is like another. Neighbours are alike.
PHOTOS = (
    (np.array([0.8, 0.5, 0.2]) + np.array([0.15, 0.1, 0.05]) * R.normal(size=(200, 1, 1, 3)) + 0.02 * np.sin(
        np.linspace(0, 3, 12)[:, np.newaxis, np.newaxis] * R.uniform(1, 3, (200, 1, 1, 1))
    )).clip(0, 1) * np.ones((1, 12, 12, 1))
).astype(np.float32)  # fmt: skip


def trained(samples: np.ndarray, *, share: float = 1.0) -> keras.Model:
    """Return a model whose normalisation has kept what came to it, or a mixture with what it began with."""
    keras.utils.set_random_seed(0)
    start = keras.Input(samples.shape[1:], name="x")
    inner = layers.Conv2D(8, 3)(start)
    normalised = layers.BatchNormalization(name="norm")(inner)
    pooled = layers.GlobalAveragePooling2D()(layers.ReLU()(normalised))
    model = keras.Model(start, layers.Dense(3, name="y")(pooled))
    came = np.asarray(keras.Model(start, inner)(samples))
    norm = model.get_layer("norm")
    norm.moving_mean.assign(share * came.mean(axis=(0, 1, 2)))
    norm.moving_variance.assign(share * came.var(axis=(0, 1, 2)) + 1 - share)
    return model


def named(model: keras.Model, samples: np.ndarray, **options: object) -> list[str]:
    source = load_source(model, name="model", inputs=["x=real"])
    calibration = load_calibration(samples, inputs=source.inputs)
    found = mistakes_of(source, calibration, Reference(source, calibration).decisions, **options)
    return [mistake.kind for mistake in found]


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ([], PHOTOS),
        (["channels"], PHOTOS[..., ::-1].copy()),
        (["scaling"], PHOTOS * 255),
        (["scaling"], PHOTOS / 255),
        (["scaling"], PHOTOS * 2 - 1),
        (["noise"], R.normal(size=PHOTOS.shape).astype(np.float32)),
    ],
)
def test_a_normalisation_layer_gives_a_mistake_away(kind: list[str], wrong: np.ndarray) -> None:
    assert named(trained(PHOTOS), wrong) == kind


def test_a_layer_that_was_hardly_trained_gives_nothing_away() -> None:
    assert named(trained(PHOTOS, share=0.4), PHOTOS) == []
    assert named(trained(PHOTOS, share=0.0), PHOTOS * 255) == []


def test_a_column_in_other_units_is_named(tmp_path: Path) -> None:
    rows = (R.normal(size=(300, 5)) * [1, 20, 300, 4, 5] + [0, 50, 1000, 0, 9]).astype(np.float32)
    scaling = layers.Normalization()
    scaling.adapt(rows)
    model = keras.Model(start := keras.Input((5,), name="x"), layers.Dense(2, name="y")(scaling(start)))
    wrong = rows.copy()
    wrong[:, 2] *= 1000
    assert named(model, rows) == []
    source = load_source(model, name="model")
    calibration = load_calibration(wrong, inputs=source.inputs)
    options = Options(formats=("tflite",), precisions=("int8",))
    (warning,) = export(source, tmp_path / "out", calibration, options=options).warnings
    assert "column 2 of x is unlike the training data, where it was " in warning


def test_other_data_give_mistakes_away_where_no_layer_does() -> None:
    start = keras.Input((12, 12, 3), name="x")
    model = keras.Model(start, layers.Dense(2, name="y")(layers.GlobalAveragePooling2D()(start)))
    assert named(model, PHOTOS * 255) == []
    assert named(model, PHOTOS * 255, other={"x": PHOTOS}) == ["scaling"]
    assert named(model, PHOTOS[:100], other={"x": PHOTOS[100:]}) == []
