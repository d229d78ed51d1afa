"""SavedModel folders, of Keras 3, TensorFlow 2 and Keras 2 alike."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from edgeport.export.sources.graph import tidy
from edgeport.export.sources.opened import Opened
from edgeport.runtime.errors import ArtefactError, ExportError

_DEFAULT_SIGNATURE = "serving_default"


def is_saved_model(folder: Path) -> bool:
    """Return whether a folder is a SavedModel."""
    return (folder / "saved_model.pb").is_file()


def open_saved_model(folder: Path) -> Opened:
    """Read a SavedModel's serving signature.

    It is read by the loader of TensorFlow 1, which needs the graph alone. That of TensorFlow 2 rebuilds the Python
    objects, which fails for what Keras 2 saved with an optimizer (``'_UserObject' object has no attribute
    'add_slot'``).

    Raises:
        ArtefactError: The folder is damaged, or has no signature to serve.
        ExportError: The signature's inputs or outputs are no plain tensors.
    """
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    try:
        with graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
    except Exception as error:  # the loader raises whatever a damaged file leads it into
        raise ArtefactError(f"{folder}: TensorFlow cannot load it ({' '.join(str(error).split())[:300]})") from error
    signature = _signature(meta_graph, folder)
    inputs = {name: tensor.name for name, tensor in sorted(signature.inputs.items())}
    outputs = {name: tensor.name for name, tensor in sorted(signature.outputs.items())}
    if not all((*inputs.values(), *outputs.values())):
        raise ExportError(f"{folder}: its signature has inputs or outputs that are not dense tensors")
    ends = [name.partition(":")[0] for name in outputs.values()]
    definition = tf.compat.v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ends)
    fed = [graph.get_tensor_by_name(name) for name in inputs.values()]
    fetched = [graph.get_tensor_by_name(name) for name in outputs.values()]

    def call(arrays: Sequence[Any]) -> list[Any]:
        return list(session.run(fetched, dict(zip(fed, arrays, strict=True))))

    return Opened(
        what=str(folder),
        name=folder.resolve().name,
        file=folder,
        sha256=digest_of(folder),
        graph=tidy(definition, inputs=inputs, outputs=outputs),
        call=call,
    )


def digest_of(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of all files in a folder, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _signature(meta_graph: Any, folder: Path) -> Any:
    signatures = {name: each for name, each in meta_graph.signature_def.items() if each.inputs and each.outputs}
    if _DEFAULT_SIGNATURE in signatures:
        return signatures[_DEFAULT_SIGNATURE]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    raise ArtefactError(
        f"{folder}: got the signatures {', '.join(sorted(signatures)) or 'none'}, expected {_DEFAULT_SIGNATURE}: save "
        "it with model.export(), or with tf.saved_model.save(model, folder, signatures=...)"
    )
