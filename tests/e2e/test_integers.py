"""What int8 and int16x8 once could not: loops, masks in front of a softmax, and tables whose columns differ in size."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from edgeport.export import Manifest, Options, export, load_calibration, load_source
from edgeport.export.conversion.ranges.methods import METHODS
from edgeport.export.graphs.graph import freeze
from edgeport.export.graphs.integers.fake_quantization import call_of
from edgeport.export.graphs.integers.unrolling import unroll
from edgeport.runtime import load
from edgeport.runtime.errors import ExportError

R = np.random.default_rng(0)
INTEGERS = ("int8", "int16x8")
Samples = np.ndarray | dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def same_samples() -> None:
    """Give a test the same samples whichever tests run before it."""
    R.bit_generator.state = np.random.default_rng(0).bit_generator.state


def exported(
    model: keras.Model, samples: Samples, folder: Path, *, precisions: tuple[str, ...] = INTEGERS, **options: object
) -> Manifest:
    source = load_source(model, name="model")
    named = samples if isinstance(samples, dict) else {source.inputs[0].name: samples}
    folder.mkdir(exist_ok=True)
    np.savez(folder / "samples.npz", **named)
    calibration = load_calibration(str(folder / "samples.npz"), inputs=source.inputs)
    return export(source, folder / "out", calibration, options=Options(precisions=precisions, **options))


def ratios(manifest: Manifest) -> dict[str, float]:
    """Return the SQNR of each delivered artefact; fails if one was refused."""
    assert not manifest.refused, [f"{each.file}: {each.reason}" for each in manifest.refused]
    return {f"{each.precision}.{each.format}": each.verified.sqnr_db for each in manifest.artefacts}


def normal(*shape: int) -> np.ndarray:
    return R.normal(size=shape).astype(np.float32)


class Blend(keras.layers.Layer):
    """A cell of one's own."""

    state_size = output_size = 4

    def build(self, shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 4))

    def call(self, x: object, states: list[object]) -> tuple[object, list[object]]:
        blended = 0.5 * states[0] + ops.tanh(ops.matmul(x, self.kernel))
        return blended, [blended]


RECURRENT = {
    "lstm_sequences": lambda: [layers.LSTM(6, return_sequences=True)],
    "gru": lambda: [layers.GRU(6)],
    "simple_backwards": lambda: [layers.SimpleRNN(6, go_backwards=True, return_sequences=True)],
    "stacked": lambda: [layers.Bidirectional(layers.LSTM(4, return_sequences=True)), layers.GRU(4, reset_after=False)],
    "masked": lambda: [layers.Masking(), layers.GRU(6)],
    "cells": lambda: [layers.RNN([layers.GRUCell(5), Blend()])],
    "convolution": lambda: [layers.Reshape((3, 4, 5, 1)), layers.ConvLSTM2D(2, 2)],
}


@pytest.mark.parametrize("name", RECURRENT)
def test_a_recurrent_layer_is_written_out_for_integers(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    samples = normal(120, 12, 5)
    if name == "masked":
        samples[::3, 8:] = 0
    model = keras.Sequential([keras.Input((12, 5), name="x"), *RECURRENT[name]()])
    manifest = exported(model, samples, tmp_path, formats=("tflite",))
    assert min(ratios(manifest).values()) >= 20
    for artefact in manifest.artefacts:
        assert any("written out in" in note and "steps" in note for note in artefact.notes)
        assert {each.dtype for each in artefact.inputs} == {"int8" if artefact.precision == "int8" else "float32"}


def test_masked_tokens_get_int8_where_int16_takes_none(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    tokens = R.integers(1, 30, (120, 10)).astype(np.int32)
    tokens[::2, 6:] = 0
    stack = [
        layers.Embedding(30, 6, embeddings_initializer="normal", mask_zero=True),
        layers.Bidirectional(layers.LSTM(5)),
        layers.Dense(2),
    ]
    model = keras.Sequential([keras.Input((10,), dtype="int32", name="t"), *stack])
    assert ratios(exported(model, tokens, tmp_path, formats=("tflite",), precisions=("int8",)))["int8.tflite"] >= 16


def test_a_loop_is_written_out_up_to_the_limit_and_the_refusal_names_it(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((20, 3), name="x"), layers.GRU(3)])
    options = {"formats": ("tflite",), "precisions": ("dynamic", "int8")}
    manifest = exported(model, normal(60, 20, 3), tmp_path, **options, unroll_limit=19)
    (refusal,) = manifest.refused
    assert "more than 19 steps" in refusal.reason
    assert "--unroll-limit" in refusal.reason
    assert [each.precision for each in manifest.artefacts] == ["dynamic"]
    ratios(exported(model, normal(60, 20, 3), tmp_path, **options, unroll_limit=20))


def test_an_lstm_alone_is_refused_by_onnx_with_a_way_out_that_works(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((6, 4), name="x"), layers.LSTM(5)])
    manifest = exported(model, normal(60, 6, 4), tmp_path, precisions=("float16", "dynamic", "int8"))
    (refusal,) = manifest.refused
    assert refusal.file == "model.int8.onnx"
    assert "(got LSTM)" in refusal.reason
    assert "use float16, or dynamic in ONNX, or int8 in TFLite" in refusal.reason


def frozen(function: Callable[..., object], *shape: int | None) -> object:
    concrete = tf.function(function).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    return freeze(concrete, inputs=["x"], outputs=["y"])


def running_sums(x: object) -> object:
    def step(i: object, total: object, kept: tf.TensorArray) -> tuple[object, object, tf.TensorArray]:
        inner = tf.while_loop(lambda k, _: k < 2, lambda k, v: (k + 1, tf.tanh(v)), (0, total))[1]
        return i + 2, total + x[:, i], kept.write(i // 2, inner)

    kept = tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=(None,))
    kept = tf.while_loop(lambda i, *_: i < tf.shape(x)[1], step, (0, x[:, 0], kept))[2]
    return tf.transpose(kept.stack())


@pytest.mark.parametrize("batch", [1, 3, None])
def test_loops_in_loops_and_growing_lists_answer_as_before(batch: int | None) -> None:
    graph = frozen(running_sums, batch, 7)
    written = unroll(graph, limit=12)
    assert graph.loops
    assert not written.graph.loops
    sample = normal(batch or 5, 7)
    np.testing.assert_allclose(call_of(written.graph)([sample])[0], call_of(graph)([sample])[0], atol=1e-6)


def test_the_limit_counts_the_steps_of_loops_inside() -> None:
    unroll(frozen(running_sums, 1, 7), limit=12)
    with pytest.raises(ExportError, match="more than 11 steps"):
        unroll(frozen(running_sums, 1, 7), limit=11)


def halved_until_small(x: object) -> object:
    return tf.while_loop(lambda y: tf.reduce_max(y) > 1, lambda y: (y / 2,), (x,))[0]


def test_a_loop_that_ends_when_the_data_says_so_is_refused() -> None:
    with pytest.raises(ExportError, match=r"depends on the data.*use dynamic"):
        unroll(frozen(halved_until_small, 1, 4), limit=100)


LATER = np.triu(np.ones((8, 8), np.float32), 1)
LOWEST = float(np.finfo(np.float32).min)


def padding(x: object) -> object:
    return ops.expand_dims(ops.cast(ops.all(ops.equal(x, 0.0), axis=-1), "float32"), 1)


def attention(mask: Callable[[object, object], object]) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        x = keras.Input((8, 16), name="x")
        scores = ops.matmul(layers.Dense(16)(x), ops.transpose(layers.Dense(16)(x), (0, 2, 1))) / 4.0
        return keras.Model(x, layers.Dense(5)(ops.matmul(ops.softmax(mask(scores, x)), x)))

    return build


def multi_head() -> keras.Model:
    x = keras.Input((8, 16), name="x")
    masked = layers.Masking()(x)
    return keras.Model(x, layers.MultiHeadAttention(2, 8)(masked, masked, use_causal_mask=True))


MASKS = {
    "causal": attention(lambda scores, x: scores + LATER * -1e9),
    "causal_infinity": attention(lambda scores, x: ops.where(LATER > 0, -np.inf, scores)),
    "causal_lowest_and_bias": attention(
        lambda scores, x: scores + np.where(LATER > 0, LOWEST, np.arange(8, dtype=np.float32) / 4)
    ),
    "padding": attention(lambda scores, x: scores + padding(x) * -1e9),
    "padding_subtracted": attention(lambda scores, x: scores - 10_000.0 * padding(x)),
    "padding_and_causal": attention(lambda scores, x: scores + LATER * -1e9 + padding(x) * -1e9),
    "keras_softmax": attention(lambda scores, x: layers.Softmax()(scores, mask=ops.convert_to_tensor(LATER[None] < 1))),
    "multi_head": multi_head,
}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_in_front_of_a_softmax_leaves_integers_to_the_logits(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    samples = normal(150, 8, 16)
    for row, length in zip(samples[::2], R.integers(2, 8, 75), strict=True):
        row[length:] = 0
    if name == "padding":
        # Where all places are hidden, the softmax is uniform.
        samples[::25] = 0
    manifest = exported(MASKS[name](), samples, tmp_path, precisions=("float32", *INTEGERS))
    figures = ratios(manifest)
    assert figures["int8.tflite"] >= 24
    assert figures["int8.onnx"] >= 24
    assert figures["int16x8.tflite"] >= 35
    assert min(figures["float32.tflite"], figures["float32.onnx"]) >= 100


def test_a_mask_that_hides_nothing_in_the_samples_is_not_lost_in_silence(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    samples, model = normal(150, 8, 16), MASKS["padding"]()
    manifest = exported(model, samples, tmp_path, precisions=INTEGERS)
    reasons = {refusal.file.partition(".")[2]: refusal.reason for refusal in manifest.refused}
    assert reasons.keys() == {"int8.tflite", "int16x8.tflite"}
    assert all("hides nothing in any calibration sample" in reason for reason in reasons.values())
    # ONNX computes the mask in floats, and hides what no sample had.
    padded = samples[:40].copy()
    padded[:, 5:] = 0
    answers = load(tmp_path / "out" / manifest.artefacts[0].file).answer({"x": padded})
    expected = model.predict(padded, verbose=0)
    (answer,) = answers.values()
    assert 10 * np.log10(np.square(expected).mean() / np.square(answer - expected).mean()) >= 24


def test_choices_that_a_mask_forbids_at_the_end_of_a_model(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    x, allowed = keras.Input((12,), name="x"), keras.Input((5,), name="allowed")
    model = keras.Model([x, allowed], layers.Softmax()(layers.Dense(5)(x) + (1 - allowed) * -1e9))
    mask = (R.random((300, 5)) < 0.6).astype(np.float32)
    mask[:, 2] = 1
    manifest = exported(model, {"x": normal(300, 12), "allowed": mask}, tmp_path)
    assert min(ratios(manifest).values()) >= 30


def table(count: int = 600) -> np.ndarray:
    return R.uniform([0, 30, 0], [35_000, 42, 10], (count, 3)).astype(np.float32)


def behind(x: object) -> object:
    return layers.Dense(2)(layers.Dense(32, activation="relu")(x))


def adapted(values: np.ndarray) -> keras.Layer:
    normalization = layers.Normalization()
    normalization.adapt(values)
    return normalization


def normalized() -> tuple[keras.Model, Samples]:
    values, x = table(), keras.Input((3,), name="x")
    return keras.Model(x, behind(adapted(values)(x))), values


def rescaled() -> tuple[keras.Model, Samples]:
    x = keras.Input((3,), name="x")
    return keras.Model(x, behind(layers.Rescaling([1 / 35_000, 1 / 12, 0.1], [0, -2.5, 0])(x))), table()


def concatenated() -> tuple[keras.Model, Samples]:
    values, a, b = table(), keras.Input((2,), name="a"), keras.Input((1,), name="b")
    model = keras.Model([a, b], behind(adapted(values)(layers.Concatenate()([a, b]))))
    return model, {"a": values[:, :2], "b": values[:, 2:]}


def signals() -> tuple[keras.Model, Samples]:
    values = (normal(200, 40, 3) * [5000, 1, 0.1] + [10_000, 3, 1]).astype(np.float32)
    x = keras.Input((40, 3), name="x")
    y = layers.Conv1D(16, 5, activation="relu")(adapted(values)(x))
    return keras.Model(x, layers.Dense(4)(layers.Flatten()(y))), values


def fields() -> tuple[keras.Model, Samples]:
    values = (normal(100, 12, 12, 2) * [900, 1] + [0, 5]).astype(np.float32)
    x, first = keras.Input((12, 12, 2), name="x"), layers.BatchNormalization()
    model = keras.Model(x, layers.Dense(4)(layers.Flatten()(layers.Conv2D(8, 3, activation="relu")(first(x)))))
    first.moving_mean.assign(values.mean((0, 1, 2)))
    first.moving_variance.assign(values.var((0, 1, 2)))
    return model, values


def raw_beside() -> tuple[keras.Model, Samples]:
    values, x = table(), keras.Input((3,), name="x")
    both = [layers.Dense(16, activation="relu")(adapted(values)(x)), layers.Dense(2)(x) * 1e-4]
    return keras.Model(x, layers.Dense(2)(layers.Concatenate()(both))), values


COLUMNS = (normalized, rescaled, concatenated, signals, fields, raw_beside)


@pytest.mark.parametrize("build", COLUMNS)
def test_columns_that_differ_in_size_are_normalised_in_floats(
    build: Callable[[], tuple[keras.Model, Samples]], tmp_path: Path
) -> None:
    keras.utils.set_random_seed(1)
    manifest = exported(*build(), tmp_path, formats=("tflite",))
    assert min(ratios(manifest).values()) >= 20
    int8 = next(each for each in manifest.artefacts if each.precision == "int8")
    assert {each.dtype for each in int8.inputs} == {"float32"}
    assert {each.dtype for each in int8.outputs} == {"int8"}
    assert any("stays in floats" in note for note in int8.notes)


def test_a_picture_beside_a_table_stays_in_integers(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    values = table(300)
    picture, row = keras.Input((8, 8, 3), name="picture"), keras.Input((3,), name="row")
    seen = layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(1 / 255)(picture))
    both = [layers.GlobalAveragePooling2D()(seen), layers.Dense(8, activation="relu")(adapted(values)(row))]
    model = keras.Model([picture, row], layers.Dense(2)(layers.Concatenate()(both)))
    samples = {"picture": R.integers(0, 256, (300, 8, 8, 3)).astype(np.uint8), "row": values}
    options = {"formats": ("tflite",), "precisions": ("int8",)}
    for tensor_type in ("int8", "uint8", "float32"):
        manifest = exported(model, samples, tmp_path, **options, tensor_type=tensor_type)
        assert ratios(manifest)["int8.tflite"] >= 20
        (artefact,) = manifest.artefacts
        assert [(each.name, each.dtype) for each in artefact.inputs] == [("picture", tensor_type), ("row", "float32")]
    for batch in (4, "dynamic"):
        assert ratios(exported(model, samples, tmp_path, **options, batch=batch))["int8.tflite"] >= 20


def test_what_integers_do_not_spoil_keeps_its_integer_input(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    image = keras.Input((12, 12, 3), name="x")
    scaled = layers.Normalization(mean=[120, 115, 100], variance=[3000, 3100, 3300])(image)
    classifier = keras.Model(image, layers.Dense(4)(layers.Flatten()(layers.Conv2D(8, 3, activation="relu")(scaled))))
    similar, row = normal(300, 5) * 3, keras.Input((5,), name="x")
    regression = keras.Model(row, behind(adapted(similar)(row)))
    for model, samples in (
        (classifier, R.integers(0, 256, (100, 12, 12, 3)).astype(np.uint8)),
        (regression, similar),
    ):
        manifest = exported(model, samples, tmp_path, formats=("tflite",), precisions=("int8",))
        assert ratios(manifest)["int8.tflite"] >= 20
        (artefact,) = manifest.artefacts
        assert artefact.inputs[0].dtype == "int8"
        assert artefact.notes == ()


def test_auto_takes_the_ranges_that_lose_least_on_samples_of_its_own(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    inner = layers.Dense(16, activation="relu")(start := keras.Input((16,), name="x"))
    model = keras.Model(start, layers.Dense(4, name="y")(inner))
    samples = normal(400, 16)
    # One of the samples that give ranges reaches far.
    samples[np.random.default_rng(0).permutation(len(samples))[0]] *= 100
    with pytest.raises(ExportError, match="SQNR"):  # with 256 steps for a range a hundred times too wide
        exported(model, samples, tmp_path, precisions=("int8",))
    found = exported(model, samples, tmp_path / "auto", calibration_method="auto")
    notes = {f"{each.precision}.{each.format}": each.notes for each in found.artefacts}
    assert notes.pop("int16x8.tflite") == ()
    assert min(each.verified.sqnr_db for each in found.artefacts) > 30
    for name, (note,) in notes.items():
        method = note.split()[2]
        assert method != "minmax"
        assert f", {method} " in note
        metadata = load(tmp_path / "auto" / "out" / f"model.{name}").spec.metadata
        assert metadata is not None
        assert metadata.calibration["method"] == method


@pytest.mark.parametrize("format_name", ["tflite", "onnx"])
def test_methods_that_share_one_pass_make_the_files_that_each_makes_alone(format_name: str) -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3), name="x")
    inner = layers.Conv2D(8, 3, activation="relu6")(layers.Rescaling(1 / 255)(image))
    inner = layers.Conv2D(8, 3, activation="tanh")(layers.BatchNormalization()(inner))
    model = keras.Model(image, layers.Dense(4, activation="softmax")(layers.Flatten()(inner)))
    source = load_source(model, name="model", inputs=["pixels:0:255"])
    drawn = R.integers(0, 200, (120, 12, 12, 3)).astype(np.uint8)
    calibration = load_calibration(drawn, inputs=source.inputs)
    exporter = importlib.import_module(f"edgeport.export.{format_name}.convert")
    options = Options(precisions=("int8",))
    by_method = exporter.by_method(source, precision="int8", calibration=calibration, options=options)
    # The least and largest values come last, so that they are still what was seen.
    together = {method: by_method(method) for method in reversed(METHODS)}
    for method in METHODS:
        wanted = replace(options, calibration_method=method)
        alone = exporter.convert(source, precision="int8", calibration=calibration, options=wanted)
        assert together[method] == alone, method
    assert len(set(together.values())) > 2


def test_a_column_that_never_varies_does_not_take_the_steps_of_the_others(tmp_path: Path) -> None:
    samples = normal(300, 8)
    samples[:, 2] = 0
    scaling = layers.Normalization()
    scaling.adapt(samples)
    model = keras.Model(start := keras.Input((8,), name="x"), layers.Dense(3, name="y")(scaling(start)))
    found = exported(model, samples, tmp_path, precisions=("int8",), formats=("tflite",))
    # Its deviation is 0, so the layer divides by 1e-7: beside that factor all others would be 0 in integers.
    assert ratios(found)["int8.tflite"] > 15
