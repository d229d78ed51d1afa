"""From picture files to the pixels that a model was trained on; the one place where a picture is opened.

Files are taken to be made to do harm: Pillow may use the decoders of a few formats alone (others start programs, or
fail in ways of their own), what decoding takes is known before it begins, and whatever a decoder does with a damaged
file is one line.
"""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgeport.runtime.engines.signal_errors import raised_within
from edgeport.runtime.errors import EdgeportError, InputError
from edgeport.runtime.files.plain_file import MOST_PICTURE, open_plain
from edgeport.runtime.samples.pictures.resizing import Box, Resizing, bilinear, placed

if TYPE_CHECKING:
    from PIL import Image

# JPEG includes what phones call MPO: the first of its pictures.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff"})
# What decoding and scaling one picture may take. With Python and an engine that is below the MemoryMax=512M of the
# bundle's service: 50 megapixels with transparency take 200 MB in PNG, and 400 MB in TIFF.
MOST_BYTES = 400_000_000
_BYTES_A_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # all others: 4
# Beside the pixels themselves, libwebp keeps two canvases, and Pillow a copy; a strip of a TIFF may be all of it.
_COPIES = {"WEBP": 4, "TIFF": 2}
# The coefficients of a progressive JPEG, all of which it needs at a time: two bytes, for up to four components.
_COEFFICIENTS = 8
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
# How often larger than the model's input a picture stays until Lanczos scales it (Pillow's reducing_gap: from 3 on,
# the result is nearly that of one without any step before).
_GAP = 4
_PIXELS_AT_A_TIME = 1 << 20
_NO_LOG = logging.NullHandler()
# EXIF 2.3, tag Orientation, in Pillow's numbers of Image.Transpose.
_ORIENTATION = 0x0112
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
# Those that swap width and height.
_SIDEWAYS = {2, 4, 5, 6}
# Those that swap left and right, or top and bottom, of the picture as it is stored.
_FROM_THE_RIGHT, _FROM_BELOW = {0, 2, 3, 6}, {1, 3, 4, 6}
_Level = Callable[["Image.Image"], "Image.Image"]


def read_images(
    paths: Sequence[Path], *, shape: tuple[int, int, int], resizing: Resizing, invert: bool = False
) -> npt.NDArray[np.uint8]:
    """Return picture files as one array of pixels of the model's size.

    A picture is turned as its EXIF orientation says, laid on black or white where it is transparent (whichever its
    visible part stands out from), made grey or RGB, resized, and inverted if asked for.

    Args:
        paths: PNG, JPEG, WebP, BMP, the first frame of GIF, TIFF of up to 16 bits.
        shape: (height, width, channels) of the model's input; channels is 1 or 3.
        resizing: How; ``bilinear`` gives what ``keras.utils.image_dataset_from_directory`` reads, rounded to whole
            levels, of pictures without transparency and orientation.
        invert: Swap black and white, for dark ink on light paper when the model learned light on dark.

    Returns:
        uint8 of shape (n, height, width, channels).

    Raises:
        InputError: A file is missing, unreadable, no picture of these kinds, damaged, or takes over ``MOST_BYTES``.
    """
    pixels = np.empty((len(paths), *shape), np.uint8)
    for number, path in enumerate(paths):
        pixels[number] = _read_image(path, shape, resizing, invert)
    return pixels


def read_frame(
    frame: npt.NDArray[np.uint8], *, shape: tuple[int, int, int], resizing: Resizing, invert: bool = False
) -> npt.NDArray[np.uint8]:
    """Return what a camera sees as pixels of the model's size, as ``read_images`` does it with a file.

    Args:
        frame: uint8 of shape (rows, columns, 3), red first.
        shape: (height, width, channels) of the model's input; channels is 1 or 3.
        resizing: How; see ``read_images``.
        invert: Swap black and white.

    Returns:
        uint8 of shape (1, height, width, channels).

    Raises:
        InputError: The model has another number of channels.
    """
    from PIL import Image

    return _fitted(Image.fromarray(np.ascontiguousarray(frame)), shape, resizing, invert)[np.newaxis]


def picture_shape(path: Path) -> tuple[int, int, int]:
    """Return (height, width, channels) of a picture file, which is not decoded; 1 channel if it is grey.

    Raises:
        InputError: As ``read_images``.
    """
    with _opened(path) as image:
        grey = image.mode in ("1", "L", "LA") or image.mode.startswith("I")
        return image.height, image.width, 1 if grey else 3


def _read_image(path: Path, shape: tuple[int, int, int], resizing: Resizing, invert: bool) -> npt.NDArray[np.uint8]:
    height, width, channels = shape
    mode = _mode(channels)
    exact = resizing.interpolation == "bilinear"
    with _opened(path) as image:
        whole = image.width * image.height
        if not exact:
            # Of a JPEG, a half, a quarter or an eighth can be had without the rest.
            image.draft(None, (2 * _GAP * max(width, height),) * 2)
        # On its side or not is known when it is decoded.
        frames = (width, height), (height, width)
        factor = 1 if exact else min(_reduction(image.size, frame, resizing.fit) for frame in frames)
        _check_memory(path, image, 0 if exact else _BYTES_A_PIXEL.get(mode, 4), factor, whole)
        image.load()
        return _fitted(image, shape, resizing, invert)


def _mode(channels: int) -> str:
    if channels not in (1, 3):
        raise InputError(f"image files cannot feed a model with {channels} channels, expected 1 or 3")
    return "L" if channels == 1 else "RGB"


def _fitted(
    image: "Image.Image", shape: tuple[int, int, int], resizing: Resizing, invert: bool
) -> npt.NDArray[np.uint8]:
    """Return a decoded picture as pixels of the model's size; it may be damaged, so it is still an open one."""
    height, width, channels = shape
    mode = _mode(channels)
    exact = resizing.interpolation == "bilinear"
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    # Until it is turned, a picture on its side has the frame on its side.
    frame = (height, width) if turn in _SIDEWAYS else (width, height)
    box, size = placed(image.size, frame, resizing.fit)
    box = _mirrored(box, image.size, turn)
    ground = _ground(image)
    level = partial(_levelled, mode=mode, ground=ground)
    factor = 1 if exact else _reduction(image.size, frame, resizing.fit)
    resized = bilinear(image, box, size, level) if exact else _smooth(image, box, size, level, mode, factor)
    colour = _border_colour(image, level) if size != frame else 0
    if turn is not None:
        from PIL import Image

        resized = np.asarray(Image.fromarray(resized).transpose(turn))  # type: ignore[arg-type]
    turned = resized.reshape(*resized.shape[:2], channels)
    framed = np.empty((height, width, channels), np.uint8)
    framed[:] = colour
    top, left = round((height - turned.shape[0]) * 0.5), round((width - turned.shape[1]) * 0.5)
    framed[top : top + turned.shape[0], left : left + turned.shape[1]] = turned
    return 255 - framed if invert else framed


def _mirrored(box: Box, size: tuple[int, int], turn: int | None) -> Box:
    """Return the part of a picture that is the given one once it is turned: halves of a pixel count from upright."""
    (wide, high), (left, top, right, bottom) = size, box
    if turn in _FROM_THE_RIGHT:
        left, right = wide - right, wide - left
    if turn in _FROM_BELOW:
        top, bottom = high - bottom, high - top
    return left, top, right, bottom


@contextmanager
def _opened(path: Path) -> Iterator["Image.Image"]:
    """Yield a picture; whatever fails in the block because of what is in it is an InputError."""
    # Pillow is needed for picture files only: predicting from arrays must not pay for it.
    from PIL import Image, UnidentifiedImageError

    with open_plain(path, most=MOST_PICTURE, error=InputError) as file, warnings.catch_warnings():
        # What is odd about a file is of no use to anyone here: neither as a warning nor in a log.
        warnings.simplefilter("ignore")
        logging.getLogger("PIL").addHandler(_NO_LOG)
        try:
            with Image.open(file, formats=FORMATS) as image:
                _check_depth(path, image)
                yield image
        except (EdgeportError, MemoryError):
            raise
        except Image.DecompressionBombError as error:
            raise InputError(f"cannot read {path}: it has too many pixels ({error}): scale it down") from error
        except UnidentifiedImageError as error:
            raise InputError(
                f"cannot read {path}: not an image that can be decoded, expected {', '.join(FORMATS[:-1])} or TIFF"
            ) from error
        except Exception as error:  # damage leads decoders into any error there is
            if not raised_within(error, "PIL", "numpy", *sys.stdlib_module_names):
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"cannot read {path}: not an image that can be decoded ({reason})") from error


def _check_depth(path: Path, image: "Image.Image") -> None:
    """Raise InputError for pixels whose black and white nobody knows."""
    bits = getattr(image, "tag_v2", {}).get(258, (8,)) if image.format == "TIFF" else (8,)
    # Sixteen bits of a PNG are thirty-two to older versions of Pillow.
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG") or not set(bits) <= {1, 2, 4, 8, 16}:
        depth = f"{max(bits)} bits, or floating-point or signed pixels,"
        raise InputError(f"cannot read {path}: its {depth} have no agreed range: save it with 8 or 16 bits a channel")


def _check_memory(path: Path, image: "Image.Image", copied: int, factor: int, whole: int) -> None:
    """Raise InputError if a picture takes more memory to decode and resize than it may.

    Args:
        path: Its file.
        image: The picture, or the part of its resolution that will be decoded.
        copied: Bytes a pixel of the copies that resizing makes, ``factor`` times smaller; 0 if it makes none.
        factor: See there.
        whole: The pixels of all of it.
    """
    pixels = image.width * image.height
    decoded = _BYTES_A_PIXEL.get(image.mode, 4) * pixels
    decoding = _COPIES.get(image.format or "", 1) * decoded
    if image.info.get("progressive"):
        # They are those of the whole picture, not of the part that is wanted.
        decoding += _COEFFICIENTS * whole
    most = max(decoding, decoded + 2 * copied * pixels // factor**2)
    if most > MOST_BYTES:
        raise InputError(
            f"cannot read {path}: {image.width} x {image.height} pixels take {most:,} bytes to decode, expected up to "
            f"{MOST_BYTES:,}: scale it down"
        )


def _reduction(size: tuple[int, int], frame: tuple[int, int], fit: str) -> int:
    """Return how many times smaller a picture may be made by means, so that Lanczos has enough pixels on each side."""
    (wide, high), (width, height) = size, frame
    ratio = max(wide / width, high / height) if fit == "letterbox" else min(size) / max(frame)
    return max(1, int(ratio / _GAP))


def _bands(image: "Image.Image", step: int) -> Iterator["Image.Image"]:
    """Yield so many rows at a time: copies of all of a picture are what takes memory."""
    for top in range(0, image.height, step):
        yield image.crop((0, top, image.width, min(top + step, image.height)))


def _ground(image: "Image.Image") -> str:
    """Return what a transparent picture is laid on: black under light strokes, white under dark ones; else nothing."""
    if image.mode not in _WITH_ALPHA and ("transparency" not in image.info or image.mode.startswith("I")):
        return ""
    light = opaque = 0
    for part in _bands(image, max(1, _PIXELS_AT_A_TIME // image.width)):
        band = part.convert("RGBA")
        alpha = np.asarray(band)[..., 3].astype(np.uint32)
        light += int((np.asarray(band.convert("L")) * alpha).sum(dtype=np.uint64))
        opaque += int(alpha.sum(dtype=np.uint64))
    return "black" if light > 127 * opaque else "white"


def _levelled(band: "Image.Image", *, mode: str, ground: str) -> "Image.Image":
    """Return rows of a picture in grey or RGB of 8 bits, without transparency."""
    from PIL import Image

    if band.mode.startswith("I"):
        band = Image.fromarray((np.clip(np.asarray(band), 0, 65535) >> 8).astype(np.uint8))
    if ground:
        band = band.convert("RGBA")
        band = Image.alpha_composite(Image.new("RGBA", band.size, ground), band)
    return band.convert(mode)


def _smooth(
    image: "Image.Image", box: Box, size: tuple[int, int], level: _Level, mode: str, factor: int
) -> npt.NDArray[np.uint8]:
    """Return a part of a picture in another size, by means of ``factor`` x ``factor`` pixels and then Lanczos."""
    from PIL import Image

    step = max(1, _PIXELS_AT_A_TIME // image.width // factor) * factor
    flat = Image.new(mode, (-(-image.width // factor), -(-image.height // factor)))
    for number, part in enumerate(_bands(image, step)):
        band = level(part)
        flat.paste(band.reduce(factor) if factor > 1 else band, (0, number * step // factor))
    # A part of the last column or row may be none of the picture.
    left, top, right, bottom = (edge / factor for edge in box)
    return np.asarray(flat.resize(size, Image.Resampling.LANCZOS, box=(left, top, right, bottom)))


def _border_colour(image: "Image.Image", level: _Level) -> npt.NDArray[np.int64]:
    """Return the median of a picture's outermost pixels, channel by channel."""
    width, height = image.size
    edges = (0, 0, width, 1), (0, height - 1, width, height), (0, 0, 1, height), (width - 1, 0, width, height)
    pixels = [np.asarray(level(image.crop(edge))) for edge in edges]
    channels = pixels[0].shape[2:]
    colour = np.median(np.concatenate([each.reshape(-1, *channels) for each in pixels]), axis=0)
    return np.asarray(colour, np.int64)
