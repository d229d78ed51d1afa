"""What a model takes: pixels, real numbers or integers, found without a guess."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from edgeport.export import Manifest, Options, export, export_model, load_calibration, load_source
from edgeport.export.bundle.device import predict_camera, predict_folder
from edgeport.runtime import load
from edgeport.runtime.cli import main
from edgeport.runtime.errors import InputError
from edgeport.train.models.scaling import keras_scales_pixels, scales_pixels
from edgeport.train.record import record_text

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
        with pytest.raises(InputError, match=r"and no pixels.*--input pixels"):
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


def means_subtracted() -> keras.Model:
    """Return a model with the preprocessing of ResNet50 and VGG inside: blue first, less a mean for each channel."""
    inputs = keras.Input((12, 12, 3), name="x")
    return keras.Model(inputs, picture_net()(keras.applications.resnet50.preprocess_input(inputs)))


def multiplied_by_a_mask() -> keras.Model:
    inputs = keras.Input((12, 12, 3), name="x")
    mask = keras.ops.cast(inputs[..., :1] > 9, "float32")
    return keras.Model(inputs, layers.Flatten()(layers.Conv2D(2, 3)(inputs * mask)))


def without_weights() -> keras.Model:
    inputs = keras.Input((12, 12, 3), name="x")
    return keras.Model(inputs, keras.ops.argmax(inputs, axis=-1))


SCALED = {
    "means_subtracted": (means_subtracted(), True),
    "batch_normalisation_first": (picture_net(layers.BatchNormalization()), True),
    "rescaling_that_changes_nothing": (picture_net(layers.Rescaling(1.0)), False),
    "normalization_that_changes_nothing": (picture_net(layers.Normalization(mean=[0] * 3, variance=[1] * 3)), False),
    "multiplied_by_a_mask": (multiplied_by_a_mask(), False),
    "without_weights": (without_weights(), False),
    "pooling_alone": (keras.Sequential([keras.Input((12, 12, 3), name="x"), layers.MaxPooling2D()]), False),
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
        assert scales_pixels(source.graph.definition, source.inputs[0].name) is expected
    assert keras_scales_pixels(model) is expected


@pytest.mark.parametrize("name", [name for name, (_, scaled) in SCALED.items() if not scaled])
def test_pixels_that_nothing_scales_are_asked_for_before_any_work(name: str, tmp_path: Path) -> None:
    pixels = R.integers(0, 256, (60, 12, 12, 3)).astype(np.uint8)
    with pytest.raises(InputError, match=r"nothing that scales the pixels of x, .* --input pixels:-1:1 or pixels:0:1"):
        export_model(SCALED[name][0], tmp_path / "out", calibration=pixels)
    assert not (tmp_path / "out").exists()


def test_one_of_several_inputs_is_asked_for_by_its_name(tmp_path: Path) -> None:
    photo, facts = keras.Input((8, 8, 3), name="photo"), keras.Input((4,), name="facts")
    x = layers.Concatenate()([layers.Flatten()(layers.Conv2D(2, 3)(photo)), facts])
    model = keras.Model([photo, facts], layers.Dense(2)(x))
    samples = {
        "photo": R.integers(0, 256, (60, 8, 8, 3)).astype(np.uint8),
        "facts": R.normal(size=(60, 4)).astype(np.float32),
    }
    with pytest.raises(InputError, match="photo=pixels:-1:1 or photo=pixels:0:1"):
        export_model(model, tmp_path / "out", calibration=samples)
    options = Options(precisions=("float32", "int8"))
    inputs = ["photo=pixels:-1:1:bgr"]
    manifest = export_model(model, tmp_path / "out", calibration=samples, inputs=inputs, options=options)
    assert [(each.kind, each.range, each.channels) for each in manifest.inputs] == [
        ("pixels", (-1.0, 1.0), "bgr"), ("real", None, ""),
    ]  # fmt: skip
    assert len(manifest.artefacts) == 4, manifest.refused


def photos(folder: Path, shape: tuple[int, int, int], count: int) -> np.ndarray:
    """Write photos of the model's size, and return what is in them."""
    pixels = R.integers(0, 256, (count, *shape)).astype(np.uint8)
    folder.mkdir()
    for number, photo in enumerate(pixels):
        Image.fromarray(photo).save(folder / f"{number:03}.png")
    return pixels


def test_a_model_with_blue_first_answers_photos_as_in_keras(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = keras.Input((12, 12, 3), name="x")
    model = keras.Model(inputs, layers.Softmax()(layers.Rescaling(30)(picture_net()(inputs))))
    pixels = photos(tmp_path / "photos", (12, 12, 3), 120)
    expected = model.predict(pixels[..., ::-1].astype(np.float32) / 255, verbose=0)
    swapped = model.predict(pixels.astype(np.float32) / 255, verbose=0)
    assert np.abs(expected - swapped).max() > 0.2, "the order of the channels decides"
    manifest = export_model(
        model, tmp_path / "out", name="m", calibration=tmp_path / "photos", inputs="pixels:0:1:bgr",
        options=Options(precisions=("float32", "int8")),
    )  # fmt: skip
    assert len(manifest.artefacts) == 4, manifest.refused
    for artefact in manifest.artefacts:
        path = tmp_path / "out" / artefact.file
        error = 1e-4 if artefact.precision == "float32" else 0.1
        np.testing.assert_allclose(load(path).predict(pixels), expected, atol=error, err_msg=artefact.file)
    assert main(["predict", str(path), str(tmp_path / "photos" / "000.png"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    (facts,) = printed["outputs"].values()
    answers = [value for _, value in sorted(facts["probabilities"].items())]
    np.testing.assert_allclose(answers, load(path).predict(pixels[:1])[0], atol=1e-6)
    # The programs of a bundle swap them too, from a file and from a camera.
    place = int(np.abs(expected - swapped).max(axis=1).argmax())
    predict_folder.answer(load(path), tmp_path / "photos" / f"{place:03}.png", invert=False)
    predict_camera.answer(load(path), pixels[place], invert=False)
    lines = capsys.readouterr().out.splitlines()
    said = [float(re.search(r"([\d.]+) ?%", line)[1]) / 100 for line in lines]
    answer, other = (load(path).predict(each[place : place + 1]).max() for each in (pixels, pixels[..., ::-1]))
    np.testing.assert_allclose(said, [answer] * 2, atol=1e-3)
    assert abs(answer - other) > 0.05


def test_what_a_record_says_of_an_input_need_not_be_said_and_cannot_be_denied(tmp_path: Path) -> None:
    picture_net().save(tmp_path / "model.keras")
    labels = ["a", "b", "c"]
    record = {"model": "net", "dataset": {"name": "d", "sha256": "0", "labels": labels}, "input": "pixels:-1:1"}
    (tmp_path / "training.json").write_text(record_text(record))
    assert load_source(tmp_path / "model.keras").inputs[0].range == (-1.0, 1.0)
    assert load_source(tmp_path / "model.keras", inputs=["x=pixels:-1:1"]).inputs[0].range == (-1.0, 1.0)
    for said in ("pixels", "pixels:-1:1:bgr", "real"):
        with pytest.raises(InputError, match=r"expected pixels:-1:1, as the training\.json beside"):
            load_source(tmp_path / "model.keras", inputs=[said])
