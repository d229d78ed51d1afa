"""From a Keras model to the bytes of a .tflite file."""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from edgeport.export.calibration import CalibrationSet
from edgeport.export.tflite_card import embed_card
from edgeport.runtime.card import Card
from edgeport.runtime.quantization import FloatArray


def convert(model: keras.Model, *, precision: str, calibration: CalibrationSet) -> bytes:
    """Return a TFLite model with a batch of 1, which adds no shape arithmetic to the graph.

    Args:
        model: A model with one input of images and one output.
        precision: ``float32``, or ``int8`` for full integer with int8 input and output.
        calibration: Decides the ranges of the int8 activations.
    """
    converter = _converter(model)
    if precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        converter.representative_dataset = lambda: _samples(calibration)
    content: bytes = converter.convert()
    return content


def embed(content: bytes, card: Card) -> bytes:
    """Return the TFLite model with the card in its metadata."""
    return embed_card(content, card)


def _converter(model: keras.Model) -> tf.lite.TFLiteConverter:
    name = model.inputs[0].name
    signature = tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32, name=name)
    output_name = model.outputs[0]._keras_history.operation.name
    # The converter saves the variables that the trackable object holds as TensorFlow variables; handed the Keras
    # model instead, it writes a file without weights.
    trackable = tf.Module()
    trackable.variables_ = [variable.value for variable in model.variables]
    trackable.call = tf.function(lambda image: {output_name: model(image, training=False)}, input_signature=[signature])
    return tf.lite.TFLiteConverter.from_concrete_functions([trackable.call.get_concrete_function()], trackable)


def _samples(calibration: CalibrationSet) -> Iterator[list[FloatArray]]:
    for image in calibration.to_real(calibration.images):
        yield [image[np.newaxis]]
