"""What the configuration of a Keras 2 file would make tf-keras run, found before tf-keras reads it.

tf-keras runs lambdas of HDF5 files, imports any module that a ``.keras`` file names, and calls any TensorFlow function
that a layer of the functional API stands for, file operations included. Keras 3 has a safe mode for all of that.
"""

import re
from collections.abc import Container, Iterator
from typing import Any

_OWN_MODULES = re.compile(r"(?:(?:tf_)?keras|tensorflow\.(?:python\.)?keras)(?:\.|$)|builtins$")
# Layers that call TensorFlow functions by name, with what the name must be like: functions of tensors alone.
_PURE_FUNCTIONS = re.compile(
    r"(?:compat\.v1\.)?(?:(?:math|nn|linalg|image|signal|strings|debugging|bitwise|quantization|random|sparse|ragged|dtypes|sets|"
    r"__operators__|keras\.(?:backend|activations|ops))\.)?(?:[a-z0-9_]+|__operators__\.[a-z]+)$"
)
_IMPURE_NAMES = re.compile(r"py_func|numpy_func|^load_|(?:^|\.)(?:print|Assert|read|write|save|load)|_file|variable")
_TENSOR_CLASSES = ("RaggedTensor", "SparseTensor", "Tensor", "TensorShape")


def code_in(config: Any, known: Container[str]) -> str:
    """Return in a few words the first thing in a configuration that would run code, or an empty text.

    Args:
        config: The configuration, as JSON has it.
        known: The names of the objects that the user has given.
    """
    for entry in dictionaries(config):
        found = _code_of(entry, known)
        if found:
            return found
    return ""


def registered_names(config: Any) -> dict[str, str]:
    """Return the names under which Keras 2 has registered custom objects, each with the object's own name."""
    names = (entry.get(key) for entry in dictionaries(config) for key in ("registered_name", "class_name"))
    return {name: name.rpartition(">")[2] for name in names if isinstance(name, str) and ">" in name}


def _code_of(entry: dict[str, Any], known: Container[str]) -> str:
    kind, config = str(entry.get("class_name", "")), entry.get("config")
    inner: dict[str, Any] = config if isinstance(config, dict) else {}
    name = str(inner.get("name", kind))
    if kind == "__lambda__" or any(key.endswith("_type") and value == "lambda" for key, value in inner.items()):
        return f"a lambda (layer {name})"
    module = entry.get("module")
    own = config if kind == "function" and isinstance(config, str) else kind
    if isinstance(module, str) and not _OWN_MODULES.match(module) and own not in known:
        return f"the name {module}.{own}"
    if kind in ("TFOpLambda", "SlicingOpLambda"):
        function = str(inner.get("function", ""))
        if not _PURE_FUNCTIONS.match(function) or _IMPURE_NAMES.search(function):
            return f"the function tf.{function} (layer {name})"
    symbol = inner.get("cls_symbol")
    if symbol is not None and symbol not in _TENSOR_CLASSES:
        return f"a method of tf.{symbol} (layer {name})"
    return ""


def dictionaries(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON value, outer ones first; a deep one does not exhaust the stack."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(reversed(value.values()))
        elif isinstance(value, list):
            waiting.extend(reversed(value))
