"""Pairs of QuantizeLinear and DequantizeLinear become a table, and leave a float model."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeport.export.onnx.passes.take_ranges import Steps, take_ranges


def test_integers_that_are_moved_within_a_pair_become_floats() -> None:
    ends = ["scale", "zero"]
    nodes = [
        helper.make_node("QuantizeLinear", ["image", *ends], ["integers"]),
        helper.make_node("Transpose", ["integers"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Flatten", ["turned"], ["row"]),
        helper.make_node("DequantizeLinear", ["row", *ends], ["floats"]),
        helper.make_node("Relu", ["floats"], ["positive"]),
    ]
    values = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 2, 3])]
    results = [helper.make_tensor_value_info("positive", TensorProto.FLOAT, [1, 6])]
    constants = [numpy_helper.from_array(np.float32(0.5), "scale"), numpy_helper.from_array(np.uint8(3), "zero")]
    graph = helper.make_graph(nodes, "moved", values, results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    assert take_ranges(model) == dict.fromkeys(("image", "turned", "row"), Steps(0.5, 3))
    onnx.checker.check_model(model, full_check=True)
    assert [(node.op_type, *node.input, *node.output) for node in model.graph.node] == [
        ("Transpose", "image", "turned"),
        ("Flatten", "turned", "row"),
        ("Relu", "row", "positive"),
    ]
    assert not model.graph.initializer


def test_every_pair_is_removed_and_told_for_both_sides_of_a_change_of_shape() -> None:
    def pair(source: str, target: str, constants: str) -> list[onnx.NodeProto]:
        ends = [f"{constants}_scale", f"{constants}_zero"]
        return [
            helper.make_node("QuantizeLinear", [source, *ends], [f"{target}_q"]),
            helper.make_node("DequantizeLinear", [f"{target}_q", *ends], [target]),
        ]

    nodes = [
        *pair("image", "rounded", "a"),
        helper.make_node("Relu", ["rounded"], ["positive"]),
        helper.make_node("Add", ["positive", "rounded"], ["sum"]),
        helper.make_node("Squeeze", ["sum"], ["row"]),
        *pair("row", "logits", "b"),
    ]
    constants = {"a_scale": np.float32(1), "a_zero": np.uint8(0), "b_scale": np.float32(0.5), "b_zero": np.uint8(128)}
    shapes = {"image": [1, 4], "logits": [4]}
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(
        nodes,
        "pairs",
        values[:1],
        values[1:],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    assert take_ranges(model) == {
        "image": Steps(1.0, 0),
        "sum": Steps(0.5, 128),
        "logits": Steps(0.5, 128),
    }
    onnx.checker.check_model(model, full_check=True)
    assert [(node.op_type, *node.input, *node.output) for node in model.graph.node] == [
        ("Relu", "image", "positive"),
        ("Add", "positive", "image", "sum"),
        ("Squeeze", "sum", "logits"),
    ]
    assert not model.graph.initializer
