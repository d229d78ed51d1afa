"""Which images the quantizer sees, and which others prove the result; test images are never among them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError
from edgeport.train.dataset import Images
from edgeport.train.datasets import load_dataset
from edgeport.train.npz_file import read_arrays

_PROOF_COUNT = 1_000


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Representative inputs for quantization, and held-out ones to verify the artefacts on.

    Attributes:
        source: The data set or file that the images come from.
        seed: Decides which images are drawn.
        images: uint8 pixels of shape (n, height, width, channels), for the quantizer.
        held_out: uint8 pixels of the same axes that the quantizer does not see.
        input_range: The real values that the pixels 0 and 255 are to the model.
    """

    source: str
    seed: int
    images: Images
    held_out: Images
    input_range: tuple[float, float] = (0.0, 255.0)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What a manifest records: source, count, seed and the SHA-256 of the pixels."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data).hexdigest()
        return {"source": self.source, "count": len(self.images), "seed": self.seed, "sha256": digest}

    def to_real(self, images: Images) -> npt.NDArray[np.float32]:
        """Return pixels as the float32 values that the model takes."""
        low, high = self.input_range
        table = np.linspace(low, high, 256).astype(np.float32)
        return table[images]


def load_calibration(
    source: str,
    *,
    image_shape: tuple[int, int, int],
    count: int = 500,
    seed: int = 0,
    input_range: tuple[float, float] = (0.0, 255.0),
    data_dir: Path | None = None,
) -> CalibrationSet:
    """Draw calibration images from a data set's train split, and held-out ones from its validation split.

    Args:
        source: The name of a data set, or a .npz file with ``x_train`` (and ``x_val``), or with a single array
            of images.
        image_shape: (height, width, channels) that the model takes.
        count: How many images the quantizer sees, at least 10; all of them if there are fewer.
        seed: Decides which.
        input_range: The real values that the pixels 0 and 255 are to the model.
        data_dir: See load_dataset.

    Raises:
        InputError: The source is unknown, unreadable, of another shape or dtype, or offers test images alone.
    """
    if count < 10:
        raise InputError(f"calibration count: got {count}, expected 10 or more (a few hundred are usual)")
    if source.endswith(".npz"):
        train, held_out = _from_npz(Path(source), seed)
    else:
        dataset = load_dataset(source, data_dir=data_dir)
        train, held_out = dataset.train.images, dataset.validation.images
    for images in (train, held_out):
        _check(images, source, image_shape)
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(train))[:count]
    # Without a validation split, the images that the quantizer does not see prove the result.
    held_out = train[np.setdiff1d(np.arange(len(train)), chosen)] if held_out is train else held_out
    if not len(held_out):
        raise InputError(
            f"{source}: got {len(train)} images and --calibration-count {count}, which leaves none to verify the "
            "result on: add images, or lower the count"
        )
    held_out = held_out[random.permutation(len(held_out))[:_PROOF_COUNT]]
    return CalibrationSet(source, seed, train[chosen], held_out, input_range)


def _from_npz(path: Path, seed: int) -> tuple[Images, Images]:
    arrays = {name: _with_channel(array) for name, array in read_arrays(path).items()}
    if "x_train" in arrays:
        return arrays["x_train"], arrays.get("x_val", arrays["x_train"])
    images = _single_array(arrays, path)
    return images, images


def _single_array(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> npt.NDArray[Any]:
    candidates = [name for name, array in arrays.items() if array.ndim == 4]
    if len(candidates) != 1 or "test" in candidates[0]:
        raise InputError(
            f"{path}: got the arrays {', '.join(arrays) or 'none'}, expected x_train, or a single array of images "
            "that is not the test split"
        )
    return arrays[candidates[0]]


def _with_channel(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array[..., np.newaxis] if array.ndim == 3 else array


def _check(images: npt.NDArray[Any], source: str, image_shape: tuple[int, int, int]) -> None:
    if images.dtype != np.uint8 or images.shape[1:] != image_shape or len(images) < 10:
        raise InputError(
            f"calibration images of {source}: got {images.dtype} {images.shape}, expected at least 10 images of "
            f"uint8 pixels and shape (n, {', '.join(map(str, image_shape))}), as the model takes"
        )
