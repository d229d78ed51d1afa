"""Small untrained models of every common kind, and what becomes of each of them in every format and precision.

``python tests/e2e/architectures.py`` exports them all and writes docs/results/architectures.json, which
docs/guides/export.md quotes.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers
from pixels import with_pixels

from edgeport.export import Manifest, Options, export, load_calibration, load_source

KIND = "architectures"
RESULT = Path(__file__).parents[2] / "docs" / "results" / "architectures.json"
Build = Callable[[], keras.Model]


def application(name: str) -> Build:
    def build() -> keras.Model:
        return getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=10)

    return build


def keyword_spotting() -> keras.Model:
    x = inputs = keras.Input((49, 10, 1), name="mfcc")
    x = layers.Conv2D(32, (10, 4), strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for _ in range(3):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(32, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(layers.Dropout(0.4)(x))
    return keras.Model(inputs, layers.Dense(12, activation="softmax")(x))


def u_net() -> keras.Model:
    inputs = keras.Input((32, 32, 3))
    a = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    b = layers.Conv2D(16, 3, padding="same", activation="relu")(layers.MaxPooling2D()(a))
    c = layers.Conv2D(32, 3, padding="same", activation="relu")(layers.MaxPooling2D()(b))
    x = layers.Concatenate()([layers.Conv2DTranspose(16, 2, strides=2)(c), b])
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    x = layers.Concatenate()([layers.Conv2DTranspose(8, 3, strides=2, padding="same")(x), a])
    return keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax")(x))


def signal_cnn() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((128, 3)),
            layers.Normalization(mean=[0.1, -0.2, 0.3], variance=[1.0, 2.0, 0.5]),
            layers.Conv1D(16, 5, strides=2, activation="relu"),
            layers.BatchNormalization(),
            layers.Conv1D(32, 3, dilation_rate=2, padding="causal", activation="relu"),
            layers.MaxPooling1D(),
            layers.GlobalAveragePooling1D(),
            layers.Dense(5, activation="softmax"),
        ]
    )


def recurrent(layer: Callable[[], layers.Layer]) -> Build:
    return lambda: keras.Sequential([keras.Input((20, 8)), layer(), layers.Dense(6, activation="softmax")])


def text_classifier() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((24,), dtype="int32", name="tokens"),
            layers.Embedding(200, 16, embeddings_initializer="normal"),
            layers.Conv1D(16, 3, activation="gelu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def masked_lstm() -> keras.Model:
    tokens = keras.Input((24,), dtype="int32", name="tokens")
    x = layers.Embedding(100, 16, mask_zero=True, embeddings_initializer="normal")(tokens)
    return keras.Model(tokens, layers.Dense(1, activation="sigmoid")(layers.LSTM(12)(x)))


def transformer() -> keras.Model:
    tokens = keras.Input((16,), dtype="int32", name="tokens")
    x = layers.Embedding(100, 32, embeddings_initializer="normal")(tokens)
    for _ in range(2):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 8)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(32)(layers.Dense(64, activation="gelu")(x)))
    return keras.Model(tokens, layers.Dense(4, activation="softmax")(layers.GlobalMaxPooling1D()(x)))


def two_inputs_two_outputs() -> keras.Model:
    image, facts = keras.Input((16, 16, 1), name="image"), keras.Input((5,), name="facts")
    x = layers.Flatten()(layers.Conv2D(8, 3, strides=2, activation="relu")(image))
    x = layers.Dense(16, activation="relu")(layers.Concatenate()([x, layers.Dense(8, activation="tanh")(facts)]))
    outputs = {"kind": layers.Dense(4, activation="softmax")(x), "size": layers.Dense(1)(x)}
    return keras.Model({"image": image, "facts": facts}, outputs)


@keras.saving.register_keras_serializable("edgeport-tests")
class Residual(keras.Model):
    """A subclassed model that ends in a plain function."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.stem = layers.Conv2D(16, 3, padding="same")
        self.inner = layers.Conv2D(16, 3, padding="same", activation="swish")
        self.head = layers.Dense(7)

    def call(self, images: object, training: bool = False) -> object:
        x = self.stem(images)
        return keras.ops.softmax(self.head(keras.ops.mean(x + self.inner(x), axis=(1, 2))))


def subclassed() -> keras.Model:
    model = Residual()
    model(keras.ops.zeros((1, 20, 20, 3)))
    return model


def normalised(layer: Callable[[], layers.Layer]) -> Build:
    def build() -> keras.Model:
        x = inputs = keras.Input((24, 24, 3))
        for width in (16, 32):
            x = keras.activations.silu(layer()(layers.Conv2D(width, 3, strides=2)(x)))
        return keras.Model(inputs, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))

    return build


def separable_and_dilated() -> keras.Model:
    x = inputs = keras.Input((32, 32, 3))
    x = layers.SeparableConv2D(16, 3, activation="relu6")(layers.Rescaling(2.0, offset=-0.5)(x))
    x = layers.Conv2D(16, 3, dilation_rate=2, activation="leaky_relu")(x)
    x = layers.DepthwiseConv2D(3, dilation_rate=2)(x)
    x = layers.PReLU(shared_axes=[1, 2])(layers.UpSampling2D()(layers.ZeroPadding2D()(x)))
    x = layers.Flatten()(layers.AveragePooling2D(4)(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def nested() -> keras.Model:
    inner = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
            layers.Softmax(),
        ]
    )
    return keras.Sequential([keras.Input((16, 16, 1)), layers.Rescaling(1 / 2), inner])


def mixed_precision() -> keras.Model:
    image = keras.Input((24, 24, 3))
    x = layers.Conv2D(8, 3, activation="relu", dtype="mixed_float16")(image)
    x = layers.BatchNormalization(dtype="mixed_float16")(x)
    x = layers.GlobalAveragePooling2D(dtype="mixed_float16")(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def volumes() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 16, 16, 1)),
            layers.Conv3D(8, 3, activation="relu"),
            layers.MaxPooling3D(),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )


def convolutional_lstm() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((5, 12, 12, 1)),
            layers.ConvLSTM2D(4, 3),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )


APPLICATIONS = (
    "MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "ResNet50V2", "DenseNet121", "NASNetMobile", "ConvNeXtTiny",
)  # fmt: skip
ARCHITECTURES: dict[str, Build] = {
    **{name: application(name) for name in APPLICATIONS},
    "DS-CNN for keyword spotting": keyword_spotting,
    "U-Net, transposed convolution": u_net,
    "1-D CNN with Normalization": signal_cnn,
    "LSTM": recurrent(lambda: layers.LSTM(12)),
    "LSTM, unrolled": recurrent(lambda: layers.LSTM(12, unroll=True)),
    "GRU": recurrent(lambda: layers.GRU(12)),
    "SimpleRNN": recurrent(lambda: layers.SimpleRNN(12)),
    "bidirectional LSTM": recurrent(lambda: layers.Bidirectional(layers.LSTM(12))),
    "Embedding and Conv1D on text": text_classifier,
    "Embedding and masked LSTM": masked_lstm,
    "Transformer encoder": transformer,
    "two inputs, two outputs": two_inputs_two_outputs,
    "subclassed model": subclassed,
    "BatchNormalization": normalised(layers.BatchNormalization),
    "GroupNormalization": normalised(lambda: layers.GroupNormalization(4)),
    "LayerNormalization": normalised(layers.LayerNormalization),
    "RMSNormalization": normalised(layers.RMSNormalization),
    "UnitNormalization": normalised(layers.UnitNormalization),
    "separable, dilated, PReLU, resizing": separable_and_dilated,
    "nested models": nested,
    "mixed_float16": mixed_precision,
    "Conv3D": volumes,
    "ConvLSTM2D": convolutional_lstm,
}


def lively(build: Build) -> keras.Model:
    """Return the model with normalisation statistics that are not all zeros and ones."""
    # Names that do not depend on what was built before.
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = build()
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith(("moving_variance", "gamma")):
            weight.assign(random.uniform(0.8, 1.2, weight.shape))
        elif weight.path.endswith(("moving_mean", "beta")):
            weight.assign(random.normal(0, 0.1, weight.shape))
    return model


def export_all_variants(name: str, folder: Path) -> Manifest:
    """Save an architecture, load it as a stranger's file, and export it."""
    file = folder / "model.keras"
    lively(ARCHITECTURES[name]).save(file)
    source = with_pixels(load_source(file))
    # Large models are slow to calibrate, and random samples say little anyway.
    calibration = load_calibration(
        "random",
        inputs=source.inputs,
        count=20 if name in APPLICATIONS else 200,
        vocabulary=source.opened.vocabulary,
    )
    options = Options(precisions=("float32", "dynamic", "int8")) if name in APPLICATIONS else Options()
    return export(source, folder / "out", calibration, options=options)


def main() -> None:
    """Write what became of every variant of every architecture."""
    outcomes: dict[str, dict[str, str]] = {}
    for name in sys.argv[1:] or ARCHITECTURES:
        with tempfile.TemporaryDirectory() as folder:
            manifest = export_all_variants(name, Path(folder))
        entries = {f"{each.format} {each.precision}": "ok" for each in manifest.artefacts}
        entries |= {f"{each.format} {each.precision}": f"{each.status}: {each.reason}" for each in manifest.refused}
        outcomes[name] = entries
        print(name, {variant: outcome for variant, outcome in entries.items() if outcome != "ok"}, flush=True)
    if not sys.argv[1:]:
        RESULT.write_text(json.dumps({"kind": KIND, "schema": 1, "rows": outcomes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
