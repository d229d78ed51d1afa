"""From a model to the bytes of a .onnx file."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import onnx
import tensorflow as tf
from tf2onnx.optimizer import optimize_graph
from tf2onnx.tf_loader import tf_optimize
from tf2onnx.tfonnx import process_tf_graph

from edgeport.export.conversion.foreign_messages import cleaned
from edgeport.export.conversion.memory import free_memory
from edgeport.export.conversion.mixing import Mixing
from edgeport.export.conversion.options import OnNote, Options, check_chosen, ignored
from edgeport.export.graphs.graph import Graph
from edgeport.export.graphs.integers.cures import cured
from edgeport.export.graphs.integers.fake_quantization import has_fake_quantization, with_float_weights
from edgeport.export.graphs.integers.masks import with_clamped_masks
from edgeport.export.graphs.operators.rewriting import rewritten
from edgeport.export.graphs.places import layer_of_onnx_node
from edgeport.export.onnx import tf2onnx_select  # noqa: F401  (registers with tf2onnx)
from edgeport.export.onnx.passes.byte_pixels import take_bytes
from edgeport.export.onnx.passes.fold_scaling import fold_input_scaling
from edgeport.export.onnx.passes.keep_outputs import keep_outputs
from edgeport.export.onnx.passes.mend_sizes import mend_sizes
from edgeport.export.onnx.passes.name_tensors import name_tensors
from edgeport.export.onnx.passes.take_ranges import activation_steps, take_ranges
from edgeport.export.onnx.rules import rules
from edgeport.export.onnx.schemes import SCHEMES, Material, with_layers_in_floats
from edgeport.export.sources.source import Source
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata, to_json
from edgeport.runtime.artefact.precisions import precision_named
from edgeport.runtime.errors import ExportError

METADATA_KEY = "edgeport"
# tf2onnx writes opsets up to 18; later ones come from the converter of onnx.
_LAST_OPSET = 18
# What tf2onnx writes as something else, with other answers.
_CONVERTED_WRONGLY = ("ResizeArea",)
# Of integer weights, on each side of 0.
_WEIGHT_STEPS, _REDUCED_STEPS = 127, 64
_WITH_KERNELS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
_KERNELS = ("Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3D", "MatMul")
# What is folded into the kernel before it.
_FOLDED = ("Mul", "Add", "AddV2", "Sub", "BiasAdd", "FusedBatchNormV3")
# Every precision begins with the same float32 model, and converting is what takes the time.
_CONVERTED: WeakKeyDictionary[Graph, dict[tuple[str, int], onnx.ModelProto]] = WeakKeyDictionary()


def convert(
    source: Source,
    *,
    precision: str = "float32",
    calibration: CalibrationSet | None = None,
    options: Options | None = None,
    on_note: OnNote = ignored,
) -> bytes:
    """Return an ONNX model with named inputs and outputs, and images as Keras has them (NHWC).

    The usual batch is free. Inputs and outputs keep the model's own types in every precision, but for pixels as bytes
    on request (``Options.tensor_type``); ``int8`` (QDQ, weights per channel) ends at the logits.

    It carries no embedded metadata yet, and nothing of it is verified: ``export`` does both.

    Args:
        source: The model.
        precision: One of ``SCHEMES``.
        calibration: Decides the ranges of integer activations; only int8 needs it. A quantization-aware model has
            ranges of its own.
        options: The batch, the opset and the range of int8 weights.
        on_note: Called with what was done to the model that its user should know.

    Raises:
        ExportError: ONNX lacks an operator of the model, or onnxruntime cannot quantize it.
    """
    options = options or Options()
    check_chosen(options)
    if precision_named(precision).for_layers:
        return mixing(source, calibration=calibration, options=options, on_note=on_note).mixed(options.keep_float)
    made = by_method(source, precision=precision, calibration=calibration, options=options, on_note=on_note)
    return made(options.calibration_method)


def by_method(
    source: Source,
    *,
    precision: str,
    calibration: CalibrationSet | None,
    options: Options,
    on_note: OnNote = ignored,
) -> Callable[[str], bytes]:
    """Return what makes ONNX models whose activations get their ranges by a method, with one pass for their values.

    Args:
        source: The model.
        precision: One of ``SCHEMES`` without layers in floats.
        calibration: Decides the ranges.
        options: See ``convert``; the method is that which is asked for.
        on_note: See there.

    Raises:
        ExportError: See ``convert``; what is returned raises it too.
    """
    model, material = _prepared(source, precision, calibration, options, on_note)

    def made(method: str) -> bytes:
        wanted = replace(material, options=replace(options, calibration_method=method))
        quantized = SCHEMES[precision](model, wanted)
        if precision == "int8" and options.tensor_type == "uint8" and calibration is not None:
            _take_bytes(quantized, calibration, on_note)
        content: bytes = quantized.SerializeToString(deterministic=True)
        return content

    return made


def mixing(
    source: Source, *, calibration: CalibrationSet | None, options: Options, on_note: OnNote = ignored
) -> Mixing:
    """Return what makes ONNX models in integers but for some layers, calibrated once for all of them.

    Args:
        source: The model.
        calibration: Decides the ranges.
        options: See ``convert``.
        on_note: See there.

    Raises:
        ExportError: See ``convert``; what is returned raises it too.
    """
    check_chosen(options)
    model, material = _prepared(source, "mixed", calibration, options, on_note)
    int8 = SCHEMES["mixed"](model, material)
    known = activation_steps(int8)

    def mixed(in_floats: Collection[str]) -> bytes:
        made = with_layers_in_floats(model, material, in_floats, known)
        content: bytes = made.SerializeToString(deterministic=True)
        return content

    quantized = [node.name for node in int8.graph.node if node.op_type not in ("QuantizeLinear", "DequantizeLinear")]
    return Mixing(frozenset(layer_of_onnx_node(name) or name for name in quantized) - {""}, mixed)


def _prepared(
    source: Source, precision: str, calibration: CalibrationSet | None, options: Options, on_note: OnNote
) -> tuple[onnx.ModelProto, Material]:
    """Return the float32 model that a precision is made of, and what it is made with."""
    row = precision_named(precision)
    source = source.for_precision(row)
    graph = source.at_batch(options.batch_of(source.inputs[0], usual=None))
    if has_fake_quantization(graph):
        graph = with_float_weights(graph)
    elif row.in_integers and calibration is not None:
        graph = with_clamped_masks(
            graph, partial(_batches, calibration, graph, source.samples_at_once), computed_in_integers=False
        )
        graph = cured(
            graph,
            partial(_batches, calibration, graph, source.samples_at_once),
            equalize=options.equalize,
            correct_biases=options.correct_biases and not row.for_layers,
            steps=_REDUCED_STEPS if options.reduce_range else _WEIGHT_STEPS,
            on_note=on_note,
        )
    model = onnx.ModelProto()
    model.CopyFrom(_to_float32(graph, source.name, options.opset))
    keep_outputs(model, source.ends(at_logits=row.in_integers))
    trained = take_ranges(model) if has_fake_quantization(graph) else {}
    return model, Material(calibration, source.samples_at_once, trained, options)


def _take_bytes(model: onnx.ModelProto, calibration: CalibrationSet, on_note: OnNote) -> None:
    others = [port.name for port in calibration.inputs if port.name not in calibration.raw_pixels]
    if others:
        on_note(f"{' and '.join(others)} as in float32: bytes are for inputs of pixels from 0 to 255")
    take_bytes(model, calibration.raw_pixels)


def embed(content: bytes, metadata: EmbeddedMetadata) -> bytes:
    """Return the ONNX model with the metadata in its metadata_props."""
    model = onnx.load_from_string(content)
    model.metadata_props.add(key=METADATA_KEY, value=to_json(metadata))
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def _to_float32(graph: Graph, name: str, opset: int) -> onnx.ModelProto:
    models = _CONVERTED.setdefault(graph, {})
    if (name, opset) not in models:
        models[name, opset] = _converted(rewritten(graph, rules()), name, opset)
    return models[name, opset]


def _converted(graph: Graph, name: str, opset: int) -> onnx.ModelProto:
    for node in graph.definition.node:
        if node.op in _CONVERTED_WRONGLY:
            raise ExportError(f"operator {node.op}{graph.place_of(node.name)}: ONNX has none like it")
    try:
        model = _by_tf2onnx(graph, name, min(opset, _LAST_OPSET))
    except Exception as error:  # tf2onnx raises whatever it meets
        raise ExportError(f"tf2onnx cannot convert it ({cleaned(error)})") from error
    _check_operators(model, graph)
    mend_sizes(model)
    _order_ports(model, graph)
    if opset > _LAST_OPSET:
        model = onnx.version_converter.convert_version(model, opset)
    fold_input_scaling(model)
    name_tensors(model, _layers(model, graph))
    onnx.checker.check_model(model, full_check=True)
    return model


def _layers(model: onnx.ModelProto, graph: Graph) -> Sequence[str]:
    """Return the layer of each node of tf2onnx, which mostly goes by the name of a node of the graph.

    A convolution goes by that of the normalization behind it, where that is folded into it, or by none. What tf2onnx
    puts between the operators of the graph belongs to the layer that reads it.
    """
    nodes = {node.name: node for node in graph.definition.node}
    kernels: dict[str, str] = {}
    for each in graph.definition.node:
        if each.op in _KERNELS:
            kernels.setdefault(_node_of(each.input[0]), each.name)
    before = {name: each.input[0] for each in model.graph.node for name in each.output if each.input}

    def kernel_on(tensor: str) -> str:
        while _node_of(tensor) not in nodes and tensor in before:
            tensor = before[tensor]
        return kernels.get(_node_of(tensor), "")

    def layer_of(node: onnx.NodeProto) -> str:
        name = node.name
        if node.op_type in _WITH_KERNELS and name not in nodes:
            name = kernel_on(node.input[0]) or name
        while node.op_type in _WITH_KERNELS and name in nodes and nodes[name].op in _FOLDED:
            name = _node_of(nodes[name].input[0])
        return graph.layer_of(name) or graph.layer_of(node.name)

    found = [layer_of(node) for node in model.graph.node]
    reading: dict[str, str] = {}
    for place, node in reversed(list(enumerate(model.graph.node))):
        found[place] = found[place] or next((reading[name] for name in node.output if name in reading), "")
        reading.update(dict.fromkeys(node.input, found[place]))
    return found


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0]


def _batches(calibration: CalibrationSet, graph: Graph, at_once: int) -> Iterator[list[Any]]:
    fixed = graph.inputs[0].shape[0]
    batch = fixed or at_once
    for start in range(0, calibration.count, batch):
        real = calibration.to_real(calibration.part(start, batch, filled=fixed is not None))
        yield [real[port.name] for port in graph.inputs]


def _by_tf2onnx(graph: Graph, name: str, opset: int) -> onnx.ModelProto:
    """Return what tf2onnx makes of a graph.

    Its ``from_graph_def`` does the same, but imports the graph once more, and copies the whole model before each run of
    each of its optimizers, lest one fails. Here nothing is copied, and only where one has failed all is done anew.
    """
    converted = _onnx_graph(graph, opset)
    # Each optimizer ends with it. Nobody reads what it writes before the model is made, which begins with it once more,
    # and each call would keep another copy of all weights, since protobuf frees nothing of a message that lives.
    converted.update_proto = lambda: None
    try:
        converted = optimize_graph(converted, catch_errors=False)
        del converted.update_proto
    except Exception:  # an optimizer raises whatever it meets, and leaves the graph half changed
        converted = optimize_graph(_onnx_graph(graph, opset), catch_errors=True)
    return converted.make_model(f"converted from {name}")


def _onnx_graph(graph: Graph, opset: int) -> Any:
    """Return the graph in tf2onnx's own form, not yet optimized."""
    inputs, outputs = ([f"{port.name}:0" for port in ports] for ports in (graph.inputs, graph.outputs))
    with tf.Graph().as_default(), tf.device("/cpu:0"):
        definition = tf_optimize(inputs, outputs, graph.definition)
    free_memory()
    with tf.Graph().as_default() as live:
        tf.import_graph_def(definition, name="")
        del definition
        converted = process_tf_graph(
            live,
            continue_on_error=True,
            opset=opset,
            input_names=inputs,
            output_names=outputs,
            tensors_to_rename={f"{port.name}:0": port.name for port in graph.ports},
        )
    free_memory()
    return converted


def _check_operators(model: onnx.ModelProto, graph: Graph) -> None:
    """Raise ExportError for the first operator that stayed what it was in TensorFlow."""
    for node in model.graph.node:
        if not node.domain and not onnx.defs.has(node.op_type):
            raise ExportError(f"operator {node.op_type}{graph.place_of(node.name)}: ONNX has none like it")


def _order_ports(model: onnx.ModelProto, graph: Graph) -> None:
    """Put inputs and outputs in the model's order, and call a free batch n."""
    sides: list[tuple[Any, Sequence[Input | Output]]] = [
        (model.graph.input, graph.inputs),
        (model.graph.output, graph.outputs),
    ]
    for values, ports in sides:
        known = {value.name: value for value in values}
        ordered = [onnx.ValueInfoProto.FromString(known[port.name].SerializeToString()) for port in ports]
        for value, port in zip(ordered, ports, strict=True):
            if port.shape[:1] == (None,):
                value.type.tensor_type.shape.dim[0].dim_param = "n"
        del values[:]
        values.extend(ordered)
