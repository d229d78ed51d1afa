"""The names of classes: those of the model held against those of the data, and against what the model answers.

The columns of a model have an order that no file says: names that stand in another one make every answer wrong. Names
come from the user, from training.json or, sorted, from the data; what contradicts them stops the export.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgeport.export.sources.output_contract import tells_apart
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.runtime.artefact.contract import Output
from edgeport.runtime.errors import InputError
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.train.datasets.data import are_numbers

if TYPE_CHECKING:
    from edgeport.export.sources.source import Source

DATA = "the data"
_OF_CLASSES = ("classes", "labels", "yes-no")
# How many standard deviations more samples are right under other names before these are believed.
_SURELY = 3


def named(source: "Source", calibration: CalibrationSet) -> "Source":
    """Return the model with the names that the data have for its classes, where nobody else has named them.

    Args:
        source: The model.
        calibration: Samples for it, perhaps with classes.

    Raises:
        InputError: The data have more classes than the model, or others than it is said to have.
    """
    first, labels = source.outputs[0], calibration.labels
    if labels and first.kind in _OF_CLASSES:
        _check_against(first, calibration, source.named_by)
    # No and yes are better names than 0 and 1.
    nameless = not labels or (first.kind == "yes-no" and are_numbers(labels))
    if nameless or first.columns or not tells_apart(first, labels):
        return source
    return replace(source, names={**source.names, first.name: labels}, named_by=DATA)


def _check_against(first: Output, calibration: CalibrationSet, named_by: str) -> None:
    """Raise InputError if data have classes that an output does not have."""
    labels, count, numbers = calibration.labels, _count(first), are_numbers(calibration.labels)
    if count is not None and len(labels) > count:
        got = f"the class number {len(labels) - 1}" if numbers else f"{len(labels)} classes ({', '.join(labels)})"
        expected = f"0 to {count - 1}" if numbers else f"{count} at most"
        raise InputError(
            f"calibration data {calibration.source}: got {got}, expected {expected}, as the output {first} has "
            f"{count} classes; samples without classes calibrate as well"
        )
    unknown = [] if numbers or not first.columns else [each for each in labels if each not in first.columns]
    if unknown:
        raise InputError(
            f"calibration data {calibration.source}: got the classes {', '.join(labels)}, expected those of the model, "
            f"{', '.join(first.columns)} ({named_by}): correct one of them, or give samples without classes"
        )


def naming_notes(source: "Source", calibration: CalibrationSet) -> tuple[str, ...]:
    """Return what a user should know about the names of classes that the data have and the model has not."""
    first, labels = source.outputs[0], calibration.labels
    if not labels or first.kind not in _OF_CLASSES or are_numbers(labels):
        return ()
    if not first.columns:
        return (
            f"{calibration.source} has the {len(labels)} classes {', '.join(labels)}, and the output {first.name} "
            f"{_count(first) or 'numbers'} of them: none is named, so give all with --labels",
        )
    missing = [name for name in first.columns if name not in labels]
    return (f"{calibration.source} has no samples of the classes {', '.join(missing)}",) if missing else ()


def contradicted(source: "Source", calibration: CalibrationSet, answers: Tensor) -> str:
    """Return in one line that the answers contradict the order of names that somebody has given; else an empty text.

    Args:
        source: The model, with the names of its classes.
        calibration: Its held-out samples, whose classes may be known.
        answers: What its first output answers to them.

    Raises:
        InputError: They contradict an order that nobody has given: that of the data.
    """
    first, truth, labels = source.outputs[0], calibration.held_out_classes, calibration.labels
    if truth is None or first.kind not in _OF_CLASSES or not first.columns:
        return ""
    given = _decided(first, answers)
    if given.shape != truth.shape:
        return ""
    known = {name: place for place, name in enumerate(first.columns)}
    meant = np.array([place if are_numbers(labels) else known[name] for place, name in enumerate(labels)])[truth]
    # The column that most samples of each class get.
    most = {int(each): int(np.bincount(given[meant == each]).argmax()) for each in np.unique(meant)}
    other = np.array([most[int(each)] for each in meant])
    better, worse = (
        (one & ~two).sum() for one, two in ((given == other, given == meant), (given == meant, given == other))
    )
    one_to_one = len(set(most.values())) == len(most) and max(most.values()) < len(first.columns)
    if not one_to_one or better - worse <= _SURELY * np.sqrt(better + worse):
        return ""
    place = next(each for each, column in most.items() if each != column)
    found = (
        f"{int((given[meant == place] == most[place]).sum())} of {int((meant == place).sum())} held-out samples of the "
        f"class {first.columns[place]} of {calibration.source} are answered with column {most[place]} of {first.name}, "
        f"which is called {first.columns[most[place]]}: the model has its classes in another order"
    )
    if source.named_by == DATA:
        raise InputError(f"{found} than the data: give their names in its own order with --labels")
    return f"{found} than {source.named_by} says, or has not learned them"


def _count(port: Output) -> int | None:
    """Return how many classes an output has; None if it does not say."""
    if port.kind == "yes-no":
        return 2
    return port.shape[-1] if port.is_real else len(port.columns) or None


def _decided(port: Output, answers: Tensor) -> npt.NDArray[np.int64]:
    if not port.is_real:
        return answers.reshape(-1).astype(np.int64)
    if port.kind == "yes-no":
        return (answers.reshape(-1) >= 0.5).astype(np.int64)
    return np.asarray(answers.argmax(axis=-1), np.int64)
