"""Operators that a format lacks, written as others in a row: the mechanism; each format has its table of rules."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph
from tensorflow.python.framework.graph_to_function_def import graph_to_function_def

from edgeport.export.graphs.graph import Graph, with_outputs

# From an operator in a live graph to what stands in for its first output; None where the rule does not hold.
Rule = Callable[[Any], Any]
_LOOPS = ("While", "StatelessWhile", "If", "StatelessIf")
# The arithmetic of sizes is short.
_MOST_STEPS = 100


def rewritten(graph: Graph, rules: Mapping[str, Rule]) -> Graph:
    """Return the graph with every operator that a rule holds for written as the rule says, in loops as well.

    A rule is called with the operator, a ``tf.Operation`` whose inputs have their shapes as far as known, inside the
    graph. What it computes must have the shape and type of the operator's first output, the only one that is used.

    Args:
        graph: The graph.
        rules: For each kind of operator its rule.
    """
    holders = (graph.definition.node, *(function.node_def for function in graph.definition.library.function))
    if not any(node.op in rules for nodes in holders for node in nodes):
        return graph
    live = tf.Graph()
    with live.as_default():
        tf.graph_util.import_graph_def(graph.definition, name="")
    _rewrite(live, rules)
    definition = live.as_graph_def()
    for function in definition.library.function:
        if any(node.op in rules for node in function.node_def):
            with live.as_default():
                _rewrite_function(function, rules)
    return with_outputs(replace(graph, definition=definition), [port.name for port in graph.outputs])


def constant_of(tensor: Any) -> Any:
    """Return the value of a tensor that is the same for all inputs, as a numpy array; None for any other.

    What is computed from the lengths of axes is the same too, if it does not change with the batch.
    """
    value = tf.get_static_value(tensor)
    if value is not None:
        return value
    fed: dict[str, tuple[int | None, ...]] = {}
    waiting, seen = [tensor.op], set()
    while waiting:
        operation = waiting.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        if operation.type == "Shape" and operation.inputs[0].shape.rank and None not in operation.inputs[0].shape[1:]:
            fed[operation.name] = tuple(operation.inputs[0].shape)
        elif operation.type in ("Placeholder", *_LOOPS) or len(seen) > _MOST_STEPS:
            return None
        else:
            waiting += [each.op for each in operation.inputs]
    values = [_evaluated(tensor, fed, batch) for batch in (2, 3)]
    return values[0] if np.array_equal(*values) else None


def _evaluated(tensor: Any, fed: Mapping[str, tuple[int | None, ...]], batch: int) -> Any:
    """Return the value of a tensor for a batch, with what each Shape operator gives for it."""
    definition = tensor.graph.as_graph_def()
    for node in definition.node:
        if node.name in fed:
            lengths = [batch if length is None else length for length in fed[node.name]]
            kind = node.attr["out_type"].type
            node.CopyFrom(type(node)(name=node.name, op="Const"))
            node.attr["dtype"].type = kind
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(lengths, tf.as_dtype(kind)))
    definition = tf.compat.v1.graph_util.extract_sub_graph(definition, [tensor.op.name])
    copy = tf.Graph()
    with copy.as_default():
        tf.graph_util.import_graph_def(definition, name="")
    with tf.compat.v1.Session(graph=copy) as session:
        return session.run(tensor.name)


def _rewrite(live: Any, rules: Mapping[str, Rule]) -> None:
    for operation in live.get_operations():
        rule = rules.get(operation.type)
        if rule is None:
            continue
        with live.as_default(), tf.name_scope(f"{operation.name}/"):
            instead = rule(operation)
        if instead is None:
            continue
        old = operation.outputs[0]
        for consumer in old.consumers():
            for place, tensor in enumerate(consumer.inputs):
                if tensor.name == old.name:
                    consumer._update_input(place, instead)
        if hasattr(live, "outputs"):
            live.outputs = [instead if tensor.name == old.name else tensor for tensor in live.outputs]


def _rewrite_function(function: Any, rules: Mapping[str, Rule]) -> None:
    """Rewrite the body of a loop, or a branch."""
    body = function_def_to_graph(function)
    _rewrite(body, rules)
    made = graph_to_function_def(
        body,
        [operation for operation in body.get_operations() if operation.type != "Placeholder"],
        body.inputs,
        body.outputs,
        out_names=[argument.name for argument in function.signature.output_arg],
    )
    del function.node_def[:]
    function.node_def.extend(made.node_def)
    function.ret.clear()
    function.ret.update(made.ret)
