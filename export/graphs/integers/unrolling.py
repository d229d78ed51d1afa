"""Loops of a graph written out step by step, where the number of steps is known without the data.

TFLite's calibrator cannot look into the body of a loop, so a recurrent layer gets integers only if there is none. The
graph is evaluated anew, node by node: what depends on constants and known shapes alone is computed at once (counters
and conditions), and the rest is written into a new graph. A list of tensors, which a loop reads its steps from and
writes them to, exists while this runs, and leaves an Unpack, a Pack or nothing behind.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from itertools import count
from typing import Any

import tensorflow as tf
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.framework import function_def_to_graph

from edgeport.export.graphs.graph import Graph, with_outputs
from edgeport.runtime.errors import ExportError

_LOOPS = ("While", "StatelessWhile")
_BRANCHES = ("If", "StatelessIf")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# What is larger is left to the converter, which folds constants too.
_LARGEST_FOLDED = 4096


@dataclass(frozen=True)
class Unrolled:
    """A graph without loops.

    Attributes:
        graph: The graph.
        steps: How many steps each loop had, by its layer in words.
    """

    graph: Graph
    steps: Mapping[str, int]


def unroll(graph: Graph, *, limit: int) -> Unrolled:
    """Return the graph with a copy of the body for each step of each loop.

    Args:
        graph: A frozen graph; lengths that decide how often a loop runs must be fixed in it.
        limit: How many steps a loop may have, those of loops inside it included.

    Raises:
        ExportError: A loop has more steps, or how many depends on the data.
    """
    writer = _Writer(graph, limit)
    writer.run(graph.definition, {}, "")
    definition = writer.graph.as_graph_def()
    written = with_outputs(replace(graph, definition=definition), [port.name for port in graph.outputs])
    return Unrolled(written, writer.steps)


@dataclass(frozen=True)
class _List:
    """A tensor list: what TensorArray and Keras' recurrent layers read from and write to."""

    elements: tuple[Any, ...]
    shape: Any = None
    dtype: Any = None

    def with_item(self, place: int, item: Any) -> "_List":
        elements = [*self.elements, *[None] * (place + 1 - len(self.elements))]
        elements[place] = item
        return replace(self, elements=tuple(elements))

    def item(self, place: int) -> Any:
        element = self.elements[place] if 0 <= place < len(self.elements) else None
        if element is None and self.shape is not None and self.shape.is_fully_defined():
            return tf.zeros(self.shape, self.dtype)
        return element


class _UnknownError(Exception):
    """What has to be known is not."""


class _Writer:
    """Evaluates a graph, and writes what is not known yet into another one."""

    def __init__(self, graph: Graph, limit: int) -> None:
        self.graph = tf.Graph()
        self.steps: dict[str, int] = {}
        self._limit = limit
        self._place_of = graph.place_of
        self._taken = 0
        self._functions = {function.signature.name: function for function in graph.definition.library.function}
        self._bodies: dict[str, tuple[Any, list[str], list[str]]] = {}
        with self.graph.as_default():
            # A loop or a branch that stays needs its functions.
            tf.graph_util.import_graph_def(
                tf.compat.v1.GraphDef(library=graph.definition.library, versions=graph.definition.versions)
            )

    def run(self, definition: Any, known: dict[str, Any], scope: str) -> dict[str, Any]:
        """Evaluate all nodes; return the values by tensor name. ``known`` has those of the arguments."""
        values = dict(known)
        for node in _in_order(definition):
            if f"{node.name}:0" in known:
                continue
            inputs = [values[_full(name)] for name in node.input if not name.startswith("^")]
            with self.graph.as_default():
                results = self._results(node, inputs, scope)
            values.update({f"{node.name}:{place}": result for place, result in enumerate(results)})
        return values

    def _results(self, node: Any, inputs: list[Any], scope: str) -> Sequence[Any]:
        if node.op in _LOOPS:
            return self._loop(node, inputs, scope)
        if node.op in _CALLS:
            return self._call(node.attr["f"].func.name, inputs, f"{scope}{node.name}/")
        if node.op in _BRANCHES and (chosen := _static(inputs[0])) is not None:
            branch = node.attr["then_branch" if chosen else "else_branch"].func.name
            return self._call(branch, inputs[1:], f"{scope}{node.name}/")
        if node.op == "Identity" and (scope or isinstance(inputs[0], _List)):
            return inputs
        try:
            if node.op in _OF_LISTS:
                return _OF_LISTS[node.op](node, inputs)
            if any(isinstance(value, _List) for value in inputs):
                raise _UnknownError
        except _UnknownError:
            place = self._place_of(scope + node.name)
            raise ExportError(
                f"operator {node.op}{place}: its loop cannot be written out step by step, since a length in it "
                "depends on the data; use dynamic"
            ) from None
        return self._operation(node, inputs, scope)

    def _loop(self, node: Any, state: Sequence[Any], scope: str) -> Sequence[Any]:
        place = self._place_of(scope + node.name)
        where = place.removeprefix(" of ").removeprefix(" in ") or "the model"
        condition, body = (node.attr[name].func.name for name in ("cond", "body"))
        before = 0 if not scope else self._taken
        self._taken = before
        for step in count():
            (goes_on,) = self._call(condition, state, f"{scope}{node.name}/{step}/")
            known = _static(goes_on)
            if known is None:
                raise ExportError(
                    f"operator While{place}: how many steps its loop has depends on the data, and TFLite's "
                    "calibrator cannot see into a loop; use dynamic"
                )
            if not known:
                self.steps[where] = max(step, self.steps.get(where, 0))
                return state
            if self._taken >= self._limit:
                raise ExportError(
                    f"operator While{place}: its loop has more than {self._limit} steps, and TFLite's calibrator "
                    "cannot see into a loop that is not written out step by step; use dynamic, or give a higher "
                    "--unroll-limit"
                )
            self._taken += 1
            state = self._call(body, state, f"{scope}{node.name}/{step}/")
        raise AssertionError

    def _call(self, name: str, arguments: Sequence[Any], scope: str) -> list[Any]:
        if name not in self._bodies:
            function = self._functions[name]
            definition, flat = function_def_to_graph.function_def_to_graph_def(function)
            taken = [f"{argument.name}:0" for argument in function.signature.input_arg]
            given = [flat[function.ret[result.name]] for result in function.signature.output_arg]
            kept = [tensor.partition(":")[0] for tensor in (*given, *taken)]
            self._bodies[name] = tf.compat.v1.graph_util.extract_sub_graph(definition, kept), taken, given
        definition, taken, given = self._bodies[name]
        values = self.run(definition, dict(zip(taken, arguments, strict=True)), scope)
        return [values[_full(tensor)] for tensor in given]

    def _operation(self, node: Any, inputs: list[Any], scope: str) -> list[Any]:
        attributes = {key: value for key, value in node.attr.items() if key != "_output_shapes"}
        # A name with a slash at its end is taken as it is, and one that is taken twice gets a number.
        name = f"{node.name}/" if not scope else f"{scope}{node.name}"
        operation = self.graph._create_op_internal(node.op, inputs, name=name, attrs=attributes)
        outputs = list(operation.outputs)
        if len(outputs) == 1 and node.op not in ("Const", "Placeholder"):
            return [self._folded(outputs[0])]
        return outputs

    def _folded(self, tensor: Any) -> Any:
        """Return a constant for a small tensor that is known, so that the next step need not look far back."""
        operation = tensor.op
        size = tensor.shape.num_elements()
        of_shape = operation.type in ("Shape", "Size", "Rank", "ZerosLike", "OnesLike")
        from_constants = operation.inputs and all(each.op.type == "Const" for each in operation.inputs)
        from_shape = operation.type == "StridedSlice" and operation.inputs[0].op.type == "Shape"
        if size is None or size > _LARGEST_FOLDED or not (of_shape or from_constants or from_shape):
            return tensor
        value = _one_axis(operation) if from_shape else None
        if value is None:
            value = _static(tensor)
        return (
            tensor if value is None else tf.constant(value, tensor.dtype, tensor.shape, name=f"{operation.name}/value")
        )


def _in_order(definition: Any) -> list[Any]:
    nodes = {node.name: node for node in definition.node}
    before = {
        name: [tensor.partition(":")[0] for tensor in node.input if not tensor.startswith("^")]
        for name, node in nodes.items()
    }
    return [nodes[name] for name in TopologicalSorter(before).static_order()]


def _full(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"


def _static(tensor: Any) -> Any:
    """Return the value of a tensor that depends on constants and known shapes alone, else None."""
    if isinstance(tensor, _List) or (not tensor.op.inputs and tensor.op.type != "Const"):
        return None
    with tensor.graph._c_graph.get() as graph:
        return pywrap_tf_session.TF_TryEvaluateConstant_wrapper(graph, tensor._as_tf_output())


def _one_axis(operation: Any) -> int | None:
    """Return ``shape(x)[k]`` where that axis has a known length, though another one may be free."""
    begin = _static(operation.inputs[1])
    lengths = operation.inputs[0].op.inputs[0].shape
    if lengths.rank is None or operation.get_attr("shrink_axis_mask") != 1 or begin is None or begin.size != 1:
        return None
    length: int | None = lengths[int(begin.item())]
    return length


def _known(tensor: Any) -> Any:
    value = _static(tensor)
    if value is None:
        raise _UnknownError
    return value


def _element_shape(tensor: Any) -> Any:
    value = _static(tensor)
    if value is None or value.ndim == 0:
        return tf.TensorShape(None)
    return tf.TensorShape([None if axis < 0 else int(axis) for axis in value])


def _reserve(node: Any, inputs: list[Any]) -> list[Any]:
    length = int(_known(inputs[1]).item()) if node.op == "TensorListReserve" else 0
    dtype = tf.as_dtype(node.attr["element_dtype"].type)
    return [_List((None,) * length, _element_shape(inputs[0]), dtype)]


def _from_tensor(node: Any, inputs: list[Any]) -> list[Any]:
    tensor = inputs[0]
    if tensor.shape.rank is None or tensor.shape[0] is None:
        raise _UnknownError
    return [_List(tuple(tf.unstack(tensor, axis=0)), tensor.shape[1:], tensor.dtype)]


def _get_item(node: Any, inputs: list[Any]) -> list[Any]:
    element = inputs[0].item(int(_known(inputs[1]).item()))
    if element is None:
        raise _UnknownError
    return [element]


def _set_item(node: Any, inputs: list[Any]) -> list[Any]:
    return [inputs[0].with_item(int(_known(inputs[1]).item()), inputs[2])]


def _stack(node: Any, inputs: list[Any]) -> list[Any]:
    """Of TensorListStack and TensorListGather: some or all of the elements as one tensor."""
    listed = inputs[0]
    places = _known(inputs[1]).tolist() if node.op == "TensorListGather" else range(len(listed.elements))
    elements = [listed.item(place) for place in places]
    if not elements or any(element is None for element in elements):
        raise _UnknownError
    return [tf.stack(elements, name="stacked")]


def _push(node: Any, inputs: list[Any]) -> list[Any]:
    return [inputs[0].with_item(len(inputs[0].elements), inputs[1])]


def _pop(node: Any, inputs: list[Any]) -> list[Any]:
    listed = inputs[0]
    return [replace(listed, elements=listed.elements[:-1]), listed.item(len(listed.elements) - 1)]


def _length(node: Any, inputs: list[Any]) -> list[Any]:
    return [tf.constant(len(inputs[0].elements))]


_OF_LISTS: dict[str, Callable[[Any, list[Any]], list[Any]]] = {
    "TensorListReserve": _reserve,
    "EmptyTensorList": _reserve,
    "TensorListFromTensor": _from_tensor,
    "TensorListGetItem": _get_item,
    "TensorListSetItem": _set_item,
    "TensorListStack": _stack,
    "TensorListGather": _stack,
    "TensorListPushBack": _push,
    "TensorListPopBack": _pop,
    "TensorListLength": _length,
}
