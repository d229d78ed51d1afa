"""The Transpose before a flattening Reshape: folded into the matrix where it moves no batch, else left alone."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeport.export.onnx.passes.fold_flatten import fold_flatten

RANDOM = np.random.default_rng(0)


def model_of(shape: tuple[int, ...], flat: tuple[int, int], **attributes: list[int]) -> onnx.ModelProto:
    constants = {"flat": np.array(flat), "w": RANDOM.normal(size=(flat[1], 3)).astype(np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["x"], ["t"], **attributes),
            helper.make_node("Reshape", ["t", "flat"], ["r"]),
            helper.make_node("MatMul", ["r", "w"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answer(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize(
    ("shape", "flat", "attributes", "folded"),
    [
        ((2, 4, 5), (2, 20), {"perm": [0, 2, 1]}, True),
        ((4, 2, 2), (4, 4), {}, False),  # without perm all axes turn round, the batch too
        ((4, 2), (2, 4), {}, False),
        ((2, 4, 5), (4, 10), {"perm": [1, 0, 2]}, False),
    ],
)
def test_a_transpose_is_folded_where_the_batch_stays_first(
    shape: tuple[int, ...], flat: tuple[int, int], attributes: dict[str, list[int]], folded: bool
) -> None:
    model = model_of(shape, flat, **attributes)
    x = RANDOM.normal(size=shape).astype(np.float32)
    before = answer(model, x)
    fold_flatten(model)
    assert ("Transpose" not in [node.op_type for node in model.graph.node]) is folded
    np.testing.assert_allclose(answer(model, x), before, rtol=1e-5)
