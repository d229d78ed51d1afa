"""Errors of other libraries, as they were seen, become one line for the user."""

import pytest

from edgeport.export.conversion.foreign_messages import cleaned

KERAS = (
    "<class 'keras.src.models.functional.Functional'> could not be deserialized properly.\n\nconfig={'module': "
    "'keras', 'layers': [...]}.\n\nException encountered: Received an invalid value for `units`, "
    "expected a positive integer. Received: units=-2"
)
CALLED = (
    "Exception encountered when calling Sequential.call().\n\n\x1b[1mInput 0 of layer 'dense' is incompatible with the "
    "layer: expected axis -1 to have value 3\x1b[0m\n\nArguments received by Sequential.call():\n  • training=None"
)
CONVERTER = (
    '<unknown>:0: error: loc(callsite(callsite(fused["Reshape:", "f/Reshape@x"] at '
    '"PartitionedCall:") at fused["PartitionedCall:", "p"])): \'tfl.reshape\' op requires one element\n'
)
STACK = (
    'Traceback (most recent call last):\n  File "/home/me/.venv/lib/site-packages/keras/src/x.py", line 3, in '
    "call\n    return 1\nValueError: two shapes differ"
)
ENGINE = (
    "[ONNXRuntimeError] : 1 : FAIL : Load model from bytes failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:149 "
    "Status: Unsupported model IR version: 99"
)
UNPREPARED = (
    "a.tflite: ai_edge_litert cannot open it (tflite/kernels/div.cc:89 input1->type != input2->type (INT16 != "
    "FLOAT32)Node number 5 (DIV) failed to prepare.)"
)
PLACE = "Could not translate MLIR to FlatBuffer./home/me/export/command.py:143:1: error: 'tfl.x' op fails"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            UNPREPARED,
            "a.tflite: ai_edge_litert cannot open it: operator DIV stops it (input1->type != input2->type (INT16 != "
            "FLOAT32))",
        ),
        (PLACE, "error: 'tfl.x' op fails"),
        (KERAS, "Received an invalid value for `units`, expected a positive integer. Received: units=-2"),
        (CALLED, "Input 0 of layer 'dense' is incompatible with the layer: expected axis -1 to have value 3"),
        (CONVERTER, "error: 'tfl.reshape' op requires one element"),
        (STACK, "ValueError: two shapes differ"),
        (ENGINE, "Load model from bytes failed: Status: Unsupported model IR version: 99"),
        (
            "{{function_node __inference_<lambda>_39}} indices[0,2] = 9 is not in [0, 4)\n\t "
            "[[{{node model/e/GatherV2}}]] [Op:__inference_<lambda>_39]",
            "indices[0,2] = 9 is not in [0, 4)",
        ),
        ("No kernel for <function f at 0x7f12ab>.", "No kernel for <function f>"),
    ],
)
def test_a_foreign_error_is_one_line_that_says_the_cause(text: str, line: str) -> None:
    assert cleaned(ValueError(text)) == line


def test_a_key_error_and_an_empty_error_say_their_kind() -> None:
    assert cleaned(KeyError("Foo")) == "KeyError: 'Foo'"
    assert cleaned(RuntimeError("")).startswith("RuntimeError")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "File not found: filepath=/tmp/a b/m.keras. Ensure it exists.",
            "File not found: filepath=the file. Ensure it exists",
        ),
        ("/tmp/a b/m.keras: truncated", "truncated"),
        ("m.keras: truncated", "truncated"),
        ("cannot read '/tmp/a b/m.keras' (m.keras.bak is there)", "cannot read the file (m.keras.bak is there)"),
        ("/tmp/other/.partial/m.keras: no metadata", "no metadata"),
    ],
)
def test_a_file_that_the_caller_names_is_not_named_again(text: str, line: str) -> None:
    assert cleaned(text, file="/tmp/a b/m.keras") == line


def test_a_long_message_ends_with_a_sentence() -> None:
    sentences = [f"Sentence number {number} says something that takes some room." for number in range(20)]
    line = cleaned(" ".join(sentences))
    assert len(line) < 500
    assert line.endswith("takes some room")
    assert line.startswith("Sentence number 0")


def test_an_endless_sentence_says_that_it_goes_on() -> None:
    line = cleaned("word " * 1000)
    assert len(line) < 900
    assert line.endswith("word ...")
