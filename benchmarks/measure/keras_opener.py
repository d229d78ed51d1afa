"""Opens the Keras model itself for a benchmark: what the artefacts are compared with."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import tensorflow as tf

from edgeport.benchmarks.report.raw.record import ENGINE_CALL, LABEL
from edgeport.export import load_source
from edgeport.export.sources.opened import Opened
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.tensors.arrays import FloatArray, Pixels
from edgeport.runtime.tensors.encoding import real_pixels

_CHUNK = 500


class OpenedKeras:
    """A Keras model that predicts raw pixels through a compiled tf.function, its fastest way on one image."""

    def __init__(self, model: Opened, port: Input) -> None:
        self.engine: Mapping[str, str] = {"name": "tensorflow", "version": tf.__version__}
        self._port = port
        self._model = model

    def answers(self, images: Pixels) -> FloatArray:
        """See OpenedCandidate.answers."""
        starts = range(0, len(images), _CHUNK)
        return np.concatenate([self._predict(images[start : start + _CHUNK]) for start in starts])

    def call(self, what: str, images: Pixels) -> Callable[[], object]:
        """See OpenedCandidate.call."""
        if what == ENGINE_CALL:
            return partial(self._run, real_pixels(images, self._port))
        return partial(self._classify if what == LABEL else self._predict, images)

    def _run(self, tensor: FloatArray) -> FloatArray:
        (output,) = self._model.call([tensor])
        return np.asarray(output)

    def _predict(self, images: Pixels) -> FloatArray:
        return self._run(real_pixels(images, self._port))

    def _classify(self, images: Pixels) -> list[int]:
        best: list[int] = self._predict(images).argmax(axis=1).tolist()
        return best


def open_keras(*, path: str, threads: int, takes: str) -> OpenedKeras:
    """Load a Keras model.

    Args:
        path: A Keras file or a SavedModel folder.
        threads: How many threads an operator may use.
        takes: Of which kind its input is, as ``--input`` takes it.

    Raises:
        ArtefactError: The file is damaged or no model.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    source = load_source(path, inputs=[takes])
    return OpenedKeras(source.opened, source.inputs[0])
