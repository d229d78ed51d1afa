"""Models whose int8 files lose too much, and what brings their answers back: ``export --max-loss``.

``python tests/e2e/repaired_models.py`` exports those that docs/results/architectures.json lists as refused for
accuracy, and two more, and writes docs/results/repaired-models.json, which docs/guides/debug.md
quotes. It takes half an hour; ``[MODEL [FORMAT]]`` makes a part of it anew.

What is asked for is the same of all: to lose less than half of what int8 loses. That, the upper end of its interval,
is measured first, on the same samples.
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
# Points that every int8 file keeps to, so that the loss of int8 is measured and nothing is repaired.
_ANY_LOSS = 1000.0
_PRECISIONS = ("float32", "int8")


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
MODELS: dict[str, tuple[Callable[[], keras.Model], Callable[[int], Samples], int, list[str], tuple[str, ...]]] = {
    "ConvNeXtTiny": (
        lambda: lively(ARCHITECTURES["ConvNeXtTiny"]), photo_patches, 400, ["pixels:0:255"], ("tflite", "onnx"),
    ),
    "Embedding and masked LSTM": (
        lambda: lively(ARCHITECTURES["Embedding and masked LSTM"]), tokens, 1000, [], ("tflite",),
    ),
    "ConvLSTM2D": (lambda: lively(ARCHITECTURES["ConvLSTM2D"]), films, 1000, [], ("tflite",)),
    "causal attention": (lambda: lively(causal_attention), sequences, 1000, [], ("tflite", "onnx")),
    "columns of different size": (lambda: lively(columns_of_different_size), table, 2000, [], ("tflite", "onnx")),
}  # fmt: skip


def margin_of(upper: float) -> float:
    """Return what a repaired file must lose less than, in two digits."""
    return float(f"{upper / 2:.2g}")


def repaired(name: str, format_name: str, folder: Path) -> "tuple[Manifest, float]":
    """Return what an export with a largest loss made of a model in one format, and how many seconds the search took."""
    build, draw, count, said, _ = MODELS[name]
    file, samples = folder / "model.keras", draw(count)
    build().save(file)
    began: list[float] = []

    def mark(step: "Progress") -> None:
        print(f"{time.strftime('%X')} {step.doing}", file=sys.stderr, flush=True)
        if step.doing.startswith("searching ") and not began:
            began.append(time.perf_counter())

    def exported(into: str, margin: float, *, try_cures: bool) -> "Manifest":
        began.clear()
        return export_model(
            file, folder / into, calibration=samples, calibration_count=count // 4, inputs=said, name="model",
            options=Options(formats=(format_name,), precisions=_PRECISIONS, max_loss=margin, try_cures=try_cures),
            on_progress=mark, on_warning=lambda text: None,
        )  # fmt: skip

    (plain,) = exported("plain", _ANY_LOSS, try_cures=False).searches
    upper = plain.uppers["int8"]
    assert upper is not None
    manifest = exported("out", margin_of(upper), try_cures=True)
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
    keys = [(name, format_name) for name, (*_, formats) in MODELS.items() for format_name in formats]
    for name, format_name in (key for key in keys if list(key[: len(sys.argv) - 1]) == sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            rows[name, format_name] = row_of(name, *repaired(name, format_name, Path(folder)))
        print(json.dumps(rows[name, format_name]), flush=True)
        lines = ",\n  ".join(json.dumps(rows[key]) for key in keys if key in rows)
        RESULT.write_text(f'{{\n "kind": "{KIND}",\n "schema": 1,\n "rows": [\n  {lines}\n ]\n}}\n', "utf-8")


if __name__ == "__main__":
    main()
