"""From a file to what it is: read once, look for embedded metadata, let the format's reader take it apart."""

import hashlib
import importlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgeport.export.inspection.facts import ArtefactGraph, Inspection
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata, read_metadata
from edgeport.runtime.artefact.formats import format_of
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.files.plain_file import MOST_MODEL, open_plain

_HEAD = 16


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Return what an artefact is, whoever made it; nothing in it is run.

    Args:
        path: A ``.tflite`` or ``.onnx`` file.

    Raises:
        ArtefactError: The file is missing, unreadable, damaged, or not the format that its name says.

    Examples:
        >>> from edgeport.export.inspection import inspect
        >>> found = inspect("tiny.int8.tflite")
        >>> found.checksum, found.arithmetic, found.parameters
        ('intact', 'int8 weights (scales per channel), int8 activations', 2102)
    """
    path = Path(path)
    with open_plain(path, most=MOST_MODEL) as file:
        # The format first: a wrong file may be of any size.
        head = file.read(_HEAD)
        chosen = format_of(head, name=path.name)
        content = head + file.read()
    checksum, metadata = _checksum(content, path.name)
    reader = importlib.import_module(f"edgeport.export.inspection.{chosen.name}.file")
    graph: ArtefactGraph = reader.read_graph(content, name=path.name)
    return Inspection(
        file=str(path),
        format=chosen.name,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        checksum=checksum,
        metadata=metadata,
        graph=graph,
    )


def _checksum(content: bytes, name: str) -> tuple[str, EmbeddedMetadata | None]:
    try:
        metadata = read_metadata(content, name=name, verify=False)
    except (ArtefactError, RecursionError):  # metadata of brackets alone is too deep for the JSON decoder
        return "altered", None
    if metadata is None:
        return "none", None
    try:
        read_metadata(content, name=name)
    except ArtefactError:
        return "altered", metadata if _plain(metadata) else None
    return "intact", metadata


def _plain(metadata: EmbeddedMetadata) -> bool:
    """Whether an altered block of metadata still has the build of one: numbers and texts, one deep."""
    if not isinstance(metadata.calibration, Mapping) or not isinstance(metadata.versions, Mapping):
        return False
    facts = (*metadata.inputs, *metadata.outputs)
    values = [part for record in (metadata, *facts) for each in record for part in _parts(each) if part not in facts]
    return all(value is None or isinstance(value, (str, int, float)) for value in values)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, tuple) else (value,)
