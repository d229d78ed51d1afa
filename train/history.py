"""The history of a training run, epoch by epoch, as data."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeport.runtime.errors import InputError
from edgeport.runtime.files.json_file import read_json
from edgeport.runtime.files.json_schema import built, problem_of
from edgeport.runtime.files.output import write_whole


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes:
        number: Counted from 1.
        loss: Mean training loss, on augmented images and smoothed labels.
        accuracy: Training accuracy, 0 to 1, on augmented images.
        validation_loss: Mean loss on the validation split, as it is.
        validation_accuracy: Accuracy on the validation split, 0 to 1.
        seconds: How long the epoch took, validation included.
    """

    number: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True)
class _History:
    """What the file holds: the run's identity, and its epochs."""

    run: Mapping[str, Any]
    history: tuple[Epoch, ...]


def best_epoch(history: Sequence[Epoch], *, validation_count: int) -> int:
    """Return the number of the last epoch whose validation accuracy is within one standard error of the best.

    The steps shrink towards the end, so of epochs that the validation images cannot tell apart the later one is the
    better bet; and an epoch that chance favoured by a handful of images is not (the one-standard-error rule of Breiman
    et al., Classification and Regression Trees, 1984).

    Args:
        history: At least one epoch.
        validation_count: The images of the validation split.
    """
    best = max(epoch.validation_accuracy for epoch in history)
    standard_error = math.sqrt(best * (1 - best) / validation_count)
    return max(epoch.number for epoch in history if epoch.validation_accuracy >= best - standard_error)


def write_history(path: Path, identity: dict[str, Any], history: Sequence[Epoch]) -> None:
    """Write the history of the run that ``identity`` describes, whole or not at all."""
    content = {"run": identity, "history": [asdict(epoch) for epoch in history]}
    write_whole(path, json.dumps(content, indent=1).encode())


def read_history(path: Path) -> tuple[dict[str, Any], list[Epoch]]:
    """Return the run's identity and its epochs; raises InputError if there is no interrupted run to read."""
    if not path.exists():
        raise InputError(f"{path.parent.parent} holds no interrupted run to resume: start it without --resume")
    hint = "start again with --overwrite"
    content = read_json(path, hint=hint, error=InputError)
    problem = problem_of(content, _History, strict=False)
    if problem:
        raise InputError(f"{path} is damaged ({problem}): {hint}")
    history: _History = built(content, _History)
    return dict(history.run), list(history.history)
