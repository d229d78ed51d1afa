"""Image files become the pixels that the model learned from."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeport.runtime import InputError
from edgeport.runtime.images import read_images

GREY, RGB = (28, 28, 1), (32, 24, 3)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_an_image_of_the_models_size_is_taken_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    read = read_images([saved(Image.fromarray(pixels), tmp_path / "a.png")], shape=GREY)
    assert read.shape == (1, 28, 28, 1)
    np.testing.assert_array_equal(read[0, ..., 0], pixels)
    inverted = read_images([tmp_path / "a.png"], shape=GREY, invert=True)
    np.testing.assert_array_equal(inverted, 255 - read)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("shape", [GREY, RGB])
def test_any_mode_and_size_becomes_the_models(mode: str, shape: tuple[int, int, int], tmp_path: Path) -> None:
    image = Image.new("RGB", (100, 50), "white")
    image = Image.new(mode, (100, 50), 65535) if mode == "I;16" else image.convert(mode)
    suffix = "jpg" if mode == "CMYK" else "png"
    read = read_images([saved(image, tmp_path / f"a.{suffix}")], shape=shape)
    assert read.shape == (1, *shape)
    # Twice as wide as high: the bands above and below take the colour of its border.
    assert read.min() == 255
    assert read_images([tmp_path / f"a.{suffix}"], shape=shape, invert=True).max() == 0


def test_proportions_are_kept(tmp_path: Path) -> None:
    image = Image.new("L", (100, 50), 10)
    image.paste(250, (25, 0, 75, 50))
    read = read_images([saved(image, tmp_path / "a.png")], shape=GREY)[0, ..., 0]
    assert (read[0].max(), read[-1].max()) == (10, 10)
    assert (read > 128).sum(axis=1).max() == (read > 128).sum(axis=0).max() == 14


@pytest.mark.parametrize(("stroke", "ground"), [(255, 0), (0, 255)])
def test_strokes_on_transparent_stand_out(stroke: int, ground: int, tmp_path: Path) -> None:
    image = Image.new("RGBA", (28, 28), (0, 0, 0, 0))
    image.paste((stroke, stroke, stroke, 255), (10, 4, 14, 24))
    read = read_images([saved(image, tmp_path / "a.png")], shape=GREY)[0, ..., 0]
    assert (read[14, 12], read[14, 2]) == (stroke, ground)


def test_the_cameras_orientation_is_followed(tmp_path: Path) -> None:
    image = Image.new("L", (28, 28))
    image.paste(255, (0, 0, 28, 14))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    read = read_images([saved(image, tmp_path / "a.png", exif=exif)], shape=GREY)
    assert read[0, 0].max() == 0
    assert read[0, -1].min() == 255


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_image_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match="not an image"):
        read_images([tmp_path / "a.png"], shape=GREY)


def test_a_truncated_image_is_told(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8)
    whole = saved(Image.fromarray(noise), tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.png: not an image"):
        read_images([tmp_path / "a.png"], shape=GREY)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    pixels = np.linspace(0, 65535, 28 * 28).astype(np.uint16).reshape(28, 28)
    for number, image in enumerate((Image.fromarray(pixels), Image.fromarray(pixels.astype(np.int32)))):
        path = saved(image, tmp_path / f"{number}.tif")
        np.testing.assert_array_equal(read_images([path], shape=GREY)[0, ..., 0], pixels >> 8)


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.ones((28, 28), np.float32)), tmp_path / "a.tif")
    with pytest.raises(InputError, match="not an image that can be decoded"):
        read_images([path], shape=GREY)


def test_an_image_of_unreasonable_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(Image.new("L", (100, 100)), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8_000)
    with pytest.raises(InputError, match=r"a\.png"):
        read_images([path], shape=GREY)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_images([tmp_path / "a.png"], shape=GREY)
    with pytest.raises(InputError, match="directory"):
        read_images([tmp_path], shape=GREY)
