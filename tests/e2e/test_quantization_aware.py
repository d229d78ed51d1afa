"""Quantization-aware training: models that round as their int8 files do, on the way through every stage."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from edgeport.export import Options, load_source
from edgeport.export.conversion.ranges.trial import check_method
from edgeport.export.inspection import inspect
from edgeport.export.tflite import convert as to_tflite
from edgeport.runtime.errors import InputError
from edgeport.runtime.tensors.quantization import quantize
from edgeport.train import load_dataset, quantize_aware

PIXELS = np.random.default_rng(0).integers(0, 256, (500, 16, 16, 3), dtype=np.uint8)


def separable() -> keras.Model:
    x = image = keras.Input((16, 16, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = layers.SeparableConv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, depth_multiplier=2)(x)))
    x = layers.Flatten()(layers.Dropout(0.2)(layers.MaxPooling2D()(x)))
    x = layers.BatchNormalization()(layers.Dense(12, activation="relu")(x))
    return keras.Model(image, layers.Dense(5, activation="softmax", name="classes")(x))


def branches() -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Rescaling(1 / 255)(image)
    a = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.ZeroPadding2D()(x))
    b = layers.Conv2D(6, 5, padding="same", groups=3)(x)
    x = layers.Concatenate()([layers.Cropping2D(1)(a), b])
    inner = keras.Sequential(
        [keras.Input((16, 16, 12)), layers.Conv2D(12, 3, padding="same", use_bias=False), layers.BatchNormalization()]
    )
    x = keras.ops.relu(inner(x) + x)
    x = layers.UpSampling2D()(layers.MaxPooling2D()(x))
    shared = layers.Conv2D(12, 1, activation="relu")
    x = shared(shared(x))
    one = layers.Dense(3, name="one")(layers.GlobalAveragePooling2D()(x))
    two = layers.Dense(1, activation="sigmoid", name="two")(layers.GlobalMaxPooling2D()(x))
    return keras.Model(image, [one, two])


def sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((16, 16, 3), name="image"),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, activation="relu6"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Reshape((-1,)),
            layers.Dense(7),
            layers.Softmax(),
        ],
        name="tower",
    )


def series() -> keras.Model:
    x = image = keras.Input((16, 16, 3), name="image")
    x = layers.Reshape((256, 3))(x)
    x = layers.Normalization(mean=[100.0, 120.0, 140.0], variance=[2000.0, 1500.0, 2500.0])(x)
    x = layers.Conv1D(8, 5, strides=2, padding="causal", activation="relu")(x)
    x = layers.MaxPooling1D()(layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(12, 3, padding="same")(x))))
    return keras.Model(image, layers.Dense(4, activation="softmax", name="classes")(layers.GlobalAveragePooling1D()(x)))


def decoder() -> keras.Model:
    x = image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(layers.Rescaling(1 / 255)(x))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2DTranspose(5, 3, strides=2, padding="same")(x)))
    return keras.Model(image, layers.Conv2DTranspose(2, 2, strides=2, activation="sigmoid", name="mask")(x))


MODELS: tuple[Callable[[], keras.Model], ...] = (separable, branches, sequential, series, decoder)


def trained(build: Callable[[], keras.Model]) -> keras.Model:
    """Return a model with weights that are not those of its first day, and moving averages that do something."""
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    model = build()
    for variable in model.variables:
        if "seed" not in variable.path:
            low, high = (0.5, 1.5) if "gamma" in variable.path or "variance" in variable.path else (-0.2, 0.2)
            variable.assign(random.uniform(low, high, variable.shape))
    return model


@pytest.fixture(scope="module", params=MODELS, ids=lambda build: build.__name__)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[keras.Model, keras.Model]]:
    model = trained(request.param)
    yield model, quantize_aware(model, calibration=PIXELS[:200])
    keras.backend.clear_session()


def logits(model: keras.Model) -> keras.Model:
    """Return the model up to what its int8 files give."""
    ends = [tensor._keras_history.operation for tensor in model.outputs]
    kinds = (layers.Activation, layers.Softmax)
    return keras.Model(model.inputs, [end.input if isinstance(end, kinds) else end.output for end in ends])


def steps_apart(model: keras.Model, content: bytes, pixels: np.ndarray) -> np.ndarray:
    """Return by how many steps the integers of a file differ from the model's own values."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (given,), outputs = interpreter.get_input_details(), interpreter.get_output_details()
    assert given["quantization"] == (1.0, -128)
    expected = keras.tree.flatten(logits(model).predict(pixels.astype(np.float32), verbose=0))
    answers = []
    for image in pixels:
        interpreter.set_tensor(given["index"], (image.astype(np.int16) - 128).astype(np.int8)[None])
        interpreter.invoke()
        answers.append([interpreter.get_tensor(output["index"])[0] for output in outputs])
    apart = []
    for place, (output, real) in enumerate(zip(outputs, expected, strict=True)):
        scale, zero_point = output["quantization"]
        wanted = quantize(real, scale=scale, zero_point=zero_point, dtype="int8")
        apart.append(np.abs(np.stack([answer[place] for answer in answers]).astype(int) - wanted).ravel())
    return np.concatenate(apart)


def test_it_answers_like_the_float_model_and_leaves_it_alone(pair: tuple[keras.Model, keras.Model]) -> None:
    model, quantized = pair
    assert [tensor.name for tensor in model.inputs] == [tensor.name for tensor in quantized.inputs]
    assert load_source(model).activations == load_source(quantized).activations
    before = trained(lambda: keras.models.clone_model(model))
    assert all(np.array_equal(old, new) for old, new in zip(before.get_weights(), model.get_weights(), strict=True))
    expected, answers = (keras.tree.flatten(each.predict(PIXELS.astype("float32"), verbose=0)) for each in pair)
    for one, other in zip(expected, answers, strict=True):
        assert one.shape == other.shape
        noise = np.square(one - other).mean() / one.var()
        assert noise < 0.03


def test_the_integers_of_tflite_are_those_of_the_forward_pass(pair: tuple[keras.Model, keras.Model]) -> None:
    _, quantized = pair
    content = to_tflite.convert(load_source(quantized), precision="int8")
    apart = steps_apart(quantized, content, PIXELS)
    assert (apart == 0).mean() >= 0.995
    assert apart.max() <= 1


def test_low_rank_adapters_are_part_of_the_kernel() -> None:
    def adapted() -> keras.Model:
        image = keras.Input((16, 16, 3), name="image")
        convolution, dense = layers.Conv2D(8, 3, activation="relu"), layers.Dense(5)
        model = keras.Model(image, dense(layers.Flatten()(convolution(layers.Rescaling(1 / 255)(image)))))
        convolution.enable_lora(2)
        dense.enable_lora(2)
        return model

    model = trained(adapted)
    quantized = quantize_aware(model, calibration=PIXELS[:200])
    expected, answers = (each.predict(PIXELS.astype("float32"), verbose=0) for each in (model, quantized))
    assert np.square(expected - answers).mean() / expected.var() < 0.03


def test_an_average_of_halves_is_rounded_by_tflite_in_its_own_way() -> None:
    def averages() -> keras.Model:
        x = image = keras.Input((16, 16, 3), name="image")
        x = layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(1 / 255)(x))
        return keras.Model(image, layers.Dense(5)(layers.Flatten()(layers.AveragePooling2D(2)(x))))

    quantized = quantize_aware(trained(averages), calibration=PIXELS[:200])
    apart = steps_apart(quantized, to_tflite.convert(load_source(quantized), precision="int8"), PIXELS)
    assert (apart == 0).mean() >= 0.5
    assert apart.max() <= 2


@pytest.fixture(scope="module")
def trained_on(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """Return the file of a model that was trained on with plain Keras, and the size of the steps of its ranges."""
    digits = load_dataset("mnist-5k")
    keras.utils.set_random_seed(1)
    x = image = keras.Input((28, 28, 1), name="image")
    x = layers.Conv2D(8, 6, strides=4, padding="same", use_bias=False)(layers.Rescaling(1 / 255)(x))
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    x = layers.Conv2D(16, 3, activation="relu")(x)
    x = layers.Flatten()(x)
    model = keras.Model(image, layers.Dense(10, activation="softmax", name="probabilities")(x), name="digits")

    def fit(model: keras.Model, epochs: int) -> None:
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(digits.train.samples.astype("float32"), digits.train.classes, epochs=epochs, verbose=0)

    fit(model, 3)
    quantized = quantize_aware(model, calibration=digits.train.samples[:200])
    before = ranges(quantized)
    fit(quantized, 1)
    after = ranges(quantized)
    assert before["image_range"] == after["image_range"] == (0.0, 255.0)
    assert all(before[name] != after[name] for name in before.keys() - {"image_range"})
    quantized.predict(np.full((10, 28, 28, 1), 255.0), verbose=0)
    assert ranges(quantized) == after
    file = tmp_path_factory.mktemp("aware") / "digits.keras"
    quantized.save(file)
    return file, {name: (high - low) / 255 for name, (low, high) in after.items()}


def ranges(model: keras.Model) -> dict[str, tuple[float, float]]:
    return {
        layer.name: (float(layer.low), float(layer.high)) for layer in model.layers if layer.name.endswith("_range")
    }


def test_a_saved_model_is_exported_in_every_precision(
    trained_on: tuple[Path, dict[str, float]], tmp_path: Path, edgeport: Callable[..., object]
) -> None:
    file, steps = trained_on
    out = tmp_path / "out"
    found = edgeport("export", file, "-o", out, "--calibration", "mnist-5k")
    assert "no layer that scales" not in found.stderr
    manifest = json.loads((out / "manifest.json").read_text())
    verified = {(each["format"], each["precision"]): each["verified"] for each in manifest["artefacts"]}
    assert len(verified) == 9
    assert verified["tflite", "int8"]["sqnr_db"] > 50
    assert verified["tflite", "float32"]["sqnr_db"] > 90
    tflite, onnx_file, floats = (out / f"digits.{kind}" for kind in ("int8.tflite", "int8.onnx", "float32.onnx"))
    assert {operator.arithmetic for operator in inspect(tflite).graph.operators} == {"integer"}
    assert {node.op_type for node in onnx.load(floats).graph.node}.isdisjoint({"QuantizeLinear", "Round", "Max"})
    assert inspect(tflite).metadata.calibration == {"source": "quantization-aware training"}
    graph = onnx.load(onnx_file).graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    scales = {float(constants[node.input[1]]) for node in graph.node if node.op_type == "QuantizeLinear"}
    assert all(min(abs(scale / step - 1) for step in steps.values()) < 1e-5 for scale in scales)
    assert len(scales) >= 4


def test_its_ranges_and_channels_are_its_own(trained_on: tuple[Path, dict[str, float]]) -> None:
    source = load_source(trained_on[0])
    for options in (Options(equalize=True), Options(correct_biases=True), Options(calibration_method="mse")):
        with pytest.raises(InputError, match="was trained quantization-aware, with the ranges of int8: leave it out"):
            check_method(source, options)
    check_method(source, Options())


@pytest.mark.parametrize("tensor_type", ["uint8", "float32"])
def test_inputs_may_have_another_type_and_batch(trained_on: tuple[Path, dict[str, float]], tensor_type: str) -> None:
    options = Options(tensor_type=tensor_type, batch=3)
    content = to_tflite.convert(load_source(trained_on[0]), precision="int8", options=options)
    interpreter = Interpreter(model_content=content)
    (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (given["name"], taken["name"]) == ("image", "probabilities")
    assert given["dtype"] == taken["dtype"] == np.dtype(tensor_type)
    assert given["shape"][0] == 3


def of_integers() -> keras.Model:
    image = keras.Input((16, 16, 3), name="image", dtype="uint8")
    return keras.Model(image, layers.Flatten()(layers.Rescaling(1 / 255)(image)))


def of_no_numbers() -> keras.Model:
    model = net(layers.Conv2D(4, 3, name="lost"), layers.Flatten())
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    return model


def net(*made: layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((16, 16, 3), name="image"), *made])


@pytest.mark.parametrize(
    ("model", "calibration", "message"),
    [
        (
            lambda: net(layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="gelu", name="bent")),
            PIXELS,
            "layer bent: got the activation gelu",
        ),
        (
            lambda: net(layers.Rescaling(1 / 255), layers.LeakyReLU(name="leaky")),
            PIXELS,
            r"layer leaky \(LeakyReLU\) has no rule",
        ),
        (
            lambda: net(layers.Rescaling(1 / 255), layers.Softmax(name="early"), layers.Flatten()),
            PIXELS,
            "layer early: got a softmax that other",
        ),
        (
            lambda: net(layers.Rescaling(1 / 255), layers.UpSampling2D(interpolation="bilinear", name="up")),
            PIXELS,
            "layer up: got interpolation",
        ),
        (lambda: net(layers.Flatten()), PIXELS[..., :1], r"calibration of image: got shape \(500, 16, 16, 1\)"),
        (lambda: net(layers.Flatten()), PIXELS.astype(int), "calibration of image: got int64"),
        (lambda: net(layers.Flatten()), {"picture": PIXELS}, "calibration: got samples for picture, expected image"),
        (of_integers, PIXELS, "input image: got a model that takes uint8, expected float32"),
        (lambda: net(layers.Conv2D(2, 3), layers.Flatten()), PIXELS, "for a model with nothing that scales them"),
        (of_no_numbers, PIXELS, "lost/kernel: got NaN or infinity"),
        (lambda: keras.Sequential([layers.Flatten()]), PIXELS, "got a Sequential whose layers cannot be followed"),
    ],
)
def test_what_has_no_rule_is_named(model: Callable[[], keras.Model], calibration: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        quantize_aware(model(), calibration=calibration)
    assert "\n" not in str(caught.value)
