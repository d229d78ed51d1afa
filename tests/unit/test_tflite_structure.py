"""The structure check: takes what converters write, and refuses in one line what would take an engine down."""

import copy
import math
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeport.export.tflite.standard_metadata import embed_standard_metadata
from edgeport.runtime import ArtefactError, load
from edgeport.runtime.artefact.foreign.flatbuffer import Walk
from edgeport.runtime.artefact.foreign.tflite import check_structure
from edgeport.runtime.artefact.foreign.tflite_schema import BITS, CALLS, NEEDS, TABLES, UNIONS, fields_of, members_of

TINY = Path(__file__).parents[1] / "data" / "tiny.float32.tflite"
CONTENT = TINY.read_bytes()
SIZES = {"Bool": 1, "Int8": 1, "Uint8": 1, "Uint16": 2, "Int32": 4, "Uint32": 4, "Float32": 4, "Int64": 8, "Uint64": 8}
LETTERS = {1: "bB", 2: "hH", 4: "iIf", 8: "qQ"}


def packed(model: Any) -> bytes:
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def changed(change: Callable[[Any], object]) -> bytes:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(CONTENT))
    change(model)
    return packed(model)


def refused(content: bytes) -> str:
    with pytest.raises(ArtefactError) as caught:
        check_structure(content, name="x.tflite")
    message = str(caught.value)
    assert message.startswith("x.tflite is damaged, or made to do harm: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["tiny.float32.tflite", "tiny.int8.tflite"])
def test_our_own_files_are_sound(data: Path, name: str) -> None:
    check_structure((data / name).read_bytes(), name=name)


def test_a_repacked_file_and_one_with_metadata_and_an_archive_behind_are_sound() -> None:
    check_structure(changed(lambda model: None), name="x")
    described = embed_standard_metadata(CONTENT, name="x", labels=["a", "b"], input_range=(0, 1), channels=1)
    assert described.endswith(bytes(2))
    check_structure(described, name="x")


def set_to(path: str, value: object) -> Callable[[Any], None]:
    """Return a change that sets what the path leads to."""

    def change(model: Any) -> None:
        *steps, last = re.findall(r"\w+", path)
        for step in steps:
            model = model[int(step)] if step.isdigit() else getattr(model, step)
        setattr(model, last, value)

    return change


FIRST = "subgraphs.0.operators.0"
HOSTILE = {
    "version": (set_to("version", 2), "schema is version 2"),
    "no graph": (set_to("subgraphs", []), "it has no graph"),
    "no operator codes": (set_to("operatorCodes", None), "no operator_codes"),
    "no buffers": (set_to("buffers", None), "no buffers"),
    "operator code": (set_to(f"{FIRST}.opcodeIndex", 99), "an operator is number 99 of 5"),
    "input of operator": (set_to(f"{FIRST}.inputs", [14, 7, 2]), "input is number 14 of 14"),
    "input below -1": (set_to(f"{FIRST}.inputs", [-2, 7, 2]), "input is number -2"),
    "output of operator": (set_to(f"{FIRST}.outputs", [-1]), "output is number -1"),
    "intermediate": (set_to(f"{FIRST}.intermediates", [99]), "intermediate is number 99"),
    "input of graph": (set_to("subgraphs.0.inputs", [-1]), "an input is number -1"),
    "output of graph": (set_to("subgraphs.0.outputs", [2**31 - 1]), "an output is number 2147483647"),
    "unwritten input": (set_to(f"{FIRST}.inputs", [12, 7, 2]), "reads a tensor that nothing has written"),
    "unwritten output": (set_to("subgraphs.0.operators", []), "output is a tensor that nothing has written"),
    "write to a constant": (set_to(f"{FIRST}.outputs", [1]), "writes to a constant"),
    "written twice": (set_to("subgraphs.0.operators.1.outputs", [8]), "what another has written"),
    "buffer": (set_to("subgraphs.0.tensors.0.buffer", 10**6), "tensor's buffer is number 1000000"),
    "negative axis": (set_to("subgraphs.0.tensors.0.shape", [1, -28, 28, 1]), "below 0"),
    "many axes": (set_to("subgraphs.0.tensors.0.shape", [1] * 33), "33 axes"),
    "huge": (set_to("subgraphs.0.tensors.0.shape", [2**30, 2**30, 1, 1]), "too large"),
    "signature": (set_to("subgraphs.0.tensors.0.shapeSignature", [-7]), "not -1"),
    "type": (set_to("subgraphs.0.tensors.0.type", 99), "unknown type 99"),
    "constant's length": (set_to("subgraphs.0.tensors.1.shape", [13]), "52 bytes has 48 stored"),
    "buffer behind the end": (set_to("buffers.1.offset", 2**63), "outside the file"),
    "metadata": (set_to("metadata.0.buffer", 99), "metadata is number 99"),
    "metadata without name": (set_to("metadata.0.name", None), "metadata has no name"),
    "no options": (set_to(f"{FIRST}.builtinOptions", None), "lacks its options"),
    "no stride": (set_to(f"{FIRST}.builtinOptions.strideW", 0), "no step"),
    "negative stride": (set_to(f"{FIRST}.builtinOptions.strideH", -(2**31)), "no step"),
    "channels": (set_to("subgraphs.0.tensors.0.shape", [1, 28, 28, 47]), "another number of channels"),
    "wrong size": (set_to(f"{FIRST}.builtinOptions.strideH", 60), "output of another size"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_numbers_that_mean_nothing_are_refused(case: str) -> None:
    change, expected = HOSTILE[case]
    assert expected in refused(changed(change))


@pytest.mark.parametrize(
    ("scales", "zeros", "axis", "expected"),
    [
        ([0.1, 0.2], [0, 0], 0, "2 scales for axis 0"),
        ([0.1] * 28, [0] * 28, 4, "28 scales for axis 4"),
        ([0.1] * 28, [0] * 28, -1, "28 scales for axis -1"),
        ([0.1], [0, 0], 0, "1 scales and 2 zero points"),
        ([math.nan], [0], 0, "no number"),
        ([-1.0], [0], 0, "negative"),
        ([0.1], [2**40], 0, "zero point"),
    ],
)
def test_scales_fit_their_tensor(scales: list[float], zeros: list[int], axis: int, expected: str) -> None:
    def change(model: Any) -> None:
        tensor = model.subgraphs[0].tensors[0]
        tensor.type = schema.TensorType.INT8
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = scales, zeros
        tensor.quantization.quantizedDimension = axis

    assert expected in refused(changed(change))


def calling(*called: int) -> Callable[[Any], None]:
    """Return a change that adds graphs, of which each runs the one that is named, below 0 none."""

    def change(model: Any) -> None:
        code = schema.OperatorCodeT()
        code.deprecatedBuiltinCode, code.builtinCode = 127, schema.BuiltinOperator.CALL_ONCE
        model.operatorCodes.append(code)
        for target in called:
            graph, operator = schema.SubGraphT(), schema.OperatorT()
            operator.opcodeIndex = len(model.operatorCodes) - 1
            operator.builtinOptionsType = schema.BuiltinOptions.CallOnceOptions
            operator.builtinOptions = schema.CallOnceOptionsT()
            operator.builtinOptions.initSubgraphIndex = target
            graph.operators = [operator] if target >= 0 else []
            model.subgraphs.append(graph)

    return change


def test_graphs_may_run_others_but_not_in_a_circle() -> None:
    check_structure(changed(calling(2, -1)), name="x")
    assert "a call is number 3 of 2" in refused(changed(calling(3)))
    for circle in ((1,), (2, 1), (2, 3, 1)):
        assert "in a circle" in refused(changed(calling(*circle)))
    check_structure(changed(calling(*range(2, 60), -1)), name="x")
    assert "more than 64 deep" in refused(changed(calling(*range(2, 80), -1)))


def test_a_signature_names_what_exists() -> None:
    def change(index: int, graph: int = 0, key: str | None = "serve") -> Callable[[Any], None]:
        def add(model: Any) -> None:
            signature, tensor = schema.SignatureDefT(), schema.TensorMapT()
            signature.signatureKey, signature.subgraphIndex, signature.inputs = key, graph, [tensor]
            tensor.name, tensor.tensorIndex = "x", index
            model.signatureDefs = [signature]

        return add

    check_structure(changed(change(0)), name="x")
    assert "signature is number 14" in refused(changed(change(14)))
    assert "number 1 of 1" in refused(changed(change(0, graph=1)))
    assert "no name" in refused(changed(change(0, key=None)))


def texts(*numbers: int, tail: bytes) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        tensor, buffer = schema.TensorT(), schema.BufferT()
        tensor.type, tensor.shape, tensor.buffer = schema.TensorType.STRING, [2], len(model.buffers)
        buffer.data = list(struct.pack(f"<{len(numbers)}i", *numbers) + tail)
        model.buffers.append(buffer)
        model.subgraphs[0].tensors.append(tensor)

    return change


def test_tensors_of_texts_hold_what_they_say() -> None:
    check_structure(changed(texts(2, 16, 17, 19, tail=b"abc")), name="x")
    for numbers in ((3, 16, 17, 19), (2, 16, 17, 20), (2, 0, 17, 19), (2, 16, 19, 17), (2, -1, 17, 19), (2, 16)):
        assert "texts" in refused(changed(texts(*numbers, tail=b"abc")))


def sparse(model: Any, **facts: object) -> None:
    tensor = model.subgraphs[0].tensors[5]
    tensor.sparsity = schema.SparsityParametersT()
    dense, packed_axis = schema.DimensionMetadataT(), schema.DimensionMetadataT()
    dense.denseSize = 10
    packed_axis.format = 1
    packed_axis.arraySegmentsType = packed_axis.arrayIndicesType = schema.SparseIndexVector.Int32Vector
    packed_axis.arraySegments, packed_axis.arrayIndices = schema.Int32VectorT(), schema.Int32VectorT()
    packed_axis.arraySegments.values = facts.get("segments", [0, 1, 2])
    packed_axis.arrayIndices.values = facts.get("indices", [5, 107])
    tensor.sparsity.traversalOrder = facts.get("order", [0, 1])
    tensor.sparsity.dimMetadata = [dense, packed_axis]


@pytest.mark.parametrize(
    "facts", [{"order": [0, 0]}, {"order": [0]}, {"segments": [0, 3, 2]}, {"segments": [0, 3]}, {"indices": [5, 10**9]}]
)
def test_sparse_tensors_stay_inside_their_shape(facts: dict[str, object]) -> None:
    check_structure(changed(lambda model: sparse(model)), name="x")
    assert "sparse" in refused(changed(lambda model: sparse(model, **facts)))


def patched(position: int, layout: str, value: int) -> bytes:
    content = bytearray(CONTENT)
    struct.pack_into(f"<{layout}", content, position, value)
    return bytes(content)


def test_offsets_stay_inside_the_file() -> None:
    root = struct.unpack_from("<I", CONTENT)[0]
    vtable = root - struct.unpack_from("<i", CONTENT, root)[0]
    graphs = root + struct.unpack_from("<H", CONTENT, vtable + 4 + 2 * 2)[0]
    for content in (
        b"",
        CONTENT[:7],
        b"\0" * 4 + b"TFL3" + bytes(8),
        patched(0, "I", 0),
        patched(0, "I", 2**32 - 1),
        patched(0, "I", root + 2),
        patched(root, "i", -(2**31)),
        patched(root, "i", 2**31 - 1),
        patched(vtable, "H", 0xFFFE),
        patched(vtable, "H", 5),
        patched(vtable + 2, "H", 0xFFFF),
        patched(vtable + 4, "H", 0x7FFF),
        patched(graphs, "I", 0),
        patched(graphs, "I", 2**31),
    ):
        refused(content)


def test_numbers_are_aligned() -> None:
    root = struct.unpack_from("<I", CONTENT)[0]
    vtable = root - struct.unpack_from("<i", CONTENT, root)[0]
    for content in (patched(root, "i", root - vtable - 1), patched(vtable + 4, "H", 5)):
        assert "not aligned" in refused(content)


def test_a_list_longer_than_the_file_is_refused() -> None:
    root = struct.unpack_from("<I", CONTENT)[0]
    vtable = root - struct.unpack_from("<i", CONTENT, root)[0]
    for number in (1, 2, 4, 6):
        field = root + struct.unpack_from("<H", CONTENT, vtable + 4 + 2 * number)[0]
        place = field + struct.unpack_from("<I", CONTENT, field)[0]
        for count in (2**32 - 1, 2**30, len(CONTENT)):
            assert f"{count} entries" in refused(patched(place, "I", count))


def test_a_text_without_an_end_is_refused() -> None:
    place = CONTENT.index(b"MLIR Converted.") + len("MLIR Converted.")
    assert CONTENT[place] == 0
    assert "does not end" in refused(patched(place, "B", 1))


def test_tables_that_are_used_often_do_not_multiply_the_work() -> None:
    def change(model: Any) -> None:
        graph = model.subgraphs[0]
        long, short = copy.copy(graph.operators[0]), copy.copy(graph.operators[0])
        long.opcodeIndex = short.opcodeIndex = 4
        long.outputs, short.outputs, graph.outputs = [], [], [0]
        long.inputs, short.inputs = [0] * 20_000, [0]
        graph.operators = [long, *[short] * 500]

    check_structure(content := changed(change), name="x")
    graph = schema.Model.GetRootAs(content).Subgraphs(0)
    place = graph._tab.Vector(graph._tab.Offset(10))
    longest = place + struct.unpack_from("<I", content, place)[0]
    entries = struct.pack("<500I", *(longest - place - 4 * index for index in range(1, 501)))
    assert "overlap" in refused(content[: place + 4] + entries + content[place + 4 + len(entries) :])


def test_whatever_is_damaged_the_error_is_ours() -> None:
    rng = random.Random(0)
    noted: set[int] = set()

    class Noted(Walk):
        def _number(self, code: str, position: int) -> Any:
            noted.update(range(position, position + struct.calcsize(code)))
            return super()._number(code, position)

    Noted(CONTENT, name="x").root("Model", b"TFL3")
    places = sorted(noted)
    outcomes = set()
    for _ in range(1500):
        damaged = bytearray(CONTENT)
        for _ in range(rng.choice((1, 1, 4))):
            damaged[rng.choice(places)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        try:
            check_structure(bytes(damaged), name="x")
            outcomes.add("sound")
        except ArtefactError:
            outcomes.add("refused")
    assert outcomes == {"sound", "refused"}


CLASSES = dict(re.findall(r"^class (\w+)\(.*?\):\n(.*?)(?=^class |\Z)", Path(schema.__file__).read_text(), re.M | re.S))


def layout(table: str) -> dict[int, tuple[int | str, bool]]:
    """Return for each field of a generated class its size or kind, and whether it is a list, by field number."""
    found: dict[int, tuple[int | str, bool]] = {}
    for name, source in re.findall(r"    def (\w+)\(self.*?\):\n(.*?)(?=\n    def |\n    # |\Z)", CLASSES[table], re.S):
        offset = re.search(r"_tab\.Offset\((\d+)\)\)", source)
        if not offset or name.endswith(("AsNumpy", "Length", "IsNone")):
            continue
        number = re.search(r"_tab\.Get\(flatbuffers\.number_types\.(\w+?)Flags", source)
        inner = re.search(r"obj = (\w+)\(\)", source)
        kind = SIZES[number[1]] if number else "s" if "_tab.String(" in source else inner[1] if inner else "union"
        if "_tab.Union" in source:
            kind = "union"
        found[(int(offset[1]) - 4) // 2] = (kind, "_tab.Vector(" in source)
    return found


def agrees(ours: str, theirs: tuple[int | str, bool]) -> bool:
    kind, is_list = theirs
    inner = ours.strip("[]")
    right = inner in LETTERS[kind] if isinstance(kind, int) else inner == kind or (kind == "union" and inner[0] == "<")
    return right and is_list == ours.startswith("[")


def members(enum: str) -> dict[int, str]:
    return {number: name for name, number in vars(getattr(schema, enum)).items() if isinstance(number, int)}


def test_the_tables_are_those_of_the_schema() -> None:
    pairs = [(table, fields_of(table)) for table in TABLES]
    for union in UNIONS:
        names = members(union)
        assert len(members_of(union)) == len(names) - 1
        pairs += [(names[number], fields) for number, fields in enumerate(members_of(union), start=1)]
    for table, fields in pairs:
        theirs = layout(table)
        assert {number for number, (_, kind) in enumerate(fields) if kind != "-"} == set(theirs), table
        for number, expected in theirs.items():
            assert agrees(fields[number][1], expected), (table, fields[number], expected)


def test_numbers_that_stand_for_names_are_those_of_the_schema() -> None:
    options, operators = members("BuiltinOptions"), members("BuiltinOperator")
    assert {operators[code]: options[member] for code, (member, _) in NEEDS.items()} == {
        "AVERAGE_POOL_2D": "Pool2DOptions", "L2_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions",
        "CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
        "TRANSPOSE_CONV": "TransposeConvOptions", "CONV_3D": "Conv3DOptions", "CONV_3D_TRANSPOSE": "Conv3DOptions",
        "SPACE_TO_DEPTH": "SpaceToDepthOptions", "DEPTH_TO_SPACE": "DepthToSpaceOptions",
        "CALL": "CallOptions", "IF": "IfOptions", "WHILE": "WhileOptions", "CALL_ONCE": "CallOnceOptions",
    }  # fmt: skip
    for field, enum in (("options", "BuiltinOptions"), ("options_2", "BuiltinOptions2")):
        names = members(enum)
        naming = {
            number
            for number, name in names.items()
            if number and re.search(r"def \w*(Subgraph|CalledComputations)\w*\(self", CLASSES[name])
        }  # fmt: skip
        assert naming == set(CALLS[field])
    assert len(BITS) == len(members("TensorType"))


@pytest.mark.parametrize("case", HOSTILE)
def test_load_refuses_what_is_trusted_and_not_sound(case: str) -> None:
    with pytest.raises(ArtefactError, match="is damaged, or made to do harm"):
        load(changed(HOSTILE[case][0]), verify=False)
