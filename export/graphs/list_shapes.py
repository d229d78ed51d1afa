"""The shapes in a loop, written where they are known.

A SavedModel is traced with a free batch, and the lists that its loops fill (``TensorListReserve``) have a free axis as
a constant. TFLite needs the shape of their elements, and with a fixed batch it is known.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

LOOPS = ("While", "StatelessWhile")

# What takes elements out of a list, and the place of their shape among its inputs.
_READERS = {"TensorListStack": 1, "TensorListGetItem": 2}


def write_list_shapes(definition: Any, live: Any) -> None:
    """Write the shape of each loop's tensors, and of the elements of its lists, where inference finds them.

    Args:
        definition: The GraphDef; changed in place.
        live: The same graph, imported, with the shapes of its inputs as they shall be.
    """
    bodies = {function.signature.name: function for function in definition.library.function}
    nodes = {node.name: node for node in definition.node}
    for loop in [node for node in definition.node if node.op in LOOPS]:
        body = bodies[loop.attr["body"].func.name]
        makers = [nodes[_node_of(name)] for name in _tensors(loop)]
        _write_read_shapes(loop, body, {place: _element(maker, live) for place, maker in enumerate(makers)})
        given = [_tensor(live, name).shape for name in _tensors(loop)]
        with live.as_default():
            pass_of_loop = function_def_to_graph(_without_shapes(body), input_shapes=given)
        outputs = [tensor.shape for tensor in pass_of_loop.outputs]
        _write_output_shapes(loop, [a.most_specific_compatible_shape(b) for a, b in zip(given, outputs, strict=True)])
        for place, element in _written_elements(pass_of_loop).items():
            if makers[place].op == "TensorListReserve" and element.is_fully_defined():
                name = _constant(definition.node, f"{makers[place].name}/known_shape", element)
                _point_to_shape(makers[place], name, 0)
                for reader in definition.node:
                    if reader.op in _READERS and reader.input[0] == f"{loop.name}:{place}":
                        _point_to_shape(reader, name, _READERS[reader.op])


def _element(maker: Any, live: Any) -> Any:
    """Return the shape of the elements of the list that a node makes of a tensor, None if it makes none."""
    return _tensor(live, maker.input[0]).shape[1:] if maker.op == "TensorListFromTensor" else None


def _write_read_shapes(loop: Any, body: Any, elements: Mapping[int, Any]) -> None:
    """Write the shapes of the elements that a loop's body reads, for the lists among its arguments."""
    arguments = {argument.name: place for place, argument in enumerate(body.signature.input_arg)}
    known = []
    for node in [node for node in body.node_def if node.op == "TensorListGetItem"]:
        element = elements.get(arguments.get(node.input[0], -1))
        if element is not None and element.is_fully_defined():
            name = _constant(body.node_def, f"{node.name}/known_shape", element)
            _point_to_shape(node, f"{name}:output:0", _READERS[node.op])
            known.append("x".join(map(str, element)))
    # TensorFlow keeps one function of a name for as long as the process lives.
    body.signature.name = loop.attr["body"].func.name = "_".join([body.signature.name, *known])


def _without_shapes(function: Any) -> Any:
    """Return a FunctionDef without the shapes that were inferred when it was saved, which win over given ones."""
    copied = type(function)()
    copied.CopyFrom(function)
    for holder in (*copied.arg_attr.values(), *copied.node_def):
        holder.attr.pop("_output_shapes", None)
    return copied


def _tensors(node: Any) -> list[str]:
    return [name for name in node.input if not name.startswith("^")]


def _tensor(live: Any, name: str) -> Any:
    return live.get_tensor_by_name(name if ":" in name else f"{name}:0")


def _node_of(name: str) -> str:
    return name.partition(":")[0]


def _written_elements(body: Any) -> dict[int, Any]:
    """Return the shape of what the body puts into each list, by the place of the list among its arguments."""
    places = {tensor.op.name: place for place, tensor in enumerate(body.inputs)}
    return {
        places[operation.inputs[0].op.name]: operation.inputs[2].shape
        for operation in body.get_operations()
        if operation.type == "TensorListSetItem" and operation.inputs[0].op.name in places
    }


def _write_output_shapes(loop: Any, shapes: Sequence[Any]) -> None:
    del loop.attr["output_shapes"].list.shape[:]
    loop.attr["output_shapes"].list.shape.extend(shape.as_proto() for shape in shapes)


def _constant(nodes: Any, name: str, shape: Any) -> str:
    """Add a constant with the lengths of a shape, and return its name."""
    constant = nodes.add(name=name, op="Const")
    constant.attr["dtype"].type = tf.int32.as_datatype_enum
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(shape.as_list(), tf.int32))
    return name


def _point_to_shape(node: Any, constant: str, place: int) -> None:
    node.input[place] = constant
    if "shape_type" in node.attr:
        node.attr["shape_type"].type = tf.int32.as_datatype_enum
