"""The tasks that a model of one's own may be for, each with a small model and files such as a user has.

All weights are random but fixed, so that every machine sees the same model; the last layer is fitted to the data in
closed form, so that the decisions are as clear as those of a trained model.
"""

import csv
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
from keras import layers
from PIL import Image

from edgeport.export import Options, export_model

Array = np.ndarray


@dataclass(frozen=True)
class Task:
    """A model, the samples that calibrate it, and files to predict on.

    Attributes:
        name: What it is called.
        build: Returns the model.
        samples: What ``--calibration`` gets: by name of the input.
        write: Writes the files that ``edgeport predict`` reads into a folder, and returns them with what they are to
            the Keras model.
        options: Further arguments of ``export_model``.
    """

    name: str
    build: Callable[[], keras.Model]
    samples: Callable[[], Array]
    write: Callable[[Path], tuple[list[Path], Array]]
    options: dict[str, object] = field(default_factory=dict)

    @property
    def sees(self) -> bool:
        """Whether it takes pictures."""
        return self.samples().dtype == np.uint8


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def settled(features: keras.Model, head: layers.Dense, samples: Array, targets: Array) -> keras.Model:
    """Return the model of ``features`` and ``head``, whose weights are the least squares solution for the targets."""
    seen = np.asarray(features.predict(samples, verbose=0), np.float64)
    model = keras.Model(features.input, head(features.output))
    rows = np.concatenate([seen, np.ones((len(seen), 1))], axis=1)
    ridge = 1e-3 * np.trace(rows.T @ rows) / rows.shape[1] * np.eye(rows.shape[1])
    solved = np.linalg.solve(rows.T @ rows + ridge, rows.T @ np.asarray(targets, np.float64))
    head.set_weights([solved[:-1].astype(np.float32), solved[-1].astype(np.float32)])
    return model


def targets_of(classes: Array, count: int, *, size: float = 6.0) -> Array:
    return size * np.eye(count)[classes] - size / 2


# Spectrograms: decibels, which have the shape of grey pictures.
def spectrograms(seed: int, count: int) -> tuple[Array, Array]:
    classes = np.arange(count) % 4
    noise = random(seed).uniform(-10, -6, (count, 32, 32, 1))
    rows = np.abs(np.arange(32)[None, :, None, None] - (4 + 8 * classes)[:, None, None, None]) < 3
    return np.where(rows, noise + 4.5, noise).astype(np.float32), classes


def spectrogram_model() -> keras.Model:
    inputs = keras.Input((32, 32, 1), name="spectrogram")
    hidden = layers.Conv2D(12, 5, strides=2, activation="relu")(inputs)
    hidden = layers.Flatten()(layers.MaxPooling2D(2)(hidden))
    samples, classes = spectrograms(1, 200)
    head = layers.Dense(4, activation="softmax", name="words")
    return settled(keras.Model(inputs, hidden), head, samples, targets_of(classes, 4))


def write_spectrograms(folder: Path) -> tuple[list[Path], Array]:
    values = spectrograms(3, 8)[0]
    np.save(folder / "clips.npy", values)
    return [folder / "clips.npy"], values


# Raw audio, as a microphone gives it.
RATE = 8_000


def sounds(seed: int, count: int) -> tuple[Array, Array]:
    classes = np.arange(count) % 3
    times = np.arange(800) / RATE
    generator = random(seed)
    phases = generator.uniform(0, 6.28, (count, 1))
    waves = 0.5 * np.sin(2 * np.pi * np.array([200, 700, 1800])[classes][:, None] * times + phases)
    return (waves + generator.normal(0, 0.03, waves.shape)).astype(np.float32)[..., None], classes


def audio_model() -> keras.Model:
    inputs = keras.Input((800, 1), name="audio")
    hidden = layers.Conv1D(16, 32, strides=4, activation="relu")(inputs)
    hidden = layers.Conv1D(16, 8, strides=4, activation="relu")(hidden)
    hidden = layers.GlobalMaxPooling1D()(hidden)
    samples, classes = sounds(1, 240)
    head = layers.Dense(3, activation="softmax", name="pitch")
    return settled(keras.Model(inputs, hidden), head, samples, targets_of(classes, 3))


def write_sounds(folder: Path) -> tuple[list[Path], Array]:
    paths, heard = [], []
    for place, values in enumerate(sounds(3, 4)[0]):
        integers = np.clip(np.rint(values[:, 0] * 32768), -32768, 32767).astype("<i2")
        paths.append(folder / f"clip{place}.wav")
        with wave.open(str(paths[-1]), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(integers.tobytes())
        heard.append(integers.astype(np.float32)[:, None] / 32768)
    return paths, np.stack(heard)


# A table whose columns are of different sizes.
def table(seed: int, count: int) -> Array:
    return random(seed).uniform([0, 30, 0, -120, 1], [35_000, 42, 10, -110, 6], (count, 5)).astype(np.float32)


def price(rows: Array) -> Array:
    return (0.4 + rows[:, 2:3] * 0.3 + (rows[:, 1:2] - 36) * 0.1 + rows[:, :1] * 1e-5).astype(np.float32)


def table_model() -> keras.Model:
    inputs = keras.Input((5,), name="features")
    normalization = layers.Normalization()
    rows = table(1, 600)
    normalization.adapt(rows)
    hidden = layers.Dense(32, activation="relu")(normalization(inputs))
    return settled(keras.Model(inputs, hidden), layers.Dense(1, name="price"), rows, price(rows))


def write_rows(name: str, rows: Array) -> Callable[[Path], tuple[list[Path], Array]]:
    def write(folder: Path) -> tuple[list[Path], Array]:
        path = folder / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows.reshape(len(rows), -1).tolist())
        return [path], rows

    return write


# Anomaly detection: an autoencoder, whose error is the answer.
def readings(seed: int, count: int) -> Array:
    generator = random(seed)
    hidden = generator.normal(size=(count, 3))
    mixing = random(7).normal(size=(3, 12))
    return (hidden @ mixing + generator.normal(0, 0.05, (count, 12))).astype(np.float32)


def autoencoder() -> keras.Model:
    inputs = keras.Input((12,), name="sensors")
    narrow = layers.Dense(6, activation="relu")(layers.Dense(24, activation="relu")(inputs))
    hidden = layers.Dense(24, activation="relu")(narrow)
    return settled(keras.Model(inputs, hidden), layers.Dense(12, name="restored"), readings(1, 400), readings(1, 400))


# Pictures.
def photos(seed: int, count: int, size: tuple[int, int] = (64, 48)) -> tuple[Array, Array]:
    """Return pictures (n, rows, columns, 3) with a bright patch in one of three colours, and which it is."""
    generator = random(seed)
    columns, rows = size
    classes = np.arange(count) % 3
    pictures = generator.integers(0, 90, (count, rows // 4, columns // 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    for picture, kind in zip(pictures, classes, strict=True):
        top, left = generator.integers(0, rows // 2), generator.integers(0, columns // 2)
        picture[top : top + rows // 2, left : left + columns // 2, kind] += 150
    return pictures.astype(np.uint8), classes


def squares(seed: int, count: int) -> Array:
    return photos(seed, count, (32, 32))[0]


def write_photos(scaled: Callable[[Array], Array] = np.asarray) -> Callable[[Path], tuple[list[Path], Array]]:
    def write(folder: Path) -> tuple[list[Path], Array]:
        pictures = photos(3, 6)[0]
        paths = [folder / f"photo{place}.png" for place in range(len(pictures))]
        for path, picture in zip(paths, pictures, strict=True):
            Image.fromarray(picture).save(path)
        # What Keras' own loader makes of the same files, in the same order, rounded as edgeport states it.
        read = keras.utils.image_dataset_from_directory(
            folder, labels=None, image_size=(32, 32), shuffle=False, verbose=False
        )
        return paths, scaled(np.rint(np.concatenate([np.asarray(batch) for batch in read])))

    return write


def unet() -> keras.Model:
    inputs = keras.Input((32, 32, 3), name="photo")
    first = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    deep = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D()(first))
    joined = layers.Concatenate()([first, layers.UpSampling2D(interpolation="bilinear")(deep)])
    outputs = layers.Conv2D(1, 1, activation="sigmoid", name="mask", kernel_initializer="he_normal")(joined)
    return keras.Model(inputs, outputs)


def detector() -> keras.Model:
    inputs = keras.Input((32, 32, 3), name="photo")
    hidden = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    for width in (8, 16, 16):
        hidden = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(hidden)
    boxes = layers.Reshape((16, 4), name="boxes")(layers.Conv2D(4, 1, activation="sigmoid")(hidden))
    scores = layers.Reshape((16, 3), name="scores")(layers.Conv2D(3, 1, activation="sigmoid")(hidden))
    return keras.Model(inputs, {"boxes": boxes, "scores": scores})


def picture_features() -> keras.Model:
    inputs = keras.Input((32, 32, 3), name="photo")
    hidden = layers.Rescaling(1 / 255)(inputs)
    hidden = layers.Conv2D(12, 5, strides=2, activation="relu")(hidden)
    return keras.Model(inputs, layers.GlobalMaxPooling2D()(hidden))


def multi_label() -> keras.Model:
    samples, classes = photos(1, 300, (32, 32))
    targets = np.stack([classes == 0, classes == 1, classes != 2, classes != 0], axis=1) * 6.0 - 3.0
    return settled(picture_features(), layers.Dense(4, activation="sigmoid", name="tags"), samples, targets)


def binary() -> keras.Model:
    samples, classes = photos(1, 300, (32, 32))
    head = layers.Dense(1, activation="sigmoid", name="defect")
    return settled(picture_features(), head, samples, (classes[:, None] == 0) * 6.0 - 3.0)


# Tokens.
def sentences(seed: int, count: int) -> tuple[Array, Array]:
    generator = random(seed)
    classes = np.arange(count) % 3
    return (generator.integers(0, 100, (count, 20)) + 100 * classes[:, None]).astype(np.int32), classes


def token_model() -> keras.Model:
    inputs = keras.Input((20,), dtype="int32", name="tokens")
    hidden = layers.GlobalAveragePooling1D()(layers.Embedding(300, 16, embeddings_initializer="normal")(inputs))
    samples, classes = sentences(1, 300)
    head = layers.Dense(3, activation="softmax", name="mood")
    return settled(keras.Model(inputs, hidden), head, samples, targets_of(classes, 3))


# A base out of Keras' own applications, whose preprocessing stands outside, as in Keras' guide to transfer learning.
def mobilenet() -> keras.Model:
    whole = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, include_top=False, weights=None)
    # With weights that nobody trained the later blocks make noise of everything.
    base = keras.Model(whole.input, whole.get_layer("block_1_project_BN").output, name="mobilenetv2")
    samples, classes = photos(1, 900, (32, 32))
    scaled = keras.applications.mobilenet_v2.preprocess_input(samples.astype(np.float32))
    # The normalisations take the statistics of the data, as they would in training.
    for layer in base.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    base(scaled[:200], training=True)
    inputs = keras.Input((32, 32, 3), name="photo")
    hidden = layers.GlobalAveragePooling2D()(base(inputs))
    head = layers.Dense(3, activation="softmax", name="kinds")
    return settled(keras.Model(inputs, hidden), head, scaled, targets_of(classes, 3))


# A forecaster: what a series of readings will be next.
def series(seed: int, count: int) -> Array:
    generator = random(seed)
    times = np.arange(30)[None, :, None] / 5 + generator.uniform(0, 6.28, (count, 1, 1))
    return np.sin(times * np.array([1.0, 0.7])).astype(np.float32) + generator.normal(0, 0.02, (count, 30, 2)).astype(
        np.float32
    )


def forecaster() -> keras.Model:
    inputs = keras.Input((24, 2), name="history")
    hidden = layers.GRU(16)(inputs)
    seen = series(1, 300)
    return settled(keras.Model(inputs, hidden), layers.Dense(6, name="next"), seen[:, :24], seen[:, 24:, 0])


def write_series(folder: Path) -> tuple[list[Path], Array]:
    values = series(3, 5)[:, :24]
    np.savez(folder / "history.npz", history=values)
    return [folder / "history.npz"], values


def make(task: Task, folder: Path) -> None:
    """Export the model of a task in two precisions, and write the files that its user has."""
    keras.utils.set_random_seed(1)
    model = task.build()
    model.save(folder / "model.keras")
    np.savez(folder / "samples.npz", **{model.inputs[0].name: task.samples()})
    export_model(
        folder / "model.keras",
        folder / "export",
        calibration=folder / "samples.npz",
        options=Options(precisions=("float32", "int8")),
        on_warning=lambda text: None,
        **task.options,
    )
    (folder / "files").mkdir()
    _, values = task.write(folder / "files")
    answers = model.predict(values, verbose=0)
    named = answers if isinstance(answers, dict) else {model.output_names[0]: answers}
    np.savez(folder / "expected.npz", **named)


TASKS = (
    Task("spectrograms", spectrogram_model, lambda: spectrograms(2, 200)[0], write_spectrograms),
    Task("audio", audio_model, lambda: sounds(2, 200)[0], write_sounds),
    Task(
        "table",
        table_model,
        lambda: table(2, 300),
        write_rows("houses.csv", table(3, 6)),
        {"outputs": ["values:price=kUSD"]},
    ),
    Task("anomaly", autoencoder, lambda: readings(2, 300), write_rows("readings.csv", readings(3, 6))),
    Task("unet", unet, lambda: squares(2, 120), write_photos()),
    Task("detector", detector, lambda: squares(2, 120), write_photos(), {"outputs": ["boxes=boxes"]}),
    Task(
        "multi-label",
        multi_label,
        lambda: squares(2, 200),
        write_photos(),
        {"labels": {"tags": ["red", "green", "warm", "not-red"]}},
    ),
    Task("binary", binary, lambda: squares(2, 200), write_photos()),
    Task("tokens", token_model, lambda: sentences(2, 200)[0], write_rows("sentences.csv", sentences(3, 6)[0])),
    Task(
        "mobilenet",
        mobilenet,
        lambda: squares(2, 200),
        write_photos(keras.applications.mobilenet_v2.preprocess_input),
        {"inputs": ["pixels:-1:1"]},
    ),
    Task("forecaster", forecaster, lambda: series(2, 200)[:, :24], write_series, {"outputs": ["next=values:degC"]}),
)
