"""Opens artefacts for a benchmark, with edgeport's own runtime."""

import importlib
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from edgeport.benchmarks.report.raw.record import ENGINE_CALL, LABEL
from edgeport.runtime.artefact.formats import format_of
from edgeport.runtime.engines.installed import engine_for
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.predictor import Predictor
from edgeport.runtime.tensors.arrays import FloatArray, Pixels

# Enough for an engine to be as fast as it gets, and little memory.
_CHUNK = 500


class OpenedArtefact:
    """An artefact in its predictor; see OpenedCandidate."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.engine: Mapping[str, str] = {"name": predictor.spec.engine, "version": predictor.spec.engine_version}

    def answers(self, images: Pixels) -> FloatArray:
        """See OpenedCandidate.answers."""
        starts = range(0, len(images), _CHUNK)
        return np.concatenate([self._predictor.predict(images[start : start + _CHUNK]) for start in starts])

    def call(self, what: str, images: Pixels) -> Callable[[], object]:
        """See OpenedCandidate.call."""
        if what == ENGINE_CALL:
            return partial(self._predictor.run, self._predictor.encode(images))
        return partial(self._predictor.classify if what == LABEL else self._predictor.predict, images)


def import_engine(*, path: str, engine: str | None = None, trust: bool = False) -> None:
    """Import the engine that will run an artefact."""
    with open(path, "rb") as file:
        row = format_of(file.read(8), name=path)
    package = engine_for(row, engine)
    importlib.import_module(row.engines[package]).import_package(package)


def open_artefact(*, path: str, threads: int, engine: str | None = None, trust: bool = False) -> OpenedArtefact:
    """Open an artefact with ``load``.

    Args:
        path: The file.
        threads: How many threads its engine may use.
        engine: The package that shall run it; None for the preferred one.
        trust: Open a file without a digest.
    """
    return OpenedArtefact(load(path, engine=engine, threads=threads, verify=not trust))
