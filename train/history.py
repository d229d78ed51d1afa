"""The history of a training run, epoch by epoch, as data."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeport.runtime.errors import InputError
from edgeport.runtime.output import write_whole


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


def best_epoch(history: Sequence[Epoch]) -> int:
    """Return the number of the epoch with the least validation loss; the higher accuracy breaks a tie.

    The loss weighs every image, and so tells epochs apart that differ by chance in a handful of right answers.
    """
    return min(history, key=lambda epoch: (epoch.validation_loss, -epoch.validation_accuracy)).number


def write_history(path: Path, identity: dict[str, Any], history: Sequence[Epoch]) -> None:
    """Write the history of the run that ``identity`` describes, whole or not at all."""
    content = {"run": identity, "history": [asdict(epoch) for epoch in history]}
    write_whole(path, json.dumps(content, indent=1).encode())


def read_history(path: Path) -> tuple[dict[str, Any], list[Epoch]]:
    """Return the run's identity and its epochs; raises InputError if there is no interrupted run to read."""
    try:
        content = json.loads(path.read_bytes())
        return dict(content["run"]), [Epoch(**epoch) for epoch in content["history"]]
    except FileNotFoundError as error:
        raise InputError(
            f"{path.parent.parent} holds no interrupted run to resume: start it without --resume"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}): start again with --overwrite") from error
