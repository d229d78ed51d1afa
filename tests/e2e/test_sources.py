"""Export: models of every kind and origin, with any inputs, and every option, give the answers of the model."""

from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers
from pixels import with_pixels

from edgeport.export import Manifest, Options, export, load_calibration, load_source
from edgeport.runtime import load
from edgeport.runtime.cli import main
from edgeport.runtime.errors import ExportError, InputError

RANDOM = np.random.default_rng(0)
FLOAT32 = Options(precisions=("float32",))


def small_model(**options: object) -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input(name="signal", **({"shape": (12, 4)} | options))
    x = layers.Conv1D(6, 3, activation="relu")(inputs)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


def exported(
    model: object, folder: Path, *, options: Options = FLOAT32, samples: Path | str = "random", **more: object
) -> tuple[Manifest, dict[str, Path]]:
    """Export with few random samples; return the manifest and the artefacts by ``format.precision``."""
    source = with_pixels(load_source(model, **more))
    calibration = load_calibration(str(samples), inputs=source.inputs, count=40, vocabulary=source.opened.vocabulary)
    manifest = export(source, folder, calibration, options=options)
    return manifest, {f"{each.format}.{each.precision}": folder / each.file for each in manifest.artefacts}


def assert_same_answers(
    files: Mapping[str, Path], inputs: Mapping[str, np.ndarray], expected: Mapping[str, object], error: float = 1e-4
) -> None:
    for variant, path in files.items():
        answers = load(path).answer(inputs)
        assert list(answers) == list(expected), variant
        for name, values in expected.items():
            np.testing.assert_allclose(answers[name], values, atol=error * np.ptp(values), err_msg=variant)


class Module(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.matrix = tf.Variable(RANDOM.normal(size=(4, 3)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, "facts")])
    def serve(self, facts: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"size": tf.tanh(facts @ self.matrix)}


def saved(kind: str, model: keras.Model, folder: Path) -> object:
    if kind == "object":
        return model
    path = folder / f"model{kind}"
    if kind == "":
        model.export(path, verbose=False)
    else:
        model.save(path)
    return path


@pytest.mark.parametrize("kind", [".keras", ".h5", "", "object"])
def test_a_model_of_any_origin_gives_its_own_answers(kind: str, tmp_path: Path) -> None:
    model = small_model()
    manifest, files = exported(saved(kind, model, tmp_path), tmp_path / "out")
    assert files.keys() == {"tflite.float32", "onnx.float32"}
    samples = RANDOM.normal(size=(9, 12, 4)).astype(np.float32)
    outputs = [tensor.name for tensor in manifest.artefacts[0].outputs]
    assert_same_answers(files, {"signal": samples}, {outputs[0]: model.predict(samples, verbose=0)})


def test_a_module_that_was_saved_with_a_signature_gives_its_own_answers(tmp_path: Path) -> None:
    module = Module()
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.serve)
    _, files = exported(tmp_path / "saved", tmp_path / "out")
    assert len(files) == 2
    samples = RANDOM.normal(size=(9, 4)).astype(np.float32)
    assert_same_answers(files, {"facts": samples}, {"size": module.serve(samples)["size"].numpy()})


def test_a_saved_model_with_a_table_is_refused(tmp_path: Path) -> None:
    words = keras.Input((1,), dtype="string", name="words")
    numbers = keras.Input((1,), dtype="int64", name="numbers")
    keras.Model(words, layers.StringLookup(vocabulary=["a", "b"])(words)).export(tmp_path / "text", verbose=False)
    keras.Model(numbers, layers.IntegerLookup(vocabulary=[3, 5])(numbers)).export(tmp_path / "ids", verbose=False)
    for name, reason in (("text", "takes text"), ("ids", "operator LookupTable")):
        with pytest.raises(ExportError, match=reason):
            load_source(tmp_path / name)


def test_inputs_and_outputs_are_fed_and_read_by_name(tmp_path: Path) -> None:
    left, right = keras.Input((4,), name="left"), keras.Input((5,), name="right")
    x = layers.Concatenate()([left, layers.Dense(3, activation="tanh")(right)])
    model = keras.Model([left, right], {"kind": layers.Dense(3, activation="softmax")(x), "size": layers.Dense(1)(x)})
    _, files = exported(model, tmp_path / "out", options=Options(batch=3))
    assert {"tflite.float32", "onnx.float32", "tflite.int8", "onnx.int8"} <= files.keys()
    inputs = {"right": RANDOM.normal(size=(6, 5)).astype("f"), "left": RANDOM.normal(size=(6, 4)).astype("f")}
    expected = model.predict([inputs["left"], inputs["right"]], verbose=0)
    floats = {variant: path for variant, path in files.items() if variant.endswith("float32")}
    assert_same_answers(floats, inputs, expected)
    for path in floats.values():
        named = load(path).run({name: array[:3] for name, array in inputs.items()})
        np.testing.assert_allclose(named["size"], expected["size"][:3], atol=1e-4)


def test_an_input_that_is_an_output_again_keeps_every_name(tmp_path: Path) -> None:
    inputs = keras.Input((4,), name="x")
    same = layers.Dense(3, name="same")(inputs)
    model = keras.Model(inputs, [inputs, same, layers.Identity(name="one")(inputs), layers.Identity(name="two")(same)])
    manifest, files = exported(model, tmp_path / "out", options=Options())
    assert len(files) == 9
    for artefact in manifest.artefacts:
        assert [tensor.name for tensor in artefact.outputs] == ["x_2", "same", "one", "two"]


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
def test_inputs_that_are_no_real_numbers_keep_their_type(dtype: str, tmp_path: Path) -> None:
    inputs = keras.Input((6,), dtype=dtype, name="x")
    model = keras.Model(inputs, layers.Dense(3)(keras.ops.cast(inputs, "float32")))
    options = Options(precisions=("float32", "int16x8"))
    manifest, files = exported(model, tmp_path / "out", options=options)
    samples = RANDOM.integers(0, 2, (5, 6)).astype(dtype)
    for variant, path in files.items():
        assert load(path).spec.input.dtype == dtype
        answer = next(iter(load(path).answer({"x": samples}).values()))
        error = 1e-5 if variant.endswith("float32") else 2e-2
        np.testing.assert_allclose(answer, model.predict(samples, verbose=0), atol=error)
    # TFLite's int16x8 takes bools, and no other integers.
    reasons = [refusal.reason for refusal in manifest.refused]
    assert len(reasons) == (dtype != "bool")
    assert all("operator Cast: TFLite's int16x8 takes no integers" in reason for reason in reasons)


FREE = {
    "LSTM": ((None, 8), layers.LSTM, (30, 7, 8)),
    "Conv1D": ((None, 8), lambda units: layers.Conv1D(units, 3), (30, 9, 8)),
    "Conv2D": ((None, None, 3), lambda units: layers.Conv2D(units, 3), (30, 10, 6, 3)),
}


@pytest.mark.parametrize("name", FREE)
def test_a_free_axis_takes_its_length_from_the_samples(name: str, tmp_path: Path) -> None:
    shape, layer, sizes = FREE[name]
    inputs = keras.Input(shape, name="x")
    model = keras.Model(inputs, layer(4)(inputs))
    with pytest.raises(InputError, match="free axis"):
        exported(model, tmp_path / "out")
    samples = RANDOM.uniform(-1, 1, size=sizes).astype(np.float32)
    np.save(tmp_path / "samples.npy", samples)
    manifest, files = exported(model, tmp_path / "out", samples=tmp_path / "samples.npy")
    assert len(files) == 2
    assert {artefact.inputs[0].shape[1:] for artefact in manifest.artefacts} == {sizes[1:]}
    output = manifest.artefacts[0].outputs[0].name
    assert_same_answers(files, {"x": samples}, {output: model.predict(samples, verbose=0)})


@pytest.mark.parametrize("batch", [1, 3, "dynamic"])
def test_a_batch_is_what_was_asked_for(batch: int | str, tmp_path: Path) -> None:
    model = small_model()
    options = Options(batch=batch, precisions=("float32", "int8"))
    manifest, files = exported(model, tmp_path / "out", options=options)
    expected = None if batch == "dynamic" else batch
    assert {artefact.inputs[0].shape[0] for artefact in manifest.artefacts} == {expected}
    for variant, path in files.items():
        predictor = load(path)
        for count in (6, 3, 12):
            samples = RANDOM.normal(size=(count, 12, 4)).astype(np.float32)
            answer = next(iter(predictor.answer({"signal": samples}).values()))
            error = 1e-5 if variant.endswith("float32") else 0.05
            np.testing.assert_allclose(answer, model.predict(samples, verbose=0), atol=error, err_msg=variant)


def test_a_model_that_is_fixed_to_a_batch_keeps_it(tmp_path: Path) -> None:
    model = small_model(shape=None, batch_shape=(2, 12, 4))
    options = Options(precisions=("float32", "int8"))
    manifest, files = exported(model, tmp_path / "out", options=options)
    assert {artefact.inputs[0].shape for artefact in manifest.artefacts} == {(2, 12, 4)}
    samples = RANDOM.normal(size=(4, 12, 4)).astype(np.float32)
    expected = np.concatenate([model(samples[:2]), model(samples[2:])])
    for variant, path in files.items():
        answer = next(iter(load(path).answer({"signal": samples}).values()))
        np.testing.assert_allclose(answer, expected, atol=1e-5 if variant.endswith("float32") else 0.05)
    for batch in (1, 3, "dynamic"):
        with pytest.raises(InputError, match="fixed to a batch of 2"):
            exported(model, tmp_path / "other", options=Options(batch=batch))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_int8_tflite_takes_the_type_that_was_asked_for(dtype: str, tmp_path: Path) -> None:
    model = small_model()
    options = Options(formats=("tflite",), precisions=("int8",), tensor_type=dtype)
    manifest, files = exported(model, tmp_path / "out", options=options)
    assert (manifest.artefacts[0].inputs[0].dtype, manifest.artefacts[0].outputs[0].dtype) == (dtype, dtype)
    samples = RANDOM.normal(size=(8, 12, 4)).astype(np.float32)
    answer = next(iter(load(files["tflite.int8"]).answer({"signal": samples}).values()))
    np.testing.assert_allclose(answer, model.predict(samples, verbose=0), atol=0.05)


@pytest.mark.parametrize("opset", [13, 17, 19, 21])
def test_every_opset_passes_the_checker_and_runs(opset: int, tmp_path: Path) -> None:
    options = Options(formats=("onnx",), opset=opset)
    manifest, files = exported(small_model(), tmp_path / "out", options=options)
    assert not manifest.refused
    for path in files.values():
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        assert {each.version for each in model.opset_import if each.domain == ""} == {opset}


def test_the_range_of_int8_weights_is_reduced_unless_refused(tmp_path: Path) -> None:
    largest = {}
    for reduced in (True, False):
        options = Options(formats=("onnx",), precisions=("int8",), reduce_range=reduced)
        _, files = exported(small_model(), tmp_path / str(reduced), options=options)
        arrays = map(onnx.numpy_helper.to_array, onnx.load(files["onnx.int8"]).graph.initializer)
        kernels = [array.astype(int) for array in arrays if array.dtype == np.int8 and array.ndim > 1]
        largest[reduced] = max(np.abs(kernel).max() for kernel in kernels)
    assert largest == {True: 64, False: 127}


class Pair(keras.Model):
    """Takes two arguments, of which Keras notes the shape of the first alone."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = layers.Dense(3)

    def call(self, left: object, right: object) -> object:
        return self.shared(left) - keras.ops.tanh(self.shared(right))


class BuiltPair(Pair):
    def build(self, left_shape: tuple, right_shape: tuple) -> None:
        self.shared.build(left_shape)
        self.built = True


def test_a_subclass_with_several_arguments_needs_a_build_that_names_them(tmp_path: Path) -> None:
    inputs = {side: RANDOM.normal(size=(5, 4)).astype(np.float32) for side in ("left", "right")}
    printed: Callable[[keras.Model], object] = lambda model: model(inputs["left"], inputs["right"])  # noqa: E731
    model = BuiltPair()
    expected = np.asarray(printed(model))
    _, files = exported(model, tmp_path / "out")
    assert len(files) == 2
    assert_same_answers(files, inputs, {"output": expected})
    unknown = Pair()
    with pytest.raises(ExportError, match="does not know the shape of its inputs"):
        load_source(unknown)
    printed(unknown)
    with pytest.raises(ExportError, match=r"several arguments.*build\(self, left_shape, right_shape\)"):
        load_source(unknown)


def test_a_model_object_needs_no_layer_that_can_be_saved(tmp_path: Path) -> None:
    class Scaled(layers.Layer):
        def __init__(self, factor: object) -> None:
            super().__init__()
            self.factor = factor

        def call(self, x: object) -> object:
            return self.factor * x

    inputs = keras.Input((4,), name="x")
    model = keras.Model(inputs, layers.Dense(2, name="y")(Scaled(3.0)(inputs)))
    _, files = exported(model, tmp_path / "out")
    samples = RANDOM.normal(size=(5, 4)).astype(np.float32)
    assert_same_answers(files, {"x": samples}, {"y": model.predict(samples, verbose=0)})


def test_models_without_a_shape_or_with_a_state_are_refused() -> None:
    with pytest.raises(ExportError, match="does not know the shape of its inputs"):
        load_source(keras.Sequential([layers.Dense(3)]))
    stateful = keras.Sequential([keras.Input(batch_shape=(2, 6, 4)), layers.LSTM(3, stateful=True)])
    with pytest.raises(ExportError, match=r"operator AssignVariableOp of layer .*lstm.*stateful=False"):
        load_source(stateful)


def test_a_normalization_that_was_adapted_is_exported_as_it_is(tmp_path: Path) -> None:
    normalization = layers.Normalization()
    normalization.adapt(RANDOM.normal(5, 3, size=(200, 4)))
    inputs = keras.Input((4,), name="x")
    model = keras.Model(inputs, layers.Dense(2)(normalization(inputs)))
    model.save(tmp_path / "model.keras")
    manifest, files = exported(tmp_path / "model.keras", tmp_path / "out", options=Options())
    samples = RANDOM.normal(size=(9, 4)).astype(np.float32)
    floats = {variant: path for variant, path in files.items() if variant.endswith("float32")}
    assert len(floats) == 2
    output = manifest.artefacts[0].outputs[0].name
    assert_same_answers(floats, {"x": samples}, {output: model.predict(samples, verbose=0)})


CUSTOM = """
import keras

class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x
"""


def test_a_custom_layer_needs_its_file(capfd, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CUSTOM)
    (tmp_path / "broken.py").write_text("import keras\nkeras.no_such_thing()\n")
    (tmp_path / "syntax.py").write_text("class Doubled(:\n")
    scope: dict[str, type] = {}
    exec(CUSTOM, scope)
    inputs = keras.Input((4,))
    keras.Model(inputs, layers.Dense(2)(scope["Doubled"]()(inputs))).save(tmp_path / "model.keras")
    arguments = ("export", tmp_path / "model.keras", "-o", tmp_path / "out", "--calibration", "random")
    printed = refusal(capfd, *arguments)
    assert "Doubled" in printed
    assert "--custom-objects" in printed
    for file, reason in (("broken.py", "AttributeError"), ("syntax.py", "SyntaxError"), ("none.py", "no Python file")):
        assert reason in refusal(capfd, *arguments, "--custom-objects", tmp_path / file)
    assert not (tmp_path / "out").exists()
    assert main([*map(str, arguments), "--custom-objects", str(tmp_path / "mine.py"), "--precisions", "float32"]) == 0
    assert len(list((tmp_path / "out").glob("model.float32.*"))) == 2


def test_python_code_in_a_file_is_refused_with_one_line(capfd, tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    keras.Model(inputs, layers.Lambda(lambda x: 2 * x)(inputs)).save(tmp_path / "layer.keras")
    keras.Model(inputs, layers.Dense(2, activation=lambda x: 2 * x)(inputs)).save(tmp_path / "activation.keras")
    for name in ("layer", "activation"):
        arguments = ("export", tmp_path / f"{name}.keras", "-o", tmp_path / "out", "--calibration", "random")
        printed = refusal(capfd, *arguments)
        assert "Python code in the file" in printed
        assert "load_source" in printed
    assert not (tmp_path / "out").exists()


def refusal(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run the command in this process and return the one line with which it refuses."""
    capfd.readouterr()
    assert main(list(map(str, arguments))) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]
