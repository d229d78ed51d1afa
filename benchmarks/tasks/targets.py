"""What is true of samples, as each task takes it, by numpy alone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeport.benchmarks.tasks.answers import IGNORED
from edgeport.benchmarks.tasks.metric import Array
from edgeport.runtime.errors import InputError

# The axes of an output, the samples first; None for an axis of any length.
Shape = tuple[int | None, ...]
# A class, and a box.
_TRUE_BOX = 5


@dataclass(frozen=True, eq=False)
class Targets:
    """How the targets of one task are read.

    Attributes:
        expected: What they are, in words.
        taken: From targets and the shape of the output to what metrics take; None if they are none of that.
    """

    expected: str
    taken: Callable[[Array, Shape], Array | None]


def targets_of(task: str, targets: Array, shape: Shape, *, source: str) -> Array:
    """Return targets as the metrics of a task take them.

    Args:
        task: A row of the table.
        targets: What is true of n samples.
        shape: The axes of the output.
        source: What to call the targets in an error.

    Raises:
        InputError: They are not those of such an output.
    """
    row = TARGETS.get(task)
    numbers = targets.dtype.kind in "biuf"
    taken = row.taken(targets, shape) if row and numbers else None
    if taken is None:
        expected = row.expected if row else "none"
        axes = ", ".join(["n", *("any" if axis is None else str(axis) for axis in shape[1:])])
        raise InputError(
            f"{source}: got targets {targets.dtype.name} {targets.shape}{_offender(task, targets, shape)}, expected "
            f"{expected}; the output is ({axes})"
        )
    return taken


def _offender(task: str, targets: Array, shape: Shape) -> str:
    """Return the first target that an output cannot have, with its place; empty if its value is not what is wrong."""
    if targets.dtype.kind not in "biuf":
        return f", the first of which is {str(targets.flat[0])[:40]!r}" if targets.size else ""
    most = {"classes": shape[-1], "map": shape[-1], "sequence": shape[-1], "yes-no": 2, "anomaly": 2, "labels": 2}
    wrong = ~np.isfinite(targets)
    if task in (*most, "similarity"):
        wrong |= (targets != np.floor(targets)) | (targets < 0)
        limit = most.get(task)
        wrong |= (targets >= max(limit, 2)) if limit is not None else False
        wrong &= (targets != IGNORED) if task in ("map", "sequence") else True
    if not wrong.any():
        return ""
    place = tuple(int(axis) for axis in np.argwhere(wrong)[0])
    return f" with {targets[place]} at {list(place)}"


def task_of(targets: Array, shape: Shape) -> str:
    """Return the task of an output whose meaning nobody has said, where the targets leave no doubt; else empty."""
    if targets.dtype.kind == "f" and _fits(targets.shape[1:], shape[1:]):
        return "values"
    of_classes = targets.dtype.kind in "iu" and targets.ndim == 1 and len(shape) == 2 and (shape[1] or 0) > 1
    return "classes" if of_classes else ""


def _classes(targets: Array, shape: Shape) -> Array | None:
    columns = max(shape[-1] or 0, 2)
    if targets.ndim == 2 and targets.shape[1] == columns and (targets.sum(axis=1) == 1).all() and _are_bits(targets):
        return np.asarray(targets.argmax(axis=1))
    whole = targets.size == len(targets) and (targets == np.floor(targets)).all()
    if whole and targets.min() >= 0 and (shape[-1] is None or targets.max() < columns):
        return targets.reshape(-1).astype(np.int64)
    return None


def _one_bit(targets: Array, shape: Shape) -> Array | None:
    one = targets.size == len(targets) and _are_bits(targets)
    return targets.reshape(-1).astype(np.int64) if one else None


def _bits(targets: Array, shape: Shape) -> Array | None:
    fits = targets.ndim == 2 and targets.shape[1] == shape[-1] and _are_bits(targets)
    return targets.astype(np.int64) if fits else None


def _values(targets: Array, shape: Shape) -> Array | None:
    fits = _fits(targets.shape[1:], shape[1:]) and np.isfinite(targets).all()
    return targets.reshape(len(targets), -1).astype(np.float64) if fits else None


def _places(targets: Array, shape: Shape) -> Array | None:
    places = targets[..., 0] if targets.ndim == len(shape) and targets.shape[-1] == 1 else targets
    if not _fits(places.shape[1:], shape[1:-1]) or not (places == np.floor(places)).all():
        return None
    meant = places[places != IGNORED]
    known = meant.size and meant.min() >= 0 and (shape[-1] is None or meant.max() < max(shape[-1], 2))
    return places.astype(np.int64) if known else None


def _boxes(targets: Array, shape: Shape) -> Array | None:
    return targets.astype(np.float64) if targets.ndim == 3 and targets.shape[2] == _TRUE_BOX else None


def _numbers(targets: Array, shape: Shape) -> Array | None:
    one = targets.size == len(targets) and targets.dtype.kind in "iu"
    return targets.reshape(-1).astype(np.int64) if one else None


def _as_they_are(targets: Array, shape: Shape) -> Array | None:
    """Return targets in a type that a report holds."""
    if targets.dtype.kind == "f":
        return targets.astype(np.float64 if targets.dtype.itemsize > 4 else np.float32)
    return targets if targets.dtype.name in ("bool", "uint8") else targets.astype(np.int64)


def _fits(shape: tuple[int, ...], expected: Shape) -> bool:
    """Return whether targets have an output's shape; one value a sample needs no axis of its own."""
    if shape == () and all(axis == 1 for axis in expected):
        return True
    return len(shape) == len(expected) and all(axis in (None, own) for own, axis in zip(shape, expected, strict=True))


def _are_bits(targets: Array) -> bool:
    return bool(((targets == 0) | (targets == 1)).all())


TARGETS: dict[str, Targets] = {
    "classes": Targets("class numbers (n,), or rows with one 1", _classes),
    "yes-no": Targets("0 or 1 for each sample (n,)", _one_bit),
    "anomaly": Targets("0 or 1 for each sample (n,)", _one_bit),
    "labels": Targets("0 or 1 for each label (n, labels)", _bits),
    "values": Targets("finite numbers of the output's own shape", _values),
    "map": Targets("a class number from 0 for each place (n, ...), 255 for none", _places),
    "sequence": Targets("a class number from 0 for each step (n, steps), 255 for none", _places),
    "boxes": Targets("rows of class, top, left, bottom, right (n, boxes, 5), filled up with -1", _boxes),
    "similarity": Targets("class numbers (n,)", _numbers),
    # Of whatever a user's own metric takes.
    "any": Targets("numbers (n, ...)", _as_they_are),
}
