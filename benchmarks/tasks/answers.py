"""What answers mean, by numpy alone: which decisions they are, and what of them a report keeps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.tasks.metric import Array

THRESHOLD = 0.5
# What a mask holds where no class is meant, as in the masks of PASCAL VOC.
IGNORED = 255


@dataclass(frozen=True, eq=False)
class Answers:
    """How answers of one kind are read.

    Attributes:
        kept: What of the answers a report keeps.
        decided: From what is kept to decisions, which are those of the reference or are not; None where nothing is
            decided.
        thresholded: Whether a threshold decides, so that real answers of one column or of labels are probabilities.
        averaged: Whether a group of samples, where there are groups, is one thing to judge, by its mean answer.
    """

    kept: Callable[[Array], Array] = lambda answers: answers
    decided: Callable[[Array], Array] | None = None
    thresholded: bool = False
    averaged: bool = False


def reconstruction_errors(inputs: Array, answers: Array) -> npt.NDArray[np.float64]:
    """Return the mean squared difference of each sample from what an autoencoder makes of it, of shape (n,)."""
    given, made = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (inputs, answers))
    errors: npt.NDArray[np.float64] = np.square(made - given).mean(axis=1)
    return errors


def classes_of(answers: Array) -> npt.NDArray[np.int64]:
    """Return the class that each answer decides for: the largest of several columns, or whether the only one is 0.5.

    Args:
        answers: Probabilities or scores of shape (n, ..., classes); with one column, probabilities of class 1. Integers
            of shape (n, ...) are decisions already.
    """
    if answers.dtype.kind in "iub":
        return answers.astype(np.int64)
    if answers.shape[-1] == 1:
        return (answers[..., 0] >= THRESHOLD).astype(np.int64)
    decided: npt.NDArray[np.int64] = answers.argmax(axis=-1)
    return decided


def _flat(answers: Array) -> Array:
    return answers.reshape(len(answers), -1)


def _class_scores(answers: Array) -> Array:
    """Return the scores of the classes (n, classes); or the classes themselves (n,), where a model gives these."""
    return answers.reshape(-1) if answers.dtype.kind in "iub" and answers.size == len(answers) else _flat(answers)


def _classes_of_places(answers: Array) -> Array:
    decided = classes_of(answers)
    return decided.astype(np.uint8) if decided.max(initial=0) < 255 else decided


def _over_threshold(answers: Array) -> Array:
    return np.asarray(answers >= THRESHOLD)


ANSWERS: dict[str, Answers] = {
    "classes": Answers(_class_scores, classes_of),
    "yes-no": Answers(_flat, _over_threshold, thresholded=True),
    "labels": Answers(_flat, _over_threshold, thresholded=True),
    "values": Answers(_flat),
    "map": Answers(_classes_of_places, classes_of, thresholded=True),
    "sequence": Answers(_classes_of_places, classes_of, thresholded=True),
    "boxes": Answers(),
    "anomaly": Answers(_flat, averaged=True),
    "similarity": Answers(_flat),
    "any": Answers(),
}
