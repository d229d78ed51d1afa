"""Keras files and objects, opened by the Keras that wrote or made them."""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgeport.export.sources.keras.keras_3 import load_keras_3, open_keras_3
from edgeport.export.sources.opened import ModelOrigin, Opened
from edgeport.runtime.errors import ExportError, MissingDependencyError
from edgeport.train.models.keras_writer import read_keras_file


def open_keras_file(path: Path, custom_objects: Mapping[str, Any]) -> Opened:
    """Read and trace a ``.keras``, ``.h5`` or ``.hdf5`` file; no code in it is executed.

    Args:
        path: The file.
        custom_objects: The layers and functions that Keras does not know, by name.

    Raises:
        ArtefactError: The file is missing, damaged or no Keras model.
        ExportError: The model needs custom objects that were not given, holds code, or cannot be traced.
        MissingDependencyError: Keras 2 wrote it, and tf-keras is not installed.
    """
    file = read_keras_file(path)
    origin = ModelOrigin(str(path), path.stem, path, hashlib.sha256(path.read_bytes()).hexdigest())
    if file.major == 3:
        return open_keras_3(load_keras_3(path, file.config, custom_objects), origin)
    try:
        from edgeport.export.sources.keras.keras_2 import load_keras_2, open_keras_2
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} was written by Keras {file.version}, and only tf-keras computes its layers as Keras 2 does: "
            "pip install tf-keras (or edgeport[export], which brings it)"
        ) from error
    return open_keras_2(load_keras_2(path, file.config, custom_objects), origin)


def open_keras_model(model: Any) -> Opened:
    """Trace a model object of Keras 3 or of tf-keras.

    Raises:
        ExportError: It is no Keras model, or cannot be traced.
    """
    # A model of tf-keras cannot exist before its module does.
    tf_keras = sys.modules.get("tf_keras")
    of_keras_2 = tf_keras is not None and isinstance(model, tf_keras.Model)
    if not of_keras_2 and not isinstance(model, keras.Model):
        raise ExportError(f"got a {type(model).__name__}, expected a Keras model, a .keras or .h5 file, or a folder")
    digest = hashlib.sha256(json.dumps(_configuration(model), sort_keys=True, default=str).encode())
    for variable in model.variables:
        digest.update(np.ascontiguousarray(variable.numpy()).data)
    origin = ModelOrigin(f"the model {model.name}", model.name, None, digest.hexdigest())
    if not of_keras_2:
        return open_keras_3(model, origin)
    from edgeport.export.sources.keras.keras_2 import open_keras_2

    return open_keras_2(model, origin)


def _configuration(model: Any) -> Any:
    try:
        return model.get_config()
    except NotImplementedError:  # a layer of the user's own without get_config, which a model object need not have
        return [(type(layer).__qualname__, layer.name) for layer in model._flatten_layers(include_self=False)]
