"""Channels made alike in size: which the graph allows, that floats answer the same, and that integers lose less."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812

from edgeport.export import Options, export_model, load_calibration, load_source
from edgeport.export.graphs.graph import Graph, freeze
from edgeport.export.graphs.integers.bias_correction import with_corrected_biases
from edgeport.export.graphs.integers.equalization import with_equal_channels
from edgeport.export.graphs.integers.weighted_ways import Ways, with_constants
from edgeport.export.graphs.running import answers
from edgeport.export.onnx import convert as to_onnx
from edgeport.export.tflite import convert as to_tflite
from edgeport.runtime import load

Layer = Callable[[Any], Any]


def with_unlike_weights(model: keras.Model) -> keras.Model:
    """Return the model with fixed weights whose channels differ by powers of ten."""
    random = np.random.default_rng(2)
    values = []
    for variable in model.weights:
        drawn = np.exp(random.normal(0, 2, variable.shape))
        positive = variable.name in ("gamma", "moving_variance")
        values.append(drawn if positive else drawn * random.choice([-1, 1], variable.shape))
    model.set_weights(values)
    return model


def changed(model: keras.Model) -> tuple[str, ...]:
    """Return the layers whose channels are equalized; fails if the graph answers otherwise than before."""
    return changed_in(load_source(model, name="model").graph)


def changed_in(graph: Graph) -> tuple[str, ...]:
    random = np.random.default_rng(1)
    batch = [random.normal(size=(16, *port.shape[1:])).astype(np.float32) for port in graph.inputs]
    equal, layers = with_equal_channels(graph, lambda: [batch])
    before, after = (next(answers(each, [batch])) for each in (graph, equal))
    assert any(np.ptp(values) > 0 for values in before.values())
    for name, values in before.items():
        assert np.array_equal(values, after[name]), name
    return layers


def test_floats_answer_the_same_to_the_last_bit() -> None:
    x = image = keras.Input((8, 8, 3))
    for layer in (
        L.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="a"), L.BatchNormalization(), L.ReLU(),
        L.ZeroPadding2D(), L.DepthwiseConv2D(3, use_bias=False, depth_multiplier=2, name="b"),
        L.BatchNormalization(scale=False), L.LeakyReLU(), L.SeparableConv2D(4, 1, name="c"), L.ReLU(),
        L.Conv2DTranspose(5, 3, name="d"), L.ReLU(), L.MaxPooling2D(2), L.UpSampling2D(2), L.Reshape((-1, 5)),
        L.Conv1D(4, 3, name="e"), L.BatchNormalization(), L.ReLU(), L.AveragePooling1D(2), L.Dense(6, name="f"),
        L.Permute((2, 1)), L.Permute((2, 1)), L.Dense(4, activation="relu", name="g"), L.Flatten(),
        L.Dense(8, name="h"), L.BatchNormalization(), L.ReLU(), L.Dense(2, activation="softmax"),
    ):  # fmt: skip
        x = layer(x)
    found = changed(with_unlike_weights(keras.Model(image, x)))
    assert set("abcdegh") <= set(found)
    # Where the last axis is another one in between, nobody follows.
    assert "f" not in found


def test_a_fused_normalization_is_followed() -> None:
    random = np.random.default_rng(0)
    kernels = [np.exp(random.normal(0, 2, (3, 3, 4, 4))).astype(np.float32) for _ in range(2)]
    statistics = [np.exp(random.normal(0, 2, 4)).astype(np.float32) for _ in range(4)]

    @tf.function(input_signature=[tf.TensorSpec((None, 6, 6, 4), tf.float32)])  # type: ignore[untyped-decorator]
    def network(x: Any) -> Any:
        x = tf.nn.conv2d(x, kernels[0], 1, "SAME", name="first")
        x, *_ = tf.compat.v1.nn.fused_batch_norm(x, *statistics, is_training=False)
        return [tf.nn.conv2d(tf.nn.relu(x), kernels[1], 1, "SAME")]

    graph = freeze(network.get_concrete_function(), inputs=["x"], outputs=["y"])
    assert "FusedBatchNormV3" in {node.op for node in graph.definition.node}
    assert changed_in(graph) == ("first",)


def shared(name: str) -> Layer:
    dense = L.Dense(6, name=name)
    return lambda x: dense(dense(x))


REFUSED: dict[str, Layer] = {
    "a residual connection": lambda x: L.Dense(6)(L.Add()([L.Dense(6, name="a")(x), x])),
    "a second reader": lambda x: L.Add()([y := L.Dense(6, name="a")(x), L.Dense(6)(y)]),
    "a curve": lambda x: L.Dense(6)(L.Dense(6, activation="tanh", name="a")(x)),
    "a limit": lambda x: L.Dense(6)(L.ReLU(6.0)(L.Dense(6, name="a")(x))),
    "a product": lambda x: L.Dense(6)(L.Multiply()([y := L.Dense(6, name="a")(x), y])),
    "shared weights": lambda x: shared("a")(x),
    "a mixed axis": lambda x: L.Dense(6)(L.Flatten()(L.Permute((2, 1))(L.Reshape((3, 2))(L.Dense(6, name="a")(x))))),
    "a sum of channels": lambda x: L.Dense(6)(keras.ops.sum(L.Reshape((6, 1))(L.Dense(6, name="a")(x)), axis=1)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_change_the_answers_is_left_alone(name: str) -> None:
    row = keras.Input((6,))
    assert changed(with_unlike_weights(keras.Model(row, REFUSED[name](row)))) == ()


def test_what_is_an_output_too_is_left_alone() -> None:
    row = keras.Input((6,))
    inner = L.Dense(6, name="a")(row)
    both = L.Dense(6, activation="relu", name="b")(inner)
    assert changed(with_unlike_weights(keras.Model(row, [inner, L.Dense(2)(both)]))) == ("b",)


def fused(x: Any) -> Any:
    statistics = [np.exp(np.random.default_rng(5).normal(0, 1, 4)).astype(np.float32) for _ in range(4)]
    return tf.compat.v1.nn.fused_batch_norm(x, *statistics, is_training=False)[0]


R = np.random.default_rng(6)
KERNELS = {name: R.normal(size=shape).astype(np.float32) for name, shape in (
    ("conv", (3, 3, 4, 4)), ("depthwise", (3, 3, 4, 2)), ("dense", (4, 4)), ("transposed", (2, 2, 4, 4)),
)}  # fmt: skip
BIAS = np.arange(4, dtype=np.float32)
# Of each the axes that share a step.
LINEAR: dict[str, tuple[str, tuple[int, ...], Layer]] = {
    "a bias": ("conv", (0, 1, 2), lambda x: tf.add(tf.nn.conv2d(x, KERNELS["conv"], 1, "SAME"), BIAS)),
    "a normalization": ("conv", (0, 1, 2), lambda x: fused(tf.nn.conv2d(x, KERNELS["conv"], 1, "SAME"))),
    "factors": ("dense", (0,), lambda x: (x[:, 0, 0] @ KERNELS["dense"]) * [3.0, -2.0, 0.5, 9.0] * 2.0 - 1.0),
    "a depthwise kernel": (
        "depthwise", (0, 1), lambda x: tf.nn.depthwise_conv2d(x, KERNELS["depthwise"], (1, 1, 1, 1), "SAME") + 1.0,
    ),
    "a transposed kernel": (
        "transposed", (0, 1, 3),
        lambda x: tf.add(tf.nn.conv2d_transpose(x, KERNELS["transposed"], (16, 12, 12, 4), 2), BIAS),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_biases_take_off_what_rounding_adds_to_the_mean(name: str) -> None:
    kernel, axes, compute = LINEAR[name]

    @tf.function(input_signature=[tf.TensorSpec((16, 6, 6, 4), tf.float32)])  # type: ignore[untyped-decorator]
    def network(x: Any) -> Any:
        return [compute(x)]

    graph = freeze(network.get_concrete_function(), inputs=["x"], outputs=["y"])
    batch = [np.random.default_rng(7).normal(1, 1, (16, 6, 6, 4)).astype(np.float32)]
    corrected, _ = with_corrected_biases(graph, lambda: [batch], steps=8)
    (weighted,) = {each.weighted.name for each in Ways(graph).additions()}
    weights = KERNELS[kernel]
    step = np.abs(weights).max(axis=axes, keepdims=True) / 8
    rounded = {(weighted, 1): (np.round(weights / step) * step).astype(np.float32)}

    def mean(graph: Graph) -> np.ndarray:
        values = next(answers(graph, [batch]))["y"]
        return values.reshape(-1, values.shape[-1]).mean(axis=0)

    exact = mean(graph)
    assert np.abs(mean(with_constants(graph, rounded)) - exact).max() > 0.01
    assert np.allclose(mean(with_constants(corrected, rounded)), exact, atol=1e-4)


def network(*, outlier: float) -> keras.Model:
    """Return a network of fixed weights, one channel of which reaches that many times as far as it would."""
    x = image = keras.Input((12, 12, 3), name="image")
    for number in range(3):
        x = L.Conv2D(12, 3, padding="same", activation="relu", name=f"conv{number}")(x)
    model = keras.Model(image, L.Dense(4, name="scores")(L.GlobalAveragePooling2D()(x)))
    random = np.random.default_rng(3)
    weights = [random.normal(0, 0.25, weight.shape).astype(np.float32) for weight in model.get_weights()]
    weights[0][..., 5] *= outlier
    weights[1][5] *= outlier
    weights[2][:, :, 5] /= outlier
    model.set_weights(weights)
    return model


def test_integers_lose_less_and_it_is_said(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    drawn = random.normal(0, 1, (250, 12, 12, 3)) + random.normal(0, 2, (250, 1, 1, 3))
    np.save(tmp_path / "x.npy", drawn.astype(np.float32))
    found = {}
    for equalize in (False, True):
        options = Options(precisions=("int8", "int16x8"), equalize=equalize, keep_rejected=True)
        folder = tmp_path / str(equalize)
        manifest = export_model(
            network(outlier=100), folder, name="m", calibration=str(tmp_path / "x.npy"), options=options
        )
        found[equalize] = {each.file: each for each in (*manifest.artefacts, *manifest.refused)}
    assert not manifest.refused
    for file in ("m.int8.tflite", "m.int8.onnx", "m.int16x8.tflite"):
        before, after = found[False][file], found[True][file]
        assert before.verified is not None
        assert after.verified is not None
        assert after.verified.sqnr_db > before.verified.sqnr_db + 10
        trial, layers = after.notes
        assert trial.startswith("channels equalized (")
        assert layers.startswith("channels equalized behind conv0")
        metadata = load(tmp_path / "True" / file).spec.metadata
        assert metadata is not None
        assert metadata.calibration["channels"] == "equalized"


def test_what_stays_in_floats_keeps_its_biases() -> None:
    row = keras.Input((8,), name="row")
    model = with_unlike_weights(keras.Model(row, L.Dense(3, name="y")(L.Dense(16, activation="relu")(row))))
    source = load_source(model, name="m", inputs=["real"])
    samples = np.random.default_rng(4).normal(0, 1, (60, 8)).astype(np.float32)
    calibration = load_calibration(samples, inputs=source.inputs)
    for module in (to_tflite, to_onnx):
        files = {}
        for precision in ("int8", "mixed"):
            for correct in (False, True):
                options = Options(keep_float=("y",), correct_biases=correct)
                files[precision, correct] = module.convert(
                    source, precision=precision, calibration=calibration, options=options
                )
        assert files["int8", False] != files["int8", True]
        assert files["mixed", False] == files["mixed", True]


def test_where_it_is_not_measured_to_help_nothing_is_done(tmp_path: Path) -> None:
    row = keras.Input((8,), name="row")
    model = keras.Model(row, L.Dense(3, name="y")(L.Dense(16, activation="tanh")(row)))
    np.save(tmp_path / "x.npy", np.random.default_rng(4).normal(0, 1, (200, 8)).astype(np.float32))
    plain, same = (
        export_model(
            model, tmp_path / str(equalize), name="m", calibration=str(tmp_path / "x.npy"),
            options=Options(precisions=("int8",), equalize=equalize, correct_biases=equalize),
        )
        for equalize in (False, True)
    )  # fmt: skip
    assert [len(each.notes) for each in plain.artefacts] == [0, 0]
    for each in same.artefacts:
        channels, biases = each.notes
        assert channels.startswith("channels not equalized (")
        assert biases.startswith("biases not corrected (")
        metadata = load(tmp_path / "True" / each.file).spec.metadata
        assert metadata is not None
        assert not {"channels", "biases"} & metadata.calibration.keys()
    assert [each.verified.sqnr_db for each in plain.artefacts] == [each.verified.sqnr_db for each in same.artefacts]
