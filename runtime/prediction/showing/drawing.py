"""Pictures of answers, as the bytes of PNG files."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgeport.runtime.tensors.arrays import Pixels

if TYPE_CHECKING:
    from PIL import Image

# Boxes are drawn on a picture whose shorter side has so many pixels at least.
_LEGIBLE = 320
_LARGEST_PALETTE = 256
# Of boxes, by the number of their class: seen on most pictures, and distinguished by most eyes (Okabe and Ito, 2008).
_OUTLINES = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))


def colours() -> npt.NDArray[np.uint8]:
    """Return 256 colours of shape (256, 3), those of PASCAL VOC: 0 is black, neighbours differ much.

    The bits of a number, three at a time from the lowest on, become those of red, green and blue from the highest on.
    """
    numbers = np.arange(_LARGEST_PALETTE)
    table = np.zeros((_LARGEST_PALETTE, 3), np.uint8)
    for place in range(8):
        for channel in range(3):
            bit = (numbers >> (3 * place + channel)) & 1
            table[:, channel] |= (bit << (7 - place)).astype(np.uint8)
    return table


def colour_of(number: int) -> str:
    """Return the colour of a class in a picture, such as ``#800000``; of numbers beyond the palette nothing."""
    if not 0 <= number < _LARGEST_PALETTE:
        return ""
    red, green, blue = colours()[number].tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"


def class_picture(numbers: npt.NDArray[np.int64]) -> bytes:
    """Return a PNG whose pixel values are the numbers of the classes, in the colours of ``colours``.

    Numbers beyond 255 give 16 bits of grey instead.

    Args:
        numbers: Of shape (height, width).
    """
    from PIL import Image

    if numbers.min() < 0 or numbers.max() >= _LARGEST_PALETTE:
        return _png(Image.fromarray(np.clip(numbers, 0, 65_535).astype(np.uint16)))
    picture = Image.fromarray(numbers.astype(np.uint8))
    picture.putpalette(colours().tobytes())
    return _png(picture)


def grey_picture(values: npt.NDArray[np.float64]) -> bytes:
    """Return a PNG in grey, from the least value (black) to the largest (white).

    Args:
        values: Of shape (height, width).
    """
    from PIL import Image

    spread = float(np.ptp(values)) or 1.0
    return _png(Image.fromarray(np.rint((values - values.min()) / spread * 255).astype(np.uint8)))


def box_picture(
    pixels: Pixels, corners: npt.NDArray[np.float64], texts: Sequence[str], numbers: Sequence[int]
) -> bytes:
    """Return a PNG of a picture with boxes drawn.

    Args:
        pixels: Of shape (height, width, 1 or 3).
        corners: Of each box ymin, xmin, ymax and xmax in these pixels, of shape (count, 4).
        texts: What stands beside each.
        numbers: Decides the colour of each.
    """
    from PIL import Image, ImageDraw

    grey = pixels.shape[2] == 1
    picture = Image.fromarray(pixels[..., 0] if grey else np.ascontiguousarray(pixels)).convert("RGB")
    times = max(1, -(-_LEGIBLE // min(picture.size)))
    picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    for (top, left, bottom, right), text, number in zip(corners * times, texts, numbers, strict=True):
        red, green, blue = _OUTLINES[number % len(_OUTLINES)]
        left, right = sorted((left, right))
        top, bottom = sorted((top, bottom))
        draw.rectangle((left, top, right, bottom), outline=(red, green, blue), width=2)
        # Its own font knows Latin-1 alone.
        known = text.encode("latin-1", "replace").decode("latin-1")
        inside = draw.textbbox((left + 2, max(top - 12, 0)), known)
        draw.rectangle(inside, fill=(red, green, blue))
        light = 0.299 * red + 0.587 * green + 0.114 * blue > 140
        draw.text(inside[:2], known, fill=(0, 0, 0) if light else (255, 255, 255))
    return _png(picture)


def _png(picture: "Image.Image") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
