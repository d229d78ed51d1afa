"""float16 ONNX: what ONNX defines for no float16 stays in float32, and the file opens."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgeport.export.onnx.passes.to_float16 import to_float16


def finite_part(operator: str) -> onnx.ModelProto:
    """Return ``where(is_inf(2 x), 0, 2 x)`` and the like."""
    two = helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "two"], ["d"], name="mul"),
            helper.make_node(operator, ["d"], ["odd"], name="odd"),
            helper.make_node("Where", ["odd", "zero", "d"], ["y"], name="where"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
        [two, zero],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("operator", ["IsInf", "IsNaN"])
def test_an_operator_without_float16_stays_in_float32(operator: str) -> None:
    model = to_float16(finite_part(operator))
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    odd = np.inf if operator == "IsInf" else np.nan
    answer = session.run(None, {"x": np.array([1, -2, odd, 0.5], np.float32)})[0]
    np.testing.assert_allclose(answer, [2, -4, 0, 1], rtol=1e-3)
    assert any(constant.data_type == TensorProto.FLOAT16 for constant in model.graph.initializer)
