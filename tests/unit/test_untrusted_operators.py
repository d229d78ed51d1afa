"""Operators that reach out of a graph are found by their names, in its bytes, wherever they hide."""

from pathlib import Path

import pytest

from edgeport.export.sources.untrusted_operators import check_graph_def, check_operators, check_saved_model, reaches_out
from edgeport.runtime import ArtefactError, InputError

ROOT = Path(__file__).parents[2]


def field(number: int, content: bytes) -> bytes:
    size, head = len(content), bytearray([number << 3 | 2])
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size]) + content


def node(name: str, operator: str, *inputs: str, calls: str = "", listed: bool = False) -> bytes:
    parts = field(1, name.encode()) + field(2, operator.encode()) + b"".join(field(3, i.encode()) for i in inputs)
    if calls:
        function = field(9 if listed else 10, field(1, calls.encode()))
        parts += field(5, field(1, b"f") + field(2, field(1, function) if listed else function))
    return parts


def function(name: str, *nodes: bytes) -> bytes:
    return field(1, field(1, field(1, name.encode())) + b"".join(field(3, each) for each in nodes))


def graph(*nodes: bytes, functions: tuple[bytes, ...] = ()) -> bytes:
    return b"".join(field(1, each) for each in nodes) + field(2, b"".join(functions))


def saved_model(content: bytes, *, saver: tuple[str, str] = ("", "")) -> bytes:
    save, restore = (name.encode() for name in saver)
    return field(2, field(2, content) + field(3, field(2, save) + field(3, restore)))


CALL = node("call", "StatefulPartitionedCall", calls="f")


@pytest.mark.parametrize(
    "content",
    [
        graph(node("w", "WriteFile")),
        graph(CALL, functions=(function("f", node("w", "WriteFile")),)),
        graph(node("c", "Case", calls="f", listed=True), functions=(function("f", node("w", "WriteFile")),)),
        graph(node("c", "f"), functions=(function("f", node("w", "WriteFile")),)),
        graph(functions=(function("nobody_calls_it", node("w", "WriteFile")),)),
        graph(node("same", "WriteFile"), node("same", "Add")),
        graph(node("save", "SaveV2"), node("w", "WriteFile"), node("s", "Identity", "save", "^w")),
    ],
)
def test_an_operator_is_found_wherever_it_hides(content: bytes) -> None:
    with pytest.raises(InputError, match=r"WriteFile \(writes files\)"):
        check_saved_model(saved_model(content, saver=("s:0", "")), name="it")
    with pytest.raises(InputError, match="WriteFile"):
        check_graph_def(content, name="it")


def test_checkpoints_are_the_savers_own_and_nobody_elses() -> None:
    saving = function("f", node("s", "SaveV2"))
    check_saved_model(saved_model(graph(CALL, functions=(saving,)), saver=("call:0", "")), name="it")
    check_saved_model(
        saved_model(graph(node("r", "RestoreV2"), node("all", "NoOp", "^r")), saver=("", "all")), name="it"
    )
    others = {
        "no saver": saved_model(graph(CALL, functions=(saving,))),
        "another node calls it too": saved_model(
            graph(CALL, node("serve", "PartitionedCall", calls="f"), functions=(saving,)), saver=("call", "")
        ),
        "a function that is loaded": saved_model(
            graph(CALL, functions=(saving, function("g", node("r", "RestoreV2")))), saver=("call", "")
        ),
    }
    for content in others.values():
        with pytest.raises(InputError, match="checkpoint"):
            check_saved_model(content, name="it")


def test_the_models_that_keras_writes_pass() -> None:
    for path in ROOT.glob("tests/data/*/saved_model.pb"):
        check_saved_model(path.read_bytes(), name=str(path))


@pytest.mark.parametrize("content", [b"\xff" * 40, saved_model(graph(CALL))[:-9]])
def test_what_is_no_message_is_reported(content: bytes) -> None:
    with pytest.raises(ArtefactError, match="damaged"):
        check_saved_model(content, name="it")


def test_arithmetic_passes_and_all_kinds_are_named() -> None:
    check_operators(["Add", "MatMul", "ReadVariableOp", "SparseSoftmaxCrossEntropyWithLogits", "Log"], name="it")
    for name in ("ReadFile", "MatchingFiles", "PyFunc", "EagerPyFunc", "SaveV2", "Restore", "CreateSummaryFileWriter",
                 "TextLineDataset", "TFRecordReaderV2", "RpcCall", "DebugIdentityV3", "PrintV2"):  # fmt: skip
        assert reaches_out(name), name
    with pytest.raises(InputError, match=r"PyFunc \(runs Python\), ReadFile \(reads files\)"):
        check_operators(["ReadFile", "Add", "PyFunc"], name="it")
