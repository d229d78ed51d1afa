"""Models of many kinds with the samples that they were trained on, each trained in seconds on installed data."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import sklearn.datasets
from keras import layers

from edgeport.train.datasets.named import load_dataset

Array = npt.NDArray[Any]
_WORDS, _LENGTH = 500, 40


@dataclass(frozen=True, eq=False)
class Sound:
    """A model and samples like those that it was trained on.

    Attributes:
        name: What tables call it.
        model: The trained model.
        samples: Of shape (n, ...), as an export takes them.
        classes: Which class each is, of shape (n,); None for a model of another kind.
        said: What is said of the input, as ``--input`` takes it; empty for nothing.
        columns: What the numbers of a table are called.
    """

    name: str
    model: Any
    samples: Array
    classes: Array | None
    said: str = ""
    columns: tuple[str, ...] = ()


def sound_models(names: Sequence[str] = ()) -> Iterator[Sound]:
    """Yield the models, each trained as soon as it is asked for.

    Args:
        names: Which; empty for all.
    """
    for name, build in _BUILDERS.items():
        if not names or name in names:
            keras.utils.set_random_seed(0)
            yield build(name, np.random.default_rng(0))


def _photo_patches(random: np.random.Generator) -> tuple[Array, Array]:
    """Return patches of two photographs: which one, and whether from its upper half."""
    patches, classes = [], []
    for number, photo in enumerate(sklearn.datasets.load_sample_images().images):
        for _ in range(600):
            top, left = random.integers(0, photo.shape[0] - 64), random.integers(0, photo.shape[1] - 64)
            patches.append(photo[top : top + 64 : 2, left : left + 64 : 2])
            classes.append(2 * number + int(top > (photo.shape[0] - 64) // 2))
    order = random.permutation(len(patches))
    return np.array(patches)[order], np.array(classes)[order]


def _blocks(x: Any, *filters: int, normalised: bool = True) -> Any:
    for count in filters:
        x = layers.Conv2D(count, 3, strides=2, padding="same", use_bias=not normalised)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x) if normalised else x)
    return layers.GlobalAveragePooling2D()(x)


def fitted(start: Any, end: Any, samples: Array, targets: Array, *, epochs: int, loss: str = "") -> Any:
    """Return a model fitted to targets."""
    model = keras.Model(start, end)
    model.compile("adam", loss or "sparse_categorical_crossentropy")
    model.fit(samples, targets, epochs=epochs, batch_size=32, verbose=0)
    return model


def _photos(name: str, random: np.random.Generator) -> Sound:
    samples, classes = _photo_patches(random)
    x = _blocks(layers.Rescaling(1 / 255)(start := keras.Input((32, 32, 3), name="photo")), 16, 32, 32)
    model = fitted(start, layers.Dense(4, activation="softmax")(x), samples.astype("float32"), classes, epochs=4)
    return Sound(name, model, samples, classes)


def _photos_scaled_outside(name: str, random: np.random.Generator) -> Sound:
    samples, classes = _photo_patches(random)
    real = (samples / np.float32(127.5) - 1).astype(np.float32)
    x = _blocks(start := keras.Input((32, 32, 3), name="photo"), 16, 32, 32)
    model = fitted(start, layers.Dense(4, activation="softmax")(x), real, classes, epochs=4)
    return Sound(name, model, samples, classes, "pixels:-1:1")


def _photos_standardised(name: str, random: np.random.Generator) -> Sound:
    samples, classes = _photo_patches(random)
    mean, deviation = (np.array(each, np.float32) for each in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    real = (samples / np.float32(255) - mean) / deviation
    x = _blocks(start := keras.Input((32, 32, 3), name="photo"), 16, 32, 32)
    model = fitted(start, layers.Dense(4, activation="softmax")(x), real, classes, epochs=4)
    return Sound(name, model, real, classes, "real")


def _photos_without_normalization(name: str, random: np.random.Generator) -> Sound:
    samples, classes = _photo_patches(random)
    start = keras.Input((32, 32, 3), name="photo")
    x = _blocks(layers.Rescaling(1 / 255)(start), 16, 32, normalised=False)
    model = fitted(start, layers.Dense(4, activation="softmax")(x), samples.astype("float32"), classes, epochs=4)
    return Sound(name, model, samples, classes)


def _digits(name: str, random: np.random.Generator) -> Sound:
    split = load_dataset("mnist-5k").train
    samples, classes = split.samples[:2000], split.classes[:2000]
    x = _blocks(layers.Rescaling(1 / 255)(start := keras.Input((28, 28, 1), name="digit")), 16, 32)
    model = fitted(start, layers.Dense(10, activation="softmax")(x), samples.astype("float32"), classes, epochs=4)
    return Sound(name, model, samples, classes)


def _small_digits(name: str, random: np.random.Generator) -> Sound:
    data = sklearn.datasets.load_digits()
    samples = data.data.astype(np.float32)
    scaling = layers.Normalization()
    scaling.adapt(samples)
    x = layers.Dense(32, activation="relu")(scaling(start := keras.Input((64,), name="ink")))
    model = fitted(start, layers.Dense(10, activation="softmax")(x), samples, data.target, epochs=10)
    return Sound(name, model, samples, data.target, "real")


def _tones(random: np.random.Generator, length: int) -> tuple[Array, Array]:
    """Return waves of three kinds of sound, at the level of a usual recording."""
    time = np.arange(length) / 8000
    waves, classes = [], []
    for number in range(900):
        kind, pitch = number % 3, random.uniform(150, 600)
        phase = random.uniform(0, 6.28)
        wave = (
            np.sin(6.2832 * pitch * time + phase),
            np.sign(np.sin(6.2832 * pitch * time + phase)),
            random.normal(size=length) * np.exp(-time * 8),
        )[kind]
        waves.append(random.uniform(0.1, 0.5) * wave + 0.01 * random.normal(size=length))
        classes.append(kind)
    order = random.permutation(len(waves))
    return np.array(waves, np.float32)[order], np.array(classes)[order]


def _waves(name: str, random: np.random.Generator) -> Sound:
    waves, classes = _tones(random, 1024)
    x = start = keras.Input((1024, 1), name="wave")
    for count in (16, 16, 32):
        x = layers.Conv1D(count, 9, strides=4, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    end = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    samples = waves[..., np.newaxis]
    return Sound(name, fitted(start, end, samples, classes, epochs=5), samples, classes, "real")


def _spoken(name: str, random: np.random.Generator) -> Sound:
    waves, classes = _tones(random, 2048)
    frames = np.lib.stride_tricks.sliding_window_view(waves, 256, axis=1)[:, ::64] * np.hanning(256)
    power = np.abs(np.fft.rfft(frames, axis=-1)[..., 1:129]).reshape(*frames.shape[:2], 32, 4).mean(axis=-1)
    samples = np.log(power + 1e-4).astype(np.float32)[..., np.newaxis]
    x = start = keras.Input(samples.shape[1:], name="spectrum")
    x = layers.Conv2D(16, (8, 4), strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    end = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return Sound(name, fitted(start, end, samples, classes, epochs=5), samples, classes, "real")


def _breast_cancer(name: str, random: np.random.Generator) -> Sound:
    data = sklearn.datasets.load_breast_cancer()
    samples = data.data.astype(np.float32)
    scaling = layers.Normalization()
    scaling.adapt(samples)
    x = layers.Dense(16, activation="relu")(scaling(start := keras.Input((30,), name="table")))
    end = layers.Dense(1, activation="sigmoid")(x)
    model = fitted(start, end, samples, data.target, epochs=15, loss="binary_crossentropy")
    return Sound(name, model, samples, data.target, "real", tuple(map(str, data.feature_names)))


def _wine(name: str, random: np.random.Generator) -> Sound:
    data = sklearn.datasets.load_wine()
    samples = data.data.astype(np.float32)
    x = layers.BatchNormalization(momentum=0.9)(start := keras.Input((13,), name="table"))
    end = layers.Dense(3, activation="softmax")(layers.Dense(16, activation="relu")(x))
    model = fitted(start, end, samples, data.target, epochs=40)
    return Sound(name, model, samples, data.target, "real", tuple(data.feature_names))


def _diabetes(name: str, random: np.random.Generator) -> Sound:
    data = sklearn.datasets.load_diabetes(scaled=False)
    samples = data.data.astype(np.float32)
    scaling = layers.Normalization()
    scaling.adapt(samples)
    x = layers.Dense(16)(scaling(start := keras.Input((10,), name="table")))
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    model = fitted(start, layers.Dense(1)(x), samples, data.target / 100, epochs=20, loss="mse")
    return Sound(name, model, samples, None, "real", tuple(data.feature_names))


def _text(name: str, random: np.random.Generator) -> Sound:
    """Whether words come from the descriptions of scikit-learn's data sets or from the code that reads these."""
    known: dict[str, int] = {}
    samples, classes = [], []
    for kind, pattern in enumerate(("descr/*.rst", "*.py")):
        for path in sorted(Path(sklearn.datasets.__file__).parent.glob(pattern)):
            words = re.findall(r"[a-z]+", path.read_text("utf-8").lower())
            numbers = [known.setdefault(word, len(known) + 1) % _WORDS for word in words]
            for start in range(0, len(numbers) - _LENGTH, _LENGTH):
                length = int(random.integers(_LENGTH // 4, _LENGTH + 1))
                samples.append(numbers[start : start + length] + [0] * (_LENGTH - length))
                classes.append(kind)
    order = random.permutation(len(samples))[:1500]
    tokens, kinds = np.array(samples, np.int32)[order], np.array(classes)[order]
    x = layers.Embedding(_WORDS, 16)(start := keras.Input((_LENGTH,), dtype="int32", name="words"))
    x = layers.Conv1D(16, 3)(x)
    x = layers.GlobalMaxPooling1D()(layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x)))
    model = fitted(start, layers.Dense(2, activation="softmax")(x), tokens, kinds, epochs=3)
    return Sound(name, model, tokens, kinds)


def _vibration(name: str, random: np.random.Generator) -> Sound:
    time = np.arange(64)[:, np.newaxis] / 64
    classes = random.integers(0, 3, 800)
    rates = 2.0 + 3 * classes[:, np.newaxis, np.newaxis] + random.uniform(0, 1, (800, 1, 3))
    samples = (9.8 + np.sin(6.2832 * rates * time) + 0.2 * random.normal(size=(800, 64, 3))).astype(np.float32)
    x = layers.Conv1D(16, 5, strides=2, activation="relu")(start := keras.Input((64, 3), name="acceleration"))
    x = layers.Conv1D(16, 5, strides=2, activation="relu")(layers.LayerNormalization()(x))
    end = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    return Sound(name, fitted(start, end, samples, classes, epochs=25), samples, classes)


def _autoencoder(name: str, random: np.random.Generator) -> Sound:
    samples = (sklearn.datasets.load_digits().data / 16).astype(np.float32)
    x = start = keras.Input((64,), name="ink")
    for count in (32, 8, 32):
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(layers.Dense(count)(x)))
    model = fitted(start, layers.Dense(64)(x), samples, samples, epochs=8, loss="mse")
    return Sound(name, model, samples, None, "real")


_BUILDERS = {
    "photos, scaled inside": _photos,
    "photos, -1 to 1": _photos_scaled_outside,
    "photos, mean and deviation outside": _photos_standardised,
    "photos, no normalisation layer": _photos_without_normalization,
    "digits": _digits,
    "small digits, Normalization": _small_digits,
    "sound, log spectra": _spoken,
    "sound, waves": _waves,
    "table, Normalization": _breast_cancer,
    "table, BatchNormalization first": _wine,
    "table, values": _diabetes,
    "text": _text,
    "vibration, LayerNormalization": _vibration,
    "autoencoder": _autoencoder,
}
