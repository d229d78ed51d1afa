"""edgeport inspect: numbers that can be known otherwise, files of other tools, damaged files, the two outputs."""

import hashlib
import json
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeport.export.inspection import Inspection, inspect, to_document
from edgeport.export.inspection.table import inspection_text
from edgeport.export.inspection.tflite.shapes import LinkedOperator, shapes_for_one_sample
from edgeport.runtime import load
from edgeport.runtime.cli import main
from edgeport.runtime.errors import ArtefactError

ROOT = Path(__file__).parents[2]
NAMES = ("tiny.float32.tflite", "tiny.int8.tflite", "tiny.float32.onnx", "tiny.int8.onnx")
# The model of tests/data/make_artefacts.py, counted by hand: kernels and biases; outputs times kernel elements.
WEIGHTS = 4 * 4 * 1 * 8 + 3 * 3 * 8 * 12 + 108 * 10
PARAMETERS = WEIGHTS + 8 + 12 + 10
MACS = 7 * 7 * 8 * (4 * 4 * 1) + 7 * 7 * 12 * (3 * 3 * 8) + 10 * 108


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    *,
    shape: tuple[object, ...] = ("n", 4),
    output: str = "y",
    opsets: tuple[str, ...] = ("",),
) -> Path:
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid(each, 17) for each in opsets]), path)
    return path


def quantized(name: str, source: str, scale: str = "scale") -> list[onnx.NodeProto]:
    return [
        helper.make_node("QuantizeLinear", [source, scale, "zero"], [f"{name}_q"]),
        helper.make_node("DequantizeLinear", [f"{name}_q", scale, "zero"], [name]),
    ]


def save_tflite(path: Path, tensors: list[tuple[object, ...]], steps: list[tuple[object, ...]]) -> Path:
    """Write a TFLite file: tensors (name, type, shape, content, scale), steps (type, inputs, outputs)."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    buffers, tables = [schema.BufferT()], []
    for name, kind, shape, content, scale in tensors:
        table = schema.TensorT(name=name, type=getattr(schema.TensorType, kind), shape=[abs(axis) for axis in shape])
        table.shapeSignature = list(shape)
        if content is not None:
            table.buffer = len(buffers)
            buffers.append(schema.BufferT(data=np.frombuffer(content.tobytes(), np.uint8)))
        if scale:
            table.quantization = schema.QuantizationParametersT(scale=[scale], zeroPoint=[0])
        tables.append(table)
    codes, operators = [], []
    for number, (kind, inputs, outputs) in enumerate(steps):
        codes.append(schema.OperatorCodeT(builtinCode=getattr(schema.BuiltinOperator, kind)))
        operators.append(schema.OperatorT(opcodeIndex=number, inputs=inputs, outputs=outputs))
    graph = schema.SubGraphT(tensors=tables, inputs=[0], outputs=[len(tables) - 1], operators=operators)
    model = schema.ModelT(version=3, operatorCodes=codes, subgraphs=[graph], buffers=buffers)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


QDQ = {
    "scale": np.float32(0.5),
    "zero": np.int8(3),
    "w_q": np.ones((4, 6), np.int8),
    "w_scale": np.full(6, 0.1, np.float32),
    "w_zero": np.zeros(6, np.int8),
}
WEIGHT = helper.make_node("DequantizeLinear", ["w_q", "w_scale", "w_zero"], ["w"], axis=1)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_macs_are_those_counted_by_hand(name: str, data: Path) -> None:
    found = inspect(data / name)
    assert found.parameters == PARAMETERS
    assert sum(found.weights.values()) == WEIGHTS
    assert (found.macs, found.macs_unknown, found.graph.one_sample) == (MACS, 0, True)


@pytest.mark.parametrize("name", NAMES)
def test_size_digest_and_metadata_are_those_of_the_manifest(name: str, data: Path) -> None:
    found = inspect(data / name)
    known = next(each for each in json.loads((data / "manifest.json").read_text())["artefacts"] if each["file"] == name)
    assert (found.bytes, found.sha256, found.format) == (known["bytes"], known["sha256"], known["format"])
    assert (found.checksum, found.metadata.precision) == ("intact", known["precision"])
    assert found.metadata.labels == tuple("0123456789")


@pytest.mark.parametrize("name", NAMES)
def test_inputs_and_outputs_are_those_that_the_engine_sees(name: str, data: Path) -> None:
    found, spec = inspect(data / name), load(data / name).spec
    for (tensor,), seen in ((found.graph.inputs, spec.input), (found.graph.outputs, spec.output)):
        assert (tensor.name, tensor.shape, tensor.dtype) == (seen.name, seen.shape, seen.dtype)
        if name.endswith("int8.tflite"):
            assert (tensor.scale, tensor.zero_point) == (seen.scale, seen.zero_point)


def test_a_qdq_file_tells_the_quantization_of_its_float_input(data: Path) -> None:
    found, twin = inspect(data / "tiny.int8.onnx"), inspect(data / "tiny.int8.tflite")
    assert (found.graph.inputs[0].scale, found.graph.inputs[0].zero_point) == (1.0, 0)
    # Both were calibrated on the same images.
    assert found.graph.outputs[0].scale == pytest.approx(twin.graph.outputs[0].scale, rel=1e-3)


@pytest.mark.parametrize("name", NAMES[:2])
def test_tflite_operators_are_those_of_the_interpreter(name: str, data: Path) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(model_path=str(data / name))
    # The interpreter adds what it delegates, so only the operators of the file count.
    seen = [each["op_name"] for each in interpreter._get_ops_details() if each["op_name"] != "DELEGATE"]
    found = inspect(data / name)
    assert found.operator_counts == Counter(seen)
    assert [each.type for each in found.graph.operators] == seen


@pytest.mark.parametrize("name", NAMES[2:])
def test_onnx_operators_and_constants_are_those_of_the_graph(name: str, data: Path) -> None:
    graph, found = onnx.load(data / name).graph, inspect(data / name)
    assert found.operator_counts == Counter(node.op_type for node in graph.node)
    assert found.constant_bytes == sum(numpy_helper.to_array(each).nbytes for each in graph.initializer)
    assert sum(each.bytes for each in found.layers) == found.constant_bytes


def test_constants_belong_to_the_layer_that_computes_with_them(data: Path) -> None:
    # int8 kernels, int32 biases; ONNX adds float32 scales and zero points of each channel, int8 and int32.
    layers = inspect(data / "tiny.int8.tflite").layers
    assert [each.bytes for each in layers[:3]] == [1080 + 40, 864 + 48, 128 + 32]
    assert [each.parameters for each in layers[:3]] == [1090, 876, 136]
    layers = inspect(data / "tiny.int8.onnx").layers
    assert [each.type for each in layers[:3]] == ["Gemm", "Conv", "Conv"]
    assert [each.bytes for each in layers[:3]] == [1080 + 10 * (4 + 4 + 4 + 1 + 4), 864 + 12 * 17, 128 + 8 * 17]
    assert [each.macs for each in layers[:3]] == [1080, 42336, 6272]


@pytest.mark.parametrize(
    ("name", "arithmetic"),
    [
        ("tiny.float32.tflite", "float32, not quantized"),
        ("tiny.float32.onnx", "float32, not quantized"),
        ("tiny.int8.tflite", "int8 weights (scales per channel), int8 activations"),
        ("tiny.int8.onnx", "int8 weights (scales per channel), uint8 activations"),
    ],
)
def test_the_arithmetic_is_reported_in_words(name: str, arithmetic: str, data: Path) -> None:
    assert inspect(data / name).arithmetic == arithmetic


def test_full_integer_tflite_has_no_island_and_qdq_onnx_has_its_first_reshape(data: Path) -> None:
    assert inspect(data / "tiny.int8.tflite").float_islands == ()
    assert [each.name for each in inspect(data / "tiny.int8.onnx").float_islands] == ["reshape_0"]
    assert inspect(data / "tiny.float32.onnx").float_islands == ()


def test_an_operator_between_dequantize_and_quantize_is_integer_and_any_other_an_island(tmp_path: Path) -> None:
    nodes = [
        *quantized("x1", "x"),
        WEIGHT,
        helper.make_node("MatMul", ["x1", "w"], ["product"], name="fused"),
        *quantized("x2", "product"),
        helper.make_node("Tanh", ["x2"], ["bent"], name="first"),
        helper.make_node("Relu", ["bent"], ["cut"], name="second"),
        *quantized("y", "cut"),
    ]
    found = inspect(save(tmp_path / "a.onnx", nodes, QDQ))
    assert found.quantization == "integer"
    assert [each.name for each in found.float_islands] == ["first", "second"]
    kinds = {each.name: each.arithmetic for each in found.graph.operators}
    assert kinds["fused"] == "integer"
    assert {each.arithmetic for each in found.graph.operators if each.type.endswith("Linear")} == {"boundary"}
    assert (found.graph.inputs[0].scale, found.graph.outputs[0].zero_point) == (0.5, 3)
    assert (found.macs, found.parameters) == (4 * 6, 24)
    assert [each.per_channel for each in found.constants if each.weight] == [True]


def test_what_leaves_the_graph_unquantized_is_an_island(tmp_path: Path) -> None:
    nodes = [
        *quantized("x1", "x"),
        WEIGHT,
        helper.make_node("MatMul", ["x1", "w"], ["product"]),
        *quantized("x2", "product"),
        helper.make_node("Softmax", ["x2"], ["y"], name="last"),
    ]
    assert [each.name for each in inspect(save(tmp_path / "a.onnx", nodes, QDQ)).float_islands] == ["last"]


def test_what_leaves_the_graph_and_is_quantized_too_is_an_island(tmp_path: Path) -> None:
    nodes = [*quantized("x1", "x"), WEIGHT, helper.make_node("MatMul", ["x1", "w"], ["product"])]
    assert inspect(save(tmp_path / "a.onnx", [*nodes, *quantized("y", "product")], QDQ)).quantization == "integer"
    nodes += [*quantized("z", "product"), helper.make_node("Relu", ["z"], ["unused"], name="lost")]
    kinds = [
        each.arithmetic for each in inspect(save(tmp_path / "b.onnx", nodes, QDQ, output="product")).graph.operators
    ]
    assert kinds == ["boundary"] * 3 + ["float"] + ["boundary"] * 2 + ["float"]


def test_narrow_weights_alone_are_no_integer_file(tmp_path: Path) -> None:
    found = inspect(save(tmp_path / "a.onnx", [WEIGHT, helper.make_node("MatMul", ["x", "w"], ["y"])], QDQ))
    assert (found.quantization, found.float_islands) == ("weights", ())
    assert found.arithmetic == "int8 weights (scales per channel), float32 activations"


def test_activations_quantized_while_it_runs_are_reported_apart(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "xs", "xz"]),
        helper.make_node("MatMulInteger", ["xq", "w_q", "xz"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["cast", "xs"], ["y"]),
    ]
    found = inspect(save(tmp_path / "a.onnx", nodes, {"w_q": QDQ["w_q"]}))
    assert found.arithmetic == "int8 weights, float32 activations that are quantized while it runs"
    assert (found.macs, found.parameters, found.float_islands) == (24, 24, ())


def test_float16_weights_are_reported(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["half"], ["w"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    found = inspect(save(tmp_path / "a.onnx", nodes, {"half": np.ones((4, 6), np.float16)}))
    assert found.arithmetic == "float16 weights, float32 activations"
    # The Cast works on a constant alone: what it reads is the MatMul's.
    assert [(each.type, each.bytes) for each in found.layers] == [("MatMul", 48), ("Cast", 0)]


def test_the_quantizers_own_operators_are_known(tmp_path: Path) -> None:
    kernel = np.ones((8, 3, 3, 3), np.int8)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["a"]),
        helper.make_node("QLinearConv", ["a", "scale", "zero", "k", "scale", "zero", "scale", "zero"], ["b"]),
        helper.make_node(
            "QLinearAdd", ["b", "scale", "zero", "b", "scale", "zero", "scale", "zero"], ["c"], domain="com.microsoft"
        ),
        helper.make_node("QLinearConv", ["c", "scale", "zero", "k1", "scale", "zero", "scale", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["d", "scale", "zero"], ["y"]),
    ]
    constants = {**QDQ, "k": kernel, "k1": np.ones((2, 8, 1, 1), np.int8)}
    path = save(tmp_path / "a.onnx", nodes, constants, shape=("n", 3, 10, 10), opsets=("", "com.microsoft"))
    found = inspect(path)
    assert (found.macs, found.macs_unknown) == (8 * 8 * 8 * 27 + 2 * 8 * 8 * 8, 0)
    assert (found.quantization, found.float_islands) == ("integer", ())


def test_macs_that_cannot_be_known_are_said_to_be_unknown(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mystery", ["x"], ["m"], domain="acme"),
        helper.make_node("Conv", ["m", "k"], ["y"]),
    ]
    constants = {"k": np.ones((2, 3, 3, 3), np.float32)}
    found = inspect(save(tmp_path / "a.onnx", nodes, constants, shape=("n", 3, 8, 8), opsets=("", "acme")))
    assert (found.macs, found.macs_unknown) == (0, 2)
    assert "unknown for 2 operators" in inspection_text(found, width=100)
    free = inspect(
        save(tmp_path / "b.onnx", [helper.make_node("Conv", ["x", "k"], ["y"])], constants, shape=("n", 3, "h", "w"))
    )
    assert (free.macs, free.macs_unknown) == (0, 1)


@pytest.mark.parametrize(("batch", "factor", "one_sample"), [("n", 1, True), (1, 1, True), (5, 5, False)])
def test_a_free_batch_counts_as_one_sample_and_a_fixed_one_as_it_is(
    batch: object, factor: int, one_sample: bool, tmp_path: Path
) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("ConvTranspose", ["c", "t"], ["u"], strides=[2, 2]),
        helper.make_node("Reshape", ["u", "flat"], ["f"]),
        helper.make_node("Gemm", ["f", "d"], ["y"], transB=1),
    ]
    constants = {
        "k": np.ones((4, 3, 3, 3), np.float32),
        "t": np.ones((4, 2, 2, 2), np.float32),
        "flat": np.array([-1, 2 * 12 * 12]),
        "d": np.ones((7, 288), np.float32),
    }
    found = inspect(save(tmp_path / "a.onnx", nodes, constants, shape=(batch, 3, 6, 6)))
    by_hand = 4 * 6 * 6 * 27 + 4 * 6 * 6 * (2 * 2 * 2) + 288 * 7
    assert (found.macs, found.macs_unknown, found.graph.one_sample) == (factor * by_hand, 0, one_sample)
    assert found.parameters == 108 + 32 + 288 * 7
    assert found.graph.inputs[0].shape == (None if batch == "n" else batch, 3, 6, 6)
    # The file does not state what comes out.
    assert found.graph.outputs[0].shape == (None if batch == "n" else batch, 7)


def test_every_tflite_operator_that_multiplies_is_counted(tmp_path: Path) -> None:
    floats = [
        ("x", (-1, 6, 6, 3), None),
        ("depthwise", (1, 3, 3, 6), np.ones(54, np.float32)),
        ("a", (-1, 4, 4, 6), None),
        ("kernel", (5, 2, 2, 6), np.ones(120, np.float32)),
        ("b", (-1, 8, 8, 5), None),
        ("left", (-1, 2, 8, 20), None),
        ("right", (-1, 2, 20, 8), None),
        ("product", (-1, 2, 8, 8), None),
        ("dense", (7, 8), np.ones(56, np.float32)),
        ("y", (-1, 2, 8, 7), None),
    ]
    tensors = [(name, "FLOAT32", shape, content, 0) for name, shape, content in floats]
    tensors.insert(-1, ("shape", "INT32", (4,), np.array([1, 8, 8, 5], np.int32), 0))
    steps = [
        ("DEPTHWISE_CONV_2D", [0, 1], [2]),
        ("TRANSPOSE_CONV", [9, 3, 2], [4]),
        ("RESHAPE", [4], [5]),
        ("RESHAPE", [4], [6]),
        ("BATCH_MATMUL", [5, 6], [7]),
        ("FULLY_CONNECTED", [7, 8], [10]),
    ]
    found = inspect(save_tflite(tmp_path / "a.tflite", tensors, steps))
    assert [each.macs for each in found.graph.operators] == [
        4 * 4 * 6 * 9,
        4 * 4 * 6 * (5 * 2 * 2),
        0,
        0,
        2 * 8 * 8 * 20,
        2 * 8 * 7 * 8,
    ]
    assert (found.checksum, found.parameters, found.graph.inputs[0].shape) == ("none", 54 + 120 + 56, (None, 6, 6, 3))


def test_a_float_operator_in_an_integer_tflite_file_is_an_island(tmp_path: Path) -> None:
    tensors = [
        ("x", "FLOAT32", (1, 4), None, 0),
        ("xq", "INT8", (1, 4), None, 0.5),
        ("w", "INT8", (6, 4), np.ones(24, np.int8), 0.1),
        ("sum", "INT8", (1, 6), None, 0.5),
        ("real", "FLOAT32", (1, 6), None, 0),
        ("bent", "FLOAT32", (1, 6), None, 0),
        ("y", "INT8", (1, 6), None, 0.25),
    ]
    steps = [
        ("QUANTIZE", [0], [1]),
        ("FULLY_CONNECTED", [1, 2, -1], [3]),
        ("DEQUANTIZE", [3], [4]),
        ("EXP", [4], [5]),
        ("QUANTIZE", [5], [6]),
    ]
    found = inspect(save_tflite(tmp_path / "a.tflite", tensors, steps))
    assert [each.type for each in found.float_islands] == ["EXP"]
    assert [each.arithmetic for each in found.graph.operators] == [
        "boundary",
        "integer",
        "boundary",
        "float",
        "boundary",
    ]
    assert (found.arithmetic, found.graph.outputs[0].scale) == ("int8 weights, int8 activations", 0.25)
    assert re.search(r"in floats +1 of 2 operators: EXP bent\n", inspection_text(found, width=100))


def test_a_dynamic_range_tflite_file_has_int8_weights_and_float_activations(tmp_path: Path) -> None:
    tensors = [
        ("words", "INT32", (-1, 2), None, 0),
        ("table", "INT8", (9, 4), np.ones(36, np.int8), 0.1),
        ("rows", "INT8", (-1, 2, 4), None, 0.1),
        ("real", "FLOAT32", (-1, 2, 4), None, 0),
        ("w", "INT8", (6, 4), np.ones(24, np.int8), 0.1),
        ("y", "FLOAT32", (-1, 2, 6), None, 0),
    ]
    steps = [("GATHER", [1, 0], [2]), ("DEQUANTIZE", [2], [3]), ("FULLY_CONNECTED", [3, 4], [5])]
    found = inspect(save_tflite(tmp_path / "a.tflite", tensors, steps))
    # Reading rows of integers computes nothing; the dense layer decides.
    assert (found.arithmetic, found.quantization) == ("int8 weights, float32 activations", "weights")
    assert (found.parameters, found.macs, found.macs_unknown, found.float_islands) == (60, 48, 0, ())


def test_a_free_axis_of_tflite_is_followed_and_never_guessed() -> None:
    signatures = [(None, 8, 8, 2), (None, 5, 5, 2), (3, 3, 2, 4), (None, 3, 3, 4), (None, 8), (None, 8), (2,)]
    steps = [
        LinkedOperator("SPACE_TO_BATCH_ND", (0, 6), (1,)),
        LinkedOperator("CONV_2D", (1, 2, -1), (3,)),
        LinkedOperator("RESHAPE", (3,), (4,)),
        LinkedOperator("CUSTOM what", (4,), (5,)),
    ]
    shapes = shapes_for_one_sample(signatures, steps, given={0: (1, 8, 8, 2)}, constants={2: (), 6: (2, 2)})
    assert [shape[0] for shape in shapes[:6]] == [1, 4, 3, 4, 4 * 3 * 3 * 4 // 8, None]


def test_a_file_without_metadata_is_foreign_and_one_with_a_wrong_checksum_altered(data: Path, tmp_path: Path) -> None:
    model = onnx.load(data / "tiny.float32.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    found = inspect(tmp_path / "foreign.onnx")
    assert (found.checksum, found.metadata, found.macs) == ("none", None, MACS)
    content = (data / "tiny.int8.tflite").read_bytes()
    for old, new in ((b'"labels":["0"', b'"labels":["7"'), (b'"calibration":{', b'"calibration":[')):
        (tmp_path / "altered.tflite").write_bytes(content.replace(old, new))
        found = inspect(tmp_path / "altered.tflite")
        assert found.checksum == "altered"
        assert "ALTERED" in inspection_text(found, width=100)
    assert found.metadata is None


@pytest.mark.parametrize("depth", [3, 100_000])
def test_metadata_of_nonsense_is_no_bug(depth: int, data: Path, tmp_path: Path) -> None:
    model = onnx.load(data / "tiny.float32.onnx")
    metadata = model.metadata_props[0]
    metadata.value = re.sub(r'"versions":{.*?}', f'"versions":{{"a":{"[" * depth}{"]" * depth}}}', metadata.value)
    onnx.save(model, tmp_path / "a.onnx")
    found = inspect(tmp_path / "a.onnx")
    assert (found.checksum, found.metadata) == ("altered", None)


@pytest.mark.parametrize("name", NAMES)
def test_the_json_goes_round_and_sums_up(name: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(data / name), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == to_document(inspect(data / name))
    assert found["sha256"] == hashlib.sha256((data / name).read_bytes()).hexdigest()
    assert sum(layer["macs"] for layer in found["layers"]) == found["macs"] == MACS
    assert sum(layer["bytes"] for layer in found["layers"]) == found["constant_bytes"]
    assert len(found["layers"]) == sum(found["operators"].values())
    assert [layer["bytes"] for layer in found["layers"]] == sorted(
        (layer["bytes"] for layer in found["layers"]), reverse=True
    )
    assert found["outputs"][0]["shape"][-1] == 10
    assert (found["inputs"][0]["scale"], found["inputs"][0]["zero_point"]) == (
        (None, None) if "int8" not in name else (1, -128) if name.endswith("tflite") else (1, 0)
    )
    assert found["metadata"]["versions"]["edgeport"]


def test_every_key_of_the_json_is_documented(data: Path) -> None:
    found = to_document(inspect(data / "tiny.int8.onnx"))
    text = (ROOT / "docs/guides/inspect.md").read_text().partition("## Opening an untrusted file")[0]
    rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert rows[: len(found)] == list(found)
    layer = found["layers"][0]
    assert rows[len(found) :] == [*layer, *layer["constants"][0]]


@pytest.mark.parametrize("name", NAMES)
def test_the_text_is_short_plain_and_in_100_columns(name: str, data: Path) -> None:
    command = [sys.executable, "-m", "edgeport.runtime.cli", "inspect", str(data / name)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert len(lines) < 50
    assert all(len(line) <= 100 and line == line.rstrip() and line.replace("─", "").isascii() for line in lines)
    assert "\x1b" not in ended.stdout
    assert any(re.fullmatch(rf"MACs +{MACS:,} for one sample", line) for line in lines)


def test_the_transcript_in_the_readme_is_true(data: Path) -> None:
    shown = re.search(r"\$ edgeport inspect (\S+)\n(.*?)```", (ROOT / "docs/guides/inspect.md").read_text(), re.DOTALL)
    lines = inspection_text(inspect(ROOT / shown[1]), width=100).splitlines()
    assert not set(shown[2].replace(shown[1], str(ROOT / shown[1])).splitlines()) - {"...", *lines}


def test_names_from_a_file_cannot_command_the_terminal_nor_break_the_table(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="\x1b[2Jshort"),
        helper.make_node("Relu", ["a"], ["y"], name="long" * 100 + "/end"),
    ]
    text = inspection_text(inspect(save(tmp_path / "a.onnx", nodes, {})), width=80)
    assert "?[2Jshort" in text
    assert re.search(r" \.\.\.\w+/end ", text)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.tflite", None, "cannot read"),
        ("folder.onnx", ..., "Is a directory"),
        ("a.bin", b"TFL3", "ends with .tflite or .onnx"),
        ("a.tflite", b"", "is no tflite file"),
        ("a.tflite", b"\0\0\0\0TFL3", "cannot be read as a TFLite file"),
        ("a.tflite", b"\xff" * 4 + b"TFL3" + b"\xff" * 500, "cannot be read as a TFLite file"),
        ("a.onnx", b"", "cannot be read as an ONNX file"),
        ("a.onnx", b"A model, honestly.", "cannot be read as an ONNX file"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    name: str, content: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if content is ...:
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    assert main(["inspect", str(path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["a.ort", "a.onnx", "a.tflite"])
def test_onnxruntimes_own_format_is_recognised(
    name: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "made.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(data / "tiny.float32.onnx", options, providers=["CPUExecutionProvider"])
    path = (tmp_path / "made.ort").rename(tmp_path / name)
    for command in (["inspect", str(path)], ["predict", str(path), str(data / "golden.npz")]):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert f"{name} is in onnxruntime's own format (ORT), which onnxruntime alone reads" in error
        assert error.count("\n") == 1
    with pytest.raises(ArtefactError, match=r"the artefact is in onnxruntime's own format .* take the \.onnx file"):
        load(path.read_bytes(), verify=False)
    if name == "a.ort":
        assert main(["inspect", str(path), "--probe"]) == 2
        assert "a.ort: a name in .ort is that of onnxruntime's own format" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_refused_or_seen_and_never_a_crash(name: str, data: Path, tmp_path: Path) -> None:
    content, draw = (data / name).read_bytes(), random.Random(0)
    path = tmp_path / name
    refused = 0
    for attempt in range(120):
        damaged = bytearray(content)
        for _ in range(draw.randint(1, 64)):
            damaged[draw.randrange(len(damaged))] ^= draw.randint(1, 255)
        path.write_bytes(damaged[: draw.randrange(len(damaged))] if attempt % 4 == 0 else damaged)
        try:
            found = inspect(path)
        except ArtefactError:
            refused += 1
            continue
        assert found.checksum != "intact"
        assert isinstance(found, Inspection)
        json.dumps(to_document(found), allow_nan=False)
        inspection_text(found, width=100)
    assert refused > 60


def test_an_absurd_length_in_a_flatbuffer_is_refused_at_once(data: Path, tmp_path: Path) -> None:
    content = bytearray((data / "tiny.float32.tflite").read_bytes())
    # The root table's field 2 is the list of graphs; its length stands in front of it.
    root = int.from_bytes(content[:4], "little")
    table = root - int.from_bytes(content[root : root + 4], "little", signed=True)
    field = root + int.from_bytes(content[table + 8 : table + 10], "little")
    length = field + int.from_bytes(content[field : field + 4], "little")
    assert content[length : length + 4] == b"\1\0\0\0"
    content[length : length + 4] = b"\xff\xff\xff\x7f"
    (tmp_path / "a.tflite").write_bytes(content)
    with pytest.raises(ArtefactError, match="a list of 2147483647 entries"):
        inspect(tmp_path / "a.tflite")


@pytest.mark.parametrize("name", ["tiny.int8.tflite", "tiny.int8.onnx"])
def test_neither_tensorflow_nor_an_engine_is_started(name: str, data: Path) -> None:
    code = (
        "import sys; from edgeport.export.inspection import inspect; inspect(sys.argv[1]); "
        "print(*{'tensorflow', 'keras', 'onnxruntime', 'ai_edge_litert.interpreter', 'tf2onnx'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code, data / name], capture_output=True, text=True, check=True)
    assert found.stdout == "\n"
