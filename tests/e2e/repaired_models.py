"""Models whose int8 files lose too much, and what brings their answers back: ``export --max-loss``.

``python tests/e2e/repaired_models.py`` exports those that docs/results/architectures.json lists as refused for
accuracy, and two more, and writes docs/results/repaired-models.json, which docs/guides/debug.md
quotes. It takes half an hour; ``[MODEL [FORMAT]]`` makes a part of it anew.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
from architectures import ARCHITECTURES, lively
from keras import layers

from edgeport.export import Options, export_model

if TYPE_CHECKING:
    from edgeport.export.conversion.exporting import Progress
    from edgeport.export.manifest import Manifest

KIND = "repaired-models"
RESULT = Path(__file__).parents[2] / "docs" / "results" / "repaired-models.json"
Samples = npt.NDArray[Any]
# In points, of agreement or of the variance of the answers: decisions of untrained models hang by a hair, and integers
# cost the last three models less by now, on more samples, than when they were refused.
_DECISIONS, _FILMS, _ATTENTION, _COLUMNS = 5.0, 2.0, 0.05, 0.005
_PRECISIONS, _FORMATS = ("float32", "int8"), ("tflite", "onnx")


def photo_patches(count: int) -> Samples:
    """Return patches of two photographs: on random pixels ConvNeXtTiny answers nearly the same, and ties decide."""
    import sklearn.datasets

    random = np.random.default_rng(0)
    photos = sklearn.datasets.load_sample_images().images
    patches = []
    for number in range(count):
        photo = photos[number % 2]
        top, left = random.integers(0, photo.shape[0] - 64), random.integers(0, photo.shape[1] - 64)
        patches.append(photo[top : top + 64 : 2, left : left + 64 : 2])
    return np.array(patches)


def tokens(count: int) -> Samples:
    return np.random.default_rng(0).integers(0, 100, (count, 24)).astype(np.int32)


def films(count: int) -> Samples:
    return np.random.default_rng(0).normal(size=(count, 5, 12, 12, 1)).astype(np.float32)


def causal_attention() -> keras.Model:
    signal = keras.Input((8, 16), name="x")
    return keras.Model(signal, layers.MultiHeadAttention(2, 8)(signal, signal, use_causal_mask=True))


def sequences(count: int) -> Samples:
    return np.random.default_rng(0).normal(size=(count, 8, 16)).astype(np.float32)


def table(count: int) -> Samples:
    return np.random.default_rng(0).uniform([0, 30, 0], [35000, 42, 10], (count, 3)).astype(np.float32)


def columns_of_different_size() -> keras.Model:
    samples = table(2000)
    scaling = layers.Normalization()
    scaling.adapt(samples)
    row = keras.Input((3,), name="x")
    model = keras.Model(row, layers.Dense(1)(layers.Dense(32, activation="relu")(scaling(row))))
    model.compile("adam", "mse")
    model.fit(samples, ((samples[:, 1] - 36) * samples[:, 2]), epochs=40, verbose=0)
    return model


# What is exported, with samples like those that it takes: how many calibrate and judge, and what they are to it.
MODELS: dict[str, tuple[Callable[[], keras.Model], Callable[[int], Samples], int, float, list[str]]] = {
    "ConvNeXtTiny": (lambda: lively(ARCHITECTURES["ConvNeXtTiny"]), photo_patches, 400, _DECISIONS, ["pixels:0:255"]),
    "Embedding and masked LSTM": (
        lambda: lively(ARCHITECTURES["Embedding and masked LSTM"]), tokens, 1000, _DECISIONS, [],
    ),
    "ConvLSTM2D": (lambda: lively(ARCHITECTURES["ConvLSTM2D"]), films, 1000, _FILMS, []),
    "causal attention": (lambda: lively(causal_attention), sequences, 1000, _ATTENTION, []),
    "columns of different size": (lambda: lively(columns_of_different_size), table, 2000, _COLUMNS, []),
}  # fmt: skip


def repaired(name: str, format_name: str, folder: Path) -> "tuple[Manifest, float]":
    """Return what an export with a largest loss made of a model in one format, and how many seconds the search took."""
    build, draw, count, margin, said = MODELS[name]
    file = folder / "model.keras"
    build().save(file)
    began: list[float] = []

    def mark(step: "Progress") -> None:
        print(f"{time.strftime('%X')} {step.doing}", file=sys.stderr, flush=True)
        if step.doing.startswith("searching ") and not began:
            began.append(time.perf_counter())

    manifest = export_model(
        file, folder / "out", calibration=draw(count), calibration_count=count // 4, inputs=said, name="model",
        options=Options(formats=(format_name,), precisions=_PRECISIONS, max_loss=margin),
        on_progress=mark, on_warning=lambda text: None,
    )  # fmt: skip
    return manifest, time.perf_counter() - began[0]


def row_of(name: str, manifest: "Manifest", seconds: float) -> dict[str, Any]:
    """Return what a search has found, as plain values."""
    (found,) = manifest.searches
    return {
        "model": name,
        "format": found.format,
        "measure": found.measure,
        "data": found.data,
        "enough": found.enough,
        "in_floats": list(found.in_floats),
        "layers": found.layers,
        "macs_in_floats": found.macs_in_floats,
        "losses": dict(found.losses),
        "uppers": dict(found.uppers),
        "bytes": dict(found.bytes),
        "us": {precision: round(us, 2) for precision, us in found.us.items()},
        "cures": list(found.cures),
        "files": found.trials,
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Write what repaired each model: ``[MODEL [FORMAT]]`` for one of them, the others stay as they are."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    if RESULT.exists():
        rows = {(row["model"], row["format"]): row for row in json.loads(RESULT.read_text("utf-8"))["rows"]}
    names, formats = sys.argv[1:2] or list(MODELS), sys.argv[2:] or list(_FORMATS)
    for name, format_name in ((name, each) for name in names for each in formats):
        with tempfile.TemporaryDirectory() as folder:
            rows[name, format_name] = row_of(name, *repaired(name, format_name, Path(folder)))
        print(json.dumps(rows[name, format_name]), flush=True)
        ordered = (rows[key] for key in ((each, other) for each in MODELS for other in _FORMATS) if key in rows)
        lines = ",\n  ".join(map(json.dumps, ordered))
        RESULT.write_text(f'{{\n "kind": "{KIND}",\n "schema": 1,\n "rows": [\n  {lines}\n ]\n}}\n', "utf-8")


if __name__ == "__main__":
    main()
