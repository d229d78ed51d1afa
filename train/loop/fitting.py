"""Fit a model epoch by epoch: the best epoch is chosen on validation, and any epoch can be resumed from."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.input_kinds import RAW_PIXELS, REAL, kind_text, parsed_input
from edgeport.runtime.errors import InputError
from edgeport.train.datasets.dataset import Dataset, Split
from edgeport.train.loop.augmentation import Changes, augment, draw_changes
from edgeport.train.loop.history import Epoch, ValidationScore, best_epoch, read_history, write_history
from edgeport.train.loop.pixels import as_floats, as_taken, real_values
from edgeport.train.loop.recipe import Recipe
from edgeport.train.loop.teacher import ROLE, Answers, softened, teacher_answers
from edgeport.train.loop.untuned import untuned
from edgeport.train.models.keras_file import keras_file_sha256

OnStart = Callable[[ValidationScore], None]
OnStep = Callable[[int, int, int], None]
OnEpoch = Callable[[Epoch], None]
OnWait = Callable[[str], None]

HISTORY = "history.json"
_LAST, _BEST, _RANDOM = "last.keras", "best.keras", "random.json"
# A step of a small model takes less time than its way from Python and back.
_STEPS_AT_A_TIME = 8
_BATCHES_AHEAD = 2 * _STEPS_AT_A_TIME


@dataclass(frozen=True)
class Run:
    """What a training run is made of: the same run on the same machine gives the same weights.

    Attributes:
        model: The model's name, for ``build_model`` unless there is a ``start``.
        dataset: What to learn.
        recipe: How.
        seed: Decides the first weights, the order of the images, dropout and augmentation.
        teacher: The Keras file of a model whose answers are learned beside the labels.
        qat: Whether quantization-aware fine-tuning follows.
        start: The Keras file of a model of the user's own, whose weights are where the training begins.
        input: What the model takes, as ``--input`` has it; by default raw pixels, or what the training.json beside
            ``start`` says.
    """

    model: str
    dataset: Dataset
    recipe: Recipe
    seed: int
    teacher: Path | None = None
    qat: bool = False
    start: Path | None = None
    input: str = ""

    @cached_property
    def teacher_sha256(self) -> str | None:
        """The digest of the teacher's file; raises InputError if it cannot be read."""
        return keras_file_sha256(self.teacher, role=ROLE) if self.teacher else None

    @cached_property
    def start_sha256(self) -> str | None:
        """The digest of the file that the training begins with; raises InputError if it cannot be read."""
        return keras_file_sha256(self.start, role="--model") if self.start else None

    @cached_property
    def takes(self) -> Input:
        """What the model takes; raises InputError if the data set is of another kind."""
        found = RAW_PIXELS if self.dataset.is_pixels else REAL
        port = parsed_input(self.input) if self.input else found
        if port.kind != "pixels" and port.kind != found.kind:
            raise InputError(
                f"--input: got {self.input}, expected {found.kind}: the {self.dataset.noun} of {self.dataset.name} are "
                "nothing else"
            )
        return port

    @property
    def identity(self) -> dict[str, Any]:
        """What a resumed run must have in common with the one that was interrupted."""
        return {
            "model": self.model,
            "dataset_sha256": self.dataset.sha256,
            "seed": self.seed,
            "teacher_sha256": self.teacher_sha256,
            "qat": self.qat,
            "start_sha256": self.start_sha256,
            # None also for those that began before it was a choice.
            "input": None if self.takes == RAW_PIXELS else kind_text(self.takes),
            **vars(self.recipe),
        }


class Fitted(NamedTuple):
    """What a training came to.

    Attributes:
        model: That of the best epoch.
        history: All epochs.
        start: The score before the first of them, where the model was trained already.
    """

    model: keras.Model
    history: list[Epoch]
    start: ValidationScore | None


def fit(
    run: Run,
    build: Callable[[], keras.Model],
    *,
    state: Path,
    resume: bool = False,
    on_start: OnStart = lambda score: None,
    on_step: OnStep = lambda epoch, step, steps: None,
    on_epoch: OnEpoch = lambda epoch: None,
    on_wait: OnWait = lambda text: None,
    begins_trained: bool = False,
) -> Fitted:
    """Train and return the model of the best epoch, with the history of all epochs; without any, the model as it was.

    After each epoch the whole state is in ``state``, so an interruption costs one epoch at most.

    Args:
        run: What to train.
        build: Makes the model to train.
        state: A folder for the state of the run; made if it does not exist.
        resume: Go on from the state of an interrupted run.
        on_start: Called with the score before the first epoch, where there is one.
        on_step: Called with (epoch, step, steps in an epoch) after every step, all counted from 1.
        on_epoch: Called after every epoch.
        on_wait: Called with a line to show before something else than an epoch takes a while.
        begins_trained: The model is good for something before the first epoch: it is scored on validation then, and
            kept unless an epoch is better.

    Raises:
        InputError: ``resume`` is asked for and ``state`` holds no interrupted run, or another one.

    Examples:
        >>> from dataclasses import replace
        >>> from pathlib import Path
        >>> from edgeport.train import RECIPES, Run, build_model, fit, load_dataset
        >>> run = Run("edge", load_dataset("mnist-5k"), replace(RECIPES["edge"], epochs=1), seed=0)
        >>> build = lambda: build_model("edge", image_shape=(28, 28, 1), class_count=10)
        >>> len(fit(run, build, state=Path("state")).history)
        1
    """
    keras.utils.set_random_seed(run.seed)
    tf.config.experimental.enable_op_determinism()
    model, history, start = _restore(run, state) if resume else (_compiled(build(), run), [], None)
    validation = _examples(run, run.dataset.validation, batch_size=500)
    if begins_trained and not resume:
        start = ValidationScore(*model.evaluate(validation, verbose=0))
    if start is not None:
        on_start(start)
    if not resume and (begins_trained or not run.recipe.epochs):
        # Before its first step an optimizer has no state, and Keras warns when it reads none.
        model.optimizer.build(model.trainable_variables)
        _store(run, model, history, start, state)
    for number in range(len(history) + 1, run.recipe.epochs + 1):
        epoch_data = _augmented(run, epoch=number, on_wait=on_wait)
        history.append(_one_epoch(model, epoch_data, validation, number, on_step))
        _store(run, model, history, start, state)
        on_epoch(history[-1])
    return Fitted(load_best(state), history, start)


def _one_epoch(
    model: keras.Model, data: tf.data.Dataset, validation: tf.data.Dataset, number: int, on_step: OnStep
) -> Epoch:
    started = time.perf_counter()
    progress = keras.callbacks.LambdaCallback(on_train_batch_end=partial(_report_step, on_step, number, len(data)))
    fitted = model.fit(data, shuffle=False, verbose=0, callbacks=[progress]).history
    loss, accuracy = model.evaluate(validation, verbose=0)
    return Epoch(
        number=number,
        loss=fitted["loss"][0],
        accuracy=fitted["accuracy"][0],
        validation_loss=loss,
        validation_accuracy=accuracy,
        seconds=time.perf_counter() - started,
    )


def load_best(state: Path) -> keras.Model:
    """Return the model of the best epoch so far; raises InputError if no epoch was finished."""
    return keras.models.load_model(_newest(state) / _BEST, compile=False)


def probabilities_of(
    model: keras.Model, split: Split, *, takes: Input = RAW_PIXELS
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the model's float32 output for every image of a split, of shape (n, classes)."""
    batches = tf.data.Dataset.from_tensor_slices(split.samples).batch(500)
    batches = batches.map(lambda samples: real_values(samples, takes))
    probabilities: np.ndarray[Any, np.dtype[np.float32]] = model.predict(untuned(batches), verbose=0)
    return probabilities


def _report_step(on_step: OnStep, epoch: int, steps: int, step: int, logs: object) -> None:
    on_step(epoch, step + 1, steps)


def _compiled(model: keras.Model, run: Run) -> keras.Model:
    recipe = run.recipe
    steps = recipe.epochs * (len(run.dataset.train) // _batch_size(run))
    warmup_steps = max(1, round(steps * recipe.warmup))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, steps - warmup_steps),
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup_steps,
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(),
        metrics=["accuracy"],
        steps_per_execution=_STEPS_AT_A_TIME,
    )
    return model


def _batch_size(run: Run) -> int:
    return min(run.recipe.batch_size, len(run.dataset.train))


def _augmented(run: Run, *, epoch: int, on_wait: OnWait) -> tf.data.Dataset:
    """Return one epoch of training batches; its order and its augmentation depend on seed and epoch alone."""
    split, recipe, batch_size = run.dataset.train, run.recipe.in_epoch(epoch), _batch_size(run)
    order = np.random.default_rng((run.seed, epoch)).permutation(len(split))
    changes, targets = _lesson(run, epoch=epoch, on_wait=on_wait)
    examples = tf.data.Dataset.from_tensor_slices((split.samples[order], changes[order], targets[order]))

    def prepare(images: tf.Tensor, drawn: tf.Tensor, wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if not run.dataset.is_pixels:
            return real_values(images, run.takes), wanted
        return as_taken(augment(as_floats(images), drawn, recipe), run.takes), wanted

    batches = examples.batch(batch_size, drop_remainder=True).map(prepare, num_parallel_calls=2)
    return untuned(batches.prefetch(_BATCHES_AHEAD))


def _lesson(run: Run, *, epoch: int, on_wait: OnWait) -> tuple[Changes, Answers]:
    """Return how each training image is changed in this epoch, and the float32 target of each, (n, classes)."""
    split, recipe, class_count = run.dataset.train, run.recipe.in_epoch(epoch), len(run.dataset.labels)
    labels = np.eye(class_count, dtype=np.float32)[split.classes]
    if run.teacher is None:
        smoothed = labels * (1 - recipe.label_smoothing) + np.float32(recipe.label_smoothing / class_count)
        return draw_changes(len(split), seed=(run.seed, epoch)), smoothed
    # Seeds that run side by side begin with other copies, so that the teacher answers none of them twice.
    copy = (run.seed + epoch) % recipe.copies
    answers = softened(
        teacher_answers(run.teacher, run.dataset, recipe, copy=copy, on_wait=on_wait), recipe.temperature
    )
    share = np.float32(recipe.teacher_share)
    return draw_changes(len(split), seed=(0, copy)), (1 - share) * labels + share * answers


def _examples(run: Run, split: Split, *, batch_size: int) -> tf.data.Dataset:
    examples = tf.data.Dataset.from_tensor_slices((split.samples, split.classes)).batch(batch_size)

    def prepare(samples: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return real_values(samples, run.takes), tf.one_hot(classes, len(run.dataset.labels))

    return untuned(examples.map(prepare))


def _store(run: Run, model: keras.Model, history: list[Epoch], start: ValidationScore | None, state: Path) -> None:
    """Write the state of this epoch, then point at it, then remove the one before it."""
    folder = state / f"epoch-{len(history):04d}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.save(folder / _LAST)
    states = [variable.numpy().tolist() for variable in _random_states(model)]
    (folder / _RANDOM).write_text(json.dumps(states), encoding="utf-8")
    # An epoch that is not the best when it ends never becomes it, so its weights need not be kept.
    count = len(run.dataset.validation)
    if not history or best_epoch(history, validation_count=count, start=start) == history[-1].number:
        model.save(folder / _BEST, include_optimizer=False)
    else:
        shutil.copyfile(_newest(state) / _BEST, folder / _BEST)
    write_history(state / HISTORY, run.identity, history, start)
    for older in set(state.glob("epoch-*")) - {folder}:
        shutil.rmtree(older)


def _restore(run: Run, state: Path) -> Fitted:
    identity, history, start = read_history(state / HISTORY)
    different = [key for key, value in run.identity.items() if identity.get(key) != value]
    if different:
        raise InputError(
            f"{state.parent} holds an interrupted run with another {', '.join(different)}: "
            "give the same options, or start again with --overwrite"
        )
    try:
        model = keras.models.load_model(_newest(state) / _LAST)
        saved = json.loads((_newest(state) / _RANDOM).read_bytes())
        for variable, value in zip(_random_states(model), saved, strict=True):
            variable.assign(value)
        return Fitted(model, history, start)
    except Exception as error:  # Keras raises whatever a damaged file leads it into
        raise InputError(f"the interrupted run in {state.parent} is damaged: start again with --overwrite") from error


def _random_states(model: keras.Model) -> list[keras.Variable]:
    """Return where dropout has come to in its random numbers; a Keras file does not hold that."""
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]


def _newest(state: Path) -> Path:
    _, history, _ = read_history(state / HISTORY)
    return state / f"epoch-{len(history):04d}"
