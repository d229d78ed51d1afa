"""OpenVINO on the CPU: the same .onnx files in another engine."""

import numpy as np
import openvino

from edgeport.benchmarks.lab.peers.ways.by_hand import ByHand, softmax, to_float32
from edgeport.runtime.tensors.arrays import FloatArray, Tensor


def open_onnx(*, path: str, threads: int, activation: str = "none") -> ByHand:
    """Open an ONNX file that takes float32 images, fixed to one a call as OpenVINO's guides advise for latency.

    Args:
        path: The file.
        threads: How many threads the engine may use.
        activation: What is left to do after the graph: ``softmax`` or ``none``.
    """
    core = openvino.Core()
    model = core.read_model(path)
    shape = [1, *(axis.get_length() for axis in list(model.inputs[0].partial_shape)[1:])]
    model.reshape(shape)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # On a CPU with bfloat16 instructions a float32 model would be computed in these: less exact than the others.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    # Its fastest way on one image: a tensor that is bound once and filled for each call.
    bound = openvino.Tensor(np.zeros(shape, np.float32))
    request.set_input_tensor(bound)
    source = bound.data

    def run(tensor: Tensor) -> Tensor:
        source[:] = tensor
        request.infer()
        raw: Tensor = request.get_output_tensor(0).data.copy()
        return raw

    def decode(raw: Tensor) -> FloatArray:
        return softmax(raw) if activation == "softmax" else raw

    version = openvino.__version__.partition("-")[0]
    return ByHand({"name": "openvino", "version": version}, run=run, encode=to_float32, decode=decode, batch=1)
