"""From a float ONNX model to float16: half the size, and float32 at its inputs and outputs."""

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with float16 weights and activations.

    onnxruntime's CPU kernels compute most operators in float32 and convert around them, so this saves space, not time.
    """
    converted = convert_float_to_float16(model, keep_io_types=True)
    # It puts the casts of the inputs last, where ONNX forbids them.
    OnnxModel.graph_topological_sort(converted.graph, is_deterministic=True)
    return converted
