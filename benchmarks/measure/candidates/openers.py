"""Opens artefacts for a benchmark, with edgeport's own runtime."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeGuard

import numpy as np

from edgeport.benchmarks.measure.candidates.candidate import Samples, count_of, picked
from edgeport.benchmarks.report.raw.record import ENGINE_CALL, LABEL
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.formats import format_of
from edgeport.runtime.engines.installed import engine_for
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.predictor import Predictor
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.runtime.tensors.encoding import encode, real_values

# Enough for an engine to be as fast as it gets, and little memory.
_CHUNK = 500


class OpenedArtefact:
    """An artefact in its predictor; see OpenedCandidate.

    Attributes:
        engine: What runs it.
        spec: What its predictor knows of it.
        predictor: What answers.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        pixels: Mapping[str, tuple[float, float, str]] | None = None,
        axes: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        """Prepare.

        Args:
            predictor: What answers.
            inputs: What the samples of its inputs are called where that is not their own name, by this.
            outputs: What its outputs shall be called, likewise.
            pixels: For inputs of a file without metadata, by their own names: the real values that 0 and 255 stand
                for, and the channels.
            axes: For tensors whose channels stand elsewhere than those of the reference, by their own names: of an
                input how the axes of samples are put, of an output those of its answers, as ``numpy.transpose`` has it.
        """
        self.predictor = predictor
        self._inputs, self._outputs, self._axes = inputs or {}, outputs or {}, axes or {}
        self.spec = spec = predictor.spec
        self.engine: Mapping[str, str] = {"name": spec.engine, "version": spec.engine_version}
        known = spec.metadata.inputs if spec.metadata else ()
        self._ports = {tensor.name: port for tensor, port in zip(spec.inputs, known, strict=False)}
        for name, (low, high, channels) in (pixels or {}).items():
            self._ports[name] = Input(name, range=(low, high), kind="pixels", channels=channels)

    def answers(self, samples: Samples) -> Samples:
        """See OpenedCandidate.answers."""
        starts = range(0, count_of(samples), _CHUNK)
        parts = [self._answer(picked(samples, slice(start, start + _CHUNK))) for start in starts]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return {self._outputs.get(name, name): self._put(name, values) for name, values in found.items()}

    def call(self, what: str, samples: Samples) -> Callable[[], object]:
        """See OpenedCandidate.call."""
        predictor = self.predictor
        if what == ENGINE_CALL:
            return partial(predictor.run, self.encoded(samples))
        if self._takes_pixels(samples):
            return partial(predictor.classify if what == LABEL else predictor.predict, samples)
        return partial(predictor.answer, self._real(samples))

    def encoded(self, samples: Samples) -> Samples:
        """Return samples as the engine takes them: an array, or one for each input by its name."""
        if self._takes_pixels(samples):
            return self.predictor.encode(samples)
        real = self._real(samples)
        return {each.name: encode(real[each.name], each) for each in self.predictor.spec.inputs}

    def _answer(self, samples: Samples) -> dict[str, Tensor]:
        if self._takes_pixels(samples):
            return {self.predictor.spec.output.name: self.predictor.predict(samples)}
        return dict(self.predictor.answer(self._real(samples)))

    def _takes_pixels(self, samples: Samples) -> TypeGuard[Tensor]:
        """Whether ``predict`` does it, with all that it spares: pixels in, one output."""
        spec = self.spec
        takes = not self._ports if spec.metadata is None else spec.metadata.inputs[0].range is not None
        takes = takes and not self._axes
        return takes and len(spec.outputs) == 1 and not isinstance(samples, Mapping) and samples.dtype == np.uint8

    def _real(self, samples: Samples) -> dict[str, Tensor]:
        """Return samples as ``Predictor.answer`` takes them: pixels as the real values that they stand for."""
        real = {}
        for tensor in self.spec.inputs:
            name = tensor.name
            array = samples[self._inputs.get(name, name)] if isinstance(samples, Mapping) else samples
            real[name] = self._put(name, real_values(array, self._ports[name]) if name in self._ports else array)
        return real

    def _put(self, name: str, values: Tensor) -> Tensor:
        """Return an array with its axes where they belong."""
        return np.ascontiguousarray(values.transpose(self._axes[name])) if name in self._axes else values


def import_engine(*, path: str, engine: str | None = None, **others: object) -> None:
    """Import the engine that will run an artefact."""
    with open(path, "rb") as file:
        row = format_of(file.read(8), name=path)
    package = engine_for(row, engine)
    importlib.import_module(row.engines[package]).import_package(package)


def open_artefact(
    *,
    path: str,
    threads: int,
    engine: str | None = None,
    trust: bool = False,
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    pixels: Mapping[str, tuple[float, float, str]] | None = None,
    axes: Mapping[str, Sequence[int]] | None = None,
) -> OpenedArtefact:
    """Open an artefact with ``load``.

    Args:
        path: The file.
        threads: How many threads its engine may use.
        engine: The package that shall run it; None for the preferred one.
        trust: Open a file without a digest.
        inputs: See OpenedArtefact, as for the others.
        outputs: See there.
        pixels: See there.
        axes: See there.
    """
    predictor = load(path, engine=engine, threads=threads, verify=not trust)
    return OpenedArtefact(predictor, inputs=inputs, outputs=outputs, pixels=pixels, axes=axes)
