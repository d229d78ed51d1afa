"""Operators that keep XNNPACK busy, in files built for the purpose."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeport.benchmarks.profile.peaks import CONVOLUTIONS, PRODUCTS, Effort
from edgeport.benchmarks.profile.tflite.parts import opened
from edgeport.export.parts.tflite import packed
from edgeport.runtime.tensors.arrays import Tensor

_RANDOM_BELOW = 60
_SCALE = 0.1


def efforts(kind: str, *, threads: int) -> list[Effort]:
    """Return large dense layers and convolutions.

    Args:
        kind: ``int8`` or ``float32``.
        threads: Threads that the engine may use.
    """
    integer = kind == "int8"
    found = []
    for rows, summed, columns in PRODUCTS:
        options = schema.FullyConnectedOptionsT()
        operator = schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOptions.FullyConnectedOptions, options
        given, weights = _tensors((rows, summed), (columns, summed), integer=integer)
        content = _model(operator, given, weights, (rows, columns))
        found.append(Effort(rows * summed * columns, opened(content, [given], threads)))
    for side, channels in CONVOLUTIONS:
        options = schema.Conv2DOptionsT()
        options.padding, options.strideH, options.strideW = schema.Padding.SAME, 1, 1
        operator = schema.BuiltinOperator.CONV_2D, schema.BuiltinOptions.Conv2DOptions, options
        given, weights = _tensors((1, side, side, channels), (channels, 3, 3, channels), integer=integer)
        content = _model(operator, given, weights, given.shape)
        found.append(Effort(side * side * channels * channels * 9, opened(content, [given], threads)))
    return found


def _tensors(given: tuple[int, ...], weights: tuple[int, ...], *, integer: bool) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(0)
    if not integer:
        return random.random(given, np.float32), random.random(weights, np.float32)
    return (
        random.integers(-128, 127, given, np.int8),
        random.integers(-_RANDOM_BELOW, _RANDOM_BELOW, weights, np.int8),
    )


def _model(operator: tuple[int, int, Any], given: Tensor, weights: Tensor, written: tuple[int, ...]) -> bytes:
    """Return a file with one operator, its weights with a scale for every channel if they are integers."""
    integer = weights.dtype == np.int8
    bias = np.zeros(len(weights), np.int32 if integer else np.float32)
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version = 3
    model.buffers = [schema.BufferT(), _buffer(weights), _buffer(bias)]
    channels = len(weights)
    graph.tensors = [
        _tensor("given", given.shape, given.dtype, 0, [_SCALE] if integer else []),
        _tensor("weights", weights.shape, weights.dtype, 1, [_SCALE] * channels if integer else []),
        _tensor("bias", bias.shape, bias.dtype, 2, [_SCALE * _SCALE] * channels if integer else []),
        # An output that takes in the whole sum: its scale changes no kernel.
        _tensor("written", written, given.dtype, 0, [_SCALE * 1000] if integer else []),
    ]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = operator[0]
    # The versions that know scales for every channel.
    code.version = 1 if not integer else 5 if operator[0] == schema.BuiltinOperator.FULLY_CONNECTED else 3
    step = schema.OperatorT()
    step.opcodeIndex, step.inputs, step.outputs = 0, [0, 1, 2], [3]
    step.builtinOptionsType, step.builtinOptions = operator[1:]
    graph.inputs, graph.outputs, graph.operators = [0], [3], [step]
    model.operatorCodes, model.subgraphs = [code], [graph]
    return packed(model)


def _buffer(values: Tensor) -> Any:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    return buffer


def _tensor(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], buffer: int, scales: list[float]) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, list(shape), buffer
    tensor.type = getattr(schema.TensorType, dtype.name.upper())
    if scales:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.asarray(scales, np.float32)
        tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    return tensor
