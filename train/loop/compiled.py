"""Fit a model as its own code has compiled it: its loss, its optimizer, the epoch of the lowest loss on validation."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.json_file import read_json
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.tensors.encoding import real_values

Array = npt.NDArray[Any]

HISTORY = "history.json"
_BEST = "best.npz"
_BATCH = 500


@dataclass(frozen=True)
class CompiledEpoch:
    """What one epoch came to.

    Attributes:
        number: Counted from 1.
        loss: The training loss, as Keras reports it.
        validation_loss: The loss on the validation samples.
        seconds: How long the epoch took, validation included.
    """

    number: int
    loss: float
    validation_loss: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Lesson:
    """Samples and what shall be answered, as a compiled model learns them.

    Attributes:
        samples: For each input of the model an array of (n, ...), by its name: pixels as uint8, all else as it is.
        targets: Of (n, ...).
    """

    samples: Mapping[str, Array]
    targets: Array

    def __len__(self) -> int:
        return len(self.targets)


def fit_compiled(
    model: keras.Model,
    ports: Sequence[Input],
    train: Lesson,
    validation: Lesson,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    state: Path,
    on_epoch: Callable[[CompiledEpoch], None] = lambda epoch: None,
) -> list[CompiledEpoch]:
    """Fit a compiled model, from where an earlier process has left it; it ends with the weights of the best epoch.

    The order of the samples depends on the seed and the epoch alone, and all weights, those of the optimizer too, are
    in ``state`` after each epoch: a run that was killed ends with the weights that it would have had anyway.

    Args:
        model: As it was compiled; its weights are those of the best epoch afterwards.
        ports: Its inputs, with what each takes.
        train: What it learns.
        validation: What the epoch is chosen on.
        epochs: How many; those that are in ``state`` are not run again.
        batch_size: Samples a step.
        seed: Decides the orders, and what layers draw.
        state: A folder for the state of the run.
        on_epoch: Called after every epoch.

    Returns:
        All epochs.

    Raises:
        InputError: A loss is no number.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    model.optimizer.build(model.trainable_variables)
    state.mkdir(parents=True, exist_ok=True)
    history = read_epochs(state)
    if history:
        _set(_variables(model), state / _name(history[-1].number))
    for number in range(len(history) + 1, epochs + 1):
        began = time.perf_counter()
        order = np.random.default_rng((seed, number)).permutation(len(train))
        fitted = model.fit(_Batches(train, ports, order, batch_size), shuffle=False, verbose=0).history
        asked = _Batches(validation, ports, np.arange(len(validation)), _BATCH)
        loss = model.evaluate(asked, verbose=0, return_dict=True)["loss"]
        epoch = CompiledEpoch(number, fitted["loss"][-1], loss, time.perf_counter() - began)
        if not (math.isfinite(epoch.loss) and math.isfinite(epoch.validation_loss)):
            raise InputError(
                f"epoch {number}: got a loss of {epoch.loss:g} and {epoch.validation_loss:g} on validation, expected "
                "numbers: a smaller learning rate, or other samples"
            )
        history.append(epoch)
        _store(model, history, state)
        on_epoch(epoch)
    _set(model.variables, state / _BEST)
    return history


def best_epoch(history: Sequence[CompiledEpoch]) -> int:
    """Return the number of the first epoch with the lowest loss on validation."""
    return min(history, key=lambda epoch: epoch.validation_loss).number


def read_epochs(state: Path) -> list[CompiledEpoch]:
    """Return the epochs of a run so far; raises InputError if its state is damaged."""
    path = state / HISTORY
    if not path.is_file():
        return []
    content = read_json(path, hint=f"remove the folder {state}", error=InputError)
    try:
        return [CompiledEpoch(**each) for each in content["history"]]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error!r}): remove the folder {state}") from error


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of samples in an order, as the model takes them."""

    def __init__(self, lesson: Lesson, ports: Sequence[Input], order: npt.NDArray[np.intp], size: int) -> None:
        super().__init__()
        self._lesson, self._ports, self._order, self._size = lesson, ports, order, size

    def __len__(self) -> int:
        return -(-len(self._order) // self._size)

    def __getitem__(self, place: int) -> tuple[Any, Array]:
        chosen = self._order[place * self._size : (place + 1) * self._size]
        taken = {
            port.name: real_values(self._lesson.samples[port.name][chosen], port).astype(port.dtype, copy=False)
            for port in self._ports
        }
        return (taken if len(taken) > 1 else next(iter(taken.values()))), self._lesson.targets[chosen]


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Return all that a run is made of: weights, where random layers have come to, and the optimizer's own."""
    return [*model.variables, *model.optimizer.variables]


def _name(number: int) -> str:
    return f"epoch-{number:04d}.npz"


def _store(model: keras.Model, history: Sequence[CompiledEpoch], state: Path) -> None:
    """Write the state of this epoch, then point at it, then remove the one before it."""
    number = history[-1].number
    _save(_variables(model), state / _name(number))
    if best_epoch(history) == number:
        _save(model.variables, state / _BEST)
    write_whole(state / HISTORY, json.dumps({"history": [asdict(epoch) for epoch in history]}).encode())
    (state / _name(number - 1)).unlink(missing_ok=True)


def _save(variables: Sequence[keras.Variable], path: Path) -> None:
    partial = path.with_name(f"partial-{path.name}")
    np.savez(partial, **{str(place): each.numpy() for place, each in enumerate(variables)})
    partial.replace(path)


def _set(variables: Sequence[keras.Variable], path: Path) -> None:
    try:
        with np.load(path, allow_pickle=False) as saved:
            for place, variable in enumerate(variables):
                variable.assign(saved[str(place)])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}): remove the folder {path.parent}") from error
