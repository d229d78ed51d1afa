"""Six kinds of models, trained for a few epochs on installed digits, each with one layer that 8 bits spoil.

An outlier channel and a dead range leave the answers in floats what they are: what one layer makes larger the next
makes smaller, and a channel that never changes is not looked at. A saturated gate is open or shut, and nothing between,
so it costs some accuracy in floats too; what is judged is what integers lose against that model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from edgeport.benchmarks.lab.studies.planted_faults_report import DEAD, OUTLIER, SATURATED
from edgeport.runtime.samples.array_names import ONLY
from edgeport.train.datasets.data import Part
from edgeport.train.datasets.digits.composed import load_composed
from edgeport.train.datasets.named import load_data

Arrays = Mapping[str, npt.NDArray[Any]]
# How far the one bad channel reaches.
_TIMES, _AWAY, _BEYOND = 2000.0, 2000.0, 1000.0
# So many samples say how active each channel is.
_LOOKED_AT = 200
# Of the digits that are for training, so many judge the loss besides the validation split, and as many test it.
_MOVED = 500


@dataclass(frozen=True)
class Faulty:
    """One model and its fault.

    Attributes:
        name: What kind of model it is.
        data: What it is trained on.
        task: What its answers mean.
        fault: What is planted.
        build: Makes the model.
        spoilt: The layer that is made bad.
        reader: The layer behind it that takes what it gives.
        arrays: From the data to samples and targets by split: ``x_train``, ``y_train`` and so on.
        epochs: For how long it is trained.
    """

    name: str
    data: str
    task: str
    fault: str
    build: Callable[[], Any]
    spoilt: str
    reader: str
    arrays: Callable[[str], Arrays]
    epochs: int


def trained(faulty: Faulty, arrays: Arrays) -> Any:
    """Return a trained Keras model with its fault."""
    keras.utils.set_random_seed(1)
    model = faulty.build()
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(arrays["x_train"], arrays["y_train"], epochs=faulty.epochs, batch_size=64, verbose=0)
    spoilt = model.get_layer(faulty.spoilt)
    given = np.asarray(keras.Model(model.inputs, spoilt.output).predict(arrays["x_train"][:_LOOKED_AT], verbose=0))
    active = given.reshape(-1, given.shape[-1]).std(axis=0)
    # A fault in a channel that does nothing would be none; one that is taken away is best one that does nothing.
    channel = int(active.argmin() if faulty.fault == DEAD else active.argmax())
    _plant(spoilt, model.get_layer(faulty.reader), faulty.fault, channel)
    return model


def _plant(spoilt: Any, reader: Any, fault: str, channel: int) -> None:
    (kernel, bias), taking = spoilt.get_weights(), reader.get_weights()
    own = (..., channel, slice(None)) if isinstance(spoilt, layers.DepthwiseConv2D) else (..., channel)
    # The axis of what a layer takes is the last but one, of a depthwise kernel as well.
    taken = (..., channel, slice(None))
    if fault == OUTLIER:
        kernel[own] *= _TIMES
        bias[channel] *= _TIMES
        taking[0][taken] /= _TIMES
    elif fault == DEAD:
        kernel[own] = 0
        bias[channel] = _AWAY
        taking[0][taken] = 0
    else:
        # A gate that is open or shut, and nothing between.
        kernel[own] *= _BEYOND
        bias[channel] *= _BEYOND
    spoilt.set_weights([kernel, bias])
    reader.set_weights(taking)


def _pictures(data: str) -> Arrays:
    return _named({name: (_scaled(part.inputs[ONLY]), part.targets) for name, part in _divided(data).items()})


def _divided(data: str) -> dict[str, Part]:
    """Return the splits of single digits, with more to judge and to test by than they have."""
    parts = load_data(data).parts
    places = np.arange(len(parts["train"]))
    moved = {"validation": places[-_MOVED:], "test": places[-2 * _MOVED : -_MOVED]}
    more = {name: parts["train"].at(at) for name, at in moved.items()}
    return {"train": parts["train"].at(places[: -2 * _MOVED])} | {
        name: Part(
            {ONLY: np.concatenate([parts[name].inputs[ONLY], part.inputs[ONLY]])},
            np.concatenate([np.asarray(parts[name].targets), np.asarray(part.targets)]),
        )
        for name, part in more.items()
    }


def _rows(data: str) -> Arrays:
    """Return the ink in each of 7 x 7 squares as a table of 49 columns."""
    parts = _divided(data)
    squares = {
        name: _scaled(part.inputs[ONLY]).reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(-1, 49)
        for name, part in parts.items()
    }
    return _named({name: (squares[name], part.targets) for name, part in parts.items()})


def _composed(data: str) -> Arrays:
    parts = load_composed(data).parts
    return _named({name: (_scaled(part.inputs[ONLY]), part.targets) for name, part in parts.items()})


def _scaled(samples: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return samples.astype(np.float32) / np.float32(255 if samples.dtype == np.uint8 else 1)


def _named(splits: Mapping[str, tuple[Any, Any]]) -> Arrays:
    short = {"train": "train", "validation": "val", "test": "test"}
    return {
        f"{letter}_{short[name]}": np.asarray(array)
        for name, pair in splits.items()
        for letter, array in zip("xy", pair, strict=True)
    }


def _conv(x: Any, filters: int, size: int, name: str, *, strides: int = 1) -> Any:
    return layers.Conv2D(filters, size, strides=strides, padding="same", activation="relu", name=name)(x)


def _separable(x: Any, filters: int, name: str, *, strides: int = 1) -> Any:
    x = layers.DepthwiseConv2D(3, strides=strides, padding="same", activation="relu", name=f"{name}_depth")(x)
    return _conv(x, filters, 1, f"{name}_point")


def _classes(image: Any, x: Any) -> Any:
    return keras.Model(image, layers.Dense(10, activation="softmax", name="scores")(x))


def _mobilenet() -> Any:
    image = keras.Input((28, 28, 1), name="image")
    x = _conv(image, 12, 3, "stem", strides=2)
    x = _separable(_separable(x, 24, "one"), 32, "two", strides=2)
    x = _separable(_separable(x, 64, "three"), 64, "four")
    return _classes(image, layers.GlobalAveragePooling2D(name="pool")(x))


def _residual() -> Any:
    image = keras.Input((28, 28, 1), name="image")
    stem = _conv(image, 12, 3, "stem", strides=2)
    inner = _conv(_conv(stem, 6, 1, "narrow"), 12, 1, "widen")
    joined = layers.Add(name="join")([stem, inner])
    both = layers.Concatenate(name="both")(
        [_conv(joined, 16, 3, "left", strides=2), _conv(joined, 8, 1, "right", strides=2)]
    )
    return _classes(image, layers.GlobalAveragePooling2D(name="pool")(_conv(both, 24, 3, "last")))


def _ds_cnn() -> Any:
    image = keras.Input((28, 28, 1), name="image")
    x = layers.Conv2D(16, (10, 4), strides=2, padding="same", activation="relu", name="stem")(image)
    x = _separable(x, 24, "one", strides=2)
    x = layers.DepthwiseConv2D(3, padding="same", name="gate_in")(x)
    x = layers.Activation("tanh", name="gate")(x)
    x = _separable(_conv(x, 24, 1, "two_point"), 32, "three")
    return _classes(image, layers.GlobalAveragePooling2D(name="pool")(x))


def _u_net() -> Any:
    image = keras.Input((48, 48, 1), name="image")
    top = _conv(image, 8, 3, "top", strides=2)
    low = _conv(_conv(top, 16, 3, "low", strides=2), 16, 1, "squeeze")
    low = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="spread")(low)
    low = _conv(_conv(low, 32, 3, "deep"), 32, 3, "deeper")
    up = layers.Conv2DTranspose(12, 2, strides=2, activation="relu", name="up")(low)
    joined = _conv(layers.Concatenate(name="skip")([up, top]), 16, 3, "joined")
    up = layers.Conv2DTranspose(8, 2, strides=2, activation="relu", name="up_again")(joined)
    return keras.Model(image, layers.Conv2D(11, 1, activation="softmax", name="scores")(up))


def _encoder() -> Any:
    steps = keras.Input((40, 3), name="strokes")
    x = layers.Conv1D(32, 5, padding="same", activation="relu", name="embed")(steps)
    for number in (1, 2):
        y = layers.LayerNormalization(name=f"before_{number}")(x)
        x = layers.Add(name=f"heard_{number}")([x, layers.MultiHeadAttention(2, 16, name=f"hear_{number}")(y, y)])
        y = layers.LayerNormalization(name=f"after_{number}")(x)
        wide = 16 if number == 1 else 64
        y = layers.Dense(wide, activation="relu", name=f"wide_{number}")(y)
        x = layers.Add(name=f"thought_{number}")([x, layers.Dense(32, name=f"narrow_{number}")(y)])
    return keras.Model(steps, layers.Dense(10, activation="softmax", name="scores")(x))


def _table() -> Any:
    row = keras.Input((49,), name="row")
    x = layers.Dense(64, activation="relu", name="first")(row)
    x = layers.Dense(16, name="gate_in")(x)
    x = layers.Activation("sigmoid", name="gate")(x)
    x = layers.Dense(32, activation="relu", name="second")(x)
    x = layers.Dense(96, activation="relu", name="third")(x)
    return _classes(row, layers.Dense(32, activation="relu", name="fourth")(x))


FAULTY = (
    Faulty("MobileNet", "mnist-5k", "classes", OUTLIER, _mobilenet, "two_point", "three_depth", _pictures, 12),
    Faulty("residual with concat", "mnist-5k", "classes", DEAD, _residual, "narrow", "widen", _pictures, 8),
    Faulty("DS-CNN", "mnist-5k", "classes", SATURATED, _ds_cnn, "gate_in", "two_point", _pictures, 12),
    Faulty("U-Net", "digits:masks", "map", OUTLIER, _u_net, "squeeze", "spread", _composed, 15),
    Faulty("Transformer encoder", "digits:strokes", "sequence", DEAD, _encoder, "wide_1", "narrow_1", _composed, 10),
    Faulty("table with MLP", "mnist-5k", "classes", SATURATED, _table, "gate_in", "second", _rows, 25),
)
