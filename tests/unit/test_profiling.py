"""Profiles: every operator appears, shares add up, MACs are those of an inspection, and the slow one is found.

Times are noise to a test. What is asserted of them is that a large operator takes longer than small ones.
"""

import json
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import ModelProto, TensorProto, helper, numpy_helper
from rich.console import Console

from edgeport.benchmarks.profile import parts as parts_module
from edgeport.benchmarks.profile import peaks
from edgeport.benchmarks.profile.explanation import contrast, explain
from edgeport.benchmarks.profile.onnx.origins import Fused, find_origins, plain_name
from edgeport.benchmarks.profile.parts import Cut, OperatorPart, time_parts
from edgeport.benchmarks.profile.peaks import measured_peak
from edgeport.benchmarks.profile.profile import profile_artefact, profile_files
from edgeport.benchmarks.profile.profile_facts import (
    AT_LOAD,
    MLAS,
    PLAIN,
    UNTIMED,
    XNNPACK,
    Boundaries,
    OperatorTime,
    Profile,
    Roofline,
    from_document,
    profile_document,
)
from edgeport.benchmarks.profile.profile_table import profile_markdown, profile_table
from edgeport.export.inspection import inspect
from edgeport.export.inspection.facts import Operator
from edgeport.export.inspection.ownership import Node
from edgeport.export.parts.tflite import packed
from edgeport.runtime.errors import ArtefactError, InputError

ARTEFACTS = ("tiny.float32.tflite", "tiny.int8.tflite", "tiny.float32.onnx", "tiny.int8.onnx")
SECONDS = 0.2


@pytest.fixture(scope="module", autouse=True)
def short_peaks() -> object:
    """Measure peaks for a moment only: no test looks at their size."""
    patch = pytest.MonkeyPatch()
    patch.setattr(peaks, "_SECONDS", 0.02)
    patch.setattr(parts_module, "_WARMUP_SECONDS", 0.02)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def profiles(data: Path) -> dict[str, Profile]:
    found = profile_files([data / name for name in ARTEFACTS], threads=1, seconds=SECONDS)
    return {name: from_document(document) for name, document in found.items()}


@pytest.mark.parametrize("name", ARTEFACTS)
def test_shares_add_up_and_macs_are_those_of_an_inspection(name: str, profiles: dict[str, Profile], data: Path) -> None:
    profile, found = profiles[name], inspect(data / name)
    assert sum(each.share for each in profile.operators) == pytest.approx(1)
    assert sum(each.us for each in profile.operators) == pytest.approx(profile.parts_us)
    assert sum(each.macs or 0 for each in profile.operators) == found.macs
    multiplying = {each.name for each in found.graph.operators if each.macs}
    assert {each.name for each in profile.operators if each.macs} == multiplying
    assert profile.whole_us > 0
    assert profile.threads == 1
    assert profile.roofline is not None
    assert profile.roofline.macs == found.macs
    assert profile.roofline.peak_kind == ("int8" if "int8" in name else "float32")
    assert profile.roofline.achieved_gmacs_per_s == pytest.approx(found.macs / profile.whole_us / 1e3)
    assert 0 < profile.roofline.share_of_peak < 1.5
    assert any("cutting the graph" in each for each in (profile.method,))
    assert not any(each.where in (AT_LOAD, UNTIMED) for each in profile.operators)


@pytest.mark.parametrize("name", ARTEFACTS[:2])
def test_every_operator_of_a_tflite_file_appears_and_xnnpack_runs_all_of_it(
    name: str, profiles: dict[str, Profile], data: Path
) -> None:
    profile = profiles[name]
    found = inspect(data / name).graph.operators
    assert [(each.name, each.type) for each in profile.operators] == [(each.name, each.type) for each in found]
    assert {each.where for each in profile.operators} == {XNNPACK}
    assert profile.outside == ()
    assert profile.engine == "ai-edge-litert"
    kind = "int8" if "int8" in name else "float32"
    assert {each.dtype for each in profile.operators} == {kind}


def test_a_quantized_onnx_file_runs_as_fused_integer_operators_between_two_boundaries(
    profiles: dict[str, Profile],
) -> None:
    profile = profiles["tiny.int8.onnx"]
    assert {each.type for each in profile.operators if each.macs} == {"QLinearConv", "QGemm"}
    assert {each.dtype for each in profile.operators if each.macs} == {"uint8"}
    assert (profile.boundaries.quantize, profile.boundaries.dequantize) == (1, 1)
    assert all(each.where == MLAS for each in profile.operators if each.macs)
    assert any("1 to quantize and 1 to dequantize" in each for each in profile.sentences)
    floats = profiles["tiny.float32.onnx"]
    assert floats.boundaries == Boundaries(0, 0, 0)
    assert {each.dtype for each in floats.operators} == {"float32"}


def test_an_onnx_operator_outside_mlas_is_named(profiles: dict[str, Profile]) -> None:
    profile = profiles["tiny.float32.onnx"]
    assert set(profile.outside) == {each.name for each in profile.operators if each.type == "Reshape"}
    assert profile.outside
    assert any(f"{len(profile.outside)} of {len(profile.operators)} operators run outside MLAS" in each
               for each in profile.sentences)  # fmt: skip


def test_the_int8_profile_begins_with_how_it_compares_with_float32(profiles: dict[str, Profile]) -> None:
    for name in ("tiny.int8.tflite", "tiny.int8.onnx"):
        assert profiles[name].sentences[0].startswith("int8 is ")
        assert not profiles[name.replace("int8", "float32")].sentences[0].startswith("int8 is ")


def test_a_profile_survives_json(profiles: dict[str, Profile]) -> None:
    for profile in profiles.values():
        assert from_document(json.loads(json.dumps(profile_document(profile)))) == profile


def test_tables_show_each_operator_with_its_time(profiles: dict[str, Profile]) -> None:
    for name, profile in profiles.items():
        console = Console(width=140, file=StringIO())
        with console.capture() as shown:
            console.print(profile_table(profile))
        text, markdown = shown.get(), profile_markdown(profile)
        assert name in text
        assert name in markdown
        rows = [line for line in markdown.splitlines() if line.startswith("|")]
        assert len(rows) == len(profile.operators) + 2
        for operator in profile.operators:
            assert any(operator.type in row and f" {operator.us:.2f} " in row for row in rows)
            assert operator.type in text
        assert all(sentence in markdown for sentence in (*profile.sentences, profile.method))


def convolutions(*channels: int, side: int, opset: int = 17) -> ModelProto:
    """A chain of 3x3 convolutions."""
    random = np.random.default_rng(0)
    sizes = [(out, given, 3, 3) for given, out in pairwise(channels)]
    weights = [numpy_helper.from_array(random.random(size, np.float32), f"w{n}") for n, size in enumerate(sizes)]
    nodes = [
        helper.make_node("Conv", [f"t{n}", f"w{n}"], [f"t{n + 1}"], name=f"layer_{n}", pads=[1] * 4)
        for n in range(len(sizes))
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, count, side, side])
        for name, count in (("t0", channels[0]), (f"t{len(sizes)}", channels[-1]))
    ]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def test_a_planted_slow_onnx_operator_is_the_one_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "planted.onnx"
    path.write_bytes(convolutions(8, 8, 160, 160, 8, side=12).SerializeToString())
    profile = profile_artefact(path, threads=1, seconds=SECONDS, trust=True)
    largest = max(profile.operators, key=lambda each: each.us)
    assert largest.name == "layer_2"
    assert largest.share > 0.5
    assert profile.sentences[0].startswith("layer_2 (Conv) takes most")


def dense_chain(*sizes: int) -> bytes:
    """A TFLite file with a chain of dense layers, the square of what the last one writes, and its sign."""
    random = np.random.default_rng(0)
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers = 3, [schema.BufferT()]
    codes = (schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.MUL, schema.BuiltinOperator.SIGN)
    model.operatorCodes = []
    for code in codes:
        made = schema.OperatorCodeT()
        made.builtinCode, made.deprecatedBuiltinCode, made.version = code, min(code, 127), 1
        model.operatorCodes.append(made)
    graph.tensors, graph.operators = [], []

    def tensor(name: str, *shape: int, values: np.ndarray | None = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, list(shape), schema.TensorType.FLOAT32, 0
        if values is not None:
            made.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(values.tobytes(), np.uint8)
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    given = tensor("given", 1, sizes[0])
    graph.inputs = [given]
    for number, (before, after) in enumerate(pairwise(sizes)):
        weights = tensor(f"weights_{number}", after, before, values=random.random((after, before), np.float32))
        written = tensor(f"layer_{number}", 1, after)
        step = schema.OperatorT()
        step.opcodeIndex, step.inputs, step.outputs = 0, [given, weights, -1], [written]
        step.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        step.builtinOptions = schema.FullyConnectedOptionsT()
        graph.operators.append(step)
        given = written
    squares, signs = schema.OperatorT(), schema.OperatorT()
    squares.opcodeIndex, squares.inputs, squares.outputs = 1, [given, given], [tensor("squares", 1, sizes[-1])]
    squares.builtinOptionsType, squares.builtinOptions = schema.BuiltinOptions.MulOptions, schema.MulOptionsT()
    signs.opcodeIndex, signs.inputs, signs.outputs = 2, squares.outputs, [tensor("signs", 1, sizes[-1])]
    graph.operators += [squares, signs]
    graph.outputs = [len(graph.tensors) - 1]
    model.subgraphs = [graph]
    return packed(model)


def test_a_planted_slow_tflite_operator_and_one_outside_xnnpack_are_named(tmp_path: Path) -> None:
    path = tmp_path / "planted.tflite"
    path.write_bytes(dense_chain(16, 16, 900, 900, 16))
    profile = profile_artefact(path, threads=1, seconds=SECONDS, trust=True)
    names = ["layer_0", "layer_1", "layer_2", "layer_3", "squares", "signs"]
    assert [each.name for each in profile.operators] == names
    largest = max(profile.operators, key=lambda each: each.us)
    assert largest.name == "layer_2"
    assert largest.share > 0.5
    # XNNPACK has no kernel for SIGN.
    assert profile.outside == ("signs",)
    assert [each.where for each in profile.operators] == [XNNPACK] * 5 + [PLAIN]
    assert any("1 of 6 operators run outside XNNPACK" in each for each in profile.sentences)


def test_a_convolution_that_no_quantizer_surrounds_is_reported_to_compute_in_floats(tmp_path: Path) -> None:
    model = convolutions(4, 4, 4, side=8)
    graph = model.graph
    graph.initializer.extend(
        [numpy_helper.from_array(np.float32(0.1), "scale"), numpy_helper.from_array(np.uint8(0), "zero")]
    )
    quantizers = [
        helper.make_node("QuantizeLinear", ["t0", "scale", "zero"], ["q0"], name="quantize"),
        helper.make_node("DequantizeLinear", ["q0", "scale", "zero"], ["d0"], name="dequantize"),
        helper.make_node("DequantizeLinear", ["w0q", "scale", "zero"], ["w0d"], name="weights"),
        helper.make_node("QuantizeLinear", ["t1", "scale", "zero"], ["q1"], name="quantize_1"),
        helper.make_node("DequantizeLinear", ["q1", "scale", "zero"], ["d1"], name="dequantize_1"),
    ]
    graph.initializer.append(numpy_helper.from_array(np.full((4, 4, 3, 3), 7, np.uint8), "w0q"))
    first, second = graph.node
    first.input[0], first.input[1], second.input[0] = "d0", "w0d", "d1"
    nodes = [*quantizers[:3], first, *quantizers[3:], second]
    del graph.node[:]
    graph.node.extend(nodes)
    path = tmp_path / "half.onnx"
    path.write_bytes(model.SerializeToString())
    profile = profile_artefact(path, threads=1, seconds=0.05, trust=True)
    assert any("layer_1 (Conv) computes in floats here" in each for each in profile.sentences)
    by_name = {each.name: each for each in profile.operators}
    assert by_name["layer_0"].type == "QLinearConv"
    assert by_name["layer_1"].dtype == "float32"


@pytest.mark.parametrize("engine", ["ai-edge-litert", "onnxruntime"])
def test_peaks_are_measured_once_for_each_engine_and_kind(engine: str) -> None:
    for kind in ("int8", "float32"):
        first, second = measured_peak(engine, kind, threads=1), measured_peak(engine, kind, threads=1)
        assert first == second > 0.1


def test_parts_are_timed_in_the_order_of_the_graph_and_an_empty_graph_is_subtracted() -> None:
    order: list[str] = []

    def part(name: str, rounds: int) -> OperatorPart:
        def call() -> None:
            order.append(name)
            sum(range(rounds))

        return OperatorPart(name, "", "", "", None, 0, "", call)

    left_out = replace(part("left out", 0), call=None)
    cut = Cut((part("short", 0), left_out, part("long", 20_000)), lambda: order.append("empty"))
    timings = time_parts(cut, lambda: order.append("whole"), seconds=0.0)
    assert list(dict.fromkeys(order)) == ["empty", "short", "long", "whole"]
    assert order[:12] == [name for name in ("empty", "short", "long", "whole") for _ in range(3)]
    assert timings.rounds == 20
    short, nothing, long = timings.parts
    assert nothing.us == nothing.noise_us == 0
    assert 0 <= short.us < long.us
    assert long.us > 10 * timings.empty_us


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("relu_2_nchwc", "relu_2"),
        ("conv_1_token_4", "conv_1"),
        ("fused matmul_8/MatMulAddFusion", "matmul_8/MatMulAddFusion"),
        ("conv_2", "conv_2"),
    ],
)
def test_marks_of_onnxruntime_are_taken_off_a_name(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_a_fused_operator_finds_the_one_that_multiplies_by_name_then_by_order() -> None:
    nodes = [
        Node("Conv", "conv_0", ("x", "w"), ("a",)),
        Node("Relu", "relu_1", ("a",), ("b",)),
        Node("Conv", "conv_2", ("b", "v"), ("c",)),
        Node("Relu", "relu_3", ("c",), ("d",)),
        Node("MatMul", "", ("d", "u"), ("e",)),
    ]
    operators = [
        Operator(n, each.type, each.name, "float", 0 if each.type == "Relu" else 10 + n) for n, each in enumerate(nodes)
    ]
    fused = [Fused("relu_1_nchwc", True), Fused("ReorderOutput", False), Fused("relu_3_nchwc", True), Fused("", True)]
    found = find_origins(fused, nodes, operators)
    assert [each.macs if each else None for each in found] == [10, None, 12, 14]
    # One that is not in the optimized graph takes no other's place.
    assert [each and each.macs for each in find_origins(fused[2:3], nodes, operators)] == [12]
    # Without a name that leads there, and more operators than places, none is guessed.
    assert find_origins([Fused("unknown", True)], nodes, operators) == (None,)


def operator(
    name: str, us: float, macs: int | None = None, *, kind: str = "CONV_2D", products: int = 9
) -> OperatorTime:
    return OperatorTime(name, kind, us, 0.1, 0.0, XNNPACK, "int8", macs, products if macs else None)


def made(whole_us: float, *operators: OperatorTime, boundaries_us: float = 0.0) -> Profile:
    return Profile(
        "a.tflite", "ai-edge-litert", "2", 1, "", whole_us, 0.2, sum(each.us for each in operators), operators,
        Boundaries(1, 1, boundaries_us), (), (), Roofline(300_000, 10.0, 200.0, "int8", 0.05),
    )  # fmt: skip


def test_a_slower_int8_is_explained_by_the_operators_that_cost_it() -> None:
    float32 = made(40, operator("first", 7, 100_000), operator("second", 30, 200_000, products=288))
    layers = operator("first", 70, 100_000), operator("second", 12, 200_000, products=288)
    int8 = made(90, *layers, operator("q", 5, kind="QUANTIZE"), boundaries_us=5)
    said = explain(int8, float32)
    assert said is not None
    assert said == contrast(int8, float32)
    assert "slower than float32 by 50.0 us a call (90.0 us against 40.0 us)" in said
    assert "it loses 63.0 us in first, the first of 2 convolutions (70.0 us against 7.0 us in float32)" in said
    assert "quantizing and dequantizing take 5.0 us" in said
    assert "win 18.0 us back" in said
    assert "Each output of first sums only 9 products: at the int8 peak all of them would take 0.5 us." in said


def test_an_int8_that_is_not_slower_is_not_explained_but_its_slow_operator_is_reported() -> None:
    float32 = made(60, operator("first", 6, 100_000), operator("second", 50, 200_000))
    int8 = made(26, operator("first", 10, 100_000), operator("second", 12, 200_000))
    assert explain(int8, float32) is None
    assert contrast(int8, float32).startswith(
        "int8 is 2.31 times as fast as float32 (26.0 us a call against 60.0 us), although it is slower in first, the "
        "first of 2 convolutions (10.0 us against 6.0 us in float32)."
    )
    # The same within the noise, and no operator that loses.
    assert explain(float32, float32) is None
    assert contrast(float32, float32) == (
        "int8 is as fast as float32 within the noise (60.0 us a call against 60.0 us)."
    )


def test_the_costliest_operator_is_named_first_and_small_losses_are_not_named() -> None:
    times = {"small": (1.0, 2.0), "large": (5.0, 45.0), "middle": (5.0, 25.0)}
    float32, int8 = (
        made(
            sum(each[side] for each in times.values()),
            *(operator(name, each[side], 1000) for name, each in times.items()),
        )
        for side in (0, 1)
    )
    said = explain(int8, float32)
    assert said is not None
    assert "it loses 60.0 us in large, the second of 3 convolutions" in said
    assert said.index("large") < said.index("middle, the third of 3 convolutions")
    assert "small" not in said


def test_a_free_axis_beside_the_batch_is_refused(tmp_path: Path) -> None:
    model = convolutions(4, 4, side=8)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    path = tmp_path / "free.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="free axis beside the first"):
        profile_artefact(path, threads=1, trust=True)


def test_no_file_and_no_thread_are_said_in_a_line(tmp_path: Path, data: Path) -> None:
    with pytest.raises(ArtefactError, match="cannot read"):
        profile_artefact(tmp_path / "none.tflite", threads=1)
    with pytest.raises(InputError, match="threads"):
        profile_artefact(data / ARTEFACTS[0], threads=0)
