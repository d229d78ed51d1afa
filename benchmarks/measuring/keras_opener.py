"""Opens the Keras model itself for a benchmark: what the artefacts are compared with."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from edgeport.benchmarks.report import ENGINE_CALL, LABEL
from edgeport.runtime.arrays import FloatArray, Pixels
from edgeport.runtime.errors import ArtefactError

_CHUNK = 500


class OpenedKeras:
    """A Keras model that predicts raw pixels through a compiled tf.function, its fastest way on one image."""

    def __init__(self, model: keras.Model, *, input_range: tuple[float, float]) -> None:
        self.engine: Mapping[str, str] = {"name": "tensorflow", "version": tf.__version__}
        self._table = np.linspace(*input_range, 256).astype(np.float32)
        self._call = tf.function(
            lambda images: model(images, training=False),
            input_signature=[tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)],
        )

    def answers(self, images: Pixels) -> FloatArray:
        """See Opened.answers."""
        starts = range(0, len(images), _CHUNK)
        return np.concatenate([self._predict(images[start : start + _CHUNK]) for start in starts])

    def call(self, what: str, images: Pixels) -> Callable[[], object]:
        """See Opened.call."""
        if what == ENGINE_CALL:
            return partial(self._run, self._table[images])
        return partial(self._classify if what == LABEL else self._predict, images)

    def _run(self, tensor: FloatArray) -> FloatArray:
        output: FloatArray = self._call(tensor).numpy()
        return output

    def _predict(self, images: Pixels) -> FloatArray:
        return self._run(self._table[images])

    def _classify(self, images: Pixels) -> list[int]:
        best: list[int] = self._predict(images).argmax(axis=1).tolist()
        return best


def open_keras(*, path: str, threads: int, input_range: Sequence[float]) -> OpenedKeras:
    """Load a Keras model.

    Args:
        path: A ``.keras`` or ``.h5`` file.
        threads: How many threads an operator may use.
        input_range: The real values that the pixels 0 and 255 are to the model.

    Raises:
        ArtefactError: Keras cannot load the file.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    try:
        model = keras.models.load_model(Path(path), compile=False)
    except Exception as error:  # Keras raises whatever a damaged or foreign file leads it into
        raise ArtefactError(f"{path}: Keras cannot load it ({' '.join(str(error).split())})") from error
    low, high = input_range
    return OpenedKeras(model, input_range=(low, high))
