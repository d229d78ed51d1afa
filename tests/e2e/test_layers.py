"""Every layer and every activation that Keras ships: the same answers in both formats, or the operator that lacks."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from pixels import with_pixels

from edgeport.export import Options, export, load_calibration, load_source
from edgeport.runtime import load
from edgeport.runtime.errors import ExportError

_SPEC = importlib.util.spec_from_file_location("layers", Path(__file__).with_name("layers.py"))
layers = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(layers)

# What a format lacks an operator for.
REFUSED = {
    "tflite": {"Hashing": "AsString", "HashedCrossing": "SparseCross"},
    "onnx": {"Hashing": "StringToHashBucketFast", "HashedCrossing": "SparseCross"},
}
# What is more than a function of its inputs, and refused before anything is converted.
IMPURE = {"RandomHue": "AssignVariableOp", "MixUp": "AssignVariableOp", "IntegerLookup": "LookupTableFindV2"}
# Public names of keras.activations that are no activations.
NOT_OF_ONE_TENSOR = ("deserialize", "get", "serialize")


@pytest.mark.parametrize("name", [name for name in layers.LAYERS if name not in IMPURE])
def test_a_layer_answers_alike_in_both_formats_or_its_operator_is_named(name: str, tmp_path: Path) -> None:
    source = with_pixels(load_source(layers.build(name)))
    calibration = load_calibration("random", inputs=source.inputs, count=20, vocabulary=10)
    lacking = {row: REFUSED[row][name] for row in REFUSED if name in REFUSED[row]}
    if len(lacking) == len(REFUSED):
        for row, operator in lacking.items():
            options = Options(formats=(row,), precisions=("float32",))
            with pytest.raises(ExportError, match=rf"operator {operator} of layer hash"):
                export(source, tmp_path / "out", calibration, options=options)
        return
    manifest = export(source, tmp_path / "out", calibration, options=Options(precisions=("float32",)))
    refused = {each.format: each.reason for each in manifest.refused}
    assert refused.keys() == lacking.keys(), refused
    for row, operator in lacking.items():
        assert f"operator {operator} of layer" in refused[row]
    for artefact in manifest.artefacts:
        error, agreement = artefact.verified.relative_error, artefact.verified.agreement
        assert agreement == 1 if error is None else error <= 1e-4, artefact.format


@pytest.mark.parametrize("name", IMPURE)
def test_a_layer_with_a_table_or_a_state_is_refused_at_once(name: str) -> None:
    with pytest.raises(ExportError, match=f"operator {IMPURE[name]} of layer (random_hue|mix_up|integer_lookup)"):
        load_source(layers.build(name))


def test_a_layer_of_text_is_refused_at_once() -> None:
    words = keras.Input((1,), dtype="string")
    with pytest.raises(ExportError, match="takes text"):
        load_source(keras.Model(words, keras.layers.StringLookup(vocabulary=["a", "b"])(words)))


def applied(name: str) -> Callable[[object], object]:
    function = getattr(keras.activations, name)
    return lambda x: function(x, 0.1, 0.5) if name == "threshold" else function(x)


def test_every_activation_of_keras_answers_alike_in_both_formats(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    names = [name for name in vars(keras.activations) if not name.startswith("_") and name not in NOT_OF_ONE_TENSOR]
    assert len(names) >= 30
    inputs = keras.Input((6,))
    outputs = {name: keras.layers.Dense(8, activation=applied(name))(inputs) for name in names}
    model = keras.Model(inputs, outputs)
    source = load_source(model)
    calibration = load_calibration("random", inputs=source.inputs, count=50)
    export(source, tmp_path / "out", calibration, options=Options(precisions=("float32",)))
    samples = np.random.default_rng(1).normal(scale=3, size=(100, 6)).astype(np.float32)
    expected = model.predict(samples, verbose=0)
    for row in ("tflite", "onnx"):
        answers = load(next((tmp_path / "out").glob(f"*.{row}"))).answer({source.inputs[0].name: samples})
        assert answers.keys() == set(names)
        for name in names:
            error = np.abs(answers[name] - expected[name]).max() / np.ptp(expected[name])
            assert error <= 1e-4, (row, name)
