"""A traced model: one TensorFlow graph with its weights as constants, which both converters start from."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer

from edgeport.export.graphs.list_shapes import LOOPS, write_list_shapes
from edgeport.export.graphs.places import CALLS, layer_of, place_of
from edgeport.export.graphs.purity import check_pure, needed_for
from edgeport.runtime.artefact.contract import Input, Output, layout_of

PASS_THROUGH = ("Identity", "StopGradient")
ACTIVATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
# What keeps a call from being inlined: Keras compiles some convolutions with XLA, which no converter knows.
_KEPT_APART = ("_XlaMustCompile", "_noinline")
# What turns a loop that is a function into operators of TensorFlow 1, which no converter knows either.
_LOWERED = "_lower_using_switch_merge"
# A constant of more elements holds weights: no shape and no axes, which the shapes of other tensors follow from.
_LARGEST_SHAPE = 1_024


@dataclass(frozen=True, eq=False)
class Graph:
    """A model without variables.

    Attributes:
        definition: The TensorFlow GraphDef; weights are constants, calls are inlined, loops stay functions.
        inputs: Its inputs, in the model's order.
        outputs: Its outputs, in the model's order.
        layers: The names that the user knows: of the model, then of its layers; empty if unknown.
    """

    definition: Any
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    layers: tuple[str, ...] = ()

    @property
    def ports(self) -> tuple[Input | Output, ...]:
        """Its outputs and its inputs."""
        return (*self.outputs, *self.inputs)

    @property
    def loops(self) -> tuple[str, ...]:
        """The names of the loops, which recurrent layers that could not be fused turn into."""
        return _loops(self.definition)

    def layer_of(self, node: str) -> str:
        """Return the layer that a node is in, or nothing."""
        return layer_of(node, self.layers)

    def place_of(self, node: str) -> str:
        """Return in words the layer that a node belongs to, such as `` of layer dense``, or nothing."""
        return place_of(node, self.layers)


def freeze(function: Any, *, inputs: Sequence[str], outputs: Sequence[str], layers: Sequence[str] = ()) -> Graph:
    """Return a concrete function as a graph with its weights as constants.

    Args:
        function: A TensorFlow concrete function whose flat inputs and outputs are tensors.
        inputs: What to call each input.
        outputs: What to call each output.
        layers: See Graph.

    Raises:
        ExportError: It is more than a function of its inputs: it changes a variable, draws random numbers, or looks
            up in a table.
    """
    definition = function.graph.as_graph_def()
    nodes = (*definition.node, *(node for inner in definition.library.function for node in inner.node_def))
    check_pure(nodes, layers, needed=needed_for(definition, [tensor.op.name for tensor in function.graph.outputs]))
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    return tidy(
        frozen.graph.as_graph_def(),
        inputs={name: tensor.name for name, tensor in zip(inputs, frozen.inputs, strict=True)},
        outputs={name: tensor.name for name, tensor in zip(outputs, frozen.outputs, strict=True)},
        layers=layers,
    )


def tidy(
    definition: Any, *, inputs: Mapping[str, str], outputs: Mapping[str, str], layers: Sequence[str] = ()
) -> Graph:
    """Return a frozen GraphDef as a graph: calls inlined, inputs and outputs renamed, shapes constant where known.

    Args:
        definition: A GraphDef without variables.
        inputs: For each input's new name the name of its tensor, such as ``serving_default_x:0``.
        outputs: The same for each output.
        layers: See Graph.

    Raises:
        ExportError: See freeze.
    """
    outputs = _outside_calls(definition, outputs)
    definition = _inlined(definition, [*inputs.values(), *outputs.values()])
    check_pure(definition.node, layers, needed=needed_for(definition, [_node_of(name) for name in outputs.values()]))
    old_names = {_node_of(tensor) for tensor in inputs.values()}
    taken = {node.name for node in definition.node} - old_names
    names = {_node_of(tensor): _free(name, taken) for name, tensor in inputs.items()}
    _rename_nodes(definition, names)
    live = live_graph(definition)
    _write_known_shapes(definition, live)
    if _loops(definition):
        write_list_shapes(definition, live)
        live = live_graph(definition)
    starts = tuple(_input(name, live.get_tensor_by_name(f"{name}:0")) for name in names.values())
    ends: list[Output] = []
    for name, tensor in outputs.items():
        old = _node_of(tensor)
        source = _behind_identities(live.get_tensor_by_name(tensor.replace(old, names.get(old, old), 1)))
        port = _output(_free(name, taken | set(names.values()) | {end.name for end in ends}), source)
        _add_identity(definition, port.name, source.name, source.dtype.as_datatype_enum)
        ends.append(port)
    return with_outputs(Graph(definition, starts, tuple(ends), tuple(layers)), [end.name for end in ends])


def with_outputs(graph: Graph, names: Iterable[str] | Mapping[str, str]) -> Graph:
    """Return the graph with some of its outputs alone, and without the nodes that only the others need.

    Args:
        graph: The graph.
        names: The outputs that stay; or for each what it is called from then on, and which one it is.
    """
    ends = names if isinstance(names, Mapping) else {name: name for name in names}
    known = {port.name: port for port in graph.outputs}
    kept = [*ends.values(), *(port.name for port in graph.inputs)]
    definition = tf.compat.v1.graph_util.extract_sub_graph(graph.definition, kept)
    _rename_nodes(definition, {old: new for new, old in ends.items()})
    outputs = tuple(known[old]._replace(name=new) for new, old in ends.items())
    return replace(graph, definition=definition, outputs=outputs)


def with_shapes(graph: Graph, shapes: Mapping[str, tuple[int | None, ...]]) -> Graph:
    """Return the graph with other shapes of its inputs: another batch, or an axis that was free.

    Args:
        graph: The graph; its nodes must hold for any length of the axes that change.
        shapes: The new shape of each input that changes, by name.
    """
    definition = _copy(graph.definition)
    for node in definition.node:
        if node.name in shapes:
            for axis, length in zip(node.attr["shape"].shape.dim, shapes[node.name], strict=True):
                axis.size = -1 if length is None else length
    for nodes in (definition.node, *(function.node_def for function in definition.library.function)):
        for node in nodes:
            # What was inferred for the old shapes.
            node.attr.pop("_output_shapes", None)
    live = live_graph(definition)
    inputs = tuple(_input(port.name, live.get_tensor_by_name(f"{port.name}:0")) for port in graph.inputs)
    outputs = tuple(_output(port.name, live.get_tensor_by_name(f"{port.name}:0")) for port in graph.outputs)
    return replace(graph, definition=definition, inputs=inputs, outputs=outputs)


def cut_activations(graph: Graph) -> tuple[Graph, dict[str, Output], dict[str, str]]:
    """Find the softmax or sigmoid that ends an output, and make its logits an output too.

    In integers an activation loses the ranking of near ties and differs between CPUs, so integer artefacts stop
    before it and the runtime applies it in float32. It is found in the graph, not in the layers: so it may stand in
    a nested model, in a subclass or in a plain function.

    Returns:
        The graph with the logits as further outputs; for each output that has logits their port; and for each output
        its activation: ``softmax``, ``sigmoid`` or ``none``.
    """
    definition = _copy(graph.definition)
    nodes = {node.name: node for node in definition.node}
    activations, logits = {}, {}
    for port in graph.outputs:
        node = nodes[port.name]
        while node.op in PASS_THROUGH:
            node = nodes[_node_of(node.input[0])]
        activations[port.name] = ACTIVATIONS.get(node.op, "none")
        if node.op in ACTIVATIONS:
            name = _free(f"{port.name}_logits", nodes.keys())
            _add_identity(definition, name, node.input[0], node.attr["T"].type)
            logits[port.name] = Output(name, port.shape, port.dtype)
    with_logits = replace(graph, definition=definition, outputs=(*graph.outputs, *logits.values()))
    return with_logits, logits, activations


def activations_of(graph: Graph) -> int:
    """Return how many numbers a model computes for one sample, weights aside; a free axis counts as 1."""
    count = 0
    for operator in live_graph(graph.definition).get_operations():
        if operator.type not in ("Const", "Placeholder", *PASS_THROUGH):
            shapes = [tensor.shape for tensor in operator.outputs if tensor.shape.rank]
            count += sum(prod(axis or 1 for axis in shape[1:]) for shape in shapes)
    return count


def live_graph(definition: Any) -> Any:
    """Return a TensorFlow graph that knows the shape of each tensor, with placeholders in place of weights.

    TensorFlow would hold each weight several times over.
    """
    light = tf.compat.v1.GraphDef(library=definition.library, versions=definition.versions)
    for node in definition.node:
        if _holds_weights(node):
            placeholder = light.node.add(name=node.name, op="Placeholder")
            placeholder.attr["dtype"].CopyFrom(node.attr["dtype"])
            placeholder.attr["shape"].shape.CopyFrom(node.attr["value"].tensor.tensor_shape)
        else:
            light.node.add().CopyFrom(node)
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(light, name="")
    return graph


def weights_of(definition: Any) -> dict[str, npt.NDArray[Any]]:
    """Return the weights that a ``live_graph`` has placeholders for, by the names of these tensors."""
    return {
        f"{node.name}:0": tf.make_ndarray(node.attr["value"].tensor) for node in definition.node if _holds_weights(node)
    }


def function_of(graph: Graph) -> Any:
    """Return a concrete function that takes the inputs in order and returns the list of outputs."""
    definition = _with_own_functions(graph.definition)
    wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(definition, name=""), [])
    return wrapped.prune(
        [wrapped.graph.get_tensor_by_name(f"{port.name}:0") for port in graph.inputs],
        [wrapped.graph.get_tensor_by_name(f"{port.name}:0") for port in graph.outputs],
    )


def _with_own_functions(definition: Any) -> Any:
    """Return the GraphDef with names of its own for its functions.

    TensorFlow keeps all functions of a process by name, and takes no other one of the same name.
    """
    library = b"".join(function.SerializeToString(deterministic=True) for function in definition.library.function)
    suffix = hashlib.sha256(library).hexdigest()[:16]
    definition = _copy(definition)
    known = {function.signature.name for function in definition.library.function}
    for nodes in (definition.node, *(function.node_def for function in definition.library.function)):
        for node in nodes:
            for attribute in node.attr.values():
                for called in (attribute.func, *attribute.list.func):
                    if called.name in known:
                        called.name = f"{called.name}_{suffix}"
    for function in definition.library.function:
        function.signature.name = f"{function.signature.name}_{suffix}"
    return definition


def _outside_calls(definition: Any, outputs: Mapping[str, str]) -> dict[str, str]:
    """Return the outputs with an Identity in place of each that is a call itself: such a call is not inlined."""
    calls = {node.name: node for node in definition.node if node.op in CALLS}
    moved = {}
    for name, tensor in outputs.items():
        node, _, place = tensor.partition(":")
        moved[name] = tensor
        if node in calls:
            end = f"{node}/{name}_end"
            _add_identity(definition, end, tensor, calls[node].attr["Tout"].list.type[int(place or 0)])
            moved[name] = f"{end}:0"
    return moved


def _loops(definition: Any) -> tuple[str, ...]:
    return tuple(node.name for node in definition.node if node.op in LOOPS)


def _inlined(definition: Any, ends: Sequence[str]) -> Any:
    """Return the GraphDef with every call replaced by what it calls; loops stay."""
    for holder in (*definition.node, *definition.library.function):
        for attribute in _KEPT_APART:
            holder.attr.pop(attribute, None)
    for nodes in (definition.node, *(function.node_def for function in definition.library.function)):
        for node in nodes:
            # With its weights frozen a model has no state, but calls that say they have are not all inlined.
            node.op = "PartitionedCall" if node.op == "StatefulPartitionedCall" else node.op
            node.attr.pop(_LOWERED, None)
    if not any(node.op in CALLS for node in definition.node):
        return definition
    live = live_graph(definition)
    settings = config_pb2.ConfigProto()
    settings.graph_options.rewrite_options.optimizers[:] = ["function"]
    settings.graph_options.rewrite_options.min_graph_nodes = -1
    meta_graph = tf.compat.v1.train.export_meta_graph(graph_def=definition, graph=live, clear_devices=True)
    kept = meta_graph_pb2.CollectionDef()
    kept.node_list.value.extend(ends)
    meta_graph.collection_def["train_op"].CopyFrom(kept)
    return tf_optimizer.OptimizeGraph(settings, meta_graph)


def _write_known_shapes(definition: Any, live: Any) -> None:
    """Make the shape of each Reshape a constant where one axis at most is free.

    Keras computes such shapes from the batch, which leaves Shape, StridedSlice and Pack nodes in every artefact.
    """
    for node in [node for node in definition.node if node.op == "Reshape"]:
        shape = live.get_tensor_by_name(f"{node.name}:0").shape
        if shape.rank is None or sum(axis is None for axis in shape) != 1 or 0 in shape:
            continue
        constant = definition.node.add(name=f"{node.name}/known_shape", op="Const")
        constant.attr["dtype"].type = tf.int32.as_datatype_enum
        value = tf.make_tensor_proto([-1 if axis is None else axis for axis in shape], tf.int32)
        constant.attr["value"].tensor.CopyFrom(value)
        node.input[1] = constant.name
        node.attr["Tshape"].type = tf.int32.as_datatype_enum


def _holds_weights(node: Any) -> bool:
    """Return whether a node is a constant of more elements than any shape has."""
    if node.op != "Const":
        return False
    size: int = prod(axis.size for axis in node.attr["value"].tensor.tensor_shape.dim)
    return size > _LARGEST_SHAPE


def _add_identity(definition: Any, name: str, tensor: str, datatype: int) -> None:
    definition.node.add(name=name, op="Identity", input=[tensor]).attr["T"].type = datatype


def _input(name: str, tensor: Any) -> Input:
    shape, dtype = _shape_of(tensor), tensor.dtype.name
    return Input(name, shape, dtype, layout_of(shape, dtype))


def _output(name: str, tensor: Any) -> Output:
    return Output(name, _shape_of(tensor), tensor.dtype.name)


def _shape_of(tensor: Any) -> tuple[int | None, ...]:
    return tuple(tensor.shape) if tensor.shape.rank is not None else ()


def _behind_identities(tensor: Any) -> Any:
    """Return the tensor that an output repeats.

    TensorFlow's own output nodes are called Identity_1 and the like. TFLite, to which that is the same as identity_1,
    would give an output of this name another one.
    """
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def _rename_nodes(definition: Any, names: Mapping[str, str]) -> None:
    for node in definition.node:
        node.name = names.get(node.name, node.name)
        for place, tensor in enumerate(node.input):
            old = _node_of(tensor)
            if old in names:
                node.input[place] = tensor.replace(old, names[old], 1)


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0].removeprefix("^")


def _free(name: str, taken: Iterable[str]) -> str:
    """Return the name, or the first of its numbered variants that no node has."""
    taken = set(taken)
    return next(
        each for each in (name, *(f"{name}_{number}" for number in range(2, len(taken) + 3))) if each not in taken
    )


def _copy(definition: Any) -> Any:
    copied = tf.compat.v1.GraphDef()
    copied.CopyFrom(definition)
    return copied
