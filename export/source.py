"""The Keras model to export, and its twin that stops at the logits."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras

from edgeport.runtime.errors import ArtefactError, ExportError, InputError
from edgeport.train.record import record_beside

_SPLIT_ACTIVATIONS = ("softmax", "sigmoid")


@dataclass(frozen=True, eq=False)
class Source:
    """A Keras model and what is known about it.

    Attributes:
        name: What its artefacts are called.
        file: Where it was read from.
        sha256: The digest of that file.
        model: The model, with one input of images and one output.
        logits: The same model without its last activation; the same object if it ends in none.
        activation: What leads from the logits to probabilities: ``softmax``, ``sigmoid`` or ``none``.
        ends_in_logits: Whether the model leaves that activation to the runtime.
        labels: The name of each class, or empty.
        dataset: The data set that it was trained on, or empty.
        dataset_sha256: The digest of that data set, or empty.
    """

    name: str
    file: Path
    sha256: str
    model: keras.Model
    logits: keras.Model
    activation: str
    ends_in_logits: bool
    labels: tuple[str, ...]
    dataset: str
    dataset_sha256: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an input image."""
        height, width, channels = self.model.inputs[0].shape[1:]
        return height, width, channels


def load_source(path: Path, *, name: str | None = None, activation: str | None = None) -> Source:
    """Read a ``.keras`` or ``.h5`` file, and what the training.json beside it says.

    Args:
        path: The model file.
        name: What to call the artefacts; by default what training.json calls the model, else the file's stem.
        activation: For a model that ends in logits, what the runtime shall apply: ``softmax`` or ``sigmoid``.

    Raises:
        ArtefactError: The file is missing, damaged or no Keras model.
        ExportError: The model is of a kind that cannot be exported.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {error.strerror}") from error
    if path.suffix not in (".keras", ".h5"):
        raise ArtefactError(f"{path}: the name of a Keras model ends with .keras or .h5")
    # Keras reports a truncated file as one that was not found.
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ArtefactError(f"{path} is truncated or no Keras model: copy it again, or save it with model.save()")
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever a damaged or foreign file leads it into
        raise ArtefactError(f"{path}: Keras cannot load it ({_first_line(error)})") from error
    sha256 = hashlib.sha256(content).hexdigest()
    record = record_beside(path, sha256=sha256)
    _check_interface(model, path)
    logits, last_activation = split_activation(model)
    if activation is not None and last_activation != "none":
        raise InputError(f"--activation {activation}: {path} ends in a {last_activation} of its own, leave it out")
    return Source(
        name=_artefact_name(name or (record.model if record else path.stem)),
        file=path,
        sha256=sha256,
        model=model,
        logits=logits,
        activation=activation or last_activation,
        ends_in_logits=activation is not None,
        labels=_labels(record.labels if record else (), model),
        dataset=record.dataset if record else "",
        dataset_sha256=record.dataset_sha256 if record else "",
    )


def split_activation(model: keras.Model) -> tuple[keras.Model, str]:
    """Return the model without its last activation, sharing its weights, and the name of that activation.

    A softmax or sigmoid in integers loses the ranking of near ties and differs between CPUs, so integer
    artefacts stop before it and the runtime applies it in float32.
    """
    last, node, _ = model.outputs[0]._keras_history
    inputs = last._inbound_nodes[node].input_tensors
    if isinstance(last, keras.layers.Softmax) or type(last).__name__ == "Activation":
        name = "softmax" if isinstance(last, keras.layers.Softmax) else _name_of(last.activation)
        logits = inputs[0]
    elif hasattr(last, "activation"):
        name = _name_of(last.activation)
        if name not in _SPLIT_ACTIVATIONS:
            return model, "none"
        linear = type(last).from_config({**last.get_config(), "activation": "linear", "name": "logits"})
        linear.build(inputs[0].shape)
        linear.set_weights(last.get_weights())
        logits = linear(inputs[0])
    else:
        return model, "none"
    if name not in _SPLIT_ACTIVATIONS:
        return model, "none"
    return keras.Model(model.inputs, logits, name=model.name), name


def _name_of(activation: object) -> str:
    """Return a function's name; an activation may also be a layer or any other callable, which has none."""
    return getattr(activation, "__name__", "")


def normalises(model: keras.Model) -> bool:
    """Return whether the model has a layer that brings raw pixels to the range it works in."""
    kinds = (keras.layers.Rescaling, keras.layers.Normalization, keras.layers.BatchNormalization)
    layers = (layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.Model))
    first = next((layer for layer in layers if layer.weights or isinstance(layer, kinds)), None)
    return isinstance(first, kinds)


def _check_interface(model: keras.Model, path: Path) -> None:
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    if len(inputs) != 1 or len(outputs) != 1:
        raise ExportError(
            f"{path}: got {len(inputs)} inputs and {len(outputs)} outputs, expected a Functional or "
            "Sequential model with one of each"
        )
    output = outputs[0].shape
    if isinstance(getattr(model, "_outputs_struct", None), dict) or len(output) != 2 or not output[1] or output[1] < 2:
        raise ExportError(
            f"{path}: got an output of shape {output}, expected one tensor of 2 or more classes, (None, classes)"
        )
    shape = inputs[0].shape
    if len(shape) != 4 or None in shape[1:]:
        raise ExportError(f"{path}: got an input of shape {shape}, expected images (None, height, width, channels)")


def _artefact_name(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\\" in name:
        raise InputError(f"--name: got {name!r}, expected a file name without folders")
    return name


def _labels(labels: tuple[str, ...], model: keras.Model) -> tuple[str, ...]:
    return labels if len(labels) == model.outputs[0].shape[-1] else ()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
