"""The CNNs that edgeport can build: each a short function from an image shape to a Keras model."""

from collections.abc import Callable

import keras
from keras import layers

from edgeport.runtime.errors import InputError, unknown_name
from edgeport.train.models.edge_family import (
    ImageShape,
    edge,
    edge_2k,
    edge_10k,
    edge_35k,
    edge_100k,
    teacher,
    teacher_5x5,
)


def build_model(name: str, *, image_shape: ImageShape, class_count: int) -> keras.Model:
    """Return an untrained model that takes raw pixels, 0 to 255, and gives one probability per class.

    Args:
        name: One of ``MODELS``.
        image_shape: (height, width, channels), at least 12 pixels a side.
        class_count: How many classes there are.

    Raises:
        InputError: There is no such model, or the images are too small for it.

    Examples:
        >>> from edgeport.train import build_model
        >>> build_model("edge", image_shape=(28, 28, 1), class_count=10).output_shape
        (None, 10)
    """
    if name not in MODELS:
        raise unknown_name("model", name, MODELS)
    if min(image_shape[:2]) < 12:
        raise InputError(f"model {name}: got images of {image_shape[0]}x{image_shape[1]}, expected 12x12 or larger")
    model = MODELS[name](image_shape, class_count)
    model.name = name
    return model


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


MODELS: dict[str, Callable[[ImageShape, int], keras.Model]] = {
    "classic": classic,
    "edge": edge,
    "edge-2k": edge_2k,
    "edge-10k": edge_10k,
    "edge-35k": edge_35k,
    "edge-100k": edge_100k,
    "teacher": teacher,
    "teacher-5x5": teacher_5x5,
}
