"""The TFLite interpreter's own calls, which ai-edge-litert and tflite-runtime have alike."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeport.benchmarks.lab.peers.ways.by_hand import ByHand, dequantized, quantized, softmax, to_float32
from edgeport.runtime.tensors.arrays import FloatArray, Pixels, Tensor


def opened_interpreter(interpreter: Any, engine: Mapping[str, str], *, activation: str) -> ByHand:
    """Return an interpreter of one image with what a user writes around it.

    Args:
        interpreter: Made, and not allocated yet.
        engine: Its ``name`` and ``version``.
        activation: What is left to do after the graph: ``softmax`` or ``none``.
    """
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

    return ByHand(engine, run=run, encode=encode, decode=decode, batch=1)
