"""Models of Keras 2: opened by tf-keras, its authors' own package for TensorFlow as it is today.

Keras 3 opens some files of Keras 2 too, and gives other answers: its ``hard_sigmoid`` has another slope, for example.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tf_keras

from edgeport.export.sources.keras.configuration_check import code_in, registered_names
from edgeport.export.sources.keras.keras_3 import holds_code, load_error
from edgeport.export.sources.opened import ModelOrigin, Opened
from edgeport.export.sources.tracing import Signature, open_traced, path_names, unique_names, with_names
from edgeport.runtime.errors import ExportError, InputError


def load_keras_2(path: Path, config: Any, custom_objects: Mapping[str, Any]) -> tf_keras.Model:
    """Return the model of a ``.h5``, ``.hdf5`` or ``.keras`` file of Keras 2; no code in it is executed.

    Args:
        path: The file.
        config: The architecture that it holds, as JSON.
        custom_objects: The layers and functions that Keras does not know, by name.

    Raises:
        ArtefactError: tf-keras cannot load it.
        ExportError: The model needs custom objects that were not given, or holds code.
        InputError: The custom objects are those of Keras 3.
    """
    of_keras_3 = [name for name, each in custom_objects.items() if _is_of_keras_3(each)]
    if of_keras_3:
        raise InputError(
            f"--custom-objects: {of_keras_3[0]} is made for Keras 3, and {path} was written by Keras 2: import "
            "tf_keras in place of keras or tensorflow.keras in that file"
        )
    # tf-keras looks a registered object up under that name first, then imports the module that the file names.
    registered = {name: custom_objects[own] for name, own in registered_names(config).items() if own in custom_objects}
    known = {**custom_objects, **registered}
    code = code_in(config, known)
    if code.startswith("the name "):
        name = code.rpartition(".")[2]
        raise ExportError(
            f"{path} needs {name}, which tf-keras does not know: give --custom-objects FILE.py that defines it "
            f'(in Python: custom_objects={{"{name}": {name}}})'
        )
    if code:
        raise holds_code(path, code)
    try:
        return tf_keras.models.load_model(path, compile=False, custom_objects=known, safe_mode=True)
    except Exception as error:  # tf-keras raises whatever a damaged or foreign file leads it into
        raise load_error(path, error, library="tf-keras") from error


def open_keras_2(model: tf_keras.Model, origin: ModelOrigin) -> Opened:
    """Trace a model.

    Raises:
        ExportError: It does not know the shape of its inputs, or cannot be traced.
    """
    layers = list(model._flatten_layers(include_self=False))
    for layer in layers:
        # Neither format's CPU kernels compute in float16.
        if layer.variable_dtype == "float32" and layer.compute_dtype in ("float16", "bfloat16"):
            layer._set_dtype_policy(tf_keras.mixed_precision.Policy("float32"))
    arguments = model.save_spec()
    if arguments is None:
        raise ExportError(
            f"{origin.what} does not know the shape of its inputs: call it once on real data, then save it again"
        )
    positional, named = arguments
    flat = tf.nest.flatten(positional)
    positional = with_names(positional, unique_names([spec.name or "input" for spec in flat]))

    def output_names(structure: Any) -> list[str]:
        names = getattr(model, "output_names", None)
        return path_names(structure) if isinstance(structure, Mapping) or not names else unique_names(names)

    vocabularies = [layer.input_dim for layer in layers if isinstance(layer, tf_keras.layers.Embedding)]
    return open_traced(
        partial(model, training=False),
        Signature(tuple(positional), named),
        origin,
        output_names=output_names,
        layers=[model.name, *(layer.name for layer in layers)],
        vocabulary=min(vocabularies, default=None),
    )


def _is_of_keras_3(custom_object: Any) -> bool:
    return isinstance(custom_object, type) and issubclass(custom_object, (keras.layers.Layer, keras.Model))
