"""Keras models: from a .keras or .h5 file, or as an object, to one traced graph."""

import hashlib
import inspect
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeport.export.sources.graph import Graph, freeze
from edgeport.export.sources.opened import Opened, Shapes
from edgeport.runtime.errors import ArtefactError, ExportError
from edgeport.train.fake_quantization import FakeQuantize

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_UNKNOWN_OBJECT = re.compile(r"(?:Could not locate (?:class|function)|Unknown [a-z ]+:?) '?\"?([\w>.]+)")

# How Keras writes a lambda that is an activation: as its bytes.
_LAMBDA_ACTIVATION = "Could not interpret activation function identifier: {'value': ["


def open_keras_file(path: Path, custom_objects: Mapping[str, Any]) -> Opened:
    """Read and trace a ``.keras`` or ``.h5`` file; nothing in it is executed (Keras' safe mode).

    Args:
        path: The file.
        custom_objects: The layers and functions that Keras does not know, by name.

    Raises:
        ArtefactError: The file is missing, damaged or no Keras model.
        ExportError: The model needs custom objects that were not given, or cannot be traced.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {error.strerror}") from error
    # Keras reports a truncated file as one that was not found.
    whole = _is_whole_zip(content) if path.suffix == ".keras" else content.startswith(_HDF5_MAGIC)
    if not whole:
        raise ArtefactError(f"{path} is truncated or no Keras model: copy it again, or save it with model.save()")
    try:
        model = keras.models.load_model(path, compile=False, custom_objects=dict(custom_objects), safe_mode=True)
    except Exception as error:  # Keras raises whatever a damaged or foreign file leads it into
        raise _load_error(path, error) from error
    return _opened(model, what=str(path), name=path.stem, file=path, sha256=hashlib.sha256(content).hexdigest())


def open_keras_model(model: Any) -> Opened:
    """Trace a Keras model object.

    Raises:
        ExportError: It is no Keras model, or cannot be traced.
    """
    if not isinstance(model, keras.Model):
        raise ExportError(f"got a {type(model).__name__}, expected a Keras model, a .keras or .h5 file, or a folder")
    digest = hashlib.sha256(json.dumps(model.get_config(), sort_keys=True, default=str).encode())
    for variable in model.variables:
        digest.update(np.ascontiguousarray(variable.numpy()).data)
    return _opened(model, what=f"the model {model.name}", name=model.name, file=None, sha256=digest.hexdigest())


def _is_whole_zip(content: bytes) -> bool:
    """Return whether every file in an archive has the content that its checksum tells; Keras does not read them all."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.testzip() is None
    except Exception:  # zipfile raises whatever a damaged archive leads it into
        return False


class _Arguments(tuple[tf.TensorSpec, ...]):
    """The arguments of a model whose ``call`` takes several, each named as its spec."""

    __slots__ = ()


def _opened(model: keras.Model, *, what: str, name: str, file: Path | None, sha256: str) -> Opened:
    _compute_in_float32(model)
    signature = _signature(model, what)
    try:
        function = _traced(model, signature)
    except Exception as error:  # a layer's own code runs here, and raises what it likes
        raise ExportError(f"{what} cannot be traced for export ({' '.join(str(error).split())[:300]})") from error
    outputs = _output_names(model, function)
    names = [spec.name for spec in _flat(signature)]

    def trace(shapes: Shapes) -> Graph:
        return freeze(_traced(model, signature, shapes), inputs=names, outputs=outputs)

    def call(arrays: Sequence[Any]) -> list[Any]:
        tensors = [tf.convert_to_tensor(array) for array in arrays]
        return [tensor.numpy() for tensor in tf.nest.flatten(function(*tensors))]

    vocabularies = [layer.input_dim for layer in _layers(model) if isinstance(layer, keras.layers.Embedding)]
    return Opened(
        what=what,
        name=name,
        file=file,
        sha256=sha256,
        graph=freeze(function, inputs=names, outputs=outputs),
        call=call,
        trace=trace,
        scales_pixels=_scales_pixels(model),
        vocabulary=min(vocabularies, default=None),
    )


def _traced(model: keras.Model, signature: Any, shapes: Shapes | None = None) -> Any:
    """Return the model's forward pass as a concrete function of its flat inputs, for other shapes if they are given."""
    flat = _flat(signature)
    if shapes:
        flat = [tf.TensorSpec(shapes[spec.name], spec.dtype, spec.name) for spec in flat]

    def forward(*tensors: Any) -> Any:
        if isinstance(signature, _Arguments):
            return model(**{spec.name: tensor for spec, tensor in zip(flat, tensors, strict=True)}, training=False)
        return model(keras.tree.pack_sequence_as(signature, tensors), training=False)

    return tf.function(forward, autograph=False).get_concrete_function(*flat)


def _signature(model: keras.Model, what: str) -> Any:
    """Return the model's inputs as TensorSpecs, in the structure that it is called with.

    That structure is an ``_Arguments`` for a subclassed model whose ``call`` takes several arguments.
    """
    tensors = getattr(model, "_inputs_struct", None)
    tensors = getattr(model, "inputs", None) if tensors is None else tensors
    if tensors is not None:
        if isinstance(tensors, (list, tuple)) and len(tensors) == 1:
            tensors = tensors[0]
        flat = keras.tree.flatten(tensors)
        strings = [tensor.name for tensor in flat if tensor.dtype == "string"]
        if strings:
            raise ExportError(
                f"{what} takes text ({', '.join(strings)}), and neither format's engine does: look up the tokens "
                "before the model, and export the rest"
            )
        specs = [
            tf.TensorSpec(tensor.shape, tensor.dtype, name)
            for tensor, name in zip(flat, _unique(_input_names(flat)), strict=True)
        ]
        return keras.tree.pack_sequence_as(tensors, specs)
    config = model.get_build_config() or {}
    if "shapes_dict" in config:
        shapes = {name.removesuffix("_shape"): shape for name, shape in config["shapes_dict"].items()}
        if all(map(_is_shape, shapes.values())):
            return _Arguments(tf.TensorSpec((None, *shape[1:]), tf.float32, name) for name, shape in shapes.items())
    if _is_shape(config.get("input_shape")):
        _check_one_argument(model, what)
        return tf.TensorSpec((None, *config["input_shape"][1:]), tf.float32, "input")
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


def _flat(signature: Any) -> list[tf.TensorSpec]:
    return list(signature) if isinstance(signature, _Arguments) else keras.tree.flatten(signature)


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(axis is None or isinstance(axis, int) for axis in value)


def _input_names(tensors: Sequence[Any]) -> list[str]:
    # Keras numbers inputs that nobody named, and counts on through the process.
    generated = ["input"] if len(tensors) == 1 else [f"input_{number}" for number in range(len(tensors))]
    return [
        name if tensor.name.startswith("keras_tensor") else tensor.name
        for tensor, name in zip(tensors, generated, strict=True)
    ]


def _output_names(model: keras.Model, function: Any) -> list[str]:
    struct = function.structured_outputs
    if isinstance(model, keras.Sequential):
        return _unique([model.layers[-1].name])
    if not isinstance(struct, Mapping) and getattr(model, "outputs", None):
        return _unique([tensor._keras_history.operation.name for tensor in model.outputs])
    return _unique(_paths(struct))


def _paths(struct: Any) -> list[str]:
    """Return a name for each tensor of a structure, in the order in which TensorFlow flattens it: keys sorted."""
    if isinstance(struct, Mapping):
        parts = [(str(key), struct[key]) for key in sorted(struct)]
    elif isinstance(struct, (list, tuple)):
        parts = [(str(place), each) for place, each in enumerate(struct)]
    else:
        return ["output"]
    return [name if path == "output" else f"{name}_{path}" for name, each in parts for path in _paths(each)]


def _unique(names: Sequence[str]) -> list[str]:
    """Return names that TensorFlow takes and that differ, also where case does not count."""
    unique: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name).lstrip("_") or "tensor"
        plain = f"output_{plain}" if plain[0].isdigit() else plain
        taken = {each.lower() for each in unique}
        variants = (f"{plain}_{number}" for number in range(2, len(names) + 3))
        unique.append(plain if plain.lower() not in taken else next(v for v in variants if v.lower() not in taken))
    return unique


def _compute_in_float32(model: keras.Model) -> None:
    """Let mixed-precision layers compute in float32: neither format's CPU kernels compute in float16."""
    for layer in _layers(model):
        if layer.variable_dtype == "float32" and layer.compute_dtype in ("float16", "bfloat16"):
            layer.dtype_policy = "float32"


def _scales_pixels(model: keras.Model) -> bool:
    kinds = (keras.layers.Rescaling, keras.layers.Normalization, keras.layers.BatchNormalization)
    leaves = (layer for layer in _layers(model) if not isinstance(layer, keras.Model))
    first = next((layer for layer in leaves if layer.weights or isinstance(layer, kinds)), None)
    # A quantization-aware model has its scaling in a kernel, and the range of its pixels in front.
    return isinstance(first, kinds) or (isinstance(first, FakeQuantize) and float(first.high) == 255.0)


def _layers(model: keras.Model) -> list[Any]:
    return list(model._flatten_layers(include_self=False))


def _load_error(path: Path, error: Exception) -> ArtefactError | ExportError:
    text = " ".join(str(error).split())
    if ("ambda" in text and "safe" in text.lower()) or _LAMBDA_ACTIVATION in text:
        return ExportError(
            f"{path} holds a lambda, that is Python code in the file, which edgeport does not run: rebuild the model "
            "with a registered function or layer, or build it in Python and pass the model itself to load_source"
        )
    unknown = _UNKNOWN_OBJECT.search(text)
    if unknown:
        name = unknown.group(1).rpartition(">")[2]
        return ExportError(
            f"{path} needs {name}, which Keras does not know: give --custom-objects FILE.py that defines it "
            f'(in Python: custom_objects={{"{name}": {name}}})'
        )
    # Keras tells the cause last, after whole configurations.
    cause = text.rpartition("Exception encountered: ")[2]
    return ArtefactError(f"{path}: Keras cannot load it ({cause[:300]})")
