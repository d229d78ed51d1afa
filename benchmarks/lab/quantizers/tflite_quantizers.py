"""Google's litert-quantizer on a model, beside the TFLiteConverter that the export takes."""

from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import tensorflow as tf
from litert_quantizer import quantizer, recipe

from edgeport.export.graphs.graph import Graph, function_of, with_outputs
from edgeport.export.sources.source import Source
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.runtime.tensors.arrays import FloatArray

RECIPES = {"int8": "static_wi8_ai8", "int16x8": "static_wi8_ai16", "dynamic": "dynamic_wi8_afp32"}
_SIGNATURE = "serving_default"
_BATCH = 100


def ending_at_logits(source: Source) -> Source:
    """Return a source whose only outputs are its logits, so that all precisions end at the same tensor."""
    names = source.ends(at_logits=True)
    return replace(
        source,
        graph=with_outputs(source.graph, names),
        logits={},
        activations=dict.fromkeys(names, "none"),
        _graphs={},
    )


def reference_answers(source: Source, real: FloatArray) -> FloatArray:
    """Return what TensorFlow answers for real inputs of shape (n, ...)."""
    function = function_of(source.at_batch(None))
    parts = [
        function(tf.convert_to_tensor(real[start : start + _BATCH]))[0].numpy() for start in range(0, len(real), _BATCH)
    ]
    return np.concatenate(parts).astype(np.float32)


def float_model(source: Source) -> bytes:
    """Return a float32 TFLite model with one signature, which litert-quantizer needs."""
    graph = source.at_batch(1)
    module = tf.Module()
    # A function that no module holds is converted without a signature.
    module.function = function_of(_without_gradients(graph))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.function], module)
    content: bytes = converter.convert()
    return content


def _without_gradients(graph: Graph) -> Graph:
    """Return the graph without custom gradients (of swish), for which no signature can be written."""
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    for node in definition.node:
        node.attr.pop("_gradient_op_type", None)
    return Graph(definition, graph.inputs, graph.outputs)


def quantize(content: bytes, calibration: CalibrationSet, *, precision: str) -> bytes:
    """Return a float32 model quantized by litert-quantizer.

    Args:
        content: What ``float_model`` returns.
        calibration: Decides the ranges of the activations.
        precision: ``int8``, ``int16x8`` or ``dynamic``.
    """
    port = calibration.inputs[0]
    real = calibration.to_real(calibration.samples)[port.name]
    samples: list[dict[str, Any]] = [{port.name: real[place : place + 1]} for place in range(len(real))]
    # It prints its progress to the standard output.
    with redirect_stdout(StringIO()):
        chosen = quantizer.Quantizer(content, getattr(recipe, RECIPES[precision])())
        ranges = chosen.calibrate({_SIGNATURE: samples}, num_threads=1) if chosen.need_calibration else None
        return bytes(chosen.quantize(ranges).quantized_model)
