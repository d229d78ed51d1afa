"""Models that a format lacks operators for, or that its converter errs on: delivered, or refused in one true line."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from edgeport.export import CalibrationSet, Manifest, Options, Source, export, load_source
from edgeport.runtime.errors import ExportError

Samples = dict[str, np.ndarray]
RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def exported(source: Source, folder: Path, samples: np.ndarray | Samples, *precisions: str) -> Manifest:
    samples = samples if isinstance(samples, dict) else {source.inputs[0].name: samples}
    calibration = CalibrationSet("samples", 0, source.inputs, samples, samples)
    return export(source, folder, calibration, options=Options(precisions=precisions))


def assert_delivered(
    model: object, folder: Path, samples: np.ndarray | Samples, *precisions: str, error: float = 1e-4
) -> None:
    """Assert that both formats answer like the model, in float32 unless said otherwise."""
    precisions = precisions or ("float32",)
    manifest = exported(load_source(model), folder / "out", samples, *precisions)
    assert not manifest.refused, [f"{each.file}: {each.reason}" for each in manifest.refused]
    assert len(manifest.artefacts) == 2 * len(precisions)
    for artefact in manifest.artefacts:
        verified, most = artefact.verified, error if artefact.precision == "float32" else 0.05
        assert verified.relative_error is None or verified.relative_error <= most, artefact.file
        assert artefact.precision != "float32" or verified.agreement in (None, 1.0), artefact.file


def model_of(shape: tuple[int | None, ...], *functions: Callable[[object], object]) -> keras.Model:
    inputs = keras.Input(shape, name="x")
    return keras.Model(inputs, {f"y{place}": function(inputs) for place, function in enumerate(functions)})


def saved(folder: Path, function: Callable[..., object], *specs: tf.TensorSpec) -> Path:
    module = tf.Module()
    module.serve = tf.function(function, input_signature=specs)
    tf.saved_model.save(module, str(folder / "saved"), signatures=module.serve)
    return folder / "saved"


def row(*shape: int | None) -> tf.TensorSpec:
    return tf.TensorSpec(shape, tf.float32, "x")


# What one of the formats, or both, lack and have others for; each takes and gives (n, 8).
FUNCTIONS = {
    "log1p": lambda x: ops.log1p(ops.abs(x)),
    "log1p below 0": lambda x: ops.log1p(-0.9 * ops.sigmoid(x)),
    "expm1": ops.expm1,
    "logaddexp": lambda x: ops.logaddexp(x, 2 * x),
    "erf": ops.erf,
    "sinh": ops.sinh,
    "cosh": ops.cosh,
    "tan": lambda x: ops.tan(ops.tanh(x)),
    "arcsin": lambda x: ops.arcsin(ops.tanh(x)),
    "arccos": lambda x: ops.arccos(ops.tanh(x)),
    "arctan": ops.arctan,
    "arcsinh": ops.arcsinh,
    "arccosh": lambda x: ops.arccosh(1 + ops.abs(x)),
    "arctanh": lambda x: ops.arctanh(0.99 * ops.tanh(x)),
    "cumprod": lambda x: ops.cumprod(x, axis=1),
    "digitize": lambda x: ops.cast(layers.Discretization(bin_boundaries=[-0.5, 0.0, 0.5])(x), "float32"),
    "diagonal": lambda x: ops.diagonal(x[:, :, None] * x[:, None, :5], axis1=1, axis2=2),
    "spectrum": lambda x: ops.concatenate(ops.rfft(x[:, :6]), axis=-1),
}


def test_operators_that_are_others_in_a_row_are_written_as_those(tmp_path: Path) -> None:
    assert_delivered(model_of((8,), *FUNCTIONS.values()), tmp_path, normal(40, 8))


@pytest.mark.parametrize("size", [1e-3, 1e-6])
def test_they_are_exact_near_zero(size: float, tmp_path: Path) -> None:
    functions = [FUNCTIONS[name] for name in ("expm1", "sinh", "arctan", "arcsinh")]
    model = model_of((8,), ops.log1p, *functions, lambda x: ops.arctanh(x))
    assert_delivered(model, tmp_path, size * normal(40, 8), error=1e-6)


def test_operators_inside_a_loop_are_written_so_too(tmp_path: Path) -> None:
    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        def step(count: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return count + 1, tf.math.log1p(tf.abs(tf.math.erf(y) + x * x))

        return {"y": tf.while_loop(lambda count, y: count < 3, step, (0, x))[1]}

    assert_delivered(saved(tmp_path, serve, row(None, 4)), tmp_path, normal(40, 4))


def test_volumes_are_pooled_in_both_formats(tmp_path: Path) -> None:
    model = model_of(
        (7, 6, 5, 2),
        layers.MaxPooling3D(2),
        layers.MaxPooling3D((3, 2, 1), strides=(1, 2, 2), padding="same"),
        layers.AveragePooling3D((2, 3, 2), padding="same"),
        layers.Conv3D(3, 2, dilation_rate=(2, 1, 2), padding="same"),
    )
    assert_delivered(model, tmp_path, normal(20, 7, 6, 5, 2))


def test_an_average_over_volumes_has_integers_too(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((6, 6, 6, 2)), layers.Conv3D(4, 3), layers.AveragePooling3D(2)])
    assert_delivered(model, tmp_path, normal(60, 6, 6, 6, 2), "int8")


def test_images_are_resized_in_every_way(tmp_path: Path) -> None:
    ways = [
        layers.Resizing(5, 13, interpolation=way, antialias=smooth)
        for way, smooth in (("bicubic", False), ("lanczos3", True), ("lanczos5", False), ("area", False))
    ]
    model = model_of((9, 8, 3), *ways, layers.UpSampling2D(interpolation="bicubic"))
    assert_delivered(model, tmp_path, normal(20, 9, 8, 3).clip(-1, 1))


def test_arg_max_agrees_on_ties_and_on_zeros_of_both_signs(tmp_path: Path) -> None:
    samples = RANDOM.choice(np.array([-1, -0.0, 0.0, 1e-3, 1], np.float32), (300, 8), p=[0.3, 0.3, 0.3, 0.05, 0.05])
    model = model_of(
        (8,), lambda x: ops.argmax(x, axis=1), lambda x: ops.argmin(ops.where(x < 0, 1, x), axis=1, keepdims=True)
    )
    # The samples tell the signs of zeros apart: plain NumPy decides otherwise on some.
    assert (np.argmax(samples, 1) != model.predict(samples, verbose=0)["y0"]).any()
    assert_delivered(model, tmp_path, samples)


def test_a_map_of_classes_is_no_more_than_an_arg_max(tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 3), name="x")
    source = load_source(keras.Model(inputs, ops.argmax(layers.Conv2D(5, 3)(inputs), axis=-1)))
    samples = normal(100, 8, 8, 3).clip(-1, 1)
    manifest = exported(source, tmp_path / "out", samples, "float32", "int8")
    delivered = {f"{each.format} {each.precision}" for each in manifest.artefacts}
    assert {"tflite float32", "onnx float32"} <= delivered
    assert all(each.status == "rejected" for each in manifest.refused), "converted, and judged"


def test_the_branch_that_is_not_taken_may_be_infinite_or_no_number(tmp_path: Path) -> None:
    model = model_of(
        (8,), lambda x: ops.where(x > 0, ops.log(x), 0), lambda x: ops.where(ops.equal(x, 0), 1, ops.sin(x) / x)
    )
    assert_delivered(model, tmp_path, normal(40, 8).round(1))


@pytest.mark.parametrize("turned", [False, True])
def test_rows_times_rows_are_no_matrix_product(turned: bool, tmp_path: Path) -> None:
    equation = "bij,bji->bi" if turned else "bij,bij->b"
    model = model_of(
        (6, 6),
        lambda x: ops.einsum(equation, x, layers.Dense(6)(x)),
        lambda x: ops.einsum("bij,bij->bji", x, layers.Dense(6)(x)),
        lambda x: ops.einsum("bxij,bjyk->byixk", x[:, None], layers.Dense(4)(x)[:, :, None, :2]),
    )
    assert_delivered(model, tmp_path, normal(40, 6, 6))


def test_a_permutation_written_as_slices_is_kept(tmp_path: Path) -> None:
    def turned(x: object, axis: int) -> object:
        return ops.concatenate(ops.unstack(ops.reshape(x, (-1, 3, 4, 1)), axis=axis), axis=1)

    model = model_of(
        (3, 4),
        lambda x: ops.reshape(turned(x, 2), (-1, 3, 4)),
        lambda x: turned(x, 1),
        lambda x: ops.concatenate(ops.unstack(x, axis=2)[::-1], axis=1),
        lambda x: ops.concatenate(ops.unstack(ops.reshape(x, (-1, 2, 3, 2)), axis=1), axis=2),
    )
    assert_delivered(model, tmp_path, normal(30, 3, 4))


def test_float16_has_what_onnx_defines_for_float32_alone(tmp_path: Path) -> None:
    model = model_of(
        (4, 4, 6),
        lambda x: layers.Softmax(axis=[1, 2])(layers.Dense(2)(x)),
        lambda x: ops.logsumexp(layers.Dense(3)(x), axis=(1, 2)),
        lambda x: ops.nan_to_num(layers.Dense(3)(x)),
        lambda x: layers.MultiHeadAttention(2, 3, attention_axes=(1, 2))(x, x),
    )
    assert_delivered(model, tmp_path, normal(40, 4, 4, 6), "float32", "float16")


def test_a_model_in_float64_is_delivered_in_float32(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("float64")
    try:
        inputs = keras.Input((5, 8), name="x", dtype="float64")
        attended = layers.MultiHeadAttention(2, 4)(inputs, inputs, use_causal_mask=True)
        outputs = [layers.Dense(3, activation="softmax")(layers.LSTM(4)(attended)), ops.argmax(inputs, axis=-1)]
    finally:
        keras.config.set_dtype_policy("float32")
    source = load_source(keras.Model(inputs, outputs))
    assert [port.dtype for port in source.inputs] == ["float32"]
    assert_delivered(keras.Model(inputs, outputs), tmp_path, normal(40, 5, 8))


def test_images_of_any_size_get_the_size_of_the_samples(tmp_path: Path) -> None:
    image, facts = keras.Input((None, None, 2), name="image"), keras.Input((3,), name="facts")
    x = layers.UpSampling2D(interpolation="bilinear")(layers.Conv2D(4, 3, padding="same")(image))
    model = keras.Model([image, facts], [layers.Conv2D(1, 1)(x), layers.Dense(2)(facts)])
    samples = {"image": normal(20, 10, 14, 2), "facts": normal(20, 3)}
    source = load_source(model)
    assert [port.shape for port in source.inputs] == [(None, None, None, 2), (None, 3)]
    manifest = exported(source, tmp_path / "out", samples, "float32")
    assert len(manifest.artefacts) == 2
    assert [tensor.shape for tensor in manifest.artefacts[0].inputs] == [(1, 10, 14, 2), (1, 3)]
    with pytest.raises(ExportError, match=r"its input image .* one size only: give samples"):
        source.at_batch(1)


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_what_keras_has_quantized_is_delivered(mode: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((20,), name="x"), layers.Dense(16, activation="relu"), layers.Dense(3)])
    model.quantize(mode)
    assert_delivered(model, tmp_path, normal(60, 20))


def test_what_keras_has_quantized_to_float8_is_refused_with_the_way_out() -> None:
    model = keras.Sequential([keras.Input((20,)), layers.Dense(16, name="wide")])
    model.quantize("float8")
    with pytest.raises(ExportError, match="of layer wide is in float8, which no engine has: export the model as"):
        load_source(model)


@keras.saving.register_keras_serializable()
class Sampling(layers.Layer):
    def call(self, x: object) -> object:
        return x + tf.random.normal(tf.shape(x))


@keras.saving.register_keras_serializable()
class SeededSampling(layers.Layer):
    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, x: object) -> object:
        return x + keras.random.normal(ops.shape(x), seed=self.seed_generator)


@pytest.mark.parametrize("layer", [Sampling, SeededSampling])
def test_a_model_that_draws_random_numbers_is_refused_at_once(layer: type, tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    with pytest.raises(ExportError, match=r"of layer my_draw_2 draws random numbers"):
        load_source(keras.Model(inputs, layer(name="my_draw_2")(layers.Dense(3)(inputs))))


def test_what_is_random_in_training_only_or_used_by_nobody_is_delivered(tmp_path: Path) -> None:
    quiet = layers.GaussianNoise(0.3)(layers.Dropout(0.5)(layers.Dense(3)(inputs := keras.Input((4,), name="x"))))
    assert_delivered(keras.Model(inputs, quiet), tmp_path / "quiet", normal(20, 4))

    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        tf.random.uniform([])
        return {"y": x + tf.random.stateless_normal([4], [1, 2])}

    assert_delivered(saved(tmp_path, serve, row(None, 4)), tmp_path / "unused", normal(20, 4))


def test_indices_and_loops_of_saved_models_are_delivered(tmp_path: Path) -> None:
    def positives(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "mean": tf.reshape(tf.reduce_mean(tf.boolean_mask(x, x > 0)), [1, 1]),
            "places": tf.cast(tf.reduce_sum(tf.where(x[0] > 0), 0, keepdims=True), tf.float32),
        }

    assert_delivered(saved(tmp_path / "a", positives, row(1, 12)), tmp_path / "a", normal(30, 12))

    def boxes(x: tf.Tensor) -> dict[str, tf.Tensor]:
        corners = tf.reshape(x, [8, 4])
        corners = tf.concat([tf.minimum(corners[:, :2], corners[:, 2:]), tf.maximum(corners[:, :2], corners[:, 2:])], 1)
        kept = tf.image.non_max_suppression(corners, tf.reduce_sum(corners, 1), 1)
        return {"y": tf.gather(corners, kept)}

    assert_delivered(saved(tmp_path / "b", boxes, row(1, 32)), tmp_path / "b", normal(30, 32))

    def halved(x: tf.Tensor) -> dict[str, tf.Tensor]:
        large = lambda y: tf.reduce_max(tf.abs(y)) > 0.1  # noqa: E731
        return {"y": tf.cond(large(x), lambda: tf.while_loop(large, lambda y: [y * 0.7], [x])[0], lambda: x)}

    assert_delivered(saved(tmp_path / "c", halved, row(1, 4)), tmp_path / "c", normal(30, 4))


@pytest.mark.parametrize(
    ("function", "specs", "line"),
    [
        (
            lambda x, limit: {"y": tf.where(x > limit, x, 0.0)},
            (row(None, 4), tf.TensorSpec([], tf.float32, "limit")),
            r"its input limit is one number for all samples, .* give it a batch axis",
        ),
        (lambda x: {"y": x * 2}, (tf.TensorSpec(None, tf.float32, "x"),), "input x may have any number of axes"),
        (
            lambda text: {"y": tf.strings.to_number(text)[:, None]},
            (tf.TensorSpec([None], tf.string, "text"),),
            r"takes text \(text\)",
        ),
        (lambda x: {"y": tf.strings.as_string(x)}, (row(None, 4),), r"answers with text \(y\)"),
        (lambda x: {"y": tf.signal.rfft(x)}, (row(None, 4),), r"complex numbers \(y\)"),
    ],
)
def test_inputs_and_outputs_that_no_artefact_has_are_refused_with_the_way_out(
    function: Callable[..., object], specs: tuple[tf.TensorSpec, ...], line: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=line):
        load_source(saved(tmp_path, function, *specs))


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (lambda x: {"y": tf.reduce_mean(x)}, "its output y is one number for all samples"),
        (lambda x: {"y": tf.reduce_mean(x, 0)}, "its output y has 4 rows for 20 samples"),
    ],
)
def test_outputs_without_a_batch_are_refused(function: Callable[..., object], line: str, tmp_path: Path) -> None:
    source = load_source(saved(tmp_path, function, row(None, 4)))
    with pytest.raises(ExportError, match=line):
        exported(source, tmp_path / "out", normal(20, 4), "float32")


@keras.saving.register_keras_serializable()
class Inverse(layers.Layer):
    def call(self, x: object) -> object:
        return tf.linalg.inv(x)


def test_a_refusal_names_the_layer_as_the_user_does_and_what_it_was_given(tmp_path: Path) -> None:
    inner_inputs = keras.Input((3, 3))
    inner = keras.Model(inner_inputs, Inverse(name="turn_back_2")(inner_inputs), name="base")
    inputs = keras.Input((3, 3), name="x")
    source = load_source(keras.Model(inputs, layers.Dense(3)(inner(inputs))))
    with pytest.raises(ExportError) as caught:
        exported(source, tmp_path / "out", normal(20, 3, 3) + 5 * np.eye(3, dtype=np.float32), "float32")
    assert "operator MatrixInverse of layer turn_back_2: TFLite has none for float32 (1, 3, 3)" in str(caught.value)
