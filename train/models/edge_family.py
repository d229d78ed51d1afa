"""CNNs for small computers, by the number of weights that are deployed, and the large one that they learn from.

What makes them fast in integers as well as small:

- The first convolution has stride 2 or 4. Integer kernels gain little, or lose, on a convolution that reads one channel
  at full resolution, as the first one of ``classic`` does.
- Channels are multiples of 8 and, where the weights allow it, of 16 or 32: vector units compute as many at once.
- Convolution, batch normalisation and ReLU become one integer operator; pooling and the last layer have integer
  kernels in both engines.
"""

from collections.abc import Sequence

import keras
from keras import layers

ImageShape = tuple[int, int, int]


def edge_2k(image_shape: ImageShape, class_count: int) -> keras.Model:
    """At most 2,000 weights for 28x28 digits: each channel has a window of its own, and 1x1 convolutions mix them."""
    image, x = _pixels(image_shape)
    x = _convolution(x, 8, kernel_size=4, strides=2)
    for _ in range(2):
        for _ in range(2):
            x = _separable(x, 16)
        x = layers.MaxPooling2D()(x)
    # Averaging would forget where a feature was; a window over all that is left weighs each place.
    x = _depthwise(x, x.shape[1:3], padding="valid")
    return _classifier(image, layers.Flatten()(x), class_count)


def edge_10k(image_shape: ImageShape, class_count: int) -> keras.Model:
    """At most 10,000 weights for 28x28 digits."""
    image, x = _pixels(image_shape)
    x = _convolution(x, 16, kernel_size=4, strides=2)
    for _ in range(2):
        x = _convolution(x, 16)
    x = layers.MaxPooling2D()(x)
    x = _convolution(x, 16)
    x = layers.MaxPooling2D()(x)
    return _classifier(image, layers.Flatten()(x), class_count)


def edge_35k(image_shape: ImageShape, class_count: int) -> keras.Model:
    """At most 35,000 weights for 28x28 digits."""
    image, x = _pixels(image_shape)
    x = _convolution(x, 16, kernel_size=4, strides=2)
    x = _convolution(x, 32)
    x = layers.MaxPooling2D()(x)
    x = _convolution(x, 32)
    x = _convolution(x, 48)
    x = layers.MaxPooling2D()(x)
    return _classifier(image, layers.Flatten()(x), class_count)


def edge_100k(image_shape: ImageShape, class_count: int) -> keras.Model:
    """At most 100,000 weights for 28x28 digits."""
    image, x = _pixels(image_shape)
    x = _convolution(x, 32, kernel_size=4, strides=2)
    for stage in ((32, 32), (64, 64)):
        for filters in stage:
            x = _convolution(x, filters)
        x = layers.MaxPooling2D()(x)
    x = _convolution(x, 32)
    return _classifier(image, layers.Flatten()(x), class_count)


def edge(image_shape: ImageShape, class_count: int) -> keras.Model:
    """As many weights for images of any size: it reads patches, and ends in the average over all places."""
    image, x = _pixels(image_shape)
    x = _convolution(x, 32, kernel_size=6, strides=4)
    for _ in range(3):
        x = _convolution(x, 64)
    return _classifier(image, layers.GlobalAveragePooling2D()(x), class_count)


def teacher(image_shape: ImageShape, class_count: int) -> keras.Model:
    """A CNN that is not meant for a small computer: the others learn from its answers."""
    return _teacher(image_shape, class_count, kernel_size=3, stages=((32, 32), (64, 64, 64), (128, 128)))


def teacher_5x5(image_shape: ImageShape, class_count: int) -> keras.Model:
    """A second teacher, whose larger windows see other things: together they err less than each."""
    return _teacher(image_shape, class_count, kernel_size=5, stages=((24, 24), (48, 64), (96,)))


def _teacher(
    image_shape: ImageShape, class_count: int, *, kernel_size: int, stages: Sequence[Sequence[int]]
) -> keras.Model:
    image, x = _pixels(image_shape)
    for number, stage in enumerate(stages):
        x = layers.MaxPooling2D()(x) if number else x
        for filters in stage:
            x = _convolution(x, filters, kernel_size=kernel_size)
    x = layers.GlobalAveragePooling2D()(x)
    return _classifier(image, layers.Dropout(0.3)(x), class_count)


def _pixels(image_shape: ImageShape) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the input, raw pixels from 0 to 255, and the same from 0 to 1."""
    image = keras.Input(image_shape, name="image")
    return image, layers.Rescaling(1 / 255)(image)


def _convolution(x: keras.KerasTensor, filters: int, *, kernel_size: int = 3, strides: int = 1) -> keras.KerasTensor:
    # No bias: the batch normalisation that follows has one, and the converters fold it into the kernel.
    x = layers.Conv2D(filters, kernel_size, strides=strides, padding="same", use_bias=False)(x)
    # A short momentum lets the moving averages follow even when an epoch has few steps.
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.ReLU()(x)


def _separable(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    return _convolution(_depthwise(x, 3, padding="same"), filters, kernel_size=1)


def _depthwise(x: keras.KerasTensor, kernel_size: int | tuple[int, int], *, padding: str) -> keras.KerasTensor:
    # Without ReLU, which would lose half of what the few channels have to say.
    x = layers.DepthwiseConv2D(kernel_size, padding=padding, use_bias=False)(x)
    return layers.BatchNormalization(momentum=0.9)(x)


def _classifier(image: keras.KerasTensor, features: keras.KerasTensor, class_count: int) -> keras.Model:
    return keras.Model(image, layers.Dense(class_count, activation="softmax", name="probabilities")(features))
