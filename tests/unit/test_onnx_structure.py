"""External data of ONNX files: found wherever it hides, read from the model's own folder alone, and put inside."""

import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgeport.runtime import ArtefactError, load
from edgeport.runtime.artefact.foreign.onnx import sound_content

WEIGHTS = np.arange(12, dtype=np.float32)
FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL


def tensor(name: str, location: str | None = None, **entries: object) -> TensorProto:
    made: TensorProto = helper.make_tensor(name, FLOAT, [12], WEIGHTS.tobytes(), raw=True)
    if location is not None:
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **entries}.items():
            made.external_data.add(key=key, value=str(value))
    return made


def graph(nodes: list[onnx.NodeProto], *initializers: TensorProto) -> onnx.GraphProto:
    x, y = (helper.make_tensor_value_info(name, FLOAT, [12]) for name in "xy")
    return helper.make_graph(nodes, "g", [x], [y], initializers)


def model(made: onnx.GraphProto) -> onnx.ModelProto:
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def adding(weights: TensorProto) -> bytes:
    content: bytes = model(graph([helper.make_node("Add", ["x", "w"], ["y"])], weights)).SerializeToString()
    return content


def answer(content: bytes) -> list[float]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    result: list[float] = session.run(None, {"x": np.zeros(12, np.float32)})[0].tolist()
    return result


def branch(node: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph([node], "b", [], [helper.make_tensor_value_info("y", FLOAT, [12])])


def hidden() -> dict[str, onnx.ModelProto]:
    """Return models that keep a tensor in ``a.bin``, each in another place."""
    far = tensor("w", "a.bin")
    constant = helper.make_node("Constant", [], ["y"], value=far)
    two = helper.make_node("Two", ["x"], ["y"], domain="d")
    two.attribute.append(helper.make_attribute("many", [tensor("v"), far]))
    sparse = helper.make_sparse_tensor(far, helper.make_tensor("i", TensorProto.INT64, [12], range(12)), [20])
    swapped = helper.make_sparse_tensor(tensor("v"), far, [20])
    sparse_constant = helper.make_node("Constant", [], ["y"], sparse_value=sparse)
    lists = helper.make_node("Two", ["x"], ["y"], domain="d")
    lists.attribute.append(helper.make_attribute("many", [sparse]))
    either = helper.make_node("If", ["c"], ["y"], then_branch=branch(constant), else_branch=branch(two))
    nested = helper.make_node("If", ["c"], ["y"], then_branch=branch(either), else_branch=branch(two))
    made = {name: model(graph([node])) for name, node in (
        ("attribute", constant), ("attribute list", two), ("sparse attribute", sparse_constant),
        ("sparse attribute list", lists), ("branch", either), ("branch in branch", nested),
    )}  # fmt: skip
    made["graph list"] = model(graph([helper.make_node("Two", ["x"], ["y"], domain="d")]))
    made["graph list"].graph.node[0].attribute.append(helper.make_attribute("many", [branch(constant)]))
    made["initializer"] = model(graph([], tensor("v"), far))
    for name, value in (("sparse initializer", sparse), ("sparse indices", swapped)):
        made[name] = model(graph([]))
        made[name].graph.sparse_initializer.append(value)
    for name in ("function", "function default"):
        made[name] = model(graph([]))
        function = helper.make_function("d", "F", [], ["y"], [], [helper.make_opsetid("", 17)])
        if name == "function":
            function.node.append(constant)
        else:
            function.attribute_proto.append(helper.make_attribute("w", far))
        made[name].functions.append(function)
    for field in ("initialization", "algorithm"):
        made[f"training {field}"] = model(graph([]))
        getattr(made[f"training {field}"].training_info.add(), field).CopyFrom(graph([constant]))
    return made


@pytest.mark.parametrize("place", hidden())
def test_external_data_is_found_and_put_inside_wherever_it_hides(place: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(WEIGHTS.tobytes())
    content = hidden()[place].SerializeToString()
    assert "a.bin" in refused(content, None)
    whole = sound_content(content, name="m.onnx", folder=tmp_path)
    assert sound_content(whole, name="m.onnx", folder=None) is whole
    expected = hidden()[place].SerializeToString().replace(tensor("w", "a.bin").SerializeToString(), b"")
    assert b"a.bin" not in whole
    assert b"a.bin" not in expected
    assert onnx.load_model_from_string(whole).ByteSize() == len(whole)
    assert WEIGHTS.tobytes() in whole


@pytest.mark.parametrize("name", ["tiny.float32.onnx", "tiny.int8.onnx"])
def test_a_complete_file_stays_as_it_is(data: Path, name: str) -> None:
    content = (data / name).read_bytes()
    assert sound_content(content, name=name, folder=None) is content


def test_the_engine_answers_with_what_was_put_inside_and_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.bin").write_bytes(b"\7" * 8 + WEIGHTS.tobytes() + b"\7" * 8)
    content = adding(tensor("w", "./sub//a.bin", offset=8, length=48))
    whole = sound_content(content, name="m.onnx", folder=tmp_path)
    (tmp_path / "sub" / "a.bin").unlink()
    monkeypatch.chdir(tmp_path)
    assert answer(whole) == WEIGHTS.tolist()
    with pytest.raises(Exception, match=r"a\.bin"):
        answer(content)


def test_without_a_length_a_tensor_goes_to_the_end_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\7" * 4 + WEIGHTS.tobytes())
    whole = sound_content(adding(tensor("w", "a.bin", offset=4)), name="m.onnx", folder=tmp_path)
    assert answer(whole) == WEIGHTS.tolist()


def refused(content: bytes, folder: Path | None) -> str:
    with pytest.raises(ArtefactError) as caught:
        sound_content(content, name="m.onnx", folder=folder)
    message = str(caught.value)
    assert message.startswith("m.onnx ")
    assert "\n" not in message
    return message


def link(folder: Path) -> None:
    (folder / "a.bin").symlink_to(folder.parent / "secret.bin")


def hard_link(folder: Path) -> None:
    os.link(folder.parent / "secret.bin", folder / "a.bin")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "a.bin")


def linked_folder(folder: Path) -> None:
    (folder / "sub").symlink_to(folder.parent)


HOSTILE: dict[str, tuple[str, Callable[[Path], object] | None, str]] = {
    "parent": ("../secret.bin", None, "leads out"),
    "parent on the way": ("sub/../../secret.bin", None, "leads out"),
    "absolute": ("/etc/passwd", None, "leads out"),
    "backslash": ("..\\secret.bin", None, "leads out"),
    "zero": ("a.bin\0", None, "leads out"),
    "empty": ("", None, "names no file"),
    "itself": ("./.", None, "names no file"),
    "link": ("a.bin", link, "without following a link"),
    "folder that is a link": ("sub/secret.bin", linked_folder, "without following a link"),
    "hard link": ("a.bin", hard_link, "2 names"),
    "folder": ("a.bin", lambda folder: (folder / "a.bin").mkdir(), "no plain file"),
    "pipe": ("a.bin", pipe, "no plain file"),
    "missing": ("a.bin", None, "No such file"),
    "file as folder": ("m.onnx/a.bin", None, "without following a link"),
    "address in memory": ("*/_ORT_MEM_ADDR_/*", None, "No such file"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_outside_of_the_folder_or_none_is_refused(case: str, tmp_path: Path) -> None:
    location, prepare, expected = HOSTILE[case]
    (tmp_path / "secret.bin").write_bytes(WEIGHTS.tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "m.onnx").touch()
    if prepare:
        prepare(folder)
    assert expected in refused(adding(tensor("w", location)), folder)


@pytest.mark.parametrize(
    "entries",
    [{"offset": 1}, {"offset": 49}, {"length": 49}, {"offset": 2**62}, {"offset": -1}, {"offset": "x"},
     {"length": "-0"}, {"length": "9" * 5000}, {"offset": "\u0663"}],
)  # fmt: skip
def test_a_part_outside_of_the_file_is_refused(entries: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(WEIGHTS.tobytes())
    content = adding(tensor("w", "a.bin", **{"length": 48, **entries}))
    assert "expected bytes" in (printed := refused(content, tmp_path)) or "is no number" in printed


def test_a_model_given_as_bytes_has_no_folder() -> None:
    assert "given as bytes" in refused(adding(tensor("w", "a.bin")), None)


def test_what_refers_to_the_same_file_often_cannot_fill_the_memory(tmp_path: Path) -> None:
    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(3 << 30)
    assert "at most 2 GiB" in refused(adding(tensor("w", "a.bin")), tmp_path)
    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(1 << 20)
    many = model(graph([], *[tensor(f"w{number}", "a.bin") for number in range(2100)]))
    content = many.SerializeToString()
    assert "larger than 2 GiB" in refused(content, tmp_path)


def field(number: int, value: bytes) -> bytes:
    head = bytearray([number << 3 & 0x7F | 2 | 0x80, number >> 4])
    length = len(value)
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*head, length]) + value


def deep(levels: int) -> bytes:
    """Return a graph in an attribute of a node in a graph, and so on."""
    made = b""
    for _ in range(levels):
        made = field(1, field(5, field(6, made)))
    return field(7, made)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * 20, b"\x3a", b"\x3a\xff\xff\xff\xff\x0f", b"\x3a\x05ab", b"\x3b", b"\x3c", b"\x3e", b"\x3f",
        b"\x02\x00", b"\x38\x01", b"\x0d\x00", b"\x09\x00", deep(40), field(7, b"") * 2,
        field(7, field(5, b"\x70\x01")),
        field(7, field(5, b"\x70\x01" + field(13, field(1, b"location")) * 2)),
        b"\0\0\0\0ORTM" + bytes(20),
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused_in_one_line(content: bytes) -> None:
    refused(content, None)


def test_graphs_in_graphs_are_walked_as_deep_as_parsers_go() -> None:
    content = deep(30)
    assert sound_content(content, name="m.onnx", folder=None) is content


def test_two_halves_that_a_parser_would_merge_are_refused() -> None:
    halves = [tensor("w", "a.bin"), tensor("w", "a.bin")]
    halves[0].ClearField("data_location")
    halves[1].ClearField("external_data")
    attribute = field(1, b"value") + b"".join(field(5, half.SerializeToString()) for half in halves)
    assert "there twice" in refused(field(7, field(1, field(5, attribute))), None)


def test_whatever_is_damaged_the_error_is_ours(tmp_path: Path) -> None:
    rng = random.Random(0)
    (tmp_path / "a.bin").write_bytes(WEIGHTS.tobytes())
    content = adding(tensor("w", "a.bin", offset=0, length=48))
    outcomes = set()
    for _ in range(3000):
        damaged = bytearray(content)
        for _ in range(rng.choice((1, 1, 4))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            sound_content(bytes(damaged), name="x", folder=tmp_path)
            outcomes.add("taken")
        except ArtefactError:
            outcomes.add("refused")
    assert outcomes == {"taken", "refused"}


def test_a_foreign_model_is_loaded_with_its_external_data_and_from_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    for each in (folder, elsewhere):
        each.mkdir()
    (elsewhere / "w.bin").write_bytes(WEIGHTS.tobytes())
    content = adding(tensor("w", "w.bin"))
    (folder / "m.onnx").write_bytes(content)
    # onnxruntime, given bytes, would read the files of whatever folder the program happens to run in.
    monkeypatch.chdir(elsewhere)
    for source in (folder / "m.onnx", content):
        with pytest.raises(ArtefactError, match=r"w\.bin"):
            load(source, verify=False)
    (folder / "w.bin").write_bytes(WEIGHTS.tobytes())
    predictor = load(folder / "m.onnx", verify=False)
    assert predictor.run(np.zeros(12, np.float32)).tolist() == WEIGHTS.tolist()
    (folder / "w.bin").unlink()
    again = pickle.loads(pickle.dumps(predictor))
    assert again.run(np.zeros(12, np.float32)).tolist() == WEIGHTS.tolist()
