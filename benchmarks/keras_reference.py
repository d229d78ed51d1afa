"""The Keras model itself as a contender: what the artefacts are compared with."""

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgeport.runtime.arrays import FloatArray
from edgeport.runtime.errors import ArtefactError, InputError


class KerasReference:
    """A Keras model that predicts raw pixels through a compiled tf.function, its fastest way on one image."""

    def __init__(self, path: Path, *, input_range: tuple[float, float], threads: int) -> None:
        """Load a Keras model.

        Args:
            path: A ``.keras`` or ``.h5`` file.
            input_range: The real values that the pixels 0 and 255 are to the model.
            threads: How many threads an operator may use; every reference of a process has the same number.

        Raises:
            ArtefactError: Keras cannot load the file.
        """
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError as error:
            raise InputError(
                "TensorFlow has run in this process already and cannot change its threads: benchmark in a new one"
            ) from error
        try:
            model = keras.models.load_model(path, compile=False)
        except Exception as error:  # Keras raises whatever a damaged or foreign file leads it into
            raise ArtefactError(f"{path}: Keras cannot load it ({' '.join(str(error).split())})") from error
        self._table = np.linspace(*input_range, 256).astype(np.float32)
        self._call = tf.function(
            lambda images: model(images, training=False),
            input_signature=[tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)],
        )

    def tensor(self, images: npt.NDArray[np.uint8]) -> FloatArray:
        """Return pixels as the float32 values that the model takes."""
        real: FloatArray = self._table[images]
        return real

    def run(self, tensor: FloatArray) -> FloatArray:
        """Return the model's float32 output for one batch of its own float32 input."""
        output: FloatArray = self._call(tensor).numpy()
        return output

    def predict(self, images: npt.NDArray[np.uint8]) -> FloatArray:
        """Return the model's float32 output, of shape (n, classes), for uint8 pixels."""
        tensor = self.tensor(images)
        return np.concatenate([self.run(tensor[start : start + 500]) for start in range(0, len(tensor), 500)])
