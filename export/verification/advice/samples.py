"""What samples show by themselves: repeated, empty, padded, with outliers, without contrast, or noise."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.export.verification.advice.mistake import Mistake
from edgeport.runtime.artefact.contract import Input

Array = npt.NDArray[Any]
# From so many samples on shares mean something.
_ENOUGH = 20
_REPEATED, _EMPTY, _PADDED = 0.25, 0.2, 0.75
# Of 256 steps.
_CONTRAST = 48
_NOISE = 0.1
# So few samples, as a share of all, that reach so many times as far as the others, decide the range alone.
_FEW, _FAR = 0.05, 5.0


def mistakes_in(port: Input, samples: Array) -> Iterator[Mistake]:
    """Yield what is wrong with the samples of an input, whatever the model.

    Args:
        port: The input.
        samples: As they are given: uint8 pixels, real values or integers, of shape (n, ...).
    """
    count = len(samples)
    if count < _ENOUGH:
        return
    different = len(np.unique(samples.reshape(count, -1), axis=0))
    if different <= _REPEATED * count and _could_differ(samples):
        yield Mistake(
            "repeated samples",
            f"only {different} of the {count} samples of {port.name} differ",
            "give others, each once",
        )
    flat = samples.reshape(count, -1)
    empty = int((flat.max(axis=1) == flat.min(axis=1)).sum()) if flat.shape[1] > 1 else 0
    if empty > _EMPTY * count:
        yield Mistake(
            "padding",
            f"{empty} of the {count} samples of {port.name} hold one value alone",
            "leave empty ones out",
        )
    elif (padded := _padded(samples)) > _PADDED:
        yield Mistake(
            "padding",
            f"{padded:.0%} of a usual sample of {port.name} is padding: one value up to its end",
            "take samples as full as those that the model will see",
        )
    if (far := _outliers(flat))[0]:
        yield Mistake(
            "outliers",
            f"{far[0]} of the {count} samples of {port.name} reach {far[1]:.3g}, the others up to {far[2]:.3g}",
            "leave them out if they are errors of measurement; else choose ranges with --calibration-method auto",
        )
    if port.kind == "pixels" and samples.dtype == np.uint8 and empty < count:
        low, high = (int(each) for each in np.percentile(samples, [0.1, 99.9]))
        if high - low < _CONTRAST:
            yield Mistake(
                "contrast",
                f"the pixels of {port.name} lie between {low} and {high} of 0 to 255",
                "give pictures as they are, not scaled by 255 before, nor all dark",
            )
    # A spectrum of noise is no mistake.
    if port.is_image and (port.kind == "pixels" or samples.shape[-1] == 3) and is_noise(samples):
        yield Mistake(
            "noise",
            f"neighbouring pixels of {port.name} have nothing in common, as in random numbers",
            "give real pictures",
        )


def _outliers(flat: Array) -> tuple[int, float, float]:
    """Return how many samples reach far beyond the others, how far, and how far the others reach."""
    if flat.dtype.kind != "f" or not flat.shape[1]:
        return 0, 0.0, 0.0
    sizes = np.abs(flat).max(axis=1)
    usual = float(np.quantile(sizes, 1 - _FEW))
    far = sizes > _FAR * usual
    return (int(far.sum()), float(sizes.max()), float(sizes[~far].max())) if usual else (0, 0.0, 0.0)


def is_noise(samples: Array) -> bool:
    """Whether places side by side have nothing to do with each other, along every axis but the last."""
    axes = [axis for axis in range(1, samples.ndim - 1) if samples.shape[axis] > 3]
    if not axes:
        return False
    values = samples[: _ENOUGH * 4].astype(np.float64)
    # What all samples share at a place is no likeness of neighbours.
    values = values - values.mean(axis=0, keepdims=True)
    spread = float(np.square(values).mean())
    if not spread:
        return False

    def alike(axis: int) -> float:
        length = values.shape[axis]
        first, second = (np.take(values, range(start, length - 1 + start), axis) for start in (0, 1))
        return abs(float((first * second).mean())) / spread

    return max(map(alike, axes)) < _NOISE


def _could_differ(samples: Array) -> bool:
    """Whether the values of the places leave room for more different samples than there are."""
    flat = samples.reshape(len(samples), -1)
    kinds = [len(np.unique(column)) for column in flat.T[:64]]
    return bool(np.log2(np.maximum(kinds, 1)).sum() > np.log2(len(samples)) + 1)


def _padded(samples: Array) -> float:
    """Return the share of a usual sample that is one value up to the end of its first axis, 0 to 1."""
    if samples.ndim < 2 or samples.shape[1] < 8:
        return 0.0
    steps = samples.reshape(len(samples), samples.shape[1], -1)
    # All that comes last in a sample, and is the same in most of the others.
    value = steps[:, -1:, :]
    still = np.flip((steps == value).all(axis=2), axis=1)
    lengths = np.where(still.all(axis=1), samples.shape[1], still.argmin(axis=1))
    return float(np.median(lengths) / samples.shape[1])
