"""Image files become the pixels that the model learned from."""

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from edgeport.runtime import InputError
from edgeport.runtime.samples.pictures import images
from edgeport.runtime.samples.pictures.images import FORMATS
from edgeport.runtime.samples.pictures.resizing import DIGITS, FITS, INTERPOLATIONS, Resizing

GREY, RGB = (28, 28, 1), (32, 24, 3)
read_images = partial(images.read_images, resizing=DIGITS)


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


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("shape", [GREY, RGB])
def test_a_cameras_picture_becomes_what_a_file_of_it_would(
    fit: str, interpolation: str, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    path, how = saved(Image.fromarray(frame), tmp_path / "a.png"), Resizing(fit, interpolation)
    for invert in (False, True):
        read = images.read_images([path], shape=shape, resizing=how, invert=invert)
        np.testing.assert_array_equal(images.read_frame(frame, shape=shape, resizing=how, invert=invert), read)


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
def test_what_is_no_image_is_reported(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match="not an image"):
        read_images([tmp_path / "a.png"], shape=GREY)


def test_a_truncated_image_is_reported(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8)
    whole = saved(Image.fromarray(noise), tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.png: not an image"):
        read_images([tmp_path / "a.png"], shape=GREY)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    pixels = np.linspace(0, 65535, 28 * 28).astype(np.uint16).reshape(28, 28)
    for suffix in ("tif", "png"):
        path = saved(Image.fromarray(pixels), tmp_path / f"a.{suffix}")
        np.testing.assert_array_equal(read_images([path], shape=GREY)[0, ..., 0], pixels >> 8)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_whose_black_and_white_nobody_knows_are_refused(dtype: type, tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.ones((28, 28), dtype)), tmp_path / "a.tif")
    with pytest.raises(InputError, match="8 or 16 bits"):
        read_images([path], shape=GREY)


def test_an_image_of_unreasonable_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(Image.new("L", (100, 100)), tmp_path / "a.png")
    monkeypatch.setattr(images, "MOST_BYTES", 29_999)
    with pytest.raises(InputError, match=r"100 x 100 pixels take 30,000 bytes to decode, expected up to 29,999"):
        read_images([path], shape=GREY)
    monkeypatch.setattr(images, "MOST_BYTES", 30_000)
    read_images([path], shape=GREY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4_000)
    with pytest.raises(InputError, match="too many pixels"):
        read_images([path], shape=GREY)


def test_a_missing_file_and_a_folder_are_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_images([tmp_path / "a.png"], shape=GREY)
    with pytest.raises(InputError, match="directory"):
        read_images([tmp_path], shape=GREY)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tif"])
def test_each_format_that_is_promised_is_read(suffix: str, tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (40, 30), "white"), tmp_path / f"a.{suffix}")
    assert read_images([path], shape=RGB).min() >= 250


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(50, 20), (500, 203), (301, 777)])
def test_a_picture_is_turned_and_framed_as_pillow_does(size: tuple[int, int], orientation: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(image, tmp_path / "a.png", exif=exif)
    with Image.open(path) as opened:
        turned = ImageOps.exif_transpose(opened)
    edges = np.asarray(turned)
    border = np.concatenate([edges[0], edges[-1], edges[:, 0], edges[:, -1]])
    colour = tuple(map(int, np.median(border, axis=0)))
    expected = np.asarray(ImageOps.pad(turned, (24, 32), method=Image.Resampling.LANCZOS, color=colour), int)
    read = read_images([path], shape=RGB)[0].astype(int)
    # A large one is made smaller by whole numbers first.
    assert np.abs(read - expected).max() <= (0 if max(size) < 8 * 32 else 4)


def test_a_picture_of_one_row_keeps_a_row(tmp_path: Path) -> None:
    path = saved(Image.new("L", (5000, 1), 200), tmp_path / "a.png")
    assert (read_images([path], shape=GREY) == 200).all()


def test_a_large_jpeg_is_decoded_in_part_and_looks_the_same(tmp_path: Path) -> None:
    image = Image.radial_gradient("L").resize((4000, 3000))
    large, small = saved(image, tmp_path / "a.jpg", quality=95), saved(image.reduce(5), tmp_path / "b.png")
    one, other = read_images([large, small], shape=GREY).astype(int)
    assert np.abs(one - other).max() <= 6


@pytest.mark.parametrize("content", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\nshowpage\n"])
@pytest.mark.parametrize("name", ["a.png", "a.eps"])
def test_no_picture_starts_a_program(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    fake = tmp_path / "gs"
    fake.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    fake.chmod(0o755)
    code = (
        "import sys\n"
        "def hook(event, arguments):\n"
        "    if event in ('subprocess.Popen', 'os.system', 'os.exec', 'os.posix_spawn', 'os.fork'): print(event)\n"
        "sys.addaudithook(hook)\n"
        "from pathlib import Path; from edgeport.runtime import InputError\n"
        "from edgeport.runtime.samples.pictures.images import read_images\n"
        "from edgeport.runtime.samples.pictures.resizing import DIGITS\n"
        "try: read_images([Path(sys.argv[1])], shape=(28, 28, 1), resizing=DIGITS)\n"
        "except InputError as error: print('refused:', error)\n"
    )
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    command = [sys.executable, "-c", code, str(tmp_path / name)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert printed.startswith("refused:")
    assert printed.count("\n") == 1
    assert not (tmp_path / "started").exists()


def test_pillow_may_use_no_other_decoder_whatever_a_file_is_called(tmp_path: Path) -> None:
    Image.init()
    tried = 0
    for name in sorted(set(Image.SAVE) - set(FORMATS) - {"MPO"}):
        path = tmp_path / "a.png"
        try:
            # Not under that name: SPIDER's writer takes the suffix for its own from then on.
            Image.new("L", (28, 28)).save(tmp_path / "a.other", format=name)
            (tmp_path / "a.other").replace(path)
        except Exception:  # it writes no grey pictures, or none here
            continue
        tried += 1
        with pytest.raises(InputError, match="not an image"):
            read_images([path], shape=GREY)
    assert tried > 10


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tif"])
def test_a_damaged_picture_is_read_or_told_in_one_line(suffix: str, tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    noise = Image.fromarray(random.integers(0, 256, (40, 30, 3), np.uint8))
    content = saved(noise, tmp_path / f"whole.{suffix}").read_bytes()
    path = tmp_path / f"a.{suffix}"
    for _ in range(150):
        damaged = bytearray(content)
        for place in random.integers(0, min(len(content), 400), random.integers(1, 8)):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged[: len(damaged) if random.random() < 0.7 else random.integers(0, len(damaged))])
        printed = ""
        try:
            assert read_images([path], shape=RGB).shape == (1, *RGB)
        except InputError as error:
            printed = str(error)
        assert not printed or printed.startswith(f"cannot read {path}: ")
        assert "\n" not in printed


def test_what_a_signal_handler_raises_comes_through(tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    def handler(number: int, frame: object) -> None:
        raise EnoughError

    path = saved(Image.effect_noise((1500, 1500), 50), tmp_path / "a.png")

    def read_for(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        while True:
            read_images([path], shape=GREY)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for seconds in (0.02, 0.03, 0.04):
            with pytest.raises(EnoughError):
                read_for(seconds)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 24, 3)])
def test_a_turned_picture_is_cropped_as_the_upright_one(
    orientation: int, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    """What is left over is odd: the half of a pixel counts from the upright left and top."""
    image, exif = Image.fromarray(np.random.default_rng(0).integers(0, 256, (61, 90, 3), np.uint8)), Image.Exif()
    exif[0x0112] = orientation
    path = saved(image, tmp_path / "a.png", exif=exif)
    with Image.open(path) as opened:
        upright = saved(ImageOps.exif_transpose(opened), tmp_path / "b.png")
    read = images.read_images([path, upright], shape=shape, resizing=Resizing("crop", "bilinear")).astype(int)
    # Rows before columns, or columns before rows: a half is rounded either way.
    assert np.abs(read[0] - read[1]).max() <= 1
