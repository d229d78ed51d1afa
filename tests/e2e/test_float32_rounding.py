"""A correct float32 file is verified, however badly conditioned its model is; a fault of 1e-3 in any of them is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from edgeport.export import Manifest, Options, export, load_source
from edgeport.export.graphs.float64_graph import in_float64
from edgeport.export.onnx import convert as to_onnx
from edgeport.export.tflite import convert as to_tflite
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.export.verification.rounding import answers_of_two_roundings, nudged

Build = Callable[..., keras.Model]
RANDOM = np.random.default_rng(0)
LOUD = RANDOM.normal(0, 1, (60, 64)) * 10 ** RANDOM.uniform(-1, 4, (60, 1))


def wide_and_deep(activation: Any = "relu") -> keras.Model:
    x = inputs = keras.Input((64,), name="x")
    for _ in range(12):
        x = layers.BatchNormalization()(layers.Dense(256, activation=activation)(x))
    return keras.Model(inputs, layers.Dense(8)(x))


def cancelled_offsets(offset: float = 50.0) -> keras.Model:
    """What is left of numbers around an offset when the offset is taken off them: the last of seven digits."""
    inputs = keras.Input((64,), name="x")
    x = layers.Dense(64, bias_initializer=keras.initializers.Constant(offset))(inputs)
    return keras.Model(inputs, layers.Dense(4)(layers.Dense(32, activation="tanh")(x - offset)))


def tiny_variance(epsilon: float = 1e-3) -> keras.Model:
    inputs = keras.Input((16, 16, 3), name="x")
    x = layers.Conv2D(8, 3)(inputs / 255.0)
    x = layers.BatchNormalization(epsilon=epsilon, name="normal")(x)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


def transformer(epsilon: float = 1e-3, activation: Any = "gelu") -> keras.Model:
    inputs = keras.Input((12, 16), name="x")
    x = layers.LayerNormalization(epsilon=epsilon)(inputs + layers.MultiHeadAttention(2, 8)(inputs, inputs))
    x = x + layers.Dense(16)(layers.Dense(32, activation=activation)(x))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def recurrent(activation: Any = "tanh") -> keras.Model:
    inputs = keras.Input((20, 6), name="x")
    return keras.Model(inputs, layers.Dense(3)(layers.LSTM(16, activation=activation)(inputs)))


SAMPLES = {
    wide_and_deep: LOUD,
    cancelled_offsets: RANDOM.normal(size=(60, 64)),
    tiny_variance: RANDOM.integers(0, 256, (60, 16, 16, 3)),
    transformer: RANDOM.normal(size=(60, 12, 16)),
    recurrent: RANDOM.normal(size=(60, 20, 6)),
}


def built(build: Build, **options: Any) -> keras.Model:
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = build(**options)
    for layer in model.layers:
        if layer.name == "normal":
            layer.moving_variance.assign(np.full(8, 1e-4))
            layer.moving_mean.assign(np.linspace(-0.1, 0.1, 8))
    return model


def verified(model: keras.Model, samples: np.ndarray, output: Path, converted: keras.Model | None = None) -> Manifest:
    """Export a model in float32; what is converted may be another one, which has a fault."""
    source, other = load_source(model), load_source(converted or model)
    arrays = {"x": samples.astype(np.float32)}
    calibration = CalibrationSet("planted", 0, source.inputs, arrays, arrays)
    with pytest.MonkeyPatch.context() as patch:
        for exporter in (to_tflite, to_onnx):
            convert = exporter.convert
            patch.setattr(exporter, "convert", lambda source, convert=convert, **more: convert(other, **more))
        return export(source, output, calibration, options=Options(precisions=("float32",), keep_rejected=True))


@pytest.mark.parametrize("build", SAMPLES, ids=lambda build: build.__name__)
def test_a_correct_file_is_verified_and_a_weight_that_is_off_by_a_thousandth_is_not(
    build: Build, tmp_path: Path
) -> None:
    right = verified(built(build), SAMPLES[build], tmp_path / "right")
    assert [refusal.reason for refusal in right.refused] == []
    for artefact in right.artefacts:
        assert artefact.verified.rounding < 16, "half of what is allowed"
    wrong = built(build)
    layer = [layer for layer in wrong.layers if layer.weights][-2]
    layer.set_weights([layer.get_weights()[0] * np.float32(1.001), *layer.get_weights()[1:]])
    manifest = verified(built(build), SAMPLES[build], tmp_path / "wrong", converted=wrong)
    assert [refusal.outcome for refusal in manifest.refused] == ["failed verification"] * 2
    assert all("times what float32 rounding explains" in refusal.reason for refusal in manifest.refused)


def old_hard_sigmoid(x: Any) -> Any:
    return ops.clip(0.2 * x + 0.5, 0, 1)


@pytest.mark.parametrize(
    ("build", "right", "wrong"),
    [
        (tiny_variance, {"epsilon": 1e-3}, {"epsilon": 1.002e-3}),
        (transformer, {"epsilon": 1e-3}, {"epsilon": 1e-6}),
        (
            transformer,
            {"activation": keras.activations.gelu},
            {"activation": lambda x: keras.activations.gelu(x, True)},
        ),
        (recurrent, {"activation": "hard_sigmoid"}, {"activation": old_hard_sigmoid}),
        (wide_and_deep, {"activation": "relu"}, {"activation": lambda x: keras.activations.leaky_relu(x, 1e-3)}),
    ],
)
def test_a_formula_that_is_another_one_fails(build: Build, right: dict, wrong: dict, tmp_path: Path) -> None:
    original, other = built(build, **right), built(build, **wrong)
    other.set_weights(original.get_weights())
    manifest = verified(original, SAMPLES[build], tmp_path / "out", converted=other)
    assert [refusal.outcome for refusal in manifest.refused] == ["failed verification"] * 2


@pytest.mark.parametrize("offset", [1e4, 1e5])
def test_where_rounding_would_hide_a_fault_a_warning_says_so(offset: float, tmp_path: Path) -> None:
    model = built(cancelled_offsets, offset=offset)
    manifest = verified(model, SAMPLES[cancelled_offsets], tmp_path / "out")
    assert len(manifest.artefacts) == 2
    assert "float32 rounding alone changes the answers of this model by " in manifest.warnings[-1]


def every_kind_of_operator() -> keras.Model:
    image, tokens = keras.Input((12, 12, 3), name="image"), keras.Input((5,), dtype="int32", name="tokens")
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(image))
    x = layers.UpSampling2D(interpolation="bilinear")(layers.MaxPooling2D()(x))
    x = ops.concatenate([layers.Flatten()(x), layers.GRU(4)(layers.Embedding(50, 4)(tokens))], axis=-1)
    x = layers.Dense(6)(x)
    return keras.Model([image, tokens], [layers.Softmax(name="shares")(x), ops.argmax(x, axis=-1), x > 0])


def test_the_graph_in_float64_is_the_same_model() -> None:
    source = load_source(built(every_kind_of_operator))
    samples = {"image": RANDOM.normal(size=(6, 12, 12, 3)), "tokens": RANDOM.integers(0, 50, (6, 5)).astype("int32")}
    samples["image"] = samples["image"].astype(np.float32)
    plain, wide = answers_of_two_roundings(source, samples)
    own = source.answers(samples)
    for place, port in enumerate(source.outputs):
        assert plain[port.name].dtype == own[port.name].dtype
        np.testing.assert_allclose(plain[port.name], own[port.name], atol=1e-6)
        np.testing.assert_allclose(wide[port.name], own[port.name], atol=1e-6)
        assert wide[port.name].dtype == ("float64", "int32", "bool")[place] or not place
    definition = in_float64(source.graph).definition
    kept = {"Const", "Cast", "ResizeBilinear", "Bitcast"}
    for node in definition.node:
        floats = [name for name, value in node.attr.items() if value.type == tf.float32.as_datatype_enum]
        assert node.op in kept or not floats, node.name
    assert not any(node.op.startswith("FusedBatchNorm") for node in definition.node)


def test_weights_one_rounding_away_are_the_same_but_for_the_last_bit() -> None:
    source = load_source(built(recurrent))
    weights = {
        node.name: tf.make_ndarray(node.attr["value"].tensor)
        for node in source.graph.definition.node
        if node.op == "Const"
    }
    moved = {
        node.name: tf.make_ndarray(node.attr["value"].tensor)
        for node in nudged(source.graph).definition.node
        if node.op == "Const"
    }
    differ = [name for name in weights if not np.array_equal(weights[name], moved[name])]
    assert differ
    for name in differ:
        np.testing.assert_array_max_ulp(weights[name], moved[name], maxulp=1)
    exact = [name for name, array in weights.items() if array.dtype == np.float32 and np.isin(array, (0, 1, 0.5)).all()]
    assert not set(exact) & set(differ)
