"""onnxruntime without edgeport."""

from functools import partial

import onnxruntime

from edgeport.benchmarks.lab.peers.ways.by_hand import BATCH, ByHand, dequantized, quantized, softmax, to_float32
from edgeport.runtime.tensors.arrays import FloatArray, Pixels, Tensor


def open_onnx(
    *,
    path: str,
    threads: int,
    activation: str = "none",
    input_scale: float = 0.0,
    input_zero_point: int = 0,
    output_scale: float = 0.0,
    output_zero_point: int = 0,
) -> ByHand:
    """Open an ONNX file of one input and one output.

    Args:
        path: The file.
        threads: How many threads the engine may use.
        activation: What is left to do after the graph: ``softmax`` or ``none``.
        input_scale: For a file that takes int8, the step between two values; else 0.
        input_zero_point: For a file that takes int8, what 0.0 is.
        output_scale: For a file that gives int8, the step between two values; else 0.
        output_zero_point: For a file that gives int8, what 0.0 is.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    source, targets = session.get_inputs()[0], [session.get_outputs()[0].name]
    name, batch = source.name, source.shape[0]
    to_int8 = partial(quantized, scale=input_scale, zero_point=input_zero_point)

    def run(tensor: Tensor) -> Tensor:
        raw: Tensor = session.run(targets, {name: tensor})[0]
        return raw

    def encode(images: Pixels) -> Tensor:
        real = to_float32(images)
        return to_int8(real) if input_scale else real

    def decode(raw: Tensor) -> FloatArray:
        real = dequantized(raw, scale=output_scale, zero_point=output_zero_point) if output_scale else raw
        return softmax(real) if activation == "softmax" else real

    engine = {"name": "onnxruntime", "version": onnxruntime.__version__}
    return ByHand(engine, run=run, encode=encode, decode=decode, batch=batch if isinstance(batch, int) else BATCH)
