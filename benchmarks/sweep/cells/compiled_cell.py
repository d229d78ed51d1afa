"""A cell of a compiled model: it learns as its own code says, whatever its outputs mean."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.sweep.cells.cell import TRAIN, Order
from edgeport.export.conversion.foreign_messages import cleaned
from edgeport.runtime.artefact.contract import RAW, Input
from edgeport.runtime.errors import EdgeportError, InputError
from edgeport.runtime.tensors.encoding import real_values
from edgeport.train.datasets.data import Data, inputs_of
from edgeport.train.loop.compiled import CompiledEpoch, Lesson, best_epoch, fit_compiled
from edgeport.train.models.scaling import keras_scales_pixels
from edgeport.train.record import STATE

Array = npt.NDArray[Any]

MODEL = "model.keras"
# What a compiled model leaves to a recipe.
_FIELDS = ("epochs", "batch_size", "learning_rate")


def check_recipe(order: Order) -> None:
    """Raise InputError for fields of a recipe that a compiled model decides itself."""
    other = [name for name in order.cell.said if name not in _FIELDS]
    if other:
        raise InputError(
            f"recipes.{order.cell.recipe_name}: got {', '.join(other)} for {order.cell.model}, which is compiled: "
            f"expected {', '.join(_FIELDS)}, as its own loss and optimizer say the rest"
        )


def learned(
    order: Order, model: keras.Model, ports: tuple[Input, ...], data: Data, *, on_epoch: Callable[[CompiledEpoch], None]
) -> tuple[list[CompiledEpoch], int]:
    """Train a compiled model, and write it to the cell's folder; return its epochs and which was taken.

    Args:
        order: The cell.
        model: The model, with the weights that it begins with.
        ports: Its inputs, with what each takes.
        data: Train and validation samples.
        on_epoch: Called after every epoch.

    Raises:
        InputError: The targets are not those of such a model, or Keras cannot train it.
    """
    recipe, folder = order.cell.recipe, order.folder / TRAIN
    if "learning_rate" in order.cell.said:
        if not isinstance(model.optimizer._learning_rate, keras.Variable):
            raise InputError(
                f"recipes.{order.cell.recipe_name}.learning_rate: {order.cell.model} has a schedule of its own: leave "
                "it out"
            )
        model.optimizer.learning_rate = recipe.learning_rate
    lessons = [_lesson(model, ports, data, name, order) for name in ("train", "validation")]
    try:
        epochs = fit_compiled(
            model,
            ports,
            *lessons,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            seed=order.cell.seed,
            state=folder / STATE,
            on_epoch=on_epoch,
        )
    except EdgeportError as error:
        raise InputError(f"{order.cell.model}: {error}") from error
    except (KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        # Keras and TensorFlow raise whatever a loss meets.
        raise InputError(f"{order.cell.model} cannot be trained ({cleaned(error)})") from error
    partial = folder / f"partial-{MODEL}"
    model.save(partial)
    partial.replace(folder / MODEL)
    return epochs, best_epoch(epochs)


def taken(ports: tuple[Input, ...], data: Data, model: keras.Model, *, named: str) -> tuple[Input, ...]:
    """Return the inputs of a model, those that uint8 samples are for with what pixels are to it.

    Raises:
        InputError: Nobody says what pixels are to it.
    """
    found = []
    samples = inputs_of(data.parts["train"], ports, named=data.name)
    for port in ports:
        pixels = samples[port.name].dtype == np.uint8
        if pixels and port.is_real and port.range is None:
            if port.kind == "real" or len(ports) > 1 or not keras_scales_pixels(model):
                raise InputError(
                    f"models: got uint8 samples for the input {port} of {named}, and nobody says what 0 and 255 are to "
                    'it: say it with input = "pixels:0:1" (or pixels:-1:1, pixels:0:255), or give real values'
                )
            port = port._replace(kind="pixels", range=RAW)
        found.append(port)
    return tuple(found)


def _lesson(model: keras.Model, ports: tuple[Input, ...], data: Data, split: str, order: Order) -> Lesson:
    """Return samples with the targets that the loss of a model takes."""
    part = data.parts[split]
    samples = inputs_of(part, ports, named=data.name)
    if len(model.outputs) > 1:
        names = ", ".join(each.name for each in model.outputs)
        raise InputError(
            f"models: {order.cell.model} has the outputs {names}, and the data say what is true of one: give a model "
            "of one output"
        )
    first, port = samples[ports[0].name], ports[0]
    if order.shared.task == "anomaly" and tuple(model.outputs[0].shape[1:]) == first.shape[1:]:
        # An autoencoder learns its samples; what is true of them is for those who judge.
        return Lesson(samples, real_values(first, port).astype(np.float32))
    if part.targets is None:
        raise InputError(f"{data.name}: got {split} samples without targets, expected what {order.cell.model} learns")
    return Lesson(samples, targets_for(model, np.asarray(part.targets), bool(data.labels), named=order.cell.model))


def targets_for(model: keras.Model, targets: Array, are_classes: bool, *, named: str) -> Array:
    """Return targets as the loss of a model takes them: of several classes their numbers, or rows with one 1.

    Args:
        model: The compiled model, of one output.
        targets: What is true of n samples.
        are_classes: Whether the data name classes, which the numbers are then.
        named: What a message calls the model.

    Raises:
        InputError: They are not those of such a model.
    """
    sparse, shape = _is_sparse(model.loss), tuple(model.outputs[0].shape[1:])
    if sparse is None:
        return targets
    wanted, given = (shape[:-1] if sparse else shape), targets
    several = are_classes or "categorical" in _loss_name(model.loss).lower()
    numbers = several and targets.dtype.kind in "iub" and targets.shape[1:] == shape[:-1]
    if numbers and not sparse and shape[-1:] != (1,):
        if targets.min() < 0 or targets.max() >= shape[-1]:
            raise InputError(
                f"models: got targets from {targets.min()} to {targets.max()}, and {named} gives {shape[-1]} classes: "
                f"expected 0 to {shape[-1] - 1}"
            )
        targets = np.eye(shape[-1], dtype=np.float32)[targets]
    if None not in wanted and targets.size == len(targets) * int(np.prod(wanted)):
        # A value a sample, with or without an axis of its own.
        targets = targets.reshape(len(targets), *wanted) if targets.ndim <= 2 else targets
    fits = targets.ndim == 1 + len(wanted) and all(
        axis in (None, own) for axis, own in zip(wanted, targets.shape[1:], strict=True)
    )
    if not fits:
        axes = ", ".join("n" if axis is None else str(axis) for axis in (None, *wanted))
        raise InputError(
            f"models: got targets {given.dtype} {given.shape}, expected ({axes}): {named} is compiled with "
            f"{_loss_name(model.loss)} and gives {model.outputs[0].shape}"
        )
    return targets if sparse else targets.astype(np.float32)


def _is_sparse(loss: Any) -> bool | None:
    """Return whether a loss takes class numbers; None for one that is not Keras' own, which takes what it wants."""
    name = _loss_name(loss)
    try:
        keras.losses.get(name)
    except (ValueError, TypeError):
        return None
    return name.lower().startswith("sparse")


def _loss_name(loss: Any) -> str:
    if isinstance(loss, str):
        return loss
    return str(getattr(loss, "__name__", type(loss).__name__))
