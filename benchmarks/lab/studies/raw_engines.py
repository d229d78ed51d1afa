"""The engines' cheapest call sequences, as somebody who knows them well writes them: what the runtime is held to."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[Any]


def raw_call(content: bytes, engine: str, tensor: Tensor) -> Callable[[], Tensor]:
    """Return a call that feeds one tensor to an engine of its own and gives the first output.

    Args:
        content: The whole artefact.
        engine: ``ai_edge_litert``, ``tflite_runtime`` or ``onnxruntime``.
        tensor: What to feed.
    """
    return _raw_onnx(content, tensor) if engine == "onnxruntime" else _raw_tflite(content, engine, tensor)


def resized_call(content: bytes, engine: str, tensor: Tensor) -> Callable[[], Tensor]:
    """Return a call that feeds a batch to a TFLite interpreter which was resized for it once.

    Args:
        content: A TFLite artefact, perhaps of another batch.
        engine: ``ai_edge_litert`` or ``tflite_runtime``.
        tensor: The batch.

    Raises:
        RuntimeError: The graph cannot be resized.
        ValueError: Likewise.
    """
    interpreter = _interpreter(content, engine)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], tensor.shape)
    interpreter.allocate_tensors()
    call = _tflite_call(interpreter, tensor)
    if len(call()) != len(tensor):
        raise RuntimeError("the output keeps its batch")
    return call


def _raw_tflite(content: bytes, engine: str, tensor: Tensor) -> Callable[[], Tensor]:
    interpreter = _interpreter(content, engine)
    interpreter.allocate_tensors()
    return _tflite_call(interpreter, tensor)


def _interpreter(content: bytes, engine: str) -> Any:
    return importlib.import_module(f"{engine}.interpreter").Interpreter(model_content=content, num_threads=1)


def _tflite_call(interpreter: Any, tensor: Tensor) -> Callable[[], Tensor]:
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def call() -> Tensor:
        interpreter.set_tensor(source, tensor)
        interpreter.invoke()
        answer: Tensor = interpreter.get_tensor(target)
        return answer

    return call


def _raw_onnx(content: bytes, tensor: Tensor) -> Callable[[], Tensor]:
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    source, targets = session.get_inputs()[0].name, [session.get_outputs()[0].name]

    def call() -> Tensor:
        answer: Tensor = session.run(targets, {source: tensor})[0]
        return answer

    return call


def random_pixels(shape: tuple[int, ...], *, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return random uint8 pixels of that shape."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
