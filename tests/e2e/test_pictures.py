"""Pictures become what Keras' own loader makes of them."""

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from edgeport.runtime.images import read_images
from edgeport.runtime.resizing import Resizing

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
