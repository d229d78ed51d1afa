"""From the answers of a classifier to classes with names."""

from typing import NamedTuple

import numpy as np

from edgeport.runtime.artefact.spec import Spec
from edgeport.runtime.errors import InputError
from edgeport.runtime.tensors.arrays import FloatArray


class Classification(NamedTuple):
    """One class that an image may show.

    Attributes:
        label: The class's name, or its number as text if the artefact carries no names.
        probability: 0 to 1; for a model that ends in logits, its score.
    """

    label: str
    probability: float


def ranked(probabilities: FloatArray, spec: Spec, *, top: int) -> list[list[Classification]]:
    """Return for each row of probabilities its ``top`` classes, the best first.

    Raises:
        InputError: They are no numbers, or no classes.
    """
    meaning = spec.metadata.outputs[0].kind if spec.metadata else ""
    if meaning in ("values", "map", "boxes") or probabilities.dtype.kind != "f":
        raise InputError(f"{spec.name} gives {spec.output}, {meaning or 'integers'} and no scores: use predict()")
    if not np.isfinite(probabilities).all():
        raise InputError(f"{spec.name} answers with values that are no numbers: it cannot tell classes apart")
    labels = spec.labels or (("no", "yes") if meaning == "yes-no" else ())
    if meaning == "yes-no":
        probabilities = probabilities.reshape(-1, 1)
    if probabilities.shape[1:] == (1,) and len(labels) == 2:
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise InputError(f"{spec.name} gives {spec.output}, and no classes: use predict()")
    names = labels or tuple(map(str, range(probabilities.shape[1])))
    if len(names) != probabilities.shape[1]:
        raise InputError(f"{spec.name} has {len(names)} labels for {probabilities.shape[1]} classes: use predict()")
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return [
        [Classification(names[index], float(row[index])) for index in order]
        for row, order in zip(probabilities, best.tolist(), strict=True)
    ]
