"""From image files to the pixels that a model was trained on."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError

if TYPE_CHECKING:
    from PIL import Image


def read_images(paths: Sequence[Path], *, shape: tuple[int, int, int], invert: bool = False) -> npt.NDArray[np.uint8]:
    """Return image files as one array of pixels of the model's size.

    An image is turned as its EXIF orientation says, laid on black or white where it is transparent (whichever its
    visible part stands out from), made grey or RGB, inverted if asked for, and scaled to fit with its proportions
    kept; what remains of the frame takes the colour of the image's border.

    Args:
        paths: PNG, JPEG or any other file that Pillow opens.
        shape: (height, width, channels) of the model's input; channels is 1 or 3.
        invert: Swap black and white, for dark ink on light paper when the model learned light on dark.

    Returns:
        uint8 of shape (n, height, width, channels).

    Raises:
        InputError: A file is missing, unreadable or no image.
    """
    return np.stack([_read_image(path, shape, invert) for path in paths])


def _read_image(path: Path, shape: tuple[int, int, int], invert: bool) -> npt.NDArray[np.uint8]:
    # Pillow is needed for image files only: predicting from arrays must not pay for it.
    from PIL import Image, ImageOps

    height, width, channels = shape
    if channels not in (1, 3):
        raise InputError(f"image files cannot feed a model with {channels} channels, expected 1 or 3")
    mode = "L" if channels == 1 else "RGB"
    try:
        with _open_image(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode == "F":
                raise ValueError("floating-point pixels have no agreed range")
            if image.mode.startswith("I"):
                # Sixteen bits, which older versions of Pillow open as thirty-two.
                image = Image.fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8))
            if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
                image = _on_paper(image.convert("RGBA"))
            image = image.convert(mode)
    except FileNotFoundError as error:
        raise InputError(f"cannot read {path}: no such file") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        reason = getattr(error, "strerror", None) or "not an image that can be decoded"
        raise InputError(f"cannot read {path}: {reason}") from error
    if invert:
        image = ImageOps.invert(image)
    border = tuple(map(int, np.median(_border(np.asarray(image)), axis=0)))
    image = ImageOps.pad(image, (width, height), method=Image.Resampling.LANCZOS, color=border)
    return np.asarray(image, np.uint8).reshape(shape)


def _open_image(path: Path) -> "Image.Image":
    from PIL import Image

    if path.exists() and not path.is_file() and not path.is_dir():
        # A named pipe would make it wait for ever.
        raise ValueError("no plain file")
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(path)


def _on_paper(image: "Image.Image") -> "Image.Image":
    """Return an RGBA image on an opaque ground: black under light strokes, white under dark ones."""
    from PIL import Image

    light, alpha = np.asarray(image.convert("L"), float), np.asarray(image)[..., 3] / 255
    ground = "black" if (light * alpha).sum() > 127 * alpha.sum() else "white"
    return Image.alpha_composite(Image.new("RGBA", image.size, ground), image)


def _border(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the outermost pixels of an image, of shape (n, channels)."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
