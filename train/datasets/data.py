"""Samples and targets as a source holds them, before anybody says what they are for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.array_names import ALL, ONLY
from edgeport.runtime.samples.pictures.resizing import Resizing
from edgeport.train.datasets.dataset import SPLITS, Classes, Dataset, Split, stratified_places

Array = npt.NDArray[Any]
_SHARES = (0.8, 0.1, 0.1)
_MOST_CLASSES = 10_000
# How the names of arrays end.
_SHORT = {"validation": "val"}


class NoClassesError(InputError):
    """A source has no targets, or such as are no classes: values, or rows of several labels."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some samples of a source.

    Attributes:
        inputs: Arrays of (n, ...) by the name of an input, or one by ``ONLY``.
        targets: What shall be answered, of (n, ...): class numbers, one-hot rows, text, or values; None if unknown.
        groups: Which samples belong together, as the windows of one recording do, of (n,); None if nobody says.
    """

    inputs: Mapping[str, Array]
    targets: Array | None = None
    groups: Array | None = None

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def at(self, places: npt.NDArray[np.intp]) -> "Part":
        """Return the samples at some places."""
        targets, groups = (None if each is None else each[places] for each in (self.targets, self.groups))
        return Part({name: array[places] for name, array in self.inputs.items()}, targets, groups)


@dataclass(frozen=True, eq=False)
class Data:
    """What a source holds.

    Attributes:
        name: The name that finds it again.
        parts: Some of ``train``, ``validation`` and ``test``; or ``all``, which nobody has divided.
        labels: The name of each class; empty if they have none.
        resizing: How pictures became images of this size; None where they came as arrays.
        streamed: Whether there may be more of ``all``, so that a share must not depend on how much was read.
        columns: What a table calls the numbers of a row, in their order; empty if it does not name them.
    """

    name: str
    parts: Mapping[str, Part]
    labels: tuple[str, ...] = ()
    resizing: Resizing | None = None
    streamed: bool = False
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, part in self.parts.items():
            where = self.name if name == ALL else f"{self.name} ({name})"
            counts = {key or "samples": len(array) for key, array in part.inputs.items() if array.ndim}
            if len(counts) < len(part.inputs) or (part.targets is not None and not part.targets.ndim):
                raise InputError(f"{where}: got a single number, expected arrays with an axis of samples")
            if part.targets is not None:
                counts["labels"] = len(part.targets)
            if part.groups is not None:
                counts["groups"] = len(part.groups)
            if not len(part):
                raise InputError(f"{where}: got no samples, expected at least one")
            if len(set(counts.values())) > 1:
                listed = " and ".join(f"{count} {key}" for key, count in counts.items())
                raise InputError(f"{where}: got {listed}, expected as many of each")


def inputs_of(part: Part, ports: Sequence[Input], *, named: str) -> dict[str, Array]:
    """Return the samples of each input of a model, by its name; grey images get the axis of their channel.

    Raises:
        InputError: They are of other inputs.
    """
    if ONLY in part.inputs and len(ports) == 1:
        return {ports[0].name: _with_channel(part.inputs[ONLY], ports[0])}
    missing = [port.name for port in ports if port.name not in part.inputs]
    if missing:
        got = ", ".join(name or "samples without the name of an input" for name in part.inputs)
        raise InputError(
            f"{named}: got {got}, expected an array for each input of the model: "
            f"{' and '.join(port.name for port in ports)} (FILE.npz has names, and so have the dictionaries of a "
            "function)"
        )
    return {port.name: _with_channel(part.inputs[port.name], port) for port in ports}


def divided(data: Data, *, anyhow: bool = False, by_group: bool = True) -> Data:
    """Return the splits of a source, always the same ones: those that it has, the others cut from ``all`` or ``train``.

    Of ``all``, 80 % are for training, 10 % for validation and 10 % for the test, each class in proportion, or at random
    where there may be more; so it is with ``train`` alone. Where only validation is missing, it is a tenth of train.
    Samples that belong together stay together: where there are groups, so many of these, each class of groups in
    proportion.

    Args:
        data: The source.
        anyhow: Divide at random where targets are no classes, or too few of each; and leave what has no targets, or
            fewer than 10 samples, as it is.
        by_group: Keep samples that belong together together; False for the split of who trained without knowing groups.

    Raises:
        InputError: There are no targets, they are no classes, or too few of each.
    """
    if data.parts.keys() not in ({ALL}, {"train"}, {"train", "test"}):
        return data
    alone = "test" not in data.parts
    shares, names = (_SHARES, SPLITS) if alone else ((1 - _SHARES[1], _SHARES[1]), SPLITS[:2])
    name, part = next((name, part) for name, part in data.parts.items() if name != "test")
    if anyhow and part.targets is None:
        return data
    classes = None
    try:
        classes = classes_of(data)[0][name]
    except NoClassesError:
        if not anyhow:
            raise
    if part.groups is not None and by_group:
        places = _places_of_groups(part.groups, classes, shares)
    elif data.streamed:
        # So that the first samples are divided alike, however many follow.
        drawn = np.digitize(np.random.default_rng(0).random(len(part)), np.cumsum(shares[:-1]))
        places = [np.flatnonzero(drawn == number) for number in range(len(shares))]
    else:
        places = [] if classes is None else stratified_places(classes, shares=shares, seed=0)
        if anyhow and not (places and all(map(len, places))):
            places = stratified_places(np.zeros(len(part), np.int64), shares=shares, seed=0)
    if not all(map(len, places)):
        if anyhow:
            return data
        raise InputError(
            f"{data.name}: got {len(part)} samples, which are too few for {', '.join(names)}: expected 10 or more of "
            "each class"
        )
    cut = {each: part.at(at) for each, at in zip(names, places, strict=True)}
    return replace(data, parts={**{each: part for each, part in data.parts.items() if each != name}, **cut})


def _places_of_groups(groups: Array, classes: Classes | None, shares: Sequence[float]) -> list[npt.NDArray[np.intp]]:
    """Return the places of each split, whole groups to each; a group is of the class of its first sample."""
    _, first, numbers = np.unique(groups, return_index=True, return_inverse=True)
    kinds = np.zeros(len(first), np.int64) if classes is None else classes[first]
    chosen = stratified_places(kinds, shares=tuple(shares), seed=0)
    if not all(map(len, chosen)):
        # Of classes with few groups each.
        chosen = stratified_places(np.zeros_like(kinds), shares=tuple(shares), seed=0)
    return [np.flatnonzero(np.isin(numbers, each)) for each in chosen]


def classes_of(data: Data) -> tuple[dict[str, Classes], tuple[str, ...]]:
    """Return the class numbers of each part of a source, and the names of the classes.

    Targets are class numbers from 0, rows that are 1 for the class and 0 elsewhere, or text, whose classes are in the
    order of the alphabet.

    Raises:
        NoClassesError: A part has no targets, or they are no classes.
        InputError: They are classes that the source has no names for.
    """
    missing = [name for name, part in data.parts.items() if part.targets is None]
    if missing:
        lacks = [f"y_{_SHORT.get(name, name)}" if name != ALL else "targets" for name in missing]
        raise NoClassesError(
            f"{data.name}: it lacks {' and '.join(lacks)}, expected a class for each sample: an array y, a folder for "
            "each class, or a column of FILE.csv (--target COLUMN)"
        )
    targets = {name: np.asarray(part.targets) for name, part in data.parts.items()}
    if all(each.dtype.kind in "US" and each.ndim == 1 for each in targets.values()):
        texts = sorted({str(text) for each in targets.values() for text in each})
        labels = data.labels or tuple(texts)
        number = {label: place for place, label in enumerate(labels)}
        unknown = [text for text in texts if text not in number]
        if unknown:
            raise InputError(
                f"{data.name}: got the class {unknown[0]!r}, expected one of its labels: {', '.join(labels)}"
            )
        return {
            name: np.array([number[str(text)] for text in each], np.int64) for name, each in targets.items()
        }, labels
    numbers = {name: _numbers(each, f"{data.name} ({name})") for name, each in targets.items()}
    first = next((numbers[name] for name in (ALL, "train") if name in numbers), next(iter(numbers.values())))
    count = int(first.max()) + 1
    if len(data.labels) > 1 and not all(each.min() >= 0 and each.max() < len(data.labels) for each in numbers.values()):
        raise InputError(
            f"{data.name}: got labels from {min(each.min() for each in numbers.values())} to "
            f"{max(each.max() for each in numbers.values())}, expected 0 to {len(data.labels) - 1}, as it names "
            f"{len(data.labels)} classes"
        )
    if count > _MOST_CLASSES:
        raise NoClassesError(
            f"{data.name}: got the class number {count - 1}, expected classes numbered from 0, {_MOST_CLASSES:,} at "
            "most"
        )
    return numbers, data.labels or tuple(map(str, range(count)))


def are_numbers(labels: Sequence[str]) -> bool:
    """Whether labels are the numbers of classes that nobody has named."""
    return list(labels) == list(map(str, range(len(labels))))


def numbered_as(data: Data, names: Sequence[str]) -> Data:
    """Return a source whose targets are the numbers that a model's classes have, where they are classes.

    Args:
        data: The source, divided: the order of its classes decides how.
        names: What the model calls its classes, in its order; empty leaves the source as it is.

    Raises:
        InputError: The source has a class that the model does not have.
    """
    if not names:
        return data
    try:
        classes, labels = classes_of(data)
    except NoClassesError:
        return data
    if are_numbers(labels):
        least, largest = (
            min(int(each.min()) for each in classes.values()),
            max(int(each.max()) for each in classes.values()),
        )
        if least < 0 or largest >= len(names):
            raise InputError(
                f"{data.name}: got class numbers from {least} to {largest}, expected 0 to {len(names) - 1}, those of "
                f"the model: {', '.join(names)}"
            )
    else:
        places = numbers_of(labels, names, named=data.name)
        classes = {name: places[each] for name, each in classes.items()}
    parts = {name: replace(part, targets=classes[name]) for name, part in data.parts.items()}
    return replace(data, parts=parts, labels=tuple(names))


def numbers_of(labels: Sequence[str], names: Sequence[str], *, named: str) -> Classes:
    """Return the number that each class of some data has in a model, of shape (labels,).

    Args:
        labels: What the data call them.
        names: What the model calls its own; empty if nobody has named them.
        named: What a message calls the data.

    Raises:
        InputError: The data have a class that the model does not have.
    """
    if not names or are_numbers(labels):
        return np.arange(len(labels))
    known = {name: place for place, name in enumerate(names)}
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise InputError(
            f"{named}: got the class{'es' * (len(unknown) > 1)} {', '.join(unknown)}, expected those of the model: "
            f"{', '.join(names)}"
        )
    return np.array([known[label] for label in labels], np.int64)


def dataset_of(data: Data, ports: Sequence[Input] = (), *, names: Sequence[str] = ()) -> Dataset:
    """Return a source as a data set of one input and classes, with the splits that it has or that are cut from it.

    Args:
        data: The source.
        ports: The one input of the model that it is for, if that is known.
        names: What that model calls its classes, in its order, if that is known.

    Raises:
        InputError: It has several inputs, values that are no finite numbers, or no classes.
    """
    data = numbered_as(divided(data), names)
    classes, labels = classes_of(data)
    splits = {}
    for name, part in data.parts.items():
        if len(part.inputs) > 1:
            raise InputError(
                f"{data.name}: got samples of the inputs {', '.join(part.inputs)}, expected those of one input"
            )
        (array,) = inputs_of(part, ports, named=data.name).values() if ports else part.inputs.values()
        splits[name] = Split(_samples(array, f"{data.name} ({name})"), classes[name])
    return Dataset(name=data.name, splits=splits, labels=labels, resizing=data.resizing, columns=data.columns)


def _numbers(targets: Array, named: str) -> Classes:
    """Return targets as class numbers."""
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim == 1 and targets.dtype.kind in "iub":
        numbers: Classes = targets.astype(np.int64)
        return numbers
    rows = targets.ndim == 2 and targets.dtype.kind in "iubf"
    if rows and ((targets == 0) | (targets == 1)).all() and (targets.sum(axis=1) == 1).all():
        return np.asarray(targets.argmax(axis=1), np.int64)
    raise NoClassesError(
        f"{named}: got targets {targets.dtype} {targets.shape}, expected integers (n,), the classes from "
        "0; or text; or rows with one 1"
    )


def _samples(array: Array, named: str) -> Array:
    """Return uint8 images of (n, height, width, channels), or float32."""
    if array.dtype == np.uint8 and array.ndim in (3, 4):
        return array[..., np.newaxis] if array.ndim == 3 else array
    if array.dtype.kind not in "fiub" or array.ndim < 2:
        raise InputError(f"{named}: got samples {array.dtype} {array.shape}, expected numbers of shape (n, ...)")
    check_finite(array, named)
    return array.astype(np.float32)


def check_finite(array: Array, named: str) -> None:
    """Raise InputError for the first value that float32 does not hold."""
    wrong = ~(np.abs(array) <= np.finfo(np.float32).max)
    if wrong.any():
        where = [int(axis) for axis in np.argwhere(wrong)[0]]
        raise InputError(
            f"{named}: got {array[tuple(where)]} at {where}, and {int(wrong.sum())} such values in all, expected "
            "finite numbers that float32 holds"
        )


def _with_channel(array: Array, port: Input) -> Array:
    return array[..., np.newaxis] if port.is_image and port.shape[3] == 1 and array.ndim == 3 else array
