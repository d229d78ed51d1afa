"""From a file to a predictor: read once, verify those bytes, hand the same bytes to the engine."""

import importlib
import os
from typing import TYPE_CHECKING

import numpy as np

from edgeport.runtime.artefact.embedded_metadata import read_metadata
from edgeport.runtime.artefact.formats import Format, format_of, format_within
from edgeport.runtime.engines.installed import engine_for
from edgeport.runtime.engines.protocol import Origin
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain
from edgeport.runtime.prediction.predictor import Predictor

if TYPE_CHECKING:
    from edgeport.runtime.engines.fastest import Choice

_LARGEST_THREADS = 64
# What stands in the place of an engine's name where a benchmark has chosen it.
_FASTEST = "fastest"


def load(
    source: str | os.PathLike[str] | bytes,
    *,
    engine: str | None = None,
    threads: int = 1,
    verify: bool = True,
    cache: str | os.PathLike[str] | None = None,
) -> Predictor:
    """Load an artefact and return its predictor.

    Args:
        source: A ``.tflite`` or ``.onnx`` file, or the bytes of one.
        engine: The package that shall run it (``ai_edge_litert``, ``tflite_runtime``, ``onnxruntime`` or ``openvino``);
            by default the first of that list that is installed and can run the format. ``fastest`` is the one that
            ``edgeport benchmark --engines all`` has found to be so on this machine.
        threads: How many threads the engine may use for one call, from 1 to 64.
        verify: Refuse a file that does not match the SHA-256 inside it, and one that has none. Turn it off
            only for a file that another tool made and that you trust.
        cache: A folder of your own where OpenVINO keeps what it has compiled, so that it starts faster the next time.
            The other engines start no faster by one, and leave it alone.

    Raises:
        ArtefactError: The file is missing, unreadable, altered, or not the format that its name says; or what the
            cache has of it is damaged.
        InputError: ``threads`` is out of range, ``engine`` cannot run this file, nobody has measured here which one
            is the fastest, or others may write to the cache.
        MissingDependencyError: No engine for this format is installed.

    Examples:
        >>> from edgeport.runtime import load
        >>> predictor = load("tiny.int8.tflite")
        >>> str(predictor.spec.input)
        'image int8 (1, 28, 28, 1) scale=1 zero_point=-128'
    """
    whole = isinstance(threads, (int, np.integer)) and not isinstance(threads, bool)
    if not whole or not 1 <= threads <= _LARGEST_THREADS:
        raise InputError(f"threads: got {threads!r}, expected a whole number from 1 to {_LARGEST_THREADS}")
    path: str | None = None
    if isinstance(source, (bytes, bytearray, memoryview)):
        # A copy, if the caller may still change them.
        content, name = bytes(source), "the artefact"
        chosen = format_within(content, name=name)
    elif isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        content, name = read_plain(path, most=MOST_MODEL), os.path.basename(path)
        chosen = format_of(content, name=name)
    else:
        raise InputError(f"got a {type(source).__name__}, expected the path of an artefact, or its bytes")
    metadata = read_metadata(content, name=name, verify=verify)
    if path is None and metadata is not None:
        name = f"{metadata.model}.{metadata.precision}.{chosen.name}"
    choice = _choice(path, content, threads=int(threads)) if engine == _FASTEST else None
    package = engine_for(chosen, choice.engine if choice else engine)
    if not verify:
        content = _sound(content, chosen, name=name, path=path)
    kept = os.path.abspath(os.fsdecode(cache)) if cache is not None else ""
    predictor = Predictor(Origin(content, name, chosen.name, package, int(threads), kept), metadata)
    if choice:
        choice.check_version(predictor.spec.engine_version)
    return predictor


def _choice(path: str | None, content: bytes, *, threads: int) -> "Choice":
    """Return what a benchmark says of a file."""
    if path is None:
        raise InputError(f"engine: got {_FASTEST!r} with bytes, expected a path, near which engines.json lies")
    # Those who name an engine, or none, need none of it.
    from edgeport.runtime.engines.fastest import fastest_engine

    return fastest_engine(path, content, threads=threads)


def _sound(content: bytes, chosen: Format, *, name: str, path: str | None) -> bytes:
    """Return a file that nobody vouches for once its structure has been looked at: engines trust it blindly."""
    # Those who run files that edgeport made need neither.
    from pathlib import Path

    folder = Path(path).parent if path is not None else None
    module = importlib.import_module(chosen.structure_module)
    checked: bytes = module.sound_content(content, name=name, folder=folder)
    return checked
