"""Models that invite a wrong artefact: swapped names, dead columns, files that are not what their name says."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from pixels import with_pixels

from edgeport.export import Manifest, Options, export, load_calibration, load_source
from edgeport.export.inspection import inspect
from edgeport.runtime import InputError, load
from edgeport.runtime.errors import ExportError


def export_random(model: keras.Model, output: Path, **options: object) -> Manifest:
    source = with_pixels(load_source(model))
    calibration = load_calibration("random", inputs=source.inputs, count=50)
    return export(source, output, calibration, options=Options(**options))


@keras.saving.register_keras_serializable("edgeport-tests")
class Strides(keras.Model):
    """Heads by their stride, as detectors name them: as numbers 8, 16, 32, and as text 16, 32, 8."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = [layers.Dense(1, bias_initializer=keras.initializers.Constant(each)) for each in (8, 16, 32)]

    def call(self, x: object, training: bool = False) -> dict[int, object]:
        return {stride: head(x) for stride, head in zip((8, 16, 32), self.heads, strict=True)}


def test_outputs_have_their_own_names(tmp_path: Path) -> None:
    model = Strides()
    model(np.zeros((1, 4), np.float32))
    manifest = export_random(model, tmp_path / "out", precisions=("float32",))
    for artefact in manifest.artefacts:
        answers = load(tmp_path / "out" / artefact.file).answer({"input": np.zeros((1, 4), np.float32)})
        assert {name: value.item() for name, value in answers.items()} == {
            "output_8": 8.0, "output_16": 16.0, "output_32": 32.0,
        }  # fmt: skip


def test_logits_and_their_softmax_may_both_be_outputs(tmp_path: Path) -> None:
    inputs = keras.Input((6,), name="x")
    logits = layers.Dense(3, name="scores")(inputs)
    model = keras.Model(inputs, [logits, layers.Softmax(name="shares")(logits)])
    manifest = export_random(model, tmp_path / "out")
    assert len(manifest.artefacts) == 9
    samples = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    for artefact in manifest.artefacts:
        scores, shares = load(tmp_path / "out" / artefact.file).answer({"x": samples}).values()
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-3)
        np.testing.assert_allclose(np.argmax(scores, axis=1), np.argmax(shares, axis=1))


def test_small_values_beside_large_ones_are_not_lost_unnoticed(tmp_path: Path) -> None:
    keras.utils.set_random_seed(2)
    inputs = keras.Input((6,))
    boxes, scores = layers.Dense(4)(inputs) * 100, layers.Dense(3, activation="sigmoid")(inputs)
    model = keras.Model(inputs, layers.Concatenate()([boxes, scores]))
    manifest = export_random(model, tmp_path / "out", precisions=("float32", "int8"))
    assert [artefact.precision for artefact in manifest.artefacts] == ["float32", "float32"]
    assert ["one column of an output is lost" in refusal.reason for refusal in manifest.refused] == [True, True]


def test_a_batch_larger_than_the_samples_is_quantized_all_the_same(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((6,), name="x"), layers.Dense(16, activation="relu"), layers.Dense(3)])
    manifest = export_random(model, tmp_path / "out", precisions=("int8",), batch=64)
    assert len(manifest.artefacts) == 2
    for artefact in manifest.artefacts:
        assert "float32 weights" not in inspect(tmp_path / "out" / artefact.file).arithmetic
        assert artefact.inputs[0].shape == (64, 6)


def test_an_activation_that_would_hide_every_answer_is_refused() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    with pytest.raises(InputError, match="2 or more for softmax"):
        load_source(model, activation="softmax")
    assert load_source(model, activation="sigmoid").applied == "sigmoid"


def test_an_output_without_a_batch_is_reported(tmp_path: Path) -> None:
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.ops.mean(layers.Dense(3)(inputs)))
    with pytest.raises(ExportError, match="is one number for all samples, expected one for each"):
        export_random(model, tmp_path / "out")
