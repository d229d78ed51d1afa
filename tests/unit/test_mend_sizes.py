"""What tf2onnx writes of sizes: the graph pass makes it what TensorFlow meant, and changes nothing else."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeport.export.onnx.passes.mend_sizes import mend_sizes


def model_of(node: onnx.NodeProto, length: int, **constants: np.ndarray) -> onnx.ModelProto:
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, length, length])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list("abcd"))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answer(model: onnx.ModelProto, length: int) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.ones((1, 1, length, length), np.float32)})[0]


def resize(length: int, wanted: int) -> onnx.ModelProto:
    scale = np.float32(wanted / length)
    return model_of(
        helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest"),
        length,
        scales=np.array([1, 1, scale, scale], np.float32),
    )


@pytest.mark.parametrize("length", range(1, 40, 3))
def test_a_resize_has_the_size_that_was_meant(length: int) -> None:
    for wanted in (1, 7, 13, 17, 33, 57):
        model = resize(length, wanted)
        mend_sizes(model)
        assert answer(model, length).shape == (1, 1, wanted, wanted)


def test_a_resize_by_whole_numbers_is_left_alone() -> None:
    model = resize(9, 18)
    before = model.SerializeToString()
    mend_sizes(model)
    assert model.SerializeToString() == before


def test_negative_padding_becomes_output_padding() -> None:
    node = helper.make_node("ConvTranspose", ["x", "kernel"], ["y"], strides=[2, 2], pads=[0, 0, -1, -1])
    kernel = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    model = model_of(node, 4, kernel=kernel)
    mend_sizes(model)
    padded = answer(model, 4)
    plain = answer(
        model_of(helper.make_node("ConvTranspose", ["x", "kernel"], ["y"], strides=[2, 2]), 4, kernel=kernel), 4
    )
    assert padded.shape == (1, 1, 10, 10)
    np.testing.assert_array_equal(padded[..., :9, :9], plain)
    assert not padded[..., 9:, :].any()
