"""The files that the commands of a page are about: models, data and exports, under their names there."""

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image

from edgeport.export import Options, export_model
from edgeport.train.datasets.named import load_dataset

ROOT = Path(__file__).parents[2]
Array = np.ndarray
R = np.random.default_rng(0)


def dense(columns: int, *last: layers.Layer) -> keras.Model:
    """Return a small network of a row of numbers."""
    inputs = keras.Input((columns,), name="row")
    hidden = layers.Dense(8, activation="relu")(inputs)
    return keras.Model(inputs, [layer(hidden) for layer in last] if len(last) > 1 else last[0](hidden))


def pictures(size: int, channels: int, *last: layers.Layer, scaled: bool = True) -> keras.Model:
    """Return a small convolutional network of pictures, which scales pixels itself or leaves that to others."""
    inputs = keras.Input((size, size, channels), name="picture")
    hidden = layers.Rescaling(1 / 127.5, offset=-1)(inputs) if scaled else inputs
    hidden = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(hidden)
    kept = layers.GlobalAveragePooling2D()(hidden)
    return keras.Model(inputs, [layer(kept) for layer in last] if len(last) > 1 else last[0](kept))


def softmax(name: str, classes: int) -> layers.Layer:
    return layers.Dense(classes, activation="softmax", name=name)


def sigmoid(name: str, columns: int) -> layers.Layer:
    return layers.Dense(columns, activation="sigmoid", name=name)


def make_photos(*classes: str, each: int = 20, size: int = 96) -> None:
    for number, name in enumerate(classes):
        Path("photos", name).mkdir(parents=True, exist_ok=True)
        for place in range(each):
            picture = R.integers(0, 120, (size, size, 3)) + np.eye(3)[number % 3] * 120
            Image.fromarray(picture.astype(np.uint8)).save(f"photos/{name}/{place:03}.png")


def export(
    model: keras.Model | str, folder: str, calibration: str, precisions: tuple[str, ...] = ("int8",), **options: object
) -> None:
    """Export a model, which a benchmark finds again where it is saved."""
    if not isinstance(model, str):
        place = Path(folder).parent
        place.mkdir(parents=True, exist_ok=True)
        model.save(place / "model.keras")
        model = f"{place}/model.keras"
    export_model(
        model, folder, calibration=calibration, options=Options(precisions=precisions),
        on_warning=lambda text: None, **options,
    )  # fmt: skip


def digits(_: str) -> None:
    """Make model.keras, which knows digits, and samples of them in every form that a page names."""
    shutil.copy(ROOT / "train/zoo/edge-10k/model.keras", "model.keras")
    data = load_dataset("mnist-5k")
    np.savez("samples.npz", x=data.train.samples, y=data.train.classes)
    np.savez("others.npz", x=data.test.samples, y=data.test.classes)
    np.save("samples.npy", data.train.samples[:600])
    Image.fromarray(data.train.samples[0, :, :, 0]).save("digit.png")


def two_tflite_files(page: str) -> None:
    """Make what TensorFlow's converter makes of one model: a float file and an integer one."""
    digits(page)
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model("model.keras"))
    Path("model.tflite").write_bytes(converter.convert())
    samples = np.load("samples.npy")[:100].astype(np.float32)
    # Twice as many, moved by a pixel: the page asks for a loss that few samples cannot show.
    data = np.load("samples.npz")
    moved = [np.roll(data["x"], shift, axis=2) for shift in (-1, 0, 1)]
    np.savez("samples.npz", x=np.concatenate(moved), y=np.tile(data["y"], 3))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([row[None]] for row in samples)
    Path("model_int8.tflite").write_bytes(converter.convert())


def data(page: str) -> None:
    pictures(28, 1, layers.Dense(1, name="angle")).save("angle.keras")
    dense(2, softmax("species", 3)).save("flowers.keras")
    with Path("flowers.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["width", "length", "species"])
        for place in range(150):
            kind = place % 3
            rows.writerow([*R.normal([kind, 2 - kind], 0.2).round(2), ("setosa", "versicolor", "virginica")[kind]])
    make_photos("cat", "dog")
    pictures(96, 3, softmax("animal", 2), scaled=False).save("mine.keras")
    (function,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    Path("data.py").write_text(function, encoding="utf-8")


def quantization_aware(page: str) -> None:
    make_photos("cat", "dog")
    pictures(96, 3, softmax("animal", 2)).save("mine.keras")
    Path("runs/digits").mkdir(parents=True)
    shutil.copy(ROOT / "train/zoo/edge-10k/model.keras", "runs/digits/model.keras")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    exec(compile(code.replace("epochs=3", "epochs=1"), "qat.md", "exec"), {})


def outputs(_: str) -> None:
    make_photos("", each=60)
    shutil.copy("photos/000.png", "photo.png")
    shutil.copy("photos/001.png", "other.png")
    np.savez("days.npz", row=R.normal(size=(200, 4)).astype(np.float32))
    dense(4, layers.Dense(1, name="temperature"), sigmoid("rain", 1)).save("weather.keras")
    pictures(32, 3, layers.Dense(2, name="joint")).save("pose.keras")
    pictures(32, 3, sigmoid("tags", 3)).save("tags.keras")
    pictures(32, 3, softmax("animal", 3), softmax("colour", 3)).save("two.keras")
    Path("animals.txt").write_text("cat\ndog\nhorse\n", encoding="utf-8")
    flat = pictures(32, 3, layers.Dense(20))
    box = layers.Reshape((5, 4), name="box")(flat.output)
    kind = keras.ops.argmax(layers.Reshape((5, 2))(layers.Dense(10)(flat.output)), axis=-1)
    keras.Model(flat.input, {"box": box, "id": kind}).save("detector.keras")


def everything_to_judge(_: str) -> None:
    """Make the exports and data of the page about benchmarks."""
    for name, columns, target in (("boiler", 3, "temperature"), ("houses", 3, "price")):
        rows = R.normal(size=(600, columns)).astype(np.float32)
        truth = (rows @ [1.0, 2.0, 0.5]).astype(np.float32)
        model = dense(columns, layers.Dense(1, name=target))
        model.compile("adam", "mse")
        model.fit(rows, truth, epochs=1, verbose=0)
        np.savez(f"{name}.npz", row=rows, y=truth[:, None])
        export(model, f"runs/{name}/export", f"{name}.npz", outputs=[f"{target}=values:degC"])
        if name == "houses":
            with Path("houses.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([["rooms", "area", "age", "price"], *np.c_[rows, truth].tolist()])
    inputs = keras.Input((16, 16, 3), name="photo")
    hidden = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    photos = R.integers(0, 256, (200, 16, 16, 3), np.uint8)
    np.savez("masks.npz", photo=photos, y=(photos[..., 0] > 127).astype(np.uint8))
    export(
        keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid", name="mask")(hidden)),
        "runs/unet/export",
        "masks.npz",
    )
    windows = R.normal(size=(400, 12)).astype(np.float32)
    arrays = {"row": windows, "y": np.arange(400) % 40 // 20, "recording": np.arange(400) // 10}
    np.savez("windows.npz", **arrays)
    np.savez("normal.npz", row=windows)
    export(dense(12, layers.Dense(12, name="restored")), "runs/pump/export", "normal.npz", outputs=["values"])
    Path("metrics.py").write_text("", encoding="utf-8")


def fewer_files() -> None:
    """Put two files in the place of the quickstart's nine, which take minutes to time."""
    shutil.rmtree("runs/quickstart/export")
    export("runs/quickstart/train/model.keras", "runs/quickstart/export", "mnist-5k")
    shutil.copytree("runs/quickstart/export", "runs/before/export")


def benchmarks(page: str) -> None:
    fewer_files()
    everything_to_judge(page)
    (function,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    Path("metrics.py").write_text(function, encoding="utf-8")
    make_photos("cat", "dog", size=32)
    both = ("float32", "int8")
    export(pictures(32, 3, softmax("animal", 2), scaled=False), "theirs", "photos", both, inputs=["pixels:-1:1"])
    for precision, name in (
        ("float32.tflite", "float.tflite"),
        ("int8.tflite", "int8.tflite"),
        ("float32.onnx", "other.onnx"),
    ):
        (file,) = Path("theirs").glob(f"*.{precision}")
        shutil.copy(file, name)
    np.savez("test.npz", x=R.uniform(-0.9, 0.8, (60, 32, 32, 3)).astype(np.float32), y=np.arange(60) % 2)


def reports(_: str) -> None:
    for branch in ("main", "branch"):
        Path("runs", branch, "benchmark").mkdir(parents=True)
        shutil.copy(ROOT / "docs/results/mnist-edge/report.json", f"runs/{branch}/benchmark")


# What each page needs beside the results of the quickstart.
FILES: dict[str, Callable[[str], None]] = {
    "calibration": digits, "zoo": digits, "debug": two_tflite_files, "data": data, "qat": quantization_aware,
    "outputs": outputs, "benchmark": benchmarks, "compare": reports,
}  # fmt: skip
