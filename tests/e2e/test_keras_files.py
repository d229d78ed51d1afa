"""Every kind of Keras file is read by the Keras that wrote it, and gives the answers of that Keras."""

import importlib.util
import json
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from edgeport.export import load_source
from edgeport.runtime.errors import ArtefactError, EdgeportError, ExportError, InputError

_SPEC = importlib.util.spec_from_file_location("keras_files", Path(__file__).with_name("keras_files.py"))
keras_files = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(keras_files)

RECORDED = json.loads(keras_files.RESULT.read_text())["rows"]


def test_the_record_is_of_these_models() -> None:
    assert list(RECORDED) == list(keras_files.MODELS)


@pytest.mark.parametrize("kind", keras_files.FILES)
@pytest.mark.parametrize("library", keras_files.LIBRARIES)
@pytest.mark.parametrize("name", keras_files.MODELS)
def test_a_file_answers_like_the_library_that_wrote_it(name: str, library: str, kind: str) -> None:
    outcome = keras_files.outcome(name, library, kind)
    recorded = RECORDED[name][f"{library} {kind}"]
    if isinstance(recorded, str):
        assert outcome == recorded
    else:
        assert outcome.keys() == {"tflite", "onnx"}
        assert all(error <= keras_files.LIMIT for error in outcome.values()), outcome


def test_the_way_out_of_functions_in_an_h5_file_works(tmp_path: Path) -> None:
    path, samples, expected = keras_files.save("slices and TensorFlow functions", "Keras 3", ".h5", tmp_path)
    with pytest.raises(ArtefactError, match=r"GetItem.*load_weights"):
        load_source(path)
    model = keras_files.MODELS["slices and TensorFlow functions"](keras)
    model.load_weights(path)
    model.save(tmp_path / "again.keras")
    answers = load_source(tmp_path / "again.keras").answers(samples)
    np.testing.assert_allclose(answers["values"], expected[0], atol=1e-5)


def test_a_hard_sigmoid_of_keras_2_keeps_its_slope(tmp_path: Path) -> None:
    x = np.linspace(-4, 4, 41, dtype=np.float32)[:, None]
    for library in (keras, tf_keras):
        inputs = library.Input((1,), name="x")
        model = library.Model(inputs, library.layers.Activation("hard_sigmoid", name="y")(inputs))
        for suffix in (".h5", ".keras"):
            model.save(tmp_path / f"m{suffix}")
            answers = load_source(tmp_path / f"m{suffix}").answers({"x": x})["y"]
            np.testing.assert_allclose(answers, model.predict(x, verbose=0), atol=1e-6)


def test_an_object_of_tf_keras_is_exported_like_its_file(tmp_path: Path) -> None:
    inputs = tf_keras.Input((4,), name="x")
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(2, activation="hard_sigmoid", name="y")(inputs))
    model.save(tmp_path / "m.hdf5", save_format="h5")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    for source in (load_source(model), load_source(tmp_path / "m.hdf5")):
        np.testing.assert_allclose(source.answers({"x": x})["y"], model.predict(x, verbose=0), atol=1e-6)


def test_mixed_precision_of_keras_2_computes_in_float32(tmp_path: Path) -> None:
    tf_keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        inputs = tf_keras.Input((4,), name="x")
        hidden = tf_keras.layers.Dense(8, activation="relu")(inputs)
        tf_keras.Model(inputs, tf_keras.layers.Dense(2, dtype="float32", name="y")(hidden)).save(tmp_path / "m.h5")
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    operators = {node.attr["T"].type for node in load_source(tmp_path / "m.h5").graph.definition.node}
    assert tf.float16.as_datatype_enum not in operators


CUSTOM = """
import {library} as keras

@keras.saving.register_keras_serializable("mine")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x
"""


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_layer_of_ones_own_must_be_one_of_the_keras_that_wrote_the_file(suffix: str, tmp_path: Path) -> None:
    scopes: dict[str, dict[str, type]] = {"keras": {}, "tf_keras": {}}
    for library, scope in scopes.items():
        exec(CUSTOM.format(library=library), scope | {"__name__": f"elsewhere.{library}"}, scope)
    inputs = tf_keras.Input((4,), name="x")
    path = tmp_path / f"m{suffix}"
    tf_keras.Model(inputs, scopes["tf_keras"]["Doubled"](name="y")(inputs)).save(path)
    tf_keras.saving.get_custom_objects().clear()
    with pytest.raises(ExportError, match=r"needs Doubled, .*--custom-objects"):
        load_source(path)
    with pytest.raises(InputError, match=r"Doubled is made for Keras 3, .* import tf_keras"):
        load_source(path, custom_objects={"Doubled": scopes["keras"]["Doubled"]})
    source = load_source(path, custom_objects={"Doubled": scopes["tf_keras"]["Doubled"]})
    np.testing.assert_allclose(source.answers({"x": np.ones((2, 4), np.float32)})["y"], 2)


def test_code_in_a_file_of_keras_2_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    inputs = tf_keras.Input((4,))
    text = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    code = tf_keras.layers.Lambda(eval(f"lambda x: (x, {text})[0]"))(inputs)
    tf_keras.Model(inputs, code).save(tmp_path / "lambda.h5")
    tf_keras.Model(inputs, code).save(tmp_path / "lambda.keras")
    tf_keras.Model(inputs, tf.nn.relu(inputs)).save(tmp_path / "function.h5")
    with h5py.File(tmp_path / "function.h5", "r+") as file:
        config = file.attrs["model_config"].replace("nn.relu", "io.gfile.makedirs")
        file.attrs["model_config"] = config
    mark.unlink(missing_ok=True)
    for name in ("lambda.h5", "lambda.keras", "function.h5"):
        with pytest.raises(ExportError, match="edgeport does not run"):
            load_source(tmp_path / name)
    assert not mark.exists()


def test_what_neither_keras_opens_gets_one_line(tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    model.save_weights(tmp_path / "new.weights.h5")
    old = tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(4,))])
    old.save_weights(tmp_path / "old.h5")
    model.save(tmp_path / "unsaid.h5")
    model.save(tmp_path / "ancient.h5")
    with h5py.File(tmp_path / "unsaid.h5", "r+") as file:
        del file.attrs["keras_version"]
    with h5py.File(tmp_path / "ancient.h5", "r+") as file:
        file.attrs["keras_version"] = "1.2.2"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1, 2]
    for name, config in (("no-json.h5", "{nope"), ("deep.h5", "[" * 20_000 + "]" * 20_000), ("list.h5", "[1, 2]")):
        old.save(tmp_path / name)
        with h5py.File(tmp_path / name, "r+") as file:
            file.attrs["model_config"] = config
    (tmp_path / "cut.h5").write_bytes((tmp_path / "unsaid.h5").read_bytes()[:3000])
    reasons = {
        "new.weights.h5": "weights without the model",
        "old.h5": "weights without the model",
        "unsaid.h5": "does not say which Keras wrote it",
        "ancient.h5": "written by Keras 1.2.2",
        "other.h5": "no Keras model",
        "cut.h5": "truncated",
        "no-json.h5": "no Keras model",
        "deep.h5": "no Keras model",
        "list.h5": "no Keras model",
    }
    for name, reason in reasons.items():
        with pytest.raises(EdgeportError, match=reason) as caught:
            load_source(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_the_backend_of_the_environment_does_not_matter(edgeport, tmp_path: Path) -> None:
    inputs = keras.Input((4,), name="x")
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "m.keras")
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps({"backend": "torch"}))
    arguments = ("export", tmp_path / "m.keras", "--calibration", "random", "--precisions", "float32")
    edgeport(*arguments, "-o", tmp_path / "by-variable", KERAS_BACKEND="jax")
    edgeport(*arguments, "-o", tmp_path / "by-file", HOME=str(tmp_path), KERAS_HOME=str(tmp_path / ".keras"))
    assert sys.modules["keras"].config.backend() == "tensorflow"
