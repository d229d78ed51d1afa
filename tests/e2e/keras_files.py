"""The same models, built and saved by Keras 3 and by Keras 2, in each kind of file, and what becomes of each.

``python tests/e2e/keras_files.py`` exports them all in float32 and writes docs/results/keras-files.json, which
docs/guides/export.md quotes. A file's answers are compared with those of the library that wrote it.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from pixels import with_pixels

from edgeport.export import Options, export, load_calibration, load_source
from edgeport.runtime import load
from edgeport.runtime.errors import EdgeportError

KIND = "keras-files"
RESULT = Path(__file__).parents[2] / "docs" / "results" / "keras-files.json"
LIBRARIES = {"Keras 3": keras, "Keras 2": tf_keras}
FILES = (".keras", ".h5", "SavedModel")
# The largest difference from the writing library, as a share of the range of its answers.
LIMIT = 1e-4
_OPTIONS = Options(precisions=("float32",))
_COUNT = 20


def _cnn(k: Any) -> Any:
    x = i = k.Input((12, 12, 3), name="image")
    x = k.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(k.layers.Rescaling(1 / 127.5, offset=-1)(x))
    x = k.layers.MaxPooling2D()(k.layers.ReLU(max_value=6)(k.layers.BatchNormalization()(x)))
    return k.Model(i, k.layers.Dense(5, activation="softmax", name="classes")(k.layers.Flatten()(x)))


def _depthwise(k: Any) -> Any:
    i = k.Input((9, 9, 3), name="image")
    x = k.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(k.layers.Rescaling(1 / 255)(i))
    x = k.layers.SeparableConv2D(6, 3)(x)
    return k.Model(i, k.layers.Dense(2, name="values")(k.layers.GlobalAveragePooling2D()(x)))


def _embedding(k: Any) -> Any:
    i = k.Input((10,), dtype="int32", name="tokens")
    x = k.layers.GlobalAveragePooling1D()(k.layers.Embedding(50, 8, name="table")(i))
    return k.Model(i, k.layers.Dense(3, activation="softmax", name="classes")(x))


def _recurrent(layer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def build(k: Any) -> Any:
        i = k.Input((7, 5), name="series")
        return k.Model(i, k.layers.Dense(2, name="next")(layer(k.layers)(i)))

    return build


def _attention(k: Any) -> Any:
    i = k.Input((6, 8), name="steps")
    x = k.layers.LayerNormalization()(k.layers.Add()([i, k.layers.MultiHeadAttention(2, 4)(i, i)]))
    return k.Model(i, k.layers.Dense(3, activation="gelu", name="values")(x))


def _squeeze_and_excite(k: Any) -> Any:
    i = k.Input((8, 8, 3), name="image")
    x = k.layers.Conv2D(8, 3, padding="same", activation="swish")(k.layers.Rescaling(1 / 255)(i))
    # Keras 2 has clip(0.2 x + 0.5, 0, 1) for it, Keras 3 has relu6(x + 3) / 6.
    gate = k.layers.Dense(8, activation="hard_sigmoid")(k.layers.Dense(4)(k.layers.GlobalAveragePooling2D()(x)))
    x = k.layers.Multiply()([x, k.layers.Reshape((1, 1, 8))(gate)])
    return k.Model(i, k.layers.Dense(4, activation="softmax", name="classes")(k.layers.GlobalMaxPooling2D()(x)))


def _sliced(k: Any) -> Any:
    i = k.Input((10,), name="facts")
    x = k.layers.Concatenate()([i[:, 2:], i[:, ::3]])
    # Keras 2 takes TensorFlow's functions as layers, Keras 3 has its own.
    reshape, transpose, relu = (k.ops.reshape, k.ops.transpose, k.ops.relu) if k is keras else _TENSORFLOW
    x = transpose(reshape(x, (-1, 3, 4)), (0, 2, 1))
    x = relu(x) / 2 - x * 0.25
    return k.Model(i, k.layers.Dense(3, name="values")(k.layers.Flatten()(x)))


def _two_and_two(k: Any) -> Any:
    left, right = k.Input((4,), name="left"), k.Input((5, 5, 1), name="right")
    y = k.layers.Conv2D(3, 3, activation="relu")(k.layers.Rescaling(1 / 255)(right))
    x = k.layers.Concatenate()([left, k.layers.Flatten()(y)])
    outputs = [k.layers.Dense(3, activation="softmax", name="kind")(x), k.layers.Dense(1, name="size")(x)]
    return k.Model([left, right], outputs)


_TENSORFLOW = (tf.reshape, tf.transpose, tf.nn.relu)

MODELS: Mapping[str, Callable[[Any], Any]] = {
    "CNN": _cnn,
    "depthwise": _depthwise,
    "Embedding": _embedding,
    "LSTM": _recurrent(lambda layers: layers.LSTM(6)),
    "GRU": _recurrent(lambda layers: layers.GRU(6)),
    "Bidirectional": _recurrent(lambda layers: layers.Bidirectional(layers.LSTM(4))),
    "MultiHeadAttention": _attention,
    "squeeze and excite, hard_sigmoid": _squeeze_and_excite,
    "slices and TensorFlow functions": _sliced,
    "two inputs, two outputs": _two_and_two,
}


def save(name: str, library: str, kind: str, folder: Path) -> tuple[Path, dict[str, Any], list[Any]]:
    """Build a model and save it; return the path, samples by input, and the library's own answers to them."""
    k = LIBRARIES[library]
    k.backend.clear_session()
    k.utils.set_random_seed(1)
    model = MODELS[name](k)
    random = np.random.default_rng(0)
    model.set_weights(
        [abs(value) + 0.3 * random.random(value.shape) if value.ndim == 1 else value for value in model.get_weights()]
    )
    samples = {tensor.name: _samples(tensor, random) for tensor in model.inputs}
    path = folder / f"model{kind if kind.startswith('.') else ''}"
    if kind != "SavedModel":
        model.save(path)
    elif k is keras:
        model.export(path, verbose=False)
    else:
        model.save(path, save_format="tf")
    return path, samples, tf.nest.flatten(model.predict(list(samples.values()), verbose=0))


def _samples(tensor: Any, random: Any) -> Any:
    shape = (_COUNT, *tensor.shape[1:])
    if len(shape) == 4:
        return random.uniform(0, 255, shape).astype(np.float32)
    is_real = tf.as_dtype(tensor.dtype).is_floating
    return random.normal(size=shape).astype(np.float32) if is_real else random.integers(0, 50, shape).astype(np.int32)


def outcome(name: str, library: str, kind: str) -> dict[str, float] | str:
    """Return the error of the float32 file in each format, as a share of the range; or why there is none."""
    with tempfile.TemporaryDirectory() as folder:
        path, samples, expected = save(name, library, kind, Path(folder))
        try:
            source = with_pixels(load_source(path), 0, 255)
            calibration = load_calibration(
                "random", inputs=source.inputs, count=_COUNT, vocabulary=source.opened.vocabulary
            )
            manifest = export(source, Path(folder, "out"), calibration, options=_OPTIONS)
        except EdgeportError as error:
            return str(error).replace(str(path), path.name)
        if manifest.refused:
            return f"{manifest.refused[0].file}: {manifest.refused[0].reason}"
        return {
            each.format: _error(load(Path(folder, "out", each.file)), samples, expected) for each in manifest.artefacts
        }


def _error(artefact: Any, samples: Mapping[str, Any], expected: list[Any]) -> float:
    answers = list(artefact.answer(samples).values())
    assert len(answers) == len(expected)
    # A signature has its outputs in the order of their names, which differ between libraries.
    return max(
        min(float(np.abs(answer - wanted).max() / np.ptp(wanted)) for answer in answers if answer.shape == wanted.shape)
        for wanted in expected
    )


def main() -> None:
    """Write what becomes of every model, library and kind of file."""
    rows = {
        name: {f"{library} {kind}": outcome(name, library, kind) for library in LIBRARIES for kind in FILES}
        for name in MODELS
    }
    versions = {"keras": keras.__version__, "tf-keras": tf_keras.__version__, "tensorflow": tf.__version__}
    RESULT.write_text(json.dumps({"kind": KIND, "schema": 1, "versions": versions, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
