"""What a model takes: pixels, real numbers or integers, found without a guess."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edgeport.export import Manifest, Options, export, load_calibration, load_source
from edgeport.export.graphs.scaling import scales_pixels
from edgeport.runtime import load
from edgeport.runtime.errors import InputError

R = np.random.default_rng(0)


def exported(model: keras.Model, folder: Path, samples: dict[str, np.ndarray], **options: object) -> Manifest:
    np.savez(folder / "samples.npz", **samples)
    source = load_source(model, name="model")
    calibration = load_calibration(str(folder / "samples.npz"), inputs=source.inputs)
    return export(source, folder / "out", calibration, options=Options(**options))


def picture_net(*first: layers.Layer, channels: int = 3) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((12, 12, channels), name="x")
    x = inputs
    for layer in (*first, layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(3)):
        x = layer(x)
    return keras.Model(inputs, x)


def test_floats_of_the_shape_of_an_image_are_taken_as_they_are(tmp_path: Path) -> None:
    model = picture_net(channels=1)
    decibels = R.uniform(-80, 0, (200, 12, 12, 1)).astype(np.float32)
    manifest = exported(model, tmp_path, {"x": decibels})
    assert len(manifest.artefacts) == 9
    assert manifest.image is None
    for artefact in manifest.artefacts:
        predictor = load(tmp_path / "out" / artefact.file)
        (answer,) = predictor.answer({"x": decibels[:5]}).values()
        expected = model.predict(decibels[:5], verbose=0)
        assert np.abs(answer - expected).max() <= 0.05 * np.ptp(expected)
        with pytest.raises(InputError, match=r"and no pixels.*--input-range"):
            predictor.predict(np.zeros((1, 12, 12, 1), np.uint8))


def test_pixels_and_real_numbers_stand_beside_each_other(tmp_path: Path) -> None:
    colour, depth = keras.Input((8, 8, 3), name="colour"), keras.Input((8, 8, 1), name="depth")
    x = layers.Concatenate()([layers.Rescaling(1 / 255)(colour), depth])
    model = keras.Model([colour, depth], layers.Dense(2)(layers.Flatten()(x)))
    pixels = R.integers(0, 256, (100, 8, 8, 3)).astype(np.uint8)
    manifest = exported(model, tmp_path, {"colour": pixels, "depth": R.normal(size=(100, 8, 8, 1)).astype(np.float32)})
    assert len(manifest.artefacts) == 9
    assert {each.name: each.range for each in manifest.inputs} == {"colour": (0.0, 255.0), "depth": None}


def test_tokens_that_a_model_takes_as_floats_are_integers(tmp_path: Path) -> None:
    tokens = R.integers(0, 300, (200, 9)).astype(np.int32)
    model = keras.Sequential(
        [layers.Embedding(300, 8, embeddings_initializer="normal"), layers.Flatten(), layers.Dense(4)]
    )
    model.predict(tokens, verbose=0)
    (name,) = (port.name for port in load_source(model).inputs)
    precisions = ("float32", "float16", "dynamic", "int8")
    manifest = exported(model, tmp_path, {name: tokens}, precisions=precisions)
    assert len(manifest.artefacts) == 8
    for artefact in manifest.artefacts:
        assert artefact.inputs[0].dtype == "int32"
        (answer,) = load(tmp_path / "out" / artefact.file).answer({name: tokens[:20]}).values()
        expected = model.predict(tokens[:20], verbose=0)
        assert np.abs(answer - expected).max() <= (1e-5 if artefact.precision == "float32" else 0.1) * np.ptp(expected)


def test_a_float_that_is_also_used_as_one_stays_one() -> None:
    inputs = keras.Input((4,), name="x")
    both = layers.Concatenate()([layers.Flatten()(layers.Embedding(9, 2)(inputs)), inputs])
    assert load_source(keras.Model(inputs, layers.Dense(2)(both))).inputs[0].dtype == "float32"


def nested(*inside: layers.Layer) -> keras.Model:
    base = picture_net(*inside)
    inputs = keras.Input((12, 12, 3), name="x")
    return keras.Model(inputs, layers.Softmax()(base(inputs)))


SCALED = {
    "rescaling": (picture_net(layers.Rescaling(1 / 255)), True),
    "normalization": (picture_net(layers.Normalization(mean=[1, 2, 3], variance=[1, 1, 1])), True),
    "padded_and_cropped": (picture_net(layers.ZeroPadding2D(), layers.CenterCrop(8, 8), layers.Rescaling(0.1)), True),
    "nothing": (picture_net(), False),
    "normalised_after_weights": (picture_net(layers.Conv2D(3, 1, use_bias=False), layers.BatchNormalization()), False),
    "nested": (nested(), False),
    "nested_rescaling": (nested(layers.Rescaling(1 / 127.5, offset=-1)), True),
}


@pytest.mark.parametrize("name", SCALED)
def test_whether_pixels_are_scaled_is_found_in_the_graph(name: str, tmp_path: Path) -> None:
    model, expected = SCALED[name]
    model.export(tmp_path / "saved", verbose=False)
    for source in (load_source(model), load_source(tmp_path / "saved")):
        assert scales_pixels(source.graph, source.inputs[0]) is expected
