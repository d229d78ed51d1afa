"""Inspections of one model in both formats: the same MACs, and the parameters that Keras counts."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from pixels import with_pixels

from edgeport.export import Options, export, load_calibration, load_source
from edgeport.export.inspection import Inspection, inspect


def lively(model: keras.Model) -> keras.Model:
    """Give every weight a value of its own: converters leave out biases of 0, and fold what is the same everywhere."""
    draw = np.random.default_rng(0)
    model.set_weights([draw.uniform(0.1, 0.3, weight.shape).astype(weight.dtype) for weight in model.get_weights()])
    return model


def convolutional() -> keras.Model:
    image = keras.Input((12, 12, 6))
    x = layers.Conv2D(8, 3, groups=2, activation="relu")(image)
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.DepthwiseConv2D(3, activation="relu")(x)
    x = layers.DepthwiseConv2D(3, strides=2, activation="relu")(x)
    x = layers.Conv2D(6, 1, activation="relu")(x)
    x = layers.Reshape((8, 8, 6, 1))(x)
    x = layers.Conv3D(3, 3, activation="relu")(x)
    x = layers.Conv3DTranspose(2, 2, strides=2, activation="relu")(x)
    x = layers.Reshape((12, 12 * 8 * 2))(x)
    x = layers.Conv1D(5, 3, dilation_rate=2, activation="relu")(x)
    x = layers.Conv1DTranspose(4, 3, activation="relu")(x)
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


def recurrent() -> keras.Model:
    signal = keras.Input((9, 6))
    x = layers.LSTM(8, return_sequences=True)(signal)
    x = layers.Bidirectional(layers.GRU(5, return_sequences=True))(x)
    x = layers.SimpleRNN(7, return_sequences=True)(x)
    # Without the ReLU, TFLite's converter folds a bias into the next one.
    x = layers.ReLU()(layers.MultiHeadAttention(2, 4)(x, x))
    x = layers.EinsumDense("abc,cd->abd", output_shape=(None, 6), bias_axes="d")(x)
    return keras.Model(signal, keras.ops.einsum("bij,bkj->bik", x, x))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inspection")


@pytest.mark.parametrize(
    ("build", "biases"),
    [
        (convolutional, 0),
        # The operator LSTM has two biases a gate, Keras has one.
        (recurrent, 4 * 8),
    ],
)
def test_both_formats_have_the_macs_of_one_model_and_its_parameters(build: object, biases: int, folder: Path) -> None:
    model = lively(build())
    source = with_pixels(load_source(model, name=build.__name__))
    calibration = load_calibration("random", inputs=source.inputs, count=20)
    options = Options(precisions=("float32", "dynamic"))
    export(source, folder / build.__name__, calibration, options=options)
    found: dict[str, Inspection] = {each.name: inspect(each) for each in (folder / build.__name__).glob("*.[to]*")}
    assert len(found) == 4
    assert {each.macs_unknown for each in found.values()} == {0}
    assert len({each.macs for each in found.values()}) == 1, {name: each.macs for name, each in found.items()}
    counted = model.count_params()
    for name, each in found.items():
        assert each.parameters == counted + (biases if name.endswith("onnx") else 0), name
