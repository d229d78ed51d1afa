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
class ValidationScore:
    """How a model does on the validation split.

    Attributes:
        loss: Mean loss, on the images as they are.
        accuracy: 0 to 1.
    """

    loss: float
    accuracy: float


@dataclass(frozen=True)
class _File:
    run: Mapping[str, Any]
    history: tuple[Epoch, ...]
    start: ValidationScore | None = None


def best_epoch(history: Sequence[Epoch], *, validation_count: int, start: ValidationScore | None = None) -> int:
    """Return the number of the last epoch whose validation accuracy is within one standard error of the best.

    With a ``start``, epochs that are no better than it do not count; 0 if no other is left. Better is a higher
    accuracy, or the same with a lower loss.

    The steps shrink towards the end, so of epochs that the validation images cannot tell apart the later one is the
    better bet; and an epoch that chance favoured by a handful of images is not (the one-standard-error rule of Breiman
    et al., Classification and Regression Trees, 1984).

    Args:
        history: The epochs; at least one unless there is a start.
        validation_count: The images of the validation split.
        start: The score of what the first epoch began with, where that was a trained model.
    """
    epochs = [epoch for epoch in history if start is None or _is_better(epoch, start)]
    if start is not None and not epochs:
        return 0
    best = max(epoch.validation_accuracy for epoch in epochs)
    standard_error = math.sqrt(best * (1 - best) / validation_count)
    return max(epoch.number for epoch in epochs if epoch.validation_accuracy >= best - standard_error)


def _is_better(epoch: Epoch, start: ValidationScore) -> bool:
    return (epoch.validation_accuracy, -epoch.validation_loss) > (start.accuracy, -start.loss)


def write_history(
    path: Path, identity: dict[str, Any], history: Sequence[Epoch], start: ValidationScore | None = None
) -> None:
    """Write the history of the run that ``identity`` describes, whole or not at all."""
    content = {
        "run": identity,
        "history": [asdict(epoch) for epoch in history],
        "start": asdict(start) if start else None,
    }
    write_whole(path, json.dumps(content, indent=1).encode())


def read_history(path: Path) -> tuple[dict[str, Any], list[Epoch], ValidationScore | None]:
    """Return a run's identity, its epochs and its start; raises InputError if there is no interrupted run to read."""
    if not path.exists():
        raise InputError(f"{path.parent.parent} holds no interrupted run to resume: start it without --resume")
    hint = "start again with --overwrite"
    content = read_json(path, hint=hint, error=InputError)
    problem = problem_of(content, _File, strict=False)
    if problem:
        raise InputError(f"{path} is damaged ({problem}): {hint}")
    file: _File = built(content, _File)
    return dict(file.run), list(file.history), file.start
