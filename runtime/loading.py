"""From a file to a predictor: read once, verify those bytes, hand the same bytes to the engine."""

import importlib
import os
from importlib.util import find_spec
from pathlib import Path

from edgeport.runtime.card import read_card
from edgeport.runtime.errors import ArtefactError, InputError, MissingDependencyError, unknown_name
from edgeport.runtime.formats import Format, format_of
from edgeport.runtime.predictor import Predictor


def load(
    path: str | os.PathLike[str], *, engine: str | None = None, threads: int = 1, verify: bool = True
) -> Predictor:
    """Load an artefact and return its predictor.

    Args:
        path: A ``.tflite`` or ``.onnx`` file.
        engine: The package that shall run it (``ai_edge_litert``, ``tflite_runtime`` or ``onnxruntime``);
            by default the first of that list that is installed and can run the format.
        threads: How many threads the engine may use, from 1 to 64.
        verify: Refuse a file that does not match the SHA-256 inside it, and one that has none. Turn it off
            only for a file that another tool made and that you trust.

    Raises:
        ArtefactError: The file is missing, unreadable, altered, or not the format that its name says.
        InputError: ``threads`` is out of range, or ``engine`` cannot run this format.
        MissingDependencyError: No engine for this format is installed.
    """
    path = Path(path)
    if not 1 <= threads <= 64:
        raise InputError(f"threads: got {threads}, expected 1 to 64")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {error.strerror}") from error
    chosen = format_of(content, name=path.name)
    card = read_card(content, name=path.name, verify=verify)
    available = _engine(chosen, engine)
    module = importlib.import_module(chosen.predictor)
    predictor: Predictor = module.open_predictor(content, name=path.name, card=card, engine=available, threads=threads)
    return predictor


def _engine(chosen: Format, wanted: str | None) -> str:
    """Return the import name of the engine to use: the one asked for, or the first that is installed."""
    if wanted is not None and wanted not in chosen.engines:
        raise unknown_name(f"engine for {chosen.name}", wanted, chosen.engines)
    for name in (wanted,) if wanted else chosen.engines:
        if find_spec(name) is not None:
            return name
    raise MissingDependencyError(
        f"no engine for {chosen.name} files is installed (looked for {wanted or ', '.join(chosen.engines)}): "
        f"pip install 'edgeport[{chosen.extra}]'"
    )
