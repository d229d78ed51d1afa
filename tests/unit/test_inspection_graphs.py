"""edgeport inspect where operators run graphs, and what is a parameter there: each number counted by hand."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hand_made import save_tflite
from onnx import TensorProto, helper, numpy_helper

from edgeport.export.inspection import Inspection, inspect, to_document
from edgeport.export.inspection.counting.einsum import einsum
from edgeport.export.inspection.counting.rounds import Inequality, Number, first_failing
from edgeport.export.inspection.table import inspection_text
from edgeport.runtime.errors import ArtefactError

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
node = helper.make_node
value = helper.make_tensor_value_info


def ones(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.ones(shape, dtype)


def graph_of(
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    inputs: Sequence[onnx.ValueInfoProto] = (),
    outputs: Sequence[onnx.ValueInfoProto] = (),
) -> onnx.GraphProto:
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    return helper.make_graph(list(nodes), "g", list(inputs), list(outputs), stored)


def inspected(
    folder: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    inputs: Sequence[onnx.ValueInfoProto] = (value("x", FLOAT, ("n", 4)),),
    *,
    output: str = "y",
    functions: Sequence[onnx.FunctionProto] = (),
    domains: Sequence[str] = ("com.microsoft",),
) -> Inspection:
    graph = graph_of(nodes, constants, inputs, [value(output, FLOAT, None)])
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(each, 1) for each in domains)]
    onnx.save(helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=8), folder / "m.onnx")
    found = inspect(folder / "m.onnx")
    # Whatever is inside, both outputs hold it, and the layers add up.
    document = to_document(found)
    json.dumps(document, allow_nan=False)
    assert len(document["layers"]) == sum(document["operators"].values())
    assert sum(layer["parameters"] for layer in document["layers"]) == found.parameters
    assert sum(layer["macs"] or 0 for layer in document["layers"] if not layer["graph"]) == found.macs
    inspection_text(found, width=100)
    return found


def step_body(condition: Sequence[onnx.NodeProto], **constants: np.ndarray) -> onnx.GraphProto:
    """Return the body of a loop over (h, given): h becomes tanh(h @ given @ outer @ inner)."""
    nodes = [
        *condition,
        node("MatMul", ["h", "given"], ["a"]),
        node("MatMul", ["a", "outer"], ["b"]),
        node("MatMul", ["b", "inner"], ["c"]),
        node("Tanh", ["c"], ["h_out"]),
    ]
    inputs = [value("i", INT64, ()), value("on", BOOL, ()), value("h", FLOAT, None), value("given", FLOAT, None)]
    outputs = [value(name, kind, None) for name, kind in (("go", BOOL), ("h_out", FLOAT), ("given", FLOAT))]
    outputs.append(value("a", FLOAT, None))
    return graph_of(nodes, {"inner": ones(4, 4), **constants}, inputs, outputs)


GOES_ON = [node("Identity", ["on"], ["go"])]
# Counted in the body, not by the operator: "i + 1 < 5" after each round.
COUNTS = [
    node("Add", ["i", "one"], ["next"]),
    node("Less", ["next", "five"], ["less"]),
    node("And", ["less", "on_5"], ["go"]),
]
COUNTED = {"one": np.int64(1), "five": np.int64(5), "on_5": np.bool_(True)}


@pytest.mark.parametrize(
    ("limit", "condition", "constants", "rounds"),
    [
        ("seven", GOES_ON, {}, 7),
        ("seven", COUNTS, COUNTED, 5),
        ("", COUNTS, COUNTED, 5),
        ("length", GOES_ON, {}, 9),
        ("at_run_time", GOES_ON, {}, None),
        ("", GOES_ON, {}, None),
        ("seven", [node("ReduceMax", ["h"], ["m"], keepdims=0), node("Less", ["m", "half"], ["go"])],
         {"half": np.float32(0.5)}, None),
    ],
)  # fmt: skip
def test_a_loop_counts_what_its_body_holds_and_does(
    limit: str, condition: list, constants: dict, rounds: int | None, tmp_path: Path
) -> None:
    body = step_body(condition, **constants)
    nodes = [
        node("Shape", ["long"], ["lengths"]),
        node("Gather", ["lengths", "place"], ["length"]),
        node("Cast", ["first"], ["at_run_time"], to=INT64),
        node(
            "Loop",
            [limit, "true", "start", "passed"],
            ["h_end", "unread", "rows"],
            body=body,
        ),
        node("MatMul", ["h_end", "last"], ["y"]),
    ]
    outside = {
        "true": np.bool_(True), "seven": np.int64(7), "place": np.int64(1), "start": np.zeros((1, 4), np.float32),
        "passed": ones(4, 4), "outer": ones(4, 4), "last": ones(4, 2),
    }  # fmt: skip
    inputs = [value("long", FLOAT, ("n", 9, 4)), value("first", FLOAT, ())]
    printed = inspected(tmp_path, nodes, outside, inputs)
    # The state that it starts with is none.
    assert printed.parameters == 3 * 16 + 8
    loop = next(each for each in printed.graph.operators if each.type == "Loop")
    assert loop.rounds == rounds
    assert [each.macs for each in loop.inside if each.type == "MatMul"] == [16, 16, 16]
    assert {each.graph for each in loop.inside} == {f"{loop.number}/body"}
    assert printed.operator_counts["MatMul"] == 4
    text = inspection_text(printed, width=100)
    if rounds is None:
        assert (printed.macs, printed.macs_unknown, loop.macs) == (8, 3, None)
        assert "unknown for 3 operators: Loop h_end (rounds unknown)" in text
    else:
        assert (printed.macs, printed.macs_unknown) == (48 * rounds + 8, 0)
        assert f"inside Loop h_end ({rounds} rounds)" in text
        # The engine gives a row for each round.
        model = onnx.load(tmp_path / "m.onnx")
        model.graph.output.append(value("rows", FLOAT, None))
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (rows,) = session.run(["rows"], {"long": ones(1, 9, 4), "first": np.array(1, np.float32)})
        assert len(rows) == rounds


def test_a_loop_whose_state_grows_is_not_taken_for_one_that_keeps_it(tmp_path: Path) -> None:
    body = graph_of(
        [
            *GOES_ON,
            node("Concat", ["h", "row"], ["h_out"], axis=0),
            node("MatMul", ["h", "w"], ["product"]),
        ],
        {"w": ones(4, 4), "row": ones(1, 4)},
        [value("i", INT64, ()), value("on", BOOL, ()), value("h", FLOAT, None)],
        [value(name, kind, None) for name, kind in (("go", BOOL), ("h_out", FLOAT))],
    )
    printed = inspected(tmp_path, [node("Loop", ["seven", "true", "x"], ["y"], body=body)],
                   {"seven": np.int64(7), "true": np.bool_(True)})  # fmt: skip
    assert (printed.macs, printed.macs_unknown, printed.graph.operators[0].rounds) == (0, 1, 7)


@pytest.mark.parametrize(("other", "macs", "unknown"), [(4, 16, 0), (6, 0, 2)])
def test_both_sides_of_a_branch_are_counted_and_their_macs_if_they_agree(
    other: int, macs: int, unknown: int, tmp_path: Path
) -> None:
    sides = [
        graph_of([node("MatMul", ["x", "w"], ["z"])], {"w": ones(4, width)}, (), [value("z", FLOAT, None)])
        for width in (4, other)
    ]
    nodes = [node("If", ["which"], ["y"], name="branch", then_branch=sides[0], else_branch=sides[1])]
    printed = inspected(tmp_path, nodes, {}, [value("x", FLOAT, ("n", 4)), value("which", BOOL, ())])
    assert printed.parameters == 16 + 4 * other
    assert (printed.macs, printed.macs_unknown) == (macs, unknown)
    assert ("If branch (sides differ)" in inspection_text(printed, width=100)) == (other == 6)


def test_a_scan_runs_once_for_each_of_its_rows(tmp_path: Path) -> None:
    body = graph_of(
        [node("MatMul", ["row", "w"], ["a"]), node("MatMul", ["h", "u"], ["b"]), node("Add", ["a", "b"], ["h_out"])],
        {"w": ones(3, 4), "u": ones(4, 4)},
        [value("h", FLOAT, None), value("row", FLOAT, None)],
        [value("h_out", FLOAT, None), value("a", FLOAT, None)],
    )
    nodes = [
        node("Scan", ["h0", "x"], ["end", "rows"], body=body, num_scan_inputs=1),
        node("MatMul", ["rows", "last"], ["y"]),
    ]
    printed = inspected(tmp_path, nodes, {"h0": np.zeros((1, 4), np.float32), "last": ones(4, 2)},
                   [value("x", FLOAT, (6, 1, 3))])  # fmt: skip
    assert (printed.macs, printed.macs_unknown) == (6 * (12 + 16) + 6 * 8, 0)
    assert printed.parameters == 12 + 16 + 8


@pytest.mark.parametrize(
    ("kind", "gates", "directions"), [("LSTM", 4, 1), ("LSTM", 4, 2), ("GRU", 3, 2), ("RNN", 1, 1)]
)
def test_recurrent_operators_count_each_step(kind: str, gates: int, directions: int, tmp_path: Path) -> None:
    units, width, steps = 5, 3, 7
    constants = {
        "w": ones(directions, gates * units, width),
        "r": ones(directions, gates * units, units),
        "b": ones(directions, 2 * gates * units),
        "h0": np.zeros((directions, 1, units), np.float32),
    }
    direction = "bidirectional" if directions == 2 else "forward"
    nodes = [node(kind, ["x", "w", "r", "b", "", "h0"], ["y"], hidden_size=units, direction=direction)]
    printed = inspected(tmp_path, nodes, constants, [value("x", FLOAT, (steps, 1, width))])
    assert printed.macs == steps * directions * gates * units * (width + units)
    # A start that is a constant is a setting, not a weight.
    assert printed.parameters == sum(constants[name].size for name in "wrb")
    free = inspected(tmp_path, nodes, constants, [value("x", FLOAT, ("steps", "n", width))][:1])
    assert (free.macs, free.macs_unknown) == (0, 1)


def test_the_quantized_lstm_of_onnxruntime_has_no_scales_among_its_parameters(tmp_path: Path) -> None:
    constants = {
        "w": ones(1, 3, 20, dtype=np.int8), "r": ones(1, 5, 20, dtype=np.int8), "b": ones(1, 40),
        "s": ones(1, 20), "z": np.zeros((1, 20), np.int8),
    }  # fmt: skip
    nodes = [
        node("DynamicQuantizeLSTM", ["x", "w", "r", "b", "", "", "", "", "s", "z", "s", "z"], ["h"], hidden_size=5,
             domain="com.microsoft"),
        node("MatMul", ["h", "last"], ["y"]),
    ]  # fmt: skip
    printed = inspected(tmp_path, nodes, {**constants, "last": ones(5, 2)}, [value("x", FLOAT, (7, 1, 3))])
    assert printed.parameters == 60 + 100 + 40 + 10
    assert printed.macs == 7 * (60 + 100) + 7 * 10
    assert printed.quantization == "dynamic"


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("ij,jk->ik", [(2, 3), (3, 5)], 30),
        ("ij,jk", [(2, 3), (3, 5)], 30),
        ("bij,bij->b", [(2, 3, 5), (2, 3, 5)], 30),
        ("bij,bij->bij", [(2, 3, 5), (2, 3, 5)], 0),
        ("bij,bj->bij", [(2, 3, 5), (2, 5)], 0),
        ("i,j->ij", [(3,), (5,)], 15),
        ("bij->bji", [(2, 3, 5)], 0),
        ("...ij,...jk->...ik", [(7, 2, 3), (7, 3, 5)], 210),
        ("...ij,jk", [(7, 2, 3), (3, 5)], 210),
        ("ij,jk,kl->il", [(2, 3), (3, 5), (5, 7)], 30 + 70),
        # j stands in one factor alone: it is summed first.
        ("ij,k->ik", [(2, 3), (5,)], 10),
        ("bij,bjk->bik", [(1, 2, 3), (7, 3, 5)], 210),
        ("ij,jk->ik", [(2, None), (3, 5)], None),
        ("ij,jk->ik", [(2, 3), None], None),
        ("ij,jk->ik", [(2, 3, 4), (3, 5)], None),
        ("ij,jk->ik", [(2, 3)], None),
    ],
)
def test_an_einsum_counts_as_the_product_that_it_is(equation: str, shapes: list, macs: int | None) -> None:
    assert einsum(equation)(shapes, None) == macs


@pytest.mark.parametrize(
    "nodes",
    [
        # Weights as Cast and Mul, as this project writes them; with a zero point, too.
        [node("Cast", ["w"], ["f"], to=FLOAT), node("Mul", ["f", "s"], ["v"]), node("MatMul", ["x", "v"], ["y"])],
        [node("Cast", ["w"], ["f"], to=FLOAT), node("Cast", ["z"], ["zf"], to=FLOAT), node("Sub", ["f", "zf"], ["d"]),
         node("Mul", ["s", "d"], ["v"]), node("MatMul", ["x", "v"], ["y"])],
        # onnxruntime's dynamic quantization.
        [node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]), node("MatMulInteger", ["q", "w", "qz", "z"], ["i"]),
         node("Cast", ["i"], ["f"], to=FLOAT), node("Mul", ["qs", "s"], ["both"]), node("Mul", ["f", "both"], ["y"])],
        [node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]), node("MatMulInteger", ["q", "w", "qz", "z"], ["i"]),
         node("Cast", ["i"], ["f"], to=FLOAT), node("Mul", ["f", "s"], ["part"]), node("Mul", ["part", "qs"], ["y"])],
        [node("QuantizeLinear", ["x", "one", "zero"], ["q"]),
         node("QLinearMatMul", ["q", "one", "zero", "w", "s", "z", "one", "zero"], ["p"]),
         node("DequantizeLinear", ["p", "one", "zero"], ["y"])],
    ],
)  # fmt: skip
def test_scales_and_zero_points_are_no_parameters(nodes: list, tmp_path: Path) -> None:
    constants = {
        "w": ones(4, 6, dtype=np.int8), "s": np.full(6, 0.5, np.float32), "z": np.zeros(6, np.int8),
        "one": ones(1), "zero": np.zeros(1, np.int8),
    }  # fmt: skip
    used = {name for each in nodes for name in each.input}
    printed = inspected(tmp_path, nodes, {name: array for name, array in constants.items() if name in used})
    assert (printed.parameters, printed.macs, printed.macs_unknown) == (24, 24, 0)


def test_the_scales_of_quantized_sums_are_no_parameters_and_their_constants_are(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearAdd", ["q", "s1", "z1", "b", "s1", "z1", "s1", "z1"], ["a"], domain="com.microsoft"),
        node("QLinearConcat", ["s1", "z1", "a", "s1", "z1", "b", "s1", "z1"], ["c"], domain="com.microsoft", axis=1),
        node("DequantizeLinear", ["c", "s", "z"], ["y"]),
    ]
    constants = {
        "s": np.float32(1), "z": np.int8(0), "s1": ones(1), "z1": np.zeros(1, np.int8), "b": ones(1, 4, dtype=np.int8),
    }  # fmt: skip
    assert inspected(tmp_path, nodes, constants).parameters == 4


def test_a_multiplication_of_floats_keeps_its_weights(tmp_path: Path) -> None:
    nodes = [node("Mul", ["x", "gamma"], ["m"]), node("Add", ["m", "beta"], ["y"])]
    assert inspected(tmp_path, nodes, {"gamma": ones(4), "beta": ones(4)}).parameters == 8


@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
def test_a_length_of_zero_is_no_free_one(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m.{suffix}"
    if suffix == "onnx":
        graph = graph_of(
            [node("MatMul", ["x", "w"], ["y"])], {"w": ones(4, 6)}, [value("x", FLOAT, (1, 0, 4))],
            [value("y", FLOAT, (1, 0, 6))],
        )  # fmt: skip
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    else:
        tensors = [
            ("x", "FLOAT32", (1, 0, 4), None, 0),
            ("w", "FLOAT32", (6, 4), ones(6, 4), 0),
            ("y", "FLOAT32", (1, 0, 6), None, 0),
        ]
        steps = [("FULLY_CONNECTED", [0, 1, -1], [2])]
        save_tflite(path, {"tensors": tensors, "steps": steps, "inputs": [0], "outputs": [2]})
    found = inspect(path)
    assert (found.graph.inputs[0].shape, found.graph.outputs[0].shape) == ((1, 0, 4), (1, 0, 6))
    assert (found.macs, found.macs_unknown, found.parameters) == (0, 0, 24)
    assert "(1, 0, 4)" in inspection_text(found, width=100)
    assert to_document(found)["inputs"][0]["shape"] == [1, 0, 4]


def test_a_product_of_no_rows_takes_nothing(tmp_path: Path) -> None:
    printed = inspected(tmp_path, [node("Gemm", ["x", "w"], ["y"])], {"w": ones(4, 6)}, [value("x", FLOAT, (0, 4))])
    assert (printed.macs, printed.macs_unknown) == (0, 0)


def test_functions_of_the_model_are_written_out_where_they_are_called(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 17)]
    dense = helper.make_function("own", "Dense", ["a", "w"], ["b"], [node("MatMul", ["a", "w"], ["b"])], opsets)
    nodes = [
        node("Dense", ["x", "w"], ["h"], domain="own"),
        node("Dense", ["h", "w"], ["y"], domain="own"),
    ]
    printed = inspected(tmp_path, nodes, {"w": ones(4, 4)}, functions=[dense], domains=["own"])
    assert (printed.operator_counts, printed.parameters, printed.macs) == ({"MatMul": 2}, 16, 32)
    opsets = [helper.make_opsetid("own", 1)]
    body = [node("Again", ["a"], ["b"], domain="own")]
    again = helper.make_function("own", "Again", ["a"], ["b"], body, opsets)
    with pytest.raises(ArtefactError, match="function Again calls itself"):
        inspected(tmp_path, [node("Again", ["x"], ["y"], domain="own")], {}, functions=[again], domains=["own"])


# The second graph is the condition, the third the body: h becomes tanh(w h + b), and a row of "table" is read.
def save_loop(path: Path, *, first: float = 0, step: int = 1, half: bool = False, body: int = 2) -> Path:
    start = np.zeros((1, 4), np.float16 if half else np.float32)
    main = {
        "tensors": [
            ("x", "FLOAT32", (-1, 9, 4), None, 0),
            ("i0", "INT32", (), np.array(first, np.int32), 0),
            ("h0", "FLOAT16" if half else "FLOAT32", (1, 4), start, 0),
            ("h0f", "FLOAT32", (1, 4), None, 0),
            ("w", "FLOAT32", (4, 4), ones(4, 4), 0),
            ("i", "INT32", (), None, 0),
            ("h", "FLOAT32", (1, 4), None, 0),
            ("w_out", "FLOAT32", (4, 4), None, 0),
        ],
        "steps": [
            *([("DEQUANTIZE", [2], [3])] if half else []),
            ("WHILE", [1, 3 if half else 2, 4], [5, 6, 7], "WhileOptions",
             {"condSubgraphIndex": 1, "bodySubgraphIndex": body}),
        ],
        "inputs": [0],
        "outputs": [6],
    }  # fmt: skip
    state = [("i", "INT32", (), None, 0), ("h", "FLOAT32", (1, 4), None, 0), ("w", "FLOAT32", (4, 4), None, 0)]
    condition = {
        "tensors": [*state, ("end", "INT32", (), np.array(7, np.int32), 0), ("go", "BOOL", (), None, 0)],
        "steps": [("LESS", [0, 3], [4])],
        "inputs": [0, 1, 2],
        "outputs": [4],
    }
    inside = {
        "tensors": [
            *state,
            ("one", "INT32", (), np.array(step, np.int32), 0),
            ("next", "INT32", (), None, 0),
            ("u", "INT8", (4, 4), ones(4, 4, dtype=np.int8), 0.5),
            ("a", "FLOAT32", (1, 4), None, 0),
            ("b", "FLOAT32", (1, 4), None, 0),
            ("bias", "FLOAT32", (4,), ones(4), 0),
        ],
        "steps": [
            ("ADD", [0, 3], [4]),
            ("FULLY_CONNECTED", [1, 2, 8], [6]),
            ("FULLY_CONNECTED", [6, 5, -1], [7]),
        ],
        "inputs": [0, 1, 2],
        "outputs": [4, 7, 2],
    }
    other = {
        "tensors": [("z", "FLOAT32", (1, 4), None, 0), ("v", "FLOAT32", (5, 4), 2 * ones(5, 4), 0),
                    ("out", "FLOAT32", (1, 5), None, 0)],
        "steps": [("FULLY_CONNECTED", [0, 1, -1], [2])],
        "inputs": [0],
        "outputs": [2],
    }  # fmt: skip
    return save_tflite(path, main, condition, inside, other)


@pytest.mark.parametrize(("first", "step", "rounds"), [(0, 1, 7), (1, 2, 3), (0, 2, 4), (9, 1, 0), (0, 0, None)])
@pytest.mark.parametrize("half", [False, True])
def test_a_tflite_loop_counts_what_its_body_holds_and_does(
    first: int, step: int, rounds: int | None, half: bool, tmp_path: Path
) -> None:
    found = inspect(save_loop(tmp_path / "m.tflite", first=first, step=step, half=half))
    # A weight passed in, one in the body, a bias, and one of a graph that the main one does not run; no start.
    assert found.parameters == 16 + 16 + 4 + 20
    assert found.graph.further_graphs == 1
    assert [each.graph for each in found.graph.others] == ["graph 3"]
    loop = found.graph.operators[-1]
    assert loop.rounds == rounds
    assert [each.parameters for each in loop.inside if each.type == "FULLY_CONNECTED"] == [20, 16]
    assert found.macs == 32 * (rounds or 0)
    assert found.macs_unknown == (2 if rounds is None else 0)
    assert found.quantization == "weights"
    text = inspection_text(found, width=100)
    assert "with those of 1 graph that the main one does not run" in text
    assert f"4 of them inside WHILE i{'' if rounds is None else f' ({rounds} rounds)'}" in text


def test_graphs_that_run_themselves_or_are_missing_are_damage(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="WHILE runs a graph that is not among the 4"):
        inspect(save_loop(tmp_path / "m.tflite", body=9))
    tensors = [("x", "FLOAT32", (1, 4), None, 0), ("y", "FLOAT32", (1, 4), None, 0)]
    graphs = [
        {
            "tensors": tensors,
            "steps": [("CALL", [0], [1], "CallOptions", {"subgraph": called})],
            "inputs": [0],
            "outputs": [1],
        }
        for called in (1, 0)
    ]
    with pytest.raises(ArtefactError, match="graph 0 runs itself"):
        inspect(save_tflite(tmp_path / "m.tflite", *graphs))


def test_a_tflite_branch_counts_both_sides(tmp_path: Path) -> None:
    def side(width: int) -> dict:
        weights = ones(width, 4) * width
        return {
            "tensors": [("x", "FLOAT32", (1, 4), None, 0), ("w", "FLOAT32", (width, 4), weights, 0),
                        ("y", "FLOAT32", (1, width), None, 0)],
            "steps": [("FULLY_CONNECTED", [0, 1, -1], [2])],
            "inputs": [0],
            "outputs": [2],
        }  # fmt: skip

    main = {
        "tensors": [
            ("which", "BOOL", (), None, 0),
            ("x", "FLOAT32", (1, 4), None, 0),
            ("y", "FLOAT32", (1, 4), None, 0),
        ],
        "steps": [("IF", [0, 1], [2], "IfOptions", {"thenSubgraphIndex": 1, "elseSubgraphIndex": 2})],
        "inputs": [0, 1],
        "outputs": [2],
    }
    same = inspect(save_tflite(tmp_path / "a.tflite", main, side(6), side(6)))
    assert (same.macs, same.macs_unknown, same.parameters) == (24, 0, 24)
    found = inspect(save_tflite(tmp_path / "b.tflite", main, side(6), side(7)))
    assert (found.macs, found.macs_unknown, found.parameters) == (0, 2, 24 + 28)


# Each row: the operator, the shapes of data and weights by place (an int8 buffer of its own each), the output, MACs.
FUSED: list[tuple[str, tuple[int, ...], dict[int, tuple[int, ...]], int, int]] = [
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", (1, 7, 3),
     {**dict.fromkeys(range(1, 5), (5, 3)), **dict.fromkeys(range(5, 9), (5, 5)), **dict.fromkeys(range(12, 16), (5,))},
     24, 7 * 4 * (15 + 25)),
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", (7, 1, 3),
     {**dict.fromkeys(range(1, 5), (5, 3)), **dict.fromkeys(range(5, 9), (5, 2)), **dict.fromkeys(range(9, 12), (5,)),
      **dict.fromkeys(range(12, 16), (5,)), 16: (2, 5)},
     24, 7 * (4 * (15 + 10) + 10)),
    # Coupled gates: the input gate's weights are left out.
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", (1, 7, 3),
     {**dict.fromkeys(range(2, 5), (5, 3)), **dict.fromkeys(range(6, 9), (5, 5)), **dict.fromkeys(range(13, 16), (5,))},
     24, 7 * 3 * (15 + 25)),
    ("BIDIRECTIONAL_SEQUENCE_LSTM", (1, 7, 3),
     {**dict.fromkeys((*range(1, 5), *range(18, 22)), (5, 3)), **dict.fromkeys((*range(5, 9), *range(22, 26)), (5, 5))},
     48, 2 * 7 * 4 * (15 + 25)),
    ("UNIDIRECTIONAL_SEQUENCE_RNN", (1, 7, 3), {1: (5, 3), 2: (5, 5), 3: (5,)}, 5, 7 * (15 + 25)),
    ("BIDIRECTIONAL_SEQUENCE_RNN", (1, 7, 3), {1: (5, 3), 2: (5, 5), 3: (5,), 5: (5, 3), 6: (5, 5), 7: (5,)}, 12,
     2 * 7 * (15 + 25)),
    ("LSTM", (1, 3), {2: (20, 8), 3: (20,)}, 5, 20 * 8),
    ("SVDF", (1, 3), {1: (5, 3), 2: (5, 6), 3: (5,)}, 5, 15 + 30),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "weights", "count", "macs"), FUSED)
def test_fused_recurrent_operators_of_tflite_count_each_step(
    kind: str, data: tuple[int, ...], weights: dict[int, tuple[int, ...]], count: int, macs: int, tmp_path: Path
) -> None:
    tensors = [("x", "FLOAT32", data, None, 0)]
    inputs = [0] + [-1] * (count - 1)
    for number, (place, shape) in enumerate(weights.items(), 1):
        tensors.append((f"w{place}", "INT8", shape, np.full(shape, number, np.int8), 0.5))
        inputs[place] = number
    tensors.append(("y", "FLOAT32", (*data[:-1], 5), None, 0))
    steps = [(kind, inputs, [len(tensors) - 1])]
    graph = {"tensors": tensors, "steps": steps, "inputs": [0], "outputs": [len(tensors) - 1]}
    found = inspect(save_tflite(tmp_path / "m.tflite", graph))
    assert (found.macs, found.macs_unknown) == (macs, 0)
    assert found.parameters == sum(int(np.prod(shape)) for shape in weights.values())


def test_convolutions_of_groups_and_of_three_dimensions_count_alike_in_both_formats(tmp_path: Path) -> None:
    # (in, depth, height, width): two groups; then transposed, twice as large.
    constants = {"k": ones(4, 3, 3, 3, 3), "t": ones(4, 2, 2, 2, 2)}
    nodes = [
        node("Conv", ["x", "k"], ["c"], group=2),
        node("ConvTranspose", ["c", "t"], ["y"], strides=[2, 2, 2], group=2),
    ]
    twin = inspected(tmp_path, nodes, constants, [value("x", FLOAT, ("n", 6, 6, 6, 6))])
    by_hand = 4**3 * 4 * (27 * 3) + 4**3 * 4 * (8 * 2)
    assert (twin.macs, twin.macs_unknown) == (by_hand, 0)
    tensors = [
        ("x", "FLOAT32", (-1, 6, 6, 6, 3), None, 0),
        ("k", "FLOAT32", (3, 3, 3, 3, 4), ones(3, 3, 3, 3, 4), 0),
        ("c", "FLOAT32", (-1, 4, 4, 4, 4), None, 0),
        # A converter may give a scale to any integers.
        ("size", "INT32", (5,), np.array([1, 8, 8, 8, 2], np.int32), 0.5),
        ("t", "FLOAT32", (2, 2, 2, 2, 4), ones(2, 2, 2, 2, 4), 0),
        ("y", "FLOAT32", (-1, 8, 8, 8, 2), None, 0),
    ]
    steps = [("CONV_3D", [0, 1], [2]), ("CONV_3D_TRANSPOSE", [3, 4, 2], [5])]
    found = inspect(
        save_tflite(tmp_path / "m.tflite", {"tensors": tensors, "steps": steps, "inputs": [0], "outputs": [5]})
    )
    assert (found.macs, found.macs_unknown) == (by_hand, 0)
    assert found.parameters == 81 * 4 + 8 * 2 * 4


def goes_on(smaller: float, larger: float, strictly: bool) -> bool:
    return smaller < larger or (smaller == larger and not strictly)


@pytest.mark.parametrize("strictly", [True, False])
@pytest.mark.parametrize("counted", ["smaller", "larger"])
def test_rounds_are_those_of_a_loop_that_is_run(strictly: bool, counted: str) -> None:
    for start, step, end, added in itertools.product(range(-3, 4), range(-2, 3), range(-3, 6), (0, 1)):
        sides = {"smaller": Number(None, end), "larger": Number(None, end), counted: Number(0, added)}
        values = {"smaller": end, "larger": end}
        rounds: float = 0
        while rounds < 100 and goes_on(**{**values, counted: start + rounds * step + added}, strictly=strictly):
            rounds += 1
        found = first_failing([Inequality(**sides, strictly=strictly)], [start], [step])
        assert found == (rounds if rounds < 100 else float("inf"))


def test_rounds_of_a_counter_that_cannot_be_followed_are_unknown() -> None:
    positive = Inequality(Number(None, 0), Number(0, 0), strictly=True)
    assert first_failing([positive], [None], [1]) is None
    assert first_failing([positive], [1], [None]) is None
