"""Opens the Keras model itself for a benchmark: what the artefacts are compared with."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from edgeport.benchmarks.measure.candidates.candidate import Samples
from edgeport.benchmarks.report.raw.record import ENGINE_CALL, LABEL
from edgeport.export import load_source
from edgeport.export.sources.source import Source
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.runtime.tensors.encoding import real_values


class OpenedKeras:
    """A Keras model that predicts through a compiled tf.function, its fastest way on one sample."""

    def __init__(self, source: Source) -> None:
        self.engine: Mapping[str, str] = {"name": "tensorflow", "version": tf.__version__}
        self._source = source
        self._ports = {port.name: port for port in source.inputs}

    def answers(self, samples: Samples) -> dict[str, Tensor]:
        """See OpenedCandidate.answers."""
        return self._source.answers(self._named(samples), to_real=self._real)

    def call(self, what: str, samples: Samples) -> Callable[[], object]:
        """See OpenedCandidate.call."""
        named = self._named(samples)
        if what == ENGINE_CALL:
            return partial(self._run, self._real(named))
        return partial(self._classify if what == LABEL else self._predict, named)

    def _named(self, samples: Samples) -> Mapping[str, Tensor]:
        return samples if isinstance(samples, Mapping) else {self._source.inputs[0].name: samples}

    def _real(self, samples: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: real_values(values, self._ports[name]) for name, values in samples.items()}

    def _run(self, real: Mapping[str, Tensor]) -> list[Tensor]:
        return [
            np.asarray(each) for each in self._source.opened.call([real[port.name] for port in self._source.inputs])
        ]

    def _predict(self, samples: Mapping[str, Tensor]) -> list[Tensor]:
        return self._run(self._real(samples))

    def _classify(self, samples: Mapping[str, Tensor]) -> list[int]:
        best: list[int] = self._predict(samples)[0].argmax(axis=1).tolist()
        return best


def open_keras(*, path: str, threads: int, takes: Sequence[str]) -> OpenedKeras:
    """Load a Keras model.

    Args:
        path: A Keras file or a SavedModel folder.
        threads: How many threads an operator may use.
        takes: Of which kinds its inputs are, as ``--input`` takes it.

    Raises:
        ArtefactError: The file is damaged or no model.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return OpenedKeras(load_source(path, inputs=takes))
