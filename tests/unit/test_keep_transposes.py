"""A Reshape that only moves a single channel: a Transpose again, which gives the same, and else left alone."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeport.export.onnx.passes.keep_transposes import keep_transposes


def model_of(shape: list[int | str], target: list[int], result: list[int | str]) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "target"], ["r"]), helper.make_node("Relu", ["r"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, result)],
        [numpy_helper.from_array(np.array(target), "target")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answer(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answered: np.ndarray = session.run(None, {"x": x})[0]
    return answered


@pytest.mark.parametrize(
    ("shape", "target", "result", "permutation"),
    [
        (["n", 4, 5, 1], [-1, 1, 4, 5], ["n", 1, 4, 5], [0, 3, 1, 2]),
        (["n", 1, 4, 5], [-1, 4, 5, 1], ["n", 4, 5, 1], [0, 2, 3, 1]),
        ([2, 6, 1], [2, 1, 6], [2, 1, 6], [0, 2, 1]),
        ([2, 3, 4, 5, 1], [2, 1, 3, 4, 5], [2, 1, 3, 4, 5], [0, 4, 1, 2, 3]),
        (["n", 4, 5, 2], [-1, 2, 4, 5], ["n", 2, 4, 5], None),  # two channels would get each other's numbers
        (["n", 4, 5, 1], [-1, 1, 5, 4], ["n", 1, 5, 4], None),
        (["n", 1, 1, 1], [-1, 1, 1, 1], ["n", 1, 1, 1], None),
        (["n", 4, 5, 1], [-1, 20], ["n", 20], None),
    ],
)
def test_a_moved_channel_is_a_transpose(
    shape: list[int | str], target: list[int], result: list[int | str], permutation: list[int] | None
) -> None:
    model = model_of(shape, target, result)
    x = np.random.default_rng(0).normal(size=[3 if axis == "n" else axis for axis in shape]).astype(np.float32)
    before = answer(model, x)
    keep_transposes(model)
    first = model.graph.node[0]
    if permutation is None:
        assert first.op_type == "Reshape"
        assert len(model.graph.initializer) == 1
    else:
        assert list(helper.get_attribute_value(first.attribute[0])) == permutation
        assert not model.graph.initializer
    np.testing.assert_array_equal(answer(model, x), before)
