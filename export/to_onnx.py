"""From a Keras model to the bytes of a .onnx file."""

import keras
import onnx
import tensorflow as tf
import tf2onnx

from edgeport.export.calibration import CalibrationSet
from edgeport.export.fold_scaling import fold_input_scaling
from edgeport.export.name_tensors import name_tensors
from edgeport.export.quantize_onnx import quantize
from edgeport.runtime.card import Card, to_json

# onnxruntime fuses quantized operators up to this opset in every version we know (its issue 28770 lost them at 22).
OPSET = 17
METADATA_KEY = "edgeport"


def convert(model: keras.Model, *, precision: str, calibration: CalibrationSet) -> bytes:
    """Return an ONNX model with a dynamic batch, named input and output, and images as Keras has them (NHWC).

    Args:
        model: A model with one input of images and one output.
        precision: ``float32``, or ``int8`` for QDQ with float32 input and output.
        calibration: Decides the ranges of the int8 activations.
    """
    converted = _to_float32(model)
    if precision == "int8":
        converted = quantize(converted, calibration)
    content: bytes = converted.SerializeToString(deterministic=True)
    return content


def embed(content: bytes, card: Card) -> bytes:
    """Return the ONNX model with the card in its metadata_props."""
    model = onnx.load_from_string(content)
    model.metadata_props.add(key=METADATA_KEY, value=to_json(card))
    sealed: bytes = model.SerializeToString(deterministic=True)
    return sealed


def _to_float32(model: keras.Model) -> onnx.ModelProto:
    name = model.inputs[0].name
    output_name = model.outputs[0]._keras_history.operation.name
    signature = [tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32, name=name)]
    # tf2onnx's from_keras fails on Keras 3; a function that returns a dict keeps the output's name.
    function = tf.function(lambda image: {output_name: model(image, training=False)}, input_signature=signature)
    converted, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    for tensor in (*converted.graph.input, *converted.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "n"
    converted.graph.name = model.name
    fold_input_scaling(converted)
    name_tensors(converted)
    onnx.checker.check_model(converted, full_check=True)
    return converted
