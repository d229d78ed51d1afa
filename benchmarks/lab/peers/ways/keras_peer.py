"""The Keras model in three ways: ``model.predict``, the model called, and a compiled ``tf.function``."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from edgeport.benchmarks.lab.peers.ways.by_hand import ByHand, to_float32
from edgeport.runtime.errors import InputError
from edgeport.runtime.tensors.arrays import Tensor

PREDICT, CALL, FUNCTION = "predict", "call", "function"


def open_keras(*, path: str, threads: int, way: str) -> ByHand:
    """Open a Keras file that takes pixels as float32, 0 to 255.

    Args:
        path: The file.
        threads: How many threads an operator may use.
        way: ``predict``, ``call`` or ``function``.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras.models.load_model(path, compile=False)
    return ByHand({"name": "keras", "version": keras.__version__}, run=_run(model, way), encode=to_float32)


def _run(model: keras.Model, way: str) -> Callable[[Tensor], Tensor]:
    if way == PREDICT:
        return lambda tensor: np.asarray(model.predict(tensor, verbose=0))
    if way == CALL:
        return lambda tensor: np.asarray(model(tensor, training=False))
    if way == FUNCTION:
        shape = (None, *model.inputs[0].shape[1:])
        compiled = tf.function(
            lambda tensor: model(tensor, training=False), input_signature=[tf.TensorSpec(shape, tf.float32)]
        )
        return lambda tensor: np.asarray(compiled(tensor))
    raise InputError(f"way: got {way!r}, expected {PREDICT}, {CALL} or {FUNCTION}")
