"""From a model to the bytes of a .tflite file."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

from edgeport.export.foreign_messages import cleaned
from edgeport.export.options import Options
from edgeport.export.precisions import precision_named
from edgeport.export.sources.fake_quantization import has_fake_quantization, with_rounded_weights
from edgeport.export.sources.graph import Graph, function_of, with_outputs
from edgeport.export.sources.port import Port
from edgeport.export.sources.rewriting import rewritten
from edgeport.export.sources.source import Source
from edgeport.export.tflite.embedded_metadata import embed_card
from edgeport.export.tflite.rules import rules
from edgeport.export.tflite.standard_metadata import embed_metadata
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.runtime.card import Card
from edgeport.runtime.errors import ExportError

# What the converter says of an operator that stays: ``tf.Erfinv(tensor<1x6xf32>) -> (tensor<1x6xf32>)``.
_LACKING = re.compile(r"^\s*tf\.(\w+)\((.*?)\) ->", re.MULTILINE)
_FAILING = re.compile(r"error: 'tfl?\.(\w+)' op (?!is neither a custom op)(.+)")
_TENSOR = re.compile(r"tensor<([^<>]*?)(?:[^\w?*][^<>]*)?>")
_KINDS = {"f64": "float64", "f32": "float32", "f16": "float16", "i1": "bool", "!tf_type.string": "text"} | {
    f"{sign}i{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (4, 8, 16, 32, 64)
}
_INT16X8 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8


def convert(
    source: Source,
    *,
    precision: str = "float32",
    calibration: CalibrationSet | None = None,
    options: Options | None = None,
) -> bytes:
    """Return a TFLite model.

    The usual batch is 1, which adds no shape arithmetic to the graph. ``int8`` and ``int16x8`` end at the logits.

    It carries no card yet, and nothing of it is proven: ``export`` does both.

    Args:
        source: The model.
        precision: ``float32``, ``float16``, ``dynamic``, ``int8`` or ``int16x8``.
        calibration: Decides the ranges of integer activations; only int8 and int16x8 need it. The int8 of a
            quantization-aware model has the ranges that it was trained with.
        options: The batch, and the type of int8 inputs and outputs.

    Raises:
        ExportError: TFLite lacks an operator of the model, or cannot quantize it.
    """
    options = options or Options()
    calibrated = precision_named(precision).calibrated
    source = source.for_precision(precision)
    graph = source.at_batch(options.batch_of(source.inputs[0], usual=1))
    graph = with_outputs(graph, source.ends(at_logits=calibrated))
    graph = rewritten(_with_outputs_apart(graph), rules(in_integers=calibrated))
    if has_fake_quantization(graph):
        graph = with_rounded_weights(graph)
    if precision == "int16x8":
        graph = _without_squared_differences(graph)
    converter = _converter(graph, precision, calibration, options)
    try:
        content: bytes = converter.convert()
    except Exception as error:  # the converter raises whatever it meets
        raise ExportError(_reason(error, graph)) from error
    if has_fake_quantization(graph):
        content = _with_port_names(content, graph)
    if options.tflite_metadata and calibration is not None and not calibrated and source.ends_in_probabilities:
        # Its readers apply no softmax, so what ends at the logits must not claim to give probabilities.
        return embed_metadata(
            content,
            name=source.name,
            labels=source.class_names(calibration.labels),
            input_range=calibration.input_range,
            channels=source.inputs[0].shape[3] or 0,
        )
    return content


def embed(content: bytes, card: Card) -> bytes:
    """Return the TFLite model with the card in its metadata."""
    return embed_card(content, card)


def _converter(graph: Graph, precision: str, calibration: CalibrationSet | None, options: Options) -> Any:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function_of(graph)])
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if has_fake_quantization(graph):
        # It reads the ranges from the graph, and takes no calibration samples then, nor the demand that every operator
        # be in integers.
        converter.inference_input_type = converter.inference_output_type = getattr(tf, options.tensor_type)
    elif precision_named(precision).calibrated:
        _quantize(converter, graph, precision, calibration, options)
    return converter


def _with_outputs_apart(graph: Graph) -> Graph:
    """Return the graph with a tensor of its own for each output that is an input as it is, or another output again.

    TFLite knows a tensor by one name only, and the converter removes every operator that changes nothing, but this.
    """
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    nodes = {node.name: node for node in definition.node}
    latest = {port.name: port.name for port in graph.inputs}
    for port in graph.outputs:
        tensor = port.name
        while nodes.get(tensor) is not None and nodes[tensor].op == "Identity":
            tensor = nodes[tensor].input[0].removesuffix(":0")
        if tensor in latest:
            nodes[port.name].op = "Maximum"
            nodes[port.name].input[:] = [latest[tensor]] * 2
        latest[tensor] = port.name
    return replace(graph, definition=definition)


def _with_port_names(content: bytes, graph: Graph) -> bytes:
    """Return the model with the graph's names of inputs and outputs.

    Where the converter takes ranges from the graph, an integer input or output is called after the operator that
    quantized it.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    (subgraph,) = model.subgraphs
    for places, ports in ((subgraph.inputs, graph.inputs), (subgraph.outputs, graph.outputs)):
        for place, port in zip(places, ports, strict=True):
            subgraph.tensors[place].name = port.name
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _without_squared_differences(graph: Graph) -> Graph:
    """Return the graph with ``(a - b) * (a - b)`` for each SquaredDifference, which TFLite lacks in int16."""
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    for node in [node for node in definition.node if node.op == "SquaredDifference"]:
        difference = definition.node.add(name=f"{node.name}/difference", op="Sub", input=node.input[:2])
        difference.attr["T"].CopyFrom(node.attr["T"])
        node.op = "Mul"
        node.input[:] = [difference.name] * 2
    return replace(graph, definition=definition)


def _quantize(
    converter: Any, graph: Graph, precision: str, calibration: CalibrationSet | None, options: Options
) -> None:
    if calibration is None:
        raise ExportError(f"{precision} needs calibration samples, to know the ranges of its activations")
    if graph.loops:
        # Its calibrator crashes the whole process on the body of a loop.
        raise ExportError(
            f"operator While{graph.place_of(graph.loops[0])}: TFLite's calibrator cannot see into the loop of a "
            "recurrent layer; use dynamic, or int8 in ONNX, or build the layer with unroll=True"
        )
    tokens = [port for port in graph.inputs if not port.is_real]
    if precision == "int16x8" and tokens:
        operator, layer = _first_use(graph, tokens[0])
        raise ExportError(
            f"operator {operator}{layer}: TFLite's int16x8 takes no integers ({tokens[0].name}); use int8 or dynamic"
        )
    ops = tf.lite.OpsSet
    converter.representative_dataset = lambda: _samples(calibration, graph)
    if precision == "int16x8":
        converter.target_spec.supported_ops = [_INT16X8, ops.TFLITE_BUILTINS]
        return
    converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = getattr(tf, options.tensor_type)


def _samples(calibration: CalibrationSet, graph: Graph) -> Iterator[list[Any]]:
    batch = graph.inputs[0].shape[0] or 1
    for start in range(0, calibration.count, batch):
        real = calibration.to_real(calibration.part(start, batch, filled=True))
        yield [np.ascontiguousarray(real[port.name]) for port in graph.inputs]


def _first_use(graph: Graph, port: Port) -> tuple[str, str]:
    """Return the operator that takes an input first, and in words its layer."""
    users = [node for node in graph.definition.node if port.name in node.input]
    return (users[0].op, graph.place_of(users[0].name)) if users else ("Placeholder", "")


def _reason(error: Exception, graph: Graph) -> str:
    """Return why the converter failed: the operator, its layer, and what it is not converted for."""
    text = str(error)
    lacking = _LACKING.search(text)
    if lacking is not None:
        operator, types = lacking.groups()
        taken = ", ".join(dict.fromkeys(_type(each) for each in _TENSOR.findall(types)))
        return f"operator {operator}{_place(operator, graph)}: TFLite has none for {taken or 'it'}"
    failing = _FAILING.search(text)
    if failing is not None:
        operator, problem = failing.groups()
        return f"operator {operator}{_place(operator, graph)}: TFLite's converter stops ({problem.strip()})"
    return cleaned(error)


def _place(operator: str, graph: Graph) -> str:
    return next((graph.place_of(node.name) for node in graph.definition.node if node.op == operator), "")


def _type(tensor: str) -> str:
    """Return MLIR's type of a tensor in words: ``1x?x4xf64`` is float64 (1, n, 4)."""
    *lengths, kind = tensor.replace("*x", "").split("x")
    axes = ", ".join("n" if length == "?" else length for length in lengths)
    return f"{_KINDS.get(kind, kind)} ({axes})"
