"""ai-edge-litert without edgeport."""

import ai_edge_litert
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgeport.benchmarks.lab.peers.ways.by_hand import ByHand, dequantized, quantized, softmax, to_float32
from edgeport.runtime.tensors.arrays import FloatArray, Pixels, Tensor


def open_tflite(*, path: str, threads: int, activation: str = "none") -> ByHand:
    """Open a TFLite file of one image a call, with what a user writes around it.

    Args:
        path: The file.
        threads: How many threads the engine may use.
        activation: What is left to do after the graph: ``softmax`` or ``none``.
    """
    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    place, answer = source["index"], target["index"]
    input_scale, input_zero = source["quantization"]
    output_scale, output_zero = target["quantization"]

    def run(tensor: Tensor) -> Tensor:
        interpreter.set_tensor(place, tensor)
        interpreter.invoke()
        raw: Tensor = interpreter.get_tensor(answer)
        return raw

    def encode(images: Pixels) -> Tensor:
        real = to_float32(images)
        return quantized(real, scale=input_scale, zero_point=input_zero) if input_scale else real

    def decode(raw: Tensor) -> FloatArray:
        real = dequantized(raw, scale=output_scale, zero_point=output_zero) if output_scale else raw
        return softmax(real) if activation == "softmax" else np.asarray(real, np.float32)

    engine = {"name": "ai-edge-litert", "version": ai_edge_litert.__version__}
    return ByHand(engine, run=run, encode=encode, decode=decode, batch=1)
