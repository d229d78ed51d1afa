"""A Keras file that a training run goes on from, or learns from: opened, and held against the data set."""

import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain
from edgeport.train.datasets.dataset import Dataset
from edgeport.train.models.keras_writer import read_keras_file

# So many answers tell probabilities from logits.
_LOOKED_AT = 16


def keras_file_sha256(path: Path, *, role: str) -> str:
    """Return the digest of a file; raises InputError, which names the role that it has, if it cannot be read."""
    return hashlib.sha256(read_plain(path, most=MOST_MODEL, error=InputError, who=role)).hexdigest()


def open_keras_file(path: Path, *, role: str) -> keras.Model:
    """Return the model of a file with its weights; raises InputError, which names its role, if it holds none."""
    file = read_keras_file(path)
    if file.major != 3:
        raise InputError(
            f"{role} {path}: got a model of Keras {file.version}, expected one of Keras 3: some layers compute "
            "otherwise there, so it can be exported and not trained on; build it in Keras 3, and load its weights"
        )
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever a damaged file leads it into
        raise InputError(
            f"{role} {path}: no Keras model, a damaged one, or one with layers that are not Keras's own"
        ) from error


def check_classifier(model: keras.Model, dataset: Dataset, *, name: str) -> None:
    """Raise InputError if a model does not take raw pixels and give one probability per class of the data set.

    Args:
        model: The model.
        dataset: The data set; some of its validation images are answered.
        name: What the message calls the model.
    """
    classes = len(dataset.labels)
    if shapes_of(model) != (dataset.sample_shape, (classes,)):
        taken, given = shapes_of(model)
        raise InputError(
            f"{name}: got a model from {taken} to {given}, expected {dataset.sample_shape} to ({classes},): the "
            f"{dataset.noun} of {dataset.name} and its {classes} classes"
        )
    # Called, not predict: that would compile the model, before the run has said how.
    answers = keras.ops.convert_to_numpy(model(dataset.validation.samples[:_LOOKED_AT].astype(np.float32)))
    if not (answers.min() >= 0 and np.allclose(answers.sum(axis=1), 1, atol=1e-3)):
        raise InputError(f"{name}: got answers that are no probabilities, expected a model that ends in a softmax")


def shapes_of(model: keras.Model) -> tuple[Any, Any]:
    """Return the shape of a sample and of its answer; something else than tuples if there are several of them."""
    # A subclassed model that was never called has no shapes.
    shapes = (getattr(model, name, None) for name in ("input_shape", "output_shape"))
    taken, given = (shape[1:] if isinstance(shape, tuple) else shape for shape in shapes)
    return taken, given


def input_of(model: keras.Model, *, name: str) -> Input:
    """Return the one input of a model; raises InputError if it has another count of them, or no shape yet."""
    taken, _ = shapes_of(model)
    if not isinstance(taken, tuple):
        raise InputError(f"{name}: got a model that takes {taken}, expected one input of a known shape")
    (tensor,) = model.inputs
    return Input(tensor.name, (None, *taken), keras.backend.standardize_dtype(tensor.dtype))
