"""The CNNs that edgeport can build: each a short function from an image shape to a Keras model."""

from collections.abc import Callable

import keras
from keras import layers

from edgeport.runtime.errors import InputError, unknown_name

ImageShape = tuple[int, int, int]


def build_model(name: str, *, image_shape: ImageShape, class_count: int) -> keras.Model:
    """Return an untrained model that takes raw pixels, 0 to 255, and gives one probability per class.

    Args:
        name: ``classic`` or ``edge``.
        image_shape: (height, width, channels), at least 12 pixels a side.
        class_count: How many classes there are.

    Raises:
        InputError: There is no such model, or the images are too small for it.
    """
    if name not in MODELS:
        raise unknown_name("model", name, MODELS)
    if min(image_shape[:2]) < 12:
        raise InputError(f"model {name}: got images of {image_shape[0]}x{image_shape[1]}, expected 12x12 or larger")
    return MODELS[name](image_shape, class_count)


def classic(image_shape: ImageShape, class_count: int) -> keras.Model:
    """The CNN that every tutorial starts with: convolution and pooling twice, then fully connected layers."""
    return keras.Sequential(
        [
            keras.Input(image_shape, name="image"),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(class_count, activation="softmax", name="probabilities"),
        ],
        name="classic",
    )


def edge(image_shape: ImageShape, class_count: int) -> keras.Model:
    """A CNN whose int8 files are faster than its float files.

    Integer kernels gain little, or lose, on a convolution that reads one channel at full resolution, as the first
    one of ``classic`` does, and gain most on many channels. So the first convolution here reads the image in
    patches, with stride 4, and everything after it works on a quarter of the width and height with 32 channels or
    more.
    """
    image = keras.Input(image_shape, name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = _convolution(x, 32, kernel_size=6, strides=4)
    for _ in range(3):
        x = _convolution(x, 64, kernel_size=3)
    x = layers.GlobalAveragePooling2D()(x)
    probabilities = layers.Dense(class_count, activation="softmax", name="probabilities")(x)
    return keras.Model(image, probabilities, name="edge")


MODELS: dict[str, Callable[[ImageShape, int], keras.Model]] = {"classic": classic, "edge": edge}


def _convolution(x: keras.KerasTensor, filters: int, *, kernel_size: int, strides: int = 1) -> keras.KerasTensor:
    # No bias: the batch normalisation that follows has one, and the converters fold it into the kernel.
    x = layers.Conv2D(filters, kernel_size, strides=strides, padding="same", use_bias=False)(x)
    # A short momentum lets the moving averages follow even when an epoch has few steps.
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.ReLU()(x)
