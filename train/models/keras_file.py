"""A Keras file that a training run goes on from, or learns from: opened, and held against the data set."""

import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.input_kinds import RAW_PIXELS, check_scaled, kind_text, parsed_input, with_kinds
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain
from edgeport.runtime.tensors.encoding import real_pixels
from edgeport.train.datasets.dataset import Dataset
from edgeport.train.models.keras_writer import read_keras_file
from edgeport.train.models.scaling import keras_scales_pixels
from edgeport.train.record import record_beside

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


def open_classifier(path: Path, dataset: Dataset, *, role: str, said: str = "") -> tuple[keras.Model, Input]:
    """Return the model of a file, and what it takes, if it gives one probability for each class of a data set.

    Args:
        path: The Keras file; the training.json beside it says what the model takes, where it is of the same model.
        dataset: The data set; some of its validation images are answered.
        role: What a message calls the model, before the path.
        said: What the model takes, as ``--input`` has it: empty where it scales raw pixels itself, or training.json
            says it.

    Raises:
        InputError: The file holds no such model, or nobody says what the pixels are to it.
    """
    model = open_keras_file(path, role=role)
    name = f"{role} {path}"
    classes = len(dataset.labels)
    if shapes_of(model) != (dataset.sample_shape, (classes,)):
        taken, given = shapes_of(model)
        raise InputError(
            f"{name}: got a model from {taken} to {given}, expected {dataset.sample_shape} to ({classes},): the "
            f"{dataset.noun} of {dataset.name} and its {classes} classes"
        )
    port = _taken(model, path, dataset, name=name, said=said)
    # Called, not predict: that would compile the model, before the run has said how.
    samples = dataset.validation.samples[:_LOOKED_AT]
    values = real_pixels(samples, port) if dataset.is_pixels else samples
    answers = keras.ops.convert_to_numpy(model(values))
    if not (answers.min() >= 0 and np.allclose(answers.sum(axis=1), 1, atol=1e-3)):
        raise InputError(f"{name}: got answers that are no probabilities, expected a model that ends in a softmax")
    return model, port


def _taken(model: keras.Model, path: Path, dataset: Dataset, *, name: str, said: str) -> Input:
    """Return what a model takes; raises InputError if it does not scale pixels, and nobody says what they are to it."""
    known = said_input(input_of(model, name=name), path, name=name, said=said)
    record = record_beside(path, sha256=keras_file_sha256(path, role=name))
    if record and record.labels != dataset.labels and sorted(record.labels) == sorted(dataset.labels):
        raise InputError(
            f"data set {dataset.name}: got the classes {', '.join(dataset.labels)}, expected "
            f"{', '.join(record.labels)}, the order that the training.json beside {path} has: give class numbers, and "
            "their names as the array labels of FILE.npz"
        )
    if record and record.input.columns and dataset.columns not in ((), record.input.columns):
        raise InputError(
            f"data set {dataset.name}: got the columns {', '.join(dataset.columns)}, expected "
            f"{', '.join(record.input.columns)}, as the training.json beside {path} says"
        )
    if not dataset.is_pixels:
        known = known if known.kind else known._replace(kind="real")
        least, largest = (float(edge(dataset.train.samples)) for edge in (np.min, np.max))
        check_scaled(known, least, largest, named=f"data set {dataset.name}")
        return known
    if known.kind == "real":
        raise InputError(f"{name} takes real values, and the images of {dataset.name} are uint8 pixels")
    if known.kind:
        return known
    if not keras_scales_pixels(model):
        raise InputError(
            f"{name} has nothing that scales the pixels of {known.name}, 0 to 255, before its first weights: say what "
            "0 and 255 are to it with --input pixels:-1:1 or pixels:0:1, or pixels:0:255 if it was trained on raw "
            "pixels"
        )
    return with_kinds([known], [RAW_PIXELS], what=name)[0]


def said_input(port: Input, path: Path, *, name: str, said: str) -> Input:
    """Return the input of a model as ``--input`` or the training.json beside its file says that it is.

    Args:
        port: The input; its kind stays empty where nobody says it.
        path: The file of the model.
        name: What messages call it.
        said: What ``--input`` has, or empty.

    Raises:
        InputError: The two do not agree, or the input cannot be of that kind.
    """
    record = record_beside(path, sha256=keras_file_sha256(path, role=name))
    (given,) = with_kinds([port], [parsed_input(said)] if said else [], what=name)
    (trained,) = with_kinds([port], [record.input] if record else [], what=name)
    if given.kind and trained.kind and given != trained:
        raise InputError(
            f"--input: got {kind_text(given)}, expected {kind_text(trained)}, as the training.json beside {path} says: "
            "leave it out"
        )
    return given if given.kind else trained


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
