"""From a file to a predictor: read once, verify those bytes, hand the same bytes to the engine."""

import importlib
import os

from edgeport.runtime.card import read_card
from edgeport.runtime.engine import Origin
from edgeport.runtime.errors import ArtefactError, InputError, MissingDependencyError, unknown_name
from edgeport.runtime.formats import Format, format_of, format_within
from edgeport.runtime.predictor import Predictor

_LARGEST_THREADS = 64


def load(
    source: str | os.PathLike[str] | bytes, *, engine: str | None = None, threads: int = 1, verify: bool = True
) -> Predictor:
    """Load an artefact and return its predictor.

    Args:
        source: A ``.tflite`` or ``.onnx`` file, or the bytes of one.
        engine: The package that shall run it (``ai_edge_litert``, ``tflite_runtime`` or ``onnxruntime``);
            by default the first of that list that is installed and can run the format.
        threads: How many threads the engine may use for one call, from 1 to 64.
        verify: Refuse a file that does not match the SHA-256 inside it, and one that has none. Turn it off
            only for a file that another tool made and that you trust.

    Raises:
        ArtefactError: The file is missing, unreadable, altered, or not the format that its name says.
        InputError: ``threads`` is out of range, or ``engine`` cannot run this format.
        MissingDependencyError: No engine for this format is installed.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= _LARGEST_THREADS:
        raise InputError(f"threads: got {threads!r}, expected a whole number from 1 to {_LARGEST_THREADS}")
    if isinstance(source, (bytes, bytearray, memoryview)):
        # A copy, if the caller may still change them.
        content, name = bytes(source), "the artefact"
        chosen = format_within(content, name=name)
    elif isinstance(source, (str, os.PathLike)):
        content, name = _read(source)
        chosen = format_of(content, name=name)
    else:
        raise InputError(f"got a {type(source).__name__}, expected the path of an artefact, or its bytes")
    card = read_card(content, name=name, verify=verify)
    if not isinstance(source, (str, os.PathLike)) and card is not None:
        name = f"{card.model}.{card.precision}.{chosen.name}"
    return Predictor(Origin(content, name, chosen.name, _installed(chosen, engine), threads), card)


def _read(path: str | os.PathLike[str]) -> tuple[bytes, str]:
    """Return a file's bytes and its name without the folders."""
    try:
        with open(path, "rb") as file:
            return file.read(), os.path.basename(os.fspath(path))
    except OSError as error:
        raise ArtefactError(f"cannot read {os.fspath(path)}: {error.strerror}") from error


def _installed(chosen: Format, wanted: str | None) -> str:
    """Return the import name of the engine to use: the one asked for, or the first that is installed."""
    name = wanted.replace("-", "_") if wanted is not None else None
    if name is not None and name not in chosen.engines:
        raise unknown_name(f"engine for {chosen.name}", str(wanted), chosen.engines)
    for package in (name,) if name else chosen.engines:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
        else:
            return package
    raise MissingDependencyError(
        f"no engine for {chosen.name} files is installed (looked for {name or ', '.join(chosen.engines)}): "
        f"pip install 'edgeport[{chosen.extra}]'"
    )
