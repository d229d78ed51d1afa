"""Pictures become what Keras' own loader makes of them."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from edgeport.runtime.samples.pictures.images import read_images
from edgeport.runtime.samples.pictures.resizing import Resizing

SIZES = [(640, 480), (481, 640), (50, 37), (97, 400), (32, 24)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir()
        for number, size in enumerate(SIZES):
            small = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8))
            photo = small.resize(size, Image.Resampling.BICUBIC)
            photo.convert("RGB" if number else "L").save(folder / name / f"{number}.{'jpg' if number % 2 else 'png'}")
    return folder


@pytest.mark.parametrize("fit", ["stretch", "crop"])
@pytest.mark.parametrize("channels", [1, 3])
def test_bilinear_is_that_of_keras_rounded(photos: Path, fit: str, channels: int) -> None:
    batches = keras.utils.image_dataset_from_directory(
        photos,
        image_size=(32, 24),
        color_mode="rgb" if channels == 3 else "grayscale",
        crop_to_aspect_ratio=fit == "crop",
        shuffle=False,
        verbose=False,
    )
    expected = np.concatenate([images.numpy() for images, _ in batches])
    paths = sorted(path for path in photos.rglob("*.*"))
    read = read_images(paths, shape=(32, 24, channels), resizing=Resizing(fit, "bilinear"))
    lossless = np.array([path.suffix == ".png" for path in paths])
    differences = np.abs(read - expected)
    # Grey is mixed from red, green and blue, in whole numbers by Pillow.
    assert differences[lossless].max() <= (0.5 if channels == 3 else 1.5)
    # TensorFlow decodes JPEG with its faster transform, which is off by a few levels (dct_method="INTEGER_ACCURATE").
    assert differences[~lossless].max() <= 4
    assert differences[~lossless].mean() <= 1


def test_photos_are_answered_from_the_command_line_as_by_keras_own_loader(edgeport, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for name, level in (("dark", 60), ("light", 190)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(30):
            small = np.clip(random.normal(level, 60, (9, 9, 3)), 0, 255).astype(np.uint8)
            size = tuple(map(int, random.integers(40, 200, 2)))
            photo = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
            photo.save(tmp_path / "photos" / name / f"{number:02}.png")
    layers = keras.layers
    net = [layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu"), layers.Flatten()]
    model = keras.Sequential([keras.Input((24, 32, 3)), *net, layers.Dense(2, activation="softmax")], name="shades")
    model.save(tmp_path / "shades.keras")
    train = ("train", "--dataset", tmp_path / "photos", "--model", tmp_path / "shades.keras", "--epochs", 2)
    edgeport(*train, "-o", tmp_path / "train")
    edgeport("export", tmp_path / "train" / "model.keras", "-o", tmp_path / "out", "--precisions", "float32")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["inputs"][0]["resizing"] == {"fit": "stretch", "interpolation": "bilinear"}

    data = keras.utils.image_dataset_from_directory(
        tmp_path / "photos", image_size=(24, 32), shuffle=False, verbose=False
    )
    expected = keras.models.load_model(tmp_path / "train" / "model.keras", compile=False).predict(data, verbose=0)
    paths = sorted((tmp_path / "photos").rglob("*.png"))
    for suffix in ("tflite", "onnx"):
        printed = edgeport("predict", tmp_path / "out" / f"shades.float32.{suffix}", *paths, "--json").stdout
        answers = [next(iter(json.loads(line)["outputs"].values())) for line in printed.splitlines()]
        probabilities = np.array([[each["probabilities"][label] for label in ("dark", "light")] for each in answers])
        np.testing.assert_allclose(probabilities, expected, atol=0.01)
        assert (probabilities.argmax(1) == expected.argmax(1)).all()
    edgeport("benchmark", tmp_path / "out", "-o", tmp_path / "report", "--rounds", 2)
    conflict = edgeport(
        "export", tmp_path / "train" / "model.keras", "-o", tmp_path / "other", "--resize", "crop", code=2
    ).stderr
    assert "got crop and bilinear, expected stretch and bilinear, as the training.json beside" in conflict
