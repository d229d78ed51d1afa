"""The embedded metadata: found, verified by its checksum, and refused when anything was changed."""

import json

import pytest

from edgeport.runtime import ArtefactError, EmbeddedMetadata
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.artefact.embedded_metadata import read_metadata, to_json, with_checksum

NAMES = ("zero", "ein\u00df", 'quo"te', '{"edgeport_card":')
METADATA = EmbeddedMetadata(
    model="digits",
    precision="int8",
    inputs=(
        Input("image", layout="NHWC", range=(0.0, 1.0), kind="pixels", channels="bgr"),
        Input("tokens", layout="NT", kind="ids"),
        Input("facts", layout="NC", kind="real", columns=("age", "size")),
    ),
    outputs=(
        Output("kind", activation="softmax", kind="classes", columns=NAMES),
        Output("size", kind="values", columns=("length", "mass"), units=("m", "kg")),
    ),
    calibration={"count": 3},
)
BEFORE, AFTER = b"\x00\xffmodel bytes", b"\xfe more bytes {}"
WHOLE = with_checksum(BEFORE + to_json(METADATA).encode() + AFTER)


def test_metadata_with_a_checksum_comes_back_as_it_was() -> None:
    assert read_metadata(WHOLE, name="x") == METADATA


@pytest.mark.parametrize(("field", "value"), [("kind", "sounds"), ("channels", "yuv"), ("kind", None)])
def test_an_input_of_an_unknown_kind_is_reported(field: str, value: object) -> None:
    other = METADATA._replace(inputs=(METADATA.inputs[0]._replace(**{field: value}),))
    with pytest.raises(ArtefactError, match="input image is of the unknown kind"):
        read_metadata(with_checksum(to_json(other).encode()), name="x")


def test_metadata_that_does_not_say_of_which_kind_an_input_is_can_be_read() -> None:
    fields = json.loads(to_json(METADATA))
    fields["inputs"] = [{key: each[key] for key in ("name", "layout", "range")} for each in fields["inputs"]]
    text = json.dumps(fields, separators=(",", ":")).encode()
    image, *_ = read_metadata(with_checksum(text), name="x").inputs
    assert image == Input("image", layout="NHWC", range=(0.0, 1.0))


def test_it_says_nothing_that_the_tensors_of_the_file_say() -> None:
    shaped = METADATA._replace(
        inputs=tuple(each._replace(shape=(None, 2), dtype="float32") for each in METADATA.inputs),
        outputs=tuple(each._replace(shape=(None, 3), dtype="float32") for each in METADATA.outputs),
    )
    assert to_json(shaped) == to_json(METADATA)


def test_metadata_is_json_of_ascii() -> None:
    assert to_json(METADATA).isascii()
    assert json.loads(to_json(METADATA))["outputs"][0]["columns"][1] == "ein\u00df"


@pytest.mark.parametrize("position", range(len(WHOLE)))
def test_any_changed_bit_is_noticed(position: int) -> None:
    changed = bytearray(WHOLE)
    changed[position] ^= 1
    with pytest.raises(ArtefactError):
        read_metadata(bytes(changed), name="x")


def test_truncation_and_appending_are_noticed() -> None:
    for damaged in (WHOLE[:-1], WHOLE + b"\0", WHOLE[1:]):
        with pytest.raises(ArtefactError, match="altered"):
            read_metadata(damaged, name="x")


def test_a_file_without_metadata_needs_trust() -> None:
    with pytest.raises(ArtefactError, match="--trust"):
        read_metadata(b"foreign", name="x")
    assert read_metadata(b"foreign", name="x", verify=False) is None


def test_two_blocks_of_metadata_are_ambiguous() -> None:
    with pytest.raises(ArtefactError, match="more than one"):
        read_metadata(WHOLE + WHOLE, name="x")


def test_another_schema_is_named() -> None:
    with pytest.raises(ArtefactError, match="schema 2 or 3"):
        read_metadata(WHOLE.replace(b'{"edgeport_card":3', b'{"edgeport_card":4'), name="x")


def test_what_older_files_say_is_read() -> None:
    """Schema 2 had the labels beside the outputs, and no kinds."""
    text = (
        '{"edgeport_card":2,"sha256":"%s","model":"m","precision":"int8","inputs":[{"name":"x","layout":"NC",'
        '"range":null}],"outputs":[{"name":"logits","activation":"softmax"},{"name":"size","activation":"none"}],'
        '"labels":["no","yes"],"dataset":"","calibration":{},"source_sha256":"","versions":{}}' % ("0" * 64)
    )
    read = read_metadata(with_checksum(text.encode()), name="x")
    assert read.outputs == (Output("logits", activation="softmax", columns=("no", "yes")), Output("size"))
    assert read.labels == ("no", "yes")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "sounds"}, "unknown kind 'sounds'"),
        ({"columns": "ab"}, "list of names"),
        ({"units": [1]}, "list of names"),
    ],
)
def test_an_output_that_nobody_can_have_written_is_refused(change: dict, message: str) -> None:
    fields = json.loads(to_json(METADATA))
    fields["outputs"][0] |= change
    text = json.dumps(fields, separators=(",", ":"))
    with pytest.raises(ArtefactError, match=message):
        read_metadata(with_checksum(text.encode()), name="x")


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ArtefactError, match="relu"):
        read_metadata(
            with_checksum(to_json(EmbeddedMetadata("m", "int8", outputs=(Output("y", activation="relu"),))).encode()),
            name="x",
        )
