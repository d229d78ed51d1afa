"""Opens artefacts for a benchmark, with edgeport's own runtime."""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeGuard

import numpy as np

from edgeport.benchmarks.measure.candidates.candidate import Samples, count_of, picked
from edgeport.benchmarks.report.raw.record import ENGINE_CALL, LABEL
from edgeport.runtime.artefact.formats import format_of
from edgeport.runtime.engines.installed import engine_for
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.predictor import Predictor
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.runtime.tensors.encoding import encode, real_values

# Enough for an engine to be as fast as it gets, and little memory.
_CHUNK = 500


class OpenedArtefact:
    """An artefact in its predictor; see OpenedCandidate."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.engine: Mapping[str, str] = {"name": predictor.spec.engine, "version": predictor.spec.engine_version}

    def answers(self, samples: Samples) -> Samples:
        """See OpenedCandidate.answers."""
        starts = range(0, count_of(samples), _CHUNK)
        parts = [self._answer(picked(samples, slice(start, start + _CHUNK))) for start in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def call(self, what: str, samples: Samples) -> Callable[[], object]:
        """See OpenedCandidate.call."""
        predictor = self._predictor
        if what == ENGINE_CALL:
            return partial(predictor.run, self.encoded(samples))
        if self._takes_pixels(samples):
            return partial(predictor.classify if what == LABEL else predictor.predict, samples)
        return partial(predictor.answer, self._real(samples))

    def encoded(self, samples: Samples) -> Samples:
        """Return samples as the engine takes them: an array, or one for each input by its name."""
        if self._takes_pixels(samples):
            return self._predictor.encode(samples)
        real = self._real(samples)
        return {each.name: encode(real[each.name], each) for each in self._predictor.spec.inputs}

    def _answer(self, samples: Samples) -> dict[str, Tensor]:
        if self._takes_pixels(samples):
            return {self._predictor.spec.output.name: self._predictor.predict(samples)}
        return dict(self._predictor.answer(self._real(samples)))

    def _takes_pixels(self, samples: Samples) -> TypeGuard[Tensor]:
        """Whether ``predict`` does it, with all that it spares: pixels in, one output."""
        spec = self._predictor.spec
        takes = spec.metadata is None or spec.metadata.inputs[0].range is not None
        return takes and len(spec.outputs) == 1 and not isinstance(samples, Mapping) and samples.dtype == np.uint8

    def _real(self, samples: Samples) -> dict[str, Tensor]:
        """Return samples as ``Predictor.answer`` takes them: pixels as the real values that they stand for."""
        spec = self._predictor.spec
        arrays = samples if isinstance(samples, Mapping) else {spec.input.name: samples}
        if spec.metadata is None:
            return dict(arrays)
        ports = zip(spec.inputs, spec.metadata.inputs, strict=True)
        return {tensor.name: real_values(arrays[tensor.name], port) for tensor, port in ports}


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
