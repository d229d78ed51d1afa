"""How a picture of any size becomes one of the size that a model takes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[int, int, int, int]
FITS = ("stretch", "letterbox", "crop")
INTERPOLATIONS = ("bilinear", "lanczos")


class Resizing(NamedTuple):
    """How pictures are resized: in training, calibration, benchmark and on the device alike.

    Attributes:
        fit: ``stretch`` gives up the proportions, as ``keras.utils.image_dataset_from_directory`` does; ``letterbox``
            keeps them, in a frame of the colour of the picture's border; ``crop`` keeps them, and loses what juts out
            of the middle (Keras' ``crop_to_aspect_ratio``).
        interpolation: ``bilinear`` takes the four pixels around each place and no others (Keras' default);
            ``lanczos`` takes all that a place covers, so that nothing is missed or aliased.
    """

    fit: str = "stretch"
    interpolation: str = "bilinear"


KERAS_LOADER = Resizing()
# The strokes of a digit must neither vanish nor change their proportions.
DIGITS = Resizing("letterbox", "lanczos")


def recorded_resizing(value: Any) -> Resizing | None:
    """Return what a record says of resizing, None for null; raises TypeError or ValueError if it is damaged."""
    resizing = None if value is None else Resizing(**value)
    if resizing and (resizing.fit not in FITS or resizing.interpolation not in INTERPOLATIONS):
        raise ValueError(f"unknown way to resize pictures: {value}")
    return resizing


def placed(size: tuple[int, int], frame: tuple[int, int], fit: str) -> tuple[Box, tuple[int, int]]:
    """Return the part of a picture that is kept, (left, top, right, bottom), and how large it is in the frame.

    Args:
        size: Width and height of the picture.
        frame: Width and height that the model takes.
        fit: See ``Resizing``.
    """
    (wide, high), (width, height) = size, frame
    if fit == "crop":
        kept = min(wide, int(high * width / height)), min(high, int(wide * height / width))
        left, top = (int((whole - part) / 2) for whole, part in zip(size, kept, strict=True))
        return (left, top, left + max(1, kept[0]), top + max(1, kept[1])), frame
    if fit == "letterbox":
        if wide / high > width / height:
            frame = width, max(1, round(high / wide * width))
        else:
            frame = max(1, round(wide / high * height)), height
    return (0, 0, wide, high), frame


def bilinear(
    image: "Image.Image", box: Box, size: tuple[int, int], level: Callable[["Image.Image"], "Image.Image"]
) -> npt.NDArray[np.uint8]:
    """Return a part of a picture in another size, as ``tf.image.resize`` computes it, rounded to whole levels.

    It reads two rows at a time: copies of the whole picture would take the memory.

    Args:
        image: The picture, decoded.
        box: The part.
        size: Width and height of the result.
        level: Brings rows of the picture to their final mode, grey or RGB.

    Returns:
        uint8 of shape (height, width) or (height, width, 3).
    """
    left, top, right, bottom = box
    before, after, share = _neighbours(right - left, size[0])
    rows = []
    for upper, lower, weight in zip(*_neighbours(bottom - top, size[1]), strict=True):
        pair = np.asarray(level(image.crop((left, top + upper, right, top + lower + 1)))).astype(np.float32)
        shares = share.reshape(-1, *[1] * (pair.ndim - 2))
        first, second = (row[before] + (row[after] - row[before]) * shares for row in (pair[0], pair[-1]))
        rows.append(first + (second - first) * weight)
    resized: npt.NDArray[np.uint8] = np.rint(np.stack(rows)).astype(np.uint8)
    return resized


def _neighbours(
    length: int, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the pixels before and after each of ``count`` places over ``length`` pixels, and the share of the latter.

    A pixel is where its middle is; beyond the outermost there is no other (half-pixel centers of TensorFlow 2).
    """
    scale = np.float32(length / count)
    places = (np.arange(count, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    before = np.floor(places)
    share = (places - before).astype(np.float32)
    whole = before.astype(np.int64)
    return whole.clip(0, length - 1), (whole + 1).clip(0, length - 1), share
