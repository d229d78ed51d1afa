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
        labels: The class names of the data set, or empty.
    """

    source: str
    seed: int
    images: Images
    held_out: Images
    input_range: tuple[float, float] = (0.0, 255.0)
    labels: tuple[str, ...] = ()

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
        source: Whatever ``load_dataset`` takes, or a .npz file with ``x_train`` (and ``x_val``), or with a single
            array of images.
        image_shape: (height, width, channels) that the model takes.
        count: How many images the quantizer sees, at least 10; fewer if there are fewer.
        seed: Decides which.
        input_range: The real values that the pixels 0 and 255 are to the model.
        data_dir: See load_dataset.

    Raises:
        InputError: The source is unknown, unreadable, of another shape or dtype, or offers test images alone.
    """
    if count < 10:
        raise InputError(f"calibration count: got {count}, expected 10 or more (a few hundred are usual)")
    if seed < 0:
        raise InputError(f"calibration seed: got {seed}, expected 0 or more")
    train, held_out, labels = _images_of(source, data_dir)
    _check(train, source, image_shape, least=10)
    random = np.random.default_rng(seed)
    order = random.permutation(len(train))
    if held_out is None:
        # Images that the quantizer does not see prove the result: a fifth of them at the least.
        count = min(count, len(train) * 4 // 5)
        held_out = train[order[count:]]
    _check(held_out, source, image_shape, least=1)
    held_out = held_out[random.permutation(len(held_out))[:_PROOF_COUNT]]
    chosen = train[order[:count]]
    if chosen.min() == chosen.max():
        raise InputError(f"calibration images of {source}: got {chosen.min()} in every pixel, expected real images")
    return CalibrationSet(source, seed, chosen, held_out, input_range, labels)


def _images_of(source: str, data_dir: Path | None) -> tuple[Images, Images | None, tuple[str, ...]]:
    """Return the images to draw from, others to verify on if the source has them, and its labels."""
    arrays = {}
    if source.endswith(".npz"):
        arrays = {name: _with_channel(array) for name, array in read_arrays(Path(source)).items()}
    if arrays and not {"x_train", "y_train", "x_test", "y_test"} <= arrays.keys():
        if "x_train" in arrays:
            return arrays["x_train"], arrays.get("x_val"), ()
        return _single_array(arrays, Path(source)), None, ()
    dataset = load_dataset(source, data_dir=data_dir)
    return dataset.train.images, dataset.validation.images, dataset.labels


def _single_array(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> npt.NDArray[Any]:
    candidates = [name for name, array in arrays.items() if array.ndim == 4]
    if len(candidates) != 1 or "test" in candidates[0].split("_"):
        raise InputError(
            f"{path}: got the arrays {', '.join(arrays) or 'none'}, expected x_train, or a single array of images "
            "that is not the test split"
        )
    return arrays[candidates[0]]


def _with_channel(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array[..., np.newaxis] if array.ndim == 3 else array


def _check(images: npt.NDArray[Any], source: str, image_shape: tuple[int, int, int], *, least: int) -> None:
    if images.dtype != np.uint8 or images.shape[1:] != image_shape or len(images) < least:
        raise InputError(
            f"calibration images of {source}: got {images.dtype} {images.shape}, expected {least} or more of "
            f"uint8 pixels and shape (n, {', '.join(map(str, image_shape))}), as the model takes"
        )
