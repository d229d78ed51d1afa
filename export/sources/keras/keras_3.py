"""Models of Keras 3: from a file, or as an object, to one traced graph."""

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from edgeport.export.conversion.foreign_messages import cleaned
from edgeport.export.sources.keras.configuration_check import dictionaries
from edgeport.export.sources.opened import ModelOrigin, Opened
from edgeport.export.sources.tracing import Signature, open_traced, path_names, unique_names
from edgeport.runtime.errors import ArtefactError, ExportError
from edgeport.train.models.keras_writer import HDF5_SUFFIXES
from edgeport.train.quantization_aware import fake_quantization  # noqa: F401  (registers its layers with Keras)

_UNKNOWN_OBJECT = re.compile(r"(?:Could not locate (?:class|function)|Unknown [a-z ]+:?) '?\"?([\w>.]+)")

# How Keras writes a lambda that is an activation: as its bytes.
_LAMBDA_ACTIVATION = "Could not interpret activation function identifier: {'value': ["


def load_keras_3(path: Path, config: Any, custom_objects: Mapping[str, Any]) -> keras.Model:
    """Return the model of a ``.keras`` or ``.h5`` file; nothing in it is executed (Keras' safe mode).

    Args:
        path: The file.
        config: The architecture that it holds, as JSON.
        custom_objects: The layers and functions that Keras does not know, by name.

    Raises:
        ArtefactError: Keras cannot load it.
        ExportError: The model needs custom objects that were not given, or holds code.
    """
    functions = _functions_in(config) if path.suffix in HDF5_SUFFIXES else []
    if functions:
        raise ArtefactError(
            f"{path} uses {functions[0]}, a function that Keras 3 writes into HDF5 files and cannot read back: build "
            "the model in Python, call load_weights() with this file, and save it with model.save('model.keras')"
        )
    try:
        return keras.models.load_model(path, compile=False, custom_objects=dict(custom_objects), safe_mode=True)
    except Exception as error:  # Keras raises whatever a damaged or foreign file leads it into
        raise load_error(path, error) from error


def open_keras_3(model: keras.Model, origin: ModelOrigin) -> Opened:
    """Trace a model.

    Raises:
        ExportError: It does not know the shape of its inputs, or cannot be traced.
    """
    _compute_in_float32(model)

    def output_names(structure: Any) -> list[str]:
        if isinstance(model, keras.Sequential):
            return unique_names([model.layers[-1].name])
        if not isinstance(structure, Mapping) and getattr(model, "outputs", None):
            return unique_names([tensor._keras_history.operation.name for tensor in model.outputs])
        return path_names(structure)

    vocabularies = [layer.input_dim for layer in _layers(model) if isinstance(layer, keras.layers.Embedding)]
    return open_traced(
        partial(model, training=False),
        _signature(model, origin.what),
        origin,
        output_names=output_names,
        layers=[model.name, *(layer.name for layer in _layers(model))],
        vocabulary=min(vocabularies, default=None),
    )


def load_error(path: Path, error: Exception, *, library: str = "Keras") -> ArtefactError | ExportError:
    """Return the error for a file that Keras, or tf-keras, did not load."""
    text = " ".join(str(error).split())
    if ("ambda" in text and "safe" in text.lower()) or _LAMBDA_ACTIVATION in text:
        return holds_code(path, "a lambda")
    unknown = _UNKNOWN_OBJECT.search(text)
    if unknown:
        name = unknown.group(1).rpartition(">")[2]
        return ExportError(
            f"{path} needs {name}, which {library} does not know: give --custom-objects FILE.py that defines it "
            f'(in Python: custom_objects={{"{name}": {name}}})'
        )
    return ArtefactError(f"{path}: {library} cannot load it ({cleaned(error, file=path)})")


def holds_code(path: Path, what: str) -> ExportError:
    """Return the error for a file that would run code."""
    return ExportError(
        f"{path} holds {what}, that is Python code in the file, which edgeport does not run: rebuild the model with "
        "a registered function or layer, or build it in Python and pass the model itself to load_source"
    )


def _functions_in(config: Any) -> list[str]:
    """Return the names of the functions among a model's layers; unlike layers they are not trainable or otherwise."""
    return [
        each["class_name"]
        for each in dictionaries(config)
        if {"class_name", "inbound_nodes"} <= each.keys()
        and each["class_name"] != "InputLayer"
        and "trainable" not in each.get("config", {})
    ]


def _signature(model: keras.Model, what: str) -> Signature:
    tensors = getattr(model, "_inputs_struct", None)
    tensors = getattr(model, "inputs", None) if tensors is None else tensors
    if tensors is not None:
        if isinstance(tensors, (list, tuple)) and len(tensors) == 1:
            tensors = tensors[0]
        flat = keras.tree.flatten(tensors)
        specs = [
            tf.TensorSpec(tensor.shape, tensor.dtype, name)
            for tensor, name in zip(flat, unique_names(_input_names(flat)), strict=True)
        ]
        return Signature((keras.tree.pack_sequence_as(tensors, specs),))
    config = model.get_build_config() or {}
    if "shapes_dict" in config:
        shapes = {name.removesuffix("_shape"): shape for name, shape in config["shapes_dict"].items()}
        if all(map(_is_shape, shapes.values())):
            return Signature(
                named={name: tf.TensorSpec((None, *shape[1:]), tf.float32, name) for name, shape in shapes.items()}
            )
    if _is_shape(config.get("input_shape")):
        _check_one_argument(model, what)
        return Signature((tf.TensorSpec((None, *config["input_shape"][1:]), tf.float32, "input"),))
    raise ExportError(f"{what} does not know the shape of its inputs: call it once on real data, then save it again")


def _check_one_argument(model: keras.Model, what: str) -> None:
    """Raise ExportError for a subclassed model with more inputs than the one whose shape Keras has noted."""
    parameters = [
        name
        for name, each in inspect.signature(model.call).parameters.items()
        if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD and name not in ("training", "mask")
    ]
    if len(parameters) > 1:
        shapes = ", ".join(f"{name}_shape" for name in parameters)
        raise ExportError(
            f"{what} takes several arguments ({', '.join(parameters)}), and knows the shape of the first alone: give "
            f"it a method build(self, {shapes}), or wrap it in keras.Model(inputs, outputs)"
        )


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(axis is None or isinstance(axis, int) for axis in value)


def _input_names(tensors: Sequence[Any]) -> list[str]:
    # Keras numbers inputs that nobody named, and counts on through the process.
    generated = ["input"] if len(tensors) == 1 else [f"input_{number}" for number in range(len(tensors))]
    return [
        name if tensor.name.startswith("keras_tensor") else tensor.name
        for tensor, name in zip(tensors, generated, strict=True)
    ]


def _compute_in_float32(model: keras.Model) -> None:
    """Let mixed-precision layers compute in float32: neither format's CPU kernels compute in float16."""
    for layer in _layers(model):
        if layer.variable_dtype == "float32" and layer.compute_dtype in ("float16", "bfloat16"):
            layer.dtype_policy = "float32"


def _layers(model: keras.Model) -> list[Any]:
    return list(model._flatten_layers(include_self=False))
