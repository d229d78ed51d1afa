"""From a model to the bytes of a .tflite file."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

from edgeport.export.conversion.foreign_messages import cleaned
from edgeport.export.conversion.mixing import Mixing
from edgeport.export.conversion.options import OnNote, Options, check_chosen, ignored
from edgeport.export.graphs.graph import Graph, with_outputs
from edgeport.export.graphs.integers.cures import cured
from edgeport.export.graphs.integers.fake_quantization import call_of, has_fake_quantization, with_rounded_weights
from edgeport.export.graphs.integers.masks import with_clamped_masks
from edgeport.export.graphs.integers.unrolling import unroll
from edgeport.export.graphs.operators.rewriting import rewritten
from edgeport.export.sources.source import Source
from edgeport.export.tflite.embedded_metadata import embed_metadata
from edgeport.export.tflite.float_front import Front, find_front
from edgeport.export.tflite.joining import joined
from edgeport.export.tflite.mixed import Mixer
from edgeport.export.tflite.ranges import FrozenGraphConverter, Seen
from edgeport.export.tflite.rules import rules
from edgeport.export.tflite.schemes import SCHEMES, Integers
from edgeport.export.tflite.standard_metadata import embed_standard_metadata
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata
from edgeport.runtime.artefact.precisions import precision_named
from edgeport.runtime.errors import EdgeportError, ExportError

# What the converter says of an operator that stays: ``tf.Erfinv(tensor<1x6xf32>) -> (tensor<1x6xf32>)``.
_LACKING = re.compile(r"^\s*tf\.(\w+)\((.*?)\) ->", re.MULTILINE)
_FAILING = re.compile(r"error: 'tfl?\.(\w+)' op (?!is neither a custom op)(.+)")
# Of int8 weights, on each side of 0.
_WEIGHT_STEPS = 127
_TENSOR = re.compile(r"tensor<([^<>]*?)(?:[^\w?*][^<>]*)?>")
_KINDS = {"f64": "float64", "f32": "float32", "f16": "float16", "i1": "bool", "!tf_type.string": "text"} | {
    f"{sign}i{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (4, 8, 16, 32, 64)
}


def convert(
    source: Source,
    *,
    precision: str = "float32",
    calibration: CalibrationSet | None = None,
    options: Options | None = None,
    on_note: OnNote = ignored,
) -> bytes:
    """Return a TFLite model.

    The usual batch is 1, which adds no shape arithmetic to the graph. ``int8`` and ``int16x8`` end at the logits.

    It carries no embedded metadata yet, and nothing of it is verified: ``export`` does both.

    Args:
        source: The model.
        precision: One of ``SCHEMES``.
        calibration: Decides the ranges of integer activations; only int8 and int16x8 need it. The int8 of a
            quantization-aware model has the ranges that it was trained with.
        options: The batch, the type of int8 inputs and outputs, and how long a loop may be.
        on_note: Called with what was done to the model that its user should know.

    Raises:
        ExportError: TFLite lacks an operator of the model, or cannot quantize it.
    """
    options = options or Options()
    check_chosen(options)
    if precision_named(precision).for_layers:
        return mixing(source, calibration=calibration, options=options, on_note=on_note).mixed(options.keep_float)
    source = source.for_precision(precision_named(precision))
    made = by_method(source, precision=precision, calibration=calibration, options=options, on_note=on_note)
    content = made(options.calibration_method)
    pixels = calibration.inputs[0].range if calibration is not None and options.tflite_metadata else None
    in_integers = SCHEMES[precision].integers is not None
    if pixels is not None and calibration is not None and not in_integers and source.ends_in_probabilities:
        # Its readers apply no softmax, so what ends at the logits must not claim to give probabilities.
        return embed_standard_metadata(
            content,
            name=source.name,
            labels=source.labels,
            input_range=pixels,
            channels=source.inputs[0].shape[3] or 0,
        )
    return content


def by_method(
    source: Source,
    *,
    precision: str,
    calibration: CalibrationSet | None,
    options: Options,
    on_note: OnNote = ignored,
) -> Callable[[str], bytes]:
    """Return what makes TFLite models whose activations get their ranges by a method, calibrated once for all of them.

    Args:
        source: The model.
        precision: One of ``SCHEMES`` without layers in floats.
        calibration: Decides the ranges.
        options: See ``convert``; the method is that which is asked for.
        on_note: See there.

    Raises:
        ExportError: TFLite lacks an operator of the model; what is returned raises it too, or that it cannot be
            quantized.
    """
    source = source.for_precision(precision_named(precision))
    graph, front = _prepared(source, precision, calibration, options, on_note)
    seen = Seen()

    def made(method: str) -> bytes:
        converter = _part_converter(graph, front, precision, calibration, options)
        converter.method, converter.seen = method, seen
        content = _converted(graph, front, converter.convert)
        return _with_port_names(content, graph) if has_fake_quantization(graph) else content

    return made


def mixing(
    source: Source, *, calibration: CalibrationSet | None, options: Options, on_note: OnNote = ignored
) -> Mixing:
    """Return what makes TFLite models in integers but for some layers, calibrated once for all of them.

    Args:
        source: The model.
        calibration: Decides the ranges.
        options: See ``convert``.
        on_note: See there.

    Raises:
        ExportError: TFLite lacks an operator of the model, or cannot quantize it; what is returned raises it too.
    """
    check_chosen(options)
    source = source.for_precision(precision_named("mixed"))
    graph, front = _prepared(source, "mixed", calibration, options, on_note)
    converter = _part_converter(graph, front, "mixed", calibration, options)
    converter.method = options.calibration_method
    with _readable_errors(graph):
        mixer = Mixer(converter, graph.layers, options)
    return Mixing(mixer.layers, lambda in_floats: _converted(graph, front, partial(mixer, in_floats)))


def _prepared(
    source: Source, precision: str, calibration: CalibrationSet | None, options: Options, on_note: OnNote
) -> tuple[Graph, Front | None]:
    """Return the graph as the converter takes it, in two where something stays in floats in front of the integers."""
    integers = SCHEMES[precision].integers
    graph = source.at_batch(options.batch_of(source.inputs[0], usual=1))
    if integers is not None and graph.loops:
        graph = _without_loops(graph, calibration, options, on_note)
    if integers is not None and calibration is not None and not has_fake_quantization(graph):
        graph = with_clamped_masks(graph, partial(_samples, calibration, graph), computed_in_integers=True)
        graph = cured(
            graph,
            partial(_samples, calibration, graph),
            equalize=options.equalize,
            correct_biases=options.correct_biases and not precision_named(precision).for_layers,
            steps=_WEIGHT_STEPS,
            on_note=on_note,
        )
    graph = with_outputs(graph, source.ends(at_logits=integers is not None))
    graph = rewritten(_with_outputs_apart(graph), rules(in_integers=integers is not None))
    if has_fake_quantization(graph):
        graph = with_rounded_weights(graph)
    front = None
    if integers is not None:
        for substitute in integers.substitutes:
            graph = substitute(graph)
        if calibration is not None:
            front = _front(graph, precision, integers, calibration, on_note)
    return graph, front


def embed(content: bytes, metadata: EmbeddedMetadata) -> bytes:
    """Return the TFLite model with edgeport's metadata in its own."""
    return embed_metadata(content, metadata)


def _front(
    graph: Graph, precision: str, integers: Integers, calibration: CalibrationSet, on_note: OnNote
) -> Front | None:
    """Return the graph in two where integers would spoil the columns of an input."""
    if has_fake_quantization(graph):
        return None

    def samples(count: int) -> Mapping[str, Any]:
        batch = graph.inputs[0].shape[0] or 1
        return calibration.to_real(calibration.part(0, max(batch, min(count, calibration.count)), filled=True))

    front = find_front(graph, samples, steps=integers.steps, comparisons=not integers.compared)
    if front is not None and np.isfinite(front.worst_db):
        names = ", ".join(port.name for port in front.head.inputs)
        on_note(
            f"the normalisation of {names} stays in floats, and so does that input: its columns differ so much in size "
            f"that one of them would keep {front.worst_db:.0f} dB in {precision}"
        )
    return front


def _converted(graph: Graph, front: Front | None, convert: Callable[[], bytes]) -> bytes:
    """Return what the converter makes, behind what stays in floats in front of it."""
    with _readable_errors(graph):
        content = convert()
        if front is None:
            return content
        head = FrozenGraphConverter(_with_outputs_apart(front.head)).convert()
    return joined(head, content, front.fed, [port.name for port in graph.inputs])


@contextmanager
def _readable_errors(graph: Graph) -> Iterator[None]:
    try:
        yield
    except EdgeportError:
        raise
    except Exception as error:  # the converter raises whatever it meets
        raise ExportError(_reason(error, graph)) from error


def _part_converter(
    graph: Graph, front: Front | None, precision: str, calibration: CalibrationSet | None, options: Options
) -> Any:
    """Return the converter of what is in integers."""
    converter = _converter(graph if front is None else front.rest, precision, calibration, options)
    if front is not None and calibration is not None:
        converter.representative_dataset = lambda: front.samples(graph.inputs, partial(_samples, calibration, graph))
    return converter


def _converter(graph: Graph, precision: str, calibration: CalibrationSet | None, options: Options) -> Any:
    scheme = SCHEMES[precision]
    # Every pixel can come, whatever the samples have.
    kept = [port.name for port in calibration.inputs if port.kind == "pixels"] if calibration else []
    converter = FrozenGraphConverter(graph, kept=kept)
    if scheme.optimized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if scheme.weights is not None:
        converter.target_spec.supported_types = [scheme.weights]
    if has_fake_quantization(graph):
        # It reads the ranges from the graph, and takes no calibration samples then, nor the demand that every operator
        # be in integers.
        converter.inference_input_type = converter.inference_output_type = getattr(tf, options.tensor_type)
    elif scheme.integers is not None:
        _quantize(converter, graph, precision, scheme.integers, calibration, options)
    return converter


def _without_loops(graph: Graph, calibration: CalibrationSet | None, options: Options, on_note: OnNote) -> Graph:
    """Return the graph with its loops written out: TFLite's calibrator crashes the whole process on a loop's body."""
    unrolled = unroll(graph, limit=options.unroll_limit)
    if calibration is not None:
        _check_alike(graph, unrolled.graph, next(_samples(calibration, graph)))
    for layer, steps in unrolled.steps.items():
        on_note(f"the loop of {layer} is written out in {steps} steps")
    return unrolled.graph


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
    sides: list[tuple[Any, Sequence[Input | Output]]] = [
        (subgraph.inputs, graph.inputs),
        (subgraph.outputs, graph.outputs),
    ]
    for places, ports in sides:
        for place, port in zip(places, ports, strict=True):
            subgraph.tensors[place].name = port.name
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _quantize(
    converter: Any,
    graph: Graph,
    precision: str,
    integers: Integers,
    calibration: CalibrationSet | None,
    options: Options,
) -> None:
    if calibration is None:
        raise ExportError(f"{precision} needs calibration samples, to know the ranges of its activations")
    tokens = [port for port in graph.inputs if not port.is_real and port.dtype != "bool"]
    if tokens and not integers.fed:
        operator, layer = _first_use(graph, tokens[0])
        raise ExportError(
            f"operator {operator}{layer}: TFLite's {precision} takes no integers ({tokens[0].name}); "
            "use int8 or dynamic"
        )
    converter.representative_dataset = lambda: _samples(calibration, graph)
    converter.target_spec.supported_ops = list(integers.operators)
    if integers.port_types:
        converter.inference_input_type = converter.inference_output_type = getattr(tf, options.tensor_type)


def _check_alike(graph: Graph, changed: Graph, sample: list[Any]) -> None:
    """Raise ExportError if a graph that was rewritten answers otherwise than before, beyond rounding."""
    for port, before, after in zip(graph.outputs, call_of(graph)(sample), call_of(changed)(sample), strict=True):
        if not np.allclose(before, after, rtol=1e-4, atol=1e-5 * max(1.0, float(np.abs(before).max()))):
            raise ExportError(f"{port.name} changed when the loops were written out step by step; use dynamic")


def _samples(calibration: CalibrationSet, graph: Graph) -> Iterator[list[Any]]:
    batch = graph.inputs[0].shape[0] or 1
    for start in range(0, calibration.count, batch):
        real = calibration.to_real(calibration.part(start, batch, filled=True))
        yield [np.ascontiguousarray(real[port.name]) for port in graph.inputs]


def _first_use(graph: Graph, port: Input) -> tuple[str, str]:
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
