"""Names by position: the same in every run, and none of them twice."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeport.export.onnx.passes.name_tensors import name_tensors


def checked(nodes: list[onnx.NodeProto], outputs: list[str], constants: tuple[str, ...] = ()) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in outputs],
        [numpy_helper.from_array(np.ones(2, np.float32), name) for name in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    name_tensors(model, [""] * len(nodes))
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.parametrize("output", ["add_0", "add_1", "relu_2", "add_0_input_1"])
def test_an_inner_tensor_never_gets_the_name_of_an_output(output: str) -> None:
    nodes = [
        helper.make_node("Add", ["x", "one"], ["a"]),
        helper.make_node("Add", ["a", "x"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Add", ["c", "a"], [output]),
    ]
    model = checked(nodes, [output], ("one",))
    made = [name for node in model.graph.node for name in node.output]
    assert len({*made, *(constant.name for constant in model.graph.initializer)}) == len(made) + 1
    assert [each.name for each in model.graph.output] == [output]


def test_an_inner_tensor_never_gets_a_name_from_inside_a_branch() -> None:
    def branch(operator: str, result: str) -> onnx.GraphProto:
        value = helper.make_tensor_value_info(result, TensorProto.FLOAT, [2])
        return helper.make_graph([helper.make_node(operator, ["y"], [result])], operator, [], [value])

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Cast", ["s"], ["c"], to=TensorProto.BOOL),
        helper.make_node("Exp", ["x"], ["y"]),
        helper.make_node("If", ["c"], ["z"], then_branch=branch("Relu", "exp_2"), else_branch=branch("Neg", "neg_0")),
    ]
    model = checked(nodes, ["z"])
    assert model.graph.node[2].output[0] not in ("exp_2", "neg_0")
    inner = model.graph.node[3].attribute[0].g.node[0]
    assert inner.input[0] == model.graph.node[2].output[0]


def test_the_names_say_operator_and_place() -> None:
    model = checked([helper.make_node("Add", ["x", "w"], ["a"]), helper.make_node("Relu", ["a"], ["y"])], ["y"], ("w",))
    assert [name for node in model.graph.node for name in node.output] == ["add_0", "y"]
    assert [constant.name for constant in model.graph.initializer] == ["add_0_input_1"]


def test_a_node_says_its_layer_and_its_tensors_do_without() -> None:
    nodes = [helper.make_node("Add", ["x", "x"], ["a"], name="m/stem_1/add"), helper.make_node("Relu", ["a"], ["y"])]
    model = checked(nodes, ["y"])
    name_tensors(model, ["stem", ""])
    assert [node.name for node in model.graph.node] == ["stem.add_0", "relu_1"]
    assert model.graph.node[0].output == ["add_0"]
