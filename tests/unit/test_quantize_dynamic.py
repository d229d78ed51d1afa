"""Dynamic ONNX: the integer weights of its matrix products fit every CPU."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeport.export.onnx.passes.quantize_dynamic import quantize_dynamic


@pytest.mark.parametrize(("reduce_range", "most"), [(True, 64), (False, 127)])
def test_weights_have_seven_bits_unless_all_eight_are_asked_for(reduce_range: bool, most: int) -> None:
    weights = np.linspace(-1, 1, 64 * 10, dtype=np.float32).reshape(64, 10)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 10])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    quantized = quantize_dynamic(model, reduce_range=reduce_range).graph
    assert "MatMulInteger" in [node.op_type for node in quantized.node]
    arrays = [numpy_helper.to_array(constant) for constant in quantized.initializer]
    (integers,) = [array for array in arrays if array.shape == weights.shape]
    assert integers.dtype == np.int8
    assert np.abs(integers.astype(np.int32)).max() == most


def test_a_stack_of_matrices_stays_in_floats() -> None:
    weights = np.linspace(-1, 1, 3 * 8 * 2, dtype=np.float32).reshape(3, 8, 2)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 5, 2])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    content = quantize_dynamic(model, reduce_range=True).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    x = np.linspace(0, 1, 40, dtype=np.float32).reshape(1, 5, 8)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], x @ weights, rtol=1e-5)
