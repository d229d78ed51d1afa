"""SavedModel folders, of Keras 3, TensorFlow and Keras 2 alike."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from edgeport.export.conversion.foreign_messages import cleaned
from edgeport.export.sources.opened import ModelOrigin, Opened
from edgeport.export.sources.tracing import Signature, open_traced
from edgeport.export.sources.untrusted_operators import check_saved_model
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain
from edgeport.runtime.files.temporary import temporary_folder

_GRAPH, _IN_PIECES = "saved_model.pb", "saved_model.cpb"
_DEFAULT_SIGNATURE = "serving_default"


def is_saved_model(folder: Path) -> bool:
    """Return whether a folder is a SavedModel."""
    return (folder / _GRAPH).is_file()


def open_saved_model(folder: Path) -> Opened:
    """Read and trace a SavedModel's serving signature: the graph that the writing library has made of the model.

    Raises:
        ArtefactError: The folder is damaged, or has no signature to serve.
        ExportError: The signature takes text, or is more than a function of its inputs.
        InputError: An operator reaches out of the graph, to files, processes or Python.
    """
    if (folder / _IN_PIECES).exists():
        # TensorFlow would take it in the place of the one that was looked through.
        raise ArtefactError(f"{folder} holds {_IN_PIECES}: save the model anew, as {_GRAPH} alone")
    check_saved_model(read_plain(folder / _GRAPH, most=MOST_MODEL), name=str(folder))
    try:
        with _without_slots(folder) as readable:
            loaded = tf.saved_model.load(str(readable), tags=["serve"])
    except Exception as error:  # the loader raises whatever a damaged file leads it into
        raise ArtefactError(f"{folder}: TensorFlow cannot load it ({cleaned(error, file=folder)})") from error
    key = _signature(loaded.signatures, folder)
    _, inputs = loaded.signatures[key].structured_input_signature

    def call(**tensors: Any) -> Any:
        # A function does not keep its variables; what was loaded does.
        return loaded.signatures[key](**tensors)

    return open_traced(
        call,
        Signature(named={name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in sorted(inputs.items())}),
        ModelOrigin(str(folder), folder.resolve().name, folder, digest_of(folder)),
        output_names=sorted,
    )


def digest_of(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of all files in a folder, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@contextmanager
def _without_slots(folder: Path) -> Iterator[Path]:
    """Yield the folder, or a copy of it whose optimizer has no slots.

    TensorFlow cannot rebuild the optimizers of Keras 2 that have them (``'_UserObject' object has no attribute
    'add_slot'``), and no model needs its optimizer to answer.
    """
    model = saved_model_pb2.SavedModel.FromString((folder / _GRAPH).read_bytes())
    nodes = [node for graph in model.meta_graphs for node in graph.object_graph_def.nodes if node.slot_variables]
    if not nodes:
        yield folder
        return
    for node in nodes:
        del node.slot_variables[:]
    with temporary_folder() as copy:
        (copy / _GRAPH).write_bytes(model.SerializeToString())
        for entry in folder.iterdir():
            if entry.name != _GRAPH:
                (copy / entry.name).symlink_to(entry.resolve())
        yield copy


def _signature(signatures: Any, folder: Path) -> str:
    served = [name for name, each in signatures.items() if each.structured_outputs]
    if _DEFAULT_SIGNATURE in served:
        return _DEFAULT_SIGNATURE
    if len(served) == 1:
        return str(served[0])
    raise ArtefactError(
        f"{folder}: got the signatures {', '.join(sorted(served)) or 'none'}, expected {_DEFAULT_SIGNATURE}: save "
        "it with model.export(), or with tf.saved_model.save(model, folder, signatures=...)"
    )
