"""Outputs that are decisions, and samples that show nothing: in the files, on the lines and in the manifest."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edgeport.export import Manifest, Options, export, load_source
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.runtime import load
from edgeport.runtime.errors import InputError

RANDOM = np.random.default_rng(0)
SAMPLES = RANDOM.normal(size=(120, 6)).astype(np.float32)
# No float32 is a number like this.
FIRST_ID = 2**40 + 1


@keras.saving.register_keras_serializable("edgeport-tests")
class Ids(layers.Layer):
    """Which of two products it is, by its number of 41 bits, and whether that is sure."""

    def call(self, x: object) -> tuple[object, object]:
        best = keras.ops.cast(x[:, :1] > 0, "int64")
        return best + keras.ops.convert_to_tensor(FIRST_ID, "int64"), keras.ops.abs(x[:, :1]) > 0.5


def exported(model: keras.Model, output: Path, **options: object) -> Manifest:
    source = load_source(model)
    arrays = {"x": SAMPLES}
    return export(source, output, CalibrationSet("own", 0, source.inputs, arrays, arrays), options=Options(**options))


def test_ids_and_booleans_are_judged_and_answered_as_they_are(tmp_path: Path) -> None:
    inputs = keras.Input((6,), name="x")
    model = keras.Model(inputs, Ids()(layers.Dense(3)(inputs)))
    manifest = exported(model, tmp_path / "out", precisions=("float32", "int8"))
    assert {artefact.format for artefact in manifest.artefacts if artefact.precision == "float32"} == {"tflite", "onnx"}
    expected = [np.asarray(each) for each in model(SAMPLES)]
    for artefact in manifest.artefacts:
        assert (artefact.verified.sqnr_db, artefact.verified.max_abs_error) == (None, None)
        assert artefact.verified.agreement > 0.95
        assert not artefact.verified.inconclusive
        if artefact.precision == "float32":
            ids, sure = load(tmp_path / "out" / artefact.file).answer({"x": SAMPLES}).values()
            assert (ids.dtype, sure.dtype) == (np.int64, np.bool_)
            np.testing.assert_array_equal(ids, expected[0])
            np.testing.assert_array_equal(sure, expected[1])


def classifier(bias: float) -> keras.Model:
    keras.utils.set_random_seed(2)
    inputs = keras.Input((6,), name="x")
    start = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.2, seed=1)}
    start["bias_initializer"] = keras.initializers.Constant([bias, 0, 0])
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="kind", **start)(inputs))


@pytest.mark.parametrize(("bias", "silent"), [(0.0, set()), (3.0, {"agreement"}), (90.0, {"agreement", "sqnr_db"})])
def test_samples_that_all_get_one_answer_show_nothing(bias: float, silent: set[str], tmp_path: Path) -> None:
    manifest = exported(classifier(bias), tmp_path / "out", precisions=("float32", "int8"))
    assert len(manifest.artefacts) == 4
    assert all(artefact.verified.inconclusive.keys() == silent for artefact in manifest.artefacts)
    warned = [warning for warning in manifest.warnings if "shows nothing" in warning]
    assert ["of the output kind" in warning and "class 0 to" in warning for warning in warned] == [True] * bool(silent)


def test_a_requirement_that_cannot_be_shown_fails(tmp_path: Path, edgeport) -> None:
    classifier(90.0).save(tmp_path / "m.keras")
    np.savez(tmp_path / "x.npz", x=SAMPLES)
    arguments = ("export", tmp_path / "m.keras", "-o", tmp_path / "out", "--calibration", tmp_path / "x.npz")
    ended = edgeport(*arguments, "--formats", "onnx", "--precisions", "float32")
    (row,) = [line for line in ended.stdout.splitlines() if "m.float32.onnx" in line and " ok " in line]
    assert "shows nothing about accuracy: the model says class 0 to all" in row
    assert "300" not in row
    assert "100.00%" not in row
    warning = ended.stderr.strip().splitlines()[-1]
    assert warning.startswith("edgeport export: verification of the output kind shows nothing about accuracy")
    (entry,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["artefacts"]
    assert entry["verified"]["inconclusive"].keys() == {"agreement", "sqnr_db"}
    for option in (("--require-agreement", 0.9), ("--require-sqnr", 20)):
        ended = edgeport(*arguments, "--overwrite", "--formats", "onnx", "--precisions", "float32", *option, code=2)
        assert "that is required cannot be shown: the model" in ended.stderr


def test_a_figure_that_no_output_has_cannot_be_required(tmp_path: Path) -> None:
    inputs = keras.Input((6,), name="x")
    values = layers.Dense(3, name="values")(inputs)
    with pytest.raises(InputError, match=r"--require-agreement: no output .* is known to be classes \(values\)"):
        exported(keras.Model(inputs, values), tmp_path / "out", require_agreement=0.9)
    with pytest.raises(InputError, match=r"--require-sqnr: the outputs .* are decisions"):
        exported(keras.Model(inputs, values > 0), tmp_path / "out", require_sqnr_db=20)
