"""The same graph computed in float64: beside it one sees what rounding does to the answers in float32."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import kernels, op_def_registry

from edgeport.export.graphs.graph import Graph, live_graph
from edgeport.runtime.artefact.contract import Input, Output

_WIDER = {types_pb2.DT_FLOAT: types_pb2.DT_DOUBLE, types_pb2.DT_COMPLEX64: types_pb2.DT_COMPLEX128}
# FusedBatchNorm has no float64, and is where values are divided by what may be tiny.
_NORMALIZATIONS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
# A bit pattern is another number in another type; a constant is cast, and takes no more room in the graph.
_KEPT = ("Bitcast", "Const")


def in_float64(graph: Graph) -> Graph | None:
    """Return the graph with float64 wherever it has float32, or None if a loop or branch has an operator without it.

    The weights are the same float32 numbers. Outside loops and branches, an operator that TensorFlow computes in
    float32 alone, such as a resizing, stays as it is between two casts.
    """
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    for function in definition.library.function:
        if not all(node.op == "Const" or _has_wider(node) for node in function.node_def):
            return None
        for argument in (*function.signature.input_arg, *function.signature.output_arg):
            argument.type = _WIDER.get(argument.type, argument.type)
        for node in function.node_def:
            _widen(node)
    live = live_graph(graph.definition)
    nodes = [_copy(node) for node in definition.node]
    del definition.node[:]
    kept = {node.name for node in nodes if not _has_wider(node) and not _is_normalization(node)}
    for node in nodes:
        operation = live.get_operation_by_name(node.name)
        node.input[:] = [_wide_name(name, live, kept) for name in node.input]
        if node.name in kept:
            definition.node.extend(_between_casts(node, operation))
        elif _is_normalization(node):
            definition.node.extend(_normalization(node))
        else:
            _widen(node)
            definition.node.append(node)
    inputs = tuple(port._replace(dtype=_widened(port)) for port in graph.inputs)
    outputs = tuple(port._replace(dtype=_widened(port)) for port in graph.outputs)
    return replace(graph, definition=definition, inputs=inputs, outputs=outputs)


def _widened(port: Input | Output) -> str:
    return "float64" if port.dtype == "float32" else port.dtype


def _has_wider(node: Any) -> bool:
    """Return whether an operator has a kernel for float64, or nothing to do with float32."""
    known = op_def_registry.get(node.op)
    if known is None:  # a call of a function in the same graph
        return True
    fixed = any(argument.type in _WIDER for argument in (*known.input_arg, *known.output_arg))
    narrow = tuple(
        sorted((name, each) for name, value in node.attr.items() for each in _types(value) if each in _WIDER)
    )
    return node.op not in _KEPT and not fixed and (not narrow or _has_kernel(node.op, narrow))


@cache
def _has_kernel(operator: str, narrow: tuple[tuple[str, int], ...]) -> bool:
    for kernel in kernels.get_registered_kernels_for_op(operator).kernel:
        limits = {each.name: each.allowed_values.list.type for each in kernel.constraint}
        if kernel.device_type == "CPU" and all(
            name not in limits or _WIDER[each] in limits[name] for name, each in narrow
        ):
            return True
    return False


def _is_normalization(node: Any) -> bool:
    return node.op in _NORMALIZATIONS and not node.attr["is_training"].b and node.attr["T"].type in _WIDER


def _types(value: Any) -> tuple[int, ...]:
    return (value.type, *value.list.type)


def _widen(node: Any) -> None:
    for value in node.attr.values():
        if value.type in _WIDER:
            value.type = _WIDER[value.type]
        for place, each in enumerate(value.list.type):
            value.list.type[place] = _WIDER.get(each, each)
    if node.op == "Const" and node.attr["value"].tensor.dtype in _WIDER:
        numbers = tf.make_ndarray(node.attr["value"].tensor)
        wide = tf.as_dtype(node.attr["dtype"].type).as_numpy_dtype
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(numbers.astype(wide)))


def _wide_name(name: str, live: Any, kept: set[str]) -> str:
    """Return where a tensor is to be had in float64."""
    node, _, place = name.partition(":")
    if name.startswith("^") or node not in kept:
        return name
    tensor = live.get_operation_by_name(node).outputs[int(place or 0)]
    return _cast_name(node, int(place or 0)) if tensor.dtype.as_datatype_enum in _WIDER else name


def _between_casts(node: Any, operation: Any) -> Iterator[Any]:
    for place, tensor in enumerate(operation.inputs):
        narrow = tensor.dtype.as_datatype_enum
        if narrow in _WIDER:
            cast = _cast(f"{node.name}/narrow_{place}", node.input[place], _WIDER[narrow], narrow)
            node.input[place] = cast.name
            yield cast
    yield node
    for place, tensor in enumerate(operation.outputs):
        narrow = tensor.dtype.as_datatype_enum
        if narrow in _WIDER:
            yield _cast(_cast_name(node.name, place), f"{node.name}:{place}", narrow, _WIDER[narrow])


def _cast_name(node: str, place: int) -> str:
    return f"{node}/wide_{place}"


def _cast(name: str, tensor: str, old: int, new: int) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Cast", input=[tensor])
    node.attr["SrcT"].type, node.attr["DstT"].type = old, new
    return node


def _normalization(node: Any) -> Iterator[Any]:
    """Yield the operators of ``(x - mean) * (gamma * rsqrt(variance + epsilon)) + beta``."""
    values, gamma, beta, mean, variance = node.input[:5]
    wide = _WIDER[node.attr["T"].type]
    epsilon = tf.compat.v1.NodeDef(name=f"{node.name}/epsilon", op="Const")
    epsilon.attr["dtype"].type = wide
    epsilon.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(node.attr["epsilon"].f, tf.as_dtype(wide)))
    yield epsilon
    for end, operator, inputs in (
        ("/variance", "AddV2", (variance, epsilon.name)),
        ("/rsqrt", "Rsqrt", (f"{node.name}/variance",)),
        ("/scale", "Mul", (f"{node.name}/rsqrt", gamma)),
        ("/centred", "Sub", (values, mean)),
        ("/scaled", "Mul", (f"{node.name}/centred", f"{node.name}/scale")),
        ("", "AddV2", (f"{node.name}/scaled", beta)),
    ):
        part = tf.compat.v1.NodeDef(name=f"{node.name}{end}", op=operator, input=inputs)
        part.attr["T"].type = wide
        yield part


def _copy(node: Any) -> Any:
    copied = tf.compat.v1.NodeDef()
    copied.CopyFrom(node)
    return copied
