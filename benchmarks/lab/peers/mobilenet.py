"""MobileNetV2 at 96x96, with weights that were made here: its speed means something, its accuracy nothing."""

import keras
import numpy as np
from keras import layers

from edgeport.runtime.tensors.arrays import Pixels

NAME = "mobilenetv2"
SIDE, CLASSES = 96, 10
_SEED = 0
_BATCH, _STEPS_SAMPLES, _EPOCHS = 32, 512, 3


def patterns(count: int, *, seed: int) -> tuple[Pixels, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return images of nine coloured fields, each kind with colours of its own, under noise; and their kinds.

    Args:
        count: How many.
        seed: Decides the noise; the colours are always the same.

    Returns:
        uint8 of shape (count, 96, 96, 3), and integers of shape (count,) below 10.
    """
    fields = np.random.default_rng(_SEED).integers(0, 256, (CLASSES, 3, 3, 3)).repeat(2, axis=1).repeat(2, axis=2)
    kinds = np.arange(count) % CLASSES
    noise = np.random.default_rng(seed).integers(-60, 61, (count, 6, 6, 3))
    small = np.clip(fields[kinds] + noise, 0, 255).astype(np.uint8)
    return small.repeat(SIDE // 6, axis=1).repeat(SIDE // 6, axis=2), kinds


def build_mobilenet() -> keras.Model:
    """Return MobileNetV2 as Keras has it, for raw pixels, trained for half a minute on ``patterns``.

    Quantized, a model of random weights answers at random: each layer makes the noise of the last one larger. So that
    there are answers to agree on, it learns a little first.
    """
    keras.utils.set_random_seed(_SEED)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    body = keras.applications.MobileNetV2(weights=None, input_shape=(SIDE, SIDE, 3), classes=CLASSES)
    for layer in body.layers:
        if isinstance(layer, layers.BatchNormalization):
            # Its own 0.999 would take thousands of steps to follow.
            layer.momentum = 0.8
    model = keras.Model(image, body(layers.Rescaling(1 / 127.5, offset=-1)(image)), name=NAME)
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    images, kinds = patterns(_STEPS_SAMPLES, seed=1)
    model.fit(images.astype(np.float32), kinds, batch_size=_BATCH, epochs=_EPOCHS, verbose=0)
    return model
