"""Data as people have them, on the command line: what comes in is what Keras and TensorFlow make of the same files."""

import json
import wave
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from edgeport.benchmarks import read_report
from edgeport.benchmarks.report.findings import findings_of
from edgeport.export.bundle.device import predict_lines
from edgeport.runtime import load
from edgeport.runtime.samples.pictures.images import read_images
from edgeport.runtime.samples.pictures.resizing import Resizing
from edgeport.runtime.samples.wav_file import read_wav

PHOTOS = 350
NAMES = ("large", "small")
KINDS = np.array(["ash", "elm", "oak"])


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_is_what_tensorflow_decodes(channels: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    frames = np.random.default_rng(0).integers(-(2**15), 2**15, (300, channels)).astype("<i2")
    with wave.open(str(path), mode="wb") as file:
        file.setparams((channels, 2, 44_100, len(frames), "NONE", ""))
        file.writeframes(frames.tobytes())
    expected, rate = tf.audio.decode_wav(path.read_bytes())
    sound = read_wav(path.read_bytes(), named="a.wav")
    np.testing.assert_array_equal(sound.samples, expected.numpy())
    assert sound.rate == int(rate)


def draw_photos(folder: Path) -> None:
    """Write photos of many sizes with a bright block in the middle, which fills much or little of each."""
    random = np.random.default_rng(2)
    for name, share in zip(NAMES, (0.8, 0.4), strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(PHOTOS):
            width, height = map(int, random.integers((120, 40), (240, 120)))
            pixels = random.integers(20, 60, (height, width, 3), np.uint8)
            high, wide = round(height * share), round(width * share)
            top, left = (height - high) // 2, (width - wide) // 2
            pixels[top : top + high, left : left + wide] = random.integers(190, 230, (high, wide, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03}.{'jpg' if number % 2 else 'png'}")


def test_not_one_label_of_photos_differs_from_keras_own_loader(edgeport, tmp_path: Path) -> None:
    draw_photos(tmp_path / "photos")
    image = keras.Input((32, 32, 3), name="photo")
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    answers = keras.layers.Dense(2, activation="softmax", name="size")
    model = keras.Model(image, answers(mean))
    # Large where more than 40 % of the picture is bright.
    answers.set_weights([np.array([[9, -9]] * 3, np.float32), np.array([-11.5, 11.5], np.float32)])
    model.save(tmp_path / "block.keras")
    edgeport(
        "export", tmp_path / "block.keras", "-o", tmp_path / "out", "--precisions", "float32", "--calibration",
        tmp_path / "photos",
    )  # fmt: skip
    data = keras.utils.image_dataset_from_directory(
        tmp_path / "photos", image_size=(32, 32), shuffle=False, verbose=False
    )
    expected = model.predict(data, verbose=0).argmax(axis=1)
    paths = [Path(path) for path in data.file_paths]
    assert np.bincount(expected).tolist() == [PHOTOS, PHOTOS]
    for suffix in ("tflite", "onnx"):
        printed = edgeport("predict", tmp_path / "out" / f"block.float32.{suffix}", *paths, "--json").stdout
        labels = [json.loads(line)["outputs"]["size"]["label"] for line in printed.splitlines()]
        assert labels == [NAMES[each] for each in expected]
    # Letterboxed, many would differ: the test would see it.
    framed = read_images(paths, shape=(32, 32, 3), resizing=Resizing("letterbox", "bilinear"))
    with load(tmp_path / "out" / "block.float32.tflite") as predictor:
        assert (predictor.predict(framed).argmax(axis=1) != expected).sum() > PHOTOS / 4


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A folder with trees.csv (with targets), rows.csv (without), data.py and trees.keras."""
    random = np.random.default_rng(1)
    kinds = np.arange(120) % 3
    rows = (np.eye(3, 4)[kinds] * 4 + random.normal(size=(120, 4))).astype(np.float32)
    lines = [",".join([*map(str, row), KINDS[kind]]) for row, kind in zip(rows.tolist(), kinds, strict=True)]
    (tmp_path / "trees.csv").write_text("\n".join(["a,b,c,d,kind", *lines]))
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,c,d", *(",".join(map(str, row)) for row in rows.tolist())]))
    (tmp_path / "data.py").write_text(
        "import numpy as np\nimport tensorflow as tf\n"
        "def trees():\n"
        f"    rows = np.loadtxt({str(tmp_path / 'rows.csv')!r}, delimiter=',', skiprows=1, dtype='float32')\n"
        "    return tf.data.Dataset.from_tensor_slices((rows, np.arange(120) % 3)).batch(16)\n"
    )
    facts = keras.Input((4,), name="facts")
    hidden = keras.layers.Dense(8, activation="relu")(facts)
    keras.Model(facts, keras.layers.Dense(3, activation="softmax", name="kind")(hidden)).save(tmp_path / "trees.keras")
    return tmp_path


def probabilities(printed: str) -> list[list[float]]:
    answers = [json.loads(line)["outputs"]["kind"]["probabilities"] for line in printed.splitlines()]
    return [[each[kind] for kind in KINDS] for each in answers]


def test_a_table_goes_all_the_way_from_csv_to_predict(edgeport, table: Path) -> None:
    train = ("train", "--model", table / "trees.keras", "--epochs", 2)
    printed = edgeport(*train, "--dataset", table / "trees.csv", "--target", "kind", "-o", table / "train").stdout
    assert "96 / 12 / 12 samples for train / validation / test" in printed
    record = json.loads((table / "train" / "training.json").read_text())
    assert record["dataset"]["labels"] == KINDS.tolist()
    # Rows of a table mean something else when they are turned or moved.
    assert record["recipe"]["rotation"] == 0
    assert not (table / "train" / "predictions.png").exists()
    edgeport("export", table / "train" / "model.keras", "-o", table / "out", "--precisions", "float32,int8")
    rows = np.loadtxt(table / "rows.csv", delimiter=",", skiprows=1, dtype=np.float32)
    model = keras.models.load_model(table / "train" / "model.keras", compile=False)
    expected = model.predict(rows, verbose=0)
    printed = edgeport("predict", table / "out" / "trees.float32.onnx", table / "rows.csv", "--json").stdout
    np.testing.assert_allclose(probabilities(printed), expected, atol=1e-5)

    assert record["dataset"]["columns"] == ["a", "b", "c", "d"]
    wide = edgeport("predict", table / "out" / "trees.float32.onnx", table / "trees.csv", "--json")
    assert f"edgeport predict: {table / 'trees.csv'}: left out the columns kind" in wide.stderr
    assert probabilities(wide.stdout) == probabilities(printed)

    keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation="softmax")]).save(table / "narrow.keras")
    narrow = ("train", "--model", table / "narrow.keras", "--dataset", table / "trees.csv", "--target", "kind")
    refused = edgeport(*narrow, "-o", table / "other", code=2).stderr
    assert "got 4 numbers a row, expected 3" in refused
    assert not (table / "other").exists()


def test_columns_are_found_by_name_whatever_their_order(
    edgeport, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = keras.Input((4,), name="facts")
    model = keras.Model(facts, keras.layers.Dense(3, activation="softmax", name="kind")(facts))
    model.set_weights([4 * np.eye(4, 3, dtype=np.float32), np.zeros(3, np.float32)])
    model.save(table / "fixed.keras")
    data = ("--calibration", table / "trees.csv", "--target", "kind")
    edgeport("export", table / "fixed.keras", *data, "-o", table / "out", "--precisions", "float32")
    file = table / "out" / "fixed.float32.tflite"
    cells = [line.split(",") for line in (table / "trees.csv").read_text().splitlines()]
    mixed = [",".join((row[3], "id" if row[0] == "a" else "7", row[4], *row[2::-1])) for row in cells]
    (table / "mixed.csv").write_text("\n".join(mixed))
    expected = model.predict(np.array([row[:4] for row in cells[1:]], np.float32), verbose=0)
    ended = edgeport("predict", file, table / "mixed.csv", "--json")
    np.testing.assert_allclose(probabilities(ended.stdout), expected, atol=1e-5)
    assert "left out the columns id, kind, which the model does not take" in ended.stderr

    predict_lines.answer_lines(load(file), [f"{line}\n".encode() for line in mixed[:4]])
    printed, said = capsys.readouterr()
    best = KINDS[expected[:3].argmax(axis=1)]
    assert [line.split()[1] for line in printed.splitlines()] == best.tolist()
    assert said.count("left out the columns id, kind") == 1

    (table / "short.csv").write_text("a,b,weight,d\n1,2,3,4\n")
    refused = edgeport("predict", file, table / "short.csv", code=2).stderr
    assert "it lacks the column c of the model's a, b, c, d, and has weight, which it does not know" in refused
    judged = ("--target", "kind", "--only", "accuracy")
    edgeport("benchmark", table / "out", "--data", table / "mixed.csv", *judged, "-o", table / "judged")
    report = read_report(table / "judged")
    assert findings_of(report).reference.judged[0].changes[0].reference == 1.0


def test_a_function_of_ones_own_trains_and_calibrates_only_where_it_is_named(edgeport, table: Path) -> None:
    source = f"{table / 'data.py'}:trees"
    train = ("train", "--model", table / "trees.keras", "--epochs", 1, "--dataset", source, "-o", table / "train")
    edgeport(*train)
    export = ("export", table / "train" / "model.keras", "--precisions", "float32,int8", "--formats", "tflite")
    refused = edgeport(*export, "-o", table / "out", code=2).stderr.splitlines()
    assert len(refused) == 1
    assert f"is Python code and runs only if you name it: --calibration {source}" in refused[0]
    printed = edgeport(*export, "-o", table / "out", "--calibration", source, "--calibration-count", 40).stdout
    assert f"calibrated on 40 samples of {source}" in printed
