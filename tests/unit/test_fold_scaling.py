"""The graph pass changes the graph and not the answers, and keeps off what it does not understand."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeport.export.onnx.passes.fold_scaling import fold_input_scaling

RANDOM = np.random.default_rng(0)
KERNEL = RANDOM.normal(size=(3, 1, 2, 2)).astype(np.float32)


def graph(*prefix: tuple[str, np.ndarray], outputs: tuple[str, ...] = ("y",)) -> onnx.ModelProto:
    nodes, constants, last = [], [numpy_helper.from_array(KERNEL, "kernel")], "x"
    for number, (operator, value) in enumerate(prefix):
        constants.append(numpy_helper.from_array(value, f"constant{number}"))
        nodes.append(helper.make_node(operator, [last, f"constant{number}"], [f"t{number}"]))
        last = f"t{number}"
    nodes.append(helper.make_node("Transpose", [last], ["nchw"], perm=[0, 3, 1, 2]))
    nodes.append(helper.make_node("Conv", ["nchw", "kernel"], ["y"]))
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 4, 1])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list("abcd")) for name in outputs],
        constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answer(model: onnx.ModelProto) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)})


SCALE, ZERO = np.float32(1 / 255), np.float32(0)


@pytest.mark.parametrize(
    "prefix", [[("Mul", SCALE)], [("Mul", SCALE), ("Add", ZERO)], [("Mul", np.full((1, 1), 2, np.float32))]]
)
def test_a_scale_moves_into_the_kernel(prefix: list) -> None:
    model = graph(*prefix)
    expected = answer(model)
    fold_input_scaling(model)
    assert [node.op_type for node in model.graph.node] == ["Transpose", "Conv"]
    assert [tensor.name for tensor in model.graph.initializer] == ["kernel"]
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(answer(model)[0], expected[0], rtol=1e-5)


def test_a_kernel_that_others_use_is_left_alone() -> None:
    model = graph(("Mul", SCALE))
    model.graph.node.append(helper.make_node("Conv", ["nchw", "kernel"], ["z"]))
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, list("abcd")))
    before = answer(model)
    fold_input_scaling(model)
    np.testing.assert_allclose(answer(model)[1], before[1], rtol=1e-5)


@pytest.mark.parametrize(
    ("prefix", "outputs"),
    [
        ([], ("y",)),
        ([("Mul", SCALE), ("Add", np.float32(-0.5))], ("y",)),
        ([("Add", ZERO), ("Sub", SCALE)], ("y",)),
        ([("Mul", np.full((1, 4, 1, 1), 2, np.float32))], ("y",)),
        ([("Mul", SCALE)], ("y", "t0")),
    ],
)
def test_what_is_no_plain_scale_is_left_alone(prefix: list, outputs: tuple[str, ...]) -> None:
    model = graph(*prefix, outputs=outputs)
    before = model.SerializeToString(deterministic=True)
    fold_input_scaling(model)
    assert model.SerializeToString(deterministic=True) == before
