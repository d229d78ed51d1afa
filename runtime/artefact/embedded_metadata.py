"""The embedded metadata: what an artefact says about itself, with a checksum, inside the file.

It is one JSON object. The exporter writes it where each format keeps such things (a ``metadata_props`` entry of an
ONNX model, a metadata buffer of a TFLite model), so other tools can read it there. edgeport finds
it by its first bytes alone, in any format, before an engine has seen the file: a damaged file is recognised
without being parsed.

The digest is the SHA-256 of the whole file with the digest's own 64 hexadecimal digits replaced by zeros.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from edgeport.runtime.artefact.contract import CHANNELS, KINDS, OUTPUT_KINDS, Input, Output
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.files.checksum import sha256_hex
from edgeport.runtime.files.json_file import to_plain
from edgeport.runtime.samples.log_mel import recorded_log_mel
from edgeport.runtime.samples.pictures.resizing import recorded_resizing
from edgeport.runtime.tensors.quantization import ACTIVATIONS

SCHEMA = 3
# Before schema 3 the names of classes stood beside the outputs, and no output said what it means.
_READ = (2, SCHEMA)
_HEADS = tuple(b'{"edgeport_card":%d,"sha256":"' % schema for schema in _READ)
_ANY_HEAD = b'{"edgeport_card":'
_BLANK = b"0" * 64
# Embedded metadata takes one or two KB; only that of very many labels is longer.
_USUAL, _LONGEST = 4 << 10, 4 << 20


class EmbeddedMetadata(NamedTuple):
    """What the runtime and the reader of an artefact need to know, beyond its tensors.

    Attributes:
        model: The model's name, for example ``"edge"``.
        precision: ``float32``, ``float16``, ``dynamic``, ``int8``, ``int16x8`` or ``mixed``.
        inputs: What each input means, in the artefact's order.
        outputs: What each output means, in the artefact's order.
        dataset: The name of the data set that the model was trained on; empty if unknown.
        calibration: What the quantizer saw: source, count, seed and sha256; empty for a float artefact.
        source_sha256: The digest of the Keras file that was exported.
        versions: The version of each tool that made the artefact.
        in_floats: The layers that stay in floats in a file of ``mixed``.
    """

    model: str
    precision: str
    inputs: tuple[Input, ...] = (Input("image", layout="NHWC", range=(0.0, 255.0)),)
    outputs: tuple[Output, ...] = (Output("probabilities"),)
    dataset: str = ""
    calibration: Mapping[str, Any] = {}
    source_sha256: str = ""
    versions: Mapping[str, str] = {}
    in_floats: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of each class or label of the first output; empty if unknown."""
        return self.outputs[0].labels if self.outputs else ()


def to_json(metadata: EmbeddedMetadata) -> str:
    """Return the metadata as the JSON text to embed, with a blank digest that ``with_checksum`` fills in.

    The text is ASCII, and its first bytes are fixed, so that it can be found in any file.
    """
    fields = {"edgeport_card": SCHEMA, "sha256": _BLANK.decode(), **to_plain(metadata)}
    # The tensors of the same file have shapes and dtypes.
    for side in ("inputs", "outputs"):
        fields[side] = [{key: each[key] for key in each if key not in ("shape", "dtype")} for each in fields[side]]
    for each in fields["inputs"]:
        # Few models take a table or sound; the others say nothing of it.
        for key in ("columns", "log_mel"):
            if not each[key]:
                del each[key]
    if not metadata.in_floats:
        del fields["in_floats"]
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":"))


def with_checksum(content: bytes) -> bytes:
    """Return the artefact with the digest of its content written into its metadata.

    Args:
        content: A whole artefact that holds metadata made by ``to_json``.

    Raises:
        ArtefactError: The file holds no metadata, or more than one.
    """
    start = _digest_offset(content)
    if start is None:
        raise ArtefactError("the artefact holds no edgeport metadata to put a checksum into")
    return content[:start] + _digest(content, start) + content[start + 64 :]


def read_metadata(content: bytes, *, name: str, verify: bool = True) -> EmbeddedMetadata | None:
    """Return the metadata of an artefact, or None if it has none and ``verify`` is off.

    Args:
        content: The whole file.
        name: What to call the file in an error.
        verify: Refuse a file whose content does not match the digest in its metadata, or that has no metadata.

    Raises:
        ArtefactError: The file has been altered, was not made by edgeport, or has metadata of another schema.
    """
    start = _digest_offset(content)
    if start is None:
        if not verify:
            return None
        raise ArtefactError(
            f"{name} carries no edgeport metadata: it is damaged, or another tool made it. "
            "If you trust it, load it with verify=False (on the command line: --trust)."
        )
    if verify and content[start : start + 64] != _digest(content, start):
        raise ArtefactError(
            f"{name} has been altered: its content does not match the SHA-256 inside it. Copy or export it again."
        )
    return _parse(_json_at(content, start - len(_HEADS[0]), name), name)


def _digest_offset(content: bytes) -> int | None:
    head = content.find(_ANY_HEAD)
    if head < 0:
        return None
    if content.find(_ANY_HEAD, head + 1) >= 0:
        raise ArtefactError("the artefact holds more than one block of edgeport metadata: export it again")
    if not content.startswith(_HEADS, head):
        raise ArtefactError(
            f"the artefact's metadata is damaged, or not of schema {' or '.join(map(str, _READ))}, which this edgeport "
            "reads: copy or export it again, or update edgeport"
        )
    return head + len(_HEADS[0])


def _digest(content: bytes, start: int) -> bytes:
    whole = memoryview(content)
    return sha256_hex((whole[:start], _BLANK, whole[start + 64 :]), size=len(content)).encode()


def _json_at(content: bytes, start: int, name: str) -> dict[str, Any]:
    """Return the JSON object that begins at ``start``, without a copy of all that follows it."""
    length = _USUAL
    while True:
        try:
            fields: dict[str, Any]
            fields, _ = json.JSONDecoder().raw_decode(content[start : start + length].decode("latin-1"))
        except (ValueError, RecursionError) as error:
            length *= 8
            if length > _LONGEST:
                raise ArtefactError(
                    f"{name}: its edgeport metadata cannot be read ({error}). Export it again."
                ) from error
        else:
            return fields


def _parse(fields: Mapping[str, Any], name: str) -> EmbeddedMetadata:
    try:
        labels = fields["labels"] if fields["edgeport_card"] < SCHEMA else []
        fields = {key: value for key, value in fields.items() if key not in ("edgeport_card", "sha256", "labels")}
        inputs = tuple(_input(each) for each in fields["inputs"])
        for each in inputs:
            if each.kind not in ("", *KINDS) or each.channels not in ("", *CHANNELS):
                raise ValueError(f"input {each.name} is of the unknown kind {each.kind!r}, {each.channels!r}")
        outputs = tuple(_output(each) for each in fields["outputs"])
        if labels:
            outputs = (outputs[0]._replace(columns=_texts(labels)), *outputs[1:])
        metadata = EmbeddedMetadata(
            **{
                **fields,
                "inputs": inputs,
                "outputs": outputs,
                "in_floats": _texts(fields.get("in_floats", [])),
            }
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ArtefactError(f"{name}: its edgeport metadata cannot be read ({error}). Export it again.") from error
    for output in outputs:
        if output.activation not in ACTIVATIONS:
            raise ArtefactError(
                f"{name}: unknown activation {output.activation!r} in its metadata, "
                f"expected one of {', '.join(ACTIVATIONS)}"
            )
    return metadata


def _input(fields: Mapping[str, Any]) -> Input:
    read = {
        "range": _range(fields["range"]),
        "resizing": recorded_resizing(fields.get("resizing")),
        "columns": _texts(fields.get("columns", [])),
        "log_mel": recorded_log_mel(fields.get("log_mel")),
    }
    return Input(**{**fields, **read})


def _output(fields: Mapping[str, Any]) -> Output:
    output = Output(
        **{**fields, "columns": _texts(fields.get("columns", [])), "units": _texts(fields.get("units", []))}
    )
    if output.kind not in ("", *OUTPUT_KINDS):
        raise ValueError(f"output {output.name} is of the unknown kind {output.kind!r}")
    return output


def _texts(names: list[str]) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise TypeError(f"got {names!r}, expected a list of names")
    return tuple(names)


def _range(pair: list[float] | None) -> tuple[float, float] | None:
    if pair is None:
        return None
    low, high = pair
    return float(low), float(high)
