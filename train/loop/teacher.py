"""A teacher: a trained model whose answers a smaller one learns from (Hinton et al., arXiv 1503.02531).

Its answers for an augmented copy of the train split are computed once and kept beside its file, since every student
and every seed learns from the same copies.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.input_kinds import RAW_PIXELS, kind_text
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole
from edgeport.train.datasets.dataset import Dataset
from edgeport.train.loop.augmentation import augment, draw_changes
from edgeport.train.loop.pixels import as_floats, as_taken
from edgeport.train.loop.recipe import Recipe
from edgeport.train.loop.untuned import untuned
from edgeport.train.models.keras_file import keras_file_sha256, open_classifier

Answers = npt.NDArray[np.float32]
ROLE = "teacher"

# The folder beside the teacher's file for the answers that were computed already.
ANSWERS = "teacher-answers"
_BATCH = 500
# A smaller probability has no logarithm that is worth learning from.
_LEAST = 1e-7


def teacher_answers(
    path: Path, dataset: Dataset, recipe: Recipe, *, copy: int, on_wait: Callable[[str], None] = lambda text: None
) -> Answers:
    """Return the teacher's probabilities for every image of an augmented copy of the train split.

    Args:
        path: The teacher's Keras file: pixels in, one probability per class out.
        dataset: Whose train split is augmented.
        recipe: How far each image is changed.
        copy: Which copy; its changes are ``draw_changes(..., seed=(0, copy))``.
        on_wait: Called with a line to show before the answers are computed, which takes a while.

    Returns:
        float32 of shape (n, classes), in the order of the train split.

    Raises:
        InputError: The file is no model that gives probabilities for these images and classes, or the kept answers are
            damaged.
    """
    model, port = open_teacher(path, dataset)
    facts = [keras_file_sha256(path, role=ROLE), dataset.sha256, recipe.augmentation]
    # What was kept before it was a choice is of raw pixels.
    takes = [] if kind_text(port) == kind_text(RAW_PIXELS) else [kind_text(port)]
    key = json.dumps([*facts, *takes]).encode()
    kept = path.parent / ANSWERS / f"{hashlib.sha256(key).hexdigest()[:16]}-{copy:03d}.npy"
    shape = (len(dataset.train), len(dataset.labels))
    if kept.is_file():
        return _read(kept, shape)
    on_wait(f"the teacher answers copy {copy + 1} of {recipe.copies}")
    answers = _computed(model, port, dataset, recipe, copy=copy)
    buffer = io.BytesIO()
    np.save(buffer, answers, allow_pickle=False)
    try:
        kept.parent.mkdir(exist_ok=True)
        write_whole(kept, buffer.getvalue())
    except OSError as error:
        raise InputError(
            f"the teacher's answers cannot be kept in {kept.parent} ({error.strerror}): copy the teacher to a folder "
            "that can be written"
        ) from error
    return answers


def softened(answers: Answers, temperature: float) -> Answers:
    """Return probabilities whose logits were divided by the temperature, of the same shape."""
    powers = np.maximum(answers, _LEAST) ** (1 / temperature)
    result: Answers = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return result


@lru_cache(maxsize=1)
def open_teacher(path: Path, dataset: Dataset) -> tuple[keras.Model, Input]:
    """Return the model of a Keras file and what it takes; raises InputError if it cannot teach this data set."""
    model, port = open_classifier(path, dataset, role=ROLE)
    if not dataset.is_pixels:
        raise InputError(f"{ROLE} {path}: got samples that are no images ({dataset.name}), expected uint8 images")
    return model, port


def _computed(model: keras.Model, port: Input, dataset: Dataset, recipe: Recipe, *, copy: int) -> Answers:
    split = dataset.train
    changes = draw_changes(len(split), seed=(0, copy))
    batches = tf.data.Dataset.from_tensor_slices((split.samples, changes)).batch(_BATCH)
    moved = batches.map(lambda images, drawn: as_taken(augment(as_floats(images), drawn, recipe), port))
    answers: Answers = model.predict(untuned(moved), verbose=0)
    return answers


def _read(path: Path, shape: tuple[int, int]) -> Answers:
    try:
        answers: Answers = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged: remove it, and it is computed anew") from error
    # An archive of several arrays has neither shape nor dtype.
    if not isinstance(answers, np.ndarray) or answers.shape != shape or answers.dtype != np.float32:
        raise InputError(f"{path} is damaged: remove it, and it is computed anew")
    return answers
